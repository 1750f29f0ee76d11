#include "serve/texts.h"
#include "base/arena.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXTS = 4096 };

static void texts_close(job *j)
{
    texts *w = (texts *)j;
    for (size_t i = 0; i < w->count && w->found; i++) free(w->found[i]);
    free(w->found);
    free(w->masks);
    free(w->text);
    free(w->ids);
    free(w->start);
    free(w->pair);
    free(w->tokens);
    free(w->values);
    json_decref(w->body);
    free(w);
}

/* ---- the scheduler's side ------------------------------------------------------------- */

static size_t piece_of(const texts *w)
{
    size_t n = 1, tokens = w->tokens[w->done];
    while (w->done + n < w->count && tokens + w->tokens[w->done + n] <= PIECE_TOKENS) tokens += w->tokens[w->done + n++];
    return n;
}

static bool work(job *j)
{
    lithe_error err = { 0 };
    texts *w = (texts *)j;
    size_t n = piece_of(w), cut = 0;
    w->read(w, w->done, n, &cut, &err);
    if (err.status) refuse_error(&j->problem, NULL, &err);
    else if (cut && !w->truncate) refuse(&j->problem, 400, NULL, "a text is longer than the model reads; with \"truncate\": true its end is left out");
    w->done += n;
    return w->done < w->count;
}

static void finish(job *j)
{
    texts *w = (texts *)j;
    exchange_json(j->x, w->answer(w));
}

static const job_kind reads = { .finish = finish, .work = work, .close = texts_close };

/* ---- the request ------------------------------------------------------------------------ */

texts *texts_open(const site *s, exchange *x, const json_t *body, problem *p)
{
    served *m = served_find(s->models, s->count, body, p);
    texts *w = m ? xalloc(1, sizeof *w) : NULL;
    if (m && !w) refuse(p, 503, NULL, "not enough memory for the request");
    if (!w) return NULL;
    *w = (texts){ .job = { .kind = &reads, .model = m, .x = exchange_hold(x) }, .body = json_incref((json_t *)(uintptr_t)body) };
    w->truncate = field_flag(body, "truncate", false, p);
    return w;
}

static bool make_room(texts *w)
{
    if (w->count < w->room) return true;
    size_t room = 2 * w->room + 8;
    const char **text = xrealloc(w->text, room, sizeof *text);
    if (text) w->text = text;
    const char **pair = text ? xrealloc(w->pair, room, sizeof *pair) : NULL;
    if (pair) w->pair = pair;
    size_t *tokens = pair ? xrealloc(w->tokens, room, sizeof *tokens) : NULL;
    if (!tokens) return false;
    w->tokens = tokens;
    w->room = room;
    return true;
}

static const char *text_value(const json_t *text, const char *key, problem *p)
{
    const char *value = json_string_value(text);
    if (!value) refuse(p, 400, key, "%s must hold strings", key);
    else if (strlen(value) != json_string_length(text)) refuse(p, 400, key, "%s has a text with a NUL in it", key);
    return value ? value : "";
}

/* The next text has n tokens in all. */
static void add_length(texts *w, size_t n, size_t limit, const char *key, problem *p)
{
    if (!n) refuse(p, 400, key, "%s has an empty text", key);
    if (n > limit && !w->truncate) {
        p->code = "context_length_exceeded";
        refuse(p, 400, key, "a text has %zu tokens, and %s reads %zu; with \"truncate\": true its end is left out", n, w->job.model->name, limit);
    }
    if (n > limit) n = limit;
    w->tokens[w->count++] = n;
    w->total += n;
}

void texts_add(texts *w, const json_t *text, const json_t *pair, const char *key, size_t limit, problem *p)
{
    const char *a = text_value(text, key, p), *b = pair ? text_value(pair, key, p) : NULL;
    if (p->status) return;
    if (w->count == MOST_TEXTS) { refuse(p, 400, key, "%s has more than %d texts", key, MOST_TEXTS); return; }
    if (!make_room(w)) { refuse(p, 503, NULL, "not enough memory for %zu texts", w->count); return; }
    size_t n = lithe_encode_pair(w->job.model->reader, a, strlen(a), b, b ? strlen(b) : 0, 0, NULL, NULL, 0);
    w->text[w->count] = a;
    w->pair[w->count] = b;
    w->job.bytes += strlen(a) + (b ? strlen(b) : 0);
    add_length(w, n, limit, key, p);
}

static size_t count_ids(const json_t *lists)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(lists); i++) n += json_array_size(json_array_get(lists, i));
    return n;
}

static void add_list(texts *w, const json_t *list, size_t limit, const char *key, problem *p)
{
    size_t n = 0, at = w->start[w->count];
    if (!json_is_array(list)) refuse(p, 400, key, "%s must be a list of lists of token ids, or of strings", key);
    int32_t *ids = p->status ? NULL : field_ids(list, key, w->job.model->vocab, &n, p);
    if (!p->status && !make_room(w)) refuse(p, 503, NULL, "not enough memory for %zu texts", w->count);
    if (!p->status && !n) refuse(p, 400, key, "%s has an empty list", key);
    if (!p->status) {
        memcpy(w->ids + at, ids, n * sizeof *ids);
        w->start[w->count + 1] = at + n;
        add_length(w, lithe_join(w->job.model->reader, ids, n, NULL, 0, 0, NULL, NULL, 0), limit, key, p);
    }
    free(ids);
}

void texts_add_ids(texts *w, const json_t *lists, const char *key, size_t limit, problem *p)
{
    size_t count = json_array_size(lists), n = count_ids(lists);
    if (count > MOST_TEXTS) refuse(p, 400, key, "%s has more than %d texts", key, MOST_TEXTS);
    if (p->status) return;
    w->ids = xalloc(n + 1, sizeof *w->ids);
    w->start = xalloc(count + 1, sizeof *w->start);
    w->job.bytes += n * sizeof *w->ids;
    if (!w->ids || !w->start) refuse(p, 503, NULL, "not enough memory for %zu tokens", n);
    for (size_t i = 0; i < count && !p->status; i++) add_list(w, json_array_get(lists, i), limit, key, p);
}

/* Memory for the results. */
static void reserve(texts *w, problem *p)
{
    if (!w->count) refuse(p, 400, NULL, "there is no text in the request");
    if (p->status) return;
    if (w->width) w->values = xalloc(w->count, (size_t)w->width * sizeof *w->values);
    else {
        w->found = xalloc(w->count, sizeof *w->found);
        w->masks = xalloc(w->count, sizeof *w->masks);
    }
    if (!w->values && !(w->found && w->masks)) refuse(p, 503, NULL, "not enough memory for %zu texts", w->count);
}

void texts_submit(site *s, texts *w, problem *p)
{
    exchange *x = exchange_hold(w->job.x);
    x->prompt_tokens = w->total;
    reserve(w, p);
    if (p->status || !scheduler_submit(&s->scheduler, &w->job, p)) {
        exchange_refuse(x, p);
        texts_close(&w->job);
        exchange_release(x);
    }
    exchange_release(x);
}
