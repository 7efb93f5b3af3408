/*
 * Timestamps, against an authority of our own: "openssl ts" answers what
 * loyalty_tsa_request() asks, and every way of being wrong is refused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>

#include "loyalty_tsa.h"


typedef struct {
    size_t         n;
    unsigned char  data[LOYALTY_TSA_SIZE + 1];
} file_t;


static void run(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
static void put(const char *name, const void *data, size_t n);
static void get(const char *name, file_t *file);
static void config(const char *more);
static void certificate(const char *name, const char *usage, int days);
static void ask(const unsigned char *hash, const unsigned char *nonce);
static void answer(const char *signer, const char *more);
static void refused(const file_t *file, const unsigned char *hash,
    const unsigned char *nonce, void *trust, const char *error);


static char  dir[] = "/tmp/loyalty-tsa-XXXXXX";

static const unsigned char  hash_a[LOYALTY_TSA_HASH] = { 1, 2, 3 };
static const unsigned char  hash_b[LOYALTY_TSA_HASH] = { 1, 2, 4 };
static const unsigned char  nonce_a[LOYALTY_TSA_NONCE] = { 0xff, 1, 2, 3 };
static const unsigned char  nonce_0[LOYALTY_TSA_NONCE] = { 0 };


/* in the directory, silently */

static void
run(const char *fmt, ...)
{
    int      n;
    char     command[2048];
    va_list  args;

    n = snprintf(command, sizeof(command), "cd %s && { ", dir);

    va_start(args, fmt);
    n += vsnprintf(command + n, sizeof(command) - (size_t) n, fmt, args);
    va_end(args);

    assert_true((size_t) n < sizeof(command) - 32);
    strcat(command, "; } > out.log 2>&1");

    if (system(command) != 0) {
        fail_msg("see out.log: %s", command);
    }
}


static void
put(const char *name, const void *data, size_t n)
{
    char   path[256];
    FILE  *f;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}


static void
get(const char *name, file_t *file)
{
    char   path[256];
    FILE  *f;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    file->n = fread(file->data, 1, sizeof(file->data), f);
    assert_int_equal(fclose(f), 0);
    assert_true(file->n > 0 && file->n <= LOYALTY_TSA_SIZE);
}


static void
config(const char *more)
{
    char  text[1024];

    (void) snprintf(text, sizeof(text),
                    "[tsa]\ndefault_tsa = a\n[a]\nserial = %s/serial\n"
                    "signer_digest = sha256\ndefault_policy = 1.2.3.4\n"
                    "digests = sha1, sha256\naccuracy = secs:1\n"
                    "ordering = no\ntsa_name = yes\n%s\n", dir, more);
    put("ts.cnf", text, strlen(text));
}


static void
certificate(const char *name, const char *usage, int days)
{
    char  text[128];

    (void) snprintf(text, sizeof(text), "extendedKeyUsage=%s\n", usage);
    put("ext", text, strlen(text));

    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-subj /CN=%s -keyout %s.key -out csr && "
        "openssl x509 -req -days %d -in csr -CA ca.crt -CAkey ca.key "
        "-CAcreateserial -extfile ext -out %s.crt", name, name, days, name);
}


static void
ask(const unsigned char *hash, const unsigned char *nonce)
{
    size_t         n;
    unsigned char  request[LOYALTY_TSA_REQUEST];

    n = loyalty_tsa_request(request, hash, nonce);
    assert_true(n > 0 && n <= sizeof(request));
    put("request", request, n);
}


static void
answer(const char *signer, const char *more)
{
    run("openssl ts -reply -config ts.cnf -queryfile request -signer %s.crt "
        "-inkey %s.key -out response %s", signer, signer, more);
}


static void
refused(const file_t *file, const unsigned char *hash,
    const unsigned char *nonce, void *trust, const char *error)
{
    loyalty_tsa_t  tsa;

    assert_int_equal(loyalty_tsa_response(&tsa, file->data, file->n, hash,
                                          nonce, trust), -1);
    assert_null(tsa.token);
    assert_int_equal(tsa.time, 0);
    assert_int_equal(ERR_peek_error(), 0);

    if (strstr(tsa.error, error) == NULL) {
        fail_msg("\"%s\" in place of \"%s\"", tsa.error, error);
    }
}


static int
authority(void **state)
{
    assert_non_null(mkdtemp(dir));

    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt && "
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        "-nodes -days 2 -subj /CN=other -keyout other.key -out other.crt && "
        "echo 01 > serial");
    certificate("tsa", "critical,timeStamping", 2);
    certificate("server", "serverAuth", 2);
    config("clock_precision_digits = 3");

    return 0;
}


static int
remove_all(void **state)
{
    char  command[64];

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command);
}


static void
test_request(void **state)
{
    file_t  text;

    ask(hash_a, nonce_a);
    run("openssl ts -query -in request -text > text");
    get("text", &text);
    text.data[text.n] = '\0';

    assert_non_null(strstr((char *) text.data, "Version: 1"));
    assert_non_null(strstr((char *) text.data, "Hash Algorithm: sha256"));
    assert_non_null(strstr((char *) text.data, "01 02 03 00 00"));
    assert_non_null(strstr((char *) text.data, "Nonce: 0xFF01020300000000"));
    assert_non_null(strstr((char *) text.data, "Certificate required: yes"));
}


static void
test_response(void **state)
{
    void           *trust, *stranger;
    char            path[64];
    file_t          file, token;
    int64_t         now;
    loyalty_tsa_t   tsa;

    (void) snprintf(path, sizeof(path), "%s/ca.crt", dir);
    trust = loyalty_tsa_trust(path);
    assert_non_null(trust);
    (void) snprintf(path, sizeof(path), "%s/other.crt", dir);
    stranger = loyalty_tsa_trust(path);
    assert_non_null(stranger);

    ask(hash_a, nonce_a);
    answer("tsa", "");
    get("response", &file);

    assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n, hash_a,
                                          nonce_a, NULL), 0);

    now = (int64_t) time(NULL) * 1000;
    assert_true(tsa.time > now - 60000 && tsa.time < now + 2000);

    assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n, hash_a,
                                          nonce_a, trust), 0);
    assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n, hash_a,
                                          NULL, trust), 0);
    assert_int_equal(ERR_peek_error(), 0);

    refused(&file, hash_b, nonce_a, NULL, "over another hash");
    refused(&file, hash_a, nonce_0, NULL, "answers another request");
    refused(&file, hash_a, nonce_a, stranger, "was not accepted");

    /* the token is what openssl makes of it, byte for byte */

    put("token", tsa.token, tsa.len);
    run("openssl ts -reply -in response -token_out -out token2 && "
        "cmp token token2");

    get("token2", &token);
    assert_int_equal(loyalty_tsa_token(&tsa, token.data, token.n, hash_a,
                                       nonce_a, trust), 0);
    assert_ptr_equal(tsa.token, token.data);
    assert_int_equal(tsa.len, token.n);
    assert_int_equal(loyalty_tsa_token(&tsa, token.data, token.n, hash_b,
                                       nonce_a, trust), -1);
    assert_int_equal(loyalty_tsa_token(&tsa, token.data, token.n - 1, hash_a,
                                       NULL, NULL), -1);
    token.data[token.n] = 0;
    assert_int_equal(loyalty_tsa_token(&tsa, token.data, token.n + 1, hash_a,
                                       NULL, NULL), -1);
    assert_int_equal(loyalty_tsa_token(&tsa, token.data, 0, hash_a, NULL,
                                       NULL), -1);
    assert_int_equal(loyalty_tsa_token(&tsa, file.data, file.n, hash_a, NULL,
                                       NULL), -1);

    loyalty_tsa_trust_free(trust);
    loyalty_tsa_trust_free(stranger);

    (void) snprintf(path, sizeof(path), "%s/absent.crt", dir);
    assert_null(loyalty_tsa_trust(path));
    (void) snprintf(path, sizeof(path), "%s/serial", dir);
    assert_null(loyalty_tsa_trust(path));
    assert_int_equal(ERR_peek_error(), 0);
}


/* its time is the one that openssl shows, whatever part of a second it has */

static void
test_time(void **state)
{
    int            digits;
    char           more[64];
    file_t         file, out;
    loyalty_tsa_t  tsa;

    ask(hash_a, nonce_a);

    for (digits = 0; digits <= 6; digits++) {
        (void) snprintf(more, sizeof(more), "clock_precision_digits = %d",
                        digits);
        config(more);
        answer("tsa", "");
        get("response", &file);

        assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n,
                                              hash_a, nonce_a, NULL), 0);

        run("openssl ts -reply -in response -text "
            "| sed -n 's/^Time stamp: //p' > when && "
            "date -u -d \"$(cat when)\" +%%s%%3N > ms");
        get("ms", &out);
        out.data[out.n] = '\0';
        assert_true(tsa.time == strtoll((char *) out.data, NULL, 10));
        assert_true(digits != 0 || tsa.time % 1000 == 0);
    }

    config("clock_precision_digits = 3");
}


static void
test_refused(void **state)
{
    file_t         file;
    loyalty_tsa_t  tsa;

    /* the same statement, signed by who is no authority of timestamps */

    ask(hash_a, nonce_a);
    answer("tsa", "-token_out");
    run("openssl cms -verify -noverify -inform DER -in response -out info");

    run("openssl cms -sign -binary -nodetach -cades -md sha256 "
        "-econtent_type 1.2.840.113549.1.9.16.1.4 -in info -outform DER "
        "-signer tsa.crt -inkey tsa.key -out token");
    get("token", &file);
    assert_int_equal(loyalty_tsa_token(&tsa, file.data, file.n, hash_a,
                                       nonce_a, NULL), 0);

    run("openssl cms -sign -binary -nodetach -cades -md sha256 "
        "-econtent_type 1.2.840.113549.1.9.16.1.4 -in info -outform DER "
        "-signer server.crt -inkey server.key -out token");
    get("token", &file);
    assert_int_equal(loyalty_tsa_token(&tsa, file.data, file.n, hash_a,
                                       nonce_a, NULL), -1);
    assert_non_null(strstr(tsa.error, "was not accepted"));

    /* and signed by two */

    run("openssl cms -sign -binary -nodetach -cades -md sha256 "
        "-econtent_type 1.2.840.113549.1.9.16.1.4 -in info -outform DER "
        "-signer tsa.crt -inkey tsa.key -signer server.crt "
        "-inkey server.key -out token");
    get("token", &file);
    assert_int_equal(loyalty_tsa_token(&tsa, file.data, file.n, hash_a,
                                       nonce_a, NULL), -1);
    assert_non_null(strstr(tsa.error, "one signer"));

    /* an authority that does not serve such requests */

    ask(hash_a, nonce_0);
    config("digests = sha1");
    answer("tsa", "");
    get("response", &file);
    refused(&file, hash_a, nonce_0, NULL, "the authority refused: status 2");
    config("clock_precision_digits = 3");

    /* a token without its certificate */

    run("openssl ts -query -digest 0102030000000000000000000000000000000000"
        "000000000000000000000000 -sha256 -no_nonce -out request");
    answer("tsa", "");
    get("response", &file);
    refused(&file, hash_a, NULL, NULL, "certificate of its one signer");
    refused(&file, hash_a, nonce_0, NULL, "answers another request");

    /* another kind of hash */

    run("openssl ts -query -digest 01020300000000000000000000000000000000ff "
        "-sha1 -cert -no_nonce -out request");
    answer("tsa", "");
    get("response", &file);
    refused(&file, hash_a, NULL, NULL, "over another hash");

    /* no response at all */

    file.n = 0;
    refused(&file, hash_a, NULL, NULL, "empty");
    file.n = LOYALTY_TSA_SIZE + 1;
    refused(&file, hash_a, NULL, NULL, "too large");
    file.n = 6;
    memcpy(file.data, "<html>", 6);
    refused(&file, hash_a, NULL, NULL, "no TimeStampResp");
    memcpy(file.data, "\x30\x03\x30\x01\x02", 5);
    file.n = 5;
    refused(&file, hash_a, NULL, NULL, "no TimeStampResp");
    memcpy(file.data, "\x30\x05\x30\x03\x02\x01\x00", 7);
    file.n = 7;
    refused(&file, hash_a, NULL, NULL, "no TimeStampResp");
}


/*
 * Each byte changed, each length cut: what is still taken has the same time,
 * and a token that libcrypto takes for the same hash and nonce.
 */

static void
test_changed(void **state)
{
    void           *trust;
    char            path[64];
    size_t          i, n, taken;
    file_t          file;
    int64_t         ms;
    loyalty_tsa_t   tsa;

    (void) snprintf(path, sizeof(path), "%s/ca.crt", dir);
    trust = loyalty_tsa_trust(path);
    assert_non_null(trust);

    ask(hash_a, nonce_a);
    answer("tsa", "");
    get("response", &file);

    assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n, hash_a,
                                          nonce_a, trust), 0);
    ms = tsa.time;
    taken = 0;

    for (i = 0; i < file.n; i++) {
        file.data[i] ^= 0x01;

        if (loyalty_tsa_response(&tsa, file.data, file.n, hash_a, nonce_a,
                                 trust) == 0)
        {
            assert_true(tsa.time == ms);
            taken++;
        }

        file.data[i] ^= 0x01;
    }

    /* "granted" has become "granted with modifications", and the like */

    assert_true(taken < 16);

    for (n = 0; n < file.n; n += (n < 64) ? 1 : 17) {
        assert_int_equal(loyalty_tsa_response(&tsa, file.data, n, hash_a,
                                              nonce_a, trust), -1);
    }

    assert_int_equal(ERR_peek_error(), 0);
    loyalty_tsa_trust_free(trust);
}


/* an authority whose certificate was not yet valid, and one that ran out */

static void
test_validity(void **state)
{
    void           *trust;
    char            path[64];
    file_t          file;
    loyalty_tsa_t   tsa;

    (void) snprintf(path, sizeof(path), "%s/ca.crt", dir);
    trust = loyalty_tsa_trust(path);
    assert_non_null(trust);

    certificate("old", "critical,timeStamping", 0);
    ask(hash_a, nonce_a);
    answer("old", "");
    get("response", &file);

    refused(&file, hash_a, nonce_a, trust, "was not accepted");
    refused(&file, hash_a, nonce_a, NULL, "was not accepted");

    /* the one before must not have left its time behind */

    answer("tsa", "");
    get("response", &file);
    assert_int_equal(loyalty_tsa_response(&tsa, file.data, file.n, hash_a,
                                          nonce_a, trust), 0);

    loyalty_tsa_trust_free(trust);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_validity),
    };

    return cmocka_run_group_tests(tests, authority, remove_all);
}
