/*
 * How far a campaign is by its own files: what is missing because it is yet
 * to come is INCOMPLETE like anything else, and is told from what is not
 * there though it should be.
 */

import { date, roundTime } from './time.js';


/* nothing in the files is of after the close */

export function running(c) {
    if (!c.last || c.file('evidence')) return false;

    return c.last.kind === 1
        ? !c.file('close') && !c.file('picks')
        : !c.heads.some((head) => head.t >= c.last.close);
}

/* for the last line; null when all is over */

export function state(c) {
    if (running(c)) return `running, until ${date(c.last.close)}`;

    if (!c.last || !c.closed || c.file('picks')) return null;

    if (c.unknownRound) {
        return 'closed, the round of the draw is that of a timestamp to come';
    }

    return 'closed, to be drawn' + (c.drawRound
        ? ` by round ${c.drawRound} of ${date(roundTime(c.drawRound))}` : '');
}
