/* Trained checkpoints in llama2.c's format, against float64 results of another
 * program: greedy text, likelihood of every prompt token, largest logits; and
 * in rwkv.cpp's, against the logits its own tests expect. */
#include "arch_tests.h"
#include "base/json.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

static const struct { const char *model, *file, *tokenizer; } published[] = {
    { "stories260K", "checkpoints/stories260K/stories260K.bin", "checkpoints/stories260K/tok512.bin" },
    { "babyllama-tok105", "checkpoints/babyllama-tok105/model5000.bin", "checkpoints/babyllama-tok105/tok105.bin" },
};

typedef struct { int32_t ids[512]; size_t prompt, total; char text[2048]; size_t length; } continuation;

static int append_text(void *context, const char *text, size_t n)
{
    continuation *c = context;
    if (c->length + n < sizeof c->text) memcpy(c->text + c->length, text, n);
    c->length += n;
    return 0;
}

static void read_ids(continuation *c, const json_t *expected)
{
    const json_t *prompt = json_object_get(expected, "prompt_ids"), *greedy = json_object_get(expected, "greedy_ids");
    c->prompt = json_array_size(prompt);
    c->total = c->prompt + json_array_size(greedy);
    for (size_t i = 0; i < c->total && i < 512; i++)
        c->ids[i] = (int32_t)json_integer_value(i < c->prompt ? json_array_get(prompt, i) : json_array_get(greedy, i - c->prompt));
}

static void check_greedy(lithe_model *m, const continuation *c, const char *name)
{
    lithe_error err = { 0 };
    lithe_session *s = lithe_session_open(m, 0, &err);
    CHECK_MSG(!lithe_session_sync(s, c->ids, c->prompt, &err), "%s: %s", name, err.text);
    for (size_t i = c->prompt; i < c->total; i++) {
        int32_t id = lithe_session_sample(s, &LITHE_OPTIONS(lithe_sampling), &err);
        CHECK_MSG(id == c->ids[i], "%s: token %zu is %d, not %d", name, i, (int)id, (int)c->ids[i]);
        if (id != c->ids[i] || lithe_session_push(s, id, &err)) break;
    }
    lithe_session_close(s);
}

static void check_likelihood(lithe_model *m, const continuation *c, const json_t *expected, const char *name)
{
    lithe_error err = { 0 };
    float nll[512];
    double total, sum = 0;
    CHECK_MSG(!lithe_score(m, c->ids, c->prompt, 0, 0, nll, &total, &err), "%s: %s", name, err.text);
    for (size_t i = 0; i + 1 < c->prompt; i++) {
        double wanted = json_real_value(json_array_get(json_object_get(expected, "prompt_nll"), i));
        CHECK_MSG(fabs((double)nll[i] - wanted) <= 1e-4, "%s: -ln p of token %zu is %.6f, not %.5f", name, i + 1, (double)nll[i], wanted);
        sum += (double)nll[i];
    }
    CHECK(fabs(sum - total) < 1e-5);
}

static void check_largest(lithe_model *m, const continuation *c, const json_t *expected, const char *name)
{
    lithe_error err = { 0 };
    const json_t *top = json_object_get(expected, "next_top10");
    lithe_session *s = lithe_session_open(m, 0, &err);
    CHECK_MSG(!lithe_session_sync(s, c->ids, c->prompt, &err), "%s: %s", name, err.text);
    const float *logits = lithe_session_logits(s);
    double tenth = 0;
    for (size_t i = 0; logits && i < json_array_size(top); i++) {
        json_int_t id = json_integer_value(json_array_get(json_array_get(top, i), 0));
        double wanted = json_real_value(json_array_get(json_array_get(top, i), 1));
        CHECK_MSG(fabs((double)logits[id] - wanted) <= 2e-3, "%s: the logit of %d is %.5f, not %.4f", name, (int)id, (double)logits[id], wanted);
        tenth = wanted;
    }
    int larger = 0;
    for (int i = 0; logits && i < lithe_model_vocab(m); i++) larger += (double)logits[i] > tenth + 2e-3;
    CHECK_MSG(larger < (int)json_array_size(top), "%s: %d logits above the tenth", name, larger);
    lithe_session_close(s);
}

/* From text to text, with the checkpoint's tokenizer. */
static void check_text(lithe_model *m, continuation *c, const json_t *expected, const char *tokenizer, const char *name)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(tokenizer, &err);
    CHECK_MSG(t, "%s: %s", name, err.text);
    if (!t) return;
    const char *prompt = json_string_value(json_object_get(expected, "prompt")), *wanted = json_string_value(json_object_get(expected, "greedy_text"));
    int32_t ids[512];
    size_t n = lithe_encode(t, prompt, strlen(prompt), 1, ids, 512);
    CHECK_MSG(n == c->prompt && !memcmp(ids, c->ids, n * sizeof *ids), "%s: the prompt is %zu tokens", name, n);
    append_text(c, prompt, strlen(prompt));
    lithe_session *s = lithe_session_open(m, 0, &err);
    const char *reason = NULL;
    lithe_generation o = { .size = sizeof o, .max_tokens = (int)(c->total - c->prompt) };
    CHECK_MSG(!lithe_generate(s, t, ids, n, &o, append_text, c, &reason, &err), "%s: %s", name, err.text);
    CHECK_MSG(reason && !strcmp(reason, "length"), "%s: ends by %s", name, reason ? reason : "nothing");
    CHECK_MSG(c->length == strlen(wanted) && !memcmp(c->text, wanted, c->length), "%s: \"%.*s\"", name, (int)c->length, c->text);
    lithe_session_close(s);
    lithe_tokenizer_close(t);
}

static void published_checkpoints(const kernels *k)
{
    (void)k;
    lithe_error err = { 0 };
    json_t *all = json_read(test_data("checkpoints/golden.json"), 1 << 20, 10, &err);
    CHECK_MSG(all, "%s", err.text);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const json_t *expected = NULL;
        for (size_t j = 0; j < json_array_size(all); j++)
            if (!strcmp(json_string_value(json_object_get(json_array_get(all, j), "model")), published[i].model)) expected = json_array_get(all, j);
        lithe_model *m = lithe_model_open(test_data(published[i].file), NULL, &err);
        CHECK_MSG(m && expected, "%s: %s", published[i].model, err.text);
        if (!m || !expected) continue;
        continuation c = { 0 };
        read_ids(&c, expected);
        check_greedy(m, &c, published[i].model);
        check_likelihood(m, &c, expected, published[i].model);
        check_largest(m, &c, expected, published[i].model);
        check_text(m, &c, expected, test_data(published[i].tokenizer), published[i].model);
        lithe_model_close(m);
    }
    json_decref(all);
}
EACH_LEVEL(, published_checkpoints)

/* ---- RWKV ------------------------------------------------------------------------------- */

static const struct { const char *file, *logits; } rwkvs[] = {
    { "checkpoints/rwkv/tiny-rwkv-4v0-660K-FP32.bin", "checkpoints/rwkv/expected-logits-4v0-660K.bin" },
    { "checkpoints/rwkv/tiny-rwkv-7v0-834K-FP32.bin", "checkpoints/rwkv/expected-logits-7v0-834K.bin" },
};

/* The logits after the bytes "in (with the quote), read whole and one by one. */
static void check_rwkv(lithe_model *m, const char *path, const char *name)
{
    static const int32_t ids[] = { 0x22, 0x69, 0x6e };
    lithe_error err = { 0 };
    mapping file = { 0 };
    float whole[3 * 256], expected[256];
    CHECK_MSG(!file_map(&file, path, &err) && file.size == sizeof expected, "%s: %s", path, err.text);
    if (file.size != sizeof expected) return;
    memcpy(expected, file.data, sizeof expected);
    file_unmap(&file);
    CHECK_MSG(lithe_model_vocab(m) == 256 && !lithe_logits(m, ids, 3, whole, &err), "%s: %s", name, err.text);
    double worst = max_difference(whole + 2 * 256, expected, 256);
    CHECK_MSG(worst <= 1e-4, "%s: the logits differ by %.3g", name, worst);
    lithe_session *s = lithe_session_open(m, 0, &err);
    for (int i = 0; i < 3; i++) CHECK_MSG(!lithe_session_push(s, ids[i], &err), "%s: %s", name, err.text);
    CHECK_MSG(lithe_session_logits(s) && !memcmp(lithe_session_logits(s), whole + 2 * 256, sizeof expected), "%s: other logits token by token", name);
    lithe_session_close(s);
}

static void published_rwkv(const kernels *k)
{
    (void)k;
    for (size_t i = 0; i < sizeof rwkvs / sizeof *rwkvs; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_open(test_data(rwkvs[i].file), NULL, &err);
        CHECK_MSG(m, "%s: %s", rwkvs[i].file, err.text);
        if (m) check_rwkv(m, test_data(rwkvs[i].logits), rwkvs[i].file);
        lithe_model_close(m);
    }
}
EACH_LEVEL(, published_rwkv)
