/*
 * The pass over an instant win's log: V03, V13 and V15 of each record, and V12
 * for the epochs that it needed.
 */

import { concat, NONE, same, u32, u64, View, zero } from './bytes.js';
import { Key, leaf, pick48, tag, Tree } from './hash.js';
import { MOMENTS } from './manifest.js';
import { Replay } from './replay.js';
import { running } from './state.js';
import { date, epochAt, epochEnd, epochStart, roundAt, roundTime }
    from './time.js';


export const PLAY = 189;

const EPOCHS = 1 << 23;
const ROUNDS = 2 ** 37;
const Z = new Uint8Array(32);

/* a ctr above 0 has a chance of 2^-40 at most */
const CTR = 16;

const UNDATED = 'it cannot be known which version governs';


export function checkPlays(c) {
    const bytes = c.file('log') ?? new Uint8Array(0);

    if (bytes.length % PLAY) {
        c.report.fail(14, 'log is not made of records');
        return;
    }

    if (c.undated) {
        for (const check of [12, 13, 14]) c.report.incomplete(check, UNDATED);
    }

    for (const m of c.versions) {
        if (m.strange) {
            c.report.incomplete(14, `a limit in terms-${m.number} is not`
                                    + ' understood');
        }
    }

    const plays = new Plays(c, bytes);

    plays.run();
    plays.epochs();

    if (plays.sealed) {
        c.report.incomplete(13, `${plays.sealed} plays of epochs whose c is`
                                + ' not revealed');
    }

    c.report.info(14, `${plays.n} plays`);
    c.report.info(15, `${plays.degraded} of ${plays.n} plays`);

    if (c.undated) c.report.incomplete(18, UNDATED);
    else plays.replay.stock();

    c.report.info(17, 'the winners are the records with status 1');

    c.plays = { n: plays.n, degraded: plays.degraded,
                wins: plays.replay.wins };
}

/* the version with the highest number among those that have begun */

export function governs(c, e) {
    let i = c.versions.length - 1;

    while (i && c.versions[i].from > e) i--;

    return c.versions[i];
}


class Plays {
    constructor(c, bytes) {
        this.c = c;
        this.view = new View(bytes);
        this.n = bytes.length / PLAY;
        this.head = concat(tag('playrec'), c.last.cid);
        this.played = new Set();
        this.lastEpoch = 0;
        this.newest = 0;
        this.degraded = 0;
        this.sealed = 0;             /* plays of epochs whose c is not there */
        this.keys = [{ e: 0, key: null }, { e: 0, key: null }];
        this.replay = new Replay(c, this);
        this.message = null;
    }

    run() {
        const { c } = this;
        const tree = new Tree();
        let latest = 0, next = 0;

        /* the heads of the size that the tree has now */

        const heads = () => {
            const size = BigInt(tree.size);
            let root = null;

            for (; next < c.heads.length && c.heads[next].size === size;
                 next++)
            {
                const head = c.heads[next];

                root ??= tree.root();
                latest = Math.max(latest, head.t);

                if (!same(root, head.root)) {
                    c.report.fail(3, 'the log has another root than the head'
                                     + ` of ${head.size} records`);
                }
            }
        };

        for (let seq = 0; seq < this.n; seq++) {
            if (seq % 4096 === 0) c.progress('log', seq, this.n);
            if (next < c.heads.length) heads();

            this.play(this.read(seq), latest);
            tree.add(leaf(this.view.part(seq * PLAY, PLAY)));
        }

        heads();
        c.progress('log', this.n, this.n);

        if (next < c.heads.length) this.short(c.heads[next]);

        this.closed();
    }

    short(head) {
        const { report } = this.c;

        if (this.n === 0) {
            for (const check of [3, 13, 14])
                report.incomplete(check, 'the file log is missing');
        } else {
            report.fail(3, `a head counts ${head.size} records, the log has`
                           + ` ${this.n}`);
        }
    }

    /* the head that says that no record follows */

    closed() {
        const { c } = this;

        if (!c.heads.some((h) => !h.foreign && h.size === BigInt(this.n)
                                 && h.t >= c.last.close))
        {
            c.report.incomplete(3, running(c)
                ? `running, until ${date(c.last.close)}: the head of the`
                  + ' whole log is yet to come'
                : 'there is no head of the whole log after the close');
        }
    }

    /* T("playrec") is 24 bytes */

    read(seq) {
        const { view } = this;
        const at = seq * PLAY;

        return {
            seq, at, t: view.u64(at + 48), e: view.u32(at + 56),
            round: view.u64(at + 60), idx: view.u32(at + 116),
            ctr: view.u32(at + 120), mode: view.bytes[at + 124],
            n: view.u64(at + 125), r: view.u64(at + 133),
            tier: view.u32(at + 141), serial: view.u64(at + 145),
            status: view.u32(at + 153),
        };
    }

    play(p, latest) {
        const { c } = this;

        if (!this.form(p)) {
            c.report.fail(14, `play ${p.seq} is malformed or outside its`
                              + ' time');
            return;
        }

        if (p.t > c.latest) c.latest = p.t;

        if (p.t < latest - 1500) {
            c.report.fail(14, `play ${p.seq} is older than a head that lacks`
                              + ' it');
        }

        this.played.add(p.e);

        if (p.e > this.lastEpoch) this.lastEpoch = p.e;

        if (c.undated) return;

        this.rounds(p);
        this.random(p);
        this.replay.play(p);
    }

    form(p) {
        const { view } = this;
        const m = governs(this.c, p.e);

        this.m = m;

        return same(view.part(p.at, 40), this.head)
               && view.u64(p.at + 40) === p.seq && p.mode === m.mode
               && p.t >= m.open && p.t < m.close && p.e < EPOCHS
               && epochAt(m, p.t) === p.e && p.round >= 0 && p.round < ROUNDS
               && (p.status & ~0x103) === 0;
    }

    /* V15: an older round than the time of the play asks for, within bounds */

    rounds(p) {
        const { m } = this;
        const { report } = this.c;

        if (p.status & 0x100) {
            this.degraded++;

            if (!(m.flags & 1)) {
                report.fail(15, `play ${p.seq} is degraded, which the`
                                + ' manifest does not allow');
            } else if (p.mode === MOMENTS || !m.beacon
                       || p.round >= roundAt(p.t - 6000)
                       || p.round + 1 < this.newest
                       || roundTime(p.round) < p.t - 600000)
            {
                report.fail(15, `play ${p.seq} is degraded beyond what is`
                                + ' allowed');
            }
        }

        if (p.round > this.newest) this.newest = p.round;
    }

    /* null: the secret or the round of the epoch is missing */

    epochKey(m, e) {
        const slot = this.keys[e % 2];

        if (slot.e === e) return slot.key;

        slot.e = e;
        slot.key = null;

        const secret = e <= m.epochs && m.secrets?.get(e);

        if (!secret) return null;

        const round = m.beacon ? roundAt(epochStart(m, e) - 6000) : 0;
        const beacon = m.beacon ? this.c.beacon.at(round) : Z;

        if (!beacon) return null;

        slot.key = new Key(new Key(secret).mac(
            concat(tag('epoch-key'), m.mh, u32(e), m.chain, u64(round),
                   beacon)));

        return slot.key;
    }

    /* V13: the random value, and that none was skipped for a better one */

    random(p) {
        const { m, view } = this;
        const { report } = this.c;
        const told = view.part(p.at + 157, 32);

        if (p.mode === MOMENTS) {
            if (p.round || p.idx || p.ctr || !zero(told)) {
                report.fail(13, `play ${p.seq} has a random value, and is`
                                + ' drawn by moments');
            }
            return;
        }

        const beacon = m.beacon ? this.c.beacon.at(p.round) : Z;

        if (!beacon) {
            report.incomplete(13, `play ${p.seq}: round ${p.round} is missing`
                                  + ' in beacons');
            return;
        }

        if (p.round !== (m.beacon ? roundAt(p.t - 6000) : 0)
            && !(p.status & 0x100))
        {
            report.fail(13, `play ${p.seq} rests on another round than that`
                            + ' of its time');
            return;
        }

        const key = this.epochKey(m, p.e);

        if (!key && !(p.e <= m.epochs && m.secrets?.has(p.e))) {
            this.sealed++;
            return;
        }

        if (!key) {
            report.incomplete(13, `play ${p.seq}: nothing to recompute epoch`
                                  + ` ${p.e} from`);
            return;
        }

        if (!(p.n > 0 && p.n < 2 ** 40) || p.ctr > CTR) {
            report.fail(13, `play ${p.seq} cannot have been drawn`);
            return;
        }

        let u, r;

        for (let ctr = 0; ctr <= p.ctr; ctr++) {
            u = key.mac(this.data(p, beacon, ctr));
            r = pick48(u, p.n);

            if ((r !== NONE) !== (ctr === p.ctr)) {
                report.fail(13, `play ${p.seq} has not the least ctr`);
                return;
            }
        }

        if (!same(u, told) || r !== p.r)
            report.fail(13, `play ${p.seq} has another u or r`);
    }

    /* T("play") ‖ mh ‖ u32 e ‖ u64 R_p ‖ B ‖ person ‖ u32 idx ‖ u32 ctr */

    data(p, beacon, ctr) {
        if (this.message?.m !== this.m) {
            const start = concat(tag('play'), this.m.mh);
            const bytes = concat(start, new Uint8Array(84));

            this.message = { m: this.m, start: start.length, bytes,
                             view: new DataView(bytes.buffer) };
        }

        const { start, bytes, view } = this.message;

        bytes.set(this.view.part(p.at + 56, 12), start);
        bytes.set(beacon, start + 12);
        bytes.set(this.view.part(p.at + 68, 32), start + 44);
        view.setUint32(start + 76, p.idx);
        view.setUint32(start + 80, ctr);

        return bytes;
    }

    /*
     * V12: the epochs that the log needs have been revealed.  A c_e is
     * published some seconds after its epoch: 60 s after it, nothing excuses
     * its absence.
     */

    epochs() {
        const { c } = this;

        for (let e = 1; e < EPOCHS; e++) {
            const m = governs(c, e);

            if (e > m.epochs) {
                if (m === c.last || e > this.lastEpoch) break;
                continue;
            }

            if ((m.mode !== MOMENTS && !this.played.has(e))
                || m.secrets?.has(e))
            {
                continue;
            }

            if (c.undated || c.latest < epochEnd(m, e) + 60000)
                c.report.incomplete(12, `c of epoch ${e} is not revealed`
                                        + ' yet');
            else
                c.report.fail(12, `c of epoch ${e} is withheld`);
        }
    }
}
