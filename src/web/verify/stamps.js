/*
 * V04: what outsiders say of when a note existed, and that it was the only
 * one.  A token counts when its chain ends at a certificate that the user
 * pins; its time is read from one that does not, too, since the operator went
 * by it.
 */

import { ascii, concat, lines, same, unbase64, View, Words }
    from './bytes.js';
import { tag } from './hash.js';
import { notes, signed } from './note.js';
import { addHead } from './heads.js';
import { epochAt, epochStart, roundAt, roundTime } from './time.js';
import { readToken, readPem, trusted } from './token.js';


export async function outsiders(c) {
    await tokens(c);
    cosignatures(c);
    saved(c);

    datedVersions(c);

    if (c.last.kind === 1) datedClose(c);
}

/* says under check n what is missing for "existed before that moment" */

export function stamped(c, n, subject, before) {
    const what = `${subject.kind} ${subject.key}`;

    if (subject.token === Infinity) {
        c.report.incomplete(n, `${what} has no token in timestamps`);
    } else if (subject.token >= before) {
        c.report.incomplete(n, `${what} has a token that came too late`);
    } else if (subject.trusted >= before) {
        if (c.unable) {
            c.report.incomplete(n, c.unable);
        } else if (c.options.ca === undefined) {
            c.report.incomplete(n, 'no authority is pinned (--tsa-ca)'
                                   + ` for the token of ${what}`);
        } else {
            c.report.incomplete(n, `the token of ${what} leads to no`
                                   + ' authority that is pinned');
        }
    }
}

export function single(c, n, subject, before) {
    if (subject.saved || subject.cosigned < before) return;

    c.report.incomplete(n, `nothing shows that ${subject.kind}`
        + ` ${subject.key} is the only one: neither a witness (--witness)`
        + ' nor a saved note (--saved-note)');
}


/* ---- tokens ---- */

async function tokens(c) {
    const file = c.file('timestamps');
    const pins = pinned(c);
    const { lines: all, cut } = lines(file ?? new Uint8Array(0));

    for (const line of all) await token(c, pins, line);

    if (cut) c.report.fail(4, 'timestamps is cut off');
}

function pinned(c) {
    if (c.options.ca === undefined) return [];

    const pins = readPem(c.options.ca);

    if (pins.length === 0) {
        c.report.incomplete(4, `no certificate in "${c.options.caName}"`);
    } else if (!globalThis.crypto?.subtle) {
        c.unable = 'this browser checks certificates on pages from a file or'
                   + ' by https alone';
        return [];
    }

    return pins;
}

async function token(c, pins, line) {
    const words = new Words(line);
    const kind = words.next();
    const key = kind === null ? null : words.number();

    if (key === null || (kind !== 'manifest' && kind !== 'dq'
                         && !(kind === 'close' && key === 0n)))
    {
        c.report.fail(4, 'a malformed line in timestamps');
        return;
    }

    const der = unbase64(words.rest);
    const read = der && readToken(der);

    if (!read) {
        c.report.fail(4, `a malformed token of ${kind} ${key}`);
        return;
    }

    const about = c.subjects.filter((s) => s.kind === kind && s.key === key);
    const meant = about.filter((s) => same(s.hash, read.imprint));

    for (const subject of meant) {
        subject.token = Math.min(subject.token, read.time);

        if (read.time < subject.trusted && await trusted(read, subject, pins))
            subject.trusted = read.time;
    }

    if (about.length === 0) {
        c.report.incomplete(4, `there is a token of ${kind} ${key}, and no`
                               + ' such note');
    } else if (meant.length === 0) {
        c.report.fail(4, `a token of ${kind} ${key} is over something else`);
    }
}


/* ---- witnesses ---- */

function cosignatures(c) {
    const file = c.file('cosignatures');
    const { lines: all, cut } = lines(file ?? new Uint8Array(0));

    for (const line of all) cosignature(c, line);

    if (cut) c.report.fail(4, 'cosignatures is cut off');
}

function cosignature(c, line) {
    const words = new Words(line);
    const kind = words.next();
    const key = kind === null ? null : words.number();
    const name = key === null ? null : words.next();
    const sig = name === null ? null : unbase64(words.rest);
    const time = sig?.length === 76 ? new View(sig).big(4) : null;

    if (time === null || time >> 40n) {
        c.report.fail(4, 'a malformed line in cosignatures');
        return;
    }

    const witnesses = c.options.witnesses.filter(
        (w) => w.name === name && same(w.id, sig.subarray(0, 4)));
    let good = false;

    for (const witness of witnesses) {
        for (const subject of c.subjects) {
            if (subject.kind !== kind || subject.key !== key) continue;

            const data = concat(ascii(`cosignature/v1\ntime ${time}\n`),
                                subject.text);

            if (signed(witness.key, sig.subarray(12), data)) {
                good = true;
                subject.cosigned = Math.min(subject.cosigned,
                                            Number(time) * 1000);
            }
        }
    }

    if (witnesses.length && !good) {
        c.report.fail(4, `the cosignature of ${kind} by ${name} is of another`
                         + ' note');
    }
}


/* ---- notes that the user saved ---- */

function saved(c) {
    for (const file of c.options.saved) {
        if (file.length === 0) c.report.fail(2, 'a saved note is empty');

        for (const note of notes(file, c.key, null, c.report)) {
            if (note) savedNote(c, note);
        }
    }
}

function savedNote(c, note) {
    const subject = c.subjects.find((s) => same(s.raw, note.raw));

    if (subject) {
        subject.saved = true;
    } else if (note.kind === 'head') {
        addHead(c, note, true);
    } else if (ours(c, note)) {
        c.report.fail(4, `the key has signed two: the saved ${note.kind} note`
                         + ' is not the published one');
    } else {
        c.report.info(4, `a saved ${note.kind} note is of another campaign`);
    }
}

/* is it about this campaign, though none of its published notes? */

function ours(c, note) {
    const s = note.statement;
    const start = tag(note.kind.slice(0, 8)).length;

    if (note.kind === 'close') {
        return s.length === 110 && c.closed && c.versions.some(
            (m) => same(s.subarray(start, start + 32), m.mh));
    }

    return (note.kind === 'manifest' || note.kind === 'dq')
           && s.length >= start + 16
           && same(s.subarray(start, start + 16), c.last.cid);
}


/* ---- what had to exist by when ---- */

/*
 * Each manifest before its round or its predecessor's close; in an instant
 * win its time also says from which epoch on it governs.
 */

function datedVersions(c) {
    c.versions.forEach((m, i) => {
        const first = m.kind === 1 ? roundTime(m.round)
                                   : roundTime(roundAt(m.open - 6000));

        stamped(c, 4, m.subject, i ? c.versions[i - 1].close
                                 : m.beacon ? first : m.open);

        if (m.kind === 1) return;

        if (i) {
            if (m.subject.token === Infinity) {
                c.undated = true;
                m.from = Infinity;
                return;
            }

            m.from = Math.max(1, epochAt(m, m.subject.token) + 2);

            if (m.subject.trusted !== Infinity
                && epochAt(m, m.subject.trusted) + 2 !== m.from)
            {
                c.report.incomplete(4, `version ${m.number} governs by a`
                    + ' token that leads to no authority that is pinned');
            }
        }

        if (m.beacon) {
            single(c, 4, m.subject,
                   roundTime(roundAt(epochStart(m, m.from) - 6000)));
        }
    });
}

/* the close note, and the round that the draw waits for */

function datedClose(c) {
    c.drawRound = c.last.round;

    if (!c.closed) return;

    if (c.last.round === 0) {
        c.report.incomplete(4, 'seed only: there is no round to be earlier'
                               + ' than');
        return;
    }

    const due = roundTime(c.last.round);
    const subject = c.closed.subject;

    stamped(c, 4, subject, due);
    single(c, 4, subject, due);

    if (subject.token === Infinity) {
        c.unknownRound = true;
    } else if (subject.token >= due) {
        c.late = true;
        c.drawRound = roundAt(subject.token + 30 * 60000) + 1;
    }
}
