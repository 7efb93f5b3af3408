/*
 * The day of a time in a zone, by the browser's own table of zones.
 */

const QUARTER = 900000;
const DAY = 86400000;


/* which of its kind the period is that a day is in */

export function periodOf(period, day) {
    if (period === 'campaign') return 0;
    if (period === 'day') return day;

    /* 1970-01-01 was a Thursday */
    if (period === 'week') return Math.floor((day + 3) / 7);

    const date = new Date(day * DAY);

    return date.getUTCFullYear() * 12 + date.getUTCMonth();
}


export class Days {
    constructor() {
        this.zone = null;
        this.format = null;
        this.quarter = NaN;
        this.offset = 0;
    }

    /* days since 1970, or null where nobody knows the zone */

    of(zone, t) {
        if (zone !== this.zone) this.open(zone);

        if (!this.format) return null;

        /* offsets change at no other time than a quarter of an hour */

        const quarter = Math.floor(t / QUARTER);

        if (quarter !== this.quarter) {
            this.quarter = quarter;
            this.offset = this.at(quarter * QUARTER) - quarter * QUARTER;
        }

        return Math.floor((t + this.offset) / DAY);
    }

    open(zone) {
        this.zone = zone;
        this.quarter = NaN;
        this.format = null;

        if (!/^[A-Za-z]/.test(zone)) return;

        try {
            this.format = new Intl.DateTimeFormat('en-US', {
                timeZone: zone, calendar: 'gregory', numberingSystem: 'latn',
                hourCycle: 'h23', year: 'numeric', month: 'numeric',
                day: 'numeric', hour: 'numeric', minute: 'numeric',
                second: 'numeric',
            });
        } catch {
            /* a zone that is not known */
        }
    }

    at(t) {
        const f = {};

        for (const part of this.format.formatToParts(t))
            f[part.type] = Number(part.value);

        return Date.UTC(f.year, f.month - 1, f.day, f.hour, f.minute,
                        f.second);
    }
}
