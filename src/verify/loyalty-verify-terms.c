
/*
 * The prizes that a manifest commits to, and what of the terms a replay needs:
 * the game's name, its limits, and the zone in which its days begin.
 */

#include "loyalty-verify.h"

#include <string.h>


static int lv_prizes_read(lv_t *v, lv_version_t *m, lv_str_t s);
static int lv_prizes_odds(lv_version_t *m);
static uint64_t lv_gcd(uint64_t a, uint64_t b);
static uint32_t lv_known(lv_t *v, lv_str_t name);
static void lv_terms_line(lv_version_t *m, lv_str_t line);


void
lv_prizes(lv_t *v, lv_version_t *m, lv_str_t s)
{
    int       ok;
    uint32_t  i;
    uint64_t  sum;

    ok = lv_prizes_read(v, m, s);
    sum = 0;

    for (i = 0; ok && i < m->nprizes; i++) {

        if (m->mode == LV_ODDS) {
            ok = m->prize[i].num && m->prize[i].den;

        } else {
            ok = m->prize[i].num == 0 && m->prize[i].den == 0
                 && m->prize[i].stock != LV_UNLIMITED
                 && m->prize[i].stock < (uint64_t) 1 << 40;

            sum += m->prize[i].stock;
        }

        /* a deck's last row, and no other, is the blanks */

        ok = ok && (m->prize[i].name.len == 0)
                   == (m->mode == LV_DECK && i == m->nprizes - 1);
    }

    if (ok && m->mode == LV_ODDS) {
        ok = lv_prizes_odds(m);
    }

    if (!ok || m->nprizes == 0 || sum >> 40) {
        lv_fail(v, 1, "prizes-%u is malformed", m->number);
        m->nprizes = 0;
    }
}


static int
lv_prizes_read(lv_t *v, lv_version_t *m, lv_str_t s)
{
    u_char       tag[32];
    uint32_t     i, count, len;
    lv_prize_t  *prize;

    /* T("prizes"), count */

    if (s.len < 27 || memcmp(s.data, tag, lv_tag(tag, "prizes") - tag) != 0) {
        return 0;
    }

    count = lv_get32(s.data + 23);
    s.data += 27;
    s.len -= 27;

    if (count > LV_MAX_PRIZES) {
        return 0;
    }

    m->prize = lv_alloc(count, sizeof(lv_prize_t));

    for (i = 0; i < count; i++) {
        prize = &m->prize[i];

        len = s.len < 4 ? UINT32_MAX : lv_get32(s.data);

        if (len > 255 || s.len < 4 + (size_t) len + 24) {
            return 0;
        }

        prize->name.data = s.data + 4;
        prize->name.len = len;
        prize->stock = lv_get64(s.data + 4 + len);
        prize->num = lv_get64(s.data + 12 + len);
        prize->den = lv_get64(s.data + 20 + len);

        m->nprizes = i;
        for (len = 0; len < i; len++) {
            if (m->prize[len].name.len == prize->name.len
                && memcmp(m->prize[len].name.data, prize->name.data,
                          prize->name.len) == 0)
            {
                return 0;
            }
        }

        prize->known = lv_known(v, prize->name);

        s.data += 28 + prize->name.len;
        s.len -= 28 + prize->name.len;
    }

    m->nprizes = count;

    return s.len == 0;
}


/* the least common multiple of the denominators, and each prize's share */

static int
lv_prizes_odds(lv_version_t *m)
{
    uint32_t     i;
    uint64_t     n, sum;
    lv_prize_t  *prize;

    n = 1;

    for (i = 0; i < m->nprizes; i++) {
        prize = &m->prize[i];

        if (prize->den >> 40 || prize->num > prize->den
            || lv_gcd(prize->num, prize->den) != 1)
        {
            return 0;
        }

        /* both under 2^40: the quotient keeps the product in range */

        n /= lv_gcd(n, prize->den);

        if (n > ((uint64_t) 1 << 40) / prize->den) {
            return 0;
        }

        n *= prize->den;
    }

    if (n >> 40) {
        return 0;
    }

    sum = 0;

    for (i = 0; i < m->nprizes; i++) {
        prize = &m->prize[i];
        prize->weight = n / prize->den * prize->num;
        sum += prize->weight;

        if (sum > n) {
            return 0;
        }
    }

    m->lcm = n;

    return 1;
}


static uint64_t
lv_gcd(uint64_t a, uint64_t b)
{
    uint64_t  rest;

    while (b) {
        rest = a % b;
        a = b;
        b = rest;
    }

    return a;
}


static uint32_t
lv_known(lv_t *v, lv_str_t name)
{
    uint32_t  i;

    for (i = 0; i < v->nknown; i++) {
        if (v->known[i].len == name.len
            && memcmp(v->known[i].data, name.data, name.len) == 0)
        {
            return i;
        }
    }

    v->known = lv_grow(v->known, v->nknown, sizeof(lv_str_t));
    v->known[v->nknown] = name;

    return v->nknown++;
}


/* lines of the game's own block alone: those of a prize are not looked at */

void
lv_terms(lv_t *v, lv_version_t *m, lv_str_t rest)
{
    unsigned  depth;
    lv_str_t  line, kind, name, s;

    depth = 0;

    while (lv_line(&rest, &line) == 1) {

        if (lv_eq(line, "}")) {
            depth -= depth != 0;
            continue;
        }

        if (line.len > 2 && memcmp(line.data + line.len - 2, " {", 2) == 0) {
            s = line;
            s.len -= 2;

            if (depth++ == 0 && v->options->game.len == 0
                && lv_word(&s, &kind) && lv_word(&s, &name) && s.len == 0
                && lv_eq(kind, m->kind == 1 ? "sweepstakes" : "instant_win"))
            {
                v->options->game = name;
            }

            continue;
        }

        if (depth < 2 && line.len && line.data[line.len - 1] == ';') {
            line.len--;
            lv_terms_line(m, line);
        }
    }
}


static void
lv_terms_line(lv_version_t *m, lv_str_t line)
{
    uint64_t     n;
    lv_str_t     count, per, period;
    lv_limit_t  *limit;

    if (lv_prefix(&line, "timezone ")) {

        if (line.len < sizeof(m->zone)) {
            memcpy(m->zone, line.data, line.len);
            m->zone[line.len] = '\0';
        }

        return;
    }

    if (lv_prefix(&line, "wins_per_member ")) {

        if (!lv_number(line, &m->wins)) {
            m->strange = 1;
        }

        return;
    }

    if (!lv_prefix(&line, "limit ")) {
        return;
    }

    if (!lv_word(&line, &count) || !lv_word(&line, &per)
        || !lv_word(&line, &period) || line.len
        || !lv_number(count, &n) || !lv_eq(per, "per")
        || (!lv_eq(period, "day") && !lv_eq(period, "week")
            && !lv_eq(period, "month") && !lv_eq(period, "campaign"))
        || m->nlimits == sizeof(m->limit) / sizeof(m->limit[0]))
    {
        m->strange = 1;
        return;
    }

    limit = &m->limit[m->nlimits++];
    limit->count = n;
    limit->period = period.data[0];
}
