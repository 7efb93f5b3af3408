/*
 * The cache of loyalty_lookup: heads of members' values as Redis had them, in
 * shared memory, for all workers.
 *
 * An entry knows when Redis was asked for it, and each loyalty_lookup decides
 * how old that may be: what is shown is never older, counted from before the
 * question was sent.  The key holds what the program is and which Redis it is
 * in, so that after a reload only those that are still the same find it.  What
 * was used last is kept; nothing is used outside the lock.
 */

#include "ngx_http_loyalty_lookup.h"
#include "ngx_http_loyalty_redis.h"


#define NGX_HTTP_LOYALTY_CACHE_LEAST    8         /* pages of a zone */
#define NGX_HTTP_LOYALTY_CACHE_VALUE    16384     /* bytes: no longer ones */
#define NGX_HTTP_LOYALTY_CACHE_SOURCE   (2 * NGX_HTTP_LOYALTY_HASH)
#define NGX_HTTP_LOYALTY_CACHE_KEY                                            \
    (NGX_HTTP_LOYALTY_CACHE_SOURCE + 96 + 16 + NGX_HTTP_LOYALTY_ID)
#define NGX_HTTP_LOYALTY_CACHE_EVICTED  16        /* for one entry, at most */


typedef struct {
    ngx_rbtree_t                  rbtree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   queue;          /* the last used first */
} ngx_http_loyalty_cache_sh_t;


struct ngx_http_loyalty_cache_s {
    ngx_str_t                     name;
    ngx_http_loyalty_cache_sh_t  *sh;
    ngx_slab_pool_t              *shpool;
};


typedef struct {
    ngx_rbtree_node_t             node;
    ngx_queue_t                   queue;
    ngx_msec_t                    asked;
    size_t                        room;           /* for key and value */
    size_t                        value;          /* its length */
    uint16_t                      key;            /* its length */
    u_char                        data[1];        /* key, value */
} ngx_http_loyalty_cache_node_t;


typedef struct {
    uint32_t                      hash;
    size_t                        len;
    u_char                        data[NGX_HTTP_LOYALTY_CACHE_KEY];
} ngx_http_loyalty_cache_key_t;


static ngx_int_t ngx_http_loyalty_cache_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_loyalty_cache_key(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_http_loyalty_cache_key_t *key);
static ngx_http_loyalty_cache_node_t *ngx_http_loyalty_cache_find(
    ngx_http_loyalty_cache_t *cache, ngx_http_loyalty_cache_key_t *key);
static ngx_int_t ngx_http_loyalty_cache_compare(
    ngx_http_loyalty_cache_node_t *node, u_char *key, size_t len);
static void ngx_http_loyalty_cache_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_http_loyalty_cache_node_t *ngx_http_loyalty_cache_room(
    ngx_http_loyalty_lookup_t *lookup, size_t room);
static void ngx_http_loyalty_cache_remove(ngx_http_loyalty_cache_t *cache,
    ngx_http_loyalty_cache_node_t *node);


char *
ngx_http_loyalty_cache_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_loyalty_lookup_main_t *lmcf = conf;

    u_char                     *p;
    ssize_t                     size;
    ngx_str_t                  *value, text, name;
    ngx_shm_zone_t             *shm_zone;
    ngx_http_loyalty_cache_t   *cache, **entry;

    value = cf->args->elts;
    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (ngx_strncmp(value[1].data, "zone=", 5) != 0 || p == NULL
        || p == value[1].data + 5)
    {
        goto invalid;
    }

    name.data = value[1].data + 5;
    name.len = p - name.data;
    text.data = p + 1;
    text.len = value[1].data + value[1].len - text.data;

    size = ngx_parse_size(&text);

    if (size == NGX_ERROR) {
        goto invalid;
    }

    if (size < (ssize_t) (NGX_HTTP_LOYALTY_CACHE_LEAST * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too small a cache \"%V\": at least %uzk are "
                           "expected", &value[1],
                           NGX_HTTP_LOYALTY_CACHE_LEAST * ngx_pagesize / 1024);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_cache_named(lmcf, &name) != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate cache \"%V\"", &name);
        return NGX_CONF_ERROR;
    }

    cache = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_cache_t));
    entry = ngx_array_push(&lmcf->caches);
    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_loyalty_lookup_module);

    if (cache == NULL || entry == NULL || shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    *entry = cache;
    cache->name = name;

    shm_zone->init = ngx_http_loyalty_cache_init;
    shm_zone->data = cache;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": zone=NAME:SIZE, such as "
                       "\"zone=members:1m\", is expected", &value[1]);
    return NGX_CONF_ERROR;
}


ngx_http_loyalty_cache_t *
ngx_http_loyalty_cache_named(ngx_http_loyalty_lookup_main_t *lmcf,
    ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_loyalty_cache_t  **cache;

    cache = lmcf->caches.elts;

    for (i = 0; i < lmcf->caches.nelts; i++) {
        if (cache[i]->name.len == name->len
            && ngx_memcmp(cache[i]->name.data, name->data, name->len) == 0)
        {
            return cache[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_loyalty_cache_init(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                     len;
    ngx_slab_pool_t           *shpool;
    ngx_http_loyalty_cache_t  *cache;

    cache = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    cache->shpool = shpool;

    if (data || shm_zone->shm.exists) {
        cache->sh = shpool->data;
        return NGX_OK;
    }

    cache->sh = ngx_slab_alloc(shpool, sizeof(ngx_http_loyalty_cache_sh_t));
    if (cache->sh == NULL) {
        return NGX_ERROR;
    }

    shpool->data = cache->sh;

    ngx_rbtree_init(&cache->sh->rbtree, &cache->sh->sentinel,
                    ngx_http_loyalty_cache_insert);
    ngx_queue_init(&cache->sh->queue);

    len = sizeof(" in loyalty_lookup_cache \"\"") + cache->name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in loyalty_lookup_cache \"%V\"%Z",
                &cache->name);

    /* a full zone is its normal state */
    shpool->log_nomem = 0;

    return NGX_OK;
}


void
ngx_http_loyalty_cache_source(ngx_http_loyalty_lookup_t *lookup)
{
    ngx_memcpy(lookup->source, lookup->program->hash, NGX_HTTP_LOYALTY_HASH);

    ngx_http_loyalty_redis_store(lookup->program,
                                 lookup->source + NGX_HTTP_LOYALTY_HASH);
}


static void
ngx_http_loyalty_cache_key(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_http_loyalty_cache_key_t *key)
{
    u_char  *p;

    p = ngx_cpymem(key->data, lookup->source, NGX_HTTP_LOYALTY_CACHE_SOURCE);
    p = ngx_cpymem(p, redis_key->data, redis_key->len);

    key->len = p - key->data;
    key->hash = ngx_crc32_short(key->data, key->len);
}


ngx_int_t
ngx_http_loyalty_cache_get(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_pool_t *pool, ngx_str_t *value)
{
    u_char                          buf[NGX_HTTP_LOYALTY_CACHE_VALUE];
    ngx_http_loyalty_cache_t       *cache;
    ngx_http_loyalty_cache_key_t    key;
    ngx_http_loyalty_cache_node_t  *node;

    cache = lookup->cache;
    ngx_http_loyalty_cache_key(lookup, redis_key, &key);

    ngx_shmtx_lock(&cache->shpool->mutex);

    node = ngx_http_loyalty_cache_find(cache, &key);

    if (node != NULL
        && (ngx_msec_int_t) (ngx_current_msec - node->asked)
           < (ngx_msec_int_t) lookup->ttl)
    {
        value->len = node->value;
        ngx_memcpy(buf, node->data + node->key, node->value);

        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&cache->sh->queue, &node->queue);

    } else {
        node = NULL;
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    if (node == NULL) {
        return NGX_DECLINED;
    }

    value->data = ngx_pnalloc(pool, value->len + 1);
    if (value->data == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(value->data, buf, value->len);

    return NGX_OK;
}


void
ngx_http_loyalty_cache_put(ngx_http_loyalty_lookup_t *lookup,
    ngx_str_t *redis_key, ngx_str_t *value, ngx_msec_t asked)
{
    size_t                          room;
    ngx_http_loyalty_cache_t       *cache;
    ngx_http_loyalty_cache_key_t    key;
    ngx_http_loyalty_cache_node_t  *node;

    if (value->len > NGX_HTTP_LOYALTY_CACHE_VALUE) {
        return;
    }

    cache = lookup->cache;
    ngx_http_loyalty_cache_key(lookup, redis_key, &key);
    room = key.len + value->len;

    ngx_shmtx_lock(&cache->shpool->mutex);

    node = ngx_http_loyalty_cache_find(cache, &key);

    if (node != NULL) {

        /* another worker asked later and was answered earlier */

        if ((ngx_msec_int_t) (node->asked - asked) > 0) {
            goto done;
        }

        if (node->room < room) {
            ngx_http_loyalty_cache_remove(cache, node);
            node = NULL;

        } else {
            ngx_queue_remove(&node->queue);
        }
    }

    if (node == NULL) {
        node = ngx_http_loyalty_cache_room(lookup, room);
        if (node == NULL) {
            goto done;
        }

        node->node.key = key.hash;
        node->room = room;
        node->key = (uint16_t) key.len;
        ngx_memcpy(node->data, key.data, key.len);

        ngx_rbtree_insert(&cache->sh->rbtree, &node->node);
    }

    node->asked = asked;
    node->value = value->len;
    ngx_memcpy(node->data + node->key, value->data, value->len);

    ngx_queue_insert_head(&cache->sh->queue, &node->queue);

done:

    ngx_shmtx_unlock(&cache->shpool->mutex);
}


static ngx_http_loyalty_cache_node_t *
ngx_http_loyalty_cache_find(ngx_http_loyalty_cache_t *cache,
    ngx_http_loyalty_cache_key_t *key)
{
    ngx_int_t                       rc;
    ngx_rbtree_node_t              *node, *sentinel;
    ngx_http_loyalty_cache_node_t  *entry;

    node = cache->sh->rbtree.root;
    sentinel = cache->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (key->hash != node->key) {
            node = (key->hash < node->key) ? node->left : node->right;
            continue;
        }

        entry = (ngx_http_loyalty_cache_node_t *) node;
        rc = ngx_http_loyalty_cache_compare(entry, key->data, key->len);

        if (rc == 0) {
            return entry;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


/* below 0: the key belongs to the left of the node */

static ngx_int_t
ngx_http_loyalty_cache_compare(ngx_http_loyalty_cache_node_t *node,
    u_char *key, size_t len)
{
    return ngx_memn2cmp(key, node->data, len, node->key);
}


static void
ngx_http_loyalty_cache_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t              **p;
    ngx_http_loyalty_cache_node_t   *entry;

    entry = (ngx_http_loyalty_cache_node_t *) node;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            p = (ngx_http_loyalty_cache_compare(
                     (ngx_http_loyalty_cache_node_t *) temp, entry->data,
                     entry->key)
                 < 0) ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* a node that is in no list yet; NULL: this one is not kept */

static ngx_http_loyalty_cache_node_t *
ngx_http_loyalty_cache_room(ngx_http_loyalty_lookup_t *lookup, size_t room)
{
    size_t                          size;
    ngx_uint_t                      i;
    ngx_queue_t                    *q;
    ngx_http_loyalty_cache_t       *cache;
    ngx_http_loyalty_cache_node_t  *node;

    cache = lookup->cache;
    size = offsetof(ngx_http_loyalty_cache_node_t, data) + room;

    /*
     * Entries come in several sizes, and one that goes need not make room for
     * one of another: the next that comes goes on where this one stops.
     */

    for (i = 0; i < NGX_HTTP_LOYALTY_CACHE_EVICTED; i++) {

        node = ngx_slab_alloc_locked(cache->shpool, size);

        if (node != NULL || ngx_queue_empty(&cache->sh->queue)) {
            return node;
        }

        q = ngx_queue_last(&cache->sh->queue);

        ngx_http_loyalty_cache_remove(cache,
                      ngx_queue_data(q, ngx_http_loyalty_cache_node_t, queue));

        ngx_http_loyalty_stat(lookup->program,
                              NGX_HTTP_LOYALTY_STAT_CACHE_EVICTIONS, 1);
    }

    return ngx_slab_alloc_locked(cache->shpool, size);
}


static void
ngx_http_loyalty_cache_remove(ngx_http_loyalty_cache_t *cache,
    ngx_http_loyalty_cache_node_t *node)
{
    ngx_queue_remove(&node->queue);
    ngx_rbtree_delete(&cache->sh->rbtree, &node->node);
    ngx_slab_free_locked(cache->shpool, node);
}
