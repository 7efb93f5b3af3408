/*
 * The browser's cryptography where node 18 does not have it at hand: before
 * pkijs looks for it.
 */

import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
