/* The numbers of what models show of themselves, as CSV and JSON. */
#include "report/model_views.h"
#include "report/record_table.h"
#include <math.h>

static void begin_row(record_table *t, const model_views *v, const model_view *w)
{
    record_words(t, v->figures->names[w->run]);
    record_number(t, w->step < 0 ? (double)NAN : w->step);
}

static void put_place(record_table *t, const lithe_diversity_row *r)
{
    const lithe_measure measures[] = { r->dm, r->rel, r->rel_comp, r->rank1, r->cos, r->stable_rank };
    const double counts[] = { r->width, r->sequences, r->tokens }, spread[] = { r->deff80, r->deff90, r->pr, r->erank, r->pc3 };
    record_words(t, r->place);
    record_number(t, r->layer < 0 ? (double)NAN : r->layer);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) record_number(t, counts[i]);
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) { record_number(t, measures[i].mean); record_number(t, measures[i].deviation); }
    for (size_t i = 0; i < sizeof spread / sizeof *spread; i++) record_number(t, spread[i]);
}

static int write_diversity(const model_views *v, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "place", "layer", "width", "sequences", "tokens", "dm", "dm_deviation", "rel", "rel_deviation", "rel_comp", "rel_comp_deviation", "rank1",
                                           "rank1_deviation", "cos", "cos_deviation", "stable_rank", "stable_rank_deviation", "deff80", "deff90", "pr", "erank", "pc3", NULL };
    record_table t;
    record_begin(&t, dir, "diversity", columns, err);
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; k < lithe_diversity_count(v->views[i].diversity); k++) {
            begin_row(&t, v, &v->views[i]);
            put_place(&t, lithe_diversity_at(v->views[i].diversity, k));
        }
    return record_end(&t);
}

static int write_surprise(const model_views *v, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "number", "id", "tokens", "text", "bits", NULL };
    record_table t;
    record_begin(&t, dir, "surprise", columns, err);
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; k < v->views[i].token_count; k++) {
            const surprise *s = &v->views[i].tokens[k];
            begin_row(&t, v, &v->views[i]);
            record_number(&t, (double)k);
            record_number(&t, s->id);
            record_number(&t, s->tokens);
            record_words(&t, s->text);
            record_number(&t, s->bits);
        }
    return record_end(&t);
}

int model_records_write(const model_views *v, const char *dir, lithe_error *err)
{
    int status = v->count ? write_diversity(v, dir, err) : 0;
    return status || !v->count ? status : write_surprise(v, dir, err);
}
