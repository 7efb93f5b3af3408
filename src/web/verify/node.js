/*
 * The page's verifier as a command, with the options, the lines and the exit
 * status of loyalty-verify: for tests, and where there is no browser.
 */

import './node-crypto.js';

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { latin1, lines } from './bytes.js';
import { verify } from './campaign.js';
import { parseKey } from './note.js';


const USAGE = 'usage: verify-node.mjs [--tsa-ca FILE] [--saved-note FILE]'
    + ' [--witness FILE]\n    [--receipt FILE] [--game NAME] [--beacon'
    + ' HASH:KEY] [--time] DIR';


class Unusable extends Error {}

function read(path) {
    try {
        return new Uint8Array(readFileSync(path));
    } catch {
        throw new Unusable(`verify-node: cannot use "${path}"`);
    }
}

function witnesses(path) {
    const { lines: all, cut } = lines(read(path));
    const keys = all.map((line) => parseKey(line, 4));

    if (cut || keys.includes(null))
        throw new Unusable(`verify-node: cannot use "${path}"`);

    return keys;
}

function directory(dir) {
    const files = new Map();

    for (const name of readdirSync(dir)) {
        const path = join(dir, name);
        const stat = statSync(path, { throwIfNoEntry: false });

        if (!name.startsWith('.') && stat?.isFile() && stat.size)
            files.set(latin1(Buffer.from(name)), read(path));
    }

    return files;
}

function parse(args) {
    const many = { type: 'string', multiple: true, default: [] };

    try {
        const { values, positionals } = parseArgs({
            args, allowPositionals: true, options: {
                'tsa-ca': { type: 'string' }, receipt: many,
                'saved-note': many, witness: many, game: { type: 'string' },
                beacon: { type: 'string' }, time: { type: 'boolean' },
            },
        });

        if (positionals.length === 1) return { values, dir: positionals[0] };
    } catch {
        /* an option that there is none */
    }

    throw new Unusable(USAGE);
}

/* { text, error, status } */

async function run(args) {
    try {
        const { values, dir } = parse(args);
        const files = directory(dir);
        const start = performance.now();

        const { report } = await verify(files, {
            ca: values['tsa-ca'] && read(values['tsa-ca']),
            caName: values['tsa-ca'],
            saved: values['saved-note'].map(read),
            receipts: values.receipt.map(read),
            witnesses: values.witness.flatMap(witnesses),
            game: latin1(Buffer.from(values.game ?? '')),
            chain: values.beacon,
        });

        const seconds = (performance.now() - start) / 1000;

        return { text: report.text(), status: [0, 2, 1][report.verdict],
                 error: values.time ? `${seconds.toFixed(1)} s\n` : '' };
    } catch (error) {
        if (!(error instanceof Unusable) && error.syscall !== 'scandir')
            throw error;

        return { text: '', status: 2, error: `${error.message}\n` };
    }
}

/* for tests: a line of arguments in JSON each, and an answer in as many */

async function serve() {
    for await (const line of createInterface({ input: process.stdin })) {
        const { text, status } = await run(JSON.parse(line));

        process.stdout.write(JSON.stringify({ text, status }) + '\n');
    }
}

if (process.argv[2] === '--serve') {
    await serve();
} else {
    const { text, error, status } = await run(process.argv.slice(2));

    process.stderr.write(error);
    process.stdout.write(text);
    process.exitCode = status;
}
