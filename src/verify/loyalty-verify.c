
/*
 * loyalty-verify: reads a campaign's files and says whether its draw was what
 * it claims to be.  Exit 0: PASS, 1: FAIL, 2: INCOMPLETE, or wrong usage.
 */

#include "loyalty-verify.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int lv_options(lv_options_t *options, int argc, char *const *argv);
static int lv_option_file(lv_str_t *list, unsigned *n, unsigned max,
    const char *path);
static int lv_option_witness(lv_options_t *options, const char *path);
static int lv_usage(void);
static void lv_verify(lv_t *v);
static int lv_key(lv_t *v);
static void lv_sweepstakes(lv_t *v);
static void lv_instant_win(lv_t *v);
static void lv_nothing(lv_t *v, const unsigned *check, unsigned n,
    const char *why);


int
main(int argc, char *const *argv)
{
    lv_t          v;
    lv_status_e   status;
    lv_options_t  options;

    memset(&v, 0, sizeof(lv_t));
    memset(&options, 0, sizeof(lv_options_t));

    v.options = &options;

    if (!lv_options(&options, argc, argv)) {
        return 2;
    }

    v.md = EVP_MD_CTX_new();

    if (v.md == NULL || !lv_files(&v)) {
        return 2;
    }

    lv_verify(&v);

    status = lv_report(&v);

    if (fflush(stdout) != 0) {
        return 2;
    }

    return status == LV_PASS ? 0 : status == LV_FAIL ? 1 : 2;
}


static int
lv_options(lv_options_t *options, int argc, char *const *argv)
{
    int  c, ok;

    static const struct option  known[] = {
        { "tsa-ca", required_argument, NULL, 't' },
        { "receipt", required_argument, NULL, 'r' },
        { "saved-note", required_argument, NULL, 's' },
        { "witness", required_argument, NULL, 'w' },
        { "game", required_argument, NULL, 'g' },
        { "beacon", required_argument, NULL, 'b' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };

    for ( ;; ) {
        c = getopt_long(argc, argv, "", known, NULL);
        ok = 1;

        switch (c) {

        case -1:
            if (optind != argc - 1) {
                return lv_usage();
            }

            options->dir = argv[optind];
            return 1;

        case 't':
            options->ca = optarg;
            break;

        case 'r':
            ok = lv_option_file(options->receipts, &options->nreceipts, 16,
                                optarg);
            break;

        case 's':
            ok = lv_option_file(options->saved, &options->nsaved, 16, optarg);
            break;

        case 'w':
            ok = lv_option_witness(options, optarg);
            break;

        case 'g':
            options->game.data = (const u_char *) optarg;
            options->game.len = strlen(optarg);
            break;

        case 'b':
            options->chain = optarg;
            break;

        default:
            return lv_usage();
        }

        if (!ok) {
            fprintf(stderr, "loyalty-verify: cannot use \"%s\"\n", optarg);
            return 0;
        }
    }
}


static int
lv_option_file(lv_str_t *list, unsigned *n, unsigned max, const char *path)
{
    return *n < max && lv_map(path, &list[(*n)++]) == 1;
}


/* a file of vkeys of cosigners, one a line */

static int
lv_option_witness(lv_options_t *options, const char *path)
{
    lv_str_t    rest, line;
    lv_vkey_t  *witness;

    if (lv_map(path, &rest) != 1) {
        return 0;
    }

    while (rest.len) {
        if (lv_line(&rest, &line) != 1) {
            return 0;
        }

        options->witness = lv_grow(options->witness, options->nwitnesses,
                                   sizeof(lv_vkey_t));
        witness = &options->witness[options->nwitnesses++];

        if (!lv_vkey_parse(witness, line) || witness->type != 4) {
            return 0;
        }
    }

    return 1;
}


static int
lv_usage(void)
{
    fputs("usage: loyalty-verify [OPTION...] DIR\n"
          "\n"
          "DIR holds vkey and the files of one campaign (docs/proof.md).\n"
          "\n"
          "  --tsa-ca FILE      certificates (PEM) whose timestamps you trust\n"
          "  --saved-note FILE  notes that you saved, or found in a public log,"
          " before\n"
          "                     their round\n"
          "  --witness FILE     keys of witnesses whose cosignatures you"
          " trust\n"
          "  --receipt FILE     a receipt that has to be in the draw\n"
          "  --game NAME        the game's name, where its terms do not say"
          " it\n"
          "  --beacon HASH:KEY  another chain than drand's quicknet\n"
          "\n"
          "A line per check, then the verdict. Exit status: 0 PASS, 1 FAIL,\n"
          "2 INCOMPLETE: what is missing is named.\n", stderr);

    return 0;
}


static void
lv_verify(lv_t *v)
{
    static const unsigned  all[] = {
        1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19
    };

    if (!lv_key(v) || !lv_manifests(v)) {
        lv_nothing(v, all, sizeof(all) / sizeof(all[0]),
                   "no manifest to go by");
        return;
    }

    if (v->last->kind == 1) {
        lv_close(v);
        lv_dqs(v);

    } else {
        lv_heads(v);
    }

    lv_outsiders(v);
    lv_evidence(v);
    lv_beacons(v);
    lv_reveal(v);

    if (v->last->kind == 1) {
        lv_sweepstakes(v);

    } else {
        lv_instant_win(v);
    }

    lv_receipts(v);
    lv_beacons_done(v);
}


static int
lv_key(lv_t *v)
{
    lv_str_t  rest, line;

    rest = lv_file(v, "vkey");

    if (rest.len == 0) {
        lv_incomplete(v, 2, "the file vkey is missing");
        return 0;
    }

    if (lv_line(&rest, &line) != 1 || rest.len
        || !lv_vkey_parse(&v->vkey, line) || v->vkey.type != 1)
    {
        lv_fail(v, 2, "vkey is malformed");
        return 0;
    }

    return 1;
}


static void
lv_sweepstakes(lv_t *v)
{
    static const unsigned  none[] = { 3, 12, 13, 15 };

    unsigned  i;

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        lv_info(v, none[i], "not of a sweepstakes");
    }

    lv_entries(v);
    lv_entry_limits(v);
    lv_dqs_dated(v);
    lv_draw(v);
    lv_winners(v);
}


static void
lv_instant_win(lv_t *v)
{
    static const unsigned  none[] = { 8, 9, 10, 16 };

    unsigned  i;

    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        lv_info(v, none[i], "not of an instant win");
    }

    lv_heads_sort(v);
    lv_chain(v);
    lv_plays(v);
}


static void
lv_nothing(lv_t *v, const unsigned *check, unsigned n, const char *why)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        lv_incomplete(v, check[i], "%s", why);
    }
}
