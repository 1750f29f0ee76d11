/* The server: what each route answers, that no request changes the answer of another, and that it stops in order. */
#include "infer/infer.h"
#include "model/model.h"
#include "serve_tests.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- the server ----------------------------------------------------------------------- */

static const struct { const char *arch, *config; } MODELS[] = {
    { "gpt2", "{\"vocab_size\":256,\"n_positions\":320,\"n_embd\":60,\"n_layer\":2,\"n_head\":3,\"initializer_range\":0.2}" },
    { "rwkv7", "{\"vocab_size\":256,\"max_position_embeddings\":320,\"hidden_size\":48,\"head_dim\":8,\"num_hidden_layers\":2,\"intermediate_size\":72}" },
    { "hybrid", "{\"vocab_size\":256,\"max_position_embeddings\":320,\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":8,\"intermediate_size\":72,\"initializer_range\":0.2,\"mixer\":\"rwkv7,attention\"}" },
};

lithe_model *serve_model(const char *name)
{
    lithe_error err = { 0 };
    const char *config = NULL;
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) if (!strcmp(MODELS[i].arch, name)) config = MODELS[i].config;
    lithe_model *m = lithe_model_new(name, config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, 3);
    return m;
}

stand stand_listen(const lithe_server_options *o)
{
    lithe_error err = { 0 };
    stand s = { .server = lithe_server_open(o, &err) };
    if (err.status == LITHE_EDEVICE) test_skip("built without libmicrohttpd");
    if (!s.server) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    s.port = lithe_server_port(s.server);
    return s;
}

void stand_add(stand *s, const char *name, lithe_model *m, const char *tokenizer)
{
    lithe_error err = { 0 };
    s->models[s->count++] = m;
    CHECK_MSG(!lithe_server_add(s->server, name, m, tokenizer, NULL, &err), "%s", err.text);
}

void stand_ready(stand *s)
{
    lithe_error err = { 0 };
    CHECK_MSG(!lithe_server_ready(s->server, &err), "%s", err.text);
}

stand stand_open(const char *const *archs, const lithe_server_options *o)
{
    stand s = stand_listen(o);
    for (; *archs; archs++) stand_add(&s, *archs, serve_model(*archs), "bytes");
    stand_ready(&s);
    return s;
}

void stand_close(stand *s)
{
    lithe_server_close(s->server);
    for (int i = 0; i < s->count; i++) lithe_model_close(s->models[i]);
}

static stand stand_gpt2(int parallel) { return stand_open((const char *const[]){ "gpt2", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = parallel)); }

/* ---- answers ----------------------------------------------------------------------------- */

json_t *posted(const stand *s, const char *path, int status, const char *format, ...)
{
    char *body = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&body, format, args) < 0) body = NULL;
    va_end(args);
    reply r = http_post(s->port, path, body);
    CHECK_MSG(r.status == status, "%s %.200s: status %d, expected %d: %.300s", path, body, r.status, status, r.body ? r.body : "");
    json_t *json = reply_json(&r);
    CHECK_MSG(json, "%s: no JSON: %.300s", path, r.body ? r.body : "");
    reply_free(&r);
    free(body);
    return json;
}

const json_t *choice_at(const json_t *answer, size_t i) { return json_array_get(json_object_get(answer, "choices"), i); }
const char   *choice_text(const json_t *answer, size_t i) { return json_string_value(json_object_get(choice_at(answer, i), "text")); }

double metric_in(const char *page, const char *name)
{
    char line[200];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *found = strstr(page, line);
    return found ? atof(found + strlen(line)) : NAN;
}

double metric(const stand *s, const char *name)
{
    reply r = http_get(s->port, "/metrics");
    double value = r.body ? metric_in(r.body, name) : NAN;
    reply_free(&r);
    return value;
}

bool metric_becomes(const stand *s, const char *name, double value)
{
    for (int i = 0; i < 1000; i++) {
        if (metric(s, name) == value) return true;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return false;
}

static const json_t *at(const json_t *object, const char *key) { return json_object_get(object, key); }

static void append_list(json_t *list, const json_t *more)
{
    for (size_t i = 0; i < json_array_size(more); i++) json_array_append(list, json_array_get(more, i));
}

/* Adds a part of a choice to the whole one. */
static void join_choice(json_t *whole, const json_t *part)
{
    static const char *const lists[] = { "tokens", "token_logprobs", "top_logprobs", "text_offset" };
    char *text = NULL;
    if (asprintf(&text, "%s%s", json_string_value(at(whole, "text")), json_string_value(at(part, "text"))) < 0) return;
    json_object_set_new(whole, "text", json_string(text));
    free(text);
    CHECK(json_is_null(at(whole, "finish_reason")));
    json_object_set(whole, "finish_reason", json_object_get(part, "finish_reason"));
    for (size_t i = 0; i < 4 && json_is_object(at(whole, "logprobs")); i++)
        append_list(json_object_get(json_object_get(whole, "logprobs"), lists[i]), at(at(part, "logprobs"), lists[i]));
}

/* The choices of a stream, joined, in the order of their indices. */
static json_t *joined(const json_t *events)
{
    json_t *all = json_array();
    for (size_t e = 0; e < json_array_size(events); e++) {
        json_t *choices = json_object_get(json_array_get(events, e), "choices");
        for (size_t c = 0; c < json_array_size(choices); c++) {
            json_t *part = json_array_get(choices, c);
            size_t index = (size_t)json_integer_value(at(part, "index"));
            while (json_array_size(all) <= index) json_array_append_new(all, json_null());
            if (json_is_object(json_array_get(all, index))) join_choice(json_array_get(all, index), part);
            else json_array_set_new(all, index, json_deep_copy(part));
        }
    }
    return all;
}

/* The choices of an answer as text. */
static char *choices_of(const stand *s, const char *body, bool stream)
{
    int done = 1;
    reply r = http_post(s->port, "/v1/completions", body);
    CHECK_MSG(r.status == 200, "%s: status %d: %.300s", body, r.status, r.body ? r.body : "");
    json_t *answer = stream ? reply_events(&r, &done) : reply_json(&r), *all = stream ? joined(answer) : json_incref(json_object_get(answer, "choices"));
    CHECK_MSG(done, "the stream of %s does not end by [DONE]", body);
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(all);
    json_decref(answer);
    reply_free(&r);
    return text;
}

/* ---- routes ------------------------------------------------------------------------------- */

static void check_status(int port, const char *path, int status, const char *part)
{
    reply r = http_get(port, path);
    CHECK_MSG(r.status == status && strstr(r.body ? r.body : "", part), "%s: status %d, expected %d with %s: %s", path, r.status, status, part, r.body ? r.body : "");
    reply_free(&r);
}

static void models_have_names(void)
{
    lithe_error err = { 0 };
    stand s = stand_listen(NULL);
    check_status(s.port, "/livez", 200, "ok");
    check_status(s.port, "/health", 503, "Loading model");
    check_status(s.port, "/v1/models", 503, "unavailable_error");
    CHECK(lithe_server_ready(s.server, &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    for (; s.count < 2; s.count++) {
        s.models[s.count] = serve_model(MODELS[s.count].arch);
        CHECK_MSG(!lithe_server_add(s.server, MODELS[s.count].arch, s.models[s.count], "bytes", NULL, &err), "%s", err.text);
    }
    CHECK(lithe_server_add(s.server, "gpt2", s.models[0], "bytes", NULL, &err) == LITHE_EINVAL && strstr(err.text, "two models are called gpt2"));
    err = (lithe_error){ 0 };
    CHECK_MSG(!lithe_server_ready(s.server, &err), "%s", err.text);
    check_status(s.port, "/health", 200, "ok");
    check_status(s.port, "/readyz", 200, "ok");
    check_status(s.port, "/v1/models", 200, "\"id\":\"rwkv7\"");
    check_status(s.port, "/v1/models/gpt2", 200, "\"arch\":\"gpt2\"");
    check_status(s.port, "/v1/models/gpt3", 404, "model_not_found");
    json_t *one = posted(&s, "/v1/completions", 200, "{\"model\":\"rwkv7\",\"prompt\":\"a\",\"max_tokens\":1}");
    CHECK(!strcmp(json_string_value(at(one, "model")), "rwkv7"));
    json_decref(one);
    json_decref(posted(&s, "/v1/completions", 400, "{\"prompt\":\"a\",\"max_tokens\":1}"));
    reply r = http_post(s.port, "/v1/completions", "{\"model\":\"gpt2\",\"prompt\":\"a\",\"max_tokens\":1,\"b\\r\\nc\":1,\"d\":2}");
    CHECK(r.status == 200 && reply_header(&r, "X-Lithe-Ignored") && !strncmp(reply_header(&r, "X-Lithe-Ignored"), "bc, d\r", 6));
    reply_free(&r);
    char *memory = lithe_server_memory(s.server);
    CHECK(memory && strstr(memory, "serving takes at most"));
    free(memory);
    stand_close(&s);
}

static void tokens_and_back(void)
{
    stand s = stand_gpt2(1);
    json_t *a = posted(&s, "/tokenize", 200, "{\"prompt\":\"h\\u00e9\",\"add_special_tokens\":false}"), *b = posted(&s, "/detokenize", 200, "{\"tokens\":[104,195,169]}");
    char *ids = json_dumps(at(a, "tokens"), JSON_COMPACT);
    CHECK(!strcmp(ids, "[104,195,169]") && json_integer_value(at(a, "count")) == 3);
    CHECK(!strcmp(json_string_value(at(b, "prompt")), "h\xc3\xa9") && !strcmp(json_string_value(at(b, "content")), "h\xc3\xa9"));
    json_t *c = posted(&s, "/tokenize", 200, "{\"content\":\"h\\u00e9\",\"with_pieces\":true}");
    CHECK(!strcmp(json_string_value(at(json_array_get(at(c, "tokens"), 0), "piece")), "h") && json_is_array(at(json_array_get(at(c, "tokens"), 1), "piece")));
    check_status(s.port, "/tokenizer_info", 200, "\"eos_token\":");
    json_decref(posted(&s, "/detokenize", 400, "{\"tokens\":[256]}"));
    free(ids);
    json_decref(a), json_decref(b), json_decref(c);
    stand_close(&s);
}

/* ---- completions ----------------------------------------------------------------------------- */

static int keep(void *context, const char *text, size_t n)
{
    char *all = context;
    strncat(all, text, n);
    return 0;
}

/* A served completion is what `lithe generate` writes with the same seed. */
static void completes_like_generate(void)
{
    static const struct { float temperature, top_p; int top_k; uint64_t seed; } HOW[] = { { 0, 0, 0, 0 }, { 1, 0, 0, 7 }, { 0.7f, 0.9f, 40, 11 } };
    lithe_error err = { 0 };
    stand s = stand_gpt2(2);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    for (size_t i = 0; i < 3; i++) {
        char text[400] = "";
        lithe_session *session = lithe_session_open(s.models[0], 0, &err);
        const lithe_sampling how = LITHE_OPTIONS(lithe_sampling, .temperature = HOW[i].temperature, .top_p = HOW[i].top_p, .top_k = HOW[i].top_k, .seed = HOW[i].seed);
        CHECK_MSG(!lithe_generate(session, t, (const int32_t[]){ 'a', 'b', 'c' }, 3, &LITHE_OPTIONS(lithe_generation, .sampling = &how, .max_tokens = 24), keep, text, NULL, &err), "%s", err.text);
        json_t *answer = posted(&s, "/v1/completions", 200, "{\"prompt\":\"abc\",\"max_tokens\":24,\"temperature\":%g,\"top_p\":%g,\"top_k\":%d,\"seed\":%d}",
                                (double)HOW[i].temperature, (double)HOW[i].top_p, HOW[i].top_k, (int)HOW[i].seed);
        CHECK_MSG(!strcmp(choice_text(answer, 0), text), "\"%s\" is served, \"%s\" is generated", choice_text(answer, 0), text);
        json_decref(answer);
        lithe_session_close(session);
    }
    lithe_tokenizer_close(t);
    stand_close(&s);
}

static void check_scores(const stand *s, const int32_t *ids, size_t n)
{
    lithe_error err = { 0 };
    char prompt[2000] = "";
    float nll[300];
    for (size_t i = 0; i < n; i++) snprintf(prompt + strlen(prompt), sizeof prompt - strlen(prompt), "%s%d", i ? "," : "", ids[i]);
    if (n > 1) CHECK_MSG(!lithe_score(s->models[0], ids, n, 0, 0, nll, NULL, &err), "%s", err.text);
    json_t *answer = posted(s, "/v1/completions", 200, "{\"model\":\"gpt2\",\"prompt\":[[%s]],\"temperature\":0,\"max_tokens\":1,\"logprobs\":1,\"seed\":1234,\"echo\":true}", prompt);
    const json_t *lists = at(choice_at(answer, 0), "logprobs"), *values = at(lists, "token_logprobs"), *tops = at(lists, "top_logprobs");
    CHECK_MSG(json_array_size(values) == n + 1 && json_array_size(tops) == n + 1 && json_array_size(at(lists, "tokens")) == n + 1, "%zu entries for %zu tokens", json_array_size(values), n);
    CHECK(json_is_null(json_array_get(values, 0)) && json_is_null(json_array_get(tops, 0)));
    for (size_t i = 1; i < n; i++) {
        double served = json_real_value(json_array_get(values, i));
        CHECK_MSG(fabs(served + (double)nll[i - 1]) <= 1e-5, "token %zu of %zu: %.9g is served, %.9g is scored", i, n, served, -(double)nll[i - 1]);
        json_t *top = json_array_get(tops, i), *value;
        const char *key;
        double most = -INFINITY;
        json_object_foreach(top, key, value) most = fmax(most, json_real_value(value));
        CHECK(json_object_size(top) >= 1 && json_object_size(top) <= 2 && most >= served);
    }
    json_decref(answer);
}

static void prompts_are_scored(void)
{
    stand s = stand_gpt2(3);
    int32_t ids[250];
    for (int i = 0; i < 250; i++) ids[i] = (int32_t)(random_u64(5, (uint64_t)i) % 256);
    static const size_t lengths[] = { 1, 2, 31, 32, 33, 250 };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) check_scores(&s, ids, lengths[i]);
    json_t *none = posted(&s, "/v1/completions", 200, "{\"prompt\":\"abc\",\"max_tokens\":0,\"logprobs\":0,\"echo\":true}");
    CHECK(json_array_size(at(at(choice_at(none, 0), "logprobs"), "tokens")) == 3 && !strcmp(choice_text(none, 0), "abc"));
    json_decref(none);
    stand_close(&s);
}

/* ---- in any company ---------------------------------------------------------------------------- */

#define SHAPE(EXTRA) "{\"model\":\"%s\",\"prompt\":\"%s\",\"max_tokens\":20,\"seed\":%d,\"temperature\":0.9" EXTRA "}"
static const char *const SHAPES[] = {
    SHAPE(",\"logprobs\":2,\"echo\":true"), SHAPE(",\"n\":3,\"top_p\":0.9"), SHAPE(",\"presence_penalty\":0.5,\"frequency_penalty\":0.25,\"logit_bias\":{\"65\":3}"),
    SHAPE(",\"stop\":[\"a\",\"\\u00e9\"],\"repetition_penalty\":1.2"),
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES, NEIGHBOURS = 16 };

/* A request with a prompt of its own, in one piece or as a stream. */
static char *request_of(const char *model, int i, bool stream)
{
    static const char shown[] = "Es war einmal ein Mann, der hatte drei Soehne und nichts weiter im Vermoegen als das Haus, worin er wohnte. Nun haette jeder gerne nach seinem Tode das Haus gehabt";
    char *plain = NULL, *whole = NULL, prompt[200];
    snprintf(prompt, sizeof prompt, "%.*s", 1 + 9 * i % 150, shown);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (asprintf(&plain, SHAPES[i % SHAPE_COUNT], model, prompt, 40 + i) < 0) return NULL;
#pragma GCC diagnostic pop
    if (asprintf(&whole, "%.*s%s}", (int)strlen(plain) - 1, plain, stream ? ",\"stream\":true" : "") < 0) return NULL;
    free(plain);
    return whole;
}

typedef struct { const stand *s; const char *model; int i; bool stream; char *answer; } visitor;

static void *visit(void *context)
{
    visitor *v = context;
    char *body = request_of(v->model, v->i, v->stream);
    v->answer = choices_of(v->s, body, v->stream);
    free(body);
    return NULL;
}

static void check_company(const stand *s, const char *model)
{
    char *alone[NEIGHBOURS];
    visitor v[2 * NEIGHBOURS];
    pthread_t threads[2 * NEIGHBOURS];
    for (int i = 0; i < NEIGHBOURS; i++) {
        visitor one = { .s = s, .model = model, .i = i };
        visit(&one);
        alone[i] = one.answer;
    }
    for (int k = 0; k < 2 * NEIGHBOURS; k++) {
        v[k] = (visitor){ .s = s, .model = model, .i = k % NEIGHBOURS, .stream = k < NEIGHBOURS };
        pthread_create(&threads[k], NULL, visit, &v[k]);
    }
    for (int k = 0; k < 2 * NEIGHBOURS; k++) {
        pthread_join(threads[k], NULL);
        CHECK_MSG(!strcmp(v[k].answer, alone[v[k].i]), "%s, request %d %s: alone\n%s\nand in company\n%s", model, v[k].i, v[k].stream ? "as a stream" : "", alone[v[k].i], v[k].answer);
        free(v[k].answer);
    }
    for (int i = 0; i < NEIGHBOURS; i++) free(alone[i]);
}

static void same_bytes_in_company(void)
{
    static const char *const both[] = { "gpt2", "rwkv7", NULL };
    stand s = stand_open(both, &LITHE_OPTIONS(lithe_server_options, .parallel = 5));
    for (int i = 0; i < 2; i++) check_company(&s, both[i]);
    stand_close(&s);
}

/* ---- leaving, stopping -------------------------------------------------------------------------------- */

#define ENDLESS "{\"prompt\":\"a\",\"max_tokens\":1000000,\"ignore_eos\":true%s}"

static int begin_endless(const stand *s, const char *more)
{
    char body[200];
    snprintf(body, sizeof body, ENDLESS, more);
    char *text = http_post_text("/v1/completions", body);
    int socket = http_connect(s->port);
    http_write(socket, text, strlen(text));
    free(text);
    return socket;
}

/* A model without end and with one slot: its next client is served only if the one before has left the slot. */
static void a_client_that_leaves_frees_its_slot(void)
{
    char bytes[300];
    stand s = stand_open((const char *const[]){ "rwkv7", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = 1));
    for (int i = 0; i < 6; i++) {
        int socket = begin_endless(&s, i % 2 ? ",\"stream\":true" : "");
        if (i % 2) CHECK(read(socket, bytes, sizeof bytes) > 0);
        else CHECK(metric_becomes(&s, "lithe_slots_busy", 1));
        close(socket);
        json_decref(posted(&s, "/v1/completions", 200, "{\"prompt\":\"b\",\"max_tokens\":2}"));
    }
    stand_close(&s);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *stop(void *context)
{
    lithe_server_stop(context, 1);
    return NULL;
}

static void stopping_ends_in_order(void)
{
    enum { TAIL = 4096 };
    char bytes[2 * TAIL + 1];
    size_t n = 0;
    pthread_t thread;
    stand s = stand_open((const char *const[]){ "rwkv7", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = 2));
    int socket = begin_endless(&s, ",\"stream\":true");
    CHECK(read(socket, bytes, TAIL) > 0);
    double begin = seconds();
    pthread_create(&thread, NULL, stop, s.server);
    for (ssize_t got; (got = read(socket, bytes + n, TAIL)) > 0; ) {
        n += (size_t)got;
        if (n > TAIL) memmove(bytes, bytes + n - TAIL / 2, TAIL / 2), n = TAIL / 2;
    }
    pthread_join(thread, NULL);
    CHECK_MSG(seconds() - begin < 4, "it took %.1f s", seconds() - begin);
    CHECK(http_connect(s.port) < 0);
    bytes[n] = 0;
    CHECK_MSG(strstr(bytes, "the server stops"), "the stream ends by %.200s", bytes + (n > 200 ? n - 200 : 0));
    close(socket);
    stand_close(&s);
}

static void queue_is_bounded(void)
{
    enum { MOST = 3 };
    stand s = stand_open((const char *const[]){ "rwkv7", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = 1, .queue = MOST));
    int sockets[MOST + 1];
    for (int i = 0; i <= MOST; i++) {
        sockets[i] = begin_endless(&s, "");
        CHECK(i ? metric_becomes(&s, "lithe_queue_depth", i) : metric_becomes(&s, "lithe_slots_busy", 1));
    }
    reply r = http_post(s.port, "/v1/completions", "{\"prompt\":\"b\",\"max_tokens\":2}");
    CHECK_MSG(r.status == 429 && reply_header(&r, "Retry-After") && strstr(r.body, "rate_limit_error"), "status %d: %s", r.status, r.body ? r.body : "");
    reply_free(&r);
    for (int i = 0; i <= MOST; i++) close(sockets[i]);
    CHECK(metric_becomes(&s, "lithe_queue_depth", 0));
    json_decref(posted(&s, "/v1/completions", 200, "{\"prompt\":\"b\",\"max_tokens\":2}"));
    stand_close(&s);
}

const test tests_serve[] = {
    { "serve: models have names", models_have_names },
    { "serve: tokens and back", tokens_and_back },
    { "serve: a completion is what generate writes", completes_like_generate },
    { "serve: prompts are scored as by lithe_score", prompts_are_scored },
    { "serve: the same bytes in any company, streamed or not", same_bytes_in_company },
    { "serve: a client that leaves frees its slot", a_client_that_leaves_frees_its_slot },
    { "serve: stopping ends in order", stopping_ends_in_order },
    { "serve: the queue is bounded", queue_is_bounded },
    { 0 }
};
