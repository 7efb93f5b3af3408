/*
 * V14 of a game by moments: every unit of the stock is placed at a time of its
 * own, epoch by epoch, and goes to the first play after it.
 */

import { NONE } from './bytes.js';
import { pick } from './hash.js';
import { governs } from './plays.js';
import { epochEnd, epochStart } from './time.js';


const WORK = 100000000;


export class Moments {
    constructor(c, plays, replay) {
        this.c = c;
        this.plays = plays;
        this.replay = replay;
        this.units = [];
        this.unplaced = [];
        this.versions = 0;           /* whose units are there */
        this.placed = 0;             /* the last epoch that was placed */
        this.due = [];
        this.given = 0;              /* units of due that were awarded */
        this.stuck = false;
    }

    play(p) {
        const { report } = this.c;
        const { m } = this.plays;

        while (!this.stuck && this.placed < p.e) this.place(this.placed + 1);

        if (this.stuck) return;

        const n = this.until(p.t) - this.given;
        const k = n ? this.due[this.given].k : NONE;

        if (p.n !== n || p.r !== k) {
            report.fail(14, `play ${p.seq}: not the units that are due`);
            return;
        }

        if (n === 0) {
            this.replay.award(p, m.prizes.length);
            return;
        }

        const tier = m.prizes.findIndex((row) => row.name === this.units[k]);

        if (tier === -1) {
            report.fail(14, `play ${p.seq}: the prize of a unit is gone`);
            return;
        }

        /* with status 3 the unit stays */

        if (this.replay.award(p, tier)) this.given++;
    }

    /* the units of all versions up to the one that governs */

    grow(m) {
        const { versions } = this.c;

        while (this.versions < versions.length
               && versions[this.versions].number <= m.number)
        {
            const i = this.versions++;

            if (!this.add(versions[i], versions[i - 1])) {
                this.c.report.fail(14, `version ${versions[i].number} takes`
                                       + ' units away, or has too many');
                this.stuck = true;
                return false;
            }
        }

        return true;
    }

    add(m, before) {
        let kept = 0;

        for (const prize of m.prizes) {
            const old = before?.prizes.find((row) => row.name === prize.name);
            const added = prize.stock - (old?.stock ?? 0);

            if (old) kept++;

            if (added < 0 || (this.units.length + added) * m.epochs > WORK)
                return false;

            for (let i = 0; i < added; i++) {
                this.unplaced.push(this.units.length);
                this.units.push(prize.name);
            }
        }

        return !before || kept === before.prizes.length;
    }

    /* places units in epoch e, after all that are placed already */

    place(e) {
        const m = governs(this.c, e);

        if (!this.grow(m)) return;

        const key = e <= m.epochs ? this.plays.epochKey(m, e) : null;

        if (!key) {
            this.c.report.incomplete(14, `the moments of epoch ${e} cannot be`
                                         + ' known');
            this.stuck = true;
            return;
        }

        const start = epochStart(m, e);
        const length = epochEnd(m, e) - start;
        const placed = [];

        this.unplaced = this.unplaced.filter((k) => {
            if (pick(key, 'moment', k, m.epochs - e + 1)?.x !== 0n)
                return true;

            const offset = pick(key, 'offset', k, length);

            placed.push({ t: start + Number(offset.x), k });
            return false;
        });

        placed.sort((a, b) => a.t - b.t || a.k - b.k);

        for (const unit of placed) this.due.push(unit);

        this.placed = e;
    }

    /* how many units of due have a time that is not after t */

    until(t) {
        let low = this.given, high = this.due.length;

        while (low < high) {
            const middle = (low + high) >>> 1;

            if (this.due[middle].t <= t) low = middle + 1;
            else high = middle;
        }

        return low;
    }
}
