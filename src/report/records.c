/* The numbers of all figures, as CSV and JSON. */
#include "report/figures.h"
#include "report/model_views.h"
#include "report/record_table.h"
#include <math.h>

static int write_runs(const figures *f, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "arch", "params", "step", "steps", "tokens", "seconds", "flops", "loss", "valid_loss", "best_valid_loss", "bits_per_byte", "accuracy", "growths",
                                           "skipped", "roll_backs", "tokenizer", "command", NULL };
    record_table t;
    record_begin(&t, dir, "runs", columns, err);
    for (int i = 0; i < f->n; i++) {
        lithe_run_summary s;
        lithe_run_summarize(f->runs[i], &s);
        record_words(&t, f->names[i]);
        record_words(&t, s.arch);
        const double numbers[] = { s.params, s.step, s.steps, s.tokens, s.seconds, s.flops, s.loss, s.valid_loss, s.best_valid_loss, s.bits_per_byte, s.accuracy, s.growths, s.skipped, s.rolled_back };
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) record_number(&t, numbers[k]);
        record_words(&t, s.tokenizer);
        record_words(&t, s.command);
    }
    return record_end(&t);
}

static int write_steps(const figures *f, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "tokens", "seconds", "flops", "loss", "grad_norm", "lr", "tokens_per_second", "flops_per_second", NULL };
    record_table t;
    record_begin(&t, dir, "steps", columns, err);
    for (int i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->runs[i]->step_count; k++) {
            const run_step *s = &f->runs[i]->steps[k];
            const double numbers[] = { s->at.step, s->at.tokens, s->at.seconds, s->at.flops, s->loss, s->grad_norm, s->lr, s->tokens / s->seconds, s->flops / s->seconds };
            record_words(&t, f->names[i]);
            for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++) record_number(&t, numbers[c]);
        }
    return record_end(&t);
}

static int write_evaluations(const figures *f, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "tokens", "seconds", "flops", "valid_loss", "bits_per_byte", "accuracy", "params", NULL };
    record_table t;
    record_begin(&t, dir, "evaluations", columns, err);
    for (int i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->runs[i]->evaluation_count; k++) {
            const run_evaluation *e = &f->runs[i]->evaluations[k];
            const double numbers[] = { e->at.step, e->at.tokens, e->at.seconds, e->at.flops, e->valid_loss, e->bits_per_byte, e->accuracy, e->params };
            record_words(&t, f->names[i]);
            for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++) record_number(&t, numbers[c]);
        }
    return record_end(&t);
}

static int write_events(const figures *f, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "kind", "text", NULL };
    record_table t;
    record_begin(&t, dir, "events", columns, err);
    for (int i = 0; i < f->n; i++)
        for (size_t k = 0; k < f->runs[i]->mark_count; k++) {
            const run_mark *m = &f->runs[i]->marks[k];
            record_words(&t, f->names[i]);
            record_number(&t, m->at.step);
            record_words(&t, m->kind);
            record_words(&t, m->text);
        }
    return record_end(&t);
}

static int write_savings(const figures *f, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "grown", "from_scratch", "valid_loss", "flops", "flops_from_scratch", "saving", NULL };
    growth_saving savings[64];
    record_table t;
    int n = figures_savings(f, savings, 64);
    record_begin(&t, dir, "growth", columns, err);
    for (int i = 0; i < n; i++) {
        record_words(&t, f->names[savings[i].grown]);
        record_words(&t, f->names[savings[i].other]);
        record_number(&t, savings[i].loss);
        record_number(&t, savings[i].flops);
        record_number(&t, savings[i].other_flops);
        record_number(&t, savings[i].saving);
    }
    return record_end(&t);
}

int records_write(const figures *f, const char *dir, lithe_error *err)
{
    int status = dir_make(dir, err);
    if (!status) status = write_runs(f, dir, err);
    if (!status) status = write_steps(f, dir, err);
    if (!status) status = write_evaluations(f, dir, err);
    if (!status) status = write_events(f, dir, err);
    if (!status) status = write_savings(f, dir, err);
    if (!status && f->costs->series_count) status = costs_record(f->costs, dir, err);
    return status ? status : model_records_write(f->views, dir, err);
}
