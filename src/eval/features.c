/* The features of tokens at each place of a model that its architecture names,
 * measured (eval/diversity.h).  Sequences of one length are cut from the ids
 * end to end; as many places are gathered in one pass over them as a gigabyte
 * of their rows allows, then the text is read again. */
#include "infer/engine.h"
#include "lithe_eval.h"
#include "base/arena.h"
#include "base/sized.h"
#include "eval/diversity.h"
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 256, SKIPPED = 4, ROWS_OF_TAPS = 1024, MOST_TOKENS = 16384, TOKENS_PER_CHANNEL = 5 };
static const size_t ROOM = (size_t)1 << 30;                 /* bytes of gathered rows */

struct lithe_diversity {
    lithe_diversity_row *rows;
    int count;
};

/* How the ids are read. */
typedef struct { const int32_t *ids; int ctx, skip, sequences, at_once; } reading;

static int plan_reading(const lithe_model *m, const int32_t *ids, size_t n, const lithe_diversity_options *o, reading *r, lithe_error *err)
{
    int context = lithe_model_context(m), ctx = o->ctx ? o->ctx : context < LONGEST ? context : LONGEST;
    size_t most = o->tokens ? o->tokens : MOST_TOKENS;
    if (arch_images(m->arch, m->config).side) return fail(err, LITHE_EINVAL, "a %s reads images: its features over a text cannot be measured", m->arch->name);
    if (o->ctx < 0 || ctx > context) return fail(err, LITHE_EINVAL, "sequences of %d tokens: the model has %d positions", ctx, context);
    if (n > most) n = most;
    if (n < (size_t)ctx) ctx = (int)n;
    *r = (reading){ ids, ctx, o->skip < 0 ? 0 : o->skip ? o->skip : SKIPPED, 0, 1 };
    if (ctx - r->skip < 2) return fail(err, LITHE_EINVAL, "%d tokens, the first %d left out: at least two must remain", ctx, r->skip);
    r->sequences = (int)(n / (size_t)ctx);
    r->at_once = ROWS_OF_TAPS / ctx < 1 ? 1 : ROWS_OF_TAPS / ctx < r->sequences ? ROWS_OF_TAPS / ctx : r->sequences;
    return check_ids(m, ids, (size_t)r->sequences * (size_t)ctx, err);
}

/* The rows of places first .. end-1 of the sequences from `sequence` on, less those left out. */
static void gather(const tapped *taps, int first, int end, const reading *r, int sequence, int sequences, float *const *rows)
{
    int kept = r->ctx - r->skip;
    for (int p = first; p < end; p++) {
        size_t width = (size_t)taps[p].rows->width;
        for (int s = 0; s < sequences; s++) {
            const real *from = taps[p].rows->data + (size_t)(s * r->ctx + r->skip) * width;
            float *to = rows[p - first] + (size_t)(sequence + s) * (size_t)kept * width;
            for (size_t i = 0; i < (size_t)kept * width; i++) to[i] = (float)from[i];
        }
    }
}

/* Reads all sequences once. */
static int read_all(const lithe_model *m, pass *p, const tapped *taps, int first, int end, const reading *r, float *const *rows, lithe_error *err)
{
    for (int s = 0; s < r->sequences; s += r->at_once) {
        int count = r->sequences - s < r->at_once ? r->sequences - s : r->at_once;
        batch_begin(&p->batch);
        for (int i = s; i < s + count; i++) batch_add(&p->batch, &(batch_sequence){ .n = r->ctx, .ids = r->ids + (size_t)i * (size_t)r->ctx });
        int status = pass_answer(p, m, err);
        if (status) return status;
        gather(taps, first, end, r, s, count, rows);
    }
    return LITHE_OK;
}

static void report(const diversity_place *p, const tapped *t, lithe_diversity_row *row)
{
    lithe_measure *const measures[SEQUENCE_MEASURES] = { [DIVERSITY_DM] = &row->dm, [DIVERSITY_REL] = &row->rel, [DIVERSITY_REL_COMP] = &row->rel_comp,
                                                         [DIVERSITY_RANK1] = &row->rank1, [DIVERSITY_COS] = &row->cos, [DIVERSITY_STABLE_RANK] = &row->stable_rank };
    *row = (lithe_diversity_row){ .place = t->name, .layer = t->layer, .width = p->width, .sequences = p->sequences, .tokens = p->sequences * p->length,
                                  .few_tokens = p->sequences * p->length < TOKENS_PER_CHANNEL * p->width, .deff80 = p->spread[SPREAD_DEFF80],
                                  .deff90 = p->spread[SPREAD_DEFF90], .pr = p->spread[SPREAD_PR], .erank = p->spread[SPREAD_ERANK], .pc3 = p->spread[SPREAD_PC3] };
    for (int i = 0; i < SEQUENCE_MEASURES; i++) *measures[i] = (lithe_measure){ p->mean[i], p->deviation[i] };
}

/* How many places from `first` on fit in the room, at least one; their rows in places[0 ..]. */
static int make_room(const tapped *taps, int first, int count, const reading *r, diversity_place *places, float **rows, lithe_error *err)
{
    size_t used = 0, tokens = (size_t)r->sequences * (size_t)(r->ctx - r->skip);
    int n = 0;
    for (; first + n < count; n++) {
        size_t bytes, width = (size_t)taps[first + n].rows->width;
        if (!size_mul(tokens, width * sizeof(float), &bytes) || (n && (bytes > ROOM || used > ROOM - bytes))) break;
        if (!(rows[n] = xalloc(bytes, 1))) { fail(err, LITHE_ENOMEM, "not enough memory for %zu features of %zu tokens: read fewer", width, tokens); return n; }
        places[n] = (diversity_place){ .rows = rows[n], .sequences = r->sequences, .length = r->ctx - r->skip, .width = (int)width };
        used += bytes;
    }
    if (!n) fail(err, LITHE_ENOMEM, "the features of %zu tokens are too large: read fewer", tokens);
    return n;
}

static int survey(lithe_diversity *d, const lithe_model *m, pass *p, const reading *r, lithe_error *err)
{
    const tapped *taps;
    int count = graph_taps(p->g, &taps);
    diversity_place *places = xalloc((size_t)count + 1, sizeof *places);
    float **rows = xalloc((size_t)count + 1, sizeof *rows);
    d->rows = xalloc((size_t)count + 1, sizeof *d->rows);
    lithe_error first = { 0 };
    if (!count) fail(&first, LITHE_EINVAL, "this architecture names no place where its features can be looked at");
    if (!places || !rows || !d->rows) fail(&first, LITHE_ENOMEM, "not enough memory for the features of %d places", count);
    while (!first.status && d->count < count) {
        int n = make_room(taps, d->count, count, r, places, rows, &first);
        if (!first.status && !read_all(m, p, taps, d->count, d->count + n, r, rows, &first)) diversity_measure(places, n, &first);
        for (int i = 0; i < n; i++) {
            if (!first.status) report(&places[i], &taps[d->count + i], &d->rows[d->count + i]);
            free(rows[i]);
        }
        d->count += n;
    }
    free(places);
    free(rows);
    return first.status ? fail(err, first.status, "%s", first.text) : 0;
}

lithe_diversity *lithe_diversity_open(lithe_model *m, const int32_t *ids, size_t n, const lithe_diversity_options *o, lithe_error *err)
{
    lithe_diversity_options options;
    reading r = { 0 };
    pass *p;
    if (!m) { fail(err, LITHE_EINVAL, "there is no model"); return NULL; }
    if (options_read(&options, sizeof options, o, "lithe_diversity_options", err) || plan_reading(m, ids, n, &options, &r, err)) return NULL;
    lithe_diversity *d = xalloc(1, sizeof *d);
    lithe_engine *e = d ? engine_of_whole(m, err) : NULL;
    int status = e ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to measure features");
    if (!status) status = engine_whole(e, &(whole_pass){ .want = WANT_HIDDEN, .rows = r.at_once * r.ctx, .seqs = r.at_once, .taps = true }, &p, err);
    if (!status) status = survey(d, m, p, &r, err);
    lithe_engine_close(e);
    if (!status) return d;
    lithe_diversity_close(d);
    return NULL;
}

size_t lithe_diversity_count(const lithe_diversity *d) { return d ? (size_t)d->count : 0; }

const lithe_diversity_row *lithe_diversity_at(const lithe_diversity *d, size_t i) { return i < lithe_diversity_count(d) ? &d->rows[i] : NULL; }

void lithe_diversity_close(lithe_diversity *d)
{
    if (!d) return;
    free(d->rows);
    free(d);
}
