/* Scored tokens in the two forms of OpenAI's interface. */
#include "base/utf8.h"
#include "serve/text_request.h"
#include <stdlib.h>
#include <string.h>

/* ---- the text of a token ------------------------------------------------------------- */

/* The text that id adds after the token `before` (-1: none), to be freed. */
static char *token_text(const lithe_tokenizer *t, int32_t before, int32_t id, size_t *n)
{
    int32_t pair[2] = { before, id }, *ids = before < 0 ? pair + 1 : pair;
    size_t count = before < 0 ? 1 : 2, skip = before < 0 ? 0 : lithe_decode(t, pair, 1, NULL, 0), whole = lithe_decode(t, ids, count, NULL, 0);
    char *text = malloc(whole + 1);
    if (!text) return NULL;
    lithe_decode(t, ids, count, text, whole);
    if (skip > whole) skip = whole;
    memmove(text, text + skip, whole - skip);
    *n = whole - skip;
    return text;
}

/* A token that is no whole text, or has a NUL, is written as OpenAI does, "bytes:\xe2\x80". */
static json_t *shown_token(const char *text, size_t n)
{
    if (utf8_valid(text, n) == n && !memchr(text, 0, n)) return json_stringn(text, n);
    char *bytes = malloc(6 + 4 * n + 1), *to = bytes;
    if (!bytes) return NULL;
    to += sprintf(to, "bytes:");
    for (size_t i = 0; i < n; i++) to += sprintf(to, "\\x%02x", (unsigned char)text[i]);
    json_t *shown = json_string(bytes);
    free(bytes);
    return shown;
}

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* The scores of sequence q: the id that was scored, the one before it, and whether it has a score at all. */
static int32_t id_before(const sequence *q, size_t i) { return q->score_first + i ? q->ids[q->score_first + i - 1] : -1; }
static bool    has_score(const sequence *q, size_t i) { return q->score_first + i > 0; }

/* ---- completions ------------------------------------------------------------------------ */

/* Two tokens of the same text are one key, which keeps the larger value. */
static void add_alternative(json_t *all, json_t *key, scored_id x)
{
    const char *name = json_string_value(key);
    const json_t *there = name ? json_object_get(all, name) : NULL;
    if (name && (!there || json_real_value(there) < (double)x.logprob)) json_object_set_new_nocheck(all, name, json_real((double)x.logprob));
    json_decref(key);
}

static json_t *token_of(const generation *g, const sequence *q, size_t i, int32_t id)
{
    size_t n = 0;
    char *text = token_text(g->job.model->runner, id_before(q, i), id, &n);
    json_t *shown = text ? shown_token(text, n) : NULL;
    free(text);
    return shown;
}

static json_t *alternatives(const generation *g, const sequence *q, size_t i)
{
    if (!has_score(q, i)) return json_null();
    json_t *all = json_object();
    for (int k = 0; k < g->rules.top; k++) {
        scored_id x = q->top[i * (size_t)g->rules.top + (size_t)k];
        if (x.id >= 0) add_alternative(all, token_of(g, q, i, x.id), x);
    }
    add_alternative(all, token_of(g, q, i, q->scores[i].id), q->scores[i]);
    return all;
}

json_t *logprob_lists(const generation *g, const sequence *q, size_t from, size_t to, size_t *chars)
{
    json_t *tokens = json_array(), *values = json_array(), *tops = json_array(), *offsets = json_array();
    for (size_t i = from; i < to; i++) {
        size_t n = 0;
        char *text = token_text(g->job.model->runner, id_before(q, i), q->scores[i].id, &n);
        json_array_append_new(tokens, text ? shown_token(text, n) : json_null());
        json_array_append_new(values, has_score(q, i) ? json_real((double)q->scores[i].logprob) : json_null());
        json_array_append_new(tops, alternatives(g, q, i));
        json_array_append_new(offsets, json_integer((json_int_t)*chars));
        if (text) *chars += characters(text, n);
        free(text);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", values, "top_logprobs", tops, "text_offset", offsets);
}

/* ---- chats --------------------------------------------------------------------------------- */

static json_t *record(const generation *g, const sequence *q, size_t i, scored_id x)
{
    size_t n = 0;
    json_t *bytes = json_array();
    char *text = token_text(g->job.model->runner, id_before(q, i), x.id, &n);
    for (size_t k = 0; text && k < n; k++) json_array_append_new(bytes, json_integer((unsigned char)text[k]));
    json_t *all = json_pack("{s:o, s:f, s:o}", "token", json_shown(text ? text : "", n), "logprob", (double)x.logprob, "bytes", bytes);
    free(text);
    return all;
}

json_t *logprob_records(const generation *g, const sequence *q, size_t from, size_t to)
{
    json_t *all = json_array();
    for (size_t i = from; i < to; i++) {
        json_t *own = record(g, q, i, q->scores[i]), *tops = json_array();
        for (int k = 0; k < g->rules.top; k++) {
            scored_id x = q->top[i * (size_t)g->rules.top + (size_t)k];
            if (x.id >= 0) json_array_append_new(tops, record(g, q, i, x));
        }
        json_object_set_new(own, "top_logprobs", tops);
        json_array_append_new(all, own);
    }
    return all;
}
