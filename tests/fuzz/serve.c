/* libFuzzer: requests without their sockets.  The first byte chooses the method, the second the path, or one that
 * follows as a line; the rest is the body.  Whatever comes is answered, in JSON, as events or as a page of metrics. */
#include "base/file.h"
#include "models.h"
#include "scratch.h"
#include "serve/routes.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const PATHS[] = {
    "/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/embed", "/predict", "/rerank", "/v1/rerank", "/fill", "/tokenize", "/detokenize", "/apply-template",
    "/tokenizer_info", "/v1/models", "/v1/models/a", "/metrics", "/health", "/readyz", "/livez",
};
enum { PATH_COUNT = sizeof PATHS / sizeof *PATHS };

static void must(bool ok) { if (!ok) abort(); }

/* A model that continues texts, and an encoder, which stay; their scheduler runs until the process ends. */
static site *the_site(void)
{
    static site s;
    lithe_error err = { 0 };
    char path[SCRATCH_PATH];
    if (s.count) return &s;
    const char *archs[] = { "gpt2", "bert" };
    must(!file_write(scratch_path(path, "vocab.txt"), FUZZ_WORDS, sizeof FUZZ_WORDS - 1, &err));
    pthread_mutex_init(&s.log_mutex, NULL);
    metrics_open(&s.metrics);
    s.prefixes.most = 1 << 20;
    for (; s.count < 2; s.count++) {
        const lithe_engine_options o = LITHE_OPTIONS(lithe_engine_options, .slots = 2);
        s.models[s.count] = served_open(s.count ? "b" : "a", fuzz_model(arch_find(archs[s.count])), path, NULL, &o, NULL, &err);
        must(s.models[s.count]);
        s.models[s.count]->prefixes = &s.prefixes;
    }
    must(!scheduler_start(&s.scheduler, s.models, s.count, 8, 1 << 20, 5, &err));
    atomic_store(&s.ready, true);
    return &s;
}

/* The socket of somebody who waits for an answer. */
static int the_client(void)
{
    static int ends[2];
    must(ends[1] || !socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    return ends[0];
}

static void no_connection(void *connection) { (void)connection; }

/* Waits for the end of the answer and reads it. */
static void read_answer(exchange *x)
{
    char bytes[512];
    for (;;) {
        ssize_t n = exchange_take(x, bytes, sizeof bytes);
        if (n < 0) return;
        if (!n) nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[100] = "";
    const char *allow, *rest = (const char *)data + 2;
    problem p = { 0 };
    if (size < 2) return 0;
    site *s = the_site();
    size_t left = size - 2, line = left && memchr(rest, '\n', left) ? (size_t)((const char *)memchr(rest, '\n', left) - rest) : left;
    bool own = data[1] >= 0xf0 && line < sizeof path && line < left;
    snprintf(path, sizeof path, "%.*s", own ? (int)line : (int)strlen(PATHS[data[1] % PATH_COUNT]), own ? rest : PATHS[data[1] % PATH_COUNT]);
    if (own) rest += line + 1, left -= line + 1;
    const request_head asked = { data[0] & 1 ? "POST" : data[0] & 2 ? "HEAD" : "GET", path, NULL, data[0] & 4 ? "application/json; charset=utf-8" : NULL };
    const route *r = route_find(s, &asked, &allow, &p);
    must(r ? !p.status : p.status >= 400 && p.message[0]);
    exchange *x = exchange_new();
    x->path = strdup(path);
    x->fd = the_client();
    x->park = x->wake = no_connection;
    text_append(&x->body, rest, left);
    if (r) route_call(r, s, x);
    else exchange_refuse(x, &p);
    read_answer(x);
    must(x->status == 200 || (x->status >= 400 && x->status < 600));
    exchange_release(x);
    return 0;
}
