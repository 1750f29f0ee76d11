/* What a run comes to, and its curves. */
#include "report/run_log.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- curves ------------------------------------------------------------------------------- */

double run_place_on(const run_place *p, const char *against)
{
    return !strcmp(against, "step") ? p->step : !strcmp(against, "tokens") ? p->tokens : !strcmp(against, "seconds") ? p->seconds : !strcmp(against, "flops") ? p->flops : NAN;
}

static double step_value(const run_step *s, const char *of)
{
    if (!strcmp(of, "loss")) return s->loss;
    if (!strcmp(of, "grad_norm")) return s->grad_norm;
    if (!strcmp(of, "lr")) return s->lr;
    if (!strcmp(of, "tokens_per_second")) return s->tokens / s->seconds;
    if (!strcmp(of, "flops_per_second")) return s->flops / s->seconds;
    return NAN;
}

static double evaluation_value(const run_evaluation *e, const char *of)
{
    return !strcmp(of, "valid_loss") ? e->valid_loss : !strcmp(of, "bits_per_byte") ? e->bits_per_byte : !strcmp(of, "accuracy") ? e->accuracy : NAN;
}

static void add_point(double px, double py, double *x, double *y, size_t cap, size_t *n)
{
    if (!isfinite(px) || !isfinite(py)) return;
    if (*n < cap) { x[*n] = px; y[*n] = py; }
    ++*n;
}

size_t lithe_run_curve(const lithe_run *r, const char *of, const char *against, double *x, double *y, size_t cap)
{
    size_t n = 0;
    if (!r || !of || !against) return 0;
    for (size_t i = 0; i < r->step_count; i++) add_point(run_place_on(&r->steps[i].at, against), step_value(&r->steps[i], of), x, y, cap, &n);
    for (size_t i = 0; i < r->evaluation_count; i++) add_point(run_place_on(&r->evaluations[i].at, against), evaluation_value(&r->evaluations[i], of), x, y, cap, &n);
    return n;
}

bool run_points_read(run_points *c, const lithe_run *r, const char *of, const char *against)
{
    c->n = lithe_run_curve(r, of, against, NULL, NULL, 0);
    c->x = xalloc(c->n + 1, sizeof *c->x);
    c->y = xalloc(c->n + 1, sizeof *c->y);
    if (!c->x || !c->y) { c->n = 0; return false; }
    lithe_run_curve(r, of, against, c->x, c->y, c->n);
    return true;
}

void run_points_free(run_points *c)
{
    free(c->x);
    free(c->y);
    *c = (run_points){ 0 };
}

/* ---- the whole ------------------------------------------------------------------------------- */

static double last_losses(const lithe_run *r)
{
    size_t last = r->step_count / 20 + 1, n = 0;
    double sum = 0;
    for (size_t i = r->step_count > last ? r->step_count - last : 0; i < r->step_count; i++)
        if (isfinite(r->steps[i].loss)) { sum += r->steps[i].loss; n++; }
    return n ? sum / (double)n : NAN;
}

void lithe_run_summarize(const lithe_run *r, lithe_run_summary *out)
{
    *out = (lithe_run_summary){ .name = r->name, .arch = r->arch, .command = r->command, .tokenizer = r->tokenizer, .params = r->params, .step = (int)r->at.step, .steps = r->planned,
                                .tokens = r->at.tokens, .seconds = r->at.seconds, .flops = r->at.flops, .loss = last_losses(r), .valid_loss = NAN, .bits_per_byte = NAN, .accuracy = NAN,
                                .best_valid_loss = NAN, .growths = r->growths, .skipped = r->skipped, .rolled_back = r->rolled_back, .checkpoints = r->checkpoints };
    for (size_t i = 0; i < r->evaluation_count; i++) {
        const run_evaluation *e = &r->evaluations[i];
        if (!isfinite(e->valid_loss)) continue;
        out->valid_loss = e->valid_loss;
        out->bits_per_byte = e->bits_per_byte;
        out->accuracy = e->accuracy;
        if (!(out->best_valid_loss <= e->valid_loss)) out->best_valid_loss = e->valid_loss;
    }
}

const char *lithe_run_notice(const lithe_run *r, int i) { return r && i >= 0 && (size_t)i < r->notice_count ? r->notices[i] : NULL; }

int lithe_run_event_at(const lithe_run *r, int i, lithe_run_event *out)
{
    if (!r || i < 0 || (size_t)i >= r->mark_count) return 0;
    *out = (lithe_run_event){ r->marks[i].kind, r->marks[i].text, (int)r->marks[i].at.step };
    return 1;
}

const char *lithe_run_sample(const lithe_run *r, int i, int *step)
{
    if (!r || i < 0 || (size_t)i >= r->sample_count) return NULL;
    if (step) *step = r->samples[i].step;
    return r->samples[i].text;
}
