/*
 * V07 and V12: the secrets that were committed to.  A seed hashes to its
 * commitment; an epoch's c_e hashes down, epoch by epoch, to the anchor.
 */

import { lines, same, u32, unhex, Words, zero } from './bytes.js';
import { H, tag } from './hash.js';


const EPOCHS = 1 << 23;


export function readReveal(c) {
    const check = c.last.kind === 1 ? 7 : 12;
    const { lines: all, cut } = lines(c.file('reveal') ?? new Uint8Array(0));

    for (const line of all) {
        if (!reveal(c, check, line))
            c.report.fail(check, 'a malformed line in reveal');
    }

    if (cut) c.report.fail(check, 'reveal is cut off');

    seedState(c);
}

function seedState(c) {
    const { last, report } = c;

    if (last.kind !== 1) {
        report.info(7, 'not of an instant win');
        return;
    }

    if (zero(last.seedCommit)) {
        if (!last.beacon) {
            report.fail(7, 'the draw rests on nothing: no beacon and no seed');
        }

        report.info(7, 'no seed: the beacon alone');
    } else if (!last.seed) {
        if (c.file('picks')) {
            report.fail(7, 'the seed is withheld, and the draw has been made');
        } else {
            report.incomplete(7, 'the seed is not revealed yet');
        }
    }
}

function reveal(c, check, line) {
    const words = new Words(line);
    const what = words.next();
    const number = what === null ? null : words.number();
    const m = number && c.versions[Number(number) - 1];

    if (!m) return false;

    if (check === 7 && what === 'seed') return revealSeed(c, m, words.rest);

    if (check === 12 && what === 'c') {
        const e = words.number();
        return e !== null && revealSecret(c, m, e, words.rest);
    }

    return false;
}

function revealSeed(c, m, hexed) {
    const seed = unhex(hexed, 32);

    if (m.seed || !seed) return false;

    m.seed = seed;

    if (!same(H(tag('seed-commit'), m.cid, u32(m.number), seed), m.seedCommit))
    {
        c.report.fail(7, `the seed of version ${m.number} is not the one`
                         + ' committed to');
    }

    return true;
}

function revealSecret(c, m, e, hexed) {
    if (m.epochs > EPOCHS) {
        c.report.incomplete(12, 'more epochs than this program can hold');
        return true;
    }

    const secret = unhex(hexed, 32);

    m.secrets ??= new Map();

    if (e === 0n || e > m.epochs || m.secrets.has(Number(e)) || !secret)
        return false;

    m.secrets.set(Number(e), secret);
    return true;
}


export function checkChains(c) {
    for (const m of c.versions) {
        if (m.secrets) checkChain(c, m);
    }
}

function checkChain(c, m) {
    const name = tag('chain');
    let e = 0, hash = null;

    for (const known of m.secrets.keys()) e = Math.max(e, known);

    for (; e > 0; e--) {
        const secret = m.secrets.get(e);

        if (secret) {
            if (hash && !same(hash, secret)) {
                c.report.fail(12, `c of epoch ${e} does not link with the`
                                  + ' next');
            }

            hash = secret;
        }

        hash = H(name, m.cid, u32(e), hash);
    }

    if (hash && !same(hash, m.anchor)) {
        c.report.fail(12, `the chain of version ${m.number} does not end at`
                          + ' its anchor');
    }

    c.report.info(12, `version ${m.number}: ${m.secrets.size} epochs`
                      + ' revealed');
}
