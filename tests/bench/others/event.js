// What a shop would write today with Fastify and ioredis: read the event,
// build the arguments of the function, call it, and answer what has changed.
//
// It knows from a file what nginx-loyalty works out itself: which rules
// apply, with which constants.  It checks hardly anything.
//
//     node event.js PROGRAM.json PORT

'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const modules = path.join(process.cwd(), 'node_modules');
const fastify = require(path.join(modules, 'fastify'));
const Redis = require(path.join(modules, 'ioredis'));

const program = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));


// MessagePack, into one buffer that is used again for each event

const room = Buffer.alloc(65536);
let end = 0;

function int(n) {
    if (n < 128) {
        room[end++] = n;
    } else if (n < 65536) {
        room[end] = 0xcd;
        room.writeUInt16BE(n, end + 1);
        end += 3;
    } else if (n < 4294967296) {
        room[end] = 0xce;
        room.writeUInt32BE(n, end + 1);
        end += 5;
    } else {
        room[end] = 0xcf;
        room.writeUInt32BE(Math.floor(n / 4294967296), end + 1);
        room.writeUInt32BE(n % 4294967296, end + 5);
        end += 9;
    }
}

function head(length) {
    if (length < 32) {
        room[end++] = 0xa0 + length;
    } else if (length < 256) {
        room[end] = 0xd9;
        room[end + 1] = length;
        end += 2;
    } else {
        room[end] = 0xda;
        room.writeUInt16BE(length, end + 1);
        end += 3;
    }
}

function bytes(buffer) {
    head(buffer.length);
    end += buffer.copy(room, end);
}

function text(string) {
    head(Buffer.byteLength(string));
    end += room.write(string, end);
}


const constants = Buffer.from(program.constants, 'hex');
const typeHash = Buffer.from(program.type_hash, 'hex');

for (const rule of program.rules) {
    rule.blob = Buffer.from(rule.blob, 'hex');
    rule.rest = Buffer.from(rule.rest, 'hex');
}

const table = new Uint32Array(256).map((_, n) => {
    for (let i = 0; i < 8; i++) {
        n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    }
    return n >>> 0;
});

function crc32(string) {
    let crc = 0xffffffff;
    for (const b of Buffer.from(string)) {
        crc = table[(crc ^ b) & 255] ^ (crc >>> 8);
    }
    return (crc ^ 0xffffffff) >>> 0;
}


function argument(event, body) {
    const at = Date.parse(event.at);
    const now = Date.now();
    const date = new Date(at);
    const day = Math.floor(at / 86400000);
    const period = {
        day,
        week: Math.floor((day + 3) / 7),
        month: (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth()
    };

    end = 0;
    int(now);
    int(at);

    head(1 + Buffer.byteLength(event.id));
    room[end++] = Buffer.byteLength(event.id);
    end += room.write(event.id, end);

    head(16);
    room.writeUIntBE(at, end, 6);
    room.writeUInt32BE(Math.floor(now / 1000), end + 6);
    end += 10;
    end += crypto.createHash('md5').update(body).digest().copy(room, end, 0,
                                                               6);
    bytes(typeHash);
    text(event.type);
    int(Math.round(Number(event.amount) * 100));
    room[end++] = 0xc0;
    text(event.member);
    bytes(constants);
    int(program.rules.length);

    for (const rule of program.rules) {
        bytes(rule.blob);
        if (rule.period) {
            int(period[rule.period]);
            end += rule.rest.copy(room, end);
        }
    }

    room[end++] = 0xc0;

    return Buffer.from(room.subarray(0, end));
}


// whole numbers, nil, false and true: what a record's body has here

function unpackAll(b, pos) {
    const values = [];

    while (pos < b.length) {
        const tag = b[pos++];

        if (tag < 128) {
            values.push(tag);
        } else if (tag >= 224) {
            values.push(tag - 256);
        } else if (tag === 0xcc) {
            values.push(b[pos]);
            pos += 1;
        } else if (tag === 0xcd) {
            values.push(b.readUInt16BE(pos));
            pos += 2;
        } else if (tag === 0xce) {
            values.push(b.readUInt32BE(pos));
            pos += 4;
        } else if (tag >= 0xc0 && tag <= 0xc3) {
            values.push(tag === 0xc3);
        } else {
            throw new Error(`MessagePack type ${tag}`);
        }
    }

    return values;
}


const two = n => String(n).padStart(2, '0');

const nameOf = {
    day: n => new Date(n * 86400000).toISOString().slice(0, 10),

    // the year of a week is that of its Thursday
    week: n => {
        const thursday = n * 7;
        const year = new Date(thursday * 86400000).getUTCFullYear();
        const first = Date.UTC(year, 0, 1) / 86400000;
        return `${year}-W${two(Math.floor((thursday - first) / 7) + 1)}`;
    },

    month: n => `${1970 + Math.floor(n / 12)}-${two(n % 12 + 1)}`
};

const money = n => `${Math.floor(n / 100)}.${two(n % 100)}`;

const byHash = new Map(program.rules.map(rule => [rule.hash, rule]));


// the effects that a record tells, and the balances after them; there is one
// wallet

function effects(answer) {
    const slots = 4 + 4 * answer[1];
    const record = slots + 4 * answer.readUInt16BE(2) + 2;
    const body = unpackAll(answer, record + 1 + answer[record] + 16);
    const balance = body[body.length - 1];
    const list = [];
    const ruleOf = slot => byHash.get(
        answer.toString('hex', slots + 4 * slot - 4, slots + 4 * slot));
    let i = 7;

    while (body[i] !== 0) {
        const kind = body[i];

        if (kind === 1) {
            list.push({ type: 'points', wallet: 'points',
                        amount: body[i + 2],
                        reason: ruleOf(body[i + 3]).reason, balance });
            i += 4;

        } else if (kind === 3) {
            const rule = ruleOf(body[i + 1]);
            const [instance, progress, goal] = body.slice(i + 2, i + 5);
            const shown = Math.min(progress, goal);

            list.push({ type: 'challenge', name: rule.name,
                        progress: rule.money ? money(shown) : shown,
                        goal: rule.money ? money(goal) : goal,
                        completed: progress >= goal,
                        instance: rule.period && nameOf[rule.period](instance)
            });
            i += 5;

        } else if (kind === 7 || kind === 8) {
            const rule = ruleOf(body[i + 1]);

            list.push({ type: 'streak', name: rule.name,
                        length: body[i + 3], best: body[i + 4],
                        period: nameOf[rule.period](body[i + 2]),
                        broken: kind === 8 && body[i + 5] || undefined });
            i += kind === 7 ? 5 : 7;

        } else {
            // counted without an effect
            i += 3;
        }
    }

    return { list, balance };
}


const redis = new Redis({ path: program.redis, enableAutoPipelining: true });
const app = fastify();

// the body as it came is needed for the fingerprint
app.removeContentTypeParser('application/json');
app.addContentTypeParser('application/json', { parseAs: 'string' },
    (request, body, done) => {
        try {
            done(null, { event: JSON.parse(body), body });
        } catch (error) {
            error.statusCode = 400;
            done(error);
        }
    });

app.post('/*', async (request, reply) => {
    const { event, body } = request.body;
    const tag = program.tags[crc32(event.member) % 64];
    const key = `${Buffer.byteLength(event.member)}:${event.member}`;

    const answer = await redis.fcallBuffer(program.event, 4,
        `${tag}:m:${key}`, `${tag}:x:${key}`, `${tag}:feed`, `${tag}:al`,
        argument(event, body));

    if (answer[0] === 69) {
        reply.code(409);
        return { error: answer.toString('latin1', 1) };
    }

    const { list, balance } = effects(answer);

    return { id: event.id, member: event.member, duplicate: answer[0] === 68,
             effects: list, balances: { points: balance } };
});

app.listen({ host: '127.0.0.1', port: Number(process.argv[3]) });
