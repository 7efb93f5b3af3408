/*
 * Manifests, V01 and V02: what each version of a campaign commits to, its
 * prizes, and what of its terms a replay needs.
 */

import { big, bytesOf, latin1, lines, lp, same, u64, View, zero }
    from './bytes.js';
import { H, sha256, tag } from './hash.js';
import { notes, Subject } from './note.js';
import { LIMIT, roundAt } from './time.js';


const SIZE = 344;
const VERSIONS = 256;

export const ODDS = 1, DECK = 2, MOMENTS = 3;


/* false: there is nothing to go on with */

export function readManifests(c) {
    const file = c.file('manifest');

    if (!file) {
        c.report.incomplete(2, 'the file manifest is missing');
        return false;
    }

    for (const note of notes(file, c.key, 'manifest', c.report)) {
        if (c.versions.length === VERSIONS) {
            c.report.fail(2, 'too many versions');
            return false;
        }

        const m = note && parse(c, note);

        if (!m) return false;

        c.versions.push(m);
        c.subjects.push(m.subject);
    }

    c.last = c.versions[c.versions.length - 1];

    c.versions.forEach((m, i) => {
        checkForm(c, m);
        checkChain(c, m, c.versions[i - 1]);
        readFiles(c, m);
        checkName(c, m);
    });

    return !c.report.failed(2);
}

function parse(c, note) {
    const s = note.statement;
    const name = tag('manifest');

    if (s.length !== SIZE || !same(s.subarray(0, name.length), name)) {
        c.report.fail(2, "a manifest's statement is not a manifest");
        return null;
    }

    const v = new View(s);

    const m = {
        mh: sha256(s), cid: v.part(25, 16), number: v.u32(41),
        prev: v.part(45, 32), kind: s[77], mode: s[78], open: v.u64(79),
        close: v.u64(87), length: v.u32(95), epochs: v.u32(99),
        rules: v.part(103, 32), terms: v.part(135, 32),
        prizesHash: v.part(167, 32), chain: v.part(199, 32),
        round: v.u64(231), seedCommit: v.part(239, 32),
        kpCommit: v.part(271, 32), anchor: v.part(303, 32),
        winners: v.u32(335), alternates: v.u32(339), flags: s[343],

        prizes: [], lcm: 0, limits: [], wins: 0n, zone: '', strange: false,
        secrets: null, seed: null, from: 1,
    };

    if (v.big(79) >= v.big(87) || v.big(87) >= BigInt(LIMIT)) {
        c.report.fail(2, 'a manifest opens when it is closed');
        return null;
    }

    m.beacon = !zero(m.chain);
    m.subject = new Subject(note, m.number);

    return m;
}

/* what the kind of game leaves no choice about */

function checkForm(c, m) {
    let ok = (m.flags & ~3) === 0;

    if (m.kind === 1) {
        const round = m.beacon ? roundAt(m.close + 30 * 60000) + 1 : 0;

        ok &&= m.mode === 0 && m.length === 0 && m.epochs === 0
               && zero(m.anchor) && m.round === round
               && (m.beacon || !(m.flags & 2));
    } else {
        ok &&= m.kind === 2 && m.mode >= ODDS && m.mode <= MOMENTS
               && m.length !== 0 && !zero(m.anchor)
               && m.epochs === Math.ceil((m.close - m.open) / m.length)
               && m.round === 0 && zero(m.seedCommit)
               && m.winners === 0 && m.alternates === 0 && !(m.flags & 2);
    }

    if (!ok) c.report.fail(2, `manifest ${m.number} contradicts itself`);
}

function checkChain(c, m, before) {
    if (!before) {
        if (m.number !== 1 || !zero(m.prev))
            c.report.fail(2, 'the first manifest is not version 1');
        return;
    }

    if (m.number !== before.number + 1 || !same(m.prev, before.mh)) {
        c.report.fail(2, `manifest ${m.number} does not continue the one`
                         + ' before it');
    }

    if (!same(m.cid, before.cid) || m.kind !== before.kind
        || m.mode !== before.mode || m.open !== before.open
        || m.length !== before.length || !same(m.chain, before.chain)
        || !same(m.kpCommit, before.kpCommit))
    {
        c.report.fail(2, `manifest ${m.number} changes what no version may`
                         + ' change');
    }
}

/* the id of a campaign follows from its names, where they are known */

function checkName(c, m) {
    if (c.game === '') return;

    const cid = H(tag('campaign'), lp(bytesOf(c.key.name)),
                  lp(bytesOf(c.game)), u64(m.open));

    if (!same(cid.subarray(0, 16), m.cid)) {
        c.report.fail(2, `manifest ${m.number} is not that of the game`
                         + ` "${c.game}"`);
    }
}

function readFiles(c, m) {
    const terms = committed(c, 'terms', m.number, m.terms);
    if (terms) readTerms(c, m, terms);

    const prizes = committed(c, 'prizes', m.number, m.prizesHash);
    if (prizes) readPrizes(c, m, prizes);

    committed(c, 'rules', m.number, m.rules);
}

function committed(c, what, number, hash) {
    const name = `${what}-${number}`;
    const file = c.file(name);

    if (zero(hash)) {
        if (file) {
            c.report.fail(1, `${name} is there, and the manifest has none`);
        }
        return null;
    }

    if (same(sha256(file ?? new Uint8Array(0)), hash)) return file;

    if (file) c.report.fail(1, `${name} has another hash`);
    else c.report.incomplete(1, `${name} is missing`);

    return null;
}


/* ---- prizes ---- */

const PRIZES = 4096;
const UNLIMITED = (1n << 64n) - 1n;
const MOST = 1n << 40n;

function readPrizes(c, m, file) {
    const rows = parsePrizes(file);

    if (rows && goodPrizes(m, rows)) m.prizes = rows;
    else c.report.fail(1, `prizes-${m.number} is malformed`);
}

function parsePrizes(s) {
    const name = tag('prizes');

    if (s.length < name.length + 4 || !same(s.subarray(0, name.length), name))
        return null;

    const v = new View(s);
    const count = v.u32(name.length);
    const rows = [], names = new Set();
    let at = name.length + 4;

    if (count === 0 || count > PRIZES) return null;

    for (let i = 0; i < count; i++) {
        const len = s.length - at < 4 ? Infinity : v.u32(at);

        if (len > 255 || s.length - at < 28 + len) return null;

        const prize = {
            name: latin1(v.part(at + 4, len)), units: v.big(at + 4 + len),
            num: v.big(at + 12 + len), den: v.big(at + 20 + len), weight: 0,
        };

        /* what is left of it is counted with plain numbers */
        prize.unlimited = prize.units === UNLIMITED;
        prize.stock = prize.unlimited ? Infinity : Number(prize.units);

        if (names.has(prize.name)) return null;

        names.add(prize.name);
        rows.push(prize);
        at += 28 + len;
    }

    return at === s.length ? rows : null;
}

function goodPrizes(m, rows) {
    let sum = 0n;

    for (const [i, p] of rows.entries()) {
        if (m.mode === ODDS) {
            if (!p.num || !p.den) return false;
        } else {
            if (p.num || p.den || p.units >= MOST) return false;
            sum += p.units;
        }

        /* a deck's last row, and no other, is the blanks */
        if ((p.name === '') !== (m.mode === DECK && i === rows.length - 1))
            return false;
    }

    return sum < MOST && (m.mode !== ODDS || weigh(m, rows));
}

/* the least common multiple of the denominators, and each prize's share */

function weigh(m, rows) {
    let n = 1n, sum = 0n;

    for (const p of rows) {
        if (p.den >= MOST || p.num > p.den || gcd(p.num, p.den) !== 1n)
            return false;

        n = n / gcd(n, p.den) * p.den;
        if (n >= MOST) return false;
    }

    for (const p of rows) {
        const weight = n / p.den * p.num;
        p.weight = Number(weight);
        sum += weight;
    }

    m.lcm = Number(n);

    return sum <= n;
}

function gcd(a, b) {
    while (b) [a, b] = [b, a % b];
    return a;
}


/* ---- terms: lines of the game's own block alone ---- */

function readTerms(c, m, file) {
    const block = m.kind === 1 ? 'sweepstakes' : 'instant_win';
    let depth = 0;

    for (const line of lines(file).lines) {
        if (line === '}') {
            if (depth) depth--;
        } else if (line.length > 2 && line.endsWith(' {')) {
            const words = line.slice(0, -2).split(' ');

            if (depth++ === 0 && c.game === '' && words.length === 2
                && words[0] === block)
            {
                c.game = words[1];
            }
        } else if (depth < 2 && line.endsWith(';')) {
            readTerm(m, line.slice(0, -1));
        }
    }
}

function readTerm(m, line) {
    const [what] = line.split(' ', 1);
    const rest = line.slice(what.length + 1);

    if (what.length === line.length) return;

    if (what === 'timezone') {
        if (rest.length < 64) m.zone = rest;
    } else if (what === 'wins_per_member') {
        const wins = big(rest);
        if (wins === null) m.strange = true;
        else m.wins = wins;
    } else if (what === 'limit') {
        const [count, per, period, more] = rest.split(' ');
        const n = big(count);

        if (n === null || per !== 'per' || more !== undefined
            || !['day', 'week', 'month', 'campaign'].includes(period)
            || m.limits.length === 8)
        {
            m.strange = true;
        } else {
            m.limits.push({ count: Number(n), period });
        }
    }
}
