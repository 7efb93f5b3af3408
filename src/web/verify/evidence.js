/*
 * V19: the note that names every file with its hash.
 */

import { concat, latin1, number, same, View } from './bytes.js';
import { sha256, tag } from './hash.js';
import { notes } from './note.js';
import { running } from './state.js';
import { date, FAR } from './time.js';


/* the files that a note of evidence has to name; others may lie there, too */

const PLAIN = ['manifest', 'entries', 'log', 'heads', 'close', 'timestamps',
               'cosignatures', 'beacons', 'reveal', 'picks', 'dq'];


function mustBeNamed(name) {
    const versioned = /^(?:terms|prizes|rules)-(.*)$/s.exec(name);

    return PLAIN.includes(name)
           || (versioned !== null && number(versioned[1]) !== null);
}

export function checkEvidence(c) {
    const file = c.file('evidence');
    let last = 0, named = null;

    for (const note of notes(file ?? new Uint8Array(0), c.key, 'evidence',
                             c.report))
    {
        const read = note && parse(c, note.statement);

        if (!read) {
            c.report.incomplete(19, 'the notes of evidence cannot be read');
            return;
        }

        if (read.t < last) {
            c.report.fail(19, 'the notes are not in the order of their times');
        }

        last = read.t;
        named = read.files;
    }

    if (!named) {
        c.report.incomplete(19, running(c)
            ? `running, until ${date(c.last.close)}: the evidence is yet to`
              + ' come'
            : 'there is no file evidence');
        return;
    }

    c.latest = Math.max(c.latest, last);
    compare(c, named);
}

function parse(c, s) {
    const head = concat(tag('evidence'), c.last.cid);
    const v = new View(s);

    if (s.length < head.length + 12 || !same(s.subarray(0, head.length), head))
    {
        c.report.fail(2, "a note of evidence is not this campaign's");
        return null;
    }

    const t = v.u64(head.length);
    const count = v.u32(head.length + 8);
    const files = [];
    let at = head.length + 12;

    for (let i = 0; i < count; i++) {
        const len = s.length - at < 4 ? 0 : v.u32(at);

        if (len === 0 || len > 255 || s.length - at < 36 + len) {
            c.report.fail(2, 'a note of evidence is cut off');
            return null;
        }

        files.push({ name: latin1(v.part(at + 4, len)),
                     hash: v.part(at + 4 + len, 32) });
        at += 36 + len;
    }

    if (at !== s.length) {
        c.report.fail(2, 'a note of evidence has bytes left over');
        return null;
    }

    return { t: t >= 0 && t < FAR ? t : FAR, files };
}

function compare(c, named) {
    const { report } = c;
    const listed = new Set();
    let previous = '';

    for (const { name, hash } of named) {
        if (name <= previous) report.fail(19, 'the names are not in order');

        previous = name;

        const file = c.file(name);

        if (!file) {
            report.incomplete(19, `the file ${name} is missing`);
            continue;
        }

        listed.add(name);
        c.progress('hashes', listed.size, named.length);

        if (!same(sha256(file), hash))
            report.fail(19, `${name} has another hash`);
    }

    for (const name of c.files.keys()) {
        if (!listed.has(name) && mustBeNamed(name))
            report.fail(19, `${name} is not named in the evidence`);
    }

    report.info(19, `${named.length} files`);
}
