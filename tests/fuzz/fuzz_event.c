/*
 * Any bytes as the body of an event ('e' before them) or of a reversal ('r'):
 * what is taken is as documented, and its fingerprint is that of the same
 * fields in any other order; what is not has a reason.
 */

#include <ngx_config.h>   /* before the headers of the system */
#include <stdint.h>

#include "ngx_http_loyalty_event.h"
#include "nginx.h"

#include "ngx_http_loyalty_json.c"
#include "ngx_http_loyalty_event_json.c"


#define NOW  INT64_C(1790000000000)
#define AGE  INT64_C(604800000)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *fuzz_read(const void *p, size_t n);
static ngx_int_t fuzz_event(json_t *json, u_char *fingerprint);
static ngx_int_t fuzz_reversal(json_t *json, u_char *fingerprint);
static void fuzz_items(ngx_http_loyalty_item_t *items, ngx_uint_t n);
static void fuzz_text(ngx_str_t *text, size_t least, size_t most);
static void fuzz_fault(ngx_http_loyalty_fault_t *fault);


static ngx_http_loyalty_program_t  fuzz_program;


static void
fuzz_fault(ngx_http_loyalty_fault_t *fault)
{
    u_char  *last;

    last = fault->buf + sizeof(fault->buf);

    CHECK(fault->problem != NGX_HTTP_LOYALTY_P_NONE);
    CHECK(fault->detail.len > 0);
    CHECK(fault->detail.data >= fault->buf);
    CHECK(fault->detail.data + fault->detail.len <= last);

    if (fault->pointer.data != NULL) {
        CHECK(fault->pointer.data >= fault->buf);
        CHECK(fault->pointer.data + fault->pointer.len <= last);
    }
}


/* a block of its own, so that reading past it is seen */

static json_t *
fuzz_read(const void *p, size_t n)
{
    json_t                    *json;
    ngx_str_t                  text;
    ngx_http_loyalty_fault_t   fault;

    text.len = n;
    text.data = malloc(n ? n : 1);
    CHECK(text.data != NULL);

    ngx_memcpy(text.data, p, n);

    json = ngx_http_loyalty_json(&text, &fault);

    if (json == NULL) {
        fuzz_fault(&fault);
    }

    free(text.data);

    return json;
}


static void
fuzz_text(ngx_str_t *text, size_t least, size_t most)
{
    size_t  i;

    CHECK(text->len >= least && text->len <= most);

    for (i = 0; i < text->len; i++) {
        CHECK(text->data[i] >= 0x20 && text->data[i] != 0x7f);
    }
}


static void
fuzz_items(ngx_http_loyalty_item_t *items, ngx_uint_t n)
{
    ngx_uint_t  i;

    CHECK(n <= NGX_HTTP_LOYALTY_ITEMS);

    for (i = 0; i < n; i++) {
        fuzz_text(&items[i].sku, 0, NGX_HTTP_LOYALTY_ID);
        fuzz_text(&items[i].category, 0, NGX_HTTP_LOYALTY_ID);
        CHECK(items[i].amount >= -1 && items[i].amount <= LOYALTY_MAX_INT);
        CHECK(items[i].quantity >= 1);
        CHECK(items[i].quantity <= (uint64_t) LOYALTY_MAX_INT
              || items[i].quantity == UINT64_MAX);
    }
}


static ngx_int_t
fuzz_event(json_t *json, u_char *fingerprint)
{
    ngx_http_loyalty_event_t           event;
    ngx_http_loyalty_fault_t           fault;
    static ngx_http_loyalty_scratch_t  scratch;

    ngx_memzero(&event, sizeof(event));
    event.now = NOW;

    if (ngx_http_loyalty_event_parse(&fuzz_program, json, &event, &scratch,
                                     &fault)
        != NGX_OK)
    {
        fuzz_fault(&fault);
        return NGX_ERROR;
    }

    fuzz_text(&event.id, 1, NGX_HTTP_LOYALTY_ID);
    fuzz_text(&event.member, 1, NGX_HTTP_LOYALTY_ID);
    fuzz_text(&event.type, 1, NGX_HTTP_LOYALTY_TYPE);
    fuzz_text(&event.channel, 0, NGX_HTTP_LOYALTY_ID);
    fuzz_text(&event.partner, 0, NGX_HTTP_LOYALTY_ID);
    fuzz_items(event.items, event.nitems);

    CHECK(event.at >= NOW - AGE && event.at <= NOW + 300000);
    CHECK(event.amount >= -1 && event.amount <= LOYALTY_MAX_INT);
    CHECK(event.quantity == -1
          || (event.quantity >= 1 && event.quantity <= LOYALTY_MAX_INT));
    CHECK(event.data == NULL || json_is_object(event.data));

    ngx_memcpy(fingerprint, event.fingerprint, 6);

    return NGX_OK;
}


static ngx_int_t
fuzz_reversal(json_t *json, u_char *fingerprint)
{
    ngx_http_loyalty_fault_t           fault;
    ngx_http_loyalty_reversal_t        reversal;
    static ngx_http_loyalty_scratch_t  scratch;

    ngx_memzero(&reversal, sizeof(reversal));
    reversal.now = NOW;
    ngx_str_set(&reversal.event, "order-1");

    if (ngx_http_loyalty_reversal_parse(&fuzz_program, json, &reversal,
                                        &scratch, &fault)
        != NGX_OK)
    {
        fuzz_fault(&fault);
        return NGX_ERROR;
    }

    fuzz_text(&reversal.id, 1, NGX_HTTP_LOYALTY_ID);
    fuzz_text(&reversal.member, 1, NGX_HTTP_LOYALTY_ID);
    fuzz_items(reversal.items, reversal.nitems);

    CHECK(reversal.amount == -1
          || (reversal.amount > 0 && reversal.amount <= LOYALTY_MAX_INT));
    CHECK(reversal.amount == -1 || reversal.nitems == 0);

    ngx_memcpy(fingerprint, reversal.fingerprint, 6);

    return NGX_OK;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char        *text;
    json_t      *json, *sorted;
    u_char       one[6], two[6];
    ngx_int_t  (*parse)(json_t *json, u_char *fingerprint);
    ngx_int_t    rc;

    if (size == 0 || (data[0] != 'e' && data[0] != 'r')) {
        return 0;
    }

    fuzz_program.scale = 2;
    fuzz_program.max_event_age = AGE;

    json = fuzz_read(data + 1, size - 1);
    if (json == NULL) {
        return 0;
    }

    /* no text is both: a body signed for one is nothing for the other */

    rc = fuzz_event(json, one);
    CHECK(rc != NGX_OK || fuzz_reversal(json, two) != NGX_OK);

    parse = (data[0] == 'e') ? fuzz_event : fuzz_reversal;

    if (parse(json, one) == NGX_OK) {

        text = json_dumps(json, JSON_SORT_KEYS|JSON_INDENT(1));
        CHECK(text != NULL);

        /* which is longer, and may be too long */

        sorted = fuzz_read(text, ngx_strlen(text));

        if (sorted != NULL) {
            CHECK(parse(sorted, two) == NGX_OK);
            CHECK(ngx_memcmp(one, two, 6) == 0);
            json_decref(sorted);
        }

        free(text);
    }

    json_decref(json);
    fuzz_free();

    return 0;
}
