/* The logits of a sequence, and the negative log-likelihood of a text in windows. */
#include "infer/engine.h"
#include "base/arena.h"
#include "base/progress.h"
#include <stdlib.h>

static int read_logits(lithe_engine *e, const int32_t *ids, size_t n, float *out, lithe_error *err)
{
    pass *p;
    int status = engine_whole(e, &(whole_pass){ .want = WANT_LOGITS, .rows = (int)n, .seqs = 1 }, &p, err);
    if (status) return status;
    batch_begin(&p->batch);
    batch_add(&p->batch, &(batch_sequence){ .n = (int)n, .ids = ids });
    status = pass_answer(p, engine_model(e), err);
    for (size_t i = 0; !status && i < n * (size_t)p->r.logits->width; i++) out[i] = (float)p->r.logits->data[i];
    return status;
}

int lithe_logits(lithe_model *m, const int32_t *ids, size_t n, float *out, lithe_error *err)
{
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    if (failed(err)) return err->status;
    int longest = lithe_model_context(m);
    if (must_predict_tokens(m, err)) return LITHE_EINVAL;
    if (!n || n > (size_t)longest) return fail(err, LITHE_EINVAL, "%zu ids: the model takes 1 to %d", n, longest);
    if (check_ids(m, ids, n, err)) return LITHE_EINVAL;
    if (!out) return fail(err, LITHE_EINVAL, "there is no memory for %zu rows of logits", n);
    lithe_engine *e = engine_of_whole(m, err);
    int status = e ? read_logits(e, ids, n, out, err) : LITHE_ENOMEM;
    lithe_engine_close(e);
    return status;
}

int lithe_logits_save(lithe_model *m, const int32_t *ids, size_t n, const char *path, lithe_error *err)
{
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    size_t vocab = (size_t)lithe_model_vocab(m), count;
    float *logits = size_mul(n, vocab, &count) && n <= (size_t)lithe_model_context(m) ? xalloc(count + 1, sizeof *logits) : NULL;
    if (!logits) return fail(err, LITHE_EINVAL, "%zu ids: the model takes 1 to %d", n, lithe_model_context(m));
    int status = lithe_logits(m, ids, n, logits, err);
    out_tensor t = { .name = "logits", .type = DT_F32, .rank = 2, .dims = { (int64_t)n, (int64_t)vocab }, .data = logits };
    if (!status) status = safetensors_write(path, &t, 1, NULL, err);
    free(logits);
    return status;
}

/* ---- windows ------------------------------------------------------------------ */

/* Window w reads ids[w*stride ..] and scores the targets that no earlier window scored. */
typedef struct { const int32_t *ids; size_t n; int ctx, stride; } windows;

static size_t window_count(const windows *w)
{
    size_t inputs = w->n - 1;
    return inputs <= (size_t)w->ctx ? 1 : 1 + (inputs - (size_t)w->ctx + (size_t)w->stride - 1) / (size_t)w->stride;
}

static int window_rows(const windows *w, size_t k)
{
    size_t rest = w->n - 1 - k * (size_t)w->stride;
    return rest < (size_t)w->ctx ? (int)rest : w->ctx;
}

/* Runs windows first .. first+count-1 as one batch and adds their scores. */
static int run_windows(const lithe_model *m, pass *p, const windows *w, size_t first, int count, float *nll, double *total, lithe_error *err)
{
    batch_builder *b = &p->batch;
    batch_begin(b);
    for (size_t k = first; k < first + (size_t)count; k++) {
        const int32_t *begin = w->ids + k * (size_t)w->stride;
        int length = window_rows(w, k);
        batch_add(b, &(batch_sequence){ .n = length, .ids = begin });
        for (int i = k ? w->ctx - w->stride : 0; i < length; i++) batch_select(b, i, begin[i + 1], 1);
    }
    int status = pass_answer(p, m, err);
    if (status) return status;
    for (int k = 0; k < count; k++) {
        size_t window = first + (size_t)k, begin = window * (size_t)w->stride;
        int length = b->start[k + 1] - b->start[k], known = window ? w->ctx - w->stride : 0;
        for (int i = known; i < length; i++) {
            double loss = (double)p->r.loss->data[b->start[k] + i];
            if (nll) nll[begin + (size_t)i] = (float)loss;
            *total += loss;
        }
    }
    return LITHE_OK;
}

int lithe_engine_score(lithe_engine *e, const int32_t *ids, size_t n, int ctx, int stride, float *nll, double *total, lithe_error *err)
{
    double unused;
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    const lithe_model *m = engine_model(e);
    int longest = lithe_model_context(m);
    if (ctx < 0 || ctx > longest) return fail(err, LITHE_EINVAL, "windows of %d tokens: the model has %d positions", ctx, longest);
    if (stride < 0 || stride > (ctx ? ctx : longest)) return fail(err, LITHE_EINVAL, "a stride of %d is more than the window of %d", stride, ctx ? ctx : longest);
    if (n < 2) return fail(err, LITHE_EINVAL, "%zu tokens: at least two are needed to score one", n);
    if (check_ids(m, ids, n, err) || must_continue_text(m, err)) return LITHE_EINVAL;
    windows w = { ids, n, ctx ? ctx : longest, 0 };
    if ((size_t)w.ctx > n - 1) w.ctx = (int)(n - 1);
    w.stride = stride && stride < w.ctx ? stride : w.ctx;
    size_t count = window_count(&w);
    int at_once = ROWS_AT_ONCE / w.ctx > 0 ? ROWS_AT_ONCE / w.ctx : 1;
    if ((size_t)at_once > count) at_once = (int)count;

    if (!total) total = &unused;
    *total = 0;
    pass *p;
    int status = engine_whole(e, &(whole_pass){ .want = WANT_LOSS, .rows = at_once * w.ctx, .seqs = at_once }, &p, err);
    for (size_t k = 0; !status && k < count && !(status = progress_tell("scoring the text", (double)k, (double)count, err)); k += (size_t)at_once)
        status = run_windows(m, p, &w, k, count - k < (size_t)at_once ? (int)(count - k) : at_once, nll, total, err);
    return status;
}

int lithe_score(lithe_model *m, const int32_t *ids, size_t n, int ctx, int stride, float *nll, double *total, lithe_error *err)
{
    lithe_engine *e = engine_of_whole(m, err);
    int status = lithe_engine_score(e, ids, n, ctx, stride, nll, total, err);       /* no engine: the failure sticks */
    lithe_engine_close(e);
    return status;
}
