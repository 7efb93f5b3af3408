/*
 * Where the configuration uses a variable.  nginx knows that one is used, and
 * not where: when that is a mistake its files are looked through once more,
 * with those that they include.
 */

#include "ngx_http_loyalty_http.h"
#include "loyalty_conftext.h"


#define NGX_HTTP_LOYALTY_PLACE_FILE   16777216    /* bytes of one file */
#define NGX_HTTP_LOYALTY_PLACE_FILES  1000
#define NGX_HTTP_LOYALTY_PLACE_DEPTH  10


typedef struct {
    ngx_conf_t                   *cf;
    ngx_str_t                    *name;
    ngx_http_loyalty_place_t     *place;
    ngx_uint_t                    files;
} ngx_http_loyalty_places_t;


static ngx_int_t ngx_http_loyalty_place_file(
    ngx_http_loyalty_places_t *places, ngx_str_t *file, ngx_uint_t depth);
static ngx_int_t ngx_http_loyalty_place_include(
    ngx_http_loyalty_places_t *places, loyalty_confword_t *word,
    ngx_uint_t depth);
static ngx_int_t ngx_http_loyalty_place_name(ngx_conf_t *cf, u_char *data,
    size_t len, ngx_str_t *name);


ngx_int_t
ngx_http_loyalty_variable_place(ngx_conf_t *cf, ngx_str_t *name,
    ngx_http_loyalty_place_t *place)
{
    ngx_http_loyalty_places_t  places;

    places.cf = cf;
    places.name = name;
    places.place = place;
    places.files = 0;

    if (ngx_http_loyalty_place_file(&places, &cf->cycle->conf_file, 0)
        == NGX_OK)
    {
        return NGX_OK;
    }

    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_place_file(ngx_http_loyalty_places_t *places,
    ngx_str_t *file, ngx_uint_t depth)
{
    ngx_str_t           text;
    loyalty_conftext_t  reader;
    loyalty_confword_t  word;

    if (depth > NGX_HTTP_LOYALTY_PLACE_DEPTH
        || places->files++ > NGX_HTTP_LOYALTY_PLACE_FILES
        || ngx_http_loyalty_file_read(places->cf, file,
                                      NGX_HTTP_LOYALTY_PLACE_FILE, &text)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    loyalty_conftext_init(&reader, text.data, text.len);

    places->place->file = file->data;
    places->place->line = loyalty_conftext_variable(&reader,
                                                    places->name->data,
                                                    places->name->len);
    if (places->place->line) {
        return NGX_OK;
    }

    loyalty_conftext_init(&reader, text.data, text.len);

    while (loyalty_conftext_include(&reader, &word)) {
        if (ngx_http_loyalty_place_include(places, &word, depth + 1)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_loyalty_place_include(ngx_http_loyalty_places_t *places,
    loyalty_confword_t *word, ngx_uint_t depth)
{
    ngx_int_t   rc;
    ngx_str_t   file, name;
    ngx_glob_t  gl;

    if (ngx_http_loyalty_place_name(places->cf, (u_char *) word->p, word->n,
                                    &file)
        != NGX_OK
        || ngx_conf_full_name(places->cf->cycle, &file, 1) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memzero(&gl, sizeof(ngx_glob_t));

    gl.pattern = file.data;
    gl.log = places->cf->log;
    gl.test = 1;

    if (ngx_open_glob(&gl) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    while (rc != NGX_OK && ngx_read_glob(&gl, &name) == NGX_OK) {

        /* the glob's memory goes with it */

        if (ngx_http_loyalty_place_name(places->cf, name.data, name.len,
                                        &file)
            != NGX_OK)
        {
            break;
        }

        rc = ngx_http_loyalty_place_file(places, &file, depth);
    }

    ngx_close_glob(&gl);

    return rc;
}


/* with a zero behind it */

static ngx_int_t
ngx_http_loyalty_place_name(ngx_conf_t *cf, u_char *data, size_t len,
    ngx_str_t *name)
{
    name->len = len;
    name->data = ngx_pnalloc(cf->pool, len + 1);

    if (name->data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(name->data, data, len + 1);

    return NGX_OK;
}
