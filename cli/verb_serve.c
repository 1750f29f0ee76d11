/* lithe serve: models over HTTP, until a signal ends it. */
#include "inputs.h"
#include "interrupt.h"
#include "lithe_serve.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct {
    common common;
    int port, parallel, context, queue, connections, no_auth;
    double body, client_time, prefix_cache;
    const char *host, *key_file, *tokenizer, *cache_type, *template, *cors, *log_format;
} serve_settings;
typedef serve_settings S;

static const option serve_options[] = {
    { "port", 'p', COUNT(S, port), "N", "8080", .help = "port to listen at; 0: any free one, which is printed", .most = 65535, .group = "address", .first = 1 },
    { "host", 0, TEXT(S, host), "ADDRESS", "127.0.0.1", .help = "address to listen at; one that other machines reach needs --api-key-file or --no-auth", .also = "bind,listen,address", .first = 1 },
    { "api-key-file", 0, FILENAME(S, key_file), "FILE", .help = "file with a key on each line: requests have to bring one (also the variable LITHE_API_KEY, with one key)", .also = "api-key,key,auth", .first = 1 },
    { "no-auth", 0, FLAG(S, no_auth), .help = "let anybody who reaches --host use the server", .first = 1 },
    { "parallel", 0, COUNT(S, parallel), "N", "8", .help = "sequences that a model continues at once; others wait", .least = 1, .most = 4096, .also = "slots,np,max-num-seqs", .group = "models and sequences", .first = 1 },
    { "context", 0, COUNT(S, context), "N", .help = "tokens that each sequence holds (default: the context of the model; a recurrent model has no limit)", .least = 2, .also = "ctx,ctx-size,max-model-len", .first = 1 },
    { "cache-type", 0, CHOICE(S, cache_type), "TYPE", .help = "how keys and values are kept (default: f16 if the model is stored in 16 bits or fewer, else f32)", .choices = "f32|f16|q8_0" },
    { "chat-template", 0, TEXT(S, template), "NAME|FILE", .help = "how conversations are written, as --template of lithe chat (default: as the model's files say)", .also = "template", .choices = CHAT_TEMPLATES },
    { "queue", 0, COUNT(S, queue), "N", "256", .help = "requests that may wait; more are answered 429", .least = 1, .group = "limits" },
    { "connections", 0, COUNT(S, connections), "N", "1100", .help = "largest number of open connections", .least = 1, .most = 60000 },
    { "prefix-cache", 0, SIZE(S, prefix_cache), "BYTES", "256M", .help = "memory for the states after beginnings of prompts, from which later prompts that begin so are read on; 0: none", .also = "cache-ram,cache-reuse", .first = 1 },
    { "max-body", 0, SIZE(S, body), "BYTES", "4M", .help = "largest body of a request", .least = 1 },
    { "client-time", 0, TIME(S, client_time), "TIME", "30s", .help = "how long a client may take to send a request, or to read more of an answer", .least = 1, .also = "timeout" },
    { "cors", 0, TEXT(S, cors), "ORIGIN", .help = "let web pages of this origin use the server (default: none); *: any", .first = 1 },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own, with one MODEL", .group = "model and log" },
    { "log-format", 0, CHOICE(S, log_format), "FORMAT", "text", .help = "form of the line that each request gets on standard error", .choices = "text|json|none" },
    { 0 }
};

/* ---- keys --------------------------------------------------------------------------- */

typedef struct { char *text; const char **keys; int count; } key_list;

static void add_key(key_list *k, char *key, lithe_error *err)
{
    const char **more = realloc(k->keys, ((size_t)k->count + 1) * sizeof *more);
    if (!more) { wrong(err, LITHE_ENOMEM, "out of memory for the keys"); return; }
    k->keys = more;
    k->keys[k->count++] = key;
}

/* The lines of the file that are not empty, and the variable's key. */
static void keys_open(key_list *k, const char *path, lithe_error *err)
{
    size_t size = 0;
    char *variable = getenv("LITHE_API_KEY");
    if (path) k->text = read_text(path, SMALL_TEXT, &size, err);
    for (char *at = k->text; at && at < k->text + size && !err->status; ) {
        size_t n = strcspn(at, "\r\n");
        char *end = at + n;
        *end = 0;
        if (n) add_key(k, at, err);
        at = end + 1;
    }
    if (path && !k->count) wrong(err, LITHE_EFORMAT, "%s: there is no key in it", path);
    if (variable && *variable) add_key(k, variable, err);
}

/* ---- models -------------------------------------------------------------------------- */

/* NAME=PATH, or a path, whose last part without an ending is the name. */
static const char *split_name(const char *operand, char *name, size_t cap)
{
    const char *equals = strchr(operand, '=');
    if (equals && equals > operand && !memchr(operand, '/', (size_t)(equals - operand))) {
        snprintf(name, cap, "%.*s", (int)(equals - operand), operand);
        return equals + 1;
    }
    size_t n = strlen(operand);
    while (n > 1 && operand[n - 1] == '/') n--;
    const char *base = operand + n;
    while (base > operand && base[-1] != '/') base--;
    snprintf(name, cap, "%.*s", (int)(n - (size_t)(base - operand)), base);
    static const char *const endings[] = { ".gguf", ".safetensors", ".pth", ".bin" };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(name), ending = strlen(endings[i]);
        if (length > ending && !strcmp(name + length - ending, endings[i])) name[length - ending] = 0;
    }
    return operand;
}

static lithe_model *serve_model(lithe_server *server, const char *operand, const S *s, lithe_error *err)
{
    char name[256];
    const char *path = split_name(operand, name, sizeof name);
    lithe_model *m = open_model(path, NULL, err);
    const char *tokenizer = s->tokenizer ? s->tokenizer : m ? lithe_model_tokenizer(m) : NULL;
    if (m && !tokenizer) wrong(err, LITHE_EINVAL, "%s: has no tokenizer; give --tokenizer PATH or --tokenizer bytes", path);
    if (m && !err->status) lithe_server_add(server, name, m, tokenizer, NULL, err);
    if (m && !err->status) say("%s: %s, %zu parameters", name, lithe_model_arch(m), lithe_model_params(m));
    return m;
}

/* ---- running --------------------------------------------------------------------------- */

static void log_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

/* Each connection is a file. */
static void allow_files(int connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + 100;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted) say("the system allows %llu open files: fewer than %d connections are possible", (unsigned long long)limit.rlim_cur, connections);
}

/* The address as a client writes it. */
static void print_address(const lithe_server *server, const char *host)
{
    const char *colon = strchr(host, ':') ? "[" : "", *end = *colon ? "]" : "";
    printf("http://%s%s%s:%d\n", colon, host, end, lithe_server_port(server));
    fflush(stdout);
}

/* Until a signal comes, or the file of a model is not what it was: an answer would be another model's. */
static void wait_for_end(lithe_model *const *models, int count, lithe_error *err)
{
    while (!interrupted()) {
        for (int i = 0; i < count; i++) if (lithe_model_intact(models[i], err)) return;
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
    }
    say("no new requests are taken; those that run have 8 seconds to end");
}

static int serve(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    key_list keys = { 0 };
    if (s->tokenizer && a->count > 1) return usage("--tokenizer goes with one MODEL; put each model's tokenizer beside it");
    lithe_model **models = calloc((size_t)a->count, sizeof *models);
    keys_open(&keys, s->key_file, &err);
    allow_files(s->connections);
    interrupt_catch(false);
    const lithe_server_options o = LITHE_OPTIONS(lithe_server_options, .host = s->host, .port = s->port, .keys = keys.keys, .key_count = keys.count, .no_auth = s->no_auth,
        .parallel = s->parallel, .context = s->context, .cache_type = s->cache_type, .queue = s->queue, .connections = s->connections, .body = (size_t)s->body, .prefix_bytes = s->prefix_cache < 1 ? 1 : (size_t)s->prefix_cache,
        .client_seconds = s->client_time, .chat_template = s->template, .cors = s->cors, .log = output_quiet() || !strcmp(s->log_format, "none") ? NULL : log_line, .log_json = !strcmp(s->log_format, "json"));
    lithe_server *server = models && !err.status ? lithe_server_open(&o, &err) : NULL;
    if (server) print_address(server, s->host);
    for (int i = 0; i < a->count && server && !err.status && !interrupted(); i++) models[i] = serve_model(server, a->operands[i], s, &err);
    char *memory = server && !err.status && !interrupted() && !lithe_server_ready(server, &err) ? lithe_server_memory(server) : NULL;
    if (memory) say("%s", memory);
    if (server && !err.status) wait_for_end(models, a->count, &err);
    lithe_server_stop(server, 8);
    lithe_server_close(server);
    for (int i = 0; i < a->count && models; i++) lithe_model_close(models[i]);
    free(memory);
    free(models);
    free(keys.keys);
    free(keys.text);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_serve = {
    .name = "serve", .operands = "MODEL...", .least = 1, .most = -1,
    .summary = "answer requests over HTTP, by OpenAI's interface",
    .about = "Serves models under the last part of their paths, or as NAME=MODEL, until SIGTERM or Ctrl-C; running requests then have 8 seconds to end. "
             "When the file of a model is changed meanwhile, it ends with exit code 3. "
             "The address is printed on standard output, and /health answers 200 when the models are open. Several requests are continued at once, and "
             "none changes the answer of another: the same request with the same seed gives the same text in any company. docs/serving.md has the routes.\n\n"
             "Only this machine reaches the server unless --host says otherwise, and then a key is needed, or --no-auth.",
    .examples = "  lithe serve runs/tale-1\n"
                "  lithe serve chat=models/llama.gguf runs/bert --port 8000 --parallel 16\n"
                "  lithe serve runs/tale-1 --host 0.0.0.0 --api-key-file keys.txt\n\n"
                "  curl http://127.0.0.1:8080/v1/completions -H 'Content-Type: application/json' -d '{\"prompt\": \"Once upon a time\", \"max_tokens\": 50}'\n\n"
                "  # Python's openai\n"
                "  client = openai.OpenAI(base_url=\"http://127.0.0.1:8080/v1\", api_key=\"none\")\n"
                "  client.chat.completions.create(model=\"tale-1\", messages=[{\"role\": \"user\", \"content\": \"Hello\"}])\n\n"
                "  lm_eval --model local-completions --tasks lambada_openai \\\n"
                "      --model_args base_url=http://127.0.0.1:8080/v1/completions,model=tale-1,tokenizer_backend=remote\n\n"
                "  # systemd (docs/serving.md has a hardened unit)\n"
                "  ExecStart=/usr/local/bin/lithe serve /srv/models/tale --log-format json\n\n"
                "  # nginx\n"
                "  location / {\n    proxy_pass http://127.0.0.1:8080; proxy_http_version 1.1;\n    proxy_buffering off;\n  }\n",
    .options = serve_options, .bytes = sizeof(S), .run = serve,
};
