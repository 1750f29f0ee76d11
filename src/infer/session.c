/* A session stands after a sequence of ids.  What it has read lives in the
 * states its graphs share: keys and values of every position, up to a context;
 * or, for recurrent models, what is left of all of them, without end: there not
 * even the ids are kept, only a digest that tells whether a text goes on.
 * Invariant: states hold positions 0 .. length-1; logits are those after the last. */
#include "infer/session.h"
#include "base/sized.h"
#include "base/random.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 128 };                    /* rows of a prefill pass; results do not depend on it */

static graph_options decoding(int rows, int context, real *const *states)
{
    return (graph_options){ .mode = GRAPH_DECODE, .capacity = { rows, 1, 1 }, .slots = 1, .context = context, .states = states };
}

/* ---- opening ------------------------------------------------------------------------ */

static bool allocate_state(session_state *x, const tensor *t)
{
    size_t bytes;
    if (!size_mul((size_t)t->rows, (size_t)t->width, &bytes) || !size_mul(bytes, sizeof(real), &bytes)) return false;
    *x = (session_state){ .name = strdup(t->name), .data = big_alloc(bytes), .bytes = bytes, .width = t->width, .recurrent = t->recurrent };
    return x->name && x->data;
}

/* Asks a graph that is never planned how large the states are; true: they are recurrent, all of them. */
static bool allocate_states(lithe_session *s, int context, lithe_error *err)
{
    graph_options o = decoding(1, context, NULL);
    pass p;
    tensor *const *states;
    if (pass_plan(&p, s->model, &o, WANT_LOGITS, err)) return false;
    s->state_count = graph_states(p.g, &states);
    s->recurrent = graph_recurrent(p.g);
    s->states = xalloc((size_t)s->state_count + 1, sizeof *s->states);
    s->storage = xalloc((size_t)s->state_count + 1, sizeof *s->storage);
    bool complete = s->states && s->storage, endless = s->state_count > 0;
    for (int i = 0; complete && i < s->state_count; i++) {
        complete = allocate_state(&s->states[i], states[i]);
        s->storage[i] = s->states[i].data;
        endless = endless && states[i]->recurrent;
    }
    pass_close(&p);
    if (!complete) fail(err, LITHE_ENOMEM, "not enough memory for a context of %d tokens: ask for a shorter one", context);
    return endless;
}

static int allocate_rest(lithe_session *s, lithe_error *err)
{
    size_t vocab = (size_t)s->vocab;
    s->logits = xalloc(vocab, sizeof *s->logits);
    s->scratch = xalloc(vocab * 2, sizeof *s->scratch);
    if (s->context) s->ids = xalloc((size_t)s->context, sizeof *s->ids);
    else {
        s->seen = xalloc(vocab, sizeof *s->seen);
        s->is_seen = xalloc(vocab, sizeof *s->is_seen);
    }
    bool complete = s->logits && s->scratch && (s->context ? s->ids != NULL : s->seen && s->is_seen);
    return complete ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for a session");
}

static int fill(lithe_session *s, int context, lithe_error *err)
{
    int longest = lithe_model_context(s->model), held = context && context < longest ? context : longest;
    bool endless = allocate_states(s, held, err);
    if (failed(err)) return err->status;
    if (!endless && context > longest) return fail(err, LITHE_EINVAL, "a context of %d: the model has %d positions", context, longest);
    s->context = endless ? context : held;
    int status = allocate_rest(s, err);
    graph_options one = decoding(1, held, s->storage), chunk = decoding(CHUNK, held, s->storage);
    if (!status) status = pass_open(&s->one, s->model, &one, WANT_LOGITS, err);
    return status ? status : pass_open(&s->chunk, s->model, &chunk, WANT_LOGITS, err);
}

lithe_session *lithe_session_open(lithe_model *m, int context, lithe_error *err)
{
    if (!m || failed(err) || must_continue_text(m, err)) return NULL;
    lithe_session *s = xalloc(1, sizeof *s);
    lithe_error first = { 0 };
    if (!s) { fail(err, LITHE_ENOMEM, "not enough memory for a session"); return NULL; }
    s->model = m;
    s->vocab = lithe_model_vocab(m);
    if (context < 0) fail(&first, LITHE_EINVAL, "a context of %d: the model has %d positions", context, lithe_model_context(m));
    if (!first.status) fill(s, context, &first);
    if (!first.status) { session_clear(s); return s; }
    fail(err, first.status, "%s", first.text);
    lithe_session_close(s);
    return NULL;
}

void lithe_session_close(lithe_session *s)
{
    if (!s) return;
    pass_close(&s->one);
    pass_close(&s->chunk);
    for (int i = 0; s->states && i < s->state_count; i++) {
        big_free(s->states[i].data, s->states[i].bytes);
        free((char *)(uintptr_t)s->states[i].name);
    }
    free(s->states);
    free(s->initial);
    free(s->storage);
    free(s->ids);
    free(s->seen);
    free(s->is_seen);
    free(s->logits);
    free(s->scratch);
    free(s);
}

/* ---- what was read -------------------------------------------------------------------- */

chain chain_add(chain c, int32_t id)
{
    c.a = mix64(c.a ^ (uint64_t)(uint32_t)id);
    c.b = mix64(c.b + ((uint64_t)(uint32_t)id + 1) * 0x9e3779b97f4a7c15u);
    return c;
}

void session_clear(lithe_session *s)
{
    s->length = 0;
    s->ready = false;
    s->digest = (chain){ 0 };
    s->last = -1;
    for (size_t i = 0; i < s->seen_count; i++) s->is_seen[s->seen[i]] = 0;
    s->seen_count = 0;
    const char *initial = (const char *)s->initial;
    for (int i = 0; initial && i < s->state_count; initial += s->states[i++].bytes) memcpy(s->states[i].data, initial, s->states[i].bytes);
}

void session_note(lithe_session *s, const int32_t *ids, size_t n)
{
    if (s->ids) memcpy(s->ids + s->length, ids, n * sizeof *ids);
    for (size_t i = 0; !s->ids && i < n; i++) {
        s->digest = chain_add(s->digest, ids[i]);
        if (s->is_seen[ids[i]]) continue;
        s->is_seen[ids[i]] = 1;
        s->seen[s->seen_count++] = ids[i];
    }
    if (n) s->last = ids[n - 1];
    s->length += n;
}

int32_t session_last(const lithe_session *s) { return s->length ? s->ids ? s->ids[s->length - 1] : s->last : -1; }

/* How many of ids the session stands after and need not read again. */
static size_t known(const lithe_session *s, const int32_t *ids, size_t n)
{
    size_t common = 0;
    if (s->ids)
        while (common < n && common < s->length && s->ids[common] == ids[common]) common++;
    else if (n >= s->length) {
        chain c = { 0 };
        for (size_t i = 0; i < s->length; i++) c = chain_add(c, ids[i]);
        if (c.a == s->digest.a && c.b == s->digest.b) common = s->length;
    }
    if (common == n && n && !(s->ready && s->length == n)) common--;       /* the logits after the last one are wanted */
    return s->recurrent && common < s->length ? 0 : common;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Positions tell where keys lie, and for a recurrent state only what is first: after an initial state nothing is. */
static int position(const lithe_session *s)
{
    size_t at = s->length + (s->initial != NULL);
    return at < INT_MAX - CHUNK ? (int)at : INT_MAX - CHUNK;
}

static int advance(lithe_session *s, const int32_t *ids, int n, lithe_error *err)
{
    pass *p = n == 1 ? &s->one : &s->chunk;
    batch_begin(&p->batch);
    batch_add(&p->batch, &(batch_sequence){ .n = n, .ids = ids, .position = position(s) });
    batch_select(&p->batch, n - 1, 0, 1);
    int status = pass_run(p, err);
    if (status) return status;
    session_note(s, ids, (size_t)n);
    for (int i = 0; i < s->vocab; i++) s->logits[i] = (float)p->r.logits->data[i];
    s->ready = true;
    return LITHE_OK;
}

static int read_on(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    int status = LITHE_OK;
    for (size_t at = 0, rows; at < n && !status; at += rows) {
        rows = n - at < CHUNK ? n - at : CHUNK;
        status = advance(s, ids + at, (int)rows, err);
    }
    return status;
}

int lithe_session_sync(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!s) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    if (s->context && n > (size_t)s->context) return fail(err, LITHE_EFULL, "the text is %zu tokens long, the context holds %d", n, s->context);
    if (check_ids(s->model, ids, n, err)) return LITHE_EINVAL;
    size_t common = known(s, ids, n);
    if (common == s->length && common == n) return 0;
    if (!common) session_clear(s);
    s->length = common;
    s->ready = false;
    return read_on(s, ids + common, n - common, err);
}

int lithe_session_extend(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!s) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    if (s->context && n > (size_t)s->context - s->length)
        return fail(err, LITHE_EFULL, "%zu more tokens: the context of %d tokens holds %zu already", n, s->context, s->length);
    if (check_ids(s->model, ids, n, err)) return LITHE_EINVAL;
    return read_on(s, ids, n, err);
}

int lithe_session_push(lithe_session *s, int32_t id, lithe_error *err)
{
    if (!s) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    if (s->context && s->length >= (size_t)s->context) return fail(err, LITHE_EFULL, "the context of %d tokens is full", s->context);
    if (check_ids(s->model, &id, 1, err)) return LITHE_EINVAL;
    return advance(s, &id, 1, err);
}

size_t lithe_session_length(const lithe_session *s)  { return s ? s->length : 0; }
int    lithe_session_context(const lithe_session *s) { return s ? s->context : 0; }
const float *lithe_session_logits(const lithe_session *s) { return s && s->ready ? s->logits : NULL; }

int32_t lithe_session_sample(lithe_session *s, const lithe_sampling *o)
{
    lithe_sampling how;
    if (!s || !s->ready || options_read(&how, sizeof how, o, "lithe_sampling", NULL)) return -1;
    if (s->ids) return sample(s->logits, s->vocab, s->ids, s->length, s->length, &how, s->scratch);
    return sample(s->logits, s->vocab, s->seen, s->seen_count, s->length, &how, s->scratch);
}
