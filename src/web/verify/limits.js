/*
 * V14 of a sweepstakes: nobody has more tickets than the limits of the terms
 * allow.  A void gives its tickets back to the limit per campaign, and to no
 * other.
 *
 * Nothing that is published says at which entry a version began to govern, so
 * the limit that is held against an entry is the loosest of all versions.
 */

import { latin1 } from './bytes.js';
import { Days, periodOf } from './days.js';
import { AT, ENTRY } from './entries.js';


const PERIODS = ['campaign', 'day', 'week', 'month'];


export function checkLimits(c, entries) {
    const limits = PERIODS.map((period) => ({
        period, held: new Map(),
        most: Math.max(...c.versions.map((m) => Math.min(Infinity,
            ...m.limits.filter((limit) => limit.period === period)
                       .map((limit) => limit.count)))),
    })).filter((limit) => limit.most !== Infinity);

    for (const m of c.versions) {
        if (m.strange) {
            c.report.incomplete(14, `a limit in terms-${m.number} is not`
                                    + ' understood');
        }
    }

    if (limits.length === 0) {
        c.report.info(14, 'the terms have no limit');
        return;
    }

    if (entries.good) new Limits(c, entries.view, limits).run(entries.n);

    c.report.info(14, `limits per person: ${limits.length}`);
}


class Limits {
    constructor(c, view, limits) {
        this.c = c;
        this.view = view;
        this.limits = limits;
        this.days = new Days();
        this.persons = new Map();
    }

    run(n) {
        for (let seq = 0; seq < n; seq++) this.entry(seq, seq * ENTRY);
    }

    entry(seq, at) {
        const { view, c } = this;
        const tickets = view.u32(at + AT.tickets);
        const person = this.person(at);
        const isVoid = (view.bytes[at + AT.flags] & 1) !== 0;
        const day = this.day(at);

        for (const { period, held, most } of this.limits) {
            if (isVoid && period !== 'campaign') continue;

            const which = periodOf(period, day);
            let counts = held.get(which);

            if (!counts) held.set(which, counts = []);

            const before = counts[person] ?? 0;

            counts[person] = isVoid ? Math.max(0, before - tickets)
                                    : before + tickets;

            if (!isVoid && counts[person] > most)
                c.report.fail(14, `entry ${seq} is over a limit`);
        }
    }

    /* persons are numbered as they come */

    person(at) {
        const name = latin1(this.view.part(at + AT.person, 32));
        let n = this.persons.get(name);

        if (n === undefined) this.persons.set(name, n = this.persons.size);

        return n;
    }

    day(at) {
        if (this.limits.every((limit) => limit.period === 'campaign'))
            return 0;

        const { zone } = this.c.last;
        const t = this.view.u64(at + AT.t);
        const day = this.days.of(zone, t >= 0 && t < 2 ** 48 ? t : 0);

        if (day !== null) return day;

        this.c.report.incomplete(14, `the zone "${zone}" is not known here,`
            + ' limits per day, week or month cannot be counted');

        this.limits = this.limits.filter((l) => l.period === 'campaign');
        return 0;
    }
}
