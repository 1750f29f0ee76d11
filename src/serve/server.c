/* The server: its options, its models, its two threads. */
#include "base/arena.h"
#include "base/sized.h"
#include <string.h>
#include "serve/http.h"
#include <stdlib.h>

struct lithe_server { site site; http *http; };

enum { PARALLEL = 8, QUEUE = 256, CONNECTIONS = 1100, BODY = 4 << 20, PREFIXES = 256 << 20 };
static const double CLIENT_SECONDS = 30, LAST_ANSWERS = 1;

static int fill_options(lithe_server_options *o, const lithe_server_options *given, lithe_error *err)
{
    if (options_read(o, sizeof *o, given, "lithe_server_options", err)) return LITHE_EINVAL;
    if (!o->host) o->host = "127.0.0.1";
    if (!o->parallel) o->parallel = PARALLEL;
    if (!o->queue) o->queue = QUEUE;
    if (!o->connections) o->connections = CONNECTIONS;
    if (!o->body) o->body = BODY;
    if (!o->prefix_bytes) o->prefix_bytes = PREFIXES;
    if (!(o->client_seconds > 0)) o->client_seconds = CLIENT_SECONDS;
    if (o->port < 0 || o->port > 65535) return fail(err, LITHE_EINVAL, "port %d: 0 to 65535 are possible", o->port);
    if (o->parallel < 1 || o->queue < 1 || o->connections < 1 || o->context < 0) return fail(err, LITHE_EINVAL, "parallel, queue and connections are at least 1");
    return LITHE_OK;
}

lithe_server *lithe_server_open(const lithe_server_options *o, lithe_error *err)
{
    lithe_server *s = failed(err) ? NULL : xalloc(1, sizeof *s);
    if (!s) { fail(err, LITHE_ENOMEM, "not enough memory for a server"); return NULL; }
    pthread_mutex_init(&s->site.log_mutex, NULL);
    metrics_open(&s->site.metrics);
    if (!fill_options(&s->site.options, o, err)) s->http = http_open(&s->site, err);
    s->site.prefixes.most = s->site.options.prefix_bytes;
    if (s->http) return s;
    lithe_server_close(s);
    return NULL;
}

int lithe_server_port(const lithe_server *s) { return s && s->http ? http_port(s->http) : 0; }

int lithe_server_add(lithe_server *s, const char *name, lithe_model *m, const char *tokenizer, const lithe_tokenizer_options *o, lithe_error *err)
{
    if (!s || !name || !m || !tokenizer) return fail(err, LITHE_EINVAL, "there is no %s", !s ? "server" : !name ? "name" : !m ? "model" : "tokenizer");
    if (failed(err)) return err->status;
    site *all = &s->site;
    lithe_error own = { 0 };
    if (!err) err = &own;
    if (atomic_load(&all->ready)) return fail(err, LITHE_EINVAL, "%s: models are added before the server is ready", name);
    if (all->count == MOST_MODELS) return fail(err, LITHE_EINVAL, "%s: a server has at most %d models", name, MOST_MODELS);
    for (int i = 0; i < all->count; i++)
        if (!strcmp(all->models[i]->name, name)) return fail(err, LITHE_EINVAL, "two models are called %s: give one another name, NAME=MODEL", name);
    const lithe_engine_options engine = LITHE_OPTIONS(lithe_engine_options, .slots = all->options.parallel, .context = all->options.context, .cache_type = all->options.cache_type);
    served *added = served_open(name, m, tokenizer, o, &engine, all->options.chat_template, err);
    if (added) added->prefixes = &all->prefixes, all->models[all->count++] = added;
    return err->status;
}

int lithe_server_ready(lithe_server *s, lithe_error *err)
{
    if (!s) return fail(err, LITHE_EINVAL, "there is no server");
    if (failed(err)) return err->status;
    if (!s->site.count) return fail(err, LITHE_EINVAL, "a server without a model");
    int status = scheduler_start(&s->site.scheduler, s->site.models, s->site.count, s->site.options.queue, MOST_PROMPTS, s->site.options.client_seconds, err);
    if (!status) atomic_store(&s->site.ready, true);
    return status;
}

char *lithe_server_memory(const lithe_server *s)
{
    enum { PARSED = 16 };                           /* bytes that a byte of JSON takes while it is read */
    if (!s) return NULL;
    const site *all = &s->site;
    double engines = 0, logits = 0, requests = (double)(MOST_BODIES + MOST_PROMPTS) + PARSED * (double)all->options.body, connections = (double)all->options.connections * CONNECTION_BYTES,
           prefixes = (double)all->prefixes.most;
    char *text = NULL;
    for (int i = 0; i < all->count; i++) {
        const served *m = all->models[i];
        engines += (double)lithe_engine_bytes(m->engine);
        logits += m->engine ? (double)(m->slots + SCORED_ROWS) * m->vocab * (double)sizeof(float) : 0;
    }
    if (asprintf(&text, "serving takes at most %.0f MB beside the models: engines %.0f MB, prefixes %.0f MB, logits %.0f MB, requests %.0f MB, connections %.0f MB",
                 (engines + prefixes + logits + requests + connections) / 1e6, engines / 1e6, prefixes / 1e6, logits / 1e6, requests / 1e6, connections / 1e6) < 0) return NULL;
    return text;
}

void lithe_server_stop(lithe_server *s, double seconds)
{
    if (!s || !s->http) return;
    atomic_store(&s->site.stopping, true);
    http_quiesce(s->http);
    scheduler_stop(&s->site.scheduler, seconds);
    http_close(s->http, LAST_ANSWERS);
    s->http = NULL;
}

void lithe_server_close(lithe_server *s)
{
    if (!s) return;
    lithe_server_stop(s, 0);
    for (int i = 0; i < s->site.count; i++) served_close(s->site.models[i]);
    prefix_store_close(&s->site.prefixes);
    pthread_mutex_destroy(&s->site.log_mutex);
    metrics_close(&s->site.metrics);
    free(s);
}
