/* Turns files into documents.  A plain file is mapped and read in place; a packed one is unpacked into a buffer that
 * holds a line (.jsonl) or all of it (.txt).  Invariant: two readings of unchanged files give the same documents. */
#include "data/corpus.h"
#include "data/stdin_file.h"
#include "base/arena.h"
#include "base/system.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/dir_names.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_DEPTH = 64, JSON_DEPTH = 32, PIECE_BYTES = 1 << 20 };
#define BUFFER_LIMIT ((size_t)2 << 30)          /* the most bytes of a packed document, or of a line of packed .jsonl */

typedef enum { TEXT, JSONL, UNSEEN } form;          /* UNSEEN: for standard input, until its first bytes decide */

typedef struct { source known; form form; packing packing; } input;

struct corpus {
    input *inputs;
    size_t count, capacity, current;
    bool any_bytes, rows, whole;                    /* rows: lines are documents; whole: of standard input too */
    mapping map;                                    /* of the current file; data NULL: none is open */
    form form;
    packing packing;
    unpacker *unpacker;                             /* NULL for a plain file */
    char *buffer;
    size_t buffer_capacity;
    const char *view;                               /* the mapping or the buffer; at .. end is unread */
    size_t at, end, line, skipped;                  /* skipped: bytes of a byte order mark */
    bool ended;                                     /* nothing follows after end */
    json_t *value;                                  /* owns the text of the last .jsonl document */
};

/* ---- which files ---------------------------------------------------------------- */

static bool ends_with(const char *name, size_t size, const char *ending)
{
    size_t n = strlen(ending);
    return size > n && !strncasecmp(name + size - n, ending, n);
}

/* False for a name whose ending means neither text nor lines of JSON. */
static bool form_of_name(const char *path, form *f, packing *p)
{
    const char *name = path_base(path);
    size_t size = strlen(name);
    *p = ends_with(name, size, ".gz") ? GZIP : ends_with(name, size, ".zst") ? ZSTD : PLAIN;
    if (*p != PLAIN) size -= *p == GZIP ? 3 : 4;
    *f = ends_with(name, size, ".jsonl") ? JSONL : TEXT;
    return *f == JSONL || ends_with(name, size, ".txt");
}

static int add_file(corpus *c, const char *path, form f, packing p, lithe_error *err)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 16;
        input *grown = xrealloc(c->inputs, capacity, sizeof *grown);
        if (!grown) return fail(err, LITHE_ENOMEM, "%s: out of memory", path);
        c->inputs = grown;
        c->capacity = capacity;
    }
    char *copy = xstrdup(path);
    if (!copy) return fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    c->inputs[c->count++] = (input){ .known = { .path = copy }, .form = f, .packing = p };
    return LITHE_OK;
}

/* Links to directories are not followed, since they may form a cycle. */
static int add_directory(corpus *c, const char *path, int depth, lithe_error *err)
{
    dir_names l;
    int status = dir_names_read(&l, path, err);
    if (!status && depth == DIRECTORY_DEPTH) status = fail(err, LITHE_EINVAL, "%s: directories nested more than %d deep", path, DIRECTORY_DEPTH);
    for (size_t i = 0; i < l.count && !status; i++) {
        form f;
        packing p;
        struct stat s;
        char *name = l.names[i][0] == '.' ? NULL : path_join(path, l.names[i]);
        if (name && os.stat(AT_FDCWD, name, &s, AT_SYMLINK_NOFOLLOW)) status = errno == ENOENT ? LITHE_OK : fail_errno(err, name, "look at");
        else if (name) {
            if (S_ISDIR(s.st_mode)) status = add_directory(c, name, depth + 1, err);
            else if (form_of_name(name, &f, &p)) status = add_file(c, name, f, p, err);
        }
        free(name);
    }
    dir_names_free(&l);
    return status;
}

static int add_path(corpus *c, const char *path, lithe_error *err)
{
    form f;
    packing p;
    if (!strcmp(path, "-")) return add_file(c, path, UNSEEN, PLAIN, err);
    if (!path_exists(path)) return fail_errno(err, path, "open");
    if (path_is_dir(path)) {
        size_t before = c->count;
        int status = add_directory(c, path, 0, err);
        if (!status && c->count == before)
            status = fail(err, LITHE_EINVAL, "%s: no .txt or .jsonl files in this directory (.gz and .zst of them count too)", path);
        return status;
    }
    if (!form_of_name(path, &f, &p) && ends_with(path, strlen(path), ".json"))
        return fail(err, LITHE_EINVAL, "%s: give .jsonl, one object with a `text` field on each line", path);
    return add_file(c, path, f, p, err);
}

corpus *corpus_open(const char *const *paths, int n, bool any_bytes, lithe_error *err)
{
    if (failed(err)) return NULL;
    corpus *c = xalloc(1, sizeof *c);
    if (!c) { fail(err, LITHE_ENOMEM, "out of memory"); return NULL; }
    *c = (corpus){ .any_bytes = any_bytes };
    int status = n > 0 ? LITHE_OK : fail(err, LITHE_EINVAL, "no data given: name a .txt or .jsonl file, a directory, or - for standard input");
    for (int i = 0; i < n && !status; i++) status = add_path(c, paths[i], err);
    if (!status) return c;
    corpus_close(c);
    return NULL;
}

static corpus *open_one(const char *path, bool any_bytes, bool rows, lithe_error *err)
{
    if (!path) { fail(err, LITHE_EINVAL, "there is no path of a text"); return NULL; }
    form f = UNSEEN;
    packing p = PLAIN;
    corpus *c = failed(err) ? NULL : xalloc(1, sizeof *c);
    if (!c) { fail(err, LITHE_ENOMEM, "%s: out of memory", path); return NULL; }
    *c = (corpus){ .any_bytes = any_bytes, .rows = rows, .whole = !rows };
    if (strcmp(path, "-")) {
        form_of_name(path, &f, &p);
        if (!rows) f = TEXT;
    }
    if (!add_file(c, path, f, p, err)) return c;
    corpus_close(c);
    return NULL;
}

corpus *corpus_open_file(const char *path, bool any_bytes, lithe_error *err) { return open_one(path, any_bytes, false, err); }

corpus *corpus_open_rows(const char *path, lithe_error *err) { return open_one(path, true, true, err); }

size_t corpus_sources(const corpus *c) { return c->count; }
const source *corpus_source(const corpus *c, size_t i) { return &c->inputs[i].known; }

/* ---- one file ------------------------------------------------------------------- */

static int finish_current(corpus *c, int status, lithe_error *err)
{
    unpack_close(c->unpacker);
    c->unpacker = NULL;
    return mapping_finish(&c->map, status, err);
}

static void close_current(corpus *c) { finish_current(c, LITHE_OK, NULL); }

/* Makes room after end and reads more; sets ended when there is no more. */
static int read_more(corpus *c, lithe_error *err)
{
    const char *name = c->inputs[c->current].known.path;
    size_t got;
    if (c->at) {
        memmove(c->buffer, c->buffer + c->at, c->end - c->at);
        c->end -= c->at;
        c->at = 0;
    }
    if (c->buffer_capacity - c->end < PIECE_BYTES) {
        size_t capacity = c->buffer_capacity ? 2 * c->buffer_capacity : 2 * PIECE_BYTES;
        if (capacity > BUFFER_LIMIT)
            return fail(err, LITHE_EFORMAT, "%s: %s longer than %zu bytes when unpacked: unpack the file first", name,
                        c->form == JSONL ? "a line" : "a document", BUFFER_LIMIT);
        char *grown = xrealloc(c->buffer, capacity, 1);
        if (!grown) return fail(err, LITHE_ENOMEM, "%s: out of memory with %zu bytes unpacked", name, c->end);
        c->buffer = grown;
        c->buffer_capacity = capacity;
    }
    c->view = c->buffer;
    int status = unpack_read(c->unpacker, c->buffer + c->end, c->buffer_capacity - c->end, &got, err);
    if (status) return status;
    c->end += got;
    c->ended = got == 0;
    return LITHE_OK;
}

/* Names the packed formats that are not read, which would otherwise be taken for text. */
static int refuse_packed(const mapping *m, const char *name, lithe_error *err)
{
    static const struct { const char *begin; size_t n; const char *format; } others[] = {
        { "\xfd" "7zXZ\0", 6, "xz" }, { "BZh", 3, "bzip2" }, { "PK\3\4", 4, "zip" }, { "7z\xbc\xaf\x27\x1c", 6, "7z" }, { "Rar!", 4, "rar" }, { "PAR1", 4, "Parquet" },
        { "\x1f\x9d", 2, "compress" } };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (m->size > others[i].n && !memcmp(m->data, others[i].begin, others[i].n))
            return fail(err, LITHE_EFORMAT, "%s: is a file of %s; unpack it first (gzip and zstd are read as they are)", name, others[i].format);
    return LITHE_OK;
}

static packing packing_of_bytes(const mapping *m)
{
    if (m->size > 2 && m->data[0] == 0x1f && m->data[1] == 0x8b) return GZIP;
    if (m->size > 3 && !memcmp(m->data, "\x28\xb5\x2f\xfd", 4)) return ZSTD;
    return PLAIN;
}

/* The form is lines of JSON when the first line is an object with a `text`. */
static form form_of_bytes(const char *text, size_t size)
{
    const char *newline = memchr(text, '\n', size);
    size_t n = newline ? (size_t)(newline - text) : size;
    if (!n || text[strspn(text, " \t")] != '{') return TEXT;
    json_t *value = json_parse(text, n, JSON_DEPTH, "-", NULL);
    form f = json_is_string(json_object_get(value, "text")) ? JSONL : TEXT;
    json_decref(value);
    return f;
}

static int open_current(corpus *c, lithe_error *err)
{
    input *in = &c->inputs[c->current];
    int status = in->form == UNSEEN ? stdin_map(&c->map, err) : file_map(&c->map, in->known.path, err);
    if (status) return status;
    if (in->form != UNSEEN && (status = refuse_sparse(in->known.path, c->map.size, err))) return status;
    in->known.bytes = c->map.size;
    if ((status = hash_long(c->map.data, c->map.size, in->known.hash, err))) return status;
    c->form = in->form;
    c->packing = in->packing == PLAIN ? packing_of_bytes(&c->map) : in->packing;
    if (c->packing == PLAIN && refuse_packed(&c->map, in->known.path, err)) return LITHE_EFORMAT;
    c->at = c->end = c->line = c->skipped = 0;
    if (c->packing == PLAIN) {
        c->view = (const char *)c->map.data;
        c->end = c->map.size;
        c->ended = true;
    } else {
        c->ended = false;
        c->unpacker = unpack_open(&c->map, c->packing, in->known.path, err);
        status = c->unpacker ? read_more(c, err) : LITHE_EFORMAT;
    }
    if (!status && c->end >= 3 && !memcmp(c->view, "\xef\xbb\xbf", 3)) c->at = c->skipped = 3;
    if (!status && c->form == UNSEEN) c->form = c->whole ? TEXT : form_of_bytes(c->view + c->at, c->end - c->at);
    return status;
}

/* ---- documents ------------------------------------------------------------------ */

/* What texts of any encoding seldom have: NUL and the other controls but tabs, breaks of lines and pages, backspaces
 * and the escapes of terminals. */
static bool is_control(unsigned char c) { return (c < 32 && c != 27 && (c < 8 || c > 13)) || c == 127; }

static int check_text(const corpus *c, const char *text, size_t size, lithe_error *err)
{
    const char *name = c->inputs[c->current].known.path;
    size_t controls = 0, good;
    enum { SHORT = 1024 };                      /* bytes; of fewer only NULs are counted */
    if (size > 1 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
        return fail(err, LITHE_EFORMAT, "%s: is UTF-16, expected UTF-8", name);
    for (size_t i = 0; i < size; i++) controls += size < SHORT ? !text[i] : is_control((unsigned char)text[i]);
    if (controls * 100 > size)
        return fail(err, LITHE_EFORMAT, "%s: a binary file or UTF-16, not text: %zu of its %zu bytes are NUL or other control characters", name, controls, size);
    if (c->any_bytes || (good = utf8_valid(text, size)) == size) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: byte 0x%02x at offset %zu is not UTF-8 text", name, (unsigned char)text[good], good + c->skipped);
}

static int next_text(corpus *c, document *d, lithe_error *err)
{
    while (!c->ended) {
        int status = read_more(c, err);
        if (status) return status;
    }
    if (c->at == c->end) return 0;
    *d = (document){ c->view + c->at, c->end - c->at };
    c->at = c->end;
    int status = check_text(c, d->text, d->size, err);
    return status ? status : 1;
}

/* Returns 1 and a line without its newline, or 0 at the end. */
static int next_line(corpus *c, document *d, lithe_error *err)
{
    size_t looked = 0;                          /* bytes after `at` that are known to hold no newline */
    for (;;) {
        const char *from = c->view + c->at, *newline = memchr(from + looked, '\n', c->end - c->at - looked);
        if (newline || (c->ended && c->at < c->end)) {
            *d = (document){ from, newline ? (size_t)(newline - from) : c->end - c->at };
            c->at += d->size + (newline != NULL);
            c->line++;
            return 1;
        }
        if (c->ended) return 0;
        looked = c->end - c->at;
        int status = read_more(c, err);
        if (status) return status;
    }
}

static int next_row(corpus *c, document *d, lithe_error *err)
{
    int status = next_line(c, d, err);
    if (status == 1 && d->size && d->text[d->size - 1] == '\r') d->size--;
    if (status == 1 && check_text(c, d->text, d->size, err)) return LITHE_EFORMAT;
    return status;
}

static bool is_blank(const document *d)
{
    for (size_t i = 0; i < d->size; i++) if (!strchr(" \t\r", d->text[i]) || !d->text[i]) return false;
    return true;
}

static int next_object(corpus *c, document *d, lithe_error *err)
{
    int status;
    do status = next_line(c, d, err);
    while (status == 1 && is_blank(d));
    if (status != 1) return status;
    char what[300];
    const char *name = c->inputs[c->current].known.path;
    snprintf(what, sizeof what, "%.250s:%zu", name, c->line);
    json_decref(c->value);
    c->value = json_parse(d->text, d->size, JSON_DEPTH, what, err);
    if (!c->value) return LITHE_EFORMAT;
    const json_t *text = json_object_get(c->value, "text");
    if (!json_is_string(text))
        return fail(err, LITHE_EFORMAT, "%s:%zu: %s", name, c->line, !json_is_object(c->value) ? "not a JSON object"
                    : text ? "its `text` is not a string" : "the object has no `text`");
    *d = (document){ json_string_value(text), json_string_length(text) };
    return 1;
}

int corpus_next(corpus *c, document *d, lithe_error *err)
{
    *d = (document){ 0 };
    if (failed(err)) return err->status;
    for (; c->current < c->count; c->current++) {
        int status = c->map.data ? LITHE_OK : open_current(c, err);
        if (status) return finish_current(c, status, err);
        do status = c->form == JSONL ? next_object(c, d, err) : c->rows ? next_row(c, d, err) : next_text(c, d, err);
        while (status == 1 && !d->size && !c->rows);
        if (status == 1) return status;
        if ((status = finish_current(c, status, err))) return status;
    }
    return 0;
}

void corpus_rewind(corpus *c)
{
    close_current(c);
    c->current = 0;
}

void corpus_close(corpus *c)
{
    if (!c) return;
    close_current(c);
    json_decref(c->value);
    for (size_t i = 0; i < c->count; i++) free(c->inputs[i].known.path);
    free(c->inputs);
    free(c->buffer);
    free(c);
}

char *corpus_text(const char *const *paths, int n, size_t limit, size_t *size, lithe_error *err)
{
    document d;
    size_t used = 0;
    char *text = NULL;
    lithe_error unheard = { 0 };
    if (!err) err = &unheard;
    corpus *c = corpus_open(paths, n, true, err);
    if (!c) return NULL;
    while (used < limit && corpus_next(c, &d, err) == 1) {
        size_t take = d.size < limit - used ? d.size : limit - used;
        if (take < d.size) {
            const char *newline = memrchr(d.text, '\n', take);
            if (newline) take = (size_t)(newline - d.text) + 1;
        }
        char *grown = xrealloc(text, used + take + 3, 1);
        if (!grown) { fail(err, LITHE_ENOMEM, "out of memory with %zu bytes of text", used); break; }
        text = grown;
        if (used) { memcpy(text + used, "\n\n", 2); used += 2; }
        memcpy(text + used, d.text, take);
        used += take;
        text[used] = 0;
        if (take < d.size) break;
    }
    if (!failed(err)) finish_current(c, LITHE_OK, err);
    corpus_close(c);
    if (!failed(err) && !used) fail(err, LITHE_EINVAL, "%s: holds no text", paths[0]);
    if (failed(err)) { free(text); return NULL; }
    *size = used;
    return text;
}
