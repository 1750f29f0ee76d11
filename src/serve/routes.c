#include "serve/routes.h"
#include "serve/api.h"
#include <string.h>
#include <strings.h>
#include <time.h>

/* early: it is answered without a key, before the models are open, and not logged.  below: so are paths below it. */
struct route { const char *method, *path; route_function *call; const char *const *keys; bool early, below; };
static const route ROUTES[] = {
    { .method = "GET", .path = "/", .call = api_page, .early = true },
    { .method = "GET", .path = "/health", .call = api_health, .early = true },
    { .method = "GET", .path = "/v1/health", .call = api_health, .early = true },
    { .method = "GET", .path = "/livez", .call = api_live, .early = true },
    { .method = "GET", .path = "/readyz", .call = api_ready, .early = true },
    { .method = "GET", .path = "/metrics", .call = api_metrics },
    { .method = "GET", .path = "/v1/models", .call = api_models, .below = true },
    { .method = "POST", .path = "/v1/completions", .call = api_completions, .keys = completions_keys },
    { .method = "POST", .path = "/v1/chat/completions", .call = api_chat, .keys = chat_keys },
    { .method = "POST", .path = "/v1/state", .call = api_state, .keys = state_keys },
    { .method = "POST", .path = "/apply-template", .call = api_apply_template, .keys = apply_template_keys },
    { .method = "POST", .path = "/tokenize", .call = api_tokenize, .keys = tokenize_keys },
    { .method = "POST", .path = "/detokenize", .call = api_detokenize, .keys = detokenize_keys },
    { .method = "POST", .path = "/v1/embeddings", .call = api_embeddings, .keys = embeddings_keys },
    { .method = "POST", .path = "/embed", .call = api_embed, .keys = embed_keys },
    { .method = "POST", .path = "/predict", .call = api_predict, .keys = predict_keys },
    { .method = "POST", .path = "/rerank", .call = api_rerank, .keys = rerank_keys },
    { .method = "POST", .path = "/v1/rerank", .call = api_rerank, .keys = rerank_keys },
    { .method = "POST", .path = "/fill", .call = api_fill, .keys = fill_keys },
    { .method = "GET", .path = "/tokenizer_info", .call = api_tokenizer_info },
    { .method = "GET", .path = "/v1/tokenizer_info", .call = api_tokenizer_info },
    { .method = "POST", .path = "/v1/tokenize", .call = api_tokenize, .keys = tokenize_keys },
    { .method = "POST", .path = "/v1/detokenize", .call = api_detokenize, .keys = detokenize_keys },
};

/* ---- finding ------------------------------------------------------------------------ */

static bool fits(const route *r, const char *path)
{
    size_t n = strlen(r->path);
    return !strncmp(r->path, path, n) && (!path[n] || (r->below && path[n] == '/' && path[n + 1]));
}

/* Takes as long for a wrong key as for the right one, whatever its first wrong byte is. */
static bool same_key(const char *given, const char *key)
{
    size_t n = strlen(given), m = strlen(key);
    volatile unsigned difference = n != m;
    for (size_t i = 0; i < n; i++) difference |= (unsigned)(unsigned char)given[i] ^ (unsigned)(unsigned char)key[m ? i % m : 0];
    return !difference;
}

static bool is_allowed(const lithe_server_options *o, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    bool given = authorization && !strncasecmp(authorization, scheme, sizeof scheme - 1), found = false;
    for (int i = 0; i < o->key_count; i++) found |= same_key(given ? authorization + sizeof scheme - 1 : "", o->keys[i]);
    return !o->key_count || (given && found);
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    return !type || (!strncasecmp(type, json, sizeof json - 1) && (!type[sizeof json - 1] || strchr("; \t", type[sizeof json - 1])));
}

const route *route_find(const site *s, const request_head *h, const char **allow, problem *p)
{
    const route *found = NULL;
    const char *method = strcmp(h->method, "HEAD") ? h->method : "GET";
    *allow = NULL;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES && !found; i++) {
        if (!fits(&ROUTES[i], h->path)) continue;
        if (!strcmp(ROUTES[i].method, method)) found = &ROUTES[i];
        else *allow = ROUTES[i].method;
    }
    if (!found && *allow) refuse(p, 405, NULL, "this path takes %s", *allow);
    if (!(found && found->early) && !is_allowed(&s->options, h->authorization)) refuse(p, 401, NULL, "a valid key must be given: Authorization: Bearer KEY");
    if (!found) refuse(p, 404, NULL, "there is no such path");
    if (found && !strcmp(found->method, "POST") && !is_json(h->type)) refuse(p, 415, NULL, "the body must be JSON: Content-Type: application/json");
    if (found && !found->early && !atomic_load(&s->ready)) refuse(p, 503, NULL, "Loading model");
    return p->status ? NULL : found;
}

const char *route_path(const route *r) { return r->path; }
bool        route_is_logged(const route *r) { return !r->early; }

/* ---- calling ------------------------------------------------------------------------- */

void route_call(const route *r, site *s, exchange *x)
{
    lithe_error err = { 0 };
    problem p = { 0 };
    if (!strcmp(r->method, "GET")) { r->call(s, x, NULL); return; }
    json_t *body = json_parse_strict(x->body.bytes ? x->body.bytes : "", x->body.n, REQUEST_DEPTH, "request", &err);
    if (!body) refuse_error(&p, NULL, &err);
    else if (!json_is_object(body)) refuse(&p, 400, NULL, "request: must be a JSON object");
    else x->ignored = unknown_keys(body, r->keys);
    if (p.status) exchange_refuse(x, &p);
    else r->call(s, x, body);
    json_decref(body);
}

/* ---- log and metrics ------------------------------------------------------------------------- */

void route_note(site *s, const exchange *x)
{
    double seconds = exchange_now() - x->began;
    char line[400];
    size_t tokens = atomic_load(&x->tokens);
    if (x->unlogged) return;
    metrics_request(&s->metrics, x->route, x->status, seconds, x->prompt_tokens, tokens);
    if (!s->options.log) return;
    if (s->options.log_json)
        snprintf(line, sizeof line, "{\"event\":\"request\",\"time\":%lld,\"route\":\"%s\",\"status\":%d,\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"seconds\":%.4f}",
                 (long long)time(NULL), x->route, x->status, x->prompt_tokens, tokens, seconds);
    else snprintf(line, sizeof line, "%s %d, %zu tokens read, %zu written, %.3f s", x->route, x->status, x->prompt_tokens, tokens, seconds);
    pthread_mutex_lock(&s->log_mutex);
    s->options.log(s->options.log_context, line);
    pthread_mutex_unlock(&s->log_mutex);
}
