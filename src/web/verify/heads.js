/*
 * Heads of an instant win's log, V03: those that were published, and those
 * that the user holds.  The pass over the log compares their roots.
 */

import { same, View } from './bytes.js';
import { tag } from './hash.js';
import { notes } from './note.js';
import { LIMIT } from './time.js';


export function readHeads(c) {
    const file = c.file('heads');

    if (!file) {
        c.report.incomplete(3, 'the file heads is missing');
        return;
    }

    for (const note of notes(file, c.key, 'head', c.report)) {
        if (!note) {
            c.report.incomplete(3, 'the heads cannot be read');
            return;
        }

        addHead(c, note, false);
    }
}

export function addHead(c, note, foreign) {
    const s = note.statement;
    const name = tag('head');
    const v = new View(s);

    if (s.length !== 101 || !same(s.subarray(0, name.length), name)
        || v.big(93) >= BigInt(LIMIT))
    {
        c.report.fail(2, "a head's statement is not a head");
        return;
    }

    const version = c.versions.findIndex((m) => same(m.mh, v.part(21, 32)));

    if (version === -1) {
        if (foreign) c.report.info(3, 'a saved head is of another campaign');
        else c.report.fail(2, 'a head is of another campaign');
        return;
    }

    const head = { size: v.big(53), root: v.part(61, 32), t: v.u64(93),
                   version, foreign };
    const before = c.heads[c.heads.length - 1];

    c.heads.push(head);
    c.latest = Math.max(c.latest, head.t);

    if (foreign || !before) return;

    if (head.size < before.size || head.t < before.t
        || head.version < before.version)
    {
        c.report.fail(3, `the head of ${head.size} records goes back`);
    }

    if (head.t - before.t > 65000) {
        c.gaps++;
        c.gap = Math.max(c.gap, head.t - before.t);
    }
}

export function sortHeads(c) {
    c.heads.sort((a, b) => a.size < b.size ? -1 : a.size > b.size ? 1
                                                            : a.t - b.t);

    if (c.gaps) {
        c.report.info(3, `${c.gaps} gaps over 65 s between heads, the longest`
                         + ` ${Math.floor(c.gap / 1000)} s`);
    }
}
