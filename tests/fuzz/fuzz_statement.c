/*
 * Statements, proofs and notes from elsewhere: what is read at all is written
 * again to the same bytes.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loyalty_merkle.h"
#include "loyalty_note.h"
#include "loyalty_statement.h"


#define codec(kind, type)                                                     \
                                                                              \
static void                                                                   \
fuzz_##kind(const uint8_t *data, size_t size)                                 \
{                                                                             \
    type           fields;                                                    \
    unsigned char  same[1024];                                                \
                                                                              \
    if (loyalty_##kind##_decode(data, size, &fields) != 0) {                  \
        return;                                                               \
    }                                                                         \
                                                                              \
    if (loyalty_##kind##_encode(same, sizeof(same), &fields) != size          \
        || memcmp(same, data, size) != 0)                                     \
    {                                                                         \
        abort();                                                              \
    }                                                                         \
}

codec(manifest, loyalty_manifest_t)
codec(entry, loyalty_entry_t)
codec(playrec, loyalty_playrec_t)
codec(close, loyalty_close_t)
codec(tree_head, loyalty_tree_head_t)
codec(dq, loyalty_dq_t)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_prizes(const uint8_t *data, size_t size);
static void fuzz_evidence(const uint8_t *data, size_t size);
static void fuzz_frontier(const uint8_t *data, size_t size);
static void fuzz_note(const uint8_t *data, size_t size);


static void
fuzz_prizes(const uint8_t *data, size_t size)
{
    uint32_t              i, count;
    unsigned char        *same;
    loyalty_prize_t      *prizes;
    const unsigned char  *row;

    if (loyalty_prizes_decode(data, size, &count, &row) != 0) {
        return;
    }

    prizes = malloc(count * sizeof(loyalty_prize_t));
    same = malloc(size);

    if (prizes == NULL || same == NULL) {
        abort();
    }

    for (i = 0; i < count; i++) {
        row = loyalty_prizes_next(row, &prizes[i]);
    }

    if (loyalty_prizes_len(prizes, count) != size
        || loyalty_prizes_encode(same, size, prizes, count) != size
        || memcmp(same, data, size) != 0)
    {
        abort();
    }

    free(prizes);
    free(same);
}


static void
fuzz_evidence(const uint8_t *data, size_t size)
{
    uint32_t             i;
    unsigned char       *same;
    loyalty_file_t      *files;
    loyalty_evidence_t   e;

    if (loyalty_evidence_decode(data, size, &e) != 0) {
        return;
    }

    files = malloc((e.count + 1) * sizeof(loyalty_file_t));
    same = malloc(size);

    if (files == NULL || same == NULL) {
        abort();
    }

    for (i = 0; i < e.count; i++) {
        loyalty_evidence_next(&e, &files[i]);
    }

    if (loyalty_evidence_encode(same, size, e.cid, e.t, files, e.count)
        != size
        || memcmp(same, data, size) != 0)
    {
        abort();
    }

    free(files);
    free(same);
}


static void
fuzz_frontier(const uint8_t *data, size_t size)
{
    unsigned char     root[LOYALTY_HASH], same[LOYALTY_MERKLE_LEN];
    loyalty_merkle_t  tree;

    if (loyalty_merkle_read(&tree, data, size) != 0) {
        return;
    }

    if (loyalty_merkle_write(&tree, same) != size
        || memcmp(same, data, size) != 0
        || loyalty_merkle_root(&tree, root) != 0)
    {
        abort();
    }
}


/* no signature is guessed; what goes before it is read all the same */

static void
fuzz_note(const uint8_t *data, size_t size)
{
    size_t             n;
    unsigned char      buf[256], seed[LOYALTY_HASH];
    unsigned char      vkey[LOYALTY_VKEY_MAX];
    loyalty_signkey_t  key;

    memset(seed, 1, sizeof(seed));

    if (loyalty_signkey_init(&key, "shop", 4, seed) != 0) {
        abort();
    }

    (void) loyalty_note_open(&key, LOYALTY_NOTE_CLOSE, data, size, buf,
                             sizeof(buf), &n);
    loyalty_signkey_free(&key);

    if (loyalty_signkey_vkey(&key, data, size) == 0) {
        n = loyalty_vkey(vkey, &key);

        if (n != size || memcmp(vkey, data, size) != 0) {
            abort();
        }

        loyalty_signkey_free(&key);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_manifest(data, size);
    fuzz_entry(data, size);
    fuzz_playrec(data, size);
    fuzz_close(data, size);
    fuzz_tree_head(data, size);
    fuzz_dq(data, size);
    fuzz_prizes(data, size);
    fuzz_evidence(data, size);
    fuzz_frontier(data, size);
    fuzz_note(data, size);

    return 0;
}
