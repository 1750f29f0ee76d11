/* The parameters of a model into blocks.  Which ones, and in which type, follows from what their axes mean and how
 * they are read, so the rules are the same for every architecture:   matrices that are multiplied or gathered along
 * one axis      the type that was asked for   those of the vocabulary: embedding and head                  q6_K
 * where less than 6 bits were asked for, else that type   low-rank branches, positions, token types, classes, fewer
 * than 32 rows, and whatever is no matrix: as they are A K type whose 256 numbers do not divide the rows of a matrix
 * becomes the nearest type of 32 numbers, as llama.cpp does.  q4_K_M is q4_K with the inputs of every down
 * projection and key/value projection that counts in q6_K: of the first and last eighth of the layers, and of each
 * third layer between. Blocks lie along the axis that is summed: a matrix that is declared (in,out) is stored
 * transposed. */
#include "model/model.h"
#include "base/progress.h"
#include "base/threads.h"
#include "base/sized.h"
#include "kernels/blocks.h"
#include <stdlib.h>
#include <strings.h>

enum { LEAST_ROWS = 32, KEEP = STORED_TYPES };
_Static_assert(LONGEST_IN_BLOCKS * sizeof(real) <= THREAD_SCRATCH_BYTES, "a column in scratch");

typedef struct { stored_type type, vocabulary; bool mixed; int layers; } choices;

/* ---- the rules ------------------------------------------------------------------ */

static bool has_axis(const param *p, axis_kind kind)
{
    for (int d = 0; d < p->rule.rank; d++)
        if (p->rule.axes[d].kind == kind) return true;
    return false;
}

static bool in_one_direction(const param *p) { return p->reads == READ_ROWS || p->reads == READ_COLUMNS; }
static int row_length(const param *p) { return p->rule.dims[p->reads == READ_ROWS]; }
static int row_count(const param *p) { return p->rule.dims[p->reads != READ_ROWS]; }

static bool is_kept(const param *p)
{
    return p->rule.rank != 2 || p->plain || !in_one_direction(p) || has_axis(p, AXIS_NONE) || has_axis(p, AXIS_BOTTLENECK) ||
           has_axis(p, AXIS_POSITION) || row_count(p) < LEAST_ROWS || row_length(p) > LONGEST_IN_BLOCKS;
}

static bool counts_more(const param *p, int layers)
{
    int eighth = layers / 8, i = p->layer;
    bool layer = i < eighth || i >= 7 * layers / 8 || (i - eighth) % 3 == 2;
    return layer && (has_axis(p, AXIS_KV_HEAD) || (has_axis(p, AXIS_INNER) && has_axis(p, AXIS_RESIDUAL) && row_length(p) > row_count(p)));
}

/* Of the K types, those of 32 numbers with as many bits or one more. */
static stored_type in_32(stored_type type)
{
    return type == STORED_Q4_K ? STORED_Q5_0 : type == STORED_Q5_K ? STORED_Q5_1 : type == STORED_Q6_K ? STORED_Q8_0 : type;
}

static int type_for(const param *p, const choices *r)
{
    if (is_kept(p)) return KEEP;
    stored_type type = has_axis(p, AXIS_VOCAB) ? r->vocabulary : r->mixed && counts_more(p, r->layers) ? STORED_Q6_K : r->type;
    if (type == STORED_TYPES) return KEEP;
    if (row_length(p) % stored_formats[type].block) type = in_32(type);
    return row_length(p) % stored_formats[type].block ? KEEP : (int)type;
}

/* ---- one matrix -------------------------------------------------------------------- */

typedef struct { const param *p; stored_type type; const real *values; uint8_t *to; } making;

/* Row i of what is stored: a row of the parameter, or a column. */
static void make_row(void *context, int i)
{
    const making *it = context;
    size_t n = (size_t)row_length(it->p), rows = (size_t)row_count(it->p);
    const real *x = it->values + (size_t)i * n;
    if (it->p->reads == READ_COLUMNS) {
        real *column = thread_scratch();
        for (size_t k = 0; k < n; k++) column[k] = it->values[k * rows + (size_t)i];
        x = column;
    }
    quantize(it->type, x, n, it->to + (size_t)i * stored_bytes(it->type, n));
}

static int make(param *p, stored_type type, lithe_error *err)
{
    size_t bytes = stored_bytes(type, p->count);
    making it = { p, type, weight_copy(&p->weight, p->count), big_alloc(bytes) };
    if (!it.values || !it.to) {
        free((void *)(uintptr_t)it.values);
        big_free(it.to, bytes);
        return fail(err, LITHE_ENOMEM, "not enough memory to quantize %s", p->name);
    }
    parallel_for(row_count(p), make_row, &it);
    stored form = { .type = type, .data = it.to };
    if (p->reads == READ_COLUMNS) form.rows = p->rule.dims[0], form.columns = p->rule.dims[1];
    weight_store(&p->weight, form, it.to, bytes);
    free((void *)(uintptr_t)it.values);
    return LITHE_OK;
}

/* ---- all of them ---------------------------------------------------------------------- */

static bool named(const char *name, stored_type *type)
{
    for (*type = STORED_Q4_0; *type < STORED_TYPES; (*type)++)
        if (!strcasecmp(name, stored_formats[*type].name)) return stored_formats[*type].quantize != NULL;
    return false;
}

static int read_type(choices *r, const lithe_model *m, const char *type, const lithe_quantize_options *o, lithe_error *err)
{
    r->mixed = !strcasecmp(type, "q4_K_M");
    if (!named(r->mixed ? "q4_K" : type, &r->type))
        return fail(err, LITHE_EINVAL, "%s is no type to quantize to; known: q8_0, q4_0, q4_1, q5_0, q5_1, q4_K, q4_K_M, q5_K, q6_K", type);
    r->vocabulary = r->type == STORED_Q8_0 ? STORED_Q8_0 : STORED_Q6_K;
    if (o->vocabulary && !strcmp(o->vocabulary, "keep")) r->vocabulary = STORED_TYPES;
    else if (o->vocabulary && !named(o->vocabulary, &r->vocabulary))
        return fail(err, LITHE_EINVAL, "%s is no type for the vocabulary; it is keep, or a type to quantize to", o->vocabulary);
    for (int i = 0; i < m->params->count; i++)
        if (m->params->items[i]->layer >= r->layers) r->layers = m->params->items[i]->layer + 1;
    return LITHE_OK;
}

static size_t bytes_of(const lithe_model *m)
{
    size_t bytes = 0;
    for (int i = 0; i < m->params->count; i++) bytes += stored_bytes(weight_stored(&m->params->items[i]->weight).type, m->params->items[i]->count);
    return bytes;
}

int lithe_model_quantize(lithe_model *m, const char *type, const lithe_quantize_options *given, lithe_quantized *report, lithe_error *err)
{
    lithe_quantize_options o;
    lithe_quantized unused;
    choices r = { 0 };
    if (failed(err)) return err->status;
    if (!m || !type) return fail(err, LITHE_EINVAL, "quantizing needs a model and a type");
    if (m->params->values) return fail(err, LITHE_EINVAL, "quantizing needs a model that was opened and is not trained");
    if (!thread_ready()) return fail(err, LITHE_ENOMEM, "not enough memory to quantize");
    int status = options_read(&o, sizeof o, given, "lithe_quantize_options", err);
    if (!status) status = read_type(&r, m, type, &o, err);
    if (!status) status = lithe_model_finite(m, err);
    if (!report) report = &unused;
    *report = (lithe_quantized){ .bytes_before = bytes_of(m) };
    const param *odd = NULL;
    for (int i = 0; i < m->params->count && !status; i++) {
        param *p = m->params->items[i];
        int to = type_for(p, &r);
        if (to == KEEP && !is_kept(p) && !odd && row_length(p) % 32) odd = p;
        if (to == KEEP) { report->kept++; continue; }
        report->quantized++;
        report->in_other_types += to != (int)r.type;
        status = progress_tell("quantizing the matrices", i, m->params->count, err);
        if (!status && (stored_type)to != weight_stored(&p->weight).type) status = make(p, (stored_type)to, err);
    }
    report->bytes_after = bytes_of(m);
    if (!status && !report->quantized && odd)
        status = fail(err, LITHE_EINVAL, "nothing can be quantized to %s: %s has rows of %d, no multiple of 32; keep it in f16", type, odd->name, row_length(odd));
    else if (!status && !report->quantized) status = fail(err, LITHE_EINVAL, "nothing can be quantized to %s: there is no matrix of at least %d rows", type, LEAST_ROWS);
    return status;
}
