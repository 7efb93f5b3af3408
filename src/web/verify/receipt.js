/*
 * V11: a receipt that somebody kept.  Its record is in the published file,
 * byte for byte, which with V09 or V03 is its place in the tree; its signature
 * shows that the operator gave it; its last lines open the entry's commitment.
 */

import { bytesOf, concat, lines, lp, same, unbase64, unhex, View }
    from './bytes.js';
import { ENTRY } from './entries.js';
import { H, tag } from './hash.js';
import { signed } from './note.js';
import { PLAY } from './plays.js';


export function checkReceipts(c) {
    const { receipts } = c.options;

    receipts.forEach((file, i) => {
        const receipt = parse(c, file);

        if (receipt) check(c, receipt);
        else c.report.fail(11, `receipt ${i + 1} is malformed`);
    });

    c.report.info(11, receipts.length ? `${receipts.length}`
                                      : 'none was given');
}

function parse(c, file) {
    const { lines: all, cut } = lines(file);
    const size = c.last.kind === 1 ? ENTRY : PLAY;

    const take = (name) => {
        if (!all[0]?.startsWith(`${name} `)) return null;
        return all.shift().slice(name.length + 1);
    };

    if (cut || all.shift() !== 'nginx-loyalty/1 receipt') return null;

    const receipt = { record: unhex(take('record') ?? 'x', size) };

    if (!receipt.record) return null;

    const signature = take('signature');

    if (signature !== null) {
        receipt.signature = unbase64(signature);
        if (receipt.signature?.length !== 64) return null;
    }

    if (all.length === 0) return receipt;

    receipt.salt = unhex(take('salt') ?? 'x', 16);
    receipt.member = take('member');
    receipt.event = take('event');

    return c.last.kind === 1 && receipt.salt && receipt.member
           && receipt.event && all.length === 0 ? receipt : null;
}

function check(c, receipt) {
    const { report, last } = c;
    const { record } = receipt;
    const entry = last.kind === 1;
    const records = c.file(entry ? 'entries' : 'log');

    /* T("entry") and T("playrec"), and the cid */

    const at = entry ? 38 : 40;
    const v = new View(record);
    const seq = v.u64(at);

    if (!same(v.part(at - 16, 16), last.cid)) {
        report.fail(11, 'a receipt is of another campaign');
        return;
    }

    if (receipt.signature) {
        if (!signed(c.key.key, receipt.signature,
                    concat(tag('receipt'), record)))
        {
            report.fail(2, "the signature of a receipt is not the key's");
        }
    } else if (entry || (v.u32(153) & 3) === 1) {
        report.incomplete(11, 'a receipt has no signature');
    }

    if (!records) {
        report.incomplete(11, 'there are no records to find a receipt in');
        return;
    }

    const start = seq * record.length;

    if (!(seq >= 0 && start + record.length <= records.length)
        || !same(records.subarray(start, start + record.length), record))
    {
        report.fail(11, `the record of a receipt, number ${v.big(at)}, is not`
                        + ' among the published ones');
        return;
    }

    if (receipt.member && !opens(receipt)) {
        report.fail(11, 'the member or event of a receipt is not the one that'
                        + ' entered');
    }
}

function opens({ record, salt, member, event }) {
    const what = concat(lp(bytesOf(member)), lp(bytesOf(event)));

    return same(H(tag('entry-commit'), lp(salt), lp(what)),
                record.subarray(98, 130));
}
