/* Many texts written together: each is, byte for byte, the one that a session writes of its prompt alone, whatever the
 * number of slots and the neighbours; files of prompts and what is refused in them. */
#include "infer/infer.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

#define OF_BYTES(rest) "{\"l2_wrap\":0,\"vocab_size\":256,\"max_position_embeddings\":160,\"hidden_size\":16," rest "}"
static const struct { const char *arch, *config; } MODELS[] = {
    { "llama", OF_BYTES("\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3") },
    { "rwkv7", OF_BYTES("\"head_dim\":4,\"num_hidden_layers\":2,\"intermediate_size\":20,\"decay_low_rank_dim\":3,\"a_low_rank_dim\":5,\"v_low_rank_dim\":2,\"gate_low_rank_dim\":6") },
    { "hybrid", OF_BYTES("\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":8,\"intermediate_size\":20,\"initializer_range\":0.3,\"mixer\":\"rwkv7,attention\"") },
};
enum { MODEL_COUNT = sizeof MODELS / sizeof *MODELS, TEXTS = 11, ROOM = 4096, LONGEST = 160 };

static lithe_model *model_of(int i)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(MODELS[i].arch, MODELS[i].config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, 3);
    return m;
}

/* ---- together as alone ------------------------------------------------------------------------ */

typedef struct { char text[ROOM]; size_t size; const char *reason; size_t tokens; } written;
typedef struct { int32_t ids[LONGEST]; lithe_sampling sampling; lithe_generation how; } asked;

/* Prompts of 1 to 150 tokens (with one of them the context fills up), which begin alike if `alike`, with options of
 * every kind. */
static void ask(asked *a, lithe_continuation *texts, bool alike)
{
    static const size_t lengths[TEXTS] = { 40, 33, 150, 70, 34, 90, 60, 35, 120, 40, 41 };
    static const char *const stops[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t" };
    for (int i = 0; i < TEXTS; i++) {
        for (int k = 0; k < LONGEST; k++) a[i].ids[k] = (int32_t)(random_u64(alike && k < 30 ? 1 : 50 + (uint64_t)i, (uint64_t)k) % 256);
        a[i].sampling = LITHE_OPTIONS(lithe_sampling, .temperature = i % 3 ? 1 : 0, .seed = (uint64_t)i / 2, .top_k = i % 4 ? 0 : 9, .repetition = i % 5 ? 0 : 1.3f);
        a[i].how = LITHE_OPTIONS(lithe_generation, .sampling = &a[i].sampling, .max_tokens = 3 + 5 * i, .stop = stops, .stops = i % 2 ? sizeof stops / sizeof *stops : 0, .ignore_eos = i % 2);
        texts[i] = (lithe_continuation){ a[i].ids, alike || i % 4 ? lengths[i] : 1, &a[i].how };
    }
    a[2].how.max_tokens = 0;                                                 /* until the context is full */
    a[2].how.stops = 0;
}

static int keep(void *context, const char *text, size_t n)
{
    written *w = context;
    CHECK(w->size + n < ROOM);
    memcpy(w->text + w->size, text, n);
    w->size += n;
    return 0;
}

static int keep_piece(void *context, const lithe_piece *p)
{
    written *w = (written *)context + p->index;
    CHECK_MSG(p->index < TEXTS && !w->reason, "a piece of text %zu after its end", p->index);
    if (p->n) keep(w, p->text, p->n);
    w->reason = p->reason;
    w->tokens = p->tokens;
    return 0;
}

static void write_alone(lithe_model *m, const lithe_tokenizer *t, const lithe_continuation *x, written *w)
{
    lithe_error err = { 0 };
    lithe_session *s = lithe_session_open(m, LONGEST, &err);
    *w = (written){ 0 };
    CHECK_MSG(!lithe_generate(s, t, x->ids, x->n, x->how, keep, w, &w->reason, &err), "%s", err.text);
    w->tokens = lithe_session_length(s) - x->n + !strcmp(w->reason, "full");
    lithe_session_close(s);
}

static void check_together(lithe_model *m, const char *name, bool alike)
{
    static written alone[TEXTS], together[TEXTS];
    static asked a[TEXTS];
    lithe_continuation texts[TEXTS];
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    ask(a, texts, alike);
    bool reasons[3] = { false };
    for (int i = 0; i < TEXTS; i++) {
        write_alone(m, t, &texts[i], &alone[i]);
        reasons[0] |= !strcmp(alone[i].reason, "length");
        reasons[1] |= !strcmp(alone[i].reason, "stop");
        reasons[2] |= !strcmp(alone[i].reason, "full");
    }
    CHECK_MSG(reasons[0] && reasons[1] && reasons[2], "%s: not all ends are tried: %d %d %d", name, reasons[0], reasons[1], reasons[2]);
    for (int slots = 1; slots <= 13; slots += 3) {
        lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = slots, .context = LONGEST), &err);
        memset(together, 0, sizeof together);
        CHECK_MSG(!lithe_generate_batch(e, t, texts, TEXTS, keep_piece, together, &err), "%s", err.text);
        for (int i = 0; i < TEXTS; i++)
            CHECK_MSG(together[i].size == alone[i].size && !memcmp(together[i].text, alone[i].text, alone[i].size) && together[i].tokens == alone[i].tokens &&
                      !strcmp(together[i].reason, alone[i].reason), "%s: text %d of %d at once: %s after %zu tokens and %zu bytes, alone %s after %zu and %zu", name, i, slots,
                      together[i].reason, together[i].tokens, together[i].size, alone[i].reason, alone[i].tokens, alone[i].size);
        for (int i = 0; i < slots; i++) CHECK(!lithe_engine_length(e, i));
        lithe_engine_close(e);
    }
    lithe_tokenizer_close(t);
}

static void texts_as_alone(void)
{
    for (int i = 0; i < MODEL_COUNT; i++) {
        lithe_model *m = model_of(i);
        CHECK(lithe_model_recurrent(m) == !strcmp(MODELS[i].arch, "rwkv7"));
        for (int alike = 0; alike < 2; alike++) check_together(m, MODELS[i].arch, alike);
        lithe_model_close(m);
    }
}

/* ---- the call ---------------------------------------------------------------------------------- */

static int count_to(void *context, const lithe_piece *p)
{
    (void)p;
    return --*(int *)context == 0;
}

static void calls_end_and_are_refused(void)
{
    lithe_error err = { 0 };
    int32_t ids[200] = { 1, 2, 300 };
    int left = 5;
    lithe_model *m = model_of(0);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = 2), &err), *whole = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1), &err);
    const lithe_sampling hot = LITHE_OPTIONS(lithe_sampling, .top_p = 3);
    const struct { lithe_continuation x; lithe_status status; const char *why; } bad[] = {
        { { ids, 0, NULL }, LITHE_EINVAL, "text 2 of 2: nothing to continue" }, { { ids, 200, NULL }, LITHE_EFULL, "text 2 of 2: the prompt is 200 tokens long, the context holds 160" },
        { { ids, 3, NULL }, LITHE_EINVAL, "text 2 of 2: token 300" }, { { ids, 2, &LITHE_OPTIONS(lithe_generation, .sampling = &hot) }, LITHE_EINVAL, "top_p is 3" },
        { { ids, 2, &LITHE_OPTIONS(lithe_generation, .go_on = 1) }, LITHE_EINVAL, "go_on" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const lithe_continuation texts[] = { { ids, 2, NULL }, bad[i].x };
        CHECK_MSG(lithe_generate_batch(e, t, texts, 2, count_to, &left, &err) == (int)bad[i].status && strstr(err.text, bad[i].why) && left == 5, "%s", err.text);
        err = (lithe_error){ 0 };
    }
    const lithe_continuation texts[] = { { ids, 2, NULL }, { ids, 2, NULL }, { ids, 1, NULL } };
    CHECK_MSG(!lithe_generate_batch(e, t, texts, 3, count_to, &left, &err) && left == 0, "%s", err.text);
    CHECK(!lithe_generate_batch(e, t, NULL, 0, NULL, NULL, &err) && !lithe_engine_length(e, 0));
    CHECK(lithe_generate_batch(whole, t, texts, 3, NULL, NULL, &err) == LITHE_EINVAL && strstr(err.text, "no slots"));
    CHECK(lithe_generate_batch(NULL, t, texts, 3, NULL, NULL, NULL) && lithe_generate_batch(e, NULL, texts, 3, NULL, NULL, NULL));
    CHECK(lithe_engine_bytes(e) > 2 * 160 * 2 * 16 && !lithe_engine_bytes(whole) && !lithe_engine_bytes(NULL));
    lithe_engine_close(e);
    lithe_engine_close(whole);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* ---- files of prompts ---------------------------------------------------------------------------- */

static void prompts_are_read(void)
{
    lithe_error err = { 0 };
    const char text[] = "{\"prompt\": \"a\\u0000b\", \"id\": {\"n\": [1, 2.5]}}\r\n \t\n"
                        "{\"prompt\": \"\", \"max_tokens\": 7, \"temperature\": 0.5, \"top_k\": 3, \"top_p\": 0.25, \"min_p\": 1, \"repeat_penalty\": 1.5, \"seed\": 9, "
                        "\"stop\": [\"x\", \"yz\"], \"ignore_eos\": true, \"metadata\": null}\n{\"stop\": \"one\", \"prompt\": \"c\"}";
    const char *const stop[] = { "end" };
    const lithe_sampling sampling = LITHE_OPTIONS(lithe_sampling, .temperature = 2, .seed = 4);
    const lithe_generation usual = LITHE_OPTIONS(lithe_generation, .sampling = &sampling, .max_tokens = 5, .stop = stop, .stops = 1);
    lithe_prompts *p = lithe_prompts_read(text, sizeof text - 1, "p.jsonl", &usual, &err);
    CHECK_MSG(lithe_prompts_count(p) == 3 && !lithe_prompts_at(p, 3), "%s", err.text);
    const lithe_prompt *a = lithe_prompts_at(p, 0), *b = lithe_prompts_at(p, 1), *c = lithe_prompts_at(p, 2);
    CHECK(a->size == 3 && !memcmp(a->text, "a\0b", 3) && a->line == 1 && !strcmp(a->id, "{\"n\":[1,2.5]}"));
    CHECK(a->how.max_tokens == 5 && a->how.stop == stop && a->how.sampling->seed == 4 && a->how.sampling->temperature == 2);
    const lithe_sampling *s = b->how.sampling;
    CHECK(b->size == 0 && b->line == 3 && !b->id && b->how.max_tokens == 7 && b->how.ignore_eos == 1 && b->how.stops == 2 && !strcmp(b->how.stop[1], "yz"));
    CHECK(s->temperature == 0.5f && s->top_k == 3 && s->top_p == 0.25f && s->min_p == 1 && s->repetition == 1.5f && s->seed == 9);
    CHECK(c->line == 4 && c->how.stops == 1 && !strcmp(c->how.stop[0], "one") && c->how.sampling->seed == 4);
    lithe_prompts_close(p);
    lithe_prompts_close(NULL);
    CHECK(!lithe_prompts_read(NULL, 0, "x", NULL, NULL) && !lithe_prompts_count(NULL));
}

static void prompts_are_refused(void)
{
    static const struct { const char *line, *why; } bad[] = {
        { "{\"prompt\": 3}", "p.jsonl:2: the prompt is not a string" }, { "{\"id\": 3}", "p.jsonl:2: has no prompt" }, { "[]", "p.jsonl:2: not a JSON object" },
        { "{\"prompt\": \"a\", \"prompt\": \"b\"}", "p.jsonl:2:" }, { "{\"prompt\": \"a\"", "p.jsonl:2:" }, { "{\"prompt\": \"\xff\"}", "p.jsonl:2:" },
        { "{\"prompt\": \"a\", \"temprature\": 1}", "p.jsonl:2: \"temprature\" is not a key of a prompt" }, { "{\"prompt\": \"a\", \"temperature\": NaN}", "temperature is not a number" },
        { "{\"prompt\": \"a\", \"temperature\": -1}", "temperature is not a number from 0 to 100" }, { "{\"prompt\": \"a\", \"max_tokens\": 0}", "max_tokens is not a whole number from 1" },
        { "{\"prompt\": \"a\", \"max_tokens\": 1.5}", "max_tokens is not" }, { "{\"prompt\": \"a\", \"max_tokens\": 99999999999}", "max_tokens is not" },
        { "{\"prompt\": \"a\", \"seed\": -1}", "seed is not" }, { "{\"prompt\": \"a\", \"stop\": [\"\"]}", "stop is not" }, { "{\"prompt\": \"a\", \"stop\": [\"a\\u0000\"]}", "stop is not" },
        { "{\"prompt\": \"a\", \"stop\": 3}", "stop is not" }, { "{\"prompt\": \"a\", \"ignore_eos\": 1}", "neither true nor false" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        char text[200];
        snprintf(text, sizeof text, "{\"prompt\": \"good\"}\n%s\n", bad[i].line);
        CHECK_MSG(!lithe_prompts_read(text, strlen(text), "p.jsonl", NULL, &err) && err.status == LITHE_EFORMAT && strstr(err.text, bad[i].why), "%s: %s", bad[i].line, err.text);
    }
    lithe_error err = { 0 };
    CHECK(!lithe_prompts_read("\n \n", 3, "p.jsonl", NULL, &err) && err.status == LITHE_EFORMAT && strstr(err.text, "p.jsonl: holds no prompt"));
}

const test tests_generate_batch[] = {
    { "batch generation: texts as alone", texts_as_alone },
    { "batch generation: calls end and are refused", calls_end_and_are_refused },
    { "batch generation: prompts are read", prompts_are_read },
    { "batch generation: prompts are refused", prompts_are_refused },
    { 0 }
};
