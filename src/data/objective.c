/* What all objectives share: sheets, and how a sample is asked for. */
#include "data/objective.h"
#include "base/arena.h"
#include "base/random.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- sheets --------------------------------------------------------------------------- */

int sheet_open(sheet *s, extent all, extent sample, lithe_error *err)
{
    *s = (sheet){ 0 };
    if (failed(err)) return err->status;
    size_t rows = (size_t)all.rows, seqs = (size_t)all.seqs, heads = all.selected > all.rows ? (size_t)all.selected : rows;
    s->ids = xalloc(rows, sizeof *s->ids);
    s->pos = xalloc(rows, sizeof *s->pos);
    s->type = xalloc(rows, sizeof *s->type);
    s->row_key = xalloc(rows, sizeof *s->row_key);
    s->start = xalloc(seqs + 1, sizeof *s->start);
    s->label = xalloc(seqs, sizeof *s->label);
    s->value = xalloc(seqs, sizeof *s->value);
    s->select = xalloc(heads, sizeof *s->select);
    s->target = xalloc(heads, sizeof *s->target);
    s->weight = xalloc(heads, sizeof *s->weight);
    s->scratch = xalloc(4 * (size_t)sample.rows, sizeof *s->scratch);
    s->patches = all.patch_width ? xalloc(rows * (size_t)all.patch_width, sizeof *s->patches) : NULL;
    if ((s->patches || !all.patch_width) && s->ids && s->pos && s->type && s->row_key && s->start && s->label && s->value && s->select && s->target && s->weight && s->scratch) return LITHE_OK;
    sheet_close(s);
    return fail(err, LITHE_ENOMEM, "out of memory for batches of %d tokens", all.rows);
}

void sheet_close(sheet *s)
{
    free(s->ids);
    free(s->pos);
    free(s->type);
    free(s->row_key);
    free(s->start);
    free(s->label);
    free(s->value);
    free(s->select);
    free(s->target);
    free(s->weight);
    free(s->scratch);
    free(s->patches);
    *s = (sheet){ 0 };
}

void sheet_clear(sheet *s)
{
    s->rows = s->seqs = s->selected = 0;
    s->targets = s->labels = 0;
}

void sheet_end_sequence(sheet *s, int n, uint64_t key)
{
    s->start[s->seqs++] = s->rows;
    for (int i = 0; i < n; i++) {
        s->pos[s->rows + i] = i;
        s->row_key[s->rows + i] = key_of(key, (uint64_t)i);
    }
    s->rows += n;
    s->start[s->seqs] = s->rows;
}

/* ---- objectives ------------------------------------------------------------------------- */

int objective_open(objective *o, const objective_kind *kind, const lithe_dataset *d, const lithe_tokenizer *t, const objective_settings *s,
                   int ctx, uint64_t seed, lithe_error *err)
{
    *o = (objective){ .kind = kind, .data = d, .tokenizer = t, .settings = *s, .ctx = ctx, .seed = seed };
    int status = failed(err) ? (int)err->status : kind->open(o, err);
    if (status) objective_close(o);
    return status;
}

void objective_close(objective *o)
{
    if (o->kind && o->kind->close) o->kind->close(o);
    *o = (objective){ 0 };
}

void objective_train(objective *o, sheet *s, int at, uint64_t sample)
{
    o->kind->train(o, s, sample, key_of(key_of(o->seed, (uint64_t)at), sample));
}

void objective_valid(objective *o, sheet *s, uint64_t i) { o->kind->valid(o, s, i); }
