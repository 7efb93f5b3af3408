// Drives a headless Chromium over a pipe, for tests of the page that verifies:
//
//     browser.mjs CHROMIUM URL < STEPS
//
// Each line of STEPS is a JSON object with what is to be done, in this order:
//
//     look      { width, height, dark }
//     files     { SELECTOR: [PATH, ...], ... }: what somebody chooses
//     run       an expression; its value is printed as a line of JSON
//     picture   a path: a PNG of the whole page
//
// After "files" it waits until the page says what its verdict is.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [, , chromium, url] = process.argv;
const profile = mkdtempSync(join(tmpdir(), 'loyalty-chromium-'));

const browser = spawn(chromium, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
    '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--hide-scrollbars', '--remote-debugging-pipe',
    `--user-data-dir=${profile}`, 'about:blank',
], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
     env: { ...process.env, TZ: 'UTC', LANG: 'C.UTF-8' } });

const waiting = new Map();
let ids = 0, session, rest = '';

browser.stdio[4].on('data', (data) => {
    const parts = (rest + data).split('\0');

    rest = parts.pop();

    for (const part of parts) {
        const { id, result, error } = JSON.parse(part);
        const call = waiting.get(id);

        if (!call) continue;

        waiting.delete(id);
        if (error) call.fail(new Error(error.message));
        else call.done(result);
    }
});

function send(method, params = {}) {
    const id = ++ids;
    const message = { id, method, params, sessionId: session };

    browser.stdio[3].write(JSON.stringify(message) + '\0');

    return new Promise((done, fail) => waiting.set(id, { done, fail }));
}

async function value(expression) {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
        expression, awaitPromise: true, returnByValue: true,
    });

    if (exceptionDetails) throw new Error(exceptionDetails.exception.description);

    return result.value;
}

async function until(expression, what) {
    for (let i = 0; i < 6000; i++) {
        const found = await value(expression);

        if (found) return found;
        await new Promise((done) => setTimeout(done, 50));
    }

    throw new Error(`waited in vain for ${what}`);
}

async function step({ look, files, run, picture }) {
    if (look) {
        await send('Emulation.setDeviceMetricsOverride', {
            width: look.width, height: look.height, deviceScaleFactor: 1,
            mobile: look.width < 600,
        });
        await send('Emulation.setEmulatedMedia', { features: [
            { name: 'prefers-color-scheme',
              value: look.dark ? 'dark' : 'light' }] });
    }

    for (const [selector, paths] of Object.entries(files ?? {})) {
        const { root } = await send('DOM.getDocument');
        const { nodeId } = await send('DOM.querySelector',
                                      { nodeId: root.nodeId, selector });

        await send('DOM.setFileInputFiles', { nodeId, files: paths });
    }

    if (files) {
        // the page waits a moment before it begins
        await new Promise((done) => setTimeout(done, 300));
        await until('document.body.dataset.verdict', 'a verdict');
    }

    if (run) console.log(JSON.stringify(await value(run) ?? null));

    if (picture) {
        const { cssContentSize: size } = await send('Page.getLayoutMetrics');
        const { data } = await send('Page.captureScreenshot', {
            captureBeyondViewport: true,
            clip: { x: 0, y: 0, width: size.width, height: size.height,
                    scale: 1 },
        });

        writeFileSync(picture, Buffer.from(data, 'base64'));
    }
}

try {
    const { targetInfos } = await send('Target.getTargets');
    const { targetId } = targetInfos.find((t) => t.type === 'page');

    ({ sessionId: session } = await send('Target.attachToTarget',
                                         { targetId, flatten: true }));

    await send('Page.enable');
    await send('DOM.enable');
    await send('Page.navigate', { url });
    await until('document.readyState === "complete"'
                + ' && location.href !== "about:blank"', 'the page');

    for await (const line of createInterface({ input: process.stdin }))
        await step(JSON.parse(line));
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
}

const gone = new Promise((done) => browser.on('exit', done));

session = undefined;
send('Browser.close').catch(() => {});
setTimeout(() => browser.kill('SIGKILL'), 5000).unref();
await gone;

// its children end a moment later, and write until then

for (let i = 0; i < 50; i++) {
    try {
        rmSync(profile, { recursive: true, force: true });
        break;
    } catch {
        await new Promise((done) => setTimeout(done, 100));
    }
}
