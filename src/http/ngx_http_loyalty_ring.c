/*
 * The rings of the observed programs, and what becomes of them when the
 * configuration changes.
 *
 * Each program has a ring of its own, in a shared memory zone that is named
 * after it: a Redis that is away fills the ring of its own programs only.
 *
 * A reload that changes nothing about a ring keeps it.  nginx would throw a
 * zone away whose size has changed, and the events in it, so that a new size
 * needs a new name.  The zone of the old name is carried over into the new
 * configuration: the old workers go on with it until they leave, and the new
 * ones take what those leave in it.  The reload after that lets go of it, once
 * it is empty.
 */

#include "ngx_http_loyalty_observe.h"


static ngx_http_loyalty_observing_t *ngx_http_loyalty_observing(
    ngx_conf_t *cf, ngx_http_loyalty_observe_main_conf_t *omcf,
    ngx_http_loyalty_program_t *program);
static ngx_http_loyalty_ring_t *ngx_http_loyalty_ring_zone(ngx_conf_t *cf,
    ngx_str_t *zone, ngx_str_t *program, size_t size);
static ngx_int_t ngx_http_loyalty_rings_carry(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf);
static ngx_int_t ngx_http_loyalty_ring_carry(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf, ngx_shm_zone_t *old);
static ngx_int_t ngx_http_loyalty_ring_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_array_t *ngx_http_loyalty_rings_of(
    ngx_http_loyalty_observe_main_conf_t *omcf, ngx_str_t *program);
static ngx_uint_t ngx_http_loyalty_ring_left(ngx_http_loyalty_ring_t *ring);
static void ngx_http_loyalty_ring_end(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *spool, ngx_http_loyalty_ring_t *ring);


ngx_int_t
ngx_http_loyalty_rings(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf)
{
    ngx_uint_t                      i;
    ngx_http_loyalty_program_t    **program;
    ngx_http_loyalty_observe_t    **rule;
    ngx_http_loyalty_main_conf_t   *lmcf;

    rule = omcf->rules.elts;

    for (i = 0; i < omcf->rules.nelts; i++) {
        if (rule[i]->program->observing == NULL
            && ngx_http_loyalty_observing(cf, omcf, rule[i]->program) == NULL)
        {
            return NGX_ERROR;
        }
    }

    /* what is in the spool is sent, whether or not more comes */

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);
    program = lmcf->programs.elts;

    for (i = 0; omcf->spool && i < lmcf->programs.nelts; i++) {
        if (program[i]->observing == NULL
            && ngx_http_loyalty_observing(cf, omcf, program[i]) == NULL)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_rings_carry(cf, omcf);
}


static ngx_http_loyalty_observing_t *
ngx_http_loyalty_observing(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf,
    ngx_http_loyalty_program_t *program)
{
    ngx_str_t                       zone;
    ngx_http_loyalty_ring_t        *ring, **own;
    ngx_http_loyalty_observing_t   *observing, **one;

    observing = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_observing_t));
    one = ngx_array_push(&omcf->observing);

    if (observing == NULL || one == NULL
        || ngx_array_init(&observing->rings, cf->pool, 1,
                          sizeof(ngx_http_loyalty_ring_t *))
           != NGX_OK)
    {
        return NULL;
    }

    *one = observing;

    zone.len = omcf->zone.len + 1 + program->name.len;
    zone.data = ngx_pnalloc(cf->pool, zone.len);
    if (zone.data == NULL) {
        return NULL;
    }

    ngx_sprintf(zone.data, "%V:%V", &omcf->zone, &program->name);

    ring = ngx_http_loyalty_ring_zone(cf, &zone, &program->name, omcf->size);
    own = ngx_array_push(&observing->rings);

    if (ring == NULL || own == NULL) {
        return NULL;
    }

    *own = ring;

    observing->program = program;
    observing->spool = omcf->spool;
    program->observing = observing;

    return observing;
}


static ngx_http_loyalty_ring_t *
ngx_http_loyalty_ring_zone(ngx_conf_t *cf, ngx_str_t *zone,
    ngx_str_t *program, size_t size)
{
    ngx_shm_zone_t           *shm_zone;
    ngx_http_loyalty_ring_t  *ring;

    ring = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_ring_t));
    if (ring == NULL) {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, zone, size,
                                     &ngx_http_loyalty_observe_module);
    if (shm_zone == NULL) {
        return NULL;
    }

    ring->zone = *zone;
    ring->program = *program;
    ring->size = size;

    shm_zone->init = ngx_http_loyalty_ring_init;
    shm_zone->data = ring;

    return ring;
}


/* the zones of the running configuration, before nginx looks which of them
   the new one has */

static ngx_int_t
ngx_http_loyalty_rings_carry(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_shm_zone_t   *zone;

    part = &cf->cycle->old_cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; ; i++) {

        if (i >= part->nelts) {

            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].tag == &ngx_http_loyalty_observe_module
            && ngx_http_loyalty_ring_carry(cf, omcf, &zone[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_ring_carry(ngx_conf_t *cf,
    ngx_http_loyalty_observe_main_conf_t *omcf, ngx_shm_zone_t *old)
{
    ngx_str_t                  zone, program;
    ngx_uint_t                 i;
    ngx_array_t               *rings;
    ngx_http_loyalty_ring_t   *before, *ring, **known;

    before = old->data;

    if (before == NULL || before->ring == NULL) {
        return NGX_OK;
    }

    rings = ngx_http_loyalty_rings_of(omcf, &before->program);
    known = rings->elts;

    for (i = 0; i < rings->nelts; i++) {

        if (!ngx_http_loyalty_observe_same(&known[i]->zone, &before->zone)) {
            continue;
        }

        if (known[i]->size == before->size) {
            return NGX_OK;
        }

        ngx_http_loyalty_conf_error(cf, &omcf->place,
                                    "the ring \"%V\" has %uz bytes, and "
                                    "observed events may be in it: a new "
                                    "size needs a new name of the zone",
                                    &omcf->zone, before->size);
        return NGX_ERROR;
    }

    if (before->carried && ngx_http_loyalty_ring_left(before) == 0) {
        return NGX_OK;
    }

    /* what these are made of goes with the old configuration */

    zone.len = before->zone.len;
    zone.data = ngx_pstrdup(cf->pool, &before->zone);
    program.len = before->program.len;
    program.data = ngx_pstrdup(cf->pool, &before->program);

    if (zone.data == NULL || program.data == NULL) {
        return NGX_ERROR;
    }

    ring = ngx_http_loyalty_ring_zone(cf, &zone, &program, before->size);
    known = ngx_array_push(rings);

    if (ring == NULL || known == NULL) {
        return NGX_ERROR;
    }

    ring->carried = 1;
    *known = ring;

    if (rings == &omcf->orphans) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "program \"%V\" is not observed any more: %ui observed "
                      "events stay in the ring \"%V\"",
                      &program, ngx_http_loyalty_ring_left(before), &zone);
    }

    return NGX_OK;
}


static ngx_array_t *
ngx_http_loyalty_rings_of(ngx_http_loyalty_observe_main_conf_t *omcf,
    ngx_str_t *program)
{
    ngx_uint_t                      i;
    ngx_http_loyalty_observing_t  **observing;

    observing = omcf->observing.elts;

    for (i = 0; i < omcf->observing.nelts; i++) {
        if (ngx_http_loyalty_observe_same(&observing[i]->program->name,
                                          program))
        {
            return &observing[i]->rings;
        }
    }

    return &omcf->orphans;
}


static ngx_int_t
ngx_http_loyalty_ring_init(ngx_shm_zone_t *shm_zone, void *data)
{
    void                     *p;
    size_t                    size;
    ngx_slab_pool_t          *shpool;
    ngx_http_loyalty_ring_t  *ring;

    ring = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        ring->ring = shpool->data;
        return NGX_OK;
    }

    /* all pages that the slab itself does not need */

    size = shpool->pfree * ngx_pagesize;
    p = ngx_slab_alloc(shpool, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    ring->ring = loyalty_ring_init(p, size);
    if (ring->ring == NULL) {
        return NGX_ERROR;
    }

    shpool->data = ring->ring;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_loyalty_ring_left(ngx_http_loyalty_ring_t *ring)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < ring->ring->nslots; i++) {
        if (loyalty_ring_state(loyalty_ring_word(ring->ring, i))
            == LOYALTY_RING_READY)
        {
            n++;
        }
    }

    return n;
}


void
ngx_http_loyalty_rings_end(ngx_cycle_t *cycle,
    ngx_http_loyalty_observe_main_conf_t *omcf)
{
    ngx_uint_t                      i, n;
    ngx_http_loyalty_ring_t       **ring;
    ngx_http_loyalty_observing_t  **observing;

    observing = omcf->observing.elts;

    for (i = 0; i < omcf->observing.nelts; i++) {
        ring = observing[i]->rings.elts;

        for (n = 0; n < observing[i]->rings.nelts; n++) {
            ngx_http_loyalty_ring_end(cycle, omcf->spool, ring[n]);
        }
    }

    ring = omcf->orphans.elts;

    for (i = 0; i < omcf->orphans.nelts; i++) {
        ngx_http_loyalty_ring_end(cycle, omcf->spool, ring[i]);
    }
}


static void
ngx_http_loyalty_ring_end(ngx_cycle_t *cycle,
    ngx_http_loyalty_spool_conf_t *spool, ngx_http_loyalty_ring_t *ring)
{
    ngx_uint_t                n, dead, lost;
    ngx_http_loyalty_slot_t  *slots;

    if (ring->ring == NULL) {
        return;
    }

    n = ngx_http_loyalty_ring_adopt(ring->ring, cycle->log, 1, &slots, &dead);

    if (n == 0) {
        return;
    }

    lost = (spool == NULL) ? n
           : ngx_http_loyalty_spool_save(cycle, spool, &ring->program,
                                         ring->ring, slots, n);

    ngx_free(slots);

    if (lost < n) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "loyalty program \"%V\": %ui observed events went from "
                      "the ring \"%V\" to the spool", &ring->program, n - lost,
                      &ring->zone);
    }

    if (lost) {
        ngx_log_error(NGX_LOG_ERR, cycle->log, 0,
                      "loyalty program \"%V\": %ui observed events are lost "
                      "with the ring \"%V\"", &ring->program, lost,
                      &ring->zone);
    }
}


void
ngx_http_loyalty_rings_count(ngx_http_loyalty_program_t *program,
    ngx_atomic_int_t *slots, ngx_atomic_int_t *used)
{
    ngx_uint_t                      i;
    ngx_http_loyalty_ring_t       **ring;
    ngx_http_loyalty_observing_t   *observing;

    *slots = 0;
    *used = 0;

    observing = program->observing;

    if (observing == NULL) {
        return;
    }

    ring = observing->rings.elts;

    for (i = 0; i < observing->rings.nelts; i++) {
        *slots += ring[i]->ring->nslots;
        *used += loyalty_ring_recount(ring[i]->ring);
    }
}


ngx_atomic_int_t
ngx_http_loyalty_spool_bytes(ngx_http_loyalty_program_t *program)
{
    ngx_http_loyalty_ring_t  **own;

    if (program->observing == NULL) {
        return 0;
    }

    own = program->observing->rings.elts;

    return own[0]->ring->user[NGX_HTTP_LOYALTY_RING_BYTES];
}
