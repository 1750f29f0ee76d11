/* A vector for each text: the hidden states of the last layer, pooled over its tokens. */
#include "base/sized.h"
#include "infer/sequences.h"
#include "text/bert_text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The ways to pool, by the names of lithe_embedding. */
static const char *const poolings[] = { "cls", "last", "mean", "max", "mean_sqrt_len_tokens", "weightedmean" };
enum { CLS, LAST, MEAN, MAX, MEAN_SQRT, WEIGHTED, POOLINGS };

/* how (count): each gives `hidden` of the `width` numbers of a vector. */
typedef struct { int how[POOLINGS], count; bool normalize; float *out; int hidden, width; } pooled;

static void normalize(float *x, int n)
{
    double square = 0;
    for (int c = 0; c < n; c++) square += (double)x[c] * (double)x[c];
    for (int c = 0; c < n && square > 0; c++) x[c] = (float)((double)x[c] / sqrt(square));
}

/* What sums over n rows are divided by. */
static double divisor_of(int how, int n) { return how == MEAN ? n : how == MEAN_SQRT ? sqrt(n) : how == WEIGHTED ? n * (n + 1.0) / 2 : 1; }

/* y (hidden) of rows (n, hidden).  Sums are in double and in ascending order. */
static void pool_rows(int how, const real *rows, int n, int hidden, float *y)
{
    const int first = how == LAST ? n - 1 : 0, end = how == CLS ? 1 : n;
    for (int c = 0; c < hidden; c++) {
        double sum = how == MAX ? -INFINITY : 0;
        for (int r = first; r < end; r++) {
            const double x = (double)rows[(size_t)r * (size_t)hidden + (size_t)c];
            if (how == MAX) sum = x > sum ? x : sum;
            else sum += how == WEIGHTED ? (r + 1) * x : x;
        }
        y[c] = (float)(sum / divisor_of(how, n));
    }
}

static void pool_sequence(const pooled *p, const real *rows, int n, float *y)
{
    for (int i = 0; i < p->count; i++) pool_rows(p->how[i], rows, n, p->hidden, y + (size_t)i * (size_t)p->hidden);
    if (p->normalize) normalize(y, p->width);
}

static void take_hidden(void *context, const results *r, const batch *b, size_t first)
{
    const pooled *p = context;
    for (int s = 0; s < b->seqs; s++)
        pool_sequence(p, r->hidden->data + (size_t)b->start[s] * (size_t)p->hidden, b->start[s + 1] - b->start[s], p->out + (first + (size_t)s) * (size_t)p->width);
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

static int poolings_of(const lithe_embedding *o, pooled *p, lithe_error *err)
{
    char names[sizeof o->pooling], *rest = names, *name;
    memcpy(names, o->pooling[0] ? o->pooling : "mean", o->pooling[0] ? sizeof names : sizeof "mean");
    names[sizeof names - 1] = 0;
    while ((name = strsep(&rest, ",")) != NULL) {
        int how = 0;
        while (how < POOLINGS && strcmp(name, poolings[how])) how++;
        if (how == POOLINGS) return fail(err, LITHE_EINVAL, "pooling \"%.40s\", expected mean, cls, last, max, mean_sqrt_len_tokens or weightedmean", name);
        if (p->count == POOLINGS) return fail(err, LITHE_EINVAL, "pooling \"%.80s\" names more than %d", o->pooling, POOLINGS);
        p->how[p->count++] = how;
    }
    return LITHE_OK;
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
    if (status || (status = poolings_of(how, p, err))) return status;
    p->normalize = how->normalize;
    p->hidden = engine_width(e);
    p->width = p->hidden * p->count;
    return p->width ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for the graph");
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
