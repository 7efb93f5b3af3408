// build/verify-node.mjs: the verifier as a command, in one file.
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
