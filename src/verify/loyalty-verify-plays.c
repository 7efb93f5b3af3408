
/*
 * The pass over an instant win's log: V03 and what calls V13, V14 and V15 for
 * each record, then V12 for the epochs that it needed.
 */

#include "loyalty-verify-plays.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>


static void lv_plays_run(lv_plays_t *plays);
static size_t lv_plays_heads(lv_plays_t *plays, const lv_tree_t *tree,
    size_t i, int64_t *latest);
static void lv_plays_closed(lv_plays_t *plays);
static void lv_play(lv_plays_t *plays, const lv_play_t *play, int64_t latest);
static void lv_play_read(lv_play_t *play, const u_char *p, uint32_t seq);
static int lv_play_form(lv_plays_t *plays, const lv_play_t *play);
static void lv_play_degraded(lv_plays_t *plays, const lv_play_t *play);
static lv_version_t *lv_governs(lv_t *v, int64_t e);
static void lv_plays_epochs(lv_plays_t *plays);
static void lv_plays_periods(lv_plays_t *plays);


void
lv_plays(lv_t *v)
{
    lv_plays_t  plays;

    memset(&plays, 0, sizeof(lv_plays_t));

    plays.v = v;
    plays.log = lv_file(v, "log");
    plays.n = plays.log.len / LV_PLAY;

    v->awarded = lv_alloc(v->nknown, sizeof(uint64_t));

    if (plays.log.len % LV_PLAY
        || plays.log.len / LV_PLAY >= UINT32_MAX)
    {
        lv_fail(v, 14, "log is not made of records");
        return;
    }

    if (v->undated) {
        lv_incomplete(v, 12, "it cannot be known which version governs");
        lv_incomplete(v, 13, "it cannot be known which version governs");
        lv_incomplete(v, 14, "it cannot be known which version governs");
    }

    if (RAND_bytes((u_char *) &plays.salt, sizeof(plays.salt)) != 1) {
        lv_incomplete(v, 14, "no random bytes");
        return;
    }

    /* epoch e is at most what any version has */

    plays.played = lv_alloc((1 << 23) / 8 + 1, 1);

    lv_plays_periods(&plays);
    lv_plays_run(&plays);
    lv_plays_epochs(&plays);

    if (plays.sealed) {
        lv_incomplete(v, 13, "%llu plays of epochs whose c is not revealed",
                      (unsigned long long) plays.sealed);
    }

    lv_info(v, 14, "%u plays", plays.n);
    lv_info(v, 15, "%llu of %u plays", (unsigned long long) plays.degraded,
            plays.n);

    if (!v->undated) {
        lv_stock(v);

    } else {
        lv_incomplete(v, 18, "it cannot be known which version governs");
    }

    lv_info(v, 17, "the winners are the records with status 1");

    free(plays.played);
    free(plays.slot);
    free(plays.unit);
    free(plays.due);
}


static void
lv_plays_run(lv_plays_t *plays)
{
    size_t         head;
    u_char         leaf[32];
    int64_t        latest;
    uint32_t       seq;
    lv_tree_t      tree;
    lv_play_t      play;
    const u_char  *p;

    memset(&tree, 0, sizeof(lv_tree_t));
    latest = 0;
    head = 0;

    for (seq = 0; seq < plays->n; seq++) {
        head = lv_plays_heads(plays, &tree, head, &latest);

        p = plays->log.data + (size_t) seq * LV_PLAY;

        lv_play_read(&play, p, seq);
        lv_play(plays, &play, latest);

        lv_leaf(leaf, p, LV_PLAY);
        lv_tree_add(&tree, leaf);
    }

    head = lv_plays_heads(plays, &tree, head, &latest);

    if (head < plays->v->nheads) {

        if (plays->n == 0) {
            lv_incomplete(plays->v, 3, "the file log is missing");
            lv_incomplete(plays->v, 13, "the file log is missing");
            lv_incomplete(plays->v, 14, "the file log is missing");

        } else {
            lv_fail(plays->v, 3, "a head counts %llu records, the log has %u",
                    (unsigned long long) plays->v->head[head].size,
                    plays->n);
        }
    }

    lv_plays_closed(plays);
}


/* the heads of the size that the tree has now */

static size_t
lv_plays_heads(lv_plays_t *plays, const lv_tree_t *tree, size_t i,
    int64_t *latest)
{
    u_char      root[32];
    lv_t       *v;
    lv_head_t  *head;

    v = plays->v;

    if (i == v->nheads || v->head[i].size != tree->size) {
        return i;
    }

    lv_tree_root(tree, root);

    for ( /* void */ ; i < v->nheads; i++) {
        head = &v->head[i];

        if (head->size != tree->size) {
            break;
        }

        if (memcmp(root, head->root, 32) != 0) {
            lv_fail(v, 3, "the log has another root than the head of %llu"
                    " records", (unsigned long long) head->size);
        }

        if (head->t > *latest) {
            *latest = head->t;
        }
    }

    return i;
}


/* the head that says that no record follows */

static void
lv_plays_closed(lv_plays_t *plays)
{
    char     until[24];
    lv_t    *v;
    size_t   i;

    v = plays->v;

    for (i = 0; i < v->nheads; i++) {
        if (!v->head[i].foreign && v->head[i].size == plays->n
            && v->head[i].t >= v->last->close)
        {
            return;
        }
    }

    if (lv_running(v)) {
        lv_incomplete(v, 3, "running, until %s: the head of the whole log is"
                      " yet to come", lv_date(until, v->last->close));
        return;
    }

    lv_incomplete(v, 3, "there is no head of the whole log after the close");
}


static void
lv_play(lv_plays_t *plays, const lv_play_t *play, int64_t latest)
{
    lv_t  *v;

    v = plays->v;

    if (!lv_play_form(plays, play)) {
        lv_fail(v, 14, "play %u is malformed or outside its time", play->seq);
        return;
    }

    if (play->t > v->latest) {
        v->latest = play->t;
    }

    if (play->t < latest - 1500) {
        lv_fail(v, 14, "play %u is older than a head that lacks it",
                play->seq);
    }

    plays->played[play->e / 8] |= 1 << play->e % 8;

    if (play->e > plays->last_epoch) {
        plays->last_epoch = play->e;
    }

    if (v->undated) {
        return;
    }

    lv_play_degraded(plays, play);
    lv_random(plays, play);
    lv_replay(plays, play);
    lv_limits(plays, play);
}


/* T("playrec") is 24 bytes */

static void
lv_play_read(lv_play_t *play, const u_char *p, uint32_t seq)
{
    play->data = p;
    play->seq = seq;
    play->t = lv_get64(p + 48) >> 48 ? -1 : (int64_t) lv_get64(p + 48);
    play->e = lv_get32(p + 56);
    play->round = lv_get64(p + 60);
    play->person = p + 68;
    play->idx = lv_get32(p + 116);
    play->ctr = lv_get32(p + 120);
    play->mode = p[124];
    play->n = lv_get64(p + 125);
    play->r = lv_get64(p + 133);
    play->tier = lv_get32(p + 141);
    play->serial = lv_get64(p + 145);
    play->status = lv_get32(p + 153);
    play->u = p + 157;
}


static int
lv_play_form(lv_plays_t *plays, const lv_play_t *play)
{
    u_char         head[64];
    lv_version_t  *m;

    m = lv_governs(plays->v, play->e);
    plays->m = m;

    (void) lv_put(lv_tag(head, "playrec"), m->cid, 16);

    return memcmp(play->data, head, 40) == 0
           && lv_get64(play->data + 40) == play->seq
           && play->mode == m->mode
           && play->t >= m->open && play->t < m->close
           && play->e < (1 << 23) && lv_epoch(m, play->t) == play->e
           && play->round >> 37 == 0
           && (play->status & ~0x103u) == 0;
}


/* the version with the highest number among those that have begun */

static lv_version_t *
lv_governs(lv_t *v, int64_t e)
{
    uint32_t  i;

    for (i = v->nversions - 1; i; i--) {
        if (v->version[i].from <= e) {
            break;
        }
    }

    return &v->version[i];
}


/* V15: an older round than the time of the play asks for, within bounds */

static void
lv_play_degraded(lv_plays_t *plays, const lv_play_t *play)
{
    uint64_t  due;

    if (play->status & 0x100) {
        plays->degraded++;

        due = lv_round_at(play->t - 6000);

        if (!(plays->m->flags & 1)) {
            lv_fail(plays->v, 15, "play %u is degraded, which the manifest"
                    " does not allow", play->seq);

        } else if (play->mode == LV_MOMENTS || lv_zero(plays->m->chain, 32)
                   || play->round >= due || play->round + 1 < plays->newest
                   || lv_round_time(play->round) < play->t - 600000)
        {
            lv_fail(plays->v, 15, "play %u is degraded beyond what is"
                    " allowed", play->seq);
        }
    }

    if (play->round > plays->newest) {
        plays->newest = play->round;
    }
}


/*
 * V12: the epochs that the log needs have been revealed.  A c_e is published
 * some seconds after its epoch: 60 s after it, nothing excuses its absence.
 */

static void
lv_plays_epochs(lv_plays_t *plays)
{
    lv_t          *v;
    int64_t        e;
    lv_version_t  *m;

    v = plays->v;

    for (e = 1; e < (1 << 23); e++) {
        m = lv_governs(v, e);

        if (e > m->epochs) {
            if (m == v->last || e > plays->last_epoch) {
                break;
            }

            continue;
        }

        if ((m->mode != LV_MOMENTS && !(plays->played[e / 8] >> e % 8 & 1))
            || (m->c != NULL && m->revealed[e]))
        {
            continue;
        }

        if (v->undated || v->latest < lv_epoch_end(m, e) + 60000) {
            lv_incomplete(v, 12, "c of epoch %lld is not revealed yet",
                          (long long) e);

        } else {
            lv_fail(v, 12, "c of epoch %lld is withheld", (long long) e);
        }
    }
}


/* periods that some version limits: nothing else is counted */

static void
lv_plays_periods(lv_plays_t *plays)
{
    lv_t          *v;
    uint32_t       i, j;
    lv_version_t  *m;

    v = plays->v;

    for (i = 0; i < v->nversions; i++) {
        m = &v->version[i];

        if (m->strange) {
            lv_incomplete(v, 14, "a limit in terms-%u is not understood",
                          m->number);
        }

        for (j = 0; j < m->nlimits; j++) {
            plays->periods |= 1u << (m->limit[j].period == 'd' ? LV_COUNT_DAY
                              : m->limit[j].period == 'w' ? LV_COUNT_WEEK
                              : m->limit[j].period == 'm' ? LV_COUNT_MONTH
                              : LV_COUNT_CAMPAIGN);
        }
    }
}
