/* The public handle of a dataset, whatever its kind (data/data.h). */
#include "base/arena.h"
#include "base/file.h"
#include "base/writer.h"
#include "base/json.h"
#include "base/sized.h"
#include "base/system.h"
#include "data/corpus.h"
#include "data/data.h"
#include "data/image_set.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 8 };
#define JSON_BYTES ((size_t)256 << 20)

const dataset_kind *dataset_kind_of(const char *task)
{
    static const struct { const char *task; const dataset_kind *kind; } kinds[] = { { "classify", &table_kind }, { "regress", &table_kind }, { "images", &image_kind } };
    if (!task) return &text_kind;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) if (!strcmp(task, kinds[i].task)) return kinds[i].kind;
    return NULL;
}

/* ---- opening ----------------------------------------------------------------------- */

/* Where a dataset lies for which the caller names no directory. */
#define TEMPORARY "lithe-data"
static json_t *read_description(const char *dir, lithe_error *err)
{
    char *path = path_join(dir, DATA_JSON);
    json_t *json = path ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL;
    if (!path) fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    return json;
}

int dataset_note(lithe_dataset *d, char **out, const json_t *description, const char *key, lithe_error *err)
{
    const char *text = json_string_value(json_object_get(description, key));
    *out = text ? xstrdup(text) : NULL;
    return text && !*out ? fail(err, LITHE_ENOMEM, "%s: out of memory", d->dir) : LITHE_OK;
}

int dataset_count_label(lithe_dataset *d, int label, lithe_error *err)
{
    if (!d->counted) d->counted = xalloc((size_t)d->names.count, sizeof *d->counted);
    if (!d->counted) return fail(err, LITHE_ENOMEM, "%s: out of memory for %d classes", d->dir, d->names.count);
    d->counted[label]++;
    return LITHE_OK;
}

lithe_dataset *dataset_reopen(const char *dir, const lithe_tokenizer *t, source_share sources, lithe_error *err)
{
    partial_sweep(temporary_parent(), TEMPORARY);
    json_t *json = failed(err) ? NULL : read_description(dir, err);
    const char *task = json_string_value(json_object_get(json, "task"));
    const dataset_kind *kind = json ? dataset_kind_of(task) : NULL;
    if (json && !kind) fail(err, LITHE_EFORMAT, "%s/%s: is of another version of this program, its task is \"%.60s\"", dir, DATA_JSON, task);
    lithe_dataset *d = kind ? xalloc(1, kind->size) : NULL;
    if (d) *d = (lithe_dataset){ .kind = kind, .dir = xstrdup(dir) };
    if (kind && (!d || !d->dir)) fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    int status = d && d->dir ? kind->open(d, json, t, sources, err) : LITHE_ENOMEM;
    if (!status) status = check_pending(err);
    json_decref(json);
    if (!status) return d;
    lithe_dataset_close(d);
    return NULL;
}

lithe_dataset *lithe_dataset_open(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t,
                                  const lithe_data_options *o, lithe_error *err)
{
    lithe_data_options options;
    if (options_read(&options, sizeof options, o, "lithe_data_options", err)) return NULL;
    const dataset_kind *kind = dataset_kind_of(options.task);
    for (int i = 0; i < n; i++)
        if (!paths || !paths[i]) { fail(err, LITHE_EINVAL, "path %d of %d is NULL", i + 1, n); return NULL; }
    if (!kind) {
        fail(err, LITHE_EINVAL, "task is \"%s\", expected classify, regress or images", options.task);
        return NULL;
    }
    partial_dir own = { .lock = -1 };
    if (!dir && partial_make(&own, temporary_parent(), TEMPORARY, err)) return NULL;
    if (!dir) dir = own.path;
    int status = kind->prepare(paths, n, dir, t, &options, err);
    lithe_dataset *d = status ? NULL : dataset_reopen(dir, t, NO_SOURCES, err);
    if (d) d->temporary = own;
    else partial_remove(&own);
    return d;
}

void lithe_dataset_close(lithe_dataset *d)
{
    if (!d) return;
    d->kind->close(d);
    partial_remove(&d->temporary);
    names_free(&d->names);
    free(d->counted);
    free(d->columns);
    free(d->left_out);
    free(d->dir);
    free(d);
}

/* ---- facts --------------------------------------------------------------------------- */

static const split_facts *facts_of(const lithe_dataset *d, int valid)
{
    static const split_facts none;
    return d ? &d->facts[valid ? VALID : TRAIN] : &none;
}

size_t      lithe_dataset_tokens(const lithe_dataset *d, int valid)   { return facts_of(d, valid)->tokens; }
size_t      lithe_dataset_examples(const lithe_dataset *d, int valid) { return facts_of(d, valid)->examples; }
int    lithe_dataset_batch(const lithe_dataset *d) { return d ? d->kind->batch : 0; }
double lithe_dataset_epochs(const lithe_dataset *d) { return d ? d->kind->epochs : 0; }
size_t      lithe_dataset_bytes(const lithe_dataset *d, int valid)    { return facts_of(d, valid)->text_bytes; }
int         lithe_dataset_labels(const lithe_dataset *d)              { return d ? d->names.count : 0; }
int         lithe_dataset_pairs(const lithe_dataset *d)               { return d && d->pairs; }
int         lithe_dataset_longest(const lithe_dataset *d)             { return d ? d->longest : 0; }
const char *lithe_dataset_columns(const lithe_dataset *d)             { return d ? d->columns : NULL; }
const char *lithe_dataset_left_out(const lithe_dataset *d)            { return d ? d->left_out : NULL; }
size_t      lithe_dataset_label_examples(const lithe_dataset *d, int i) { return i < 0 || i >= lithe_dataset_labels(d) || !d->counted ? 0 : d->counted[i]; }
const char *lithe_dataset_label(const lithe_dataset *d, int i)        { return i < 0 || i >= lithe_dataset_labels(d) ? NULL : d->names.text[i]; }

int lithe_dataset_images(const lithe_dataset *d, int *side, int *channels)
{
    if (side) *side = d ? d->side : 0;
    if (channels) *channels = d ? d->channels : 0;
    return d && d->side;
}

double dataset_valid_bytes(const lithe_dataset *d, uint64_t predictions)
{
    const split_facts *f = &d->facts[VALID];
    return f->text_bytes && f->tokens > 1 ? (double)f->text_bytes * ((double)predictions / (double)(f->tokens - 1)) : NAN;
}

/* ---- moving, naming ----------------------------------------------------------------- */

static int place_file(const char *from_dir, const char *to_dir, const char *name, lithe_error *err)
{
    char *from = path_join(from_dir, name), *to = path_join(to_dir, name);
    int status = LITHE_OK;
    if (!from || !to) status = fail(err, LITHE_ENOMEM, "%s: out of memory", to_dir);
    else if (os.link(from, to) && errno == EEXIST) status = fail_errno(err, to, "make");
    else if (!path_exists(to)) status = file_copy(from, to, err);
    free(from);
    free(to);
    return status;
}

int dataset_place(const lithe_dataset *d, const char *dir, lithe_error *err)
{
    const char *const files[] = { d->kind->file[TRAIN], d->kind->file[VALID], DATA_JSON };
    int status = dir_make(dir, err);
    for (int i = 0; i < 3 && !status; i++) status = place_file(d->dir, dir, files[i], err);
    return status ? status : dir_sync(dir, err);
}

int dataset_called(const lithe_dataset *d, const char *dir, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < SPLITS && !status; i++) {
        char *path = d->map[i] ? path_join(dir, d->kind->file[i]) : NULL;
        if (d->map[i]) status = path ? mapping_called(d->map[i], path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
        free(path);
    }
    return status;
}

int dataset_intact(const lithe_dataset *d, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < SPLITS && !status; i++) if (d->map[i]) status = mapping_intact(d->map[i], err);
    return status;
}

void dataset_identity(const lithe_dataset *d, char *text, size_t cap)
{
    const split_facts *a = &d->facts[TRAIN], *b = &d->facts[VALID];
    snprintf(text, cap, "%s %zu %s, %s %zu %s", d->kind->file[TRAIN], a->bytes, a->hash, d->kind->file[VALID], b->bytes, b->hash);
}

/* ---- sources ------------------------------------------------------------------------ */

int lithe_images_known(const char *path) { return path && image_set_known(path); }

char *lithe_text_read(const char *const *paths, int n, size_t limit, size_t *len, lithe_error *err)
{
    return failed(err) ? NULL : corpus_text(paths, n, limit, len, err);
}
