/* What a server does not do: answer without a key, read too much, wait too long, lose a socket, or fail others because
 * of one request. */
#include "serve_tests.h"
#include "test.h"
#include "tree.h"
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const GPT2[] = { "gpt2", NULL };
#define REFERENCE "{\"prompt\":\"abc\",\"max_tokens\":8,\"seed\":5}"

static char *reference(const stand *s)
{
    json_t *answer = posted(s, "/v1/completions", 200, REFERENCE);
    char *text = strdup(choice_text(answer, 0));
    json_decref(answer);
    return text;
}

/* ---- keys -------------------------------------------------------------------------- */

static int status_with(int port, const char *path, const char *authorization)
{
    char text[300];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, authorization);
    reply r = http_exchange(port, text, strlen(text));
    int status = r.status;
    reply_free(&r);
    return status;
}

static void keys_are_asked_for(void)
{
    static const char *const keys[] = { "first-key", "second-key" };
    lithe_error err = { 0 };
    stand s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .keys = keys, .key_count = 2));
    CHECK(status_with(s.port, "/v1/models", "") == 401 && status_with(s.port, "/v1/models", "Authorization: Bearer first-kez\r\n") == 401);
    CHECK(status_with(s.port, "/v1/models", "Authorization: Bearer \r\n") == 401 && status_with(s.port, "/v1/models", "Authorization: Bearer first-key2\r\n") == 401);
    CHECK(status_with(s.port, "/v1/models", "Authorization: Bearer first-key\r\n") == 200 && status_with(s.port, "/v1/models", "authorization: bearer second-key\r\n") == 200);
    CHECK(status_with(s.port, "/health", "") == 200 && status_with(s.port, "/metrics", "") == 401 && status_with(s.port, "/nowhere", "") == 401);
    stand_close(&s);
    CHECK(!lithe_server_open(&LITHE_OPTIONS(lithe_server_options, .host = "0.0.0.0"), &err) && err.status == LITHE_EINVAL && strstr(err.text, "--no-auth"));
    err = (lithe_error){ 0 };
    lithe_server *open_to_all = lithe_server_open(&LITHE_OPTIONS(lithe_server_options, .host = "0.0.0.0", .no_auth = 1), &err);
    CHECK_MSG(open_to_all, "%s", err.text);
    lithe_server_close(open_to_all);
}

/* ---- sizes and times ------------------------------------------------------------------ */

static int status_of(int port, const char *text)
{
    reply r = http_exchange(port, text, strlen(text));
    int status = r.status;
    reply_free(&r);
    return status;
}

#define HEAD(EXTRA) "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" EXTRA "\r\n"
#define JSON_TYPE "Content-Type: application/json\r\n"

static void bodies_have_a_limit(void)
{
    enum { LIMIT = 2000 };
    stand s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .body = LIMIT));
    char big[LIMIT + 400], chunked[LIMIT + 400];
    memset(big, ' ', sizeof big);
    memcpy(big, REFERENCE, sizeof REFERENCE - 1);
    big[LIMIT] = 0;
    json_decref(posted(&s, "/v1/completions", 200, "%s", big));
    big[LIMIT] = ' ';
    big[LIMIT + 1] = 0;
    json_decref(posted(&s, "/v1/completions", 413, "%s", big));
    /* Nothing of it was sent. */
    CHECK(status_of(s.port, HEAD(JSON_TYPE "Content-Length: 100000000\r\n")) == 413);
    snprintf(chunked, sizeof chunked, HEAD(JSON_TYPE "Transfer-Encoding: chunked\r\n") "%x\r\n%s\r\n0\r\n\r\n", LIMIT + 1, big);
    CHECK(status_of(s.port, chunked) == 413);
    char *head = malloc(40000);
    snprintf(head, 40000, "GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: %36000d\r\n\r\n", 1);
    reply large = http_exchange(s.port, head, strlen(head));
    CHECK_MSG(large.status == 431 && strstr(large.body, "{\"error\"") && strstr(large.body, "at most 32768 are read"), "status %d: %s", large.status, large.body);
    reply_free(&large);
    free(head);
    head = malloc(90000);
    snprintf(head, 90000, "GET /v1/models HTTP/1.1\r\nX: %80000d\r\n\r\n", 1);
    CHECK(status_of(s.port, head) == 431);
    free(head);
    CHECK(status_of(s.port, HEAD("Content-Type: text/plain\r\nContent-Length: 2\r\n") "{}") == 415);
    stand_close(&s);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A byte of a request each 200 ms: it is ended although it is never silent, with 408 unless a pause was too long. */
static void slow_clients_are_ended(void)
{
    static const char *const slow[] = { "GET /health HTTP/1.1\r\nHost: localhost\r\nX: 1234567890123456789012345678901234567890", HEAD(JSON_TYPE "Content-Length: 1000\r\n") "          " };
    stand s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .client_seconds = 1));
    for (int k = 0; k < 2; k++) {
        char bytes[500];
        int socket = http_connect(s.port);
        double begin = seconds();
        ssize_t got = -1;
        size_t length = strlen(slow[k]), at = k ? length - 10 : 20;
        http_write(socket, slow[k], at);
        for (; got < 0 && seconds() - begin < 8; at += at < length) {
            http_write(socket, slow[k] + at, at < length);
            nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
            got = recv(socket, bytes, sizeof bytes, MSG_DONTWAIT);
        }
        CHECK_MSG(seconds() - begin < 6 && (got == 0 || (got > 12 && !memcmp(bytes, "HTTP/1.1 408", 12))), "after %.1f s: %zd bytes", seconds() - begin, got);
        close(socket);
    }
    CHECK(status_with(s.port, "/health", "") == 200);
    stand_close(&s);
}

/* ---- sockets --------------------------------------------------------------------------- */

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) test_skip("no /proc");
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* Clients that leave at every moment: before a byte, in the head, in the body, while they are answered. */
static void no_socket_is_lost(void)
{
    enum { CYCLES = 600 };
    stand s = stand_open((const char *const[]){ "rwkv7", NULL }, &LITHE_OPTIONS(lithe_server_options, .parallel = 2));
    char *endless[2] = { http_post_text("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":1000000,\"ignore_eos\":true}"),
                         http_post_text("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":1000000,\"ignore_eos\":true,\"stream\":true}") };
    char *before = NULL;
    int files = 0;
    for (int i = 0; i < CYCLES; i++) {
        char *text = endless[i & 1], byte;
        size_t n = strlen(text), part[] = { 0, 20, n - 10, n, n, n };
        int socket = http_connect(s.port);
        CHECK(socket >= 0);
        http_write(socket, text, part[i % 6]);
        if (i % 6 == 5 && (i & 1)) CHECK(recv(socket, &byte, 1, 0) == 1);
        /* Every third connection is reset. */
        if (i % 3 == 1) setsockopt(socket, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
        close(socket);
        if (i != CYCLES / 4) continue;
        before = reference(&s);
        files = open_files();
    }
    char *after = reference(&s);
    for (int i = 0; i < 50 && open_files() > files; i++) nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    CHECK_MSG(open_files() <= files, "%d files are open, and %d were", open_files(), files);
    CHECK(!strcmp(before, after));
    free(before), free(after), free(endless[0]), free(endless[1]);
    stand_close(&s);
}

/* ---- what is wrong with requests ---------------------------------------------------------- */

/* Each is refused, or answered, and the next request is as well as ever. */
static const char *const RAW[] = {
    "\r\n\r\n", "GET\r\n\r\n", "GET /health\r\n\r\n", "GET /health HTTP/9.9\r\nHost: a\r\n\r\n", "get /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "GET  /health  HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "PUT /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "DELETE /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /%2e%2e/%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /v1/models/%0d%0aX:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET http://other/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /health?a=%zz&b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /health HTTP/1.1\r\nNo colon\r\nConnection: close\r\n\r\n", "GET /health HTTP/1.1\r\n: empty\r\nConnection: close\r\n\r\n", "GET /health HTTP/1.1\r\n folded\r\nConnection: close\r\n\r\n",
    "GET /health HTTP/1.0\r\n\r\n", "GET /health HTTP/1.1\nHost: a\nConnection: close\n\n", "HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "OPTIONS /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde", "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    HEAD(JSON_TYPE "Content-Length: 2\r\nContent-Length: 20\r\n") "{}", HEAD(JSON_TYPE "Content-Length: -1\r\n") "{}", HEAD(JSON_TYPE "Content-Length: 99999999999999999999\r\n") "{}",
    HEAD(JSON_TYPE "Content-Length: 2x\r\n") "{}", HEAD(JSON_TYPE "Content-Length: 0\r\n"), HEAD(JSON_TYPE), HEAD(JSON_TYPE "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") "2\r\n{}\r\n0\r\n\r\n",
    HEAD(JSON_TYPE "Transfer-Encoding: chunked\r\n") "fffffffffffffffff\r\n{}\r\n0\r\n\r\n", HEAD(JSON_TYPE "Transfer-Encoding: chunked\r\n") "zz\r\n{}\r\n0\r\n\r\n",
    HEAD(JSON_TYPE "Transfer-Encoding: chunked\r\n") "-2\r\n{}\r\n0\r\n\r\n", HEAD(JSON_TYPE "Transfer-Encoding: gzip\r\n") "{}", HEAD(JSON_TYPE "Transfer-Encoding: chunked\r\n") "2\r\n{}0\r\n\r\n",
    HEAD("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2\r\n") "{}", HEAD("Content-Type: application/jsonp\r\nContent-Length: 2\r\n") "{}", HEAD("Expect: 200-maybe\r\n" JSON_TYPE "Content-Length: 2\r\n") "{}",
};

/* Bodies that are no request for a completion: 400 each. */
static const char *const BODIES[] = {
    "", " ", "{", "}", "[", "[]", "null", "true", "3", "\"a\"", "{}}", "{} {}", "{\"prompt\"}", "{\"prompt\":}", "{prompt:\"a\"}", "{'prompt':'a'}", "{\"prompt\":\"a\",}", "{\"prompt\":\"a\" \"n\":1}",
    "{\"prompt\":\"a\",\"prompt\":\"b\"}", "{\"prompt\":\"\xff\"}", "{\"prompt\":\"\xc3\"}", "{\"prompt\":\"\xed\xa0\x80\"}", "{\"prompt\":\"\\ud800\"}", "{\"prompt\":\"\\udc00\\ud800\"}", "{\"prompt\":\"\\x\"}", "{\"prompt\":\"\\u12\"}",
    "{\"prompt\":\"a\nb\"}", "{\"prompt\":\"a", "{\"a\\u0000b\":1}", "// no\n{}", "{\"prompt\":01}", "{\"prompt\":+1}", "{\"prompt\":.5}", "{\"prompt\":1.}", "{\"prompt\":NaN}", "{\"prompt\":-Infinity}",
    "{\"prompt\":3}", "{\"prompt\":true}", "{\"prompt\":{}}", "{\"prompt\":[]}", "{\"prompt\":[[]]}", "{\"prompt\":[[1],[]]}", "{\"prompt\":[1,\"a\"]}", "{\"prompt\":[\"a\",1]}", "{\"prompt\":[[1,\"a\"]]}", "{\"prompt\":[[[1]]]}",
    "{\"prompt\":[-1]}", "{\"prompt\":[256]}", "{\"prompt\":[1.5]}", "{\"prompt\":[1e99]}", "{\"prompt\":[99999999999999999999]}", "{\"prompt\":[null]}", "{\"prompt\":[true]}", "{\"prompt\":\"a\",\"model\":3}",
    "{\"prompt\":\"a\",\"stop\":3}", "{\"prompt\":\"a\",\"stop\":[3]}", "{\"prompt\":\"a\",\"stop\":[\"a\",null]}", "{\"prompt\":\"a\",\"stop\":{}}", "{\"prompt\":\"a\",\"stop\":\"\\u0000\"}", "{\"prompt\":\"a\",\"logit_bias\":3}",
    "{\"prompt\":\"a\",\"logit_bias\":{\"a\":1}}", "{\"prompt\":\"a\",\"logit_bias\":{\"256\":1}}", "{\"prompt\":\"a\",\"logit_bias\":{\"-1\":1}}", "{\"prompt\":\"a\",\"logit_bias\":{\"1\":\"a\"}}", "{\"prompt\":\"a\",\"logit_bias\":{\"1\":101}}",
    "{\"prompt\":\"a\",\"suffix\":\"b\"}", "{\"prompt\":\"a\",\"best_of\":2}", "{\"prompt\":\"a\",\"stream_options\":3}", "{\"prompt\":\"a\",\"stream_options\":{\"include_usage\":3}}",
};

/* Numbers at, beside and far from the ends of their range; what is not one of these is 400. */
static const struct { const char *key; double least, most; bool whole; } NUMBERS[] = {
    { "temperature", 0, 100, false }, { "top_p", 0, 1, false }, { "min_p", 0, 1, false }, { "presence_penalty", -2, 2, false }, { "frequency_penalty", -2, 2, false }, { "repetition_penalty", 1e-3, 100, false },
    { "n", 1, 128, true }, { "logprobs", 0, 20, true }, { "max_tokens", 0, 2147483647, true }, { "top_k", -1, 2147483647, true }, { "seed", -9.2e18, 9.2e18, true },
};
static const char *const FLAGS[] = { "echo", "stream", "ignore_eos", "truncate" };
static const char *const OTHERS[] = { "\"1\"", "[1]", "{}", "true", "1e999", "-1e999", "NaN", "\"NaN\"", "99999999999999999999999", "-99999999999999999999999", "1e-999999" };
enum { OTHER_COUNT = sizeof OTHERS / sizeof *OTHERS };

static int tried;

static void check_number(const stand *s, const char *key, const char *value, int expected)
{
    char body[300];
    snprintf(body, sizeof body, "{\"prompt\":\"a\",\"%s\":%s%s}", key, value, strcmp(key, "max_tokens") ? ",\"max_tokens\":1" : "");
    reply r = http_post(s->port, "/v1/completions", body);
    bool right = expected ? r.status == expected : r.status == 200 || r.status == 400;
    CHECK_MSG(right, "%s: status %d, expected %d: %.200s", body, r.status, expected, r.body ? r.body : "");
    if (r.status == 400 && expected) CHECK_MSG(strstr(r.body, key) || strstr(r.body, "line 1"), "%s: %.200s", body, r.body);
    reply_free(&r);
    tried++;
}

static void check_numbers(const stand *s)
{
    char value[64];
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) {
        const char *key = NUMBERS[i].key;
        bool seed = !strcmp(key, "seed");
        for (int side = 0; side < 2 && !seed; side++) {
            double end = side ? NUMBERS[i].most : NUMBERS[i].least, beyond = side ? end + 1 : end - 1;
            snprintf(value, sizeof value, NUMBERS[i].whole ? "%.0f" : "%.17g", end);
            check_number(s, key, value, 200);
            snprintf(value, sizeof value, NUMBERS[i].whole ? "%.0f" : "%.17g", beyond);
            check_number(s, key, value, 400);
        }
        check_number(s, key, "null", 200);
        if (NUMBERS[i].whole) check_number(s, key, "1.5", 400);
        for (int k = 0; k < OTHER_COUNT; k++) check_number(s, key, OTHERS[k], k < 4 ? 400 : 0);
    }
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++) {
        check_number(s, FLAGS[i], "null", 200);
        for (int k = 0; k < OTHER_COUNT; k++) if (strcmp(OTHERS[k], "true")) check_number(s, FLAGS[i], OTHERS[k], 400);
    }
}

/* Deep and long ones. */
static void check_extremes(const stand *s)
{
    enum { LONG = 100000 };
    char *text = malloc(LONG + 100);
    for (int depth = 60; depth < 70; depth++) {
        int n = sprintf(text, "{\"prompt\":\"a\",\"max_tokens\":1,\"x\":");
        memset(text + n, '[', (size_t)depth), memset(text + n + depth, ']', (size_t)depth);
        strcpy(text + n + 2 * depth, "}");
        json_decref(posted(s, "/v1/completions", depth < 64 ? 200 : 400, "%s", text));
        tried++;
    }
    int n = sprintf(text, "{\"prompt\":\"a\",\"max_tokens\":1,\"temperature\":");
    memset(text + n, '9', LONG - 100);
    strcpy(text + n + LONG - 100, "}");
    json_decref(posted(s, "/v1/completions", 400, "%s", text));
    memset(text, '[', LONG);
    text[LONG] = 0;
    json_decref(posted(s, "/v1/completions", 400, "%s", text));
    tried += 2;
    free(text);
}

static void malformed_requests_harm_nobody(void)
{
    static const char *const paths[] = { "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/embed", "/predict", "/rerank", "/fill", "/tokenize", "/detokenize", "/apply-template" };
    stand s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .client_seconds = 1));
    char *before = reference(&s);
    for (size_t i = 0; i < sizeof RAW / sizeof *RAW; i++, tried++) {
        int status = status_of(s.port, RAW[i]);
        CHECK_MSG(status < 500 || status == 501 || status == 505, "%.60s: status %d", RAW[i], status);
        CHECK_MSG(status_with(s.port, "/health", "") == 200, "after %.60s", RAW[i]);
    }
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++, tried++) json_decref(posted(&s, "/v1/completions", 400, "%s", BODIES[i]));
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
        for (size_t i = 0; i < 36; i++, tried++) json_decref(posted(&s, paths[p], 400, "%s", BODIES[i]));
    check_numbers(&s);
    check_extremes(&s);
    char *after = reference(&s);
    CHECK(!strcmp(before, after));
    CHECK_MSG(tried >= 700, "%d requests", tried);
    free(before), free(after);
    stand_close(&s);
}

/* ---- the log ---------------------------------------------------------------------------------- */

typedef struct { char text[8000]; int lines; } journal;

static void note(void *context, const char *line)
{
    journal *j = context;
    json_t *record = json_loads(line, 0, NULL);
    CHECK_MSG(record && json_is_integer(json_object_get(record, "status")), "%s", line);
    json_decref(record);
    strncat(j->text, line, sizeof j->text - strlen(j->text) - 1);
    j->lines++;
}

static void texts_are_not_logged(void)
{
    static journal j;
    stand s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .log = note, .log_context = &j, .log_json = 1));
    json_decref(posted(&s, "/v1/completions", 200, "{\"prompt\":\"SECRET\",\"max_tokens\":2,\"user\":\"SECRET\"}"));
    json_decref(posted(&s, "/v1/completions", 404, "{\"prompt\":\"a\",\"model\":\"SECRET\\r\\n{}\"}"));
    CHECK(status_with(s.port, "/SECRET%0d%0a", "Authorization: Bearer SECRET\r\n") == 404);
    stand_close(&s);
    CHECK_MSG(j.lines == 3 && !strstr(j.text, "SECRET") && strstr(j.text, "/v1/completions"), "%d lines: %s", j.lines, j.text);
}

static void other_origins_are_not_served(void)
{
    static const char ask[] = "OPTIONS /v1/completions HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n";
    stand s = stand_open(GPT2, NULL);
    reply r = http_exchange(s.port, ask, sizeof ask - 1);
    CHECK(r.status == 405 && !reply_header(&r, "Access-Control-Allow-Origin"));
    reply_free(&r);
    stand_close(&s);
    s = stand_open(GPT2, &LITHE_OPTIONS(lithe_server_options, .cors = "https://a.example"));
    r = http_exchange(s.port, ask, sizeof ask - 1);
    CHECK(r.status == 204 && !strncmp(reply_header(&r, "Access-Control-Allow-Origin"), "https://a.example\r", 18) && reply_header(&r, "Access-Control-Allow-Headers"));
    reply_free(&r);
    stand_close(&s);
}

const test tests_serve_limits[] = {
    { "serve: keys are asked for", keys_are_asked_for },
    { "serve: bodies have a limit", bodies_have_a_limit },
    { "serve: slow clients are ended", slow_clients_are_ended },
    { "serve: no socket is lost", no_socket_is_lost },
    { "serve: malformed requests harm nobody", malformed_requests_harm_nobody },
    { "serve: texts are not logged", texts_are_not_logged },
    { "serve: other origins are not served", other_origins_are_not_served },
    { 0 }
};
