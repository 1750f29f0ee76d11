/* Text that streams, from models with a script: at position p the largest logit
 * is that of the p-th token, whatever was read. */
#include "infer/infer.h"
#include "base/writer.h"
#include "infer/text_stream.h"
#include "infer_tests.h"
#include "model/model.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { PLACES = 64 };

/* GPT-2 with all parameters zero but the position table, which is one-hot, the final norm, and a head that
 * maps place p to the p-th byte of the script. */
static lithe_model *scripted(const int32_t *script, size_t n, int vocab)
{
    char config[400];
    lithe_error err = { 0 };
    snprintf(config, sizeof config, "{\"vocab_size\":%d,\"n_positions\":%d,\"n_embd\":%d,\"n_layer\":1,\"n_head\":1,\"tie_word_embeddings\":false}", vocab, PLACES, PLACES);
    lithe_model *m = lithe_model_new("gpt2", config, 0, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    memset(m->params->values, 0, m->params->arena_count * sizeof(real));
    for (int i = 0; i < PLACES; i++) {
        params_find(m->params, "ln_f.weight")->weight.values[i] = 1;
        params_find(m->params, "wpe.weight")->weight.values[i * PLACES + i] = 1;
    }
    for (size_t p = 0; p < n; p++) params_find(m->params, "lm_head.weight")->weight.values[(size_t)script[p] * PLACES + p] = 1;
    return m;
}

typedef struct { char text[512]; size_t length; int gives, stop_after; bool whole; } heard;

static bool is_utf8(const char *text, size_t n)
{
    for (size_t i = 0; i < n; ) {
        unsigned char c = (unsigned char)text[i];
        size_t length = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
        if (!length || i + length > n) return false;
        for (size_t j = 1; j < length; j++)
            if (((unsigned char)text[i + j] & 0xc0) != 0x80) return false;
        i += length;
    }
    return true;
}

static int hear(void *context, const char *text, size_t n)
{
    heard *h = context;
    h->whole &= n > 0 && is_utf8(text, n);
    if (h->length + n < sizeof h->text) memcpy(h->text + h->length, text, n);
    h->length += n;
    return ++h->gives == h->stop_after;
}

/* Continues the first byte of `script` with the rest of it: what is heard, and why it ended. */
static const char *continued(heard *h, const char *script, lithe_generation o)
{
    lithe_error err = { 0 };
    int32_t ids[PLACES] = { 0 };
    size_t n = strlen(script);
    const char *reason = "";
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    for (size_t i = 0; i < n; i++) ids[i] = (unsigned char)script[i];
    lithe_model *m = scripted(ids + 1, n - 1, 256);
    lithe_session *s = lithe_session_open(m, 0, &err);
    *h = (heard){ .whole = true, .stop_after = h->stop_after };
    if (!o.max_tokens) o.max_tokens = (int)n - 1;
    CHECK_MSG(!lithe_generate(s, t, ids, 1, &o, hear, h, &reason, &err), "%s", err.text);
    CHECK_MSG(h->whole, "of \"%s\" a listener got less than whole characters", script);
    lithe_session_close(s);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
    return reason;
}

static bool is(const heard *h, const char *text) { return h->length == strlen(text) && !memcmp(h->text, text, h->length); }

static void check_heard(const char *script, lithe_generation o, const char *text, const char *reason)
{
    heard h = { 0 };
    const char *found = continued(&h, script, o);
    CHECK_MSG(is(&h, text), "\"%s\" is heard as \"%.*s\", not \"%s\"", script, (int)h.length, h.text, text);
    CHECK_MSG(!strcmp(found, reason), "\"%s\" ends by %s, not %s", script, found, reason);
}

#define FFFD "\xef\xbf\xbd"

void text_streams(void)
{
    heard h = { 0 };
    const char *reason = continued(&h, "_a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", LITHE_OPTIONS(lithe_generation));
    CHECK(is(&h, "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z") && !strcmp(reason, "length"));
    CHECK_MSG(h.gives == 5, "%d pieces of 5 characters", h.gives);
    /* cut off */
    check_heard("_\xe2\x82\xac\xe2\x82\xac", LITHE_OPTIONS(lithe_generation, .max_tokens = 5), "\xe2\x82\xac" FFFD, "length");
    check_heard("_a\x80\xc3z\xff\xf4\x90\x80\x80!", LITHE_OPTIONS(lithe_generation), "a" FFFD FFFD "z" FFFD FFFD FFFD FFFD FFFD "!", "length");
    /* beginnings of characters are one each */
    check_heard("_\xf0\x9f\x98.\xf0\x9f\xe4\xbd\xf4\x8f\xbf!", LITHE_OPTIONS(lithe_generation), FFFD "." FFFD FFFD FFFD "!", "length");
    /* overlong, surrogate */
    check_heard("_\xe0\x80\xaf\xed\xa0\x80\xc0\xaf.", LITHE_OPTIONS(lithe_generation), FFFD FFFD FFFD FFFD FFFD FFFD FFFD FFFD ".", "length");
}

void what_may_be_shown(void)
{
    static const struct { const char *text; const char *stop[2]; size_t show, stopped; } cases[] = {
        { "abc", { NULL }, 3, SIZE_MAX }, { "", { NULL }, 0, SIZE_MAX }, { "ab", { "" }, 2, SIZE_MAX },
        { "ab\xc3", { NULL }, 2, SIZE_MAX }, { "ab\xe2\x82", { NULL }, 2, SIZE_MAX }, { "ab\xf0\x9f\x98", { NULL }, 2, SIZE_MAX }, { "ab\xe2\x82\xac", { NULL }, 5, SIZE_MAX },
        { "abEN", { "END" }, 2, SIZE_MAX }, { "abEND", { "END" }, 2, 2 }, { "abENDEN", { "END" }, 2, 2 }, { "ENEN", { "END" }, 2, SIZE_MAX },
        { "aab", { "abc", "b" }, 2, 2 }, { "xaba", { "abab" }, 1, SIZE_MAX }, { "xab", { "bz", "abq" }, 1, SIZE_MAX }, { "END", { "END", "E" }, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t stopped, stops = 0;
        while (stops < 2 && cases[i].stop[stops]) stops++;
        size_t show = showable(cases[i].text, strlen(cases[i].text), cases[i].stop, (int)stops, &stopped);
        CHECK_MSG(show == cases[i].show && stopped == cases[i].stopped, "\"%s\": %zd shown, stop at %zd", cases[i].text, show, stopped);
    }
}

/* The stream by itself: what each id gives, and what is left at the end. */
void ids_become_text(void)
{
    static const char *const stop[] = { "END", "\xe2\x82\xac" };
    static const struct { const char *ids, *shown[12], *rest; bool stopped; } cases[] = {
        { "ab", { "a", "b" }, "", false }, { "\xe2\x82\xa1!", { "", "", "\xe2\x82\xa1", "!" }, "", false }, { "aEN", { "a", "", "" }, "EN", false },
        { "aENDb", { "a", "", "", "", "" }, "", true }, { "x\xe2\x82\xac.", { "x", "", "", "", "" }, "", true }, { "a\xff.", { "a", "", FFFD "." }, "", false },
        { "a\xc3", { "a", "" }, FFFD, false }, { "EEND", { "", "E", "", "" }, "", true } };
    lithe_error err = { 0 };
    lithe_tokenizer *bytes = lithe_tokenizer_open("bytes", &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_stream t;
        shown_text out;
        text_stream_open(&t, bytes, -1, stop, 2);
        for (size_t k = 0; k < strlen(cases[i].ids); k++) {
            CHECK_MSG(!text_stream_add(&t, (unsigned char)cases[i].ids[k], &out, &err), "%s", err.text);
            CHECK_MSG(out.n == strlen(cases[i].shown[k]) && !memcmp(out.bytes ? out.bytes : "", cases[i].shown[k], out.n), "\"%s\", id %zu: \"%.*s\"", cases[i].ids, k, (int)out.n, out.bytes);
        }
        CHECK(t.stopped == cases[i].stopped && !text_stream_end(&t, &out, &err));
        CHECK_MSG(out.n == strlen(cases[i].rest) && !memcmp(out.bytes ? out.bytes : "", cases[i].rest, out.n), "\"%s\" leaves \"%.*s\"", cases[i].ids, (int)out.n, out.bytes);
        text_stream_close(&t);
    }
    lithe_tokenizer_close(bytes);
}

void stop_strings(void)
{
    const char *end[] = { "END" }, *two[] = { "abc", "b" }, *euro[] = { "\xe2\x82\xac" }, *empty[] = { "" };
    check_heard("_hello END more", LITHE_OPTIONS(lithe_generation, .stop = end, .stops = 1), "hello ", "stop");
    check_heard("_hEllo EN dEND more", LITHE_OPTIONS(lithe_generation, .stop = end, .stops = 1), "hEllo EN d", "stop");
    /* Held back, then given. */
    check_heard("_hello EN", LITHE_OPTIONS(lithe_generation, .stop = end, .stops = 1), "hello EN", "length");
    check_heard("_ENENEND", LITHE_OPTIONS(lithe_generation, .stop = end, .stops = 1), "ENEN", "stop");
    check_heard("_xabc", LITHE_OPTIONS(lithe_generation, .stop = two, .stops = 2), "xa", "stop");
    check_heard("_5\xe2\x82\xac!", LITHE_OPTIONS(lithe_generation, .stop = euro, .stops = 1), "5", "stop");
    check_heard("_5\xe2\x82\xa1!", LITHE_OPTIONS(lithe_generation, .stop = euro, .stops = 1), "5\xe2\x82\xa1!", "length");
    check_heard("_abc", LITHE_OPTIONS(lithe_generation, .stop = empty, .stops = 1), "abc", "length");
    check_heard("_END", LITHE_OPTIONS(lithe_generation, .stop = end, .stops = 1), "", "stop");
}

/* ---- how it ends ------------------------------------------------------------------------- */

static void check_eos(void)
{
    const char *text = "aabbaabbaacc ddcc aabb";
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_train(text, strlen(text), 260, &err);
    CHECK_MSG(t, "%s", err.text);
    int32_t eos = lithe_tokenizer_eos(t), ids[PLACES];
    size_t n = lithe_encode(t, "xyz", 3, 0, ids, PLACES);
    CHECK(n == 3 && eos >= 0);
    int32_t script[] = { ids[0], ids[1], eos, ids[2], ids[2] };
    lithe_model *m = scripted(script, 5, lithe_tokenizer_vocab(t));
    for (int ignore = 0; ignore < 2; ignore++) {
        lithe_session *s = lithe_session_open(m, 0, &err);
        heard h = { .whole = true };
        const char *reason = "";
        lithe_generation o = { .size = sizeof o, .max_tokens = 5, .ignore_eos = ignore };
        CHECK_MSG(!lithe_generate(s, t, ids, 1, &o, hear, &h, &reason, &err), "%s", err.text);
        CHECK_MSG(!strcmp(reason, ignore ? "length" : "eos"), "%s", reason);
        CHECK_MSG(h.length >= 2 && !memcmp(h.text, "xy", 2) && (ignore ? h.length >= 4 && !memcmp(h.text + h.length - 2, "zz", 2) : h.length == 2), "%.*s", (int)h.length, h.text);
        CHECK_MSG(lithe_session_length(s) == (ignore ? 6 : 3), "the session stands after %zu", lithe_session_length(s));
        lithe_session_close(s);
    }
    lithe_model_close(m);
    lithe_tokenizer_close(t);
}

static void check_sampling(lithe_session *s)
{
    const lithe_sampling bad[] = { LITHE_OPTIONS(lithe_sampling, .temperature = -1), LITHE_OPTIONS(lithe_sampling, .temperature = NAN), LITHE_OPTIONS(lithe_sampling, .top_p = 1.5f),
        LITHE_OPTIONS(lithe_sampling, .min_p = -0.5f), LITHE_OPTIONS(lithe_sampling, .top_k = -1), LITHE_OPTIONS(lithe_sampling, .repetition = INFINITY) };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        CHECK_MSG(lithe_session_sample(s, &bad[i], &err) == -1 && err.status == LITHE_EINVAL && strstr(err.text, "expected a number"), "%zu: %s", i, err.text);
    }
}

static void check_full(void)
{
    lithe_error err = { 0 };
    int32_t script[PLACES], prompt[PLACES + 1];
    for (int i = 0; i < PLACES; i++) script[i] = prompt[i] = 'a' + i % 26;
    prompt[PLACES] = 'a';
    lithe_model *m = scripted(script, PLACES, 256);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_session *s = lithe_session_open(m, 20, &err);
    heard h = { .whole = true };
    const char *reason = "";
    /* No limit but the context. */
    CHECK(!lithe_generate(s, t, prompt, 5, &LITHE_OPTIONS(lithe_generation), hear, &h, &reason, &err));
    CHECK_MSG(!strcmp(reason, "full") && h.length == 16 && lithe_session_length(s) == 20, "%s after %zu", reason, h.length);
    CHECK(!memcmp(h.text, "efghijklmnopqrst", 16));
    CHECK(lithe_generate(s, t, prompt, 21, &LITHE_OPTIONS(lithe_generation), hear, &h, &reason, &err) == LITHE_EFULL && strstr(err.text, "21") && strstr(err.text, "20"));
    err = (lithe_error){ 0 };
    CHECK(!reason);
    err = (lithe_error){ 0 };
    CHECK(lithe_generate(s, t, prompt, 0, &LITHE_OPTIONS(lithe_generation), hear, &h, &reason, &err) == LITHE_EINVAL && err.text[0] && !reason);
    err = (lithe_error){ 0 };
    h = (heard){ .whole = true, .stop_after = 3 };                      /* what was shown has been read */
    CHECK(!lithe_generate(s, t, prompt, 2, &LITHE_OPTIONS(lithe_generation), hear, &h, &reason, &err) && !strcmp(reason, "cancelled"));
    CHECK_MSG(lithe_session_length(s) == 5 && h.length == 3, "%zu ids, %zu bytes", lithe_session_length(s), h.length);
    check_sampling(s);
    CHECK(lithe_generate(NULL, t, prompt, 1, &LITHE_OPTIONS(lithe_generation), hear, &h, NULL, &err) && lithe_generate(s, NULL, prompt, 1, &LITHE_OPTIONS(lithe_generation), hear, &h, NULL, &err));
    CHECK(err.status == LITHE_EINVAL && strstr(err.text, "there is no session"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_generate(s, t, prompt, 20, &LITHE_OPTIONS(lithe_generation, .max_tokens = 5), NULL, NULL, NULL, &err));
    lithe_session_close(s);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* Numbers that are none end a text with an error, what was shown before stays; nothing is swallowed. */
static void check_failure(void)
{
    const int32_t script[] = { 'a', 'b', 'c', 'd' };
    lithe_error err = { 0 };
    lithe_model *m = scripted(script, 4, 256);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_session *s = lithe_session_open(m, 0, &err);
    const int32_t prompt[] = { '_' };
    for (int sticky = 0; sticky < 2; sticky++) {
        heard h = { .whole = true };
        const char *reason = "";
        weight_edit(&params_find(m->params, "wpe.weight")->weight)[2 * PLACES + 2] = NAN;
        int status = lithe_generate(s, t, prompt, 1, &LITHE_OPTIONS(lithe_generation, .max_tokens = 4), hear, &h, &reason, sticky ? NULL : &err);
        CHECK_MSG(status == LITHE_EFORMAT && !reason && is(&h, "ab"), "%d, \"%.*s\"", status, (int)h.length, h.text);
        CHECK_MSG(strstr(err.text, "wpe.weight: value 130 is nan"), "%s", err.text);
        /* It stands before the failure. */
        CHECK(lithe_session_sample(s, &(lithe_sampling){ .size = sizeof(lithe_sampling) }, NULL) == 'b');
        lithe_session_sync(s, NULL, 0, NULL);
    }
    lithe_session_close(s);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* ---- generation_config.json ---------------------------------------------------------------- */

static lithe_error opened;                           /* by model_beside */

static lithe_model *model_beside(const char *generation, const char *config_end)
{
    const int32_t script[] = { 'a', 'b', 'c', 'd' };
    lithe_error err = { 0 };
    opened = (lithe_error){ 0 };
    lithe_model *m = scripted(script, 4, 256);
    const char *dir = in_dir("beside"), *path = in_dir("beside/generation_config.json");
    if (config_end) json_object_set_new(m->json, "eos_token_id", json_loads(config_end, JSON_DECODE_ANY, NULL));
    if (path_exists(dir)) CHECK(!dir_remove(dir, &err));
    CHECK_MSG(!lithe_model_save(m, dir, NULL, NULL, &err), "%s", err.text);
    lithe_model_close(m);
    if (generation) CHECK(!file_write(path, generation, strlen(generation), &err));
    return lithe_model_open(dir, NULL, &opened);
}

void ends_by_files(void)
{
    static const struct { const char *generation, *config, *text; } cases[] = {
        { NULL, NULL, "abcd" }, { NULL, "99", "ab" }, { NULL, "[7, 98]", "a" }, { "{\"eos_token_id\": [98, 99]}", "100", "a" },
        { "{\"eos_token_id\": 100}", "[97]", "abc" }, { "{\"eos_token_id\": null}", "99", "ab" }, { "{}", "99", "ab" },
    };
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_model *m = model_beside(cases[i].generation, cases[i].config);
        lithe_session *s = lithe_session_open(m, 0, &err);
        heard h = { .whole = true };
        CHECK_MSG(!lithe_generate(s, t, (const int32_t[]){ '_' }, 1, &LITHE_OPTIONS(lithe_generation, .max_tokens = 4), hear, &h, NULL, &err), "%s", err.text);
        CHECK_MSG(is(&h, cases[i].text), "%zu: \"%.*s\", not \"%s\"", i, (int)h.length, h.text, cases[i].text);
        lithe_session_close(s);
        lithe_model_close(m);
    }
    static const char *const bad[][2] = { { "{\"eos_token_id\": \"99\"}", NULL }, { "{\"eos_token_id\": [99, 1.5]}", NULL }, { NULL, "\"99\"" }, { NULL, "[{}]" } };
    for (int i = 0; i < 4; i++) {
        CHECK_MSG(!model_beside(bad[i][0], bad[i][1]) && strstr(opened.text, "eos_token_id"), "%s", opened.text);
    }
    lithe_tokenizer_close(t);
}

void sampling_by_files(void)
{
    static const struct { const char *json; int given; float temperature, top_p, min_p, repetition; int top_k; } cases[] = {
        { "{}", 0, 0.8f, 0, 0, 0, 0 }, { "{\"do_sample\": false, \"temperature\": 0.5}", 1, 0, 0, 0, 0, 0 }, { "{\"do_sample\": true}", 1, 1, 0, 0, 0, 50 },
        { "{\"do_sample\": true, \"temperature\": 0.5, \"top_k\": 20, \"top_p\": 0.25, \"min_p\": null, \"repetition_penalty\": 1.5, \"max_new_tokens\": 9}", 1, 0.5f, 0.25f, 0, 1.5f, 20 },
        { "{\"repetition_penalty\": 1.25, \"num_beams\": 1, \"anything\": null}", 0, 0.8f, 0, 0, 1.25f, 0 },
    };
    static const struct { const char *json, *why; } bad[] = {
        { "{\"num_beams\": 4}", "\"num_beams\": 4" }, { "{\"do_sample\": true, \"temperature\": NaN}", "temperature" }, { "{\"do_sample\": true, \"top_k\": -1}", "top_k" },
        { "{\"bad_words_ids\": [[5]]}", "bad_words_ids" }, { "{\"no_repeat_ngram_size\": 3}", "no_repeat_ngram_size" }, { "{\"do_sample\": true, \"top_p\": 7}", "top_p" },
        { "{\"temperature\": \"warm\"}", "temperature" }, { "{\"do_sample\": false, \"top_k\": 0.5}", "top_k" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        lithe_model *m = model_beside(cases[i].json, NULL);
        lithe_sampling o = LITHE_OPTIONS(lithe_sampling, .temperature = 0.8f);
        CHECK_MSG(lithe_sampling_read(m, &o, &err) == cases[i].given, "%s: %s", cases[i].json, err.text);
        CHECK_MSG(o.temperature == cases[i].temperature && o.top_p == cases[i].top_p && o.min_p == cases[i].min_p && o.repetition == cases[i].repetition && o.top_k == cases[i].top_k,
                  "%s: %g %g %g %g %d", cases[i].json, (double)o.temperature, (double)o.top_p, (double)o.min_p, (double)o.repetition, o.top_k);
        lithe_model_close(m);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        lithe_model *m = model_beside(bad[i].json, NULL);
        lithe_sampling o = LITHE_OPTIONS(lithe_sampling);
        CHECK_MSG(lithe_sampling_read(m, &o, &err) == LITHE_ECONFIG && strstr(err.text, bad[i].why), "%s: %s", bad[i].json, err.text);
        lithe_model_close(m);
    }
}

void ends_of_text(void)
{
    check_eos();
    check_full();
    check_failure();
    check_heard("_hello", LITHE_OPTIONS(lithe_generation, .max_tokens = 2), "he", "length");
    heard h = { .stop_after = 3 };
    const char *reason = continued(&h, "_hello", LITHE_OPTIONS(lithe_generation));
    CHECK_MSG(is(&h, "hel") && !strcmp(reason, "cancelled"), "\"%.*s\", %s", (int)h.length, h.text, reason);
    h = (heard){ .stop_after = 2 };
    reason = continued(&h, "_a\xff.", LITHE_OPTIONS(lithe_generation));
    CHECK_MSG(is(&h, "a" FFFD ".") && !strcmp(reason, "cancelled"), "\"%.*s\", %s", (int)h.length, h.text, reason);
}
