/*
 * V08 and V09: a sweepstakes' close note, and the records that it counts.
 * Entries tile the tickets from 0 on without a gap, voids repeat the entry
 * that they void, and the tree over all of them has the root that was signed.
 */

import { concat, same, View, zero } from './bytes.js';
import { leaf, tag, Tree } from './hash.js';
import { notes, Subject } from './note.js';
import { running } from './state.js';
import { date, FAR, LIMIT } from './time.js';


export const ENTRY = 132;


export function readClose(c) {
    const file = c.file('close');
    let count = 0;

    if (running(c)) {
        c.report.incomplete(4, `running, until ${date(c.last.close)}: the`
                               + ' close note is yet to come');
        return;
    }

    if (!file) {
        c.report.incomplete(4, 'the file close is missing');
        return;
    }

    for (const note of notes(file, c.key, 'close', c.report)) {
        if (!note) {
            c.report.incomplete(4, 'the close note cannot be read');
        } else if (count++) {
            c.report.fail(4, 'the key has signed two close notes');
        } else {
            close(c, note);
        }
    }
}

function close(c, note) {
    const s = note.statement;
    const start = concat(tag('close'), c.last.mh);

    if (s.length !== 110 || !same(s.subarray(0, start.length), start)) {
        c.report.fail(2, 'the close note is not of the last manifest');
        return;
    }

    const v = new View(s);
    const t = v.big(102) < BigInt(LIMIT) ? v.u64(102) : FAR;

    if (t < c.last.close)
        c.report.fail(4, 'the close note is of before the close');

    c.latest = Math.max(c.latest, t);

    c.closed = { entries: v.big(54), tickets: v.big(62), root: v.part(70, 32),
                 subject: new Subject(note, 0) };
    c.subjects.push(c.closed.subject);
}


/* where the fields of an entry are: T("entry") is 22 bytes */

export const AT = { seq: 38, t: 46, first: 54, tickets: 62, person: 66,
                    commit: 98, method: 130, flags: 131 };


/* the records, and for each range of tickets its record and whether it was
   voided: seq is kept in order of the tickets */

export class Entries {
    constructor(c) {
        const bytes = c.file('entries') ?? new Uint8Array(0);

        this.c = c;
        this.view = new View(bytes);
        this.n = Math.floor(bytes.length / ENTRY);
        this.good = bytes.length % ENTRY === 0;
        this.owners = 0;
        this.head = concat(tag('entry'), c.last.cid);

        if (!this.good) {
            c.report.fail(8, 'entries is not made of records');
            return;
        }

        this.seq = new Uint32Array(this.n);
        this.first = new Float64Array(this.n);
        this.voided = new Uint8Array(this.n);

        this.read();
    }

    read() {
        const { report } = this.c;
        const tree = new Tree();

        this.next = 0;

        for (let seq = 0; seq < this.n; seq++) {
            const at = seq * ENTRY;

            if (seq % 8192 === 0) this.c.progress('entries', seq, this.n);
            if (!this.entry(seq, at)) report.fail(8, `entry ${seq}`);

            tree.add(leaf(this.view.part(at, ENTRY)));
        }

        this.c.progress('entries', this.n, this.n);
        this.totals(tree);
    }

    /* a range counts though something else of its record is wrong */

    entry(seq, at) {
        const { view, c } = this;
        const flags = view.bytes[at + AT.flags];
        const method = view.bytes[at + AT.method];
        const t = view.u64(at + AT.t);
        const tickets = view.u32(at + AT.tickets);

        const ok = same(view.part(at, AT.seq), this.head)
                   && view.u64(at + AT.seq) === seq
                   && method >= 1 && method <= 4 && flags <= 1
                   && t >= c.last.open && t < c.last.close;

        if (flags & 1) return this.void(at) && ok;

        if (view.u64(at + AT.first) !== this.next || tickets === 0)
            return false;

        this.first[this.owners] = this.next;
        this.seq[this.owners++] = seq;
        this.next += tickets;

        return ok && this.next < 2 ** 47;
    }

    /* a void repeats an entry before it that no other void has */

    void(at) {
        const { view } = this;
        const i = this.owner(view.u64(at + AT.first));

        if (i < 0 || this.voided[i]) return false;

        const of = this.seq[i] * ENTRY;

        /* the range and the person are neighbours */

        if (!same(view.part(at + AT.first, AT.commit - AT.first),
                  view.part(of + AT.first, AT.commit - AT.first)))
        {
            return false;
        }

        this.voided[i] = 1;

        return zero(view.part(at + AT.commit, 32))
               && view.bytes[at + AT.method] === view.bytes[of + AT.method];
    }

    /* the last range that does not begin beyond this ticket */

    owner(ticket) {
        let low = 0, high = this.owners;

        while (low < high) {
            const middle = (low + high) >>> 1;

            if (this.first[middle] <= ticket) low = middle + 1;
            else high = middle;
        }

        return low - 1;
    }

    holds(i, ticket) {
        const at = this.seq[i] * ENTRY;
        return ticket - this.first[i] < this.view.u32(at + AT.tickets);
    }

    person(i) {
        return this.view.part(this.seq[i] * ENTRY + AT.person, 32);
    }

    totals(tree) {
        const { report, closed } = this.c;

        if (!closed) {
            report.incomplete(8, 'there is no close note to count by');
            report.incomplete(9, 'there is no close note to compare with');
            return;
        }

        if (this.n === 0 && closed.entries) {
            report.incomplete(8, 'the file entries is missing');
            report.incomplete(9, 'the file entries is missing');
            return;
        }

        if (BigInt(this.n) !== closed.entries
            || BigInt(this.next) !== closed.tickets)
        {
            report.fail(8, `${this.n} entries with ${this.next} tickets, the`
                + ` close note counts ${closed.entries} and`
                + ` ${closed.tickets}`);
        }

        if (!same(tree.root(), closed.root))
            report.fail(9, 'the tree over the entries has another root');

        report.info(8, `${this.n} entries, ${this.next} tickets`);
    }
}
