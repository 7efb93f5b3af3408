/*
 * Notes and keys (C2SP): a text, and one signature by the program's key.
 */

import { ed25519 } from '@noble/curves/ed25519.js';

import { ascii, bytesOf, concat, hex, latin1, same, unbase64 }
    from './bytes.js';
import { H, sha256 } from './hash.js';


const DASH = '\xe2\x80\x94 ';            /* U+2014, as its bytes */

/* NAME+HEX8+BASE64 of this key type, or null */

export function parseKey(line, type) {
    const m = /^([^ +]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(line);
    const raw = m && unbase64(m[3]);

    if (!raw || raw.length !== 33 || raw[0] !== type) return null;

    const hash = H(bytesOf(m[1]), ascii('\n'), raw);

    if (hex(hash.subarray(0, 4)) !== m[2]) return null;

    return { name: m[1], id: hash.slice(0, 4), key: raw.slice(1) };
}

export function signed(key, signature, data) {
    try {
        return ed25519.verify(signature, data, key, { zip215: false });
    } catch {
        return false;
    }
}

/*
 * The notes of a file, verified, one by one.  Where one is not as it should be
 * V02 hears of it, and null ends them.  Any kind will do where none is asked
 * for.
 */

export function* notes(bytes, key, kind, report) {
    let start = 0;

    while (start < bytes.length) {
        const line = [];
        let at = start, textEnd = 0;

        for (let i = 0; i < 4; i++) {
            const end = bytes.indexOf(10, at);

            if (end === -1) {
                report.fail(2, `a ${kind ?? 'saved'} note is cut off`);
                yield null;
                return;
            }

            if (i === 2) textEnd = at;
            line.push(latin1(bytes.subarray(at, end)));
            at = end + 1;
        }

        const note = parse(line, bytes.subarray(start, textEnd), key);

        if (!note || (kind && note.kind !== kind)) {
            report.fail(2, `a ${kind ?? 'saved'} note is malformed, or not`
                           + ' signed by the key');
            yield null;
            return;
        }

        note.raw = bytes.subarray(start, at);
        note.hash = sha256(note.raw);
        start = at;
        yield note;
    }
}

function parse(line, text, key) {
    const head = /^nginx-loyalty\/1 ([^]{1,16})$/.exec(line[0]);

    if (!head || line[2] !== '' || line[1].length > 1 << 20) return null;

    const statement = unbase64(line[1]);
    const prefix = `${DASH}${key.name} `;

    if (!statement || !line[3].startsWith(prefix)) return null;

    const sig = unbase64(line[3].slice(prefix.length));

    if (!sig || sig.length !== 68 || !same(sig.subarray(0, 4), key.id)
        || !signed(key.key, sig.subarray(4), text))
    {
        return null;
    }

    return { kind: head[1], statement, text };
}

export function cosigned(witness, note, time, signature) {
    return signed(witness.key, signature,
                  concat(ascii(`cosignature/v1\ntime ${time}\n`), note.text));
}


/*
 * A note that outsiders can have seen: when, by their own word.  Infinity is
 * where nobody says anything.
 */

export class Subject {
    constructor(note, key) {
        this.kind = note.kind;
        this.key = BigInt(key);
        this.raw = note.raw;
        this.text = note.text;
        this.hash = note.hash;
        this.token = Infinity;       /* the earliest, whoever signed it */
        this.trusted = Infinity;     /* the earliest of a pinned authority */
        this.cosigned = Infinity;    /* the earliest of a pinned witness */
        this.saved = false;          /* by the user, in time */
    }
}
