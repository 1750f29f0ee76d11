/* Measures how well an encoder predicts a text: a share of its tokens is masked as in
 * pre-training (data/mask.h), always the same ones for one seed. */
#include "base/progress.h"
#include "lithe_eval.h"
#include "data/metrics.h"
#include "data/objective.h"
#include "infer/engine.h"
#include "model/fit.h"

/* Pieces of ids are masked as those of a training set, without its data. */
static const objective_kind pieces_of_ids = { .name = "ids", .open = masked_open, .close = masked_close };

typedef struct { objective objective; lithe_engine *engine; pass *pass; } reading;

static int reading_open(reading *r, lithe_model *m, const lithe_tokenizer *t, int ctx, double rate, uint64_t seed, lithe_error *err)
{
    const objective_settings each = { .mask = { .kind = MASK_EACH, .rate = rate, .keep = 0.1, .random = 0.1 }, .valid_rate = rate };
    int at_once = ROWS_AT_ONCE / ctx > 0 ? ROWS_AT_ONCE / ctx : 1;
    int status = objective_open(&r->objective, &pieces_of_ids, NULL, t, &each, ctx, seed, err);
    const batch_capacity one = r->objective.most;
    if (!status && !(r->engine = engine_of_whole(m, err))) status = LITHE_ENOMEM;
    if (!status) status = engine_whole(r->engine, &(whole_pass){ WANT_LOSS, at_once * one.rows, at_once, at_once * one.selected, false }, &r->pass, err);
    if (!status) batch_begin(&r->pass->batch);
    return status;
}

static void reading_close(reading *r)
{
    lithe_engine_close(r->engine);
    objective_close(&r->objective);
}

static void add_piece(reading *r, const int32_t *ids, size_t n, uint64_t number)
{
    objective *o = &r->objective;
    masked_add(o, &r->pass->batch, (id_text){ ids, n }, NULL, &o->settings.mask, masked_valid_key(o, number), 0);
}

/* Runs what is there; its masked tokens, their losses and correct predictions join the sums. */
static int run_pieces(reading *r, size_t *masked, double *nll, double *correct, lithe_error *err)
{
    batch_builder *b = &r->pass->batch;
    int status = pass_answer(r->pass, engine_model(r->engine), err);
    for (int k = 0; k < b->selected && !status; k++) {
        *nll += (double)r->pass->r.loss->data[k];
        *correct += (double)r->pass->r.correct->data[k];
    }
    *masked += (size_t)b->selected;
    batch_begin(b);
    return status;
}

/* Masks and the tokens drawn in their place are the tokenizer's, which must know every id and none that the model
 * lacks. */
static int check_tokenizer(const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, lithe_error *err)
{
    const demands from_tokenizer = { .tokenizer = t, .ctx = ctx };
    int vocab = lithe_tokenizer_vocab(t), status = model_fit(m, &from_tokenizer, err);
    for (size_t i = 0; i < n && !status; i++)
        if (ids[i] < 0 || ids[i] >= vocab) status = fail(err, LITHE_EINVAL, "token %d at place %zu is none of the tokenizer's %d", (int)ids[i], i, vocab);
    return status;
}

static int check(const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m || !t || !ids || !n) return fail(err, LITHE_EINVAL, "masked tokens need a model, a tokenizer and a text");
    if (!lithe_model_encoder(m)) return fail(err, LITHE_ECONFIG, "%s reads from left to right: no token of its text is masked", m->arch->name);
    if (ctx < 0) return fail(err, LITHE_EINVAL, "windows of %d tokens", ctx);
    if (!(rate > 0 && rate <= 1)) return fail(err, LITHE_EINVAL, "a mask rate of %g is not a share of the tokens", rate);
    int status = must_predict_tokens(m, err);
    return status ? status : check_tokenizer(m, t, ids, n, ctx, err);
}

int lithe_score_masked(lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, uint64_t seed,
                       lithe_evaluation *out, lithe_error *err)
{
    reading r = { 0 };
    double nll = 0, correct = 0;
    *out = (lithe_evaluation){ .metrics = metrics_unknown };
    int status = check(m, t, ids, n, ctx, rate, err);
    if (status) return status;
    if (!ctx) ctx = lithe_model_context(m);
    const layout l = layout_of(t);
    if (layout_length(&l, n) < (size_t)ctx) ctx = (int)layout_length(&l, n);    /* a short text needs no long rows */
    status = reading_open(&r, m, t, ctx, rate, seed, err);
    size_t room = status ? 1 : (size_t)masked_room(&r.objective), pieces = status ? 0 : (n + room - 1) / room;
    for (size_t i = 0; i < pieces && !status; i++) {
        add_piece(&r, ids + i * room, i + 1 < pieces ? room : n - i * room, i);
        if (i + 1 < pieces && r.pass->batch.seqs < ROWS_AT_ONCE / ctx) continue;
        status = progress_tell("scoring the text", (double)i, (double)pieces, err);
        if (!status) status = run_pieces(&r, &out->examples, &nll, &correct, err);
    }
    reading_close(&r);
    if (!status && !out->examples) status = fail(err, LITHE_EFORMAT, "not one of %zu tokens was masked at a rate of %g: a longer text or a higher rate is needed", n, rate);
    if (status) return status;
    out->loss = nll / (double)out->examples;
    out->metrics = masked_metrics(&(masked_counts){ .correct = correct, .tokens = (double)out->examples });
    return LITHE_OK;
}
