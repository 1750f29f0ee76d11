/* Many texts at once: as many are written together as the engine has slots, and a text that ends gives its slot to
 * the next one at once.  Each pass reads a token of every text that is being written and fills up with tokens of
 * prompts, so that nobody waits for a long prompt.  What all prompts begin with is read once.
 * Invariant: a text depends on its own prompt and options only, bit for bit. */
#include "base/sized.h"
#include "infer/engine.h"
#include "infer/generation.h"
#include "infer/sampler.h"
#include <stdlib.h>
#include <string.h>

enum { WORTH_SHARING = 16 };            /* tokens at the beginning of all prompts */

/* A text in a slot. */
typedef struct {
    bool busy;
    size_t index;                       /* of the text */
    lithe_generation how;
    lithe_sampling sampling;
    text_stream stream;
    int32_t *ids; size_t count, room;   /* the prompt and what was written after it */
    size_t prompt, read;                /* ids of the prompt; ids that the slot has read */
    size_t feed;                        /* ids that it reads in the present step */
} seat;

typedef struct {
    lithe_engine *engine;
    const lithe_tokenizer *tokenizer;
    const lithe_continuation *texts; size_t count, next;
    int slots;
    seat *seats;                        /* (slots) */
    lithe_engine_input *inputs;         /* (slots) */
    float *logits;                      /* (slots, vocab) */
    sampler sampler;
    slot_snapshot *beginning; size_t shared;            /* the states after the `shared` ids with which all begin */
    int (*give)(void *context, const lithe_piece *piece);
    void *context;
    bool cancelled;
} generator;

/* ---- opening ------------------------------------------------------------------------------ */

/* Copies the options of a text and checks them. */
static int read_options(const lithe_continuation *x, lithe_generation *how, lithe_sampling *sampling, lithe_error *err)
{
    int status = options_read(how, sizeof *how, x->how, "lithe_generation", err);
    if (!status && how->go_on) status = fail(err, LITHE_EINVAL, "go_on is for sessions: a text of many begins with its prompt");
    return status ? status : sampling_read(sampling, how->sampling, err);
}

static int check_texts(const generator *g, lithe_error *err)
{
    const lithe_model *m = engine_model(g->engine);
    size_t context = (size_t)lithe_engine_context(g->engine);
    lithe_error why = { 0 };
    for (size_t i = 0; i < g->count; i++) {
        const lithe_continuation *x = &g->texts[i];
        lithe_generation how;
        lithe_sampling sampling;
        if (!x->n) fail(&why, LITHE_EINVAL, "nothing to continue: give at least one token of text");
        else if (context && x->n > context) fail(&why, LITHE_EFULL, "the prompt is %zu tokens long, the context holds %zu", x->n, context);
        else if (!check_ids(m, x->ids, x->n, &why)) read_options(x, &how, &sampling, &why);
        if (why.status) return fail(err, why.status, "text %zu of %zu: %s", i + 1, g->count, why.text);
    }
    return LITHE_OK;
}

/* The number of ids that all texts begin with, and after which each goes on. */
static size_t common_beginning(const lithe_continuation *texts, size_t count)
{
    size_t common = count > 1 ? texts[0].n - 1 : 0;
    for (size_t i = 1; i < count; i++) {
        size_t k = 0;
        while (k < common && k + 1 < texts[i].n && texts[i].ids[k] == texts[0].ids[k]) k++;
        common = k;
    }
    return common >= WORTH_SHARING ? common : 0;
}

static int read_beginning(generator *g, lithe_error *err)
{
    if (!(g->shared = common_beginning(g->texts, g->count))) return LITHE_OK;
    lithe_engine_clear(g->engine, 0);
    int status = lithe_engine_step(g->engine, &(lithe_engine_input){ .ids = g->texts[0].ids, .n = g->shared }, 1, err);
    if (!status && !(g->beginning = engine_snapshot(g->engine, 0))) status = fail(err, LITHE_ENOMEM, "not enough memory for what %zu prompts begin with", g->count);
    return status;
}

static int generator_open(generator *g, lithe_error *err)
{
    size_t slots = (size_t)lithe_engine_slots(g->engine), vocab = (size_t)lithe_model_vocab(engine_model(g->engine));
    if (!slots) return fail(err, LITHE_EINVAL, "the engine reads whole sequences: it has no slots");
    int status = check_texts(g, err);
    if (status) return status;
    g->slots = (int)slots;
    g->seats = xalloc(slots, sizeof *g->seats);
    g->inputs = xalloc(slots, sizeof *g->inputs);
    g->logits = xalloc(slots, vocab * sizeof *g->logits);
    if (!g->seats || !g->inputs || !g->logits) return fail(err, LITHE_ENOMEM, "not enough memory for %zu texts at once", slots);
    if (sampler_open(&g->sampler, (int)vocab, err)) return LITHE_ENOMEM;
    return read_beginning(g, err);
}

static void leave_seat(seat *s)
{
    text_stream_close(&s->stream);
    free(s->ids);
    *s = (seat){ 0 };
}

static void generator_close(generator *g)
{
    for (int i = 0; i < g->slots && g->seats; i++) {
        leave_seat(&g->seats[i]);
        lithe_engine_clear(g->engine, i);
    }
    free(g->seats);
    free(g->inputs);
    free(g->logits);
    free(g->beginning);
    sampler_close(&g->sampler);
}

/* ---- texts in slots ------------------------------------------------------------------------- */

static int make_room(seat *s, size_t wanted, lithe_error *err)
{
    if (wanted <= s->room) return LITHE_OK;
    int32_t *ids = xrealloc(s->ids, wanted + wanted / 2, sizeof *ids);
    if (!ids) return fail(err, LITHE_ENOMEM, "not enough memory for a text of %zu tokens", wanted);
    s->ids = ids;
    s->room = wanted + wanted / 2;
    return LITHE_OK;
}

/* Begins the next text in a slot. */
static int take_seat(generator *g, int slot, lithe_error *err)
{
    seat *s = &g->seats[slot];
    const lithe_continuation *x = &g->texts[g->next];
    *s = (seat){ .busy = true, .index = g->next++, .count = x->n, .prompt = x->n, .read = g->shared };
    int status = read_options(x, &s->how, &s->sampling, err);
    if (!status) status = make_room(s, x->n + 1, err);
    if (status) return status;
    memcpy(s->ids, x->ids, x->n * sizeof *x->ids);
    text_stream_open(&s->stream, g->tokenizer, x->ids[x->n - 1], s->how.stop, s->how.stops);
    if (g->beginning) engine_restore(g->engine, slot, g->beginning);
    else lithe_engine_clear(g->engine, slot);
    return LITHE_OK;
}

static int take_free_seats(generator *g, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < g->slots && g->next < g->count && !status; i++)
        if (!g->seats[i].busy) status = take_seat(g, i, err);
    return status;
}

static void hand_on(generator *g, const seat *s, shown_text text, ending end)
{
    if (!text.n && end == GOES_ON) return;
    const lithe_piece piece = { .index = s->index, .text = text.bytes, .n = text.n, .reason = ending_name(end), .tokens = s->count - s->prompt };
    if (g->give && g->give(g->context, &piece)) g->cancelled = true;
}

/* Chooses the next id of a text from its logits; when that ends the text, its slot is free. */
static int write_on(generator *g, seat *s, const float *logits, lithe_error *err)
{
    int32_t id;
    shown_text text, rest;
    const lithe_model *m = engine_model(g->engine);
    int context = lithe_engine_context(g->engine);
    int status = sampler_next(&g->sampler, logits, s->ids, s->count, s->count, &s->sampling, &id, err);
    if (status) return status;
    ending end = text_take(&s->stream, m, &s->how, id, context && s->count == (size_t)context, &text, err);
    if (end == FAILED || make_room(s, s->count + 1, err)) return LITHE_ENOMEM;
    if (end == GOES_ON || end == FULL) s->ids[s->count++] = id;
    if (end == GOES_ON && s->how.max_tokens > 0 && s->count - s->prompt == (size_t)s->how.max_tokens) end = LENGTH;
    hand_on(g, s, text, GOES_ON);
    if (end == GOES_ON) return LITHE_OK;
    if (text_stream_end(&s->stream, &rest, err)) return LITHE_ENOMEM;
    hand_on(g, s, rest, end);
    leave_seat(s);
    return LITHE_OK;
}

/* ---- steps -------------------------------------------------------------------------------------- */

/* Texts that are being written read their token; the rows that are left are for prompts. */
static void share_rows(generator *g)
{
    size_t rows = (size_t)engine_rows(g->engine);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < g->slots; i++) {
            seat *s = &g->seats[i];
            size_t left = s->count - s->read;
            if (!s->busy || (left == 1) != (round == 0)) continue;
            s->feed = left < rows ? left : rows;
            rows -= s->feed;
        }
}

/* One pass of the engine, and the next id of each text that has read all of its own. */
static int run_step(generator *g, lithe_error *err)
{
    size_t count = 0, vocab = (size_t)lithe_model_vocab(engine_model(g->engine));
    share_rows(g);
    for (int i = 0; i < g->slots; i++) {
        seat *s = &g->seats[i];
        if (!s->busy || !s->feed) continue;
        g->inputs[count++] = (lithe_engine_input){ .slot = i, .ids = s->ids + s->read, .n = s->feed, .logits = g->logits + (size_t)i * vocab,
                                                   .wanted = s->read + s->feed == s->count };
    }
    int status = lithe_engine_step(g->engine, g->inputs, count, err);
    for (size_t i = 0; i < count && !status && !g->cancelled; i++) {
        seat *s = &g->seats[g->inputs[i].slot];
        s->read += s->feed;
        s->feed = 0;
        if (s->read == s->count) status = write_on(g, s, g->inputs[i].logits, err);
    }
    return status;
}

static bool any_busy(const generator *g)
{
    for (int i = 0; i < g->slots; i++) if (g->seats[i].busy) return true;
    return false;
}

int lithe_generate_batch(lithe_engine *e, const lithe_tokenizer *t, const lithe_continuation *texts, size_t count,
                         int (*give)(void *context, const lithe_piece *piece), void *context, lithe_error *err)
{
    if (!e || !t) return fail(err, LITHE_EINVAL, "there is no %s", e ? "tokenizer" : "engine");
    if (failed(err)) return err->status;
    if (count && !texts) return fail(err, LITHE_EINVAL, "there is no array of the %zu texts", count);
    if (lithe_model_fits(engine_model(e), t, err)) return err ? (int)err->status : LITHE_EINVAL;
    generator g = { .engine = e, .tokenizer = t, .texts = texts, .count = count, .give = give, .context = context };
    int status = generator_open(&g, err);
    for (bool more = count > 0; more && !status && !g.cancelled; more = any_busy(&g) || g.next < count) {
        status = take_free_seats(&g, err);
        if (!status) status = run_step(&g, err);
    }
    generator_close(&g);
    return status;
}
