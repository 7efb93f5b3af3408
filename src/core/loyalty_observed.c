/*
 * Observed events, written and read.
 */

#include "loyalty_observed.h"
#include "loyalty_msgpack.h"


#define LOYALTY_OBSERVED_FORMAT  1


static void loyalty_observed_put(loyalty_mpw_t *w, const loyalty_text_t *text);
static void loyalty_observed_put_pairs(loyalty_mpw_t *w,
    const loyalty_pair_t *pairs, uint32_t n);
static int loyalty_observed_get(loyalty_mpr_t *r, loyalty_text_t *text);
static int loyalty_observed_get_pairs(loyalty_mpr_t *r, loyalty_pair_t *pairs,
    uint32_t *n);


size_t
loyalty_observed_write(const loyalty_observed_t *event, unsigned char *buf,
    size_t size)
{
    loyalty_mpw_t  w;

    loyalty_mpw_init(&w, buf, size);

    loyalty_mpw_int(&w, LOYALTY_OBSERVED_FORMAT);
    loyalty_mpw_int(&w, event->at);
    loyalty_mpw_int(&w, event->amount);
    loyalty_mpw_int(&w, event->quantity);

    loyalty_observed_put(&w, &event->type);
    loyalty_observed_put(&w, &event->id);
    loyalty_observed_put(&w, &event->member);
    loyalty_observed_put(&w, &event->channel);
    loyalty_observed_put(&w, &event->partner);

    loyalty_observed_put_pairs(&w, event->data, event->ndata);
    loyalty_observed_put_pairs(&w, event->variables, event->nvariables);

    return w.failed ? 0 : (size_t) (w.pos - w.start);
}


static void
loyalty_observed_put(loyalty_mpw_t *w, const loyalty_text_t *text)
{
    loyalty_mpw_str(w, text->data, text->len);
}


static void
loyalty_observed_put_pairs(loyalty_mpw_t *w, const loyalty_pair_t *pairs,
    uint32_t n)
{
    uint32_t  i;

    loyalty_mpw_array(w, 2 * n);

    for (i = 0; i < n; i++) {
        loyalty_observed_put(w, &pairs[i].name);
        loyalty_observed_put(w, &pairs[i].value);
    }
}


int
loyalty_observed_read(loyalty_observed_t *event, const unsigned char *p,
    size_t n)
{
    int64_t        format;
    loyalty_mpr_t  r;

    loyalty_mpr_init(&r, p, n);

    if (loyalty_mpr_int(&r, &format) != 0
        || format != LOYALTY_OBSERVED_FORMAT
        || loyalty_mpr_int(&r, &event->at) != 0
        || loyalty_mpr_int(&r, &event->amount) != 0
        || loyalty_mpr_int(&r, &event->quantity) != 0
        || event->at < 0 || event->amount < -1 || event->quantity < -1
        || loyalty_observed_get(&r, &event->type) != 0
        || loyalty_observed_get(&r, &event->id) != 0
        || loyalty_observed_get(&r, &event->member) != 0
        || loyalty_observed_get(&r, &event->channel) != 0
        || loyalty_observed_get(&r, &event->partner) != 0
        || loyalty_observed_get_pairs(&r, event->data, &event->ndata) != 0
        || loyalty_observed_get_pairs(&r, event->variables,
                                      &event->nvariables)
           != 0)
    {
        return -1;
    }

    return 0;
}


static int
loyalty_observed_get(loyalty_mpr_t *r, loyalty_text_t *text)
{
    uint32_t  n;

    if (loyalty_mpr_str(r, &text->data, &n) != 0) {
        return -1;
    }

    text->len = n;

    return 0;
}


static int
loyalty_observed_get_pairs(loyalty_mpr_t *r, loyalty_pair_t *pairs,
    uint32_t *n)
{
    uint32_t       i;
    loyalty_mpv_t  v;

    if (loyalty_mpr_next(r, &v) != 0 || v.type != LOYALTY_MP_ARRAY
        || v.n % 2 != 0 || v.n > 2 * LOYALTY_OBSERVED_PAIRS)
    {
        return -1;
    }

    *n = v.n / 2;

    for (i = 0; i < *n; i++) {
        if (loyalty_observed_get(r, &pairs[i].name) != 0
            || loyalty_observed_get(r, &pairs[i].value) != 0)
        {
            return -1;
        }
    }

    return 0;
}
