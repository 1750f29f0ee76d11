/* The state of a conversation leaves one server and goes on in another, and every answer is the one without it. */
#include "base/base64.h"
#include "serve_tests.h"
#include "test.h"
#include <stdlib.h>

static const char *const NAMES[] = { "gpt2", "rwkv7", "hybrid", NULL };
enum { MODELS = 3 };
static const char TALE[] = "once upon a time there was a cat, and the cat sat on a mat until the rain was over; then it went out to see the sun";

static char *state_of(const stand *s, const char *model, const char *prompt, const char *from)
{
    json_t *answer = posted(s, "/v1/state", 200, "{\"model\":\"%s\",\"prompt\":\"%s\"%s%s%s}", model, prompt, from ? ",\"state\":\"" : "", from ? from : "", from ? "\"" : "");
    const char *text = json_string_value(json_object_get(answer, "state"));
    CHECK(!strcmp(json_string_value(json_object_get(answer, "object")), "state") && !strcmp(json_string_value(json_object_get(answer, "model")), model));
    CHECK(json_integer_value(json_object_get(answer, "tokens")) == (json_int_t)strlen(prompt));
    char *state = strdup(text ? text : "");
    json_decref(answer);
    return state;
}

static char *choices_after(const stand *s, const char *model, const char *prompt, const char *state)
{
    json_t *answer = posted(s, "/v1/completions", 200, "{\"model\":\"%s\",\"prompt\":\"%s\",\"max_tokens\":12,\"seed\":4,\"n\":2,\"logprobs\":1%s%s%s}", model, prompt,
                            state ? ",\"state\":\"" : "", state ? state : "", state ? "\"" : "");
    char *text = json_dumps(json_object_get(answer, "choices"), JSON_SORT_KEYS);
    json_decref(answer);
    return text;
}

static void states_go_on(void)
{
    stand here = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 2)), there = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 2, .prefix_bytes = 1));
    for (int m = 0; m < MODELS; m++) {
        char longer[200];
        snprintf(longer, sizeof longer, "%s, and more", TALE);
        char *state = state_of(&here, NAMES[m], TALE, NULL), *extended = state_of(&there, NAMES[m], longer, state), *whole = state_of(&here, NAMES[m], longer, NULL);
        CHECK_MSG(!strcmp(extended, whole), "%s: a state that was read on differs from that of the whole text", NAMES[m]);
        for (int more = 0; more < 2; more++) {
            const char *prompt = more ? longer : TALE;
            char *with = choices_after(&there, NAMES[m], prompt, state), *without = choices_after(&there, NAMES[m], prompt, NULL);
            CHECK_MSG(!strcmp(with, without), "%s: with the state\n%s\nwithout\n%s", NAMES[m], with, without);
            free(with), free(without);
        }
        free(state), free(extended), free(whole);
    }
    stand_close(&here);
    stand_close(&there);
}

/* The file in an answer is one that a session loads. */
static void sessions_take_it(void)
{
    lithe_error err = { 0 };
    stand s = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 2));
    for (int m = 0; m < MODELS; m++) {
        size_t n;
        char *text = state_of(&s, NAMES[m], TALE, NULL), *bytes = base64_decode(text, strlen(text), &n);
        const char *path = in_dir("state");
        int32_t ids[sizeof TALE];
        lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
        lithe_session *from_file = lithe_session_open(s.models[m], 0, &err), *from_text = lithe_session_open(s.models[m], 0, &err);
        FILE *f = fopen(path, "wb");
        CHECK(bytes && f && fwrite(bytes, 1, n, f) == n && !fclose(f));
        size_t count = lithe_encode(t, TALE, strlen(TALE), 0, ids, sizeof TALE);
        CHECK_MSG(!lithe_session_load(from_file, t, path, &err) && !lithe_session_sync(from_text, ids, count, &err), "%s", err.text);
        const float *a = lithe_session_logits(from_file), *b = lithe_session_logits(from_text);
        CHECK_MSG(a && b && !memcmp(a, b, 256 * sizeof *a), "%s", NAMES[m]);
        lithe_session_close(from_file);
        lithe_session_close(from_text);
        lithe_tokenizer_close(t);
        free(text), free(bytes);
    }
    stand_close(&s);
}

static void conversations(void)
{
    static const char messages[] = "[{\"role\":\"user\",\"content\":\"tell me of the cat\"}]";
    stand s = stand_open((const char *const[]){ "rwkv7", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = 2, .prefix_bytes = 1));
    json_t *saved = posted(&s, "/v1/state", 200, "{\"messages\":%s}", messages);
    const char *state = json_string_value(json_object_get(saved, "state"));
    json_t *with = posted(&s, "/v1/chat/completions", 200, "{\"messages\":%s,\"max_tokens\":9,\"seed\":2,\"state\":\"%s\"}", messages, state);
    json_t *without = posted(&s, "/v1/chat/completions", 200, "{\"messages\":%s,\"max_tokens\":9,\"seed\":2}", messages);
    CHECK(json_equal(json_object_get(with, "choices"), json_object_get(without, "choices")) && json_array_size(json_object_get(with, "choices")) == 1);
    json_decref(saved), json_decref(with), json_decref(without);
    stand_close(&s);
}

static void refused(const stand *s, const char *path, const char *message, const char *format, const char *state)
{
    json_t *answer = posted(s, path, 400, format, state);
    const char *said = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
    CHECK_MSG(said && strstr(said, message), "%s: %s", message, said ? said : "");
    json_decref(answer);
}

static void states_refused(void)
{
    stand s = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 2));
    char *state = state_of(&s, "rwkv7", "abcdef", NULL), *damaged = strdup(state);
    refused(&s, "/v1/completions", "state is no base64", "{\"model\":\"rwkv7\",\"prompt\":\"abcdef\",\"state\":\"%s\"}", "a*cd");
    refused(&s, "/v1/completions", "state: ", "{\"model\":\"rwkv7\",\"prompt\":\"abcdef\",\"state\":\"%s\"}", "YWJjZGVmZ2hpamts");
    refused(&s, "/v1/completions", "is a session of the rwkv7 model", "{\"model\":\"gpt2\",\"prompt\":\"abcdef\",\"state\":\"%s\"}", state);
    refused(&s, "/v1/completions", "does not begin with the 6 tokens", "{\"model\":\"rwkv7\",\"prompt\":\"abcdeg\",\"state\":\"%s\"}", state);
    refused(&s, "/v1/completions", "does not begin with the 6 tokens", "{\"model\":\"rwkv7\",\"prompt\":\"abcde\",\"state\":\"%s\"}", state);
    refused(&s, "/v1/completions", "leave out state", "{\"model\":\"rwkv7\",\"prompt\":\"abcdef\",\"echo\":true,\"logprobs\":1,\"state\":\"%s\"}", state);
    refused(&s, "/v1/state", "either prompt or messages", "{\"model\":\"rwkv7\",\"state\":\"%s\"}", state);
    refused(&s, "/v1/state", "state must be a string", "{\"model\":\"rwkv7\",\"prompt\":\"abcdef\",\"state\":%s}", "7");
    for (size_t i = 0; i < 40; i++) {                   /* some bytes of the file become others */
        size_t n = strlen(damaged);
        memcpy(damaged, state, n);
        memcpy(damaged + i * (n / 40 / 4) * 4, "////", 4);
        json_t *body = json_pack("{s:s, s:s, s:i, s:s}", "model", "rwkv7", "prompt", "abcdef", "max_tokens", 1, "state", damaged);
        char *text = json_dumps(body, 0);
        reply r = http_post(s.port, "/v1/completions", text);
        CHECK_MSG(r.status == 200 || r.status == 400, "change %zu: status %d", i, r.status);
        reply_free(&r);
        free(text);
        json_decref(body);
    }
    /* Nothing of them was kept. */
    char *again = state_of(&s, "rwkv7", "abcdef", NULL);
    CHECK(!strcmp(again, state));
    free(state), free(damaged), free(again);
    stand_close(&s);
}

static void base64_vectors(void)
{
    static const char *const pairs[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
    static const char *const bad[] = { "Zg=", "Z===", "Zg==Zg==", "Zm9-", "Zm 9", "=Zm9", "Zg=A" };
    size_t n;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = base64_encode(pairs[i][0], strlen(pairs[i][0])), *bytes = base64_decode(pairs[i][1], strlen(pairs[i][1]), &n);
        CHECK(!strcmp(text, pairs[i][1]) && bytes && n == strlen(pairs[i][0]) && !memcmp(bytes, pairs[i][0], n));
        free(text), free(bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *bytes = base64_decode(bad[i], strlen(bad[i]), &n);
        CHECK_MSG(!bytes, "%s was taken", bad[i]);
        free(bytes);
    }
}

const test tests_serve_state[] = {
    { "serve: base64 of RFC 4648", base64_vectors },
    { "serve: states go on in another server", states_go_on },
    { "serve: sessions take a server's states", sessions_take_it },
    { "serve: states of conversations", conversations },
    { "serve: states refused", states_refused },
    { 0 }
};
