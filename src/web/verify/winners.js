/*
 * V17 and V18: who has each prize, after disqualifications, and that every
 * prize on offer is accounted for.  The replay of what should have been
 * published runs along the lines that were.
 */

import { NONE, Words } from './bytes.js';
import { NOBODY } from './draw.js';


const MOST = 1 << 26;
const PERSON = /^[0-9a-f]{64}$/;


export function checkWinners(c, draw) {
    if (!draw.done || !c.file('picks')) {
        c.report.incomplete(17, 'no draw to compare the winners with');
        c.report.incomplete(18, 'no draw to account for');
        return;
    }

    const places = makePlaces(c, draw);

    if (!places) return;

    const awards = new Awards(c, draw, places);

    for (const line of c.lines('picks').lines) awards.line(line);

    awards.account();

    c.winners = places.map((place, position) => ({
        position, prize: c.last.prizes[place.prize].name,
        seq: place.holder?.seq ?? null, person: place.holder?.person ?? null,
        ticket: place.holder?.ticket ?? null, redrawn: place.redrawn,
        told: place.told,
    }));
}

/* positions fill the prizes in table order; none is without a position */

function makePlaces(c, draw) {
    const { last, report } = c;
    const rows = last.prizes;

    if (rows.length === 0) {
        report.incomplete(17, 'the prizes are not known');
        report.incomplete(18, 'the prizes are not known');
        return null;
    }

    const total = rows.reduce((sum, row) => sum + row.stock, 0);

    if (total !== last.winners) {
        report.fail(18, `${total} prizes are offered, and ${last.winners}`
                        + ' winners are drawn');
    }

    if (last.winners > MOST) {
        report.incomplete(17, 'more winners than this program can hold');
        report.incomplete(18, 'more winners than this program can hold');
        return null;
    }

    const places = [];
    let prize = 0, unit = 0;

    for (let i = 0; i < last.winners; i++) {
        while (prize < rows.length - 1 && unit === rows[prize].stock) {
            prize++;
            unit = 0;
        }

        unit++;
        places.push({ prize, holder: draw.picks[i] ?? null, named: false,
                      redrawn: false, told: '' });
    }

    return places;
}

class Awards {
    constructor(c, draw, places) {
        this.c = c;
        this.report = c.report;
        this.draw = draw;
        this.places = places;
        this.next = 0;               /* the place that comes next, and then */
        this.k = 0;                  /* the dq */
        this.used = places.length;   /* alternates */
        this.open = false;           /* what comes next is not known */
    }

    line(line) {
        if (line.startsWith('winner ')) {
            this.named(line.slice(7), true);
        } else if (line.startsWith('vacant ')) {
            this.named(line.slice(7), false);
        } else if (line.startsWith('claimed ')) {
            this.told('claimed', line.slice(8));
        } else if (line.startsWith('delivered ')) {
            this.told('delivered', line.slice(10));
        } else if (!line.startsWith('pick ') && !line.startsWith('fresh ')) {
            this.report.fail(17, 'a malformed line in picks');
        }
    }

    named(line, held) {
        const { report } = this;

        /* a line too few or too many of one kind is another check's */
        const check = held ? 17 : 18;
        const due = this.due();

        if (due === NONE) {
            if (this.open) {
                report.incomplete(17, `winners after dq ${this.k} cannot be`
                                      + ' known');
            } else {
                report.fail(check, 'a line of picks is of no prize');
            }
            return;
        }

        const place = this.places[due];

        if (!held && place.holder) {
            report.fail(17, `position ${due} is said to be vacant, and is`
                            + ' not');
            place.named = false;
            return;
        }

        if (held && !place.holder) {
            report.fail(17, `position ${due} has a winner, and is vacant`);
            return;
        }

        place.named = true;

        const words = new Words(line);
        const position = words.number();
        const prize = position === null ? null : words.number();
        const seq = !held ? 0n : prize === null ? null : words.number();

        if (prize === null || seq === null
            || (held ? !PERSON.test(words.rest) : words.rest !== ''))
        {
            report.fail(check, 'a malformed line in picks');
            return;
        }

        if (position !== BigInt(due) || prize !== BigInt(place.prize)
            || (held && (seq !== BigInt(place.holder.seq)
                         || words.rest !== place.holder.person)))
        {
            report.fail(check, `what is published of position ${due} is not`
                               + ' what the draw gives');
        }
    }

    /*
     * The place that the next line is about: each one in turn, then that of
     * each dq in turn, from whose holder it was taken.
     */

    due() {
        if (this.next < this.places.length) return this.next++;

        const dq = this.c.dqs[this.k];

        if (this.open || !dq || dq.position >= this.places.length) return NONE;

        const place = this.places[dq.position];

        if (place.holder?.seq !== dq.seq || place.holder.person !== dq.person)
        {
            this.report.fail(17, `dq ${dq.k} is of somebody who does not have`
                                 + ' the prize');
        }

        this.replace(place);

        if (this.open) return NONE;

        this.k++;
        place.named = false;

        return dq.position;
    }

    replace(place) {
        const { draw } = this;
        let next = null;

        place.holder = null;
        place.told = '';

        if (this.c.last.flags & 2) {
            if (this.k >= draw.fresh.length) {
                this.open = true;
                return;
            }

            if (draw.fresh[this.k] !== NOBODY) next = draw.fresh[this.k];
        } else if (this.used < draw.picks.length) {
            next = draw.picks[this.used++];
        }

        if (next) {
            place.holder = next;
            place.redrawn = true;
        }
    }

    /* the operator's word: a prize that somebody has, and when */

    told(what, line) {
        const words = new Words(line);
        const position = words.number();
        const t = position === null ? null : words.number();

        if (t === null || words.rest !== ''
            || position >= BigInt(this.places.length))
        {
            this.report.fail(17, 'a malformed line in picks');
            return;
        }

        const place = this.places[Number(position)];

        if (!place.named || !place.holder) {
            this.report.fail(17, `position ${position} is claimed, and nobody`
                                 + ' has it');
        }

        place.told = what;
    }

    account() {
        const { report, places, c } = this;
        let awarded = 0, redrawn = 0, vacant = 0;

        /* what the lines stopped short of */
        this.next = places.length;

        if (this.k < c.dqs.length) {
            for (const check of [17, 18]) {
                report.incomplete(check, 'nothing is published of dq'
                                         + ` ${this.k + 1} yet`);
            }
        }

        places.forEach((place, i) => {
            if (!place.named) {
                if (place.holder) {
                    report.fail(17, `position ${i} has a winner who is not`
                                    + ' published');
                } else if (!this.open) {
                    report.fail(18, `position ${i} is neither awarded nor`
                                    + ' vacant');
                }
            }

            if (!place.holder) vacant++;
            else if (place.redrawn) redrawn++;
            else awarded++;
        });

        if (!(c.last.flags & 2) && this.draw.fresh.length)
            report.fail(17, 'fresh alternates, and the manifest has none');

        report.info(17, `${awarded + redrawn} winners`);
        report.info(18, `awarded ${awarded}, redrawn ${redrawn}, unclaimed`
                        + ` ${vacant}, offered ${places.length}`);
    }
}
