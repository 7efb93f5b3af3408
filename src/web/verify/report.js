/*
 * What the checks found: each begins as PASS, the worst that it is told
 * stands, with the first reasons for it.
 */

export const PASS = 0, INCOMPLETE = 1, FAIL = 2;
export const WORDS = ['PASS', 'INCOMPLETE', 'FAIL'];

export const TITLES = [
    null, 'rules, terms, prizes', 'signatures and statements',
    'heads and log', "outsiders' times", 'beacon chain', 'beacon signatures',
    'seed commitment', 'entries and ticket ranges', 'root of the entries',
    'picks and alternates', 'receipts', 'chain of epochs',
    "every outcome's random value", "replay of the game's state",
    'degraded plays', 'disqualifications', 'published winners',
    'prizes accounted for', 'hashes of the evidence',
];

const REASONS = 5;
const ROOM = 599;

export class Report {
    constructor() {
        this.state = null;           /* how far the campaign is */
        this.checks = TITLES.map(() => ({ status: PASS, said: 0,
                                          reasons: [] }));
    }

    say(n, status, reason) {
        const check = this.checks[n];

        if (status < check.status) return;

        if (status > check.status) {
            check.status = status;
            check.said = 0;
            check.reasons = [];
        }

        if (check.said++ < REASONS)
            check.reasons.push(reason.replace(/[^\x20-\x7e]/g, '?'));
    }

    fail(n, reason) { this.say(n, FAIL, reason); }
    incomplete(n, reason) { this.say(n, INCOMPLETE, reason); }
    info(n, reason) { this.say(n, PASS, reason); }
    failed(n) { return this.checks[n].status === FAIL; }

    get verdict() {
        return Math.max(...this.checks.slice(1).map((c) => c.status));
    }

    /* as { id, title, status, reason } */
    rows() {
        return this.checks.map((c, i) => ({
            id: 'V' + String(i).padStart(2, '0'), title: TITLES[i],
            status: c.status,
            reason: c.reasons.join('; ').slice(0, ROOM) + (c.said > REASONS
                    ? `; and ${c.said - REASONS} more` : ''),
        })).slice(1);
    }

    text() {
        const rows = this.rows();
        const verdict = this.verdict;
        let last = WORDS[verdict];

        if (verdict === PASS) {
            last += ' (what no file can prove: that the entrants are real'
                    + ' people, and that the prizes arrived)';
        } else {
            last += rows.filter((r) => r.status === verdict)
                        .map((r) => ' ' + r.id).join('')
                    + (this.state ? ` (${this.state})` : '');
        }

        return rows.map((r) => `${r.id} ${WORDS[r.status]} ${r.title}`
                               + (r.reason ? `: ${r.reason}` : ''))
                   .concat(last, '').join('\n');
    }
}
