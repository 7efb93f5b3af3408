
/*
 * The directory of a campaign: its files, mapped, and the note that names
 * them with their hashes.
 */

#include "loyalty-verify.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>


static int lv_evidence_name(const char *name);
static int lv_evidence_note(lv_t *v, lv_note_t *note, int64_t *t);
static void lv_evidence_files(lv_t *v, lv_note_t *note);
static lv_file_t *lv_file_find(lv_t *v, lv_str_t name);


/* 1: mapped; 0: there is no such file; -1: it cannot be read */

int
lv_map(const char *path, lv_str_t *content)
{
    int          fd;
    void        *p;
    struct stat  st;

    content->data = NULL;
    content->len = 0;

    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        return 0;
    }

    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        (void) close(fd);
        return -1;
    }

    if (st.st_size == 0) {
        (void) close(fd);
        return 1;
    }

    p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) close(fd);

    if (p == MAP_FAILED) {
        return -1;
    }

    content->data = p;
    content->len = st.st_size;

    return 1;
}


int
lv_files(lv_t *v)
{
    DIR            *dir;
    char            path[4096];
    int             len;
    lv_str_t        content;
    lv_file_t      *file;
    struct dirent  *entry;

    dir = opendir(v->options->dir);
    if (dir == NULL) {
        fprintf(stderr, "loyalty-verify: cannot open the directory \"%s\"\n",
                v->options->dir);
        return 0;
    }

    for ( ;; ) {
        entry = readdir(dir);
        if (entry == NULL) {
            break;
        }

        len = snprintf(path, sizeof(path), "%s/%s", v->options->dir,
                       entry->d_name);

        if (entry->d_name[0] == '.' || len < 0
            || (size_t) len >= sizeof(path)
            || lv_map(path, &content) != 1 || content.len == 0)
        {
            continue;
        }

        if (v->nfiles == LV_MAX_FILES) {
            fprintf(stderr, "loyalty-verify: too many files in \"%s\"\n",
                    v->options->dir);
            (void) closedir(dir);
            return 0;
        }

        v->file = lv_grow(v->file, v->nfiles, sizeof(lv_file_t));
        file = &v->file[v->nfiles++];

        memset(file, 0, sizeof(lv_file_t));
        (void) snprintf(file->name, sizeof(file->name), "%s", entry->d_name);
        file->content = content;
    }

    (void) closedir(dir);

    return 1;
}


lv_str_t
lv_file(lv_t *v, const char *fmt, ...)
{
    char        name[256];
    va_list     args;
    lv_str_t    s;
    lv_file_t  *file;

    va_start(args, fmt);
    (void) vsnprintf(name, sizeof(name), fmt, args);
    va_end(args);

    s.data = (u_char *) name;
    s.len = strlen(name);

    file = lv_file_find(v, s);

    if (file == NULL) {
        s.data = NULL;
        s.len = 0;
        return s;
    }

    return file->content;
}


static lv_file_t *
lv_file_find(lv_t *v, lv_str_t name)
{
    unsigned  i;

    for (i = 0; i < v->nfiles; i++) {
        if (lv_eq(name, v->file[i].name)) {
            return &v->file[i];
        }
    }

    return NULL;
}


/* the files that a note of evidence has to name; others may lie there, too */

static int
lv_evidence_name(const char *name)
{
    lv_str_t  s;
    unsigned  i;
    uint64_t  n;

    static const char *const  plain[] = {
        "manifest", "entries", "log", "heads", "close", "timestamps",
        "cosignatures", "beacons", "reveal", "picks", "dq"
    };

    for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strcmp(name, plain[i]) == 0) {
            return 1;
        }
    }

    s.data = (const u_char *) name;
    s.len = strlen(name);

    return (lv_prefix(&s, "terms-") || lv_prefix(&s, "prizes-")
            || lv_prefix(&s, "rules-"))
           && lv_number(s, &n);
}


void
lv_evidence(lv_t *v)
{
    char       until[24];
    size_t     notes;
    int64_t    t, last;
    lv_str_t   rest;
    lv_note_t  note, final;

    rest = lv_file(v, "evidence");
    memset(&final, 0, sizeof(lv_note_t));
    last = 0;
    notes = 0;

    while (rest.len) {
        if (!lv_note_next(v, &rest, &note, "evidence")
            || !lv_evidence_note(v, &note, &t))
        {
            lv_incomplete(v, 19, "the notes of evidence cannot be read");
            free(note.statement);
            free(final.statement);
            return;
        }

        if (t < last) {
            lv_fail(v, 19, "the notes are not in the order of their times");
        }

        last = t;
        notes++;
        free(final.statement);
        final = note;
    }

    if (notes == 0) {
        if (lv_running(v)) {
            lv_incomplete(v, 19, "running, until %s: the evidence is yet to"
                          " come", lv_date(until, v->last->close));

        } else {
            lv_incomplete(v, 19, "there is no file evidence");
        }

        return;
    }

    if (last > v->latest) {
        v->latest = last;
    }

    lv_evidence_files(v, &final);

    free(final.statement);
}


static int
lv_evidence_note(lv_t *v, lv_note_t *note, int64_t *t)
{
    u_char     head[64], *p;
    uint64_t   ms;
    uint32_t   i, count, len;
    lv_str_t   rest;

    p = lv_put(lv_tag(head, "evidence"), v->last->cid, 16);

    rest.data = note->statement;
    rest.len = note->len;

    if (rest.len < (size_t) (p - head) + 12
        || memcmp(rest.data, head, p - head) != 0)
    {
        lv_fail(v, 2, "a note of evidence is not this campaign's");
        return 0;
    }

    rest.data += p - head;
    rest.len -= p - head;

    ms = lv_get64(rest.data);
    *t = ms < LV_NEVER ? (int64_t) ms : LV_NEVER - 1;

    count = lv_get32(rest.data + 8);
    rest.data += 12;
    rest.len -= 12;

    for (i = 0; i < count; i++) {
        len = rest.len < 4 ? UINT32_MAX : lv_get32(rest.data);

        if (len == 0 || len > 255 || rest.len < 4 + (size_t) len + 32) {
            lv_fail(v, 2, "a note of evidence is cut off");
            return 0;
        }

        rest.data += 4 + len + 32;
        rest.len -= 4 + len + 32;
    }

    if (rest.len) {
        lv_fail(v, 2, "a note of evidence has bytes left over");
        return 0;
    }

    return 1;
}


/* the note is of its form: what it names is held against what there is */

static void
lv_evidence_files(lv_t *v, lv_note_t *note)
{
    int         order;
    u_char      hash[32], *p;
    uint32_t    i, count;
    lv_str_t    name, previous;
    unsigned    n;
    lv_file_t  *file;

    /* T("evidence"), cid, t */

    p = note->statement + 25 + 16 + 8;
    count = lv_get32(p);
    p += 4;

    previous.data = p;
    previous.len = 0;

    for (i = 0; i < count; i++) {
        name.len = lv_get32(p);
        name.data = p + 4;
        p += 4 + name.len + 32;

        order = memcmp(previous.data, name.data,
                       previous.len < name.len ? previous.len : name.len);

        if (order > 0 || (order == 0 && previous.len >= name.len)) {
            lv_fail(v, 19, "the names are not in order");
        }

        previous = name;

        file = lv_file_find(v, name);

        if (file == NULL) {
            lv_incomplete(v, 19, "the file %.*s is missing", (int) name.len,
                          name.data);
            continue;
        }

        file->listed = 1;

        lv_sha256(hash, file->content.data, file->content.len);

        if (memcmp(hash, p - 32, 32) != 0) {
            lv_fail(v, 19, "%s has another hash", file->name);
        }
    }

    for (n = 0; n < v->nfiles; n++) {
        if (!v->file[n].listed && lv_evidence_name(v->file[n].name)) {
            lv_fail(v, 19, "%s is not named in the evidence",
                    v->file[n].name);
        }
    }

    lv_info(v, 19, "%u files", count);
}
