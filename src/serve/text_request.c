#include "serve/text_request.h"
#include "base/arena.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { MOST_CHOICES = 128, MOST_SEQUENCES = 4096, MOST_STOPS = 64, MOST_BIASES = 4096 };

/* ---- fields ------------------------------------------------------------------------ */

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) < 0) seed = (uint64_t)time(NULL);
    return seed;
}

static void read_seed(generation_rules *r, const json_t *body, problem *p)
{
    const json_t *seed = given(body, "seed");
    if (seed && !json_is_integer(seed)) refuse(p, 400, "seed", "seed must be a whole number");
    r->sampling.seed = seed ? (uint64_t)json_integer_value(seed) : random_seed();
}

/* As the request says, else as the model's generation_config.json does, else with temperature 1. */
static void read_sampling(generation_rules *r, const served *m, const json_t *body, problem *p)
{
    lithe_error err = { 0 };
    lithe_sampling *o = &r->sampling;
    *o = LITHE_OPTIONS(lithe_sampling, .temperature = 1);
    if (lithe_sampling_read(m->model, o, &err) < 0) *o = LITHE_OPTIONS(lithe_sampling, .temperature = 1);
    o->temperature = (float)field_number(body, "temperature", 0, 100, (double)o->temperature, p);
    o->top_p = (float)field_number(body, "top_p", 0, 1, (double)o->top_p, p);
    o->min_p = (float)field_number(body, "min_p", 0, 1, (double)o->min_p, p);
    o->repetition = (float)field_number(body, "repetition_penalty", 1e-3, 100, (double)o->repetition, p);
    o->top_k = field_int(body, "top_k", -1, INT_MAX, o->top_k, p);
    if (o->top_k < 0) o->top_k = 0;
    r->presence = (float)field_number(body, "presence_penalty", -2, 2, 0, p);
    r->frequency = (float)field_number(body, "frequency_penalty", -2, 2, 0, p);
    r->ignore_eos = field_flag(body, "ignore_eos", false, p);
    read_seed(r, body, p);
}

static void add_stop(generation_rules *r, const json_t *text, problem *p)
{
    if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text)) {
        refuse(p, 400, "stop", "stop must be a string or a list of strings without NUL");
        return;
    }
    r->stop[r->stops] = strdup(json_string_value(text));
    if (r->stop[r->stops]) r->stops++;
    else refuse(p, 503, NULL, "not enough memory for the stop strings");
}

static void read_stop(generation_rules *r, const json_t *body, problem *p)
{
    const json_t *stop = given(body, "stop");
    size_t count = json_is_array(stop) ? json_array_size(stop) : stop != NULL;
    if (count > MOST_STOPS) { refuse(p, 400, "stop", "stop has %zu strings, and at most %d are possible", count, MOST_STOPS); return; }
    r->stop = xalloc(count + 1, sizeof *r->stop);
    if (!r->stop) refuse(p, 503, NULL, "not enough memory for the stop strings");
    for (size_t i = 0; i < count && !p->status; i++) add_stop(r, json_is_array(stop) ? json_array_get(stop, i) : stop, p);
}

static void read_bias(generation_rules *r, const served *m, const json_t *body, problem *p)
{
    const json_t *all = given(body, "logit_bias");
    const char *key;
    json_t *value;
    if (!all) return;
    if (!json_is_object(all) || json_object_size(all) > MOST_BIASES) {
        refuse(p, 400, "logit_bias", "logit_bias must be an object of at most %d token ids and their biases", MOST_BIASES);
        return;
    }
    r->bias = xalloc(json_object_size(all) + 1, sizeof *r->bias);
    if (!r->bias) { refuse(p, 503, NULL, "not enough memory for the biases"); return; }
    json_object_foreach((json_t *)(uintptr_t)all, key, value) {                 /* jansson's iterators are not const */
        int id;
        double x = json_number_value(value);
        if (!text_int(key, 0, m->vocab - 1, &id)) refuse(p, 400, "logit_bias", "logit_bias has a key that is no token id below %d", m->vocab);
        else if (!json_is_number(value) || !(x >= -100 && x <= 100)) refuse(p, 400, "logit_bias", "logit_bias of token %d must be a number from -100 to 100", id);
        else r->bias[r->biases++] = (logit_bias){ id, (float)x };
    }
}

static void read_form(generation *g, const json_t *body, problem *p)
{
    const json_t *options = given(body, "stream_options");
    g->n = field_int(body, "n", 1, MOST_CHOICES, 1, p);
    if (field_int(body, "best_of", 1, MOST_CHOICES, g->n, p) != g->n) refuse(p, 400, "best_of", "best_of must equal n: choices are not ranked");
    g->stream = field_flag(body, "stream", false, p);
    if (options && !json_is_object(options)) refuse(p, 400, "stream_options", "stream_options must be an object");
    g->usage = field_flag(options, "include_usage", false, p);
}

static void generation_close(job *j)
{
    generation *g = (generation *)j;
    for (int i = 0; i < j->count; i++) sequence_close(&j->sequences[i]);
    free(j->sequences);
    given_state_close(j->state);
    rules_close(&g->rules);
    free(g);
}

static const job_kind generates;

generation *generation_read(site *s, exchange *x, const json_t *body, const generation_form *form, int max_tokens, problem *p)
{
    served *m = served_find(s->models, s->count, body, p);
    generation *g = m ? xalloc(1, sizeof *g) : NULL;
    if (m && !g) refuse(p, 503, NULL, "not enough memory for the request");
    if (!g) return NULL;
    uint64_t name = random_seed();
    *g = (generation){ .job = { .kind = &generates, .model = m, .x = exchange_hold(x) }, .metrics = &s->metrics, .form = form, .created = (long long)time(NULL) };
    snprintf(g->fingerprint, sizeof g->fingerprint, "lithe-%s", lithe_version());
    snprintf(g->id, sizeof g->id, "%s%016llx", form->id, (unsigned long long)name);
    if (!m->engine) refuse(p, 400, "model", "%s does not continue texts: it is for %s", m->name, lithe_model_encoder(m->model) ? "/v1/embeddings, /fill, /rerank or /predict" : "/predict");
    g->job.state = given_state_open(m, body, p);
    g->job.bytes = given_state_bytes(g->job.state);
    read_sampling(&g->rules, m, body, p);
    g->rules.max_tokens = field_int(body, "max_tokens", 0, INT_MAX, max_tokens, p);
    read_stop(&g->rules, body, p);
    read_bias(&g->rules, m, body, p);
    read_form(g, body, p);
    return g;
}

/* ---- prompts --------------------------------------------------------------------------- */

bool generation_reserve(generation *g, size_t prompts, problem *p)
{
    if (prompts > (size_t)(MOST_SEQUENCES / g->n)) refuse(p, 400, "prompt", "%zu prompts with n = %d: at most %d choices are possible", prompts, g->n, MOST_SEQUENCES);
    if (p->status) return false;
    g->job.sequences = xalloc(prompts * (size_t)g->n, sizeof *g->job.sequences);
    if (!g->job.sequences) refuse(p, 503, NULL, "not enough memory for %zu prompts", prompts);
    return g->job.sequences != NULL;
}

/* The number of ids at the beginning that have to go where the client asks for truncation. */
static size_t surplus(const generation *g, size_t n, const json_t *body, problem *p)
{
    size_t context = (size_t)g->job.model->context, wanted = (size_t)g->rules.max_tokens, kept;
    bool truncate = field_flag(body, "truncate", false, p);
    if (!context || n <= context) return 0;
    if (!truncate) {
        p->code = "context_length_exceeded";
        refuse(p, 400, "prompt", "the prompt has %zu tokens, and the context of %s holds %zu; with \"truncate\": true its first tokens are left out", n, g->job.model->name, context);
        return 0;
    }
    kept = wanted < context / 2 ? context - wanted : context - context / 2;
    return n - kept;
}

void generation_add(generation *g, int32_t *ids, size_t n, const json_t *body, problem *p)
{
    size_t drop = p->status ? 0 : surplus(g, n, body, p);
    if (ids) memmove(ids, ids + drop, (n - drop) * sizeof *ids);
    n -= drop;
    given_state_check(g->job.state, g->job.model, ids, n, p);
    g->truncated += drop;
    g->prompt_tokens += n;
    for (int i = 0; i < g->n && !p->status; i++) {
        int32_t *own = i + 1 < g->n ? xalloc(n, sizeof *own) : ids;
        if (own && own != ids) memcpy(own, ids, n * sizeof *ids);
        if (!sequence_open(&g->job.sequences[g->job.count], &g->rules, g->job.count, own, n, g->job.model->runner)) refuse(p, 503, NULL, "not enough memory for %zu tokens", n);
        else {
            if (i) g->job.sequences[g->job.count].first = &g->job.sequences[g->job.count - i];
            g->job.count++;
            g->job.bytes += n * sizeof *ids;
        }
        if (own == ids) ids = NULL;
    }
    free(ids);
}

void generation_submit(site *s, generation *g, problem *p)
{
    exchange *x = g ? exchange_hold(g->job.x) : NULL;
    if (!g) return;
    x->prompt_tokens = g->prompt_tokens;
    bool stream = g->stream && !p->status;
    if (p->status || !scheduler_submit(&s->scheduler, &g->job, p)) {
        exchange_refuse(x, p);
        generation_close(&g->job);
        exchange_release(x);
    } else if (stream) exchange_stream(x);
    exchange_release(x);
}

/* ---- answers ----------------------------------------------------------------------------- */

static size_t written(const generation *g)
{
    size_t n = 0;
    for (int i = 0; i < g->job.count; i++) n += g->job.sequences[i].count - g->job.sequences[i].prompt;
    return n;
}

static json_t *usage_of(const generation *g)
{
    size_t n = written(g);
    json_t *usage = json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)g->prompt_tokens, "completion_tokens", (json_int_t)n, "total_tokens", (json_int_t)g->prompt_tokens + (json_int_t)n);
    if (g->truncated) json_object_set_new(usage, "truncated_tokens", json_integer((json_int_t)g->truncated));
    return usage;
}

static json_t *envelope(const generation *g, const char *object, json_t *choices)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", g->id, "object", object, "created", (json_int_t)g->created, "model", g->job.model->name,
                     "system_fingerprint", g->fingerprint, "choices", choices);
}

static void send_part(generation *g, json_t *choices, bool last)
{
    json_t *event = envelope(g, g->form->chunk, choices);
    if (g->usage) json_object_set_new(event, "usage", last ? usage_of(g) : json_null());
    exchange_event(g->job.x, event);
}

/* The time since the token before, or since the request began. */
static void note_token(generation *g, sequence *q)
{
    double now = exchange_now();
    if (q->count == q->noted) return;
    metrics_token(g->metrics, !q->noted, now - (q->noted ? q->last_token : g->job.x->began));
    atomic_fetch_add(&g->job.x->tokens, 1);
    q->last_token = now;
    q->noted = q->count;
}

static void wrote(job *j, sequence *q)
{
    generation *g = (generation *)j;
    note_token(g, q);
    json_t *parts = g->stream ? g->form->parts(g, q) : NULL;
    for (size_t i = 0; i < json_array_size(parts); i++) send_part(g, json_pack("[O]", json_array_get(parts, i)), false);
    json_decref(parts);
}

static void finish(job *j)
{
    generation *g = (generation *)j;
    if (g->stream) {
        if (g->usage) send_part(g, json_array(), true);
        exchange_done(j->x);
        return;
    }
    json_t *choices = json_array();
    for (int i = 0; i < j->count; i++) json_array_append_new(choices, g->form->choice(g, &j->sequences[i]));
    json_t *answer = envelope(g, g->form->object, choices);
    json_object_set_new(answer, "usage", usage_of(g));
    exchange_json(j->x, answer);
}

static const job_kind generates = { .wrote = wrote, .finish = finish, .close = generation_close };
