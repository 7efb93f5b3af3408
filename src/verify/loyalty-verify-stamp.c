
/*
 * V04: what outsiders say of when a note existed.  A token of RFC 3161 counts
 * when its chain ends at a certificate that the verifier's user pins; its time
 * is read from one that does not, too, since the operator went by it.
 */

#include "loyalty-verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509.h>


static void lv_tokens(lv_t *v);
static void lv_token_line(lv_t *v, X509_STORE *store, lv_str_t line);
static int lv_token_read(PKCS7 *token, u_char imprint[32], int64_t *t);
static int lv_token_trusted(X509_STORE *store, PKCS7 *token,
    const u_char imprint[32], int64_t t);
static int64_t lv_token_time(const ASN1_GENERALIZEDTIME *gt);
static int64_t lv_days(int64_t y, int64_t m, int64_t d);
static X509_STORE *lv_token_store(lv_t *v);
static void lv_versions_dated(lv_t *v);
static void lv_close_dated(lv_t *v);


void
lv_outsiders(lv_t *v)
{
    lv_tokens(v);
    lv_cosignatures(v);
    lv_saved(v);

    lv_versions_dated(v);

    if (v->last->kind == 1) {
        lv_close_dated(v);
    }
}


/* says under check n what is missing for "existed before that moment" */

void
lv_stamped(lv_t *v, unsigned n, const lv_subject_t *subject, int64_t before)
{
    int          len;
    const char  *kind;

    len = (int) subject->kind.len;
    kind = (const char *) subject->kind.data;

    if (subject->token == LV_NEVER) {
        lv_incomplete(v, n, "%.*s %llu has no token in timestamps", len, kind,
                      (unsigned long long) subject->key);
        return;
    }

    if (subject->token >= before) {
        lv_incomplete(v, n, "%.*s %llu has a token that came too late",
                      len, kind, (unsigned long long) subject->key);
        return;
    }

    if (subject->trusted < before) {
        return;
    }

    if (v->options->ca == NULL) {
        lv_incomplete(v, n, "no authority is pinned (--tsa-ca)"
                      " for the token of %.*s %llu", len, kind,
                      (unsigned long long) subject->key);
        return;
    }

    lv_incomplete(v, n, "the token of %.*s %llu leads to no authority"
                  " that is pinned", len, kind,
                  (unsigned long long) subject->key);
}


void
lv_single(lv_t *v, unsigned n, const lv_subject_t *subject, int64_t before)
{
    if (subject->saved || subject->cosigned < before) {
        return;
    }

    lv_incomplete(v, n, "nothing shows that %.*s %llu is the only one:"
                  " neither a witness (--witness)"
                  " nor a saved note (--saved-note)",
                  (int) subject->kind.len, subject->kind.data,
                  (unsigned long long) subject->key);
}


static void
lv_tokens(lv_t *v)
{
    int          rc;
    lv_str_t     rest, line;
    X509_STORE  *store;

    rest = lv_file(v, "timestamps");
    store = lv_token_store(v);

    for ( ;; ) {
        rc = lv_line(&rest, &line);

        if (rc != 1) {
            break;
        }

        lv_token_line(v, store, line);
    }

    if (rc == -1) {
        lv_fail(v, 4, "timestamps is cut off");
    }

    X509_STORE_free(store);
}


static X509_STORE *
lv_token_store(lv_t *v)
{
    FILE        *file;
    X509        *cert;
    unsigned     n;
    X509_STORE  *store;

    if (v->options->ca == NULL) {
        return NULL;
    }

    store = X509_STORE_new();
    file = fopen(v->options->ca, "r");
    n = 0;

    while (store != NULL && file != NULL) {
        cert = PEM_read_X509(file, NULL, NULL, NULL);
        if (cert == NULL) {
            break;
        }

        n += X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }

    if (file != NULL) {
        (void) fclose(file);
    }

    if (n == 0) {
        lv_incomplete(v, 4, "no certificate in \"%s\"", v->options->ca);
        X509_STORE_free(store);
        return NULL;
    }

    return store;
}


static void
lv_token_line(lv_t *v, X509_STORE *store, lv_str_t line)
{
    size_t         i, len;
    u_char        *der, imprint[32];
    PKCS7         *token;
    int64_t        t;
    uint64_t       key;
    unsigned       known;
    lv_str_t       kind, word;
    lv_subject_t  *subject;
    const u_char  *p;

    if (!lv_word(&line, &kind) || !lv_word(&line, &word)
        || !lv_number(word, &key)
        || (!lv_eq(kind, "manifest") && !lv_eq(kind, "dq")
            && !(lv_eq(kind, "close") && key == 0)))
    {
        lv_fail(v, 4, "a malformed line in timestamps");
        return;
    }

    der = lv_base64(line, &len);
    p = der;
    token = der ? d2i_PKCS7(NULL, &p, len) : NULL;

    if (token == NULL || p != der + len || !lv_token_read(token, imprint, &t)) {
        lv_fail(v, 4, "a malformed token of %.*s %llu", (int) kind.len,
                kind.data, (unsigned long long) key);
        PKCS7_free(token);
        free(der);
        return;
    }

    known = 0;

    for (i = 0; i < v->nsubjects; i++) {
        subject = &v->subject[i];

        if (subject->key != key || subject->kind.len != kind.len
            || memcmp(subject->kind.data, kind.data, kind.len) != 0)
        {
            continue;
        }

        known |= 1;

        if (memcmp(subject->hash, imprint, 32) != 0) {
            continue;
        }

        known |= 2;

        if (t < subject->token) {
            subject->token = t;
        }

        if (t < subject->trusted
            && lv_token_trusted(store, token, imprint, t))
        {
            subject->trusted = t;
        }
    }

    if (known == 0) {
        lv_incomplete(v, 4, "there is a token of %.*s %llu, and no such note",
                      (int) kind.len, kind.data, (unsigned long long) key);

    } else if (known == 1) {
        lv_fail(v, 4, "a token of %.*s %llu is over something else",
                (int) kind.len, kind.data, (unsigned long long) key);
    }

    PKCS7_free(token);
    free(der);
}


static int
lv_token_read(PKCS7 *token, u_char imprint[32], int64_t *t)
{
    int               ok;
    X509_ALGOR       *algorithm;
    TS_TST_INFO      *info;
    TS_MSG_IMPRINT   *mi;
    ASN1_OCTET_STRING  *hash;

    info = PKCS7_to_TS_TST_INFO(token);
    if (info == NULL) {
        return 0;
    }

    mi = TS_TST_INFO_get_msg_imprint(info);
    algorithm = TS_MSG_IMPRINT_get_algo(mi);
    hash = TS_MSG_IMPRINT_get_msg(mi);

    *t = lv_token_time(TS_TST_INFO_get_time(info));

    ok = OBJ_obj2nid(algorithm->algorithm) == NID_sha256
         && ASN1_STRING_length(hash) == 32 && *t >= 0;

    if (ok) {
        memcpy(imprint, ASN1_STRING_get0_data(hash), 32);
    }

    TS_TST_INFO_free(info);

    return ok;
}


/* certificates are held against the time that the token claims, not today */

static int
lv_token_trusted(X509_STORE *store, PKCS7 *token, const u_char imprint[32],
    int64_t t)
{
    int             ok;
    u_char         *copy;
    TS_VERIFY_CTX  *ctx;

    if (store == NULL) {
        return 0;
    }

    ctx = TS_VERIFY_CTX_new();
    copy = OPENSSL_malloc(32);

    if (ctx == NULL || copy == NULL || X509_STORE_up_ref(store) != 1) {
        TS_VERIFY_CTX_free(ctx);
        OPENSSL_free(copy);
        return 0;
    }

    memcpy(copy, imprint, 32);

    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), t / 1000);

    TS_VERIFY_CTX_set_flags(ctx, TS_VFY_VERSION | TS_VFY_SIGNATURE
                                 | TS_VFY_IMPRINT);
    TS_VERIFY_CTX_set_imprint(ctx, copy, 32);
    TS_VERIFY_CTX_set_store(ctx, store);

    ok = TS_RESP_verify_token(ctx, token) == 1;

    TS_VERIFY_CTX_free(ctx);

    return ok;
}


/* YYYYMMDDhhmmss[.f...]Z, the one form that RFC 3161 has; -1: another one */

static int64_t
lv_token_time(const ASN1_GENERALIZEDTIME *gt)
{
    int            i, len;
    int64_t        field[6], ms, scale;
    const u_char  *p;

    static const int  width[] = { 4, 2, 2, 2, 2, 2 };

    p = ASN1_STRING_get0_data(gt);
    len = ASN1_STRING_length(gt);

    if (len < 15 || p[len - 1] != 'Z') {
        return -1;
    }

    for (i = 0; i < len - 1; i++) {
        if (i == 14 ? p[i] != '.' : (p[i] < '0' || p[i] > '9')) {
            return -1;
        }
    }

    for (i = 0; i < 6; i++) {
        field[i] = 0;

        for (len = 0; len < width[i]; len++) {
            field[i] = field[i] * 10 + *p++ - '0';
        }
    }

    ms = 0;

    if (*p == '.') {
        p++;

        for (scale = 100; *p != 'Z'; scale /= 10) {
            ms += (*p++ - '0') * scale;
        }
    }

    return ((lv_days(field[0], field[1], field[2]) * 24 + field[3]) * 3600
            + field[4] * 60 + field[5]) * 1000 + ms;
}


/* days since 1970: years begin in March, so that leap days are last */

static int64_t
lv_days(int64_t y, int64_t m, int64_t d)
{
    if (m <= 2) {
        y--;
        m += 12;
    }

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * (m - 3) + 2) / 5 + d
           - 1 - 719468;
}


/*
 * Each manifest had to exist before its round or its predecessor's close; in
 * an instant win its time also says from which epoch on it governs.
 */

static void
lv_versions_dated(lv_t *v)
{
    int64_t        before, round;
    uint32_t       i;
    lv_version_t  *m;
    lv_subject_t  *subject;

    for (i = 0; i < v->nversions; i++) {
        m = &v->version[i];
        subject = &v->subject[m->subject];

        m->from = 1;

        if (i == 0) {
            before = m->kind == 1 ? lv_round_time(m->round)
                     : lv_round_time(lv_round_at(m->open - 6000));

            if (lv_zero(m->chain, 32)) {
                before = m->open;
            }

        } else {
            before = v->version[i - 1].close;
        }

        lv_stamped(v, 4, subject, before);

        if (m->kind == 1) {
            continue;
        }

        if (i) {
            if (subject->token == LV_NEVER) {
                v->undated = 1;
                m->from = LV_NEVER;
                continue;
            }

            m->from = lv_epoch(m, subject->token) + 2;

            if (m->from < 1) {
                m->from = 1;
            }

            if (subject->trusted != LV_NEVER
                && lv_epoch(m, subject->trusted) + 2 != m->from)
            {
                lv_incomplete(v, 4, "version %u governs by a token that leads"
                              " to no authority that is pinned", m->number);
            }
        }

        if (!lv_zero(m->chain, 32)) {
            round = lv_round_time(lv_round_at(lv_epoch_start(m, m->from)
                                              - 6000));
            lv_single(v, 4, subject, round);
        }
    }
}


/* the close note, and the round that the draw waits for */

static void
lv_close_dated(lv_t *v)
{
    lv_subject_t  *subject;

    v->draw_round = v->last->round;

    if (!v->closed) {
        return;
    }

    if (v->last->round == 0) {
        lv_incomplete(v, 4, "seed only: there is no round to be earlier than");
        return;
    }

    subject = &v->subject[v->close_subject];

    lv_stamped(v, 4, subject, lv_round_time(v->last->round));
    lv_single(v, 4, subject, lv_round_time(v->last->round));

    if (subject->token == LV_NEVER) {
        v->unknown_round = 1;
        return;
    }

    if (subject->token >= lv_round_time(v->last->round)) {
        v->late = 1;
        v->draw_round = lv_round_at(subject->token + 30 * 60 * 1000) + 1;
    }
}
