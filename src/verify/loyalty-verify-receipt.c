
/*
 * V11: a receipt that somebody kept.  Its record is in the published file, byte
 * for byte, which with V09 or V03 is its place in the tree; its signature shows
 * that the operator gave it; and its last lines open the entry's commitment.
 */

#include "loyalty-verify.h"

#include <stdlib.h>
#include <string.h>


typedef struct {
    u_char     record[LV_PLAY];
    size_t     len;
    u_char    *signature;
    u_char     salt[16];
    lv_str_t   member;
    lv_str_t   event;
} lv_receipt_t;


static int lv_receipt_read(lv_t *v, lv_str_t rest, lv_receipt_t *receipt);
static void lv_receipt_check(lv_t *v, lv_receipt_t *receipt);
static int lv_receipt_signed(lv_t *v, lv_receipt_t *receipt);
static int lv_receipt_opens(lv_receipt_t *receipt);


void
lv_receipts(lv_t *v)
{
    unsigned      i;
    lv_receipt_t  receipt;

    for (i = 0; i < v->options->nreceipts; i++) {
        memset(&receipt, 0, sizeof(lv_receipt_t));

        if (lv_receipt_read(v, v->options->receipts[i], &receipt)) {
            lv_receipt_check(v, &receipt);

        } else {
            lv_fail(v, 11, "receipt %u is malformed", i + 1);
        }

        free(receipt.signature);
    }

    if (i) {
        lv_info(v, 11, "%u", i);

    } else {
        lv_info(v, 11, "none was given");
    }
}


static int
lv_receipt_read(lv_t *v, lv_str_t rest, lv_receipt_t *receipt)
{
    size_t    len;
    lv_str_t  line;

    receipt->len = v->last->kind == 1 ? LV_ENTRY : LV_PLAY;

    if (lv_line(&rest, &line) != 1 || !lv_eq(line, "nginx-loyalty/1 receipt")
        || lv_line(&rest, &line) != 1 || !lv_prefix(&line, "record ")
        || !lv_hex(line, receipt->record, receipt->len))
    {
        return 0;
    }

    if (rest.len == 0) {
        return 1;
    }

    if (lv_line(&rest, &line) != 1) {
        return 0;
    }

    if (lv_prefix(&line, "signature ")) {
        receipt->signature = lv_base64(line, &len);

        if (receipt->signature == NULL || len != 64) {
            return 0;
        }

        if (rest.len == 0) {
            return 1;
        }

        if (lv_line(&rest, &line) != 1) {
            return 0;
        }
    }

    if (v->last->kind != 1 || !lv_prefix(&line, "salt ")
        || !lv_hex(line, receipt->salt, 16)
        || lv_line(&rest, &receipt->member) != 1
        || !lv_prefix(&receipt->member, "member ")
        || lv_line(&rest, &receipt->event) != 1
        || !lv_prefix(&receipt->event, "event "))
    {
        return 0;
    }

    return receipt->member.len && receipt->event.len && rest.len == 0;
}


static void
lv_receipt_check(lv_t *v, lv_receipt_t *receipt)
{
    size_t    at;
    uint64_t  seq;
    lv_str_t  records;

    records = lv_file(v, v->last->kind == 1 ? "entries" : "log");

    /* T("entry") and T("playrec"), and the cid */

    at = v->last->kind == 1 ? 38 : 40;
    seq = lv_get64(receipt->record + at);

    if (memcmp(receipt->record + at - 16, v->last->cid, 16) != 0) {
        lv_fail(v, 11, "a receipt is of another campaign");
        return;
    }

    if (receipt->signature != NULL) {

        if (!lv_receipt_signed(v, receipt)) {
            lv_fail(v, 2, "the signature of a receipt is not the key's");
        }

    } else if (v->last->kind == 1
               || (lv_get32(receipt->record + 153) & 3) == 1)
    {
        lv_incomplete(v, 11, "a receipt has no signature");
    }

    if (records.len == 0) {
        lv_incomplete(v, 11, "there are no records to find a receipt in");
        return;
    }

    if (seq >= records.len / receipt->len
        || memcmp(records.data + seq * receipt->len, receipt->record,
                  receipt->len) != 0)
    {
        lv_fail(v, 11, "the record of a receipt, number %llu, is not among"
                " the published ones", (unsigned long long) seq);
        return;
    }

    if (receipt->member.len && !lv_receipt_opens(receipt)) {
        lv_fail(v, 11, "the member or event of a receipt is not the one that"
                " entered");
    }
}


static int
lv_receipt_signed(lv_t *v, lv_receipt_t *receipt)
{
    u_char    data[256], *p;
    lv_str_t  s;

    p = lv_put(lv_tag(data, "receipt"), receipt->record, receipt->len);

    s.data = data;
    s.len = p - data;

    return lv_signed(v->md, v->vkey.key, receipt->signature, s);
}


static int
lv_receipt_opens(lv_receipt_t *receipt)
{
    u_char      data[128], hash[32], *p;
    SHA256_CTX  ctx;

    SHA256_Init(&ctx);

    p = lv_put32(lv_tag(data, "entry-commit"), 16);
    p = lv_put(p, receipt->salt, 16);
    p = lv_put32(p, 8 + receipt->member.len + receipt->event.len);
    p = lv_put32(p, receipt->member.len);
    SHA256_Update(&ctx, data, p - data);
    SHA256_Update(&ctx, receipt->member.data, receipt->member.len);

    p = lv_put32(data, receipt->event.len);
    SHA256_Update(&ctx, data, p - data);
    SHA256_Update(&ctx, receipt->event.data, receipt->event.len);
    SHA256_Final(hash, &ctx);

    return memcmp(hash, receipt->record + 98, 32) == 0;
}
