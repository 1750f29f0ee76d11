/* Scores by an engine.  Slot 0 has read what all requests begin with (a description and shots); for each of a group of
 * requests a copy of it reads what its choices have in common, and a copy of that reads each choice.
 *
 *   slot 0          the root
 *   slots 1 ..      of each request in the group: its prefix, then its choices
 *
 * Each choice reads the id before its first predicted one by itself, so that all logits are its own.  A request with a
 * continuation longer than the model's context is scored apart, in windows. */
#include "base/arena.h"
#include "eval/task_score.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, GROUP_MOST = 8, GROUP_IDS = 512, CONTEXT_LEAST = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* The number of ids that two sequences begin with alike, at most n. */
static size_t common(const int32_t *a, const int32_t *b, size_t n)
{
    size_t i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i;
}

/* What the choices of a request have in common, without the id that each reads by itself. */
static size_t prefix_of(const task_request *r)
{
    size_t n = r->choices[0].first - 1;
    for (int i = 1; i < r->count; i++) n = common(r->choices[0].ids, r->choices[i].ids, least(n, r->choices[i].first - 1));
    return n;
}

/* ---- the engine --------------------------------------------------------------------------- */

static int reopen(task_scorer *s, size_t longest, int choices, lithe_error *err)
{
    size_t most = (size_t)lithe_model_context(s->model), context = CONTEXT_LEAST;
    while (context < longest) context *= 2;
    lithe_engine_close(s->engine);
    s->engine = NULL;
    s->root_length = 0;
    s->choices = choices;
    s->context = context;
    s->at_once = (int)(GROUP_IDS / context);
    if (s->at_once < 1) s->at_once = 1;
    if (s->at_once > GROUP_MOST) s->at_once = GROUP_MOST;
    lithe_engine_options o = { .size = sizeof o, .slots = 1 + s->at_once * (1 + choices), .context = (int)(longest > most ? 0 : least(context, most)), .cache_type = "f32", .scores = 1 };
    s->engine = lithe_engine_open(s->model, &o, err);
    if (s->engine && !s->logits && !(s->logits = xalloc((size_t)ROWS * (size_t)lithe_model_vocab(s->model), sizeof *s->logits)))
        return fail(err, LITHE_ENOMEM, "not enough memory for %d rows of logits", ROWS);
    return s->engine ? LITHE_OK : err ? (int)err->status : LITHE_EINVAL;
}

/* Makes an engine that holds the longest sequence and the most choices. */
static int make_room(task_scorer *s, const task_request *requests, size_t count, lithe_error *err)
{
    size_t longest = 1;
    int choices = 1;
    for (size_t i = 0; i < count; i++) {
        if (requests[i].count > choices) choices = requests[i].count;
        for (int c = 0; c < requests[i].count; c++) if (requests[i].choices[c].n > longest) longest = requests[i].choices[c].n;
    }
    if (s->engine && longest <= s->context && choices <= s->choices) return LITHE_OK;
    return reopen(s, longest > s->context ? longest : s->context, choices > s->choices ? choices : s->choices, err);
}

/* Lets slot 0 read what all requests begin with. */
static int read_root(task_scorer *s, const task_request *requests, size_t count, lithe_error *err)
{
    const int32_t *ids = requests[0].choices[0].ids;
    size_t n = prefix_of(&requests[0]);
    for (size_t i = 1; i < count; i++) n = common(ids, requests[i].choices[0].ids, least(n, prefix_of(&requests[i])));
    if (n == s->root_length && common(ids, s->root, n) == n) return LITHE_OK;
    lithe_engine_clear(s->engine, 0);
    s->root_length = 0;
    if (n > s->root_room) {
        int32_t *grown = xrealloc(s->root, n, sizeof *grown);
        if (!grown) return fail(err, LITHE_ENOMEM, "not enough memory for %zu ids", n);
        s->root = grown;
        s->root_room = n;
    }
    int status = lithe_engine_step(s->engine, &(lithe_engine_input){ .ids = ids, .n = n }, 1, err);
    if (!status && n) memcpy(s->root, ids, n * sizeof *ids);
    if (!status) s->root_length = n;
    return status;
}

/* ---- a group ---------------------------------------------------------------------------------- */

/* A choice that is being read: its next id is ids[at]. */
typedef struct { const task_sequence *sequence; task_score *score; size_t at; int slot; } reading;

static int read_prefixes(task_scorer *s, const task_request *group, int count, lithe_error *err)
{
    lithe_engine_input inputs[GROUP_MOST];
    int status = LITHE_OK;
    for (int i = 0; i < count && !status; i++) {
        int slot = 1 + i * (1 + s->choices);
        status = lithe_engine_fork(s->engine, 0, slot, err);
        inputs[i] = (lithe_engine_input){ .slot = slot, .ids = group[i].choices[0].ids + s->root_length, .n = prefix_of(&group[i]) - s->root_length };
    }
    return status ? status : lithe_engine_step(s->engine, inputs, (size_t)count, err);
}

/* Adds the score of the id that comes after a row of logits. */
static void add_row(task_score *score, const float *z, int vocab, int32_t id)
{
    double sum = 0;
    int best = 0;
    for (int i = 1; i < vocab; i++) if (z[i] > z[best]) best = i;
    for (int i = 0; i < vocab; i++) sum += exp((double)z[i] - (double)z[best]);
    score->nll += log(sum) + (double)z[best] - (double)z[id];
    score->greedy &= best == id;
}

/* One step of all readings that have ids left, with at most ROWS rows of logits; *done if there are none. */
static int read_some(task_scorer *s, reading *x, int count, lithe_engine_input *inputs, reading **read, bool *done, lithe_error *err)
{
    size_t rows = 0, vocab = (size_t)lithe_model_vocab(s->model), n = 0;
    for (int i = 0; i < count && rows < ROWS; i++) {
        const task_sequence *q = x[i].sequence;
        size_t first = q->first - 1 > x[i].at ? q->first - 1 : x[i].at, wanted = least(q->n - 1 - first, ROWS - rows);
        if (x[i].at == q->n - 1) continue;
        inputs[n] = (lithe_engine_input){ .slot = x[i].slot, .ids = q->ids + x[i].at, .n = first - x[i].at + wanted, .logits = s->logits + rows * vocab, .wanted = wanted };
        read[n++] = &x[i];
        rows += wanted;
    }
    *done = !n;
    int status = lithe_engine_step(s->engine, inputs, n, err);
    for (size_t i = 0; i < n && !status; i++) {
        read[i]->at += inputs[i].n;
        for (size_t k = 0; k < inputs[i].wanted; k++)
            add_row(read[i]->score, inputs[i].logits + k * vocab, (int)vocab, read[i]->sequence->ids[read[i]->at - inputs[i].wanted + k + 1]);
    }
    return status;
}

static int score_group(task_scorer *s, task_request *group, int count, lithe_error *err)
{
    int most = s->at_once * s->choices, n = 0;
    reading *x = xalloc((size_t)most, sizeof *x), **read = xalloc((size_t)most, sizeof *read);
    lithe_engine_input *inputs = xalloc((size_t)most, sizeof *inputs);
    int status = x && read && inputs ? read_prefixes(s, group, count, err) : fail(err, LITHE_ENOMEM, "not enough memory for %d choices", most);
    for (int i = 0; i < count && !status; i++)
        for (int c = 0, prefix = 1 + i * (1 + s->choices); c < group[i].count && !status; c++) {
            group[i].scores[c] = (task_score){ .greedy = true };
            x[n++] = (reading){ &group[i].choices[c], &group[i].scores[c], prefix_of(&group[i]), prefix + 1 + c };
            status = lithe_engine_fork(s->engine, prefix, prefix + 1 + c, err);
        }
    for (bool done = false; !status && !done; ) status = read_some(s, x, n, inputs, read, &done, err);
    free(x);
    free(read);
    free(inputs);
    return status;
}

static int score_short(task_scorer *s, task_request *requests, size_t count, lithe_error *err)
{
    int status = make_room(s, requests, count, err);
    if (!status) status = read_root(s, requests, count, err);
    for (size_t i = 0; i < count && !status; i += (size_t)s->at_once)
        status = score_group(s, requests + i, (int)least((size_t)s->at_once, count - i), err);
    return status;
}

/* ---- long continuations ------------------------------------------------------------------------ */

static bool is_long(const task_scorer *s, const task_request *r)
{
    bool found = false;
    for (int c = 0; c < r->count; c++) found |= r->choices[c].n > (size_t)lithe_model_context(s->model) + 1;
    return found;
}

/* Scores choices of which one is longer than the model's context in windows that overlap by half. */
static int score_long(task_scorer *s, task_request *r, lithe_error *err)
{
    int status = LITHE_OK;
    for (int c = 0; c < r->count && !status; c++) {
        const task_sequence *q = &r->choices[c];
        float *nll = xalloc(q->n, sizeof *nll);
        status = nll ? lithe_score(s->model, q->ids, q->n, 0, (lithe_model_context(s->model) + 1) / 2, nll, NULL, err) : fail(err, LITHE_ENOMEM, "not enough memory for %zu scores", q->n);
        r->scores[c] = (task_score){ 0 };
        for (size_t i = q->first; i < q->n && !status; i++) r->scores[c].nll += (double)nll[i - 1];
        free(nll);
    }
    return status;
}

int score_causal(task_scorer *s, task_request *requests, size_t count, lithe_error *err)
{
    int status = LITHE_OK;
    for (size_t i = 0, n; i < count && !status; i += n) {
        for (n = 0; i + n < count && !is_long(s, &requests[i + n]); ) n++;
        status = n ? score_short(s, requests + i, n, err) : score_long(s, &requests[i], err);
        if (!n) n = 1;
    }
    return status;
}
