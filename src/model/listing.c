/* Lists the tensors of any model file or directory, whether or not its architecture
 * is known: names, types, shapes, and how many of the values are not finite. */
#include "model/model.h"
#include "base/json.h"
#include "base/threads.h"
#include "files/gguf.h"
#include "files/rwkv_files.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { INDEX_BYTES = 100000000, INDEX_DEPTH = 4 };
static const size_t CHUNK = (size_t)1 << 18;                 /* elements that one task inspects */

struct lithe_listing {
    tensor_file *file;
    lithe_tensor_info *tensors;
    const char *arch;
    arena memory;
};

/* Returns the weight_map of an index of shards, or NULL.  *index is the whole index, a new reference. */
static const json_t *shard_names(const char *path, json_t **index)
{
    size_t n = strlen(path);
    bool named = n > 5 && !strcmp(path + n - 5, ".json");
    *index = named ? json_read(path, INDEX_BYTES, INDEX_DEPTH, NULL) : NULL;
    return json_object_get(*index, "weight_map");
}

static int fill(lithe_listing *l, lithe_error *err)
{
    const tensor_file *f = l->file;
    json_t *index;
    const json_t *shards = shard_names(f->path, &index);
    const char *alone = path_base(f->path);
    int status = LITHE_OK;
    l->tensors = arena_alloc(&l->memory, ((size_t)f->count + 1) * sizeof *l->tensors);
    if (!l->tensors) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to list %d tensors", f->path, f->count);
    for (int i = 0; i < f->count && !status; i++) {
        const file_tensor *t = &f->tensors[i];
        const char *shard = json_string_value(json_object_get(shards, t->name));
        l->tensors[i] = (lithe_tensor_info){ .name = t->name, .dtype = t->type_name ? t->type_name : dtype_name(t->type), .rank = t->rank,
                                             .bytes = t->bytes, .file = shard ? arena_strdup(&l->memory, shard) : alone };
        memcpy(l->tensors[i].dims, t->dims, sizeof t->dims);
        if (!l->tensors[i].file) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to list %d tensors", f->path, f->count);
    }
    json_decref(index);
    return status;
}

/* Opened once more, under our names, from which some configurations take sizes. */
static json_t *config_of_keys(const place *p)
{
    tensor_file *f = model_tensors(p->weights, NULL);
    json_t *config = f ? tensors_config(f, NULL) : NULL;
    tensor_file_close(f);
    return config;
}

static const char *arch_name(const place *p, const tensor_file *f)
{
    json_t *config = f->config ? json_incref(f->config) : f->keys ? config_of_keys(p) : p->config ? config_read(p->config, NULL) : NULL;
    lithe_error ignored = { 0 };
    const arch *a = config ? config_arch(config, "config.json", &ignored) : rwkv_refuse(f, &ignored) ? NULL : tensors_arch(f);
    drop_error(&ignored);
    json_decref(config);
    return a ? a->name : NULL;
}

lithe_listing *lithe_listing_open(const char *path, lithe_error *err)
{
    place p;
    int status = place_find(&p, path, err);
    lithe_listing *l = status ? NULL : xalloc(1, sizeof *l);
    if (!status && !l) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to list it", path);
    if (!status && !p.weights) status = place_without_weights(&p, err);
    if (!status && !(l->file = tensor_file_open(p.weights, err))) status = LITHE_EFORMAT;
    if (!status) status = fill(l, err);
    if (!status) l->arch = arch_name(&p, l->file);
    place_free(&p);
    if (!status) return l;
    lithe_listing_close(l);
    return NULL;
}

void lithe_listing_close(lithe_listing *l)
{
    if (!l) return;
    tensor_file_close(l->file);
    arena_free(&l->memory);
    free(l);
}

size_t      lithe_listing_count(const lithe_listing *l)  { return l ? (size_t)l->file->count : 0; }
const char *lithe_listing_format(const lithe_listing *l) { return l ? l->file->format : NULL; }
const char *lithe_listing_arch(const lithe_listing *l)   { return l ? l->arch : NULL; }

const lithe_tensor_info *lithe_listing_tensor(const lithe_listing *l, size_t i)
{
    return i < lithe_listing_count(l) ? &l->tensors[i] : NULL;
}

/* ---- metadata ------------------------------------------------------------------- */

enum { ELEMENTS_SHOWN = 64 };

/* The value as JSON in the listing's memory; gives the reference up. */
static const char *kept_text(lithe_listing *l, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9)) : NULL;
    const char *kept = text ? arena_strdup(&l->memory, text) : NULL;
    free(text);
    json_decref(value);
    return kept;
}

static void describe_key(lithe_listing *l, const gguf_value *v, lithe_key_info *out)
{
    char type[32];
    bool is_list = v->type == GGUF_ARRAY;
    snprintf(type, sizeof type, "%s%s", is_list ? "array of " : "", gguf_type_name(is_list ? v->of : v->type));
    const char *kept = arena_strdup(&l->memory, type);
    *out = (lithe_key_info){ .key = v->key, .type = kept ? kept : "", .count = (size_t)v->count,
                             .value = v->count > ELEMENTS_SHOWN ? NULL : kept_text(l, gguf_json(v)) };
}

int lithe_listing_key(lithe_listing *l, size_t i, lithe_key_info *out)
{
    const tensor_file *f = l ? l->file : NULL;
    if (!out) return 0;
    *out = (lithe_key_info){ 0 };
    if (f && f->keys) {
        if (i < f->keys->count) describe_key(l, &f->keys->values[i], out);
    } else if (f) {
        void *at = json_object_iter(f->metadata);
        while (at && i--) at = json_object_iter_next(f->metadata, at);
        if (at) *out = (lithe_key_info){ .key = json_object_iter_key(at), .type = "string", .count = 1, .value = kept_text(l, json_incref(json_object_iter_value(at))) };
    }
    return out->key != NULL;
}

/* ---- values -------------------------------------------------------------------- */

typedef struct {
    const file_tensor *tensor;
    atomic_llong bad;
    atomic_bool unreadable;
} inspection;

static void inspect_chunk(void *context, int chunk)
{
    enum { N = 4096 };
    float x[N];
    inspection *c = context;
    size_t first = (size_t)chunk * CHUNK, last = c->tensor->count - first < CHUNK ? c->tensor->count : first + CHUNK;
    long long bad = 0;
    for (size_t i = first; i < last; i += N) {
        size_t n = last - i < N ? last - i : N;
        if (!file_tensor_floats(c->tensor, i, n, x)) { atomic_store(&c->unreadable, true); return; }
        for (size_t j = 0; j < n; j++) bad += !isfinite(x[j]);
    }
    atomic_fetch_add(&c->bad, bad);
}

long long lithe_listing_bad_values(const lithe_listing *l, size_t i)
{
    if (i >= lithe_listing_count(l)) return -1;
    inspection c = { .tensor = &l->file->tensors[i] };
    float probe;
    if (!file_tensor_floats(c.tensor, 0, c.tensor->count ? 1 : 0, &probe)) return -1;
    parallel_for((int)((c.tensor->count + CHUNK - 1) / CHUNK), inspect_chunk, &c);
    return atomic_load(&c.unreadable) ? -1 : atomic_load(&c.bad);
}
