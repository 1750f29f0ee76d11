#include "serve/sequence.h"
#include "base/arena.h"
#include "base/random.h"
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

/* ---- memory ----------------------------------------------------------------------- */

bool sequence_open(sequence *q, const generation_rules *rules, int index, int32_t *ids, size_t n, const lithe_tokenizer *t)
{
    *q = (sequence){ .rules = rules, .index = index, .ids = ids, .prompt = n, .count = n, .room = n };
    q->score_first = rules->score_prompt ? 0 : n;
    text_stream_open(&q->stream, t, n ? ids[n - 1] : -1, (const char *const *)rules->stop, rules->stops);
    return ids != NULL;
}

void sequence_close(sequence *q)
{
    free(q->ids);
    free(q->scores);
    free(q->top);
    free(q->text.bytes);
    text_stream_close(&q->stream);
}

void rules_close(generation_rules *r)
{
    for (int i = 0; i < r->stops; i++) free(r->stop[i]);
    free(r->stop);
    free(r->bias);
}

int chooser_open(chooser *c, const lithe_model *m, const lithe_tokenizer *t, int context, lithe_error *err)
{
    *c = (chooser){ .model = m, .tokenizer = t, .vocab = lithe_model_vocab(m), .context = context };
    if (sampler_open(&c->sampler, c->vocab, err)) return LITHE_ENOMEM;
    c->adjusted = xalloc((size_t)c->vocab, sizeof *c->adjusted);
    c->seen = xalloc((size_t)c->vocab, 1);
    return c->adjusted && c->seen ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to choose among %d tokens", c->vocab);
}

void chooser_close(chooser *c)
{
    sampler_close(&c->sampler);
    free(c->adjusted);
    free(c->seen);
}

/* ---- log-probabilities --------------------------------------------------------------- */

/* Room for the scores of one id more. */
static bool reserve_score(sequence *q)
{
    size_t top = (size_t)q->rules->top, room = q->scored + q->scored / 2 + 32;
    if (q->scored < q->score_room) return true;
    scored_id *scores = xrealloc(q->scores, room, sizeof *scores);
    if (scores) q->scores = scores;
    scored_id *more = top && scores ? xrealloc(q->top, room * top, sizeof *more) : NULL;
    if (more) q->top = more;
    if (!scores || (top && !more)) return false;
    q->score_room = room;
    return true;
}

static bool add_score(sequence *q, int32_t id, const float *logits, int vocab)
{
    if (!reserve_score(q)) return false;
    int top = q->rules->top;
    scored_id *beside = top ? q->top + q->scored * (size_t)top : NULL;
    q->scores[q->scored] = (scored_id){ id, logits ? logprob_of(logits, vocab, id, beside, top) : 0 };
    q->scored++;
    return true;
}

bool sequence_score(sequence *q, size_t at, const float *logits, int vocab) { return add_score(q, q->ids[at], at ? logits : NULL, vocab); }

/* ---- choosing -------------------------------------------------------------------------- */

static bool adjusts(const generation_rules *r)
{
    return r->biases || r->presence > 0 || r->presence < 0 || r->frequency > 0 || r->frequency < 0;
}

static const float *adjust(const sequence *q, const chooser *c, const float *logits)
{
    const generation_rules *r = q->rules;
    if (!adjusts(r)) return logits;
    memcpy(c->adjusted, logits, (size_t)c->vocab * sizeof *logits);
    for (int i = 0; i < r->biases; i++) c->adjusted[r->bias[i].id] += r->bias[i].value;
    for (size_t i = q->prompt; i < q->count; i++) {
        int32_t id = q->ids[i];
        c->adjusted[id] -= r->frequency + (c->seen[id] ? 0 : r->presence);
        c->seen[id] = 1;
    }
    for (size_t i = q->prompt; i < q->count; i++) c->seen[q->ids[i]] = 0;
    return c->adjusted;
}

static bool add_id(sequence *q, int32_t id)
{
    if (q->count == q->room) {
        size_t room = q->room + q->room / 2 + 32;
        int32_t *ids = xrealloc(q->ids, room, sizeof *ids);
        if (!ids) return false;
        q->ids = ids;
        q->room = room;
    }
    q->ids[q->count++] = id;
    return true;
}

static int show(sequence *q, shown_text shown, lithe_error *err)
{
    text_append(&q->text, shown.bytes ? shown.bytes : "", shown.n);
    return q->text.failed ? fail(err, LITHE_ENOMEM, "not enough memory for a text of %zu bytes", q->text.n) : LITHE_OK;
}

int sequence_end(sequence *q, const char *reason, lithe_error *err)
{
    shown_text rest;
    q->phase = SEQUENCE_ENDED;
    q->reason = reason;
    int status = text_stream_end(&q->stream, &rest, err);
    return status ? status : show(q, rest, err);
}

/* The first choice draws as `lithe generate` with that seed does, and each other one for itself. */
static uint64_t seed_of(const sequence *q)
{
    uint64_t seed = q->rules->sampling.seed;
    return q->index ? key_of(seed, (uint64_t)q->index) : seed;
}

int sequence_choose(sequence *q, chooser *c, const float *logits, lithe_error *err)
{
    int32_t id;
    shown_text shown;
    const generation_rules *r = q->rules;
    lithe_sampling how = r->sampling;
    q->phase = SEQUENCE_WRITES;
    how.seed = seed_of(q);
    if (q->count - q->prompt >= (size_t)r->max_tokens) return sequence_end(q, "length", err);
    int status = sampler_next(&c->sampler, adjust(q, c, logits), q->ids, q->count, q->count, &how, &id, err);
    if (status) return status;
    if (!add_id(q, id) || (r->score && !add_score(q, id, logits, c->vocab))) return fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", q->count);
    q->ended_by_token = !r->ignore_eos && ((r->has_end && id == r->end) || model_ends_text(c->model, c->tokenizer, id));
    if (q->ended_by_token) return sequence_end(q, "stop", err);
    if ((status = text_stream_add(&q->stream, id, &shown, err)) || (status = show(q, shown, err))) return status;
    if (q->stream.stopped) return sequence_end(q, "stop", err);
    bool full = c->context && q->count > (size_t)c->context;
    return full || q->count - q->prompt >= (size_t)r->max_tokens ? sequence_end(q, "length", err) : LITHE_OK;
}
