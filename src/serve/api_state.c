/* POST /v1/state: the state of a model after a text or a conversation, which later requests may bring. */
#include "serve/api.h"
#include "base/arena.h"
#include "infer/state_file.h"
#include "base/base64.h"
#include "serve/chat_prompt.h"
#include <stdlib.h>
#include <string.h>

const char *const state_keys[] = { "model", "prompt", "messages", "tools", "chat_template_kwargs", "state", NULL };

typedef struct {
    job job;
    sequence sequence;
    generation_rules rules;             /* zeros: the sequence is read, and nothing is written */
    const state_origin *origin;
    char *bytes; size_t size;           /* the file of the state */
} saving;

/* ---- when it is read ------------------------------------------------------------------ */

/* Each id that occurs, once, to be freed. */
static int32_t *distinct(const int32_t *ids, size_t n, int vocab, size_t *count)
{
    uint8_t *is_seen = xalloc((size_t)vocab, 1);
    int32_t *seen = xalloc(n, sizeof *seen);
    *count = 0;
    for (size_t i = 0; i < n && seen && is_seen; i++) {
        if (!is_seen[ids[i]]) seen[(*count)++] = ids[i];
        is_seen[ids[i]] = 1;
    }
    if (!is_seen) { free(seen); seen = NULL; }
    free(is_seen);
    return seen;
}

static void keep_state(job *j, int slot, const float *logits)
{
    saving *v = (saving *)j;
    const sequence *q = &v->sequence;
    const served *m = j->model;
    lithe_error err = { 0 };
    size_t count;
    int32_t *seen = distinct(q->ids, q->prompt, m->vocab, &count);
    if (seen) {
        const text_read read = { .length = q->prompt, .ids = m->context ? q->ids : NULL, .digest = chain_of(q->ids, q->prompt), .last = q->ids[q->prompt - 1],
                                 .seen = seen, .seen_count = count, .logits = logits };
        state_write(&(state_target){ .bytes = &v->bytes, .size = &v->size }, m->engine, slot, &read, v->origin, &err);
    } else fail(&err, LITHE_ENOMEM, "not enough memory for a state");
    if (err.status) refuse(&j->problem, 503, NULL, "%s", err.text);
    free(seen);
}

static void finish(job *j)
{
    const saving *v = (saving *)j;
    problem p = { 0 };
    char *text = base64_encode(v->bytes, v->size);
    if (!text) refuse(&p, 503, NULL, "not enough memory for a state");
    if (text) exchange_json(j->x, json_pack("{s:s, s:s, s:I, s:s}", "object", "state", "model", j->model->name, "tokens", (json_int_t)v->sequence.prompt, "state", text));
    else exchange_break(j->x, &p);
    free(text);
}

static void saving_close(job *j)
{
    saving *v = (saving *)j;
    if (j->sequences) sequence_close(&v->sequence);
    given_state_close(j->state);
    free(v->bytes);
    free(v);
}

static const job_kind saves = { .read = keep_state, .finish = finish, .close = saving_close };

/* ---- the request ------------------------------------------------------------------------ */

/* The ids of the text or the conversation, to be freed. */
static int32_t *ids_of(const served *m, const json_t *body, size_t *n, problem *p)
{
    const json_t *prompt = given(body, "prompt");
    chat_prompt c = { .end = -1 };
    int32_t *ids = NULL;
    *n = 0;
    if (!m->engine) refuse(p, 400, "model", "%s does not continue texts, so it keeps no states", m->name);
    if (!prompt == !given(body, "messages")) refuse(p, 400, "prompt", "either prompt or messages must be given");
    if (p->status) return NULL;
    if (json_is_string(prompt)) return served_encode(m, json_string_value(prompt), json_string_length(prompt), true, n, p);
    if (json_is_array(prompt)) ids = field_ids(prompt, "prompt", m->vocab, n, p);
    else if (prompt) refuse(p, 400, "prompt", "prompt must be a string or a list of token ids");
    else chat_prompt_open(&c, m, body, p);
    if (c.ids) ids = c.ids, *n = c.n, c.ids = NULL;
    if (!p->status && !*n) refuse(p, 400, "prompt", "prompt has an empty list: at least one token is needed");
    chat_prompt_close(&c);
    return ids;
}

static saving *saving_open(served *m, exchange *x, const json_t *body, problem *p)
{
    lithe_error err = { 0 };
    size_t n;
    int32_t *ids = ids_of(m, body, &n, p);
    saving *v = p->status ? NULL : xalloc(1, sizeof *v);
    if (!p->status && !v) refuse(p, 503, NULL, "not enough memory for the request");
    if (!v) { free(ids); return NULL; }
    *v = (saving){ .job = { .kind = &saves, .model = m, .x = exchange_hold(x), .sequences = &v->sequence, .count = 1 }, .origin = served_origin(m, &err) };
    sequence_open(&v->sequence, &v->rules, 0, ids, n, m->runner);
    v->job.state = given_state_open(m, body, p);
    v->job.bytes = n * sizeof *ids + given_state_bytes(v->job.state);
    x->prompt_tokens = n;
    if (err.status) refuse_error(p, NULL, &err);
    if (m->context && n > (size_t)m->context) refuse(p, 400, "prompt", "the prompt has %zu tokens, and the context of %s holds %d", n, m->name, m->context);
    given_state_check(v->job.state, m, ids, n, p);
    return v;
}

void api_state(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    served *m = served_find(s->models, s->count, body, &p);
    saving *v = m ? saving_open(m, x, body, &p) : NULL;
    if (v && !p.status && scheduler_submit(&s->scheduler, &v->job, &p)) return;
    exchange_refuse(x, &p);
    if (!v) return;
    saving_close(&v->job);
    exchange_release(x);
}
