/*
 * Rounds of the beacon, and epochs of a campaign.  Times are Unix ms; what no
 * clock reaches is FAR, what nobody says is Infinity.
 */

const GENESIS = 1692803367000;
const PERIOD = 3000;

export const FAR = Number.MAX_SAFE_INTEGER;
export const LIMIT = 2 ** 48;


/* a time before the first round has no round, which is said as 0 */

export function roundAt(t) {
    return t < GENESIS ? 0 : Math.floor((t - GENESIS) / PERIOD) + 1;
}

export function roundTime(round) {
    if (round === 0) return 0;
    if (!(round <= 2 ** 40)) return FAR;
    return GENESIS + (round - 1) * PERIOD;
}

/* epochs count from 1; what is before the first one has numbers below it */

export function epochAt(m, t) {
    return Math.floor((t - m.open) / m.length) + 1;
}

export function epochStart(m, e) {
    return m.open + (e - 1) * m.length;
}

export function epochEnd(m, e) {
    return Math.min(m.open + e * m.length, m.close);
}

/* 2026-01-31T10:00:00Z */

export function date(t) {
    return new Date(t).toISOString().replace(/\.\d+/, '');
}
