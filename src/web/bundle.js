// OUT/verify.html: the page in one file, its style, its script and the worker's
// in it, so that it works from a disk and asks nobody for anything.
// OUT/verify-node.mjs: the same verifier as a command.
//
//     node bundle.js OUT

import { build } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const here = new URL('.', import.meta.url).pathname;
const out = process.argv[2];

const common = {
    absWorkingDir: here, bundle: true, write: false, charset: 'utf8',
    target: ['es2022'], legalComments: 'none', logLevel: 'warning',
};

async function bundle(entry, more) {
    const made = await build({ ...common, entryPoints: [entry], ...more });

    return made.outputFiles[0].text;
}

const node = await bundle('verify/node.js', {
    platform: 'node', format: 'esm', target: ['node18'],
});

writeFileSync(join(out, 'verify-node.mjs'), node);

const worker = await bundle('verify/worker.js', {
    platform: 'browser', format: 'iife', minify: true, charset: 'ascii',
});

const script = await bundle('page.js', {
    platform: 'browser', format: 'iife', charset: 'ascii',
    define: { WORKER: JSON.stringify(worker) },
});

// nothing in a script may look like its end
const inline = script.replace(/<(?=\/script|!--)/gi, '\\x3c');

const parts = { STYLE: readFileSync(join(here, 'page.css'), 'utf8'),
                SCRIPT: inline };

writeFileSync(join(out, 'verify.html'),
    readFileSync(join(here, 'verify.html'), 'utf8')
        .replace(/\/\*(STYLE|SCRIPT)\*\//g, (_, name) => parts[name]));
