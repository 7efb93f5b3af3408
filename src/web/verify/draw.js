/*
 * V10: a sweepstakes drawn again from the close note, the beacon and the seed,
 * and what was published of it held against that.
 */

import { hex, u32, u64, zero } from './bytes.js';
import { H, Key, pick, tag } from './hash.js';
import { dqRound } from './dq.js';


const Z = new Uint8Array(32);

/* a fresh alternate where nobody was left */
export const NOBODY = null;


export class Draw {
    constructor(c, entries) {
        this.c = c;
        this.entries = entries;
        this.taken = new Set();
        this.cursor = 0;
        this.picks = [];
        this.fresh = [];
        this.done = false;

        this.run();
    }

    run() {
        const { c, entries } = this;
        const { closed, report } = c;

        if (!closed) {
            report.incomplete(10, 'there is no close note to draw from');
            return;
        }

        let secret = Z;

        if (closed.tickets) {
            if (entries.owners === 0) {
                report.incomplete(10, 'there are no entries to draw from');
                return;
            }

            secret = this.secret();
            if (!secret) return;

            this.pickAll(secret);
        }

        this.done = !report.failed(10);

        const published = c.lines('picks');

        if (this.done && (c.last.flags & 2
                          || published.lines.some((l) => /^fresh /.test(l))))
        {
            this.pickFresh(secret);
        }

        if (this.done) this.compare(published);
    }

    secret() {
        const { c } = this;
        const { last, closed, report } = c;
        const beacon = c.drawRound ? c.beacon.at(c.drawRound) : Z;

        if (!beacon) {
            report.incomplete(10, `round ${c.drawRound} is missing in beacons`);
            return null;
        }

        if (!zero(last.seedCommit) && !last.seed) {
            report.incomplete(10, 'the seed is missing in reveal');
            return null;
        }

        if (c.late) {
            report.incomplete(10, `LATE: drawn by round ${c.drawRound} in`
                                  + ` place of ${last.round}`);
        }

        return H(tag('draw-key'), last.mh, closed.root, u64(closed.entries),
                 u64(closed.tickets), last.chain, u64(c.drawRound), beacon,
                 last.seed ?? Z);
    }

    pickAll(secret) {
        const key = new Key(secret);
        const positions = this.c.last.winners + this.c.last.alternates;

        for (let p = 0; p < positions && this.left(); p++) {
            const found = this.pick(key, 'pick', p);

            if (p % 256 === 0) this.c.progress('draw', p, positions);
            if (!found) return;

            this.picks.push(found);
        }
    }

    /* stops at the first round that is not there yet */

    pickFresh(secret) {
        const { c } = this;

        for (const dq of c.dqs) {
            this.taken.add(dq.person);

            if (!c.closed.tickets || !this.left()) {
                this.fresh.push(NOBODY);
                continue;
            }

            const round = dqRound(dq);
            const beacon = c.beacon.at(round);

            if (!beacon) {
                c.report.incomplete(10, `round ${round} of dq ${dq.k} is`
                                        + ' missing in beacons');
                return;
            }

            const key = new Key(H(tag('alt-key'), secret, u32(dq.k), dq.leaf,
                                  u64(round), beacon));
            const found = this.pick(key, 'alt', dq.k);

            if (!found) return;

            this.fresh.push(found);
        }
    }

    /* somebody is left, so that attempts end: or the draw fails loudly */

    pick(key, name, p) {
        const { entries, c } = this;
        const { tickets } = c.closed;
        let attempt = pick(key, name, p, tickets);

        for (; attempt; attempt = pick(key, name, p, tickets, attempt.a + 1)) {
            const ticket = Number(attempt.x);
            const i = entries.owner(ticket);

            if (!entries.holds(i, ticket)) {
                c.report.fail(10, `ticket ${attempt.x} is in no entry`);
                return null;
            }

            const person = hex(entries.person(i));

            if (!entries.voided[i] && !this.taken.has(person)) {
                this.taken.add(person);

                return { attempt: attempt.a, ticket, person,
                         seq: entries.seq[i] };
            }
        }

        c.report.fail(10, `${name} ${p}: 2^20 attempts`);
        return null;
    }

    left() {
        const { entries } = this;

        for (; this.cursor < entries.owners; this.cursor++) {
            if (!entries.voided[this.cursor]
                && !this.taken.has(hex(entries.person(this.cursor))))
            {
                return true;
            }
        }

        return false;
    }

    /* the lines of who was picked, in their order */

    compare({ lines: published, cut }) {
        const { report, dqs } = this.c;
        let picks = 0, k = 0;

        if (!this.c.file('picks')) {
            report.incomplete(10, 'the file picks is missing');
            return;
        }

        const skip = () => {
            while (k < this.fresh.length && this.fresh[k] === NOBODY) k++;
        };

        for (const line of published) {
            if (line.startsWith('pick ')) {
                if (picks === this.picks.length
                    || !sameLine(line.slice(5), picks, this.picks[picks]))
                {
                    this.differs('pick', picks);
                }

                if (picks < this.picks.length) picks++;
            } else if (line.startsWith('fresh ')) {
                skip();

                if (k === this.fresh.length && k < dqs.length) continue;

                if (k === this.fresh.length
                    || !sameLine(line.slice(6), k + 1, this.fresh[k]))
                {
                    this.differs('fresh', k + 1);
                }

                if (k < this.fresh.length) k++;
            }
        }

        if (cut) report.fail(10, 'picks is cut off');
        if (picks < this.picks.length) this.differs('pick', picks);

        skip();

        if (k < this.fresh.length) {
            report.incomplete(10, `the fresh alternate of dq ${k + 1} is`
                                  + ' missing in picks');
        }

        report.info(10, `${picks} picks, ${k} fresh alternates`);
    }

    /* without a token of the close note the round is a guess */

    differs(what, number) {
        if (this.c.unknownRound) {
            this.c.report.incomplete(10, 'the round cannot be known without a'
                                         + ' token of the close note');
        } else {
            this.c.report.fail(10, `${what} ${number} is not what the draw`
                                   + ' gives');
        }
    }
}

function sameLine(line, number, found) {
    return line === `${number} ${found.attempt} ${found.ticket} ${found.seq}`
                    + ` ${found.person}`;
}
