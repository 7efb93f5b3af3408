/*
 * V14 and V18: the state of the game after every record: what was left, which
 * row the number falls on, and what the play therefore was; plays per person
 * against the limits.
 */

import { latin1, NONE } from './bytes.js';
import { DECK, MOMENTS, ODDS } from './manifest.js';
import { Moments } from './moments.js';
import { Days, periodOf } from './days.js';


const NO_TIER = 0xffffffff;
const KEY_KEPT = 1440;              // minutes that a key is remembered at least


/* counts per person, in groups of which plays mostly ask for the last one */

class Counts {
    constructor() {
        this.groups = new Map();
        this.name = null;
        this.group = null;
    }

    /* how many there were before this one */

    next(name, person) {
        if (name !== this.name) {
            this.name = name;
            this.group = this.groups.get(name);

            if (!this.group) {
                this.group = new Map();
                this.groups.set(name, this.group);
            }
        }

        const n = this.group.get(person) ?? 0;

        this.group.set(person, n + 1);
        return n;
    }
}


export class Replay {
    constructor(c, plays) {
        this.c = c;
        this.plays = plays;
        this.awarded = new Map();
        this.wins = new Map();
        this.people = new Map();
        this.winsOf = [];
        this.ids = new Map();
        this.turns = new Counts();
        this.days = new Days();
        this.moments = new Moments(c, plays, this);

        const periods = c.versions.flatMap(
            (m) => m.limits.map((limit) => limit.period));

        this.limited = ['campaign', 'day', 'week', 'month']
            .filter((period) => periods.includes(period))
            .map((period) => ({ period, counts: new Counts() }));
    }

    play(p) {
        const { report } = this.c;
        const { view, m } = this.plays;
        const id = latin1(view.part(p.at + 100, 16));

        p.person = this.person(latin1(view.part(p.at + 68, 32)));

        // a key is forgotten in the end, after a day at least: whoever uses it
        // once more then plays once more

        const minute = Math.floor(Number(p.t) / 60000);

        if (minute < this.ids.get(id) + KEY_KEPT) {
            report.fail(14, `play ${p.seq} is recorded twice`);
        }

        this.ids.set(id, minute);

        if (p.mode !== MOMENTS) {
            const turn = this.turns.next(`${p.e} ${p.round}`, p.person);

            if (turn !== p.idx) {
                report.fail(14, `play ${p.seq} has idx ${p.idx}, and is`
                                + ` number ${turn}`);
            }
        }

        if (m.prizes.length === 0) {
            report.incomplete(14, 'the prizes are not known');
        } else if (p.mode === ODDS) {
            this.odds(p, m);
        } else if (p.mode === DECK) {
            this.deck(p, m);
        } else {
            this.moments.play(p);
        }

        this.limits(p, m);
    }

    person(name) {
        let n = this.people.get(name);

        if (n === undefined) {
            n = this.people.size;
            this.people.set(name, n);
            this.winsOf.push(0);
        }

        return n;
    }

    odds(p, m) {
        if (p.n !== m.lcm || !(p.r >= 0 && p.r < m.lcm)) {
            this.c.report.fail(14, `play ${p.seq}: n is not the odds'`
                                   + ' denominator');
            return;
        }

        let r = p.r, i = 0;

        while (i < m.prizes.length && r >= m.prizes[i].weight)
            r -= m.prizes[i++].weight;

        this.award(p, i);
    }

    deck(p, m) {
        const left = m.prizes.map((prize) => this.left(prize));
        const n = left.reduce((sum, k) => sum + k, 0);

        if (p.n !== n || !(p.r >= 0 && p.r < n)) {
            this.c.report.fail(14, `play ${p.seq}: n is not the ${n} cards`
                                   + ' left');
            return;
        }

        let r = p.r, i = 0;

        while (r >= left[i]) r -= left[i++];

        /* the last row is the blanks: the card goes, and nobody wins */

        if (i === m.prizes.length - 1) {
            this.count(m.prizes[i]);
            this.award(p, m.prizes.length);
        } else {
            this.award(p, i);
        }
    }

    count(prize) {
        this.awarded.set(prize.name, this.given(prize) + 1);
    }

    given(prize) {
        return this.awarded.get(prize.name) ?? 0;
    }

    left(prize) {
        return Math.max(0, prize.stock - this.given(prize));
    }

    /* the row is known, or there is none: what must the record say?  true: a
       unit was awarded */

    award(p, tier) {
        const { report } = this.c;
        const { m } = this.plays;
        const prize = m.prizes[tier];
        const status = p.status & 3;

        if (!prize) {
            if (status !== 0 || p.tier !== NO_TIER || p.serial !== NONE) {
                report.fail(14, `play ${p.seq} has lost, and does not say so`);
            }
            return false;
        }

        const empty = this.left(prize) === 0;
        const full = m.wins !== 0n && this.winsOf[p.person] >= m.wins;
        let serial = NONE, ok;

        if (empty || full) {
            ok = (empty && status === 2) || (full && status === 3);
        } else {
            ok = status === 1;
            if (!prize.unlimited) serial = this.given(prize);
        }

        if (!ok || p.tier !== tier || p.serial !== serial) {
            report.fail(14, `play ${p.seq}: row ${tier}, and the record says`
                            + ' something else');
        }

        if (empty || full) return false;

        this.count(prize);
        this.winsOf[p.person]++;
        this.wins.set(prize.name, (this.wins.get(prize.name) ?? 0) + 1);

        return true;
    }

    /* every version counts what any version limits */

    limits(p, m) {
        for (const { period, counts } of this.limited) {
            const day = period === 'campaign' ? 0 : this.days.of(m.zone, p.t);

            if (day === null) {
                this.c.report.incomplete(14, `the zone "${m.zone}" is not`
                    + ' known here, limits per day, week or month cannot be'
                    + ' counted');
                return;
            }

            this.limit(p, m, counts, period, periodOf(period, day));
        }
    }

    limit(p, m, counts, period, which) {
        const n = counts.next(which, p.person) + 1;

        for (const limit of m.limits) {
            if (limit.period === period && n > limit.count)
                this.c.report.fail(14, `play ${p.seq} is over a limit`);
        }
    }

    /* V18: what the last version offers is awarded or still there */

    stock() {
        const { c } = this;
        let sum = 0n, offered = 0n;

        if (c.last.prizes.length === 0) {
            c.report.incomplete(18, 'the prizes are not known');
            return;
        }

        c.last.prizes.forEach((prize, i) => {
            if (prize.name === '' || prize.unlimited) return;

            const awarded = BigInt(this.given(prize));

            if (awarded > prize.units && c.versions.length === 1) {
                c.report.fail(18, `row ${i}: ${awarded} awarded,`
                                  + ` ${prize.units} offered`);
            }

            sum += awarded;
            offered += prize.units;
        });

        c.report.info(18, `of limited prizes awarded ${sum}, unclaimed`
            + ` ${offered > sum ? offered - sum : 0}, offered ${offered}`);
    }
}
