#include "graph/batch.h"
#include "base/arena.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

/* ---- memory ----------------------------------------------------------------------- */

static int head_rows(const batch_capacity *c) { return c->selected ? c->selected : c->rows; }

int batch_open(batch_builder *b, batch_capacity most, lithe_error *err)
{
    *b = (batch_builder){ .capacity = most, .view = { .scale = 1, .seq_scale = 1 } };
    if (failed(err)) return err->status;
    size_t rows = (size_t)most.rows, seqs = (size_t)most.seqs, heads = (size_t)head_rows(&most), samples;
    int **const of_rows[] = { &b->ids, &b->pos, &b->type }, **const of_seqs[] = { &b->start, &b->slot, &b->label };
    bool complete = size_mul(rows, (size_t)most.patch_width, &samples);
    for (int i = 0; i < 3 && complete; i++)
        complete = (*of_rows[i] = xalloc(rows + 1, sizeof(int))) && (*of_seqs[i] = xalloc(seqs + 1, sizeof(int)));
    complete = complete && (b->select = xalloc(heads + 1, sizeof *b->select)) && (b->target = xalloc(heads + 1, sizeof *b->target))
            && (b->weight = xalloc(heads + 1, sizeof *b->weight)) && (b->value = xalloc(seqs + 1, sizeof *b->value))
            && (b->row_key = xalloc(rows + 1, sizeof *b->row_key)) && (!samples || (b->patches = xalloc(samples, sizeof *b->patches)));
    if (complete) return LITHE_OK;
    batch_close(b);
    return fail(err, LITHE_ENOMEM, "not enough memory for batches of %d tokens", most.rows);
}

void batch_close(batch_builder *b)
{
    void *const arrays[] = { b->ids, b->pos, b->type, b->start, b->slot, b->select, b->target, b->label, b->weight, b->value, b->patches, b->row_key };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    *b = (batch_builder){ 0 };
}

/* ---- filling ---------------------------------------------------------------------- */

void batch_begin(batch_builder *b)
{
    b->rows = b->seqs = b->selected = 0;
    b->targets = b->labels = 0;
    b->error = (lithe_error){ 0 };
}

static void copy_or_clear(int *to, const int *from, int n)
{
    if (from) memcpy(to, from, (size_t)n * sizeof *to);
    else memset(to, 0, (size_t)n * sizeof *to);
}

/* Writes rows of zeros for the class token and its like, and the patches after them. */
static void put_patches(batch_builder *b, const batch_sequence *s)
{
    const size_t width = (size_t)b->capacity.patch_width, before = s->tokens ? (size_t)s->tokens : 1;
    real *first = b->patches + (size_t)b->rows * width;
    memset(first, 0, before * width * sizeof *first);
    memcpy(first + before * width, s->patches, ((size_t)s->n - before) * width * sizeof *first);
}

bool batch_add(batch_builder *b, const batch_sequence *s)
{
    if (failed(&b->error)) return false;
    if (s->n < 0 || s->n > b->capacity.rows - b->rows || b->seqs == b->capacity.seqs) {
        fail(&b->error, LITHE_EINVAL, "a sequence of %d tokens does not fit: the batch holds %d of %d tokens and %d of %d sequences",
             s->n, b->rows, b->capacity.rows, b->seqs, b->capacity.seqs);
        return false;
    }
    int first = b->rows;
    copy_or_clear(b->ids + first, s->ids, s->n);
    copy_or_clear(b->type + first, s->types, s->n);
    if (b->patches && s->patches && s->n) put_patches(b, s);
    for (int i = 0; i < s->n; i++) {
        b->pos[first + i] = s->position + i;
        b->row_key[first + i] = key_of(s->key, (uint64_t)s->place + (uint64_t)i);
    }
    if (!b->capacity.selected) {
        copy_or_clear(b->target + first, NULL, s->n);
        for (int i = 0; i < s->n; i++) b->weight[first + i] = 0;
    }
    b->slot[b->seqs] = s->slot;
    b->label[b->seqs] = 0;
    b->value[b->seqs] = 0;
    b->start[b->seqs++] = first;
    b->start[b->seqs] = b->rows += s->n;
    return true;
}

bool batch_select(batch_builder *b, int row, int target, real weight)
{
    if (failed(&b->error)) return false;
    int at = b->seqs ? b->start[b->seqs - 1] + row : b->rows, k = b->capacity.selected ? b->selected : at;
    if (row < 0 || at >= b->rows || k >= head_rows(&b->capacity)) {
        fail(&b->error, LITHE_EINVAL, "row %d cannot be selected: the batch holds %d of %d tokens and %d of %d selected rows",
             row, b->rows, b->capacity.rows, b->selected, b->capacity.selected);
        return false;
    }
    b->select[k] = at;
    b->target[k] = target;
    b->weight[k] = weight;
    b->targets += (double)weight;
    b->selected += b->capacity.selected > 0;
    return true;
}

void batch_label(batch_builder *b, int label, real value)
{
    if (failed(&b->error) || !b->seqs) return;
    b->label[b->seqs - 1] = label;
    b->value[b->seqs - 1] = value;
    b->labels++;
}

void batch_window(batch_builder *b, const batch_builder *from, int first, int end)
{
    batch_begin(b);
    for (int s = 0; s < from->seqs; s++) {
        int at = from->start[s] + first, n = (from->start[s + 1] - from->start[s] < end ? from->start[s + 1] - from->start[s] : end) - first;
        if (n <= 0 || !batch_add(b, &(batch_sequence){ .n = n, .ids = from->ids + at, .types = from->type + at, .position = from->pos[at], .slot = s })) continue;
        memcpy(b->row_key + b->rows - n, from->row_key + at, (size_t)n * sizeof *b->row_key);
        for (int i = 0; i < n; i++) batch_select(b, i, from->target[at + i], from->weight[at + i]);
    }
}

/* ---- as a graph takes it ------------------------------------------------------------ */

void batch_scale(batch_builder *b, double scale, double seq_scale, bool accumulate)
{
    b->view.scale = (real)scale;
    b->view.seq_scale = (real)seq_scale;
    b->view.accumulate = accumulate;
}

const batch *batch_view(batch_builder *b, lithe_error *err)
{
    if (failed(err)) return NULL;
    if (failed(&b->error)) { fail(err, b->error.status, "%s", b->error.text); return NULL; }
    b->view = (batch){
        .rows = b->rows, .seqs = b->seqs, .selected = b->selected, .ids = b->ids, .pos = b->pos, .type = b->type, .patches = b->patches,
        .start = b->start, .slot = b->slot, .select = b->capacity.selected ? b->select : NULL, .target = b->target, .weight = b->weight,
        .row_key = b->row_key, .label = b->label, .value = b->value,
        .scale = b->view.scale, .seq_scale = b->view.seq_scale, .accumulate = b->view.accumulate,
    };
    return &b->view;
}
