/*
 * SHA-256, HMAC, trees (RFC 6962) and the samplers of the protocol.
 */

import { sha256 } from '@noble/hashes/sha2.js';
import { hmac } from '@noble/hashes/hmac.js';

import { ascii, concat, u32, View } from './bytes.js';


export { sha256 };

export function tag(s) {
    return concat(ascii('nginx-loyalty/1 ' + s), Uint8Array.of(0));
}

export function H(...parts) {
    return sha256(concat(...parts));
}

/* a key made ready: what is hashed of it is hashed once */

export class Key {
    constructor(key) {
        this.base = hmac.create(sha256, key);
        this.work = this.base.clone();
    }

    mac(data) {
        return this.base._cloneInto(this.work).update(data).digest();
    }
}


const ATTEMPTS = 1 << 20;

/*
 * pick(K, tag, p, n) from attempt a on: { x, a }, or null when there are no
 * attempts left.  x < n, n at most 2^64; a BigInt.
 */

export function pick(key, name, p, n, a = 0) {
    const size = BigInt(n);
    const bound = (1n << 64n) / size * size;
    const data = concat(tag(name), u32(p), u32(a));
    const view = new DataView(data.buffer);

    for (; a < ATTEMPTS; a++) {
        view.setUint32(data.length - 4, a);
        const x = new View(key.mac(data)).big(0);
        if (x < bound) return { x: x % size, a };
    }

    return null;
}

/* the first word of 48 bits that is accepted, mod n; -1: none is */

export function pick48(u, n) {
    const bound = Math.floor(0x1000000000000 / n) * n;
    const view = new DataView(u.buffer, u.byteOffset, u.length);

    for (let i = 0; i < 30; i += 6) {
        const word = view.getUint16(i) * 0x100000000 + view.getUint32(i + 2);
        if (word < bound) return word % n;
    }

    return -1;
}


/* one state for all of them: a million new ones are most of the work */

const START = sha256.create();
const STATE = sha256.create();
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export function leaf(data) {
    return START._cloneInto(STATE).update(LEAF).update(data).digest();
}

function node(left, right) {
    return START._cloneInto(STATE).update(NODE).update(left).update(right)
                .digest();
}

/* a tree that grows: the roots of its complete subtrees, smallest last */

export class Tree {
    constructor() {
        this.size = 0;
        this.stack = [];
    }

    add(hash) {
        let n = this.size++;

        for (; n & 1; n = Math.floor(n / 2))
            hash = node(this.stack.pop(), hash);

        this.stack.push(hash);
    }

    root() {
        if (this.size === 0) return sha256(new Uint8Array(0));

        let i = this.stack.length - 1;
        let hash = this.stack[i];

        while (i-- > 0) hash = node(this.stack[i], hash);

        return hash;
    }
}
