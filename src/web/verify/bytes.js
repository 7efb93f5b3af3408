/*
 * Bytes and text, read strictly: what is not exactly of its form is null.
 */

const NUMBER = /^(0|[1-9][0-9]{0,19})$/;

export const NEVER = Infinity;

export function ascii(text) {
    return new TextEncoder().encode(text);
}

export function text(bytes) {
    return new TextDecoder('utf-8').decode(bytes);
}

export function same(a, b) {
    if (a.length !== b.length) return false;

    for (let i = 0; i < a.length; i++) {
        if (a[i] !== b[i]) return false;
    }

    return true;
}

export function zero(bytes) {
    return bytes.every((b) => b === 0);
}

export function concat(...parts) {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;

    for (const part of parts) {
        out.set(part, at);
        at += part.length;
    }

    return out;
}

export function hex(bytes) {
    let out = '';
    for (const b of bytes) out += (b < 16 ? '0' : '') + b.toString(16);
    return out;
}

/* lower case, of n bytes (any even number without n) */

export function unhex(s, n) {
    if (!/^([0-9a-f]{2})*$/.test(s) || (n !== undefined && s.length !== 2 * n))
        return null;

    const out = new Uint8Array(s.length / 2);
    for (let i = 0; i < out.length; i++)
        out[i] = parseInt(s.substr(2 * i, 2), 16);
    return out;
}

const B64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const B64_OF = new Map([...B64].map((c, i) => [c, i]));

/* canonical: padded, unused bits are zero */

export function unbase64(s) {
    if (s.length === 0 || s.length % 4 || s.length > 1 << 21) return null;

    const pad = s.endsWith('==') ? 2 : s.endsWith('=') ? 1 : 0;
    const out = new Uint8Array(s.length / 4 * 3 - pad);
    let bits = 0, n = 0, at = 0;

    for (let i = 0; i < s.length - pad; i++) {
        const v = B64_OF.get(s[i]);
        if (v === undefined) return null;

        bits = (bits << 6 | v) & 0xffffff;
        n += 6;

        if (n >= 8) {
            n -= 8;
            out[at++] = bits >> n & 255;
        }
    }

    return (bits & ((1 << n) - 1)) === 0 ? out : null;
}

/* decimal without sign or leading zeros, within u64: a BigInt */

export function big(s) {
    if (s === undefined || !NUMBER.test(s)) return null;

    const n = BigInt(s);
    return n < 1n << 64n ? n : null;
}

/* the same as a number; what a double does not hold exactly is Infinity */

export function number(s) {
    const n = big(s);
    if (n === null) return null;
    return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : Infinity;
}

export function u32(n) {
    return Uint8Array.of(n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255);
}

export function u64(n) {
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, BigInt(n));
    return out;
}

export function lp(bytes) {
    return concat(u32(bytes.length), bytes);
}

/*
 * Integers of records: u64 beyond 2^53 is Infinity, all ones is NONE; neither
 * is ever equal to a number that was counted.
 */

export const NONE = -1;

export class View {
    constructor(bytes) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }

    u32(at) { return this.view.getUint32(at); }

    u64(at) {
        const high = this.view.getUint32(at);
        const low = this.view.getUint32(at + 4);

        if (high < 0x200000) return high * 0x100000000 + low;

        return high === 0xffffffff && low === 0xffffffff ? NONE : Infinity;
    }

    big(at) { return this.view.getBigUint64(at); }

    part(at, n) { return this.bytes.subarray(at, at + n); }
}

/*
 * The lines of a file.  The last one has its line feed, too: cut is true when
 * it has not.  Bytes beyond ASCII are kept one by one, as Latin-1, so that
 * lengths are bytes; utf8() turns them back.
 */

export function lines(bytes) {
    const out = [];
    let start = 0, cut = false;

    while (start < bytes.length) {
        const end = bytes.indexOf(10, start);

        if (end === -1) {
            cut = true;
            break;
        }

        out.push(latin1(bytes.subarray(start, end)));
        start = end + 1;
    }

    return { lines: out, cut };
}

/* the words of a line, taken one by one: null where there is none */

export class Words {
    constructor(line) {
        this.rest = line;
    }

    next() {
        if (this.rest === '') return null;

        const end = this.rest.indexOf(' ');
        const word = end === -1 ? this.rest : this.rest.slice(0, end);
        const more = end === -1 ? '' : this.rest.slice(end + 1);
        const good = word !== '' && (end === -1 || more !== '');

        this.rest = more;
        return good ? word : null;
    }

    number() {
        const word = this.next();
        return word === null ? null : big(word);
    }
}

export function latin1(bytes) {
    let out = '';
    for (let i = 0; i < bytes.length; i += 8192)
        out += String.fromCharCode.apply(null, bytes.subarray(i, i + 8192));
    return out;
}

export function bytesOf(latin) {
    const out = new Uint8Array(latin.length);
    for (let i = 0; i < latin.length; i++) out[i] = latin.charCodeAt(i);
    return out;
}
