/* A vector for each text: the hidden states of the last layer, pooled over its tokens. */
#include "base/sized.h"
#include "infer/sequences.h"
#include "text/bert_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* The n texts with the prompt before them and in lower case as o asks, to be freed as one; NULL when memory is out. */
static char **prepared(const char *const *texts, size_t n, const lithe_embedding *o)
{
    text_buffer all = { 0 };
    size_t *start = xalloc(n + 1, sizeof *start);
    for (size_t i = 0; start && i < n; i++) {
        start[i] = all.n;
        text_append(&all, o->prompt, strlen(o->prompt));
        if (o->lowercase) bert_lower(&all, texts[i], strlen(texts[i]));
        else text_append(&all, texts[i], strlen(texts[i]));
        text_append(&all, "", 1);
    }
    char **out = start && !all.failed ? xalloc(1, (n + 1) * sizeof *out + all.n) : NULL, *bytes = out ? (char *)(out + n + 1) : NULL;
    if (out && all.n) memcpy(bytes, all.bytes, all.n);
    for (size_t i = 0; out && i < n; i++) out[i] = bytes + start[i];
    free(all.bytes);
    free(start);
    return out;
}

static int pooling_of(const lithe_embedding *o, pooling *how, lithe_error *err)
{
    static const char *const names[] = { "cls", "last", "mean" };       /* in the order of `pooling` */
    for (int i = 0; i < 3; i++)
        if (!strcmp(o->pooling ? o->pooling : "mean", names[i])) {
            *how = (pooling)i;
            return LITHE_OK;
        }
    return fail(err, LITHE_EINVAL, "pooling \"%.40s\", expected mean, cls or last", o->pooling);
}

static int embed_texts(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o, pooled *p, size_t *cut, lithe_error *err)
{
    sequences x;
    if (texts_check(texts, n, err)) return LITHE_EINVAL;
    char **given = prepared(texts, n, o);
    if (!given) return fail(err, LITHE_ENOMEM, "not enough memory for %zu texts", n);
    int status = sequences_encode(&x, engine_model(e), t, (const char *const *)given, NULL, n, o->max_length, err);
    free(given);
    if (cut) *cut = status ? 0 : x.cut;
    if (!status) status = sequences_run(&x, e, WANT_HIDDEN, take_hidden, p, err);
    sequences_close(&x);
    return status;
}

/* Begins an embedding as o says, else as the files beside the model do. */
static int begin(lithe_engine *e, const lithe_embedding *o, lithe_embedding *how, pooled *p, lithe_error *err)
{
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    int status = o ? options_read(how, sizeof *how, o, "lithe_embedding", err) : lithe_embedding_read(engine_model(e), how, err);
    if (status || (status = pooling_of(how, &p->how, err))) return status;
    p->normalize = how->normalize;
    return (p->width = engine_width(e)) ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for the graph");
}

int lithe_engine_embed(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o, float *out, size_t *cut, lithe_error *err)
{
    lithe_embedding how;
    pooled p = { .out = out };
    int status = begin(e, o, &how, &p, err);
    if (!status && out) status = embed_texts(e, t, texts, n, &how, &p, cut, err);
    return status ? status : p.width;
}

int lithe_engine_embed_ids(lithe_engine *e, const lithe_tokenizer *t, const int32_t *ids, const size_t *start, size_t n, const lithe_embedding *o, float *out, size_t *cut, lithe_error *err)
{
    lithe_embedding how;
    sequences x;
    pooled p = { .out = out };
    int status = begin(e, o, &how, &p, err);
    if (status) return status;
    if (!t || !ids || !start || !out) return fail(err, LITHE_EINVAL, "there is no %s", !t ? "tokenizer" : out ? "array of ids" : "memory for the vectors");
    status = sequences_join(&x, engine_model(e), t, ids, start, n, how.max_length, err);
    if (cut) *cut = status ? 0 : x.cut;
    if (!status) status = sequences_run(&x, e, WANT_HIDDEN, take_hidden, &p, err);
    sequences_close(&x);
    return status ? status : p.width;
}

int lithe_embed(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o, float *out, size_t *cut, lithe_error *err)
{
    lithe_engine *e = engine_of_whole(m, err);
    int width = lithe_engine_embed(e, t, texts, n, o, out, cut, err);
    lithe_engine_close(e);
    return width;
}
