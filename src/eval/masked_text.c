/* How well an encoder predicts a text: a share of its tokens is masked as in
 * pre-training (data/mask.h), always the same ones for one seed. */
#include "data/objective.h"
#include "infer/infer.h"
#include <math.h>
#include <string.h>

enum { ROWS_AT_ONCE = 2048 };

/* lay: vocabulary, special tokens and settings of masked training, without its data. */
typedef struct { objective lay; sheet sheet; pass pass; } reading;

static int reading_open(reading *r, const lithe_model *m, const lithe_tokenizer *t, int ctx, double rate, uint64_t seed, lithe_error *err)
{
    const mask_settings each = { .kind = MASK_EACH, .rate = rate, .keep = 0.1, .random = 0.1 };
    int at_once = ROWS_AT_ONCE / ctx > 0 ? ROWS_AT_ONCE / ctx : 1;
    r->lay = (objective){ .tokenizer = t, .settings = { .mask = each, .valid_rate = rate }, .ctx = ctx, .seed = seed };
    int status = masked_open(&r->lay, err);
    const extent one = r->lay.most, all = { .rows = at_once * one.rows, .seqs = at_once, .selected = at_once * one.selected };
    if (!status) status = sheet_open(&r->sheet, all, one, err);
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = all.rows, [ROWS_SEQS] = all.seqs, [ROWS_SELECTED] = all.selected } };
    if (!status) sheet_clear(&r->sheet);
    return status ? status : pass_open(&r->pass, m, &o, WANT_LOSS, err);
}

static void reading_close(reading *r)
{
    pass_close(&r->pass);
    sheet_close(&r->sheet);
    masked_close(&r->lay);
}

static void add_piece(reading *r, const int32_t *ids, size_t n, uint64_t number)
{
    sheet *s = &r->sheet;
    int rows = 0;
    masked_put(s, &r->lay.form.before, &rows);
    memcpy(s->ids + s->rows + rows, ids, n * sizeof *ids);
    rows += (int)n;
    masked_put(s, &r->lay.form.behind, &rows);
    memset(s->type + s->rows, 0, (size_t)rows * sizeof *s->type);
    masked_end(&r->lay, s, &r->lay.settings.mask, rows, masked_valid_key(&r->lay, number), 0);
}

/* Runs what is there; the losses and right predictions join *nll and *hits. */
static void run_pieces(reading *r, double *nll, double *hits)
{
    sheet *s = &r->sheet;
    graph_run(r->pass.g, &(batch){ .rows = s->rows, .seqs = s->seqs, .selected = s->selected, .ids = s->ids, .pos = s->pos, .type = s->type, .start = s->start,
                                   .select = s->select, .target = s->target, .weight = s->weight, .label = s->label, .value = s->value, .scale = 1, .seq_scale = 1 });
    for (int k = 0; k < s->selected; k++) {
        *nll += (double)r->pass.r.loss->data[k];
        *hits += (double)r->pass.r.hits->data[k];
    }
    sheet_clear(s);
}

static int check(const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m || !t || !ids || !n) return fail(err, LITHE_EINVAL, "masked tokens need a model, a tokenizer and a text");
    if (!lithe_model_encoder(m)) return fail(err, LITHE_ECONFIG, "%s reads from left to right: no token of its text is masked", m->arch->name);
    if (ctx < 0 || ctx > lithe_model_context(m)) return fail(err, LITHE_EINVAL, "windows of %d tokens: the model has %d positions", ctx, lithe_model_context(m));
    if (!(rate > 0 && rate <= 1)) return fail(err, LITHE_EINVAL, "a mask rate of %g is not a share of the tokens", rate);
    return must_predict_tokens(m, err) || check_ids(m, ids, n, err) ? LITHE_EINVAL : LITHE_OK;
}

int lithe_score_masked(lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, uint64_t seed,
                       lithe_evaluation *out, lithe_error *err)
{
    reading r = { 0 };
    double nll = 0, hits = 0;
    *out = (lithe_evaluation){ .metrics = { NAN, NAN, NAN, NAN, NAN, NAN } };
    int status = check(m, t, ids, n, ctx, rate, err);
    if (status) return status;
    if (!ctx) ctx = lithe_model_context(m);
    if (ctx > 2 * FORM_MOST && n < (size_t)ctx - 2 * FORM_MOST) ctx = (int)n + 2 * FORM_MOST;           /* a short text needs no long rows */
    status = reading_open(&r, m, t, ctx, rate, seed, err);
    size_t room = status ? 0 : (size_t)(r.lay.ctx - r.lay.form.before.n - r.lay.form.behind.n), pieces = status ? 0 : (n + room - 1) / room;
    for (size_t i = 0; i < pieces; i++) {
        add_piece(&r, ids + i * room, i + 1 < pieces ? room : n - i * room, i);
        if (i + 1 < pieces && r.sheet.seqs < ROWS_AT_ONCE / r.lay.ctx) continue;
        out->examples += (size_t)r.sheet.selected;
        run_pieces(&r, &nll, &hits);
    }
    reading_close(&r);
    if (!status && !out->examples) status = fail(err, LITHE_EFORMAT, "not one of %zu tokens was masked at a rate of %g: a longer text or a higher rate is needed", n, rate);
    if (status) return status;
    out->loss = nll / (double)out->examples;
    out->metrics.accuracy = hits / (double)out->examples;
    return LITHE_OK;
}
