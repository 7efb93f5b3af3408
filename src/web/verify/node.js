/*
 * The page's verifier as a command, with the options, the lines and the exit
 * status of loyalty-verify: for tests, and where there is no browser.
 */

import { webcrypto } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { latin1, lines } from './bytes.js';
import { verify } from './campaign.js';
import { parseKey } from './note.js';


globalThis.crypto ??= webcrypto;

const USAGE = 'usage: verify-node.mjs [--tsa-ca FILE] [--saved-note FILE]'
    + ' [--witness FILE]\n    [--receipt FILE] [--game NAME] [--beacon'
    + ' HASH:KEY] [--time] DIR\n';


function stop(why) {
    process.stderr.write(`${why}\n`);
    process.exit(2);
}

function read(path) {
    try {
        return new Uint8Array(readFileSync(path));
    } catch {
        return stop(`verify-node: cannot use "${path}"`);
    }
}

function witnesses(path) {
    const { lines: all, cut } = lines(read(path));
    const keys = all.map((line) => parseKey(line, 4));

    if (cut || keys.includes(null)) stop(`verify-node: cannot use "${path}"`);

    return keys;
}

function directory(dir) {
    const files = new Map();
    let names;

    try {
        names = readdirSync(dir);
    } catch {
        stop(`verify-node: cannot open the directory "${dir}"`);
    }

    for (const name of names) {
        const path = join(dir, name);
        const stat = statSync(path, { throwIfNoEntry: false });

        if (name.startsWith('.') || !stat?.isFile() || stat.size === 0)
            continue;

        files.set(latin1(Buffer.from(name)), read(path));
    }

    return files;
}

function options() {
    const many = { type: 'string', multiple: true, default: [] };

    try {
        return parseArgs({ allowPositionals: true, options: {
            'tsa-ca': { type: 'string' }, receipt: many, 'saved-note': many,
            witness: many, game: { type: 'string' },
            beacon: { type: 'string' }, time: { type: 'boolean' },
        } });
    } catch {
        return stop(USAGE);
    }
}

const { values, positionals } = options();

if (positionals.length !== 1) stop(USAGE);

const files = directory(positionals[0]);
const start = performance.now();

const { report } = await verify(files, {
    ca: values['tsa-ca'] && read(values['tsa-ca']), caName: values['tsa-ca'],
    saved: values['saved-note'].map(read),
    receipts: values.receipt.map(read),
    witnesses: values.witness.flatMap(witnesses),
    game: latin1(Buffer.from(values.game ?? '')), chain: values.beacon,
});

if (values.time)
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);

process.stdout.write(report.text());
process.exitCode = [0, 2, 1][report.verdict];
