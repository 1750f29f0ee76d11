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

static int write_attention(const model_views *v, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "layer", "head", "query", "key", "weight", NULL };
    record_table t;
    lithe_attention_map maps[MAP_HEADS];
    record_begin(&t, dir, "attention", columns, err);
    for (size_t i = 0; i < v->count; i++)
        for (int k = 0, heads; (heads = shown_maps(&v->views[i], k, maps)) > 0; k++)
            for (int h = 0; h < heads; h++)
                for (int at = 0; at < maps[h].tokens * maps[h].tokens; at++) {
                    const int from = at / maps[h].tokens, to = at % maps[h].tokens;
                    const double numbers[] = { maps[h].layer, maps[h].head, from, to, (double)maps[h].weights[at] };
                    if (!(numbers[4] > 0)) continue;
                    begin_row(&t, v, &v->views[i]);
                    for (int c = 0; c < 5; c++) record_number(&t, numbers[c]);
                }
    return record_end(&t);
}

static int write_slots(const model_views *v, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "name", "layer", "slot", "use", NULL };
    record_table t;
    lithe_slot_use u;
    record_begin(&t, dir, "slots", columns, err);
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; lithe_internals_slots(v->views[i].inside, k, &u); k++)
            for (int j = 0; j < u.slots; j++) {
                begin_row(&t, v, &v->views[i]);
                record_words(&t, u.name);
                record_number(&t, u.layer);
                record_number(&t, j);
                record_number(&t, u.use[j]);
            }
    return record_end(&t);
}

static int write_decay(const model_views *v, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "run", "step", "layer", "channel", "half_life", NULL };
    record_table t;
    lithe_decay d;
    record_begin(&t, dir, "decay", columns, err);
    for (size_t i = 0; i < v->count; i++)
        for (size_t k = 0; lithe_internals_decay(v->views[i].inside, k, &d); k++)
            for (int c = 0; c < d.channels; c++) {
                begin_row(&t, v, &v->views[i]);
                record_number(&t, d.layer);
                record_number(&t, c);
                record_number(&t, d.half_life[c]);
            }
    return record_end(&t);
}

int model_records_write(const model_views *v, const char *dir, lithe_error *err)
{
    static int (*const tables[])(const model_views *, const char *, lithe_error *) = { write_diversity, write_attention, write_slots, write_decay, write_surprise };
    int status = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables && v->count && !status; i++) status = tables[i](v, dir, err);
    return status;
}
