/*
 * The day of a time in a zone, by the browser's own table of zones.
 */

const QUARTER = 900000;
const DAY = 86400000;


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
