/*
 * A campaign's files, and every check of them in its order.
 */

import { lines } from './bytes.js';
import { Beacon } from './beacon.js';
import { datedDqs, readDqs } from './dq.js';
import { Draw } from './draw.js';
import { Entries, readClose } from './entries.js';
import { checkEvidence } from './evidence.js';
import { readHeads, sortHeads } from './heads.js';
import { checkLimits } from './limits.js';
import { readManifests } from './manifest.js';
import { parseKey } from './note.js';
import { checkPlays } from './plays.js';
import { checkReceipts } from './receipt.js';
import { Report } from './report.js';
import { checkChains, readReveal } from './reveal.js';
import { outsiders } from './stamps.js';
import { state } from './state.js';
import { checkWinners } from './winners.js';


const ALL = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];


/*
 * files: a Map of names to bytes; an empty file is as good as none.  options:
 * ca, caName, saved, witnesses, receipts, game, chain, all of them optional.
 * progress(what, done, total) is told how far it is.
 */

export async function verify(files, options = {}, progress = () => {}) {
    const c = {
        files, progress, report: new Report(),
        options: { saved: [], witnesses: [], receipts: [], ...options },
        game: options.game ?? '', key: null, versions: [], last: null,
        subjects: [], undated: false, unable: null, latest: 0, heads: [],
        gaps: 0, gap: 0, closed: null, drawRound: 0, unknownRound: false,
        late: false, dqs: [], again: [], winners: null, plays: null,

        file(name) { return this.files.get(name) ?? null; },

        lines(name) { return lines(this.file(name) ?? new Uint8Array(0)); },
    };

    if (readKey(c) && readManifests(c)) {
        await check(c);
    } else {
        for (const n of ALL) c.report.incomplete(n, 'no manifest to go by');
    }

    return c;
}

async function check(c) {
    const sweepstakes = c.last.kind === 1;

    if (sweepstakes) {
        readClose(c);
        readDqs(c);
    } else {
        readHeads(c);
    }

    await outsiders(c);
    checkEvidence(c);
    c.beacon = new Beacon(c);
    readReveal(c);

    if (sweepstakes) {
        for (const n of [3, 12, 13, 15])
            c.report.info(n, 'not of a sweepstakes');

        const entries = new Entries(c);

        checkLimits(c, entries);
        datedDqs(c);
        checkWinners(c, new Draw(c, entries));
    } else {
        for (const n of [8, 9, 10, 16])
            c.report.info(n, 'not of an instant win');

        sortHeads(c);
        checkChains(c);
        checkPlays(c);
    }

    checkReceipts(c);
    c.beacon.done();
    c.report.state = state(c);
}

function readKey(c) {
    const file = c.file('vkey');

    if (!file) {
        c.report.incomplete(2, 'the file vkey is missing');
        return false;
    }

    const { lines: all, cut } = lines(file);

    c.key = all.length === 1 && !cut ? parseKey(all[0], 1) : null;

    if (!c.key) c.report.fail(2, 'vkey is malformed');

    return c.key !== null;
}
