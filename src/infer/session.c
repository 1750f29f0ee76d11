/* A session stands after a sequence of ids.  What it has read lives in the
 * states its graphs share: keys and values of every position.
 * A recurrent state holds what is left of them instead, and begins anew at position 0.
 * Invariant: states hold positions 0 .. length-1 of ids; logits are those after the last. */
#include "infer/infer.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 128 };                    /* rows of a prefill pass; results do not depend on it */

struct lithe_session {
    lithe_model *model;
    int context, vocab;
    int32_t *ids;
    size_t length;
    real **states;
    size_t *state_bytes;
    int state_count;
    pass one, chunk;                     /* a single token, up to CHUNK of them */
    int *pos;
    float *logits, *scratch;
    bool ready;                          /* logits are those of ids */
    bool recurrent;                      /* a state that cannot be cut back: what does not go on begins anew */
};

static graph_options decoding(int rows, int context, real *const *states)
{
    return (graph_options){ .mode = GRAPH_DECODE, .capacity = { rows, 1, 1 }, .slots = 1, .context = context, .states = states };
}

/* Asks a graph that is never planned how large the states are. */
static int allocate_states(lithe_session *s, lithe_error *err)
{
    graph_options o = decoding(1, s->context, NULL);
    graph *g = graph_new(kernels_default(), s->model->params, &o);
    if (!g) return fail(err, LITHE_ENOMEM, "not enough memory for the graph");
    arch_build(s->model->arch, s->model->config, &s->model->task, g, WANT_LOGITS);
    tensor *const *states;
    s->state_count = graph_states(g, &states);
    s->recurrent = graph_recurrent(g);
    s->states = xalloc((size_t)s->state_count + 1, sizeof *s->states);
    s->state_bytes = xalloc((size_t)s->state_count + 1, sizeof *s->state_bytes);
    bool complete = s->states && s->state_bytes;
    for (int i = 0; complete && i < s->state_count; i++) {
        size_t bytes;
        complete = size_mul((size_t)states[i]->rows, (size_t)states[i]->width, &bytes) && size_mul(bytes, sizeof(real), &bytes);
        if (!complete) break;
        s->states[i] = big_alloc(bytes);
        s->state_bytes[i] = bytes;
        complete = s->states[i] != NULL;
    }
    graph_close(g);
    return complete ? 0 : fail(err, LITHE_ENOMEM, "not enough memory for a context of %d tokens: ask for a shorter one", s->context);
}

lithe_session *lithe_session_open(lithe_model *m, int context, lithe_error *err)
{
    if (!m || failed(err) || must_continue_text(m, err)) return NULL;
    int longest = m->arch->context(m->config);
    if (context < 0 || context > longest) {
        fail(err, LITHE_EINVAL, "a context of %d: the model has %d positions", context, longest);
        return NULL;
    }
    lithe_session *s = xalloc(1, sizeof *s);
    if (!s) { fail(err, LITHE_ENOMEM, "not enough memory for a session"); return NULL; }
    s->model = m;
    s->context = context ? context : longest;
    s->vocab = m->arch->vocab(m->config);
    s->ids = xalloc((size_t)s->context, sizeof *s->ids);
    s->pos = xalloc(CHUNK, sizeof *s->pos);
    s->logits = xalloc((size_t)s->vocab, sizeof *s->logits);
    s->scratch = xalloc((size_t)s->vocab * 2, sizeof *s->scratch);
    lithe_error first = { 0 };
    if (!s->ids || !s->pos || !s->logits || !s->scratch) fail(&first, LITHE_ENOMEM, "not enough memory for a session of %d tokens", s->context);
    if (!first.status) allocate_states(s, &first);
    if (!first.status) {
        graph_options one = decoding(1, s->context, s->states), chunk = decoding(CHUNK, s->context, s->states);
        pass_open(&s->one, m, &one, WANT_LOGITS, &first);
        if (!first.status) pass_open(&s->chunk, m, &chunk, WANT_LOGITS, &first);
    }
    if (!first.status) return s;
    fail(err, first.status, "%s", first.text);
    lithe_session_close(s);
    return NULL;
}

void lithe_session_close(lithe_session *s)
{
    if (!s) return;
    pass_close(&s->one);
    pass_close(&s->chunk);
    for (int i = 0; s->states && i < s->state_count; i++) big_free(s->states[i], s->state_bytes[i]);
    free(s->states);
    free(s->state_bytes);
    free(s->ids);
    free(s->pos);
    free(s->logits);
    free(s->scratch);
    free(s);
}

/* Reads ids[length .. length+n-1], which stand in s->ids already. */
static void advance(lithe_session *s, int n)
{
    const pass *p = n == 1 ? &s->one : &s->chunk;
    int start[2] = { 0, n }, slot = 0, last = n - 1;
    for (int i = 0; i < n; i++) s->pos[i] = (int)s->length + i;
    graph_run(p->g, &(batch){ .rows = n, .seqs = 1, .selected = 1, .ids = s->ids + s->length, .pos = s->pos, .start = start, .slot = &slot, .select = &last });
    s->length += (size_t)n;
    for (int i = 0; i < s->vocab; i++) s->logits[i] = (float)p->r.logits->data[i];
    s->ready = true;
}

int lithe_session_sync(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err)
{
    if (!s) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    if (n > (size_t)s->context) return fail(err, LITHE_EFULL, "the text is %zu tokens long, the context holds %d", n, s->context);
    if (check_ids(s->model, ids, n, err)) return LITHE_EINVAL;
    size_t common = 0;
    while (common < n && common < s->length && s->ids[common] == ids[common]) common++;
    if (common == n && n && !(s->ready && s->length == n)) common--;       /* the logits after the last one are wanted */
    if (s->recurrent && common < s->length) common = 0;
    s->length = common;
    s->ready = s->ready && n && common == n;
    if (n > common) memcpy(s->ids + common, ids + common, (n - common) * sizeof *ids);
    while (s->length < n) advance(s, n - s->length < CHUNK ? (int)(n - s->length) : CHUNK);
    return 0;
}

int lithe_session_push(lithe_session *s, int32_t id, lithe_error *err)
{
    if (!s) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    if (s->length >= (size_t)s->context) return fail(err, LITHE_EFULL, "the context of %d tokens is full", s->context);
    if (check_ids(s->model, &id, 1, err)) return LITHE_EINVAL;
    s->ids[s->length] = id;
    advance(s, 1);
    return 0;
}

size_t lithe_session_length(const lithe_session *s) { return s ? s->length : 0; }
const float *lithe_session_logits(const lithe_session *s) { return s && s->ready ? s->logits : NULL; }

int32_t lithe_session_sample(lithe_session *s, const lithe_sampling *o)
{
    return s && s->ready ? sample(s->logits, s->vocab, s->ids, s->length, o, s->scratch) : -1;
}
