/*
 * V05 and V06: the chain is the one that is pinned here, and each round's
 * signature is that chain's.  The randomness of a round is the hash of its
 * signature, which nobody is trusted to have hashed.
 */

import { pippenger } from '@noble/curves/abstract/curve.js';
import { bls12_381 } from '@noble/curves/bls12-381.js';

import { hex, lines, same, u64, unhex, View, Words } from './bytes.js';
import { sha256 } from './hash.js';


const QUICKNET
    = '52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971';
const QUICKNET_KEY
    = '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b'
    + '450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304'
    + 'de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a';
const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';

/* whoever adds a receipt does not wait for the same rounds again */

const verified = new Set();


export class Beacon {
    constructor(c) {
        this.c = c;
        this.rounds = new Map();
        this.missing = 0;
        this.firstMissing = null;
        this.known = { number: null, out: null };

        this.pin();
        this.read();
    }

    pin() {
        const { report, last, options } = this.c;

        this.pinned = unhex(QUICKNET);
        this.publicKey = unhex(QUICKNET_KEY);

        if (options.chain !== undefined) {
            const at = options.chain;
            const form = at.length === 257 && at[64] === ':';
            const hash = form && unhex(at.slice(0, 64), 32);
            const key = form && unhex(at.slice(65), 96);

            if (form) report.info(5, 'a chain that the command line names');

            if (hash && key) {
                this.pinned = hash;
                this.publicKey = key;
            } else {
                report.incomplete(5, '--beacon is not HASH:KEY');
            }
        }

        if (!last.beacon) {
            report.incomplete(5, 'seed only: no beacon, so that whoever has'
                                 + ' the secret knows the outcome');
        } else if (!same(last.chain, this.pinned)) {
            report.fail(5, "the manifest's chain is not the one that is"
                           + ' pinned');
        }
    }

    read() {
        const { report, last } = this.c;
        const file = this.c.file('beacons');

        if (!file) return;

        const { lines: all, cut } = lines(file);
        const first = /^chain ([0-9a-f]{64})$/.exec(all.shift() ?? '');

        if (!first) {
            report.fail(6, 'beacons does not begin with its chain');
            return;
        }

        if (first[1] !== hex(last.chain))
            report.fail(5, "the chain in beacons is not the manifest's");

        const twice = [];

        for (const line of all) {
            const words = new Words(line);
            const number = words.number();
            const signature = number === null ? null : unhex(words.rest);

            if (!signature?.length || signature.length > 96) {
                report.fail(6, 'a malformed line in beacons');
            } else if (this.rounds.has(`${number}`)) {
                twice.push(number);
            } else {
                this.rounds.set(`${number}`, signature);
            }
        }

        if (cut) report.fail(6, 'beacons is cut off');

        for (const number of twice.sort((a, b) => a < b ? -1 : 1))
            report.fail(6, `round ${number} is there twice`);
    }

    /* B of a round, or null; most plays ask for the round of the last one */

    at(number) {
        if (this.known.number === number) return this.known.out;

        const signature = this.rounds.get(`${number}`);

        if (!signature) {
            if (this.missing++ === 0) this.firstMissing = number;
            return null;
        }

        this.known = { number, out: sha256(signature) };
        return this.known.out;
    }

    done() {
        const { report } = this.c;

        if (this.missing) {
            report.incomplete(6, `round ${this.firstMissing} is missing in`
                + ` beacons, asked for ${this.missing} such rounds`);
        }

        if (this.rounds.size === 0) return;

        const list = [...this.rounds]
            .map(([n, s]) => ({ number: BigInt(n), signature: s,
                                name: [n, hex(s), this.publicKey].join() }))
            .filter((round) => !verified.has(round.name))
            .sort((a, b) => a.number < b.number ? -1 : 1);

        const bad = list.length
                    ? culprit(this.publicKey, list, this.c.progress) : null;

        if (bad !== null) {
            report.fail(6, `the signature of round ${bad} is not the chain's`);
        } else {
            for (const round of list) verified.add(round.name);
        }

        report.info(6, `${this.rounds.size} rounds`);
    }
}


/*
 * Rounds are checked together: the sum of all signatures, each times a random
 * number, against the same sum of the hashed messages.  One pairing then does
 * for all of them; a wrong one passes with a chance of 2^-63.  When the sum is
 * wrong, one by one finds the culprit.  null: there is none.
 */

const bls = bls12_381.shortSignatures;
const { Point } = bls12_381.G1;
const CHUNK = 512;

function culprit(publicKey, list, progress) {
    let key;

    try {
        key = bls12_381.G2.Point.fromBytes(publicKey);
        key.assertValidity();
    } catch {
        return 0n;
    }

    if (key.is0()) return 0n;

    let sum = Point.ZERO, messages = Point.ZERO;

    for (let i = 0; i < list.length; i += CHUNK) {
        const points = [], hashed = [], factors = [];

        progress('beacon', i, list.length);

        for (const { number, signature } of list.slice(i, i + CHUNK)) {
            const point = signaturePoint(signature);

            if (!point) return number;

            points.push(point);
            hashed.push(message(number));
            factors.push(random64());
        }

        sum = sum.add(pippenger(Point, points, factors));
        messages = messages.add(pippenger(Point, hashed, factors));
    }

    progress('beacon', list.length, list.length);

    if (!sum.is0() && !messages.is0() && bls.verify(sum, messages, key))
        return null;

    for (const { number, signature } of list) {
        if (!bls.verify(signaturePoint(signature), message(number), key))
            return number;
    }

    return 0n;
}

function signaturePoint(signature) {
    try {
        const point = bls.Signature.fromBytes(signature);
        point.assertValidity();
        return point.is0() ? null : point;
    } catch {
        return null;
    }
}

function message(number) {
    return bls.hash(sha256(u64(number)), DST);
}

/* not 0, so that no signature is left out of the sum */

function random64() {
    const bytes = globalThis.crypto.getRandomValues(new Uint8Array(8));
    return new View(bytes).big(0) | 1n;
}
