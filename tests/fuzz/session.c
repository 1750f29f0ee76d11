/* libFuzzer: the life of sessions and of an engine.  The first two bytes choose the
 * architecture and whether the tokenizer is the model's, then each byte is a call of the public
 * interface, whose arguments are the bytes after it: any slot, context, count and number.
 *
 * Beside each session and slot stand the ids that it must have read.  A call that fails
 * changes nothing, and at the end the logits of each are those of an empty session
 * that reads the same ids at once, bit for bit. */
#include "edits.h"
#include "base/writer.h"
#include "models.h"
#include "scratch.h"
#include <assert.h>
#include <limits.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SESSIONS = 2, SLOTS = 3, STATES = 2, MOST_IDS = 64, CALLS = 48, MOST_ARCHS = 32, TEXT = 64 };

/* What was read; known: these are all of them. */
typedef struct { int32_t ids[MOST_IDS]; size_t n; bool known; } history;

typedef struct {
    lithe_model *m;
    lithe_session *at_once;              /* reads a whole history */
    lithe_tokenizer *t;
    lithe_session *session[SESSIONS];
    history read[SESSIONS], saved[STATES], slot[SLOTS];
    lithe_engine *engine;
    int slots;
    char path[STATES][SCRATCH_PATH];
    fuzz_bytes input;
} world;

static lithe_model *models[MOST_ARCHS];
static lithe_session *sessions[MOST_ARCHS];
static int archs;

/* ---- arguments ---------------------------------------------------------------------------------- */

static int any_int(world *w)
{
    static const int numbers[] = { INT_MIN, -1, 0, 1, 2, 3, FUZZ_CONTEXT - 1, FUZZ_CONTEXT, FUZZ_CONTEXT + 1, 1000, INT_MAX };
    return numbers[take_byte(&w->input) % (sizeof numbers / sizeof *numbers)];
}

static float any_float(world *w)
{
    static const float numbers[] = { 0, 1, -1, 0.5f, 0.9f, 1e-30f, 1e30f, -0.0f, 1.5f };
    unsigned which = take_byte(&w->input) % 12;
    return which == 9 ? NAN : which == 10 ? INFINITY : which == 11 ? -INFINITY : numbers[which];
}

/* Mostly ids of the vocabulary. */
static size_t any_ids(world *w, int32_t ids[MOST_IDS])
{
    size_t n = take_byte(&w->input) % 24;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = take_byte(&w->input);
        ids[i] = byte < 250 ? (int32_t)(byte % FUZZ_VOCAB) : any_int(w);
    }
    return n;
}

static lithe_error *fresh(lithe_error *err) { *err = (lithe_error){ 0 }; return err; }

/* ---- histories ------------------------------------------------------------------------------------- */

static void add_ids(history *h, const int32_t *ids, size_t n)
{
    h->known = h->known && h->n + n <= MOST_IDS;
    if (h->known && n) memcpy(h->ids + h->n, ids, n * sizeof *ids);
    h->n += n;
}

static void check_length(const lithe_session *s, const history *h) { assert(lithe_session_length(s) == (s ? h->n : 0)); }

static void check_logits(const world *w, const float *logits, const history *h)
{
    lithe_error err = { 0 };
    if (!logits || !h->known || !h->n) return;
    assert(!lithe_session_sync(w->at_once, NULL, 0, &err) && !lithe_session_length(w->at_once));
    assert(!lithe_session_sync(w->at_once, h->ids, h->n, &err));
    assert(!memcmp(logits, lithe_session_logits(w->at_once), FUZZ_VOCAB * sizeof *logits));
}

/* ---- sessions -------------------------------------------------------------------------------------- */

static void session_open(world *w, int i)
{
    lithe_error err = { 0 };
    lithe_session_close(w->session[i]);
    w->session[i] = lithe_session_open(w->m, any_int(w) % 100000, &err);
    assert(!w->session[i] == (err.status != LITHE_OK));
    w->read[i] = (history){ .known = true };
}

static void session_push(world *w, int i)
{
    lithe_error err = { 0 };
    int32_t id = (int32_t)take_byte(&w->input) % (FUZZ_VOCAB + 1);
    if (!lithe_session_push(w->session[i], id, &err)) add_ids(&w->read[i], &id, 1);
}

static void session_extend(world *w, int i)
{
    lithe_error err = { 0 };
    int32_t ids[MOST_IDS];
    size_t n = any_ids(w, ids);
    if (!lithe_session_extend(w->session[i], n ? ids : NULL, n, &err)) add_ids(&w->read[i], ids, n);
}

/* Another text, or the first ids of the present one and some more. */
static void session_sync(world *w, int i)
{
    lithe_error err = { 0 };
    history next = { .known = true };
    int32_t ids[MOST_IDS];
    size_t keep = take_byte(&w->input) % 24, n = any_ids(w, ids);
    if (w->read[i].known) add_ids(&next, w->read[i].ids, keep < w->read[i].n ? keep : w->read[i].n);
    add_ids(&next, ids, n);
    if (next.known && !lithe_session_sync(w->session[i], next.ids, next.n, &err)) w->read[i] = next;
}

static void session_mark_now(world *w, int i)
{
    lithe_error err = { 0 };
    lithe_session_mark(w->session[i], &err);
}

static void session_save(world *w, int i)
{
    lithe_error err = { 0 };
    unsigned byte = take_byte(&w->input);
    int k = (int)(byte % STATES);
    if (!lithe_session_save(w->session[i], byte & 4 ? w->t : NULL, byte & 8 ? w->path[k] : "", &err)) w->saved[k] = w->read[i];
}

static void session_load(world *w, int i)
{
    lithe_error err = { 0 };
    unsigned byte = take_byte(&w->input);
    int k = (int)(byte % STATES);
    if (!lithe_session_load(w->session[i], byte & 4 ? w->t : NULL, w->path[k], &err)) w->read[i] = w->saved[k];
}

/* A byte of a saved session becomes another: what still loads has read nobody knows what. */
static void damage(world *w, int i)
{
    int k = i % STATES;
    size_t size;
    char *bytes = file_read(w->path[k], 1 << 20, &size, NULL);
    if (!bytes || !size) { free(bytes); return; }
    bytes[(take_byte(&w->input) * 256 + take_byte(&w->input)) % size] = (char)take_byte(&w->input);
    if (file_write(w->path[k], bytes, size, NULL)) abort();
    w->saved[k].known = false;
    free(bytes);
}

static lithe_sampling any_sampling(world *w)
{
    return LITHE_OPTIONS(lithe_sampling, .temperature = any_float(w), .top_p = any_float(w), .min_p = any_float(w), .repetition = any_float(w), .top_k = any_int(w), .seed = take_byte(&w->input));
}

static void session_sample(world *w, int i)
{
    lithe_error err = { 0 };
    lithe_sampling o = any_sampling(w);
    int32_t id = lithe_session_sample(w->session[i], &o, &err);
    assert(id < FUZZ_VOCAB && (id >= 0 || err.status || !w->session[i]));
}

static int give(void *context, const char *text, size_t n)
{
    int *left = context;
    assert(n && text);
    return --*left < 0;
}

/* Reads ids that only the session knows. */
static void generate(world *w, int i)
{
    static const char *const stops[] = { "the", "", "cat sat" };
    lithe_error err = { 0 };
    lithe_sampling how = any_sampling(w);
    unsigned byte = take_byte(&w->input);
    int32_t ids[MOST_IDS];
    int most = any_int(w), left = (int)(byte % 8);
    if (most < 1 && !lithe_session_context(w->session[i])) most = 5;         /* it would never end */
    if (most > 20) most = 20;
    size_t n = any_ids(w, ids);
    const lithe_generation o = LITHE_OPTIONS(lithe_generation, .sampling = byte & 8 ? &how : NULL, .max_tokens = most, .stop = stops, .stops = (int)(byte % 4), .ignore_eos = byte & 16, .go_on = byte & 32);
    const char *reason = "";
    int status = lithe_generate(w->session[i], w->t, ids, n, &o, byte & 64 ? give : NULL, &left, &reason, &err);
    assert(status || (reason && *reason));
    if (w->session[i]) w->read[i] = (history){ .n = lithe_session_length(w->session[i]) };
}

/* ---- the engine -------------------------------------------------------------------------------------- */

static void engine_open(world *w, int i)
{
    lithe_error err = { 0 };
    const lithe_engine_options o = { .size = i ? sizeof o : (size_t)any_int(w), .slots = (int)(take_byte(&w->input) % (SLOTS + 2)) - 1, .context = any_int(w) % 100000 };
    lithe_engine_close(w->engine);
    w->engine = NULL;
    if (o.size > sizeof o) return;                                             /* a size that does not lie */
    w->engine = lithe_engine_open(w->m, &o, &err);
    w->slots = lithe_engine_slots(w->engine);
    for (int k = 0; k < SLOTS; k++) w->slot[k] = (history){ .known = true };
}

static void engine_step(world *w, int i)
{
    lithe_error err = { 0 };
    int32_t ids[SLOTS][MOST_IDS];
    static float logits[SLOTS][MOST_IDS * FUZZ_VOCAB];
    lithe_engine_input in[SLOTS] = { { 0 } };
    size_t count = (size_t)i + 1 < SLOTS ? (size_t)i + 1 : SLOTS;
    for (size_t k = 0; k < count; k++) {
        unsigned byte = take_byte(&w->input);
        in[k] = (lithe_engine_input){ .slot = byte < 250 ? (int)(byte % SLOTS) : any_int(w), .ids = ids[k], .n = any_ids(w, ids[k]), .logits = byte & 32 ? NULL : logits[k] };
        in[k].wanted = byte & 64 ? in[k].n : byte & 128 ? in[k].n > 0 : (size_t)any_int(w);
    }
    if (lithe_engine_step(w->engine, in, count, &err)) return;
    for (size_t k = 0; k < count; k++) {
        history *h = &w->slot[in[k].slot];
        add_ids(h, in[k].ids, in[k].n);
        if (in[k].wanted) check_logits(w, logits[k] + (in[k].wanted - 1) * FUZZ_VOCAB, h);
    }
}

static void engine_fork(world *w, int i)
{
    lithe_error err = { 0 };
    int from = i, to = any_int(w);
    if (!lithe_engine_fork(w->engine, from, to, &err)) w->slot[to] = w->slot[from];
}

static void engine_clear(world *w, int i)
{
    int at = i ? any_int(w) : i;
    lithe_engine_clear(w->engine, at);
    if (at >= 0 && at < w->slots) w->slot[at] = (history){ .known = true };
}

static void check_slots(const world *w)
{
    for (int k = 0; k < w->slots; k++) assert(lithe_engine_length(w->engine, k) == w->slot[k].n);
    assert(!lithe_engine_length(w->engine, -1) && !lithe_engine_length(w->engine, INT_MAX));
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static void logits_and_score(world *w, int i)
{
    lithe_error err = { 0 };
    int32_t ids[MOST_IDS];
    float out[MOST_IDS * FUZZ_VOCAB], nll[MOST_IDS];
    double total = 0;
    size_t n = any_ids(w, ids);
    if (i) lithe_logits(w->m, ids, n, out, &err);
    else if (!lithe_score(w->m, ids, n, any_int(w), any_int(w), nll, &total, &err)) assert(total >= 0);
}

/* Each call with nothing to work on. */
static void nothing(world *w, int i)
{
    lithe_error err = { 0 };
    int32_t id = 1;
    lithe_session_push(NULL, 1, fresh(&err));
    lithe_session_extend(NULL, &id, 1, fresh(&err));
    lithe_session_sync(NULL, &id, 1, fresh(&err));
    lithe_session_mark(NULL, fresh(&err));
    lithe_session_sample(NULL, NULL, fresh(&err));
    lithe_session_save(i ? w->session[0] : NULL, w->t, NULL, fresh(&err));
    lithe_session_load(NULL, w->t, w->path[0], fresh(&err));
    lithe_generate(NULL, w->t, &id, 1, NULL, NULL, NULL, NULL, fresh(&err));
    lithe_generate(w->session[0], NULL, &id, 1, NULL, NULL, NULL, NULL, fresh(&err));
    lithe_engine_step(NULL, NULL, 0, fresh(&err));
    lithe_engine_step(w->engine, NULL, 0, NULL);
    lithe_engine_fork(NULL, 0, 0, fresh(&err));
    lithe_engine_clear(NULL, 0);
    assert(!lithe_session_open(NULL, 0, fresh(&err)) && !lithe_engine_open(NULL, NULL, fresh(&err)) && !lithe_session_length(NULL) && !lithe_session_logits(NULL));
    /* Which does nothing. */
    if (!i) lithe_session_push(w->session[0], 1, &(lithe_error){ LITHE_EIO, "a failure before" });
}

typedef void call(world *w, int i);
static call *const calls[] = {
    session_push, session_extend, session_sync, session_sync, session_mark_now, session_sample, session_save, session_load, damage, generate, session_open,
    engine_step, engine_step, engine_fork, engine_clear, engine_open, logits_and_score, nothing,
};

/* ---- one input ------------------------------------------------------------------------------------------- */

/* Every architecture that continues text. */
static void open_models(void)
{
    for (int i = 0; architectures[i] && archs < MOST_ARCHS; i++) {
        lithe_error err = { 0 };
        lithe_model *m = fuzz_model(architectures[i]);
        lithe_session *s = lithe_session_open(m, 0, &err);
        if (!s) { lithe_model_close(m); continue; }
        models[archs] = m;
        sessions[archs++] = s;
    }
}

static void begin(world *w)
{
    if (!archs) open_models();
    unsigned which = take_byte(&w->input) % (unsigned)archs;
    w->m = models[which];
    w->at_once = sessions[which];
    w->t = take_byte(&w->input) % 8 == 7 ? tokenizer_bytes(NULL) : fuzz_words();
    for (int k = 0; k < STATES; k++) {
        unlink(scratch_path(w->path[k], k ? "second" : "first"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w;
    w = (world){ .input = { data, size } };
    lithe_threads(1);
    begin(&w);
    session_open(&w, 0);
    for (int n = 0; n < CALLS && w.input.size; n++) {
        unsigned byte = take_byte(&w.input);
        int i = (int)(byte / 128) % SESSIONS;
        calls[byte % 128 % (sizeof calls / sizeof *calls)](&w, i);
        check_length(w.session[i], &w.read[i]);
        if (w.engine) check_slots(&w);
    }
    for (int i = 0; i < SESSIONS; i++) {
        check_logits(&w, lithe_session_logits(w.session[i]), &w.read[i]);
        lithe_session_close(w.session[i]);
    }
    lithe_engine_close(w.engine);
    lithe_tokenizer_close(w.t);
    return 0;
}
