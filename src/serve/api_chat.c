/* POST /v1/chat/completions: replies in conversations.  POST /apply-template: what a model is given for one. */
#include "serve/api.h"
#include "serve/chat_prompt.h"
#include "serve/text_request.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *const chat_keys[] = { GENERATION_KEYS, "messages", "max_completion_tokens", "top_logprobs", "response_format", "tools", "chat_template_kwargs", NULL };
const char *const apply_template_keys[] = { "model", "messages", "tools", "chat_template_kwargs", NULL };

enum { MOST_TOP = 20, ENDLESS_TOKENS = 4096 };

/* ---- the answer ---------------------------------------------------------------------- */

/* The token that ends a reply is not in it. */
static size_t scores_shown(const sequence *q) { return q->scored && q->ended_by_token ? q->scored - 1 : q->scored; }

static json_t *scores_of(const generation *g, sequence *q)
{
    if (!g->rules.score) return json_null();
    json_t *all = json_pack("{s:o}", "content", logprob_records(g, q, q->sent_scores, scores_shown(q)));
    q->sent_scores = scores_shown(q);
    return all;
}

static json_t *reason_of(const sequence *q) { return q->reason ? json_string(q->reason) : json_null(); }

static json_t *text_since(const sequence *q) { return json_shown(q->text.bytes ? q->text.bytes + q->sent_bytes : "", q->text.n - q->sent_bytes); }

static json_t *choice(generation *g, sequence *q)
{
    json_t *scores = scores_of(g, q);
    return json_pack("{s:i, s:{s:s, s:o, s:n}, s:o, s:o}", "index", q->index, "message", "role", "assistant", "content", text_since(q), "refusal", "logprobs", scores, "finish_reason", reason_of(q));
}

static json_t *delta(const sequence *q, json_t *change, json_t *scores, json_t *reason)
{
    return json_pack("{s:i, s:o, s:o, s:o}", "index", q->index, "delta", change, "logprobs", scores, "finish_reason", reason);
}

/* The role first, then the text, then why it ended. */
static json_t *parts(generation *g, sequence *q)
{
    json_t *all = json_array();
    if (!q->first_sent) json_array_append_new(all, delta(q, json_pack("{s:s, s:s}", "role", "assistant", "content", ""), json_null(), json_null()));
    q->first_sent = true;
    if (q->text.n > q->sent_bytes) json_array_append_new(all, delta(q, json_pack("{s:o}", "content", text_since(q)), scores_of(g, q), json_null()));
    q->sent_bytes = q->text.n;
    if (q->reason) json_array_append_new(all, delta(q, json_object(), scores_shown(q) > q->sent_scores ? scores_of(g, q) : json_null(), reason_of(q)));
    return all;
}

static const generation_form chats = { "chatcmpl-", "chat.completion", "chat.completion.chunk", choice, parts };

/* ---- the request ------------------------------------------------------------------------ */

static void read_scores(generation *g, const json_t *body, problem *p)
{
    generation_rules *r = &g->rules;
    r->score = field_flag(body, "logprobs", false, p);
    r->top = field_int(body, "top_logprobs", 0, MOST_TOP, 0, p);
    if (r->top && !r->score) refuse(p, 400, "top_logprobs", "top_logprobs needs \"logprobs\": true");
}

/* Until something ends the reply, unless the request says how many tokens it may have. */
static void read_length(generation *g, const json_t *body, problem *p)
{
    const char *key = given(body, "max_completion_tokens") ? "max_completion_tokens" : "max_tokens";
    const json_t *format = given(body, "response_format");
    g->rules.max_tokens = field_int(body, key, 0, INT_MAX, g->job.model->context ? INT_MAX : ENDLESS_TOKENS, p);
    if (format && strcmp(field_text(format, "type", "text", p), "text")) refuse(p, 400, "response_format", "response_format must be of type text: replies in a given form are not supported");
}

/* The end of a reply by its template is one more stop string. */
static void take_ends(generation *g, chat_prompt *c, problem *p)
{
    generation_rules *r = &g->rules;
    r->has_end = c->end >= 0;
    r->end = c->end;
    if (!c->stop || p->status) return;
    char **stop = realloc(r->stop, ((size_t)r->stops + 1) * sizeof *stop);
    if (!stop) { refuse(p, 503, NULL, "not enough memory for the stop strings"); return; }
    r->stop = stop;
    r->stop[r->stops++] = c->stop;
    c->stop = NULL;
}

void api_chat(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    generation *g = generation_read(s, x, body, &chats, 0, &p);
    chat_prompt c = { .end = -1 };
    if (!g) { exchange_refuse(x, &p); return; }
    read_scores(g, body, &p);
    read_length(g, body, &p);
    if (!p.status) chat_prompt_open(&c, g->job.model, body, &p);
    take_ends(g, &c, &p);
    if (generation_reserve(g, 1, &p)) {
        generation_add(g, c.ids, c.n, body, &p);
        c.ids = NULL;
    }
    chat_prompt_close(&c);
    generation_submit(s, g, &p);
}

void api_apply_template(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    chat_prompt c = { .end = -1 };
    const served *m = served_find(s->models, s->count, body, &p);
    if (m) chat_prompt_open(&c, m, body, &p);
    if (p.status) exchange_refuse(x, &p);
    else exchange_json(x, json_pack("{s:o}", "prompt", json_shown(c.rendered.text, c.rendered.n)));
    chat_prompt_close(&c);
}
