/* Texts become sequences, and sequences become batches (infer/sequences.h). */
#include "base/progress.h"
#include "infer/sequences.h"
#include "text/layout.h"
#include <stdlib.h>
#include <string.h>

/* ---- texts --------------------------------------------------------------------------- */

static bool make_room(sequences *x, size_t wanted)
{
    if (wanted <= x->capacity) return true;
    size_t capacity = wanted + wanted / 2;
    int32_t *ids = xrealloc(x->ids, capacity, sizeof *ids);
    if (ids) x->ids = ids;
    int32_t *types = ids ? xrealloc(x->types, capacity, sizeof *types) : NULL;
    if (types) x->types = types;
    if (ids && types) x->capacity = capacity;
    return ids && types;
}

static int add_text(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const char *a, const char *b, size_t limit, lithe_error *err)
{
    size_t used = x->start[x->n], b_size = b ? strlen(b) : 0;
    size_t whole = lithe_encode_pair(t, a, strlen(a), b, b_size, 0, NULL, NULL, 0), length = whole < limit ? whole : limit;
    const layout l = layout_of(t);
    if (!length) return fail(err, LITHE_EFORMAT, "text %zu is empty", x->n + 1);
    if (layout_fits(&l, b != NULL, limit, err)) return LITHE_EINVAL;
    if (!make_room(x, used + length)) return fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", used + length);
    length = lithe_encode_pair(t, a, strlen(a), b, b_size, limit, x->ids + used, x->types + used, length);
    x->cut += whole > limit;
    x->start[++x->n] = used + length;
    return check_ids(m, x->ids + used, length, err) ? LITHE_EINVAL : LITHE_OK;
}

/* The same for a text that is ids. */
static int add_ids(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t limit, lithe_error *err)
{
    size_t used = x->start[x->n], whole = lithe_join(t, ids, n, NULL, 0, 0, NULL, NULL, 0), length = whole < limit ? whole : limit;
    const layout l = layout_of(t);
    if (!length) return fail(err, LITHE_EFORMAT, "text %zu is empty", x->n + 1);
    if (layout_fits(&l, false, limit, err)) return LITHE_EINVAL;
    if (!make_room(x, used + length)) return fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", used + length);
    length = lithe_join(t, ids, n, NULL, 0, limit, x->ids + used, x->types + used, length);
    x->cut += whole > limit;
    x->start[++x->n] = used + length;
    return check_ids(m, x->ids + used, length, err) ? LITHE_EINVAL : LITHE_OK;
}

int texts_check(const char *const *texts, size_t n, lithe_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!texts || !texts[i]) return fail(err, LITHE_EINVAL, "text %zu of %zu is NULL", i + 1, n);
    return LITHE_OK;
}

/* Begins with none of n texts; *limit becomes the most ids of each. */
static int begin(sequences *x, const lithe_model *m, const lithe_tokenizer *t, size_t n, int *limit, lithe_error *err)
{
    *x = (sequences){ 0 };
    if (lithe_model_fits(m, t, err)) return err ? (int)err->status : LITHE_EINVAL;
    int context = lithe_model_context(m);
    if (*limit < 1 || *limit > context) *limit = context;
    x->start = xalloc(n + 1, sizeof *x->start);
    return x->start ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %zu texts", n);
}

int sequences_encode(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                     int limit, lithe_error *err)
{
    *x = (sequences){ 0 };
    if (texts_check(texts, n, err)) return LITHE_EINVAL;
    int status = begin(x, m, t, n, &limit, err);
    for (size_t i = 0; i < n && !status; i++) status = add_text(x, m, t, texts[i], pairs ? pairs[i] : NULL, (size_t)limit, err);
    if (status) sequences_close(x);
    return status;
}

int sequences_join(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, const size_t *start, size_t n, int limit, lithe_error *err)
{
    int status = begin(x, m, t, n, &limit, err);
    for (size_t i = 0; i < n && !status; i++) status = add_ids(x, m, t, ids + start[i], start[i + 1] - start[i], (size_t)limit, err);
    if (status) sequences_close(x);
    return status;
}

void sequences_close(sequences *x)
{
    free(x->ids);
    free(x->types);
    free(x->start);
    *x = (sequences){ 0 };
}

/* ---- batches --------------------------------------------------------------------------- */

/* The number of sequences from `first` on that fit in one batch, at least one. */
static size_t batch_of(const sequences *x, size_t first)
{
    size_t n = 1;
    while (first + n < x->n && x->start[first + n + 1] - x->start[first] <= ROWS_AT_ONCE) n++;
    return n;
}

static void largest_batch(const sequences *x, int *rows, int *seqs)
{
    *rows = *seqs = 0;
    for (size_t first = 0, n; first < x->n; first += n) {
        n = batch_of(x, first);
        size_t length = x->start[first + n] - x->start[first];
        if ((int)length > *rows) *rows = (int)length;
        if ((int)n > *seqs) *seqs = (int)n;
    }
}

static void fill_batch(const sequences *x, size_t first, batch_builder *b)
{
    batch_begin(b);
    for (size_t i = first, end = first + batch_of(x, first); i < end; i++)
        batch_add(b, &(batch_sequence){ .n = (int)(x->start[i + 1] - x->start[i]), .ids = x->ids + x->start[i], .types = x->types + x->start[i] });
    for (int k = 0; k < x->selected; k++) batch_select(b, x->select[k], 0, 1);
}

int sequences_run(const sequences *x, lithe_engine *e, want w, sequences_take *take, void *context, lithe_error *err)
{
    int rows, seqs;
    pass *p;
    if (failed(err)) return err->status;
    if (!x->n) return LITHE_OK;
    largest_batch(x, &rows, &seqs);
    int status = engine_whole(e, &(whole_pass){ w, rows, seqs, x->selected, false }, &p, err);
    for (size_t first = 0; first < x->n && !status; first += batch_of(x, first)) {
        fill_batch(x, first, &p->batch);
        status = progress_tell("reading the texts", (double)first, (double)x->n, err);
        if (!status) status = pass_answer(p, engine_model(e), err);
        if (!status) take(context, &p->r, &p->batch.view, first);
    }
    return status;
}
