/* A session is one slot of an engine of its own, and the ids that it has read.
 * Recurrent models read texts of any length, so for them not even the ids are
 * kept, only a digest that shows whether another text continues this one.
 * Invariant: the states of the slot are those of the `length` ids; logits are those after the last. */
#include "infer/session.h"
#include "base/random.h"
#include "base/sized.h"
#include <stdlib.h>
#include <string.h>

/* ---- opening ------------------------------------------------------------------------ */

static bool allocate(lithe_session *s)
{
    size_t vocab = (size_t)s->vocab;
    s->logits = xalloc(vocab, sizeof *s->logits);
    if (s->context) s->ids = xalloc((size_t)s->context, sizeof *s->ids);
    else {
        s->seen.ids = xalloc(vocab, sizeof *s->seen.ids);
        s->seen.is_there = xalloc(vocab, sizeof *s->seen.is_there);
    }
    return !sampler_open(&s->sampler, s->vocab, NULL) && s->logits && (s->ids || (s->seen.ids && s->seen.is_there));
}

lithe_session *lithe_session_open(lithe_model *m, int context, lithe_error *err)
{
    return lithe_session_open_with(m, &LITHE_OPTIONS(lithe_session_options, .context = context), err);
}

lithe_session *lithe_session_open_with(lithe_model *m, const lithe_session_options *o, lithe_error *err)
{
    lithe_session_options own;
    if (failed(err) || options_read(&own, sizeof own, o, "lithe_session_options", err)) return NULL;
    lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .context = own.context, .cache_type = own.cache_type), err);
    lithe_session *s = e ? xalloc(1, sizeof *s) : NULL;
    if (!s) {
        if (e) fail(err, LITHE_ENOMEM, "not enough memory for a session");
        lithe_engine_close(e);
        return NULL;
    }
    *s = (lithe_session){ .engine = e, .context = lithe_engine_context(e), .vocab = lithe_model_vocab(m), .last = -1 };
    if (allocate(s)) return s;
    fail(err, LITHE_ENOMEM, "not enough memory for a session");
    lithe_session_close(s);
    return NULL;
}

void lithe_session_close(lithe_session *s)
{
    if (!s) return;
    session_forget_mark(s);
    lithe_engine_close(s->engine);
    free(s->initial);
    free(s->ids);
    free(s->seen.ids);
    free(s->seen.is_there);
    free(s->logits);
    sampler_close(&s->sampler);
    free(s);
}

/* ---- what was read -------------------------------------------------------------------- */

static void set_add(id_set *x, int32_t id)
{
    if (x->is_there[id]) return;
    x->is_there[id] = 1;
    x->ids[x->count++] = id;
}

static void set_clear(id_set *x)
{
    while (x->count) x->is_there[x->ids[--x->count]] = 0;
}

void session_clear(lithe_session *s)
{
    s->length = 0;
    s->ready = false;
    s->digest = (chain){ 0 };
    s->last = -1;
    set_clear(&s->seen);
    if (s->initial) engine_restore(s->engine, 0, s->initial);
    else lithe_engine_clear(s->engine, 0);
}

void session_note(lithe_session *s, const int32_t *ids, size_t n)
{
    if (s->ids) memcpy(s->ids + s->length, ids, n * sizeof *ids);
    for (size_t i = 0; !s->ids && i < n; i++) {
        s->digest = chain_add(s->digest, ids[i]);
        set_add(&s->seen, ids[i]);
    }
    if (n) s->last = ids[n - 1];
    s->length += n;
}

int32_t session_last(const lithe_session *s) { return s->length ? s->ids ? s->ids[s->length - 1] : s->last : -1; }

/* The number of ids that the session has read already and need not read again, not counting its mark. */
static size_t known(const lithe_session *s, const int32_t *ids, size_t n)
{
    size_t common = 0;
    if (s->ids)
        while (common < n && common < s->length && s->ids[common] == ids[common]) common++;
    else if (n >= s->length) {
        chain c = chain_of(ids, s->length);
        if (c.a == s->digest.a && c.b == s->digest.b) common = s->length;
    }
    if (common == n && n && !(s->ready && s->length == n)) common--;       /* the logits after the last id are wanted */
    return common;
}

/* ---- the mark --------------------------------------------------------------------------- */

void session_forget_mark(lithe_session *s)
{
    free(s->mark.state);
    free(s->mark.seen);
    free(s->mark.logits);
    s->mark = (session_mark){ 0 };
}

static void *copy_of(const void *from, size_t bytes)
{
    void *to = xalloc(bytes + 1, 1);
    if (to && bytes) memcpy(to, from, bytes);
    return to;
}

int lithe_session_mark(lithe_session *s, lithe_error *err)
{
    if (!s) return fail(err, LITHE_EINVAL, "there is no session");
    if (failed(err)) return err->status;
    if (!engine_recurrent(s->engine)) return LITHE_OK;       /* every prefix is kept in any case */
    session_forget_mark(s);
    session_mark *m = &s->mark;
    *m = (session_mark){ .state = engine_snapshot(s->engine, 0), .digest = s->ids ? chain_of(s->ids, s->length) : s->digest, .last = session_last(s),
                         .seen = copy_of(s->seen.ids, s->seen.count * sizeof *s->seen.ids), .seen_count = s->seen.count,
                         .logits = s->ready ? copy_of(s->logits, (size_t)s->vocab * sizeof *s->logits) : NULL };
    if (m->state && m->seen && (m->logits || !s->ready)) return LITHE_OK;
    session_forget_mark(s);
    return fail(err, LITHE_ENOMEM, "not enough memory to keep where a session stands");
}

/* Whether a text of n ids can continue from the mark. */
static bool mark_fits(const lithe_session *s, const int32_t *ids, size_t n)
{
    const session_mark *m = &s->mark;
    if (!m->state || !m->state->length || m->state->length > n || (m->state->length == n && !m->logits)) return false;
    chain c = chain_of(ids, m->state->length);
    return c.a == m->digest.a && c.b == m->digest.b;
}

/* ids are those up to the mark. */
static void return_to_mark(lithe_session *s, const int32_t *ids)
{
    const session_mark *m = &s->mark;
    session_clear(s);
    engine_restore(s->engine, 0, m->state);
    if (s->ids) memcpy(s->ids, ids, m->state->length * sizeof *ids);
    for (size_t i = 0; i < m->seen_count; i++) set_add(&s->seen, m->seen[i]);
    s->length = m->state->length;
    s->digest = m->digest;
    s->last = m->last;
    s->ready = m->logits != NULL;
    if (s->ready) memcpy(s->logits, m->logits, (size_t)s->vocab * sizeof *s->logits);
}

/* ---- reading ---------------------------------------------------------------------------- */

static int read_on(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!n) return LITHE_OK;
    int status = lithe_engine_step(s->engine, &(lithe_engine_input){ .ids = ids, .n = n, .logits = s->logits, .wanted = 1 }, 1, err);
    if (status) return status;
    session_note(s, ids, n);
    s->ready = true;
    return LITHE_OK;
}

int lithe_session_sync(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!s) return fail(err, LITHE_EINVAL, "there is no session");
    if (failed(err)) return err->status;
    if (s->context && n > (size_t)s->context) return fail(err, LITHE_EFULL, "the text is %zu tokens long, the context holds %d", n, s->context);
    if (check_ids(engine_model(s->engine), ids, n, err)) return LITHE_EINVAL;
    size_t common = known(s, ids, n);
    if (common < s->length && common && engine_recurrent(s->engine)) common = 0;
    if (common < s->length && !common && mark_fits(s, ids, n)) {
        return_to_mark(s, ids);
        common = s->length;
    } else if (common < s->length) {
        if (!common) session_clear(s);
        else engine_place(s->engine, 0, common);
        s->length = common;
        s->ready = false;
    }
    return common < n ? read_on(s, ids + common, n - common, err) : LITHE_OK;
}

int lithe_session_extend(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!s) return fail(err, LITHE_EINVAL, "there is no session");
    if (failed(err)) return err->status;
    if (s->context && n > (size_t)s->context - s->length)
        return fail(err, LITHE_EFULL, "%zu more tokens: the context of %d tokens holds %zu already", n, s->context, s->length);
    return read_on(s, ids, n, err);
}

int lithe_session_push(lithe_session *s, int32_t id, lithe_error *err)
{
    if (!s) return fail(err, LITHE_EINVAL, "there is no session");
    if (failed(err)) return err->status;
    if (s->context && s->length >= (size_t)s->context) return fail(err, LITHE_EFULL, "the context of %d tokens is full", s->context);
    return read_on(s, &id, 1, err);
}

size_t lithe_session_length(const lithe_session *s)  { return s ? s->length : 0; }
int    lithe_session_context(const lithe_session *s) { return s ? s->context : 0; }
const float *lithe_session_logits(const lithe_session *s) { return s && s->ready ? s->logits : NULL; }

int32_t lithe_session_sample(lithe_session *s, const lithe_sampling *o, lithe_error *err)
{
    lithe_sampling how;
    int32_t id;
    if (!s) { fail(err, LITHE_EINVAL, "there is no session"); return -1; }
    if (sampling_read(&how, o, err)) return -1;
    if (!s->ready) { fail(err, LITHE_EINVAL, "nothing was read: there are no logits to choose from"); return -1; }
    const int32_t *before = s->ids ? s->ids : s->seen.ids;
    return sampler_next(&s->sampler, s->logits, before, s->ids ? s->length : s->seen.count, s->length, &how, &id, err) ? -1 : id;
}
