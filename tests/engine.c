/* Many sequences over one model: each gets the logits it gets alone, bit for
 * bit, at every level of kernels and with any number of threads, whenever it
 * enters, in whatever slot, order and company, and whatever lies in the slots. */
#include "base/arena.h"
#include "base/random.h"
#include "infer/session.h"
#include "small.h"
#include "test.h"
#include <malloc.h>
#include <math.h>
#include <stdlib.h>

enum { SEQS = 6, SLOTS = 9, MOST_VOCAB = 64, TURNS = 9, LONGEST = 320 };
static const char *const LEVELS[] = { KERNEL_LEVELS(KERNEL_NAME, ) };
enum { LEVEL_COUNT = sizeof LEVELS / sizeof *LEVELS };

/* Wider than one vector and of no whole vectors, with room for prompts of several passes. */
#define WIDE_HYBRID "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":8,\"intermediate_size\":72,\"initializer_range\":0.2"
static const struct { const char *arch, *config; } WIDE[] = {
    { "gpt2", "{\"vocab_size\":61,\"n_positions\":320,\"n_embd\":60,\"n_layer\":2,\"n_head\":3,\"initializer_range\":0.2}" },
    { "llama", "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":90,\"initializer_range\":0.2}" },
    { "tokenformer", "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":48,\"num_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":40,\"proj_slot_num\":30,\"ffn_slot_num\":70,\"init_method_std\":0.3}" },
    { "pangu_pi", "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":72,\"initializer_range\":0.2,\"aug_width\":10}" },
    { "rwkv4", "{\"vocab_size\":61,\"context_length\":320,\"hidden_size\":60,\"num_hidden_layers\":2,\"intermediate_size\":72}" },
    { "rwkv5", "{\"vocab_size\":61,\"context_length\":320,\"hidden_size\":48,\"head_size\":8,\"num_hidden_layers\":2,\"intermediate_size\":72}" },
    { "rwkv6", "{\"vocab_size\":61,\"context_length\":320,\"hidden_size\":48,\"head_size\":8,\"num_hidden_layers\":2,\"intermediate_size\":72,\"time_mix_extra_dim\":8,\"time_decay_extra_dim\":8}" },
    { "rwkv7", "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":48,\"head_dim\":8,\"num_hidden_layers\":2,\"intermediate_size\":72}" },
    { "hybrid", WIDE_HYBRID ",\"mixer\":\"rwkv7,attention\"}" },
    { "hybrid", WIDE_HYBRID ",\"mixer\":\"attention,rwkv4\",\"position\":\"alibi\"}" },
};

static lithe_model *model_of(const char *arch_name, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(arch_name, config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, 3);
    return m;
}

static const char *cache_type;                                   /* of the engines of engine_of */
static const char *const CACHE_TYPES[] = { NULL, "f16" };
enum { CACHE_COUNT = sizeof CACHE_TYPES / sizeof *CACHE_TYPES };

static lithe_engine *engine_of(lithe_model *m, int slots)
{
    lithe_error err = { 0 };
    lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = slots, .cache_type = cache_type), &err);
    if (!e) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    for (int s = 0; s < slots; s++)                              /* nothing that lies there is ever looked at */
        for (int i = 0; i < engine_states(e); i++) {
            slot_state x = engine_state(e, i, s);
            memset(x.data, 0xff, stored_bytes(x.type, (size_t)x.width));        /* NaN in every type */
        }
    return e;
}

static void read_in(lithe_engine *e, int slot, const int32_t *ids, size_t n, float *logits)
{
    lithe_error err = { 0 };
    CHECK_MSG(!lithe_engine_step(e, &(lithe_engine_input){ slot, ids, n, logits, logits ? 1 : 0, NULL }, 1, &err), "%s", err.text);
}

/* ---- together as alone ------------------------------------------------------------------ */

/* Sequence s enters in turn s % 3 with a prompt, then reads a token a turn, and pauses at times. */
typedef struct { int32_t ids[SEQS][LONGEST + TURNS]; int prompt[SEQS]; int vocab; } play;

static int tokens_of(const play *p, int seq, int turn)
{
    int since = turn - seq % 3;
    return since < 0 ? 0 : since == 0 ? p->prompt[seq] : (seq + turn) % 4 != 0;
}

static play play_of(const lithe_model *m, int longest)
{
    play p = { .vocab = lithe_model_vocab(m) };
    for (int s = 0; s < SEQS; s++) {
        p.prompt[s] = s == 1 ? longest : 1 + (int)(random_u64(8, (uint64_t)s) % (uint64_t)(longest > 40 ? 40 : longest));
        for (int i = 0; i < LONGEST + TURNS; i++) p.ids[s][i] = (int32_t)(random_u64(40 + (uint64_t)s, (uint64_t)i) % (uint64_t)p.vocab);
    }
    return p;
}

typedef float heard[TURNS][SEQS][MOST_VOCAB];

static void alone(lithe_model *m, const play *p, heard out)
{
    for (int s = 0; s < SEQS; s++) {
        lithe_engine *e = engine_of(m, 1);
        for (int turn = 0, at = 0; turn < TURNS; turn++)
            /* A prompt too, token by token. */
            for (int i = tokens_of(p, s, turn); i > 0; i--) read_in(e, 0, &p->ids[s][at++], 1, out[turn][s]);
        lithe_engine_close(e);
    }
}

static void check_together(lithe_model *m, const play *p, heard expected, uint64_t seed, const char *level)
{
    lithe_error err = { 0 };
    heard found;
    int at[SEQS] = { 0 };
    lithe_engine *e = engine_of(m, SLOTS);
    for (int turn = 0; turn < TURNS; turn++) {
        lithe_engine_input inputs[SEQS];
        size_t count = 0;
        for (int i = 0; i < SEQS; i++) {
            int s = (int)permuted((uint64_t)i, SEQS, seed + 100 + (uint64_t)turn), n = tokens_of(p, s, turn);
            inputs[count++] = (lithe_engine_input){ (int)permuted((uint64_t)s, SLOTS, seed), &p->ids[s][at[s]], (size_t)n, found[turn][s], n > 0, NULL };
            at[s] += n;
        }
        CHECK_MSG(!lithe_engine_step(e, inputs, count, &err), "%s: %s", m->arch->name, err.text);
        for (int s = 0; s < SEQS; s++)
            CHECK_MSG(!tokens_of(p, s, turn) || !memcmp(found[turn][s], expected[turn][s], (size_t)p->vocab * sizeof(float)),
                      "%s at %s: sequence %d has other logits in turn %d", m->arch->name, level, s, turn);
    }
    lithe_engine_close(e);
}

static void check_model(lithe_model *m, int longest)
{
    static heard expected;
    play p = play_of(m, longest);
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (!kernels_level(LEVELS[i])) continue;
        setenv("LITHE_CPU", LEVELS[i], 1);
        lithe_threads(1);
        alone(m, &p, expected);
        CHECK(isfinite((double)expected[2][2][0]) && isfinite((double)expected[TURNS - 2][1][0]));
        for (int threads = 1; threads <= 2; threads++) {
            lithe_threads(threads);
            check_together(m, &p, expected, (uint64_t)threads, LEVELS[i]);
        }
    }
}

static void together_as_alone(void)
{
    int count, tried = 0;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 3, &err);
        if (m && !must_continue_text(m, NULL) && lithe_model_vocab(m) <= MOST_VOCAB) {
            small_perturb(m->params, 0.3, 3);
            check_model(m, 12);
            tried++;
        }
        lithe_model_close(m);
    }
    CHECK_MSG(tried > 10, "%d of %d models continue a text", tried, count);
}

/* Prompts of several passes beside short ones. */
static void long_prompts(void)
{
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i++) {
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        for (int c = 0; c < (i < 4 || i > 7 ? CACHE_COUNT : 1); c++) {
            cache_type = CACHE_TYPES[c];
            check_model(m, 300);
        }
        cache_type = NULL;
        lithe_model_close(m);
    }
}

/* ---- what is asked for -------------------------------------------------------------------- */

/* Logits of the last so many tokens are those of reading one at a time, and as one stateless pass gives them. */
static void logits_where_they_are_wanted(void)
{
    enum { N = 150, VOCAB = 61 };
    static float all[N * VOCAB], some[N * VOCAB], one[VOCAB];
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i += 3) {
        lithe_error err = { 0 };
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        play p = play_of(m, N);
        lithe_engine *e = engine_of(m, 3);
        CHECK(!lithe_logits(m, p.ids[0], N, all, &err));
        for (size_t wanted = 0; wanted <= N; wanted += 50) {
            lithe_engine_clear(e, 1);
            CHECK_MSG(!lithe_engine_step(e, &(lithe_engine_input){ 1, p.ids[0], N, some, wanted, NULL }, 1, &err) && lithe_engine_length(e, 1) == N, "%s", err.text);
            CHECK(max_difference(some, all + (N - wanted) * VOCAB, wanted * VOCAB) < 2e-5);
        }
        for (int k = 0; k < N; k++) {
            read_in(e, 2, &p.ids[0][k], 1, one);
            CHECK_MSG(!memcmp(one, some + k * VOCAB, sizeof one), "%s: token %d", WIDE[i].arch, k);
        }
        lithe_engine_close(e);
        lithe_model_close(m);
    }
}

static void fork_and_clear(void)
{
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i++) {
        float a[MOST_VOCAB], b[MOST_VOCAB], c[MOST_VOCAB];
        lithe_error err = { 0 };
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        play p = play_of(m, 20);
        size_t bytes = (size_t)p.vocab * sizeof *a;
        lithe_engine *e = engine_of(m, 4);
        read_in(e, 3, p.ids[1], 9, NULL);                        /* what lay in the slot before does not matter */
        read_in(e, 0, p.ids[0], 20, NULL);
        CHECK(!lithe_engine_fork(e, 0, 3, &err) && lithe_engine_length(e, 3) == 20 && !lithe_engine_fork(e, 0, 0, &err));
        read_in(e, 0, p.ids[2], 3, NULL);
        read_in(e, 3, p.ids[0] + 20, 2, a);
        read_in(e, 1, p.ids[0], 22, b);
        CHECK_MSG(!memcmp(a, b, bytes), "%s: a fork goes on otherwise", WIDE[i].arch);
        lithe_engine_clear(e, 3);
        CHECK(!lithe_engine_length(e, 3));
        read_in(e, 3, p.ids[0], 22, c);
        CHECK_MSG(!memcmp(b, c, bytes), "%s: a cleared slot begins otherwise", WIDE[i].arch);
        slot_snapshot *x = engine_snapshot(e, 1);
        read_in(e, 1, p.ids[3], 5, NULL);
        engine_restore(e, 2, x);
        read_in(e, 3, p.ids[2], 1, a);
        read_in(e, 2, p.ids[2], 1, b);
        CHECK_MSG(!memcmp(a, b, bytes) && lithe_engine_length(e, 2) == 23, "%s: a snapshot goes on otherwise", WIDE[i].arch);
        free(x);
        lithe_engine_close(e);
        lithe_model_close(m);
    }
}

static void forks_and_clears(void)
{
    for (int c = 0; c < CACHE_COUNT; c++) {
        cache_type = CACHE_TYPES[c];
        fork_and_clear();
    }
    cache_type = NULL;
}

/* ---- how keys and values are kept ----------------------------------------------------------- */

static stored_type kept_as(lithe_model *m, const char *type, size_t *bytes)
{
    lithe_error err = { 0 };
    lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = 2, .context = 10, .cache_type = type), &err);
    CHECK_MSG(e, "%s", err.text);
    slot_state x = engine_state(e, 0, 0), y = engine_state(e, 0, 1);
    *bytes = (size_t)((char *)y.data - (char *)x.data) / (size_t)x.width;
    stored_type kept = x.type;
    lithe_engine_close(e);
    return kept;
}

/* A model that is stored in half keeps keys so too, if nothing else is asked for; recurrent states stay floats. */
static void keys_are_kept_as_asked(void)
{
    static const struct { const char *arch, *stored, *asked; stored_type kept; size_t bytes; } cases[] = {
        { "llama", "f32", NULL, STORED_REAL, 40 }, { "llama", "f32", "f16", STORED_F16, 20 }, { "llama", "bf16", NULL, STORED_F16, 20 },
        { "llama", "f16", NULL, STORED_F16, 20 }, { "llama", "f16", "f32", STORED_REAL, 40 }, { "rwkv7", "f16", NULL, STORED_REAL, 4 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        size_t bytes = 0;
        lithe_model *m = model_of(cases[i].arch, strcmp(cases[i].arch, "llama") ? WIDE[7].config : WIDE[1].config);
        char path[32];
        snprintf(path, sizeof path, "kept-%zu", i);
        CHECK_MSG(!lithe_model_save(m, in_dir(path), cases[i].stored, NULL, &err), "%s", err.text);
        lithe_model_close(m);
        m = lithe_model_open(in_dir(path), NULL, &err);
        CHECK_MSG(m, "%s", err.text);
        CHECK_MSG(kept_as(m, cases[i].asked, &bytes) == cases[i].kept && bytes == cases[i].bytes, "case %zu: %zu bytes a number", i, bytes);
        CHECK(!lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .cache_type = "int3"), &err) && strstr(err.text, "\"int3\""));
        lithe_model_close(m);
    }
}

/* Rounded keys and values move the logits, and by little. */
static void keys_in_half_are_near(void)
{
    enum { N = 200, VOCAB = 61 };
    lithe_error err = { 0 };
    static float exactly[N * VOCAB], rounded[N * VOCAB];
    for (size_t i = 0; i < 4; i++) {
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        play p = play_of(m, N);
        CHECK(!lithe_logits(m, p.ids[0], N, exactly, &err));
        cache_type = "f16";
        lithe_engine *e = engine_of(m, 1);
        CHECK_MSG(!lithe_engine_step(e, &(lithe_engine_input){ 0, p.ids[0], N, rounded, N, NULL }, 1, &err), "%s", err.text);
        double off = 0, size = 0;
        for (int k = 0; k < N * VOCAB; k++) off += pow((double)rounded[k] - (double)exactly[k], 2), size += pow((double)exactly[k], 2);
        CHECK_MSG(sqrt(off / size) > 1e-6 && sqrt(off / size) < 2e-3, "%s: relative error %g", WIDE[i].arch, sqrt(off / size));
        lithe_engine_close(e);
        lithe_model_close(m);
        cache_type = NULL;
    }
}

#define HEADS_OF_32 "{\"vocab_size\":61,\"max_position_embeddings\":320,\"hidden_size\":128,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":90,\"initializer_range\":0.2}"

/* Keys in blocks: sequences together as alone, saved sessions that go on as they would have, logits that are near. */
static void keys_in_blocks(void)
{
    enum { N = 200, VOCAB = 61 };
    static float exactly[N * VOCAB], rounded[N * VOCAB];
    lithe_error err = { 0 };
    lithe_model *m = model_of("llama", HEADS_OF_32), *other = model_of("llama", WIDE[1].config);
    play p = play_of(m, N);
    cache_type = "q8_0";
    check_model(m, 300);
    lithe_engine *e = engine_of(m, 1);
    CHECK(!lithe_logits(m, p.ids[0], N, exactly, &err) && !lithe_engine_step(e, &(lithe_engine_input){ 0, p.ids[0], N, rounded, N, NULL }, 1, &err));
    double off = relative_error(rounded, exactly, N * VOCAB);
    CHECK_MSG(off > 1e-4 && off < 6e-2, "relative error %g", off);
    lithe_session_options o = LITHE_OPTIONS(lithe_session_options, .cache_type = cache_type);
    lithe_session *s = lithe_session_open_with(m, &o, &err), *again = lithe_session_open_with(m, &o, &err);
    CHECK_MSG(!lithe_session_sync(s, p.ids[0], 100, &err) && !lithe_session_save(s, NULL, in_dir("blocks"), &err) && !lithe_session_load(again, NULL, in_dir("blocks"), &err), "%s", err.text);
    CHECK(!lithe_session_push(s, 3, &err) && !lithe_session_push(again, 3, &err) && !memcmp(lithe_session_logits(s), lithe_session_logits(again), VOCAB * sizeof(float)));
    CHECK(!lithe_session_open_with(other, &o, &err) && strstr(err.text, "heads of 16 numbers cannot be kept as q8_0, in blocks of 32"));
    cache_type = NULL;
    lithe_session_close(s);
    lithe_session_close(again);
    lithe_engine_close(e);
    lithe_model_close(m);
    lithe_model_close(other);
}

/* ---- refusals --------------------------------------------------------------------------------- */

static void check_refused(lithe_engine *e, const lithe_engine_input *inputs, size_t count, lithe_status status, const char *why)
{
    lithe_error err = { 0 };
    int got = lithe_engine_step(e, inputs, count, &err);
    CHECK_MSG(got == (int)status && err.status == status && strstr(err.text, why), "%d \"%s\", not ... %s ...", got, err.text, why);
    CHECK(lithe_engine_length(e, 0) == 3 && lithe_engine_length(e, 1) == 0);
}

static void engines_refuse(void)
{
    const int32_t ids[32] = { 1, 2, 3 }, bad[] = { 1, 23 };
    float logits[23], before[23], after[23];
    lithe_error err = { 0 };
    lithe_model *m = model_of("llama", SMALL_LLAMA);
    lithe_engine *e = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = 2, .context = 10), &err), *same = engine_of(m, 1);
    CHECK(lithe_engine_slots(e) == 2 && lithe_engine_context(e) == 10 && lithe_engine_slots(same) == 1 && lithe_engine_context(same) == 24);
    read_in(e, 0, ids, 3, NULL);
    read_in(same, 0, ids, 3, NULL);
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 0, NULL }, { 2, ids, 1, NULL, 0, NULL } }, 2, LITHE_EINVAL, "slot 2: the engine has slots 0 to 1");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 0, NULL }, { -1, ids, 1, NULL, 0, NULL } }, 2, LITHE_EINVAL, "slot -1");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 0, NULL }, { 0, ids, 1, NULL, 0, NULL }, { 1, ids, 1, NULL, 0, NULL } }, 3, LITHE_EINVAL, "slot 1 stands twice");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 0, NULL }, { 0, bad, 2, NULL, 0, NULL } }, 2, LITHE_EINVAL, "token 23 at place 1");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 0, NULL }, { 0, ids, 8, NULL, 0, NULL } }, 2, LITHE_EFULL, "slot 0: 8 more tokens: the context of 10 tokens holds 3");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, logits, 2, NULL } }, 1, LITHE_EINVAL, "logits of 2 tokens are wanted, 1 are read");
    check_refused(e, (lithe_engine_input[]){ { 1, ids, 1, NULL, 1, NULL } }, 1, LITHE_EINVAL, "logits of 1 tokens");
    CHECK(!lithe_engine_step(e, NULL, 0, &err) && !lithe_engine_step(e, &(lithe_engine_input){ .slot = 1 }, 1, &err) && !lithe_engine_length(e, 1));
    read_in(e, 0, ids, 1, before);
    read_in(same, 0, ids, 1, after);
    CHECK(!memcmp(before, after, sizeof before));
    /* The failure sticks. */
    CHECK(lithe_engine_fork(e, 0, 2, &err) == LITHE_EINVAL && lithe_engine_step(e, &(lithe_engine_input){ 0, ids, 1, NULL, 0, NULL }, 1, &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    CHECK(!lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .slots = -1), &err) && strstr(err.text, "-1 slots"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .context = 25), &err) && strstr(err.text, "a context of 25: the model has 24"));
    CHECK(!lithe_engine_open(NULL, NULL, NULL) && lithe_engine_step(NULL, NULL, 0, NULL) && lithe_engine_fork(NULL, 0, 0, NULL) && !lithe_engine_slots(NULL));
    lithe_engine_clear(NULL, 0);
    lithe_engine_clear(e, 7);
    lithe_engine_close(NULL);
    lithe_engine_close(e);
    lithe_engine_close(same);
    lithe_model_close(m);
}

/* ---- memory -------------------------------------------------------------------------------------- */

/* A step allocates nothing, nor does a text grow the memory of a model without end. */
static void steps_allocate_nothing(void)
{
    for (size_t i = 0; i < sizeof WIDE / sizeof *WIDE; i++) {
        static float logits[SEQS][MOST_VOCAB];
        lithe_error err = { 0 };
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        play p = play_of(m, 200);
        lithe_engine *e = engine_of(m, SEQS);
        lithe_session *s = lithe_session_open(m, 0, &err);
        lithe_engine_input inputs[SEQS];
        for (int k = 0; k < SEQS; k++) inputs[k] = (lithe_engine_input){ k, p.ids[k], (size_t)p.prompt[k], logits[k], 1, NULL };
        lithe_engine_step(e, inputs, 1, &err);                   /* the threads get their scratch */
        lithe_engine_clear(e, 0);
        CHECK_MSG(!lithe_session_push(s, 1, &err), "%s", err.text);
        size_t counted = allocation_count(), held = mallinfo2().uordblks + mallinfo2().hblkhd;
        CHECK(!lithe_engine_step(e, inputs, SEQS, &err));
        for (int turn = 0; turn < 100; turn++) {
            for (int k = 0; k < SEQS; k++) inputs[k].n = 1;
            CHECK(!lithe_engine_step(e, inputs, SEQS, &err) && !lithe_session_push(s, 2, &err));
        }
        for (int turn = 0; turn < 20 && !lithe_engine_context(e); turn++) CHECK(!lithe_session_extend(s, p.ids[1], 200, &err));
        CHECK_MSG(allocation_count() == counted && mallinfo2().uordblks + mallinfo2().hblkhd == held, "%s: %zu allocations", WIDE[i].arch, allocation_count() - counted);
        CHECK_MSG(!err.status, "%s", err.text);
        lithe_session_close(s);
        lithe_engine_close(e);
        lithe_model_close(m);
    }
}

/* ---- sessions that return --------------------------------------------------------------------------- */

static void change(lithe_model *m)
{
    real *values = params_edit(m->params);
    for (size_t i = 0; i < m->params->arena_count; i++) values[i] *= (real)1.05;
}

/* A recurrent model returns to its mark and reads on from there: parameters that changed after it show in what follows
 * only. */
static void sessions_return_to_their_mark(void)
{
    for (size_t i = 4; i < sizeof WIDE / sizeof *WIDE; i++) {
        lithe_error err = { 0 };
        lithe_model *m = model_of(WIDE[i].arch, WIDE[i].config);
        play p = play_of(m, 40);
        int32_t *ids = p.ids[1], other[60];
        size_t bytes = (size_t)p.vocab * sizeof(float);
        lithe_session *s = lithe_session_open(m, 0, &err), *straight = lithe_session_open(m, 0, &err), *fresh = lithe_session_open(m, 0, &err);
        memcpy(other, ids, sizeof other);
        other[30] = (ids[30] + 1) % p.vocab;
        const lithe_sampling o = { .size = sizeof o, .temperature = 1, .repetition = 1.3f, .seed = 4 };
        CHECK(!lithe_session_mark(s, &err) && !lithe_session_sync(s, ids, 30, &err) && !lithe_session_mark(s, &err) && !lithe_session_sync(straight, ids, 30, &err));
        CHECK(!lithe_session_sync(s, ids, 45, &err));
        change(m);
        CHECK(!lithe_session_sync(s, other, 40, &err) && !lithe_session_extend(straight, other + 30, 10, &err) && !lithe_session_sync(fresh, other, 40, &err));
        CHECK_MSG(!memcmp(lithe_session_logits(s), lithe_session_logits(straight), bytes), "%s: not as going on from the mark", WIDE[i].arch);
        CHECK(memcmp(lithe_session_logits(s), lithe_session_logits(fresh), bytes) && lithe_session_sample(s, &o, &err) == lithe_session_sample(straight, &o, &err));
        /* Does not begin as the mark does. */
        CHECK(!lithe_session_sync(s, ids + 1, 9, &err) && !lithe_session_sync(fresh, ids + 1, 9, &err));
        CHECK(!memcmp(lithe_session_logits(s), lithe_session_logits(fresh), bytes));
        /* The mark itself, with its logits. */
        CHECK(!lithe_session_sync(s, ids, 30, &err) && !lithe_session_sync(straight, ids, 30, &err) && lithe_session_length(s) == 30);
        CHECK(memcmp(lithe_session_logits(s), lithe_session_logits(straight), bytes));
        CHECK_MSG(!err.status && lithe_session_mark(NULL, &err), "%s", err.text);
        lithe_session_close(s);
        lithe_session_close(straight);
        lithe_session_close(fresh);
        lithe_model_close(m);
    }
}

const test tests_engine[] = {
    { "engine: together as alone", together_as_alone },
    { "engine: long prompts", long_prompts },
    { "engine: logits where they are wanted", logits_where_they_are_wanted },
    { "engine: forks and clears", forks_and_clears },
    { "engine: keys are kept as asked", keys_are_kept_as_asked },
    { "engine: keys kept in half are near", keys_in_half_are_near },
    { "engine: keys in blocks", keys_in_blocks },
    { "engine: refusals", engines_refuse },
    { "engine: steps allocate nothing", steps_allocate_nothing },
    { "engine: sessions return to their mark", sessions_return_to_their_mark },
    { 0 }
};
