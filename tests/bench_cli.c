/* lithe bench: one object with a figure for each type and kind of work, whose parts agree; the work of a pass against a
 * count by hand; times of operations. */
#include "lithe_tools.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static double number(const json_t *x, const char *key) { return json_number_value(json_object_get(x, key)); }
static const char *word(const json_t *x, const char *key) { return json_string_value(json_object_get(x, key)); }

/* What every figure must have. */
static void check_figure(const json_t *f, const char *type, const char *work, int parallel, const char *unit, int count)
{
    char rate[40];
    snprintf(rate, sizeof rate, "%s_per_second", unit);
    CHECK_MSG(!strcmp(word(f, "type"), type) && !strcmp(word(f, "work"), work) && number(f, "parallel") == parallel && number(f, unit) == count,
              "%s %s %g %g", word(f, "type"), word(f, "work"), number(f, "parallel"), number(f, unit));
    CHECK(json_array_size(json_object_get(f, "runs")) == 3 && number(f, "seconds") > 0 && number(f, "gflops") > 0 && number(f, "read_gb_per_second") > 0);
    CHECK(fabs(number(f, rate) * number(f, "seconds") / count - 1) < 1e-6);
    CHECK(fabs(number(f, "share_of_read") * number(f, "read_gb_per_second") / number(f, "gb_per_second") - 1) < 1e-6);
    CHECK(number(f, "weight_bytes") > 1000 && number(f, "peak_resident_bytes") > 1e6);
}

static json_t *bench_json(const char *arguments)
{
    CHECK_MSG(sh("$L bench %s --json", arguments) == 0, "%s", err);
    json_t *all = json_loads(out, 0, NULL);
    CHECK_MSG(all && !strcmp(word(all, "schema"), "lithe.bench.1") && number(all, "peak_gflops") > 0 && word(json_object_get(all, "machine"), "level"), "%.300s", out);
    return all;
}

static void figures_of_tokens(void)
{
    json_t *all = bench_json("$ROOT/tests/golden/gguf/llama-q8_0.gguf --prefill 12 --decode 6 --parallel 1,3 --types stored,q4_0 --runs 3");
    const json_t *results = json_object_get(all, "results");
    CHECK_MSG(json_array_size(results) == 6 && !strcmp(word(all, "arch"), "llama"), "%.300s", out);
    for (size_t i = 0; i < 6; i++) {
        const json_t *f = json_array_get(results, i);
        const char *type = i < 3 ? "stored" : "q4_0";
        if (i % 3 == 0) check_figure(f, type, "prefill", 1, "tokens", 12);
        else check_figure(f, type, "decode", i % 3 == 1 ? 1 : 3, "tokens", i % 3 == 1 ? 6 : 18);
        CHECK(number(f, "engine_bytes") > 0 && !json_object_get(f, "profile"));
    }
    CHECK(number(json_array_get(results, 3), "weight_bytes") < number(json_array_get(results, 0), "weight_bytes"));
    json_decref(all);
}

static void figures_of_a_recurrent_model(void)
{
    json_t *all = bench_json("$ROOT/tests/golden/rwkv7 --prefill 600 --decode 5 --runs 3 --profile");
    const json_t *results = json_object_get(all, "results"), *profile = json_object_get(json_array_get(results, 0), "profile");
    /* The prompt is longer than the context, of which the model has no need. */
    check_figure(json_array_get(results, 0), "stored", "prefill", 1, "tokens", 600);
    double last = HUGE_VAL;
    bool found = false;
    for (size_t i = 0; i < json_array_size(profile); i++) {
        const json_t *op = json_array_get(profile, i);
        CHECK(number(op, "seconds") <= last && number(op, "runs") > 0);
        last = number(op, "seconds");
        found = found || !strcmp(word(op, "op"), "wkv7");
    }
    CHECK_MSG(found, "no time of wkv7: %.300s", out);
    json_decref(all);
}

/* The cache of attention grows by 2 f32 vectors a layer with each token; a recurrent state does not grow. */
static void figures_by_depth(void)
{
    static const char *const models[] = { "llama", "rwkv7" };
    for (int m = 0; m < 2; m++) {
        char arguments[200];
        snprintf(arguments, sizeof arguments, "$ROOT/tests/golden/%s --prefill 0 --decode 2 --depth 0,%s --parallel 1,2 --runs 3", models[m], m ? "700" : "12");
        json_t *all = bench_json(arguments);
        const json_t *results = json_object_get(all, "results");
        CHECK(json_array_size(results) == 4);
        for (size_t i = 0; i < 4; i++) {
            const json_t *f = json_array_get(results, i);
            check_figure(f, "stored", "decode", 1 + (int)(i % 2), "tokens", 2 * (1 + (int)(i % 2)));
            CHECK(number(f, "depth") == (i < 2 ? 0 : m ? 700 : 12));
        }
        double grew = number(json_array_get(results, 2), "engine_bytes") - number(json_array_get(results, 0), "engine_bytes");
        CHECK_MSG(m ? fabs(grew) < 1 : grew > 0, "%s: %g bytes more after more tokens", models[m], grew);
        json_decref(all);
    }
    CHECK(!sh("$L bench $ROOT/tests/golden/rwkv7 --prefill 0 --decode 2 --depth 300 --runs 1 --threads 1") && strstr(out, "decode after 300"));
}

static void figures_of_sentences(void)
{
    CHECK_MSG(sh("cat $ROOT/README.md $ROOT/docs/library.md > t.txt && $L train t.txt --arch bert --params 60k --vocab 300 --ctx 32 --batch 2 --steps 1 --out r -q") == 0, "%s", err);
    json_t *all = bench_json("r --runs 3");
    const json_t *results = json_object_get(all, "results");
    check_figure(json_array_get(results, 0), "stored", "together", 96, "sentences", 96);
    check_figure(json_array_get(results, 1), "stored", "one by one", 1, "sentences", 96);
    CHECK(json_array_size(results) == 2);
    json_decref(all);
    CHECK(sh("head -5 t.txt > five.txt; $L bench r --text five.txt --runs 1 --threads 1 --profile") == 0 && strstr(out, "sentences/s") && strstr(out, "attention") && strstr(out, "of reading"));
}

static void benches_are_refused(void)
{
    TRANSCRIPTS({ "$L bench", 2, NULL, "an operand is missing" }, { "$L bench nosuch", 3, NULL, "nosuch" }, { "$L bench $ROOT/tests/golden/gpt2 --parallel 1,x", 2, NULL, "such as 1,8" },
                { "$L bench $ROOT/tests/golden/gpt2 --depth -1", 2, NULL, "such as 0,8" }, { "$L bench $ROOT/tests/golden/gpt2 --depth 1,100000", 2, NULL, "the model's context is" },
                { "$L bench $ROOT/tests/golden/gpt2 --types q9", 2, NULL, "q9 is no type" }, { "$L bench $ROOT/tests/golden/tokenformer_vit", 3, NULL, "reads images" },
                { "$L bench $ROOT/tests/golden/bert", 2, NULL, "--tokenizer" });
}

/* Only an engine that was opened with `timed` knows times; each pass of the slots runs each operation. */
static void times_of_operations(void)
{
    enum { PASSES = 5, ATTENTIONS = 2 };
    lithe_error e = { 0 };
    lithe_op_time t;
    const int32_t id = 1;
    lithe_model *m = lithe_model_new("gpt2", "{\"vocab_size\":61,\"n_positions\":32,\"n_embd\":12,\"n_layer\":2,\"n_head\":3}", 1, &e);
    for (int timed = 0; timed < 2; timed++) {
        lithe_engine *x = lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .timed = timed), &e);
        for (int i = 0; i < PASSES; i++) CHECK(!lithe_engine_step(x, &(lithe_engine_input){ .ids = &id, .n = 1 }, 1, &e));
        size_t kinds = 0, attentions = 0;
        for (; lithe_engine_profile(x, kinds, &t); kinds++) if (!strcmp(t.op, "attention")) attentions = t.runs;
        CHECK_MSG(timed ? kinds > 3 && attentions == PASSES * ATTENTIONS : !kinds, "%zu kinds, attention %zu times", kinds, attentions);
        lithe_engine_close(x);
    }
    CHECK(!lithe_engine_profile(NULL, 0, &t));
    lithe_model_close(m);
}

/* A layer of GPT-2 multiplies by 12 C^2 weights, the head by V C; a token attends to itself. */
static void work_of_a_pass(void)
{
    enum { C = 12, LAYERS = 2, V = 61 };
    lithe_error e = { 0 };
    lithe_work one, many;
    lithe_model *m = lithe_model_new("gpt2", "{\"vocab_size\":61,\"n_positions\":32,\"n_embd\":12,\"n_layer\":2,\"n_head\":3}", 1, &e);
    CHECK_MSG(!lithe_pass_work(m, 1, 1, &one, &e) && !lithe_pass_work(m, 8, 8, &many, &e), "%s", e.text);
    CHECK_MSG(one.bytes == 4.0 * (LAYERS * 12 * C * C + V * C), "%g bytes", one.bytes);
    CHECK_MSG(one.bytes == many.bytes && fabs(many.flops / one.flops - 8) < 1e-9, "%g %g", many.bytes, many.flops / one.flops);
    double products = 2.0 * (LAYERS * 12 * C * C + V * C);
    CHECK_MSG(one.flops >= products && one.flops < products + 8 * LAYERS * C, "%g operations, %g of them products", one.flops, products);
    CHECK(lithe_pass_work(m, 2, 3, &one, &e) == LITHE_EINVAL && lithe_pass_work(NULL, 1, 1, &one, NULL));
    double start = lithe_clock();
    CHECK(lithe_read_rate(m) > 1e6 && !(lithe_read_rate(NULL) > 0) && lithe_clock() > start);
    lithe_model_close(m);
}

const test tests_bench[] = {
    { "bench: figures of tokens", figures_of_tokens },
    { "bench: figures of a recurrent model", figures_of_a_recurrent_model },
    { "bench: figures by depth", figures_by_depth },
    { "bench: figures of sentences", figures_of_sentences },
    { "bench: refusals", benches_are_refused },
    { "bench: the work of a pass", work_of_a_pass },
    { "bench: times of operations", times_of_operations },
    { 0 }
};
