/*
 * The verifier beside the page, so that the page never stands still.
 */

import { bytesOf, hex, lines, text } from './bytes.js';
import { verify } from './campaign.js';
import { parseKey } from './note.js';
import { running } from './state.js';


async function bytes(blob) {
    return new Uint8Array(await blob.arrayBuffer());
}

async function all(blobs) {
    return Promise.all(blobs.map(bytes));
}

/* names come from the files, one byte a character */

function utf8(latin) {
    return text(bytesOf(latin));
}

function summary(c) {
    const { last } = c;

    if (!last || !c.key) return null;

    return {
        program: utf8(c.key.name), game: utf8(c.game), cid: hex(last.cid),
        sweepstakes: last.kind === 1, mode: last.mode, open: last.open,
        close: last.close, beacon: last.beacon, version: last.number,
        entries: c.closed && String(c.closed.entries),
        tickets: c.closed && String(c.closed.tickets),
        plays: c.plays?.n ?? null,
    };
}

function prizes(c) {
    if (!c.plays) return null;

    return c.last.prizes.filter((prize) => prize.name !== '').map((prize) => ({
        name: utf8(prize.name),
        stock: prize.unlimited ? null : String(prize.units),
        odds: prize.den ? `${prize.num} in ${prize.den}` : null,
        won: c.plays.wins.get(prize.name) ?? 0,
    }));
}

/* a page shows so many; all of them are in the file picks */

const SHOWN = 1000;

async function run({ files, ca, saved, witnesses, receipts, chain }) {
    const map = new Map();
    let told = 0;

    for (const [name, blob] of files)
        if (blob.size) map.set(name, await bytes(blob));

    const keys = (await all(witnesses))
        .flatMap((file) => lines(file).lines)
        .map((line) => parseKey(line, 4)).filter((key) => key);

    const options = { saved: await all(saved), receipts: await all(receipts),
                      witnesses: keys, chain: chain || undefined };

    if (ca) {
        options.ca = await bytes(ca);
        options.caName = ca.name;
    }

    const start = performance.now();

    const c = await verify(map, options, (what, done, total) => {
        const now = performance.now();

        if (now - told > 50 || done === total) {
            told = now;
            postMessage({ progress: { what, done, total } });
        }
    });

    return {
        rows: c.report.rows(), verdict: c.report.verdict, facts: summary(c),
        state: c.report.state, running: running(c),
        winners: c.winners?.slice(0, SHOWN).map(
            (w) => ({ ...w, prize: utf8(w.prize) })) ?? null,
        count: c.winners?.length ?? 0, prizes: prizes(c),
        seconds: (performance.now() - start) / 1000,
    };
}

onmessage = async ({ data }) => {
    try {
        postMessage({ id: data.id, result: await run(data) });
    } catch (error) {
        postMessage({ id: data.id, error: String(error?.message ?? error) });
    }
};
