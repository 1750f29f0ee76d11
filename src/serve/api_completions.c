/* POST /v1/completions: texts are continued, and scored. */
#include "serve/api.h"
#include "serve/text_request.h"
#include <stdlib.h>
#include <string.h>

enum { USUAL_TOKENS = 16, MOST_TOP = 20 };

/* ---- the answer -------------------------------------------------------------------- */

static char *prompt_text(const generation *g, const sequence *q, size_t *n)
{
    *n = lithe_decode(g->job.model->runner, q->ids, q->prompt, NULL, 0);
    char *text = malloc(*n + 1);
    if (text) lithe_decode(g->job.model->runner, q->ids, q->prompt, text, *n);
    else *n = 0;
    return text;
}

/* The text from byte `sent_bytes` on, with the prompt before the first. */
static json_t *text_of(const generation *g, const sequence *q)
{
    text_buffer all = { 0 };
    size_t n = 0;
    char *prompt = g->echo && !q->first_sent ? prompt_text(g, q, &n) : NULL;
    text_append(&all, prompt ? prompt : "", n);
    text_append(&all, q->text.bytes ? q->text.bytes + q->sent_bytes : "", q->text.n - q->sent_bytes);
    json_t *text = all.failed ? NULL : json_shown(all.bytes ? all.bytes : "", all.n);
    free(all.bytes);
    free(prompt);
    return text;
}

/* The scores from `sent_scores` on; those of an answer in one piece are all. */
static json_t *scores_of(const generation *g, sequence *q)
{
    if (!g->rules.score) return json_null();
    json_t *all = logprob_lists(g, q, q->sent_scores, q->scored, &q->sent_chars);
    q->sent_scores = q->scored;
    return all;
}

static json_t *choice(generation *g, sequence *q)
{
    json_t *reason = q->reason ? json_string(q->reason) : json_null(), *text = text_of(g, q), *scores = scores_of(g, q);
    return json_pack("{s:i, s:o, s:o, s:o}", "index", q->index, "text", text, "logprobs", scores, "finish_reason", reason);
}

static json_t *parts(generation *g, sequence *q)
{
    json_t *all = json_array();
    bool first = g->echo && !q->first_sent;
    if (q->text.n == q->sent_bytes && !q->reason && !first) return all;
    json_array_append_new(all, choice(g, q));
    q->first_sent = true;
    q->sent_bytes = q->text.n;
    return all;
}

static const generation_form completions = { "cmpl-", "text_completion", "text_completion", choice, parts };

/* ---- the prompts ----------------------------------------------------------------------- */

static void add_prompt(generation *g, const json_t *prompt, const json_t *body, problem *p)
{
    const served *m = g->job.model;
    size_t n = 0;
    int32_t *ids = NULL;
    if (json_is_string(prompt)) ids = served_encode(m, json_string_value(prompt), json_string_length(prompt), true, &n, p);
    else if (json_is_array(prompt)) ids = field_ids(prompt, "prompt", m->vocab, &n, p);
    else refuse(p, 400, "prompt", "prompt must be a string, a list of strings, a list of token ids or a list of such lists");
    if (!n) refuse(p, 400, "prompt", "prompt has an empty list: at least one token is needed");
    generation_add(g, ids, n, body, p);
}

static void add_prompts(generation *g, const json_t *body, problem *p)
{
    json_t *empty = NULL;
    const json_t *prompt = given(body, "prompt");
    if (!prompt) prompt = empty = json_string("");
    bool many = json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0)) && json_array_size(prompt);
    size_t count = many ? json_array_size(prompt) : 1;
    if (generation_reserve(g, count, p))
        for (size_t i = 0; i < count && !p->status; i++) add_prompt(g, many ? json_array_get(prompt, i) : prompt, body, p);
    json_decref(empty);
}

static void read_scores(generation *g, const json_t *body, problem *p)
{
    generation_rules *r = &g->rules;
    r->top = field_int(body, "logprobs", 0, MOST_TOP, 0, p);
    r->score = given(body, "logprobs") != NULL;
    g->echo = field_flag(body, "echo", false, p);
    r->score_prompt = g->echo && r->score;
    if (r->score_prompt && g->job.state) refuse(p, 400, "state", "echo with logprobs scores the whole prompt, which has to be read: leave out state");
    if (given(body, "suffix") && json_string_length(given(body, "suffix"))) refuse(p, 400, "suffix", "suffix is not supported: the models continue texts at their end");
}

void api_completions(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    generation *g = generation_read(s, x, body, &completions, USUAL_TOKENS, &p);
    if (g) read_scores(g, body, &p);
    if (g && !p.status) add_prompts(g, body, &p);
    if (g) generation_submit(s, g, &p);
    else exchange_refuse(x, &p);
}

const char *const completions_keys[] = { GENERATION_KEYS, "prompt", "suffix", "echo", NULL };
