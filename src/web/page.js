/*
 * The page: takes files, has them verified by a worker, shows what it found.
 */

/* global WORKER */

const WORDS = ['Pass', 'Incomplete', 'Fail'];

const MARKS = ['M4.5 12.5l5 5 10-11', 'M12 5v8m0 5.2v.3', 'M6 6l12 12M18 6L6 18'];

const SENTENCES = [
    'The winners that were published are the ones that this draw gives.',
    'Nothing in these files is wrong, but without what is missing nobody can'
    + ' vouch for the draw.',
    'These files contradict themselves or the draw: something in them is not'
    + ' what it claims to be.',
];

const UNFINISHED = 'Nothing in these files is wrong so far, and what is'
    + ' missing is partly yet to come.';

const DATE = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;

const ABOUT = {
    V01: 'The rules, terms and prizes are the ones that the campaign began'
         + ' with.',
    V02: 'Every statement is signed by the program’s key.',
    V03: 'The log of plays is the one that was fixed, minute by minute.',
    V04: 'Somebody other than the operator says when, and that there was only'
         + ' one.',
    V05: 'The public source of chance is the one it should be.',
    V06: 'Its numbers are genuine.',
    V07: 'The operator’s secret is the one he had committed to.',
    V08: 'No ticket is missing, counted twice, or added.',
    V09: 'The entries are the ones that were fixed at the close.',
    V10: 'The draw, done again here, gives the same tickets.',
    V11: 'Each receipt that was given is among the published records.',
    V12: 'The secret of every minute follows from the first commitment.',
    V13: 'Every play’s number comes from chance alone.',
    V14: 'Stock, limits and outcomes follow from the plays before.',
    V15: 'Plays by an older number are marked, and few.',
    V16: 'Who was disqualified was on record before a new draw.',
    V17: 'The winners that were announced are the ones drawn.',
    V18: 'Every prize was awarded, drawn again, or left over.',
    V19: 'The files are complete and unchanged.',
};

const STEPS = {
    entries: 'Reading the entries', log: 'Playing the plays again',
    draw: 'Drawing again', beacon: 'Checking the source of chance',
    hashes: 'Comparing the files’ hashes',
};

/* checks that a draw of the other kind has */
const FOREIGN = /^not of (a sweepstakes|an instant win)$/;

const PUBLISHED = /^(vkey|manifest|entries|log|heads|close|timestamps|cosignatures|beacons|reveal|picks|dq|evidence|(terms|prizes|rules)-\d+)$/;

const $ = (id) => document.getElementById(id);
const kept = { ca: [], saved: [], receipts: [], witnesses: [] };
const files = new Map();

let worker = null, turn = 0, timer = 0, loaded = false;


/* ---- what goes in ---- */

/* what a file is, by what it begins with, when it has no published name */

async function sort(file) {
    if (PUBLISHED.test(file.name)) return 'files';

    const start = await file.slice(0, 400).text();

    if (start.includes('-----BEGIN CERTIFICATE')) return 'ca';
    if (start.startsWith('nginx-loyalty/1 receipt')) return 'receipts';
    if (start.startsWith('nginx-loyalty/1 ')) return 'saved';

    return /^[^ +]+\+[0-9a-f]{8}\+B/.test(start) ? 'witnesses' : 'files';
}

async function add(list) {
    for (const file of list) {
        if (file.name.startsWith('.')) continue;

        const kind = await sort(file);

        if (kind === 'files') {
            files.set(file.name, file);
            loaded = false;
        } else {
            keep(kind, [file]);
        }
    }

    changed();
}

function keep(kind, list) {
    kept[kind] = kind === 'ca' ? list : [...kept[kind], ...list];
}

/* the files of what was dropped, those in folders, too */

async function dropped(transfer) {
    const entries = [...transfer.items].map((i) => i.webkitGetAsEntry?.());

    if (!entries.some((entry) => entry?.isDirectory))
        return [...transfer.files];

    const out = [];

    for (const entry of entries) if (entry) await walk(entry, out);

    return out;
}

async function walk(entry, out) {
    if (entry.isFile) {
        out.push(await new Promise((done, fail) => entry.file(done, fail)));
        return;
    }

    const reader = entry.createReader();

    for (;;) {
        const some = await new Promise((done, fail) =>
            reader.readEntries(done, fail));

        if (some.length === 0) return;

        for (const one of some) await walk(one, out);
    }
}

function changed() {
    $('chips').replaceChildren(...[...files.keys()].sort().map(
        (name) => make('li', {}, name)));
    $('drop').classList.toggle('full', files.size > 0);

    for (const [kind, list] of Object.entries(kept)) {
        $(`s-${kind}`).textContent = list.map((f) => f.name).join(', ')
                                     || 'none';
        $(`s-${kind}`).parentNode.classList.toggle('in', list.length > 0);
    }

    clearTimeout(timer);
    if (files.size) timer = setTimeout(start, 150);
}


/* ---- from the server that the page came from, and from no other ---- */

const STATES = {
    planned: 'not open yet', open: 'running', paused: 'paused',
    closing: 'closing', closed: 'closed', waiting: 'closed, waiting',
    drawn: 'drawn', over: 'over',
};

function address(text) {
    const base = new URL(text.endsWith('/') ? text : `${text}/`,
                         location.href);

    if (base.origin !== location.origin || !base.protocol.startsWith('http'))
        throw new Error('The address has to be on the server of this page.');

    return base;
}

async function take(base, name) {
    const answer = await fetch(new URL(name, base), { cache: 'no-cache' });

    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);

    return answer.blob();
}

/* Files grow meanwhile: what speaks of others, as a head of the log, is taken
   before them, and when the evidence is another one at the end, all again. */

async function load(base) {
    working(`Loading ${base.pathname}`);
    $('result').scrollIntoView();

    for (let tries = 0; tries < 3; tries++) {
        const manifest = await take(base, 'manifest');

        if (!manifest)
            throw new Error(`There is no manifest at ${base.pathname}`);

        const first = await take(base, 'evidence');
        const got = new Map([['manifest', manifest]]);

        const some = async (names) => {
            const blobs = await Promise.all(names.map((n) => take(base, n)));

            names.forEach((name, i) => blobs[i] && got.set(name, blobs[i]));
        };

        await some(['heads', 'close', 'picks']);
        await some(['log', 'entries', 'dq']);

        /* a note is four lines */

        const versions = (await manifest.text()).split('\n').length >> 2;
        const names = ['vkey', 'timestamps', 'cosignatures', 'beacons',
                       'reveal', 'evidence'];

        for (let n = 1; n <= versions; n++)
            names.push(`terms-${n}`, `prizes-${n}`, `rules-${n}`);

        await some(names);

        if (got.get('evidence')?.size === first?.size) {
            files.clear();
            for (const [name, blob] of got)
                files.set(name, new File([blob], name));
            loaded = true;
            break;
        }
    }

    $('where').value = base.pathname;
    history.replaceState(null, '', `?src=${encodeURIComponent(base.pathname)
                                           .replaceAll('%2F', '/')}`);
    changed();
}

/* the file games, as buttons; false: there is none */

async function offer(base) {
    const blob = await take(base, 'games').catch(() => null);
    const lines = (blob ? await blob.text() : '').split('\n')
        .map((line) => /^(\S+) ([0-9a-f]{32}) (\S+) (\S+)$/.exec(line))
        .filter((line) => line);

    /* the newest first */

    $('draws').replaceChildren(...lines.reverse().map(
        ([, name, cid, kind, state]) => {
            const at = new URL(`${encodeURIComponent(name)}/${cid}/`, base);
            const button = make('button', { type: 'button', class: 'draw' },
                make('b', {}, name),
                make('span', {}, `${kind.replace('_', ' ')}, `
                                 + `${STATES[state] ?? state}`));

            button.addEventListener('click', () => attempt(() => load(at)));
            return make('li', {}, button);
        }));

    return lines.length > 0;
}

async function attempt(what) {
    try {
        await what();
    } catch (error) {
        trouble(error.message);
    }
}

/* the address of a campaign, or of what has several */

async function ask(text) {
    const base = address(text);
    const found = await offer(base);

    if (!found) await load(base);
}

async function server() {
    const src = new URLSearchParams(location.search).get('src');
    const home = new URL('.', location.href);

    $('server').hidden = false;
    $('where').value = src ?? home.pathname;

    const found = offer(home);

    if (src) {
        await load(address(src));
    } else if (!await found) {
        $('none').textContent = `There are none at ${home.pathname}.`;
        $('none').hidden = false;
    }
}


/* ---- the work ---- */

function start() {
    turn++;

    if (worker?.busy) {
        worker.terminate();
        worker = null;
    }

    if (!worker) {
        const code = new Blob([WORKER], { type: 'text/javascript' });

        worker = new Worker(URL.createObjectURL(code));
        worker.onmessage = ({ data }) => heard(data);
        worker.onerror = (e) => {
            worker = null;
            trouble(`The verifier has stopped: ${e.message}`);
        };
    }

    worker.busy = true;
    working('Reading the files');

    worker.postMessage({
        id: turn, files: [...files], ca: kept.ca[0] ?? null,
        saved: kept.saved, receipts: kept.receipts,
        witnesses: kept.witnesses, chain: $('chain').value.trim(),
    });
}

function heard(data) {
    if (data.progress) {
        const { what, done, total } = data.progress;
        const share = total > 1 ? ` ${Math.floor(100 * done / total)} %` : '';

        $('step').textContent = `${STEPS[what]} …${share}`;
        $('bar').max = total || 1;
        $('bar').value = done;
        return;
    }

    if (data.id !== turn) return;

    worker.busy = false;
    if (data.error) trouble(`These files cannot be verified: ${data.error}`);
    else show(data.result);
}

function working(step) {
    $('working').hidden = false;
    $('step').textContent = `${step} …`;
    $('bar').removeAttribute('value');

    for (const id of ['trouble', 'verdict', 'facts', 'details'])
        $(id).hidden = true;

    delete document.body.dataset.verdict;
}

function trouble(text) {
    $('working').hidden = true;
    $('trouble').hidden = false;
    $('trouble').textContent = text;
    document.body.dataset.verdict = 'trouble';
}


/* ---- what comes out ---- */

function make(name, attributes, ...children) {
    const node = document.createElement(name);

    for (const [key, value] of Object.entries(attributes))
        node.setAttribute(key, value);

    node.append(...children);
    return node;
}

function show(result) {
    const { verdict, rows } = result;
    const missing = rows.filter((row) => row.status === verdict && verdict);

    $('working').hidden = true;
    $('verdict').hidden = false;
    $('verdict').className = `verdict s${verdict}`;
    $('word').textContent = WORDS[verdict];
    $('again-first').hidden = verdict !== 2 || !loaded;
    $('sentence').textContent = verdict === 1 && result.state
        ? `${UNFINISHED} It is ${result.state.replace(DATE, day)}.`
        : SENTENCES[verdict];
    $('mark').setAttribute('d', MARKS[verdict]);

    facts(result);

    $('open').replaceChildren(...(missing.length ? list(
        'What needs a look', rows.filter((row) => row.status)) : []));
    $('prizes').replaceChildren(...tables(result));
    $('good').replaceChildren(
        ...list('What is as it should be', rows.filter(
            (row) => !row.status && !FOREIGN.test(row.reason))),
        ...foreign(rows.filter((row) => FOREIGN.test(row.reason))));

    $('details').hidden = false;
    document.title = `${WORDS[verdict]} – Verify a draw`;

    document.body.dataset.verdict = WORDS[verdict];
    document.body.dataset.seconds = result.seconds.toFixed(1);
}

function list(title, rows) {
    if (rows.length === 0) return [];

    const items = rows.map((row) => make('li', { id: row.id },
        make('span', { class: `pill s${row.status}` }, WORDS[row.status]),
        make('div', {},
             make('h3', {}, make('span', { class: 'id' }, row.id),
                  row.title[0].toUpperCase() + row.title.slice(1)),
             ...reasons(row),
             make('p', { class: 'why' }, row.status
                  ? `What a pass would mean: ${ABOUT[row.id]}`
                  : ABOUT[row.id]))));

    return [make('h2', {}, title), make('ol', { class: 'checks' }, ...items)];
}

function foreign(rows) {
    if (rows.length === 0) return [];

    return [make('p', { class: 'quiet' },
        `Not asked of this kind of draw: ${rows.map(
            (row) => `${row.id} ${row.title}`).join(', ')}.`)];
}

/* the words of a command's options mean nothing here */

function reasons(row) {
    if (!row.reason) return [];

    const text = row.reason.replace(/ \(--[a-z-]+\)/g, '')
        .replace(DATE, day)
        .replace(/^(\d+)$/, `$1 ${row.title}`)
        .replace(/^1 ([a-z]+)s(?=$|,| )/, '1 $1');

    return [make('p', {}, text[0].toUpperCase() + text.slice(1)
                          + (/[.?!]$/.test(text) ? '' : '.'))];
}

function day(ms) {
    return new Intl.DateTimeFormat('en-GB', {
        dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC',
    }).format(new Date(ms)) + ' UTC';
}

function facts({ facts, count, running }) {
    const pairs = [];
    const n = (s) => Number(s).toLocaleString('en');

    if (facts) {
        pairs.push(['Program', facts.program], ['Campaign', facts.game || '?'],
            ['Kind', facts.sweepstakes ? 'sweepstakes' : 'instant win by '
                     + ['', 'odds', 'deck', 'moments'][facts.mode]],
            [facts.open > Date.now() ? 'Opens' : 'Opened', day(facts.open)],
            [running ? 'Closes' : 'Closed', day(facts.close)]);

        if (facts.entries !== null) {
            pairs.push(['Entries', n(facts.entries)],
                       ['Tickets', n(facts.tickets)]);
        }

        if (facts.plays !== null) pairs.push(['Plays', n(facts.plays)]);
        if (count) pairs.push(['Prizes', n(count)]);
    }

    $('facts').hidden = !facts;
    $('facts').replaceChildren(...pairs.map(([name, value]) => make('div', {},
        make('dt', {}, name), make('dd', {}, value))));
}

function table(title, head, rows) {
    const cells = (name, row) => row.map((cell, i) => make(name,
        { ...(name === 'th' ? { scope: 'col' } : {}),
          ...(head[i].startsWith('#') ? { class: 'n' } : {}) }, cell));

    return [
        make('h2', {}, title),
        make('div', { class: 'scroll', tabindex: '0', role: 'region',
                      'aria-label': title },
             make('table', {},
                  make('thead', {}, make('tr', {}, ...cells('th',
                       head.map((name) => name.replace('#', ''))))),
                  make('tbody', {}, ...rows.map((row) =>
                       make('tr', {}, ...cells('td', row)))))),
    ];
}

function tables({ winners, count, prizes }) {
    if (winners?.length) {
        const title = count > winners.length
            ? `Winners, the first ${winners.length} of ${count}` : 'Winners';

        return table(title, ['#', 'Prize', '#Ticket', '#Entry', 'Winner', ''],
            winners.map((w) => [`${w.position + 1}`, w.prize,
                ...(w.person === null ? ['', '', 'nobody is left', '']
                    : [`${w.ticket}`, `${w.seq}`,
                       make('code', { title: w.person },
                            `${w.person.slice(0, 16)}…`),
                       [w.redrawn ? 'alternate' : '', w.told]
                           .filter((x) => x).join(', ')])]));
    }

    if (prizes?.length) {
        const odds = prizes.some((p) => p.odds);

        return table('Prizes',
            ['Prize', ...(odds ? ['Odds'] : []), '#Offered', '#Won'],
            prizes.map((p) => [p.name, ...(odds ? [p.odds ?? ''] : []),
                               p.stock ?? 'unlimited', `${p.won}`]));
    }

    return [];
}


/* ---- wiring ---- */

for (const id of ['files', 'folder']) {
    $(id).addEventListener('change', (e) => {
        add([...e.target.files]);
        e.target.value = '';
    });
}

for (const kind of Object.keys(kept)) {
    $(kind).addEventListener('change', (e) => {
        keep(kind, [...e.target.files]);
        e.target.value = '';
        changed();
    });
}

$('chain').addEventListener('change', changed);

$('again').addEventListener('click', () => {
    files.clear();
    for (const kind of Object.keys(kept)) kept[kind] = [];
    $('chain').value = '';
    turn++;
    working('');
    $('working').hidden = true;
    changed();
});

for (const type of ['dragover', 'dragleave', 'drop']) {
    window.addEventListener(type, (e) => {
        e.preventDefault();
        $('drop').classList.toggle('over', type === 'dragover');
        if (type === 'drop') dropped(e.dataTransfer).then(add);
    });
}

$('ask').addEventListener('submit', (e) => {
    e.preventDefault();
    $('none').hidden = true;
    attempt(() => ask($('where').value.trim() || '/'));
});

if (location.protocol.startsWith('http')) attempt(server);
