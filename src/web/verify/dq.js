/*
 * V16: disqualifications.  Those of fresh alternates wait for a round of their
 * own, and each had to be known to outsiders before it.
 */

import { concat, hex, same, View } from './bytes.js';
import { leaf, tag } from './hash.js';
import { notes, Subject } from './note.js';
import { single, stamped } from './stamps.js';
import { LIMIT, roundAt, roundTime } from './time.js';


export function readDqs(c) {
    const file = c.file('dq');

    for (const note of notes(file ?? new Uint8Array(0), c.key, 'dq', c.report))
    {
        if (!note) {
            c.report.incomplete(16, 'the notes cannot be read');
            return;
        }

        const dq = parse(c, note);

        if (!dq) {
            c.report.fail(16, 'a dq is malformed or out of place');
            return;
        }

        c.subjects.push(dq.subject);
        c.latest = Math.max(c.latest, dq.t);

        /* one whose token came too late is made again, with the same k */

        const before = c.dqs[dq.k - 1];

        if (before) {
            if (dq.t <= before.t) {
                c.report.fail(16, `dq ${dq.k} is repeated with no later time`);
            }

            c.again.push(before);
        }

        c.dqs[dq.k - 1] = dq;
    }
}

function parse(c, note) {
    const s = note.statement;
    const head = concat(tag('dq'), c.last.cid);
    const v = new View(s);

    if (s.length < 129 || !same(s.subarray(0, head.length), head)
        || v.u32(93) > 255 || s.length !== 129 + v.u32(93)
        || v.big(39) >= BigInt(LIMIT))
    {
        return null;
    }

    const dq = {
        k: v.u32(35), t: v.u64(39), position: v.u32(47), seq: v.u64(51),
        person: hex(v.part(59, 32)), leaf: leaf(s),
        subject: new Subject(note, v.u32(35)),
    };

    /* the reason is one of those that the protocol names */

    return dq.k >= 1 && dq.k <= c.dqs.length + 1
           && s[91] === 0 && s[92] >= 1 && s[92] <= 6
           && dq.position < c.last.winners && dq.t >= c.last.close ? dq : null;
}

/* the round that a fresh alternate waits for */

export function dqRound(dq) {
    return roundAt(dq.t + 60000) + 1;
}

export function datedDqs(c) {
    if (c.last.flags & 2) {
        for (const dq of c.dqs) {
            stamped(c, 16, dq.subject, roundTime(dqRound(dq)));
            single(c, 16, dq.subject, roundTime(dqRound(dq)));
        }

        for (const dq of c.again) madeAgain(c, dq, c.dqs[dq.k - 1]);
    }

    c.report.info(16, `${c.dqs.length}`);
}

function madeAgain(c, before, dq) {
    if (before.subject.token < roundTime(dqRound(before))) {
        c.report.fail(16, `dq ${dq.k} was in time, and has been made again`);
    } else if (before.position !== dq.position || before.seq !== dq.seq
               || before.person !== dq.person)
    {
        c.report.fail(16, `dq ${dq.k} has been made again for somebody else`);
    } else {
        c.report.incomplete(16, `dq ${dq.k} came late and has been made`
                                + ' again');
    }
}
