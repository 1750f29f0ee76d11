/* A vector for each text: the hidden states of the last layer, pooled over its tokens.
 * Beside a model that sentence-transformers wrote, modules.json and the config.json of
 * the pooling module say how, and sentence_bert_config.json gives the largest number of tokens. */
#include "base/json.h"
#include "base/sized.h"
#include "base/file.h"
#include "infer/sequences.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES = 1 << 20, JSON_DEPTH = 16 };

/* ---- how ------------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

/* NULL without an error if there is no such file. */
static json_t *read_beside(const char *dir, const char *folder, const char *name, lithe_error *err)
{
    char *inner = path_join(dir, folder), *path = inner ? path_join(inner, name) : NULL;
    json_t *json = path && path_exists(path) ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL;
    free(inner);
    free(path);
    return json;
}

static int read_pooling(const char *dir, const char *folder, lithe_embedding *o, lithe_error *err)
{
    static const struct { const char *key, *pooling; } modes[] = {
        { "pooling_mode_cls_token", "cls" }, { "pooling_mode_mean_tokens", "mean" }, { "pooling_mode_lasttoken", "last" },
        { "pooling_mode_max_tokens", NULL }, { "pooling_mode_mean_sqrt_len_tokens", NULL }, { "pooling_mode_weightedmean_tokens", NULL },
    };
    json_t *json = read_beside(dir, folder, "config.json", err);
    int status = json || !failed(err) ? LITHE_OK : (int)err->status, found = 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !status; i++) {
        if (!json_is_true(json_object_get(json, modes[i].key))) continue;
        if (!modes[i].pooling) status = fail(err, LITHE_ECONFIG, "%s/%s/config.json: %s is not supported, expected cls, mean or last tokens", dir, folder, modes[i].key);
        else if (found++) status = fail(err, LITHE_ECONFIG, "%s/%s/config.json: asks for several poolings side by side, one is supported", dir, folder);
        o->pooling = modes[i].pooling;
    }
    json_decref(json);
    return status;
}

static int read_module(const char *dir, const json_t *module, lithe_embedding *o, lithe_error *err)
{
    const char *type = json_string_value(json_object_get(module, "type")), *path = json_string_value(json_object_get(module, "path"));
    if (!type || !path || strstr(path, "..") || *path == '/') return fail(err, LITHE_ECONFIG, "%s/modules.json: a module without a type or a path inside the folder", dir);
    if (ends_with(type, ".Transformer")) return LITHE_OK;
    if (ends_with(type, ".Pooling")) return read_pooling(dir, path, o, err);
    if (!ends_with(type, ".Normalize")) return fail(err, LITHE_ECONFIG, "%s/modules.json: module %.80s is not supported, expected Transformer, Pooling, Normalize", dir, type);
    o->normalize = 1;
    return LITHE_OK;
}

int lithe_embedding_read(const lithe_model *m, lithe_embedding *o, lithe_error *err)
{
    lithe_error own = { 0 };
    if (failed(err)) return err->status;
    if (!err) err = &own;
    *o = LITHE_OPTIONS(lithe_embedding, .pooling = m && !lithe_model_encoder(m) ? "last" : "mean");
    if (!m || !m->path || !path_is_dir(m->path)) return LITHE_OK;
    json_t *modules = read_beside(m->path, ".", "modules.json", err), *size = read_beside(m->path, ".", "sentence_bert_config.json", err);
    for (size_t i = 0; i < json_array_size(modules) && !failed(err); i++) read_module(m->path, json_array_get(modules, i), o, err);
    json_int_t most = json_integer_value(json_object_get(size, "max_seq_length"));
    if (most > 0 && most <= lithe_model_context(m)) o->max_length = (int)most;
    json_decref(modules);
    json_decref(size);
    return err->status;
}

/* ---- vectors ---------------------------------------------------------------------------- */

typedef struct { pooling how; bool normalize; float *out; int width; } pooled;

static void normalize(float *x, int n)
{
    double square = 0;
    for (int c = 0; c < n; c++) square += (double)x[c] * (double)x[c];
    for (int c = 0; c < n && square > 0; c++) x[c] = (float)((double)x[c] / sqrt(square));
}

/* Sums are in double and in ascending order. */
static void pool_sequence(const pooled *p, const real *rows, int n, float *y)
{
    int first = p->how == POOL_LAST ? n - 1 : 0, end = p->how == POOL_FIRST ? 1 : n;
    for (int c = 0; c < p->width; c++) {
        double sum = 0;
        for (int r = first; r < end; r++) sum += (double)rows[(size_t)r * (size_t)p->width + (size_t)c];
        y[c] = (float)(sum / (end - first));
    }
    if (p->normalize) normalize(y, p->width);
}

static void take_hidden(void *context, const results *r, const batch *b, size_t first)
{
    const pooled *p = context;
    for (int s = 0; s < b->seqs; s++)
        pool_sequence(p, r->hidden->data + (size_t)b->start[s] * (size_t)p->width, b->start[s + 1] - b->start[s], p->out + (first + (size_t)s) * (size_t)p->width);
}

static int width_of(const lithe_model *m)
{
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { 1, 1, 0 } };
    pass p;
    if (pass_plan(&p, m, &o, WANT_HIDDEN, NULL)) return 0;
    int width = p.r.hidden->width;
    pass_close(&p);
    return width;
}

int lithe_embed(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o, float *out, size_t *cut, lithe_error *err)
{
    static const char *const names[] = { "cls", "last", "mean" };       /* in the order of `pooling` */
    lithe_embedding own;
    sequences x;
    int how = 0;
    if (failed(err)) return err->status;
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    int status = o ? options_read(&own, sizeof own, o, "lithe_embedding", err) : lithe_embedding_read(m, &own, err);
    if (status) return status;
    o = &own;
    while (how < 3 && strcmp(o->pooling ? o->pooling : "mean", names[how])) how++;
    if (how == 3) return fail(err, LITHE_EINVAL, "pooling \"%.40s\", expected mean, cls or last", o->pooling);
    pooled p = { (pooling)how, o->normalize, out, width_of(m) };
    if (!p.width) return fail(err, LITHE_ENOMEM, "not enough memory for the graph");
    if (!out) return p.width;
    status = sequences_encode(&x, m, t, texts, NULL, n, o->max_length, err);
    if (cut) *cut = status ? 0 : x.cut;
    if (!status) status = sequences_run(&x, m, WANT_HIDDEN, take_hidden, &p, err);
    sequences_close(&x);
    return status ? status : p.width;
}
