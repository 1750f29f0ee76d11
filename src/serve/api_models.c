/* GET /health, /livez, /readyz, /metrics, /v1/models, /v1/models/NAME. */
#include "serve/api.h"
#include <string.h>

void api_live(site *s, exchange *x, const json_t *body)
{
    (void)s, (void)body;
    exchange_json(x, json_pack("{s:s}", "status", "ok"));
}

/* The first one is asked by those that start a server, the second by those that send it requests. */
void api_health(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    if (!atomic_load(&s->ready)) refuse(&p, 503, NULL, "Loading model");
    if (p.status) exchange_refuse(x, &p);
    else api_live(s, x, body);
}

void api_ready(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    if (atomic_load(&s->stopping)) refuse(&p, 503, NULL, "the server stops");
    if (p.status) exchange_refuse(x, &p);
    else api_health(s, x, body);
}

void api_metrics(site *s, exchange *x, const json_t *body)
{
    metrics_now now = { .waiting = scheduler_waiting(&s->scheduler), .prefix_bytes = atomic_load(&s->prefixes.bytes), .prefix_tokens = atomic_load(&s->prefixes.restored) };
    metrics_model models[MOST_MODELS];
    (void)body;
    for (int i = 0; i < s->count; i++) {
        const served *m = s->models[i];
        models[i] = (metrics_model){ m->name, lithe_model_arch(m->model), m->dtype, m->hash };
        now.slots += m->slots;
        now.busy += atomic_load(&m->busy);
    }
    exchange_answer(x, 200, "text/plain; version=0.0.4", metrics_text(&s->metrics, &now, models, s->count));
}

static json_t *describe(const served *m)
{
    json_t *context = m->context ? json_integer(m->context) : json_null();
    return json_pack("{s:s, s:s, s:I, s:s, s:{s:s, s:s, s:b, s:I, s:o, s:i, s:i}}", "id", m->name, "object", "model", "created", (json_int_t)m->created, "owned_by", "lithe",
                     "meta", "arch", lithe_model_arch(m->model), "task", lithe_model_task(m->model), "encoder", lithe_model_encoder(m->model), "params", (json_int_t)lithe_model_params(m->model), "ctx", context,
                     "vocab", m->vocab, "slots", m->slots);
}

void api_models(site *s, exchange *x, const json_t *body)
{
    static const char list[] = "/v1/models";
    problem p = { 0 };
    (void)body;
    if (strlen(x->path) > sizeof list) {
        json_t *named = json_pack("{s:s}", "model", x->path + sizeof list);
        const served *m = served_find(s->models, s->count, named, &p);
        json_decref(named);
        if (m) exchange_json(x, describe(m));
        else exchange_refuse(x, &p);
        return;
    }
    json_t *all = json_array();
    for (int i = 0; i < s->count; i++) json_array_append_new(all, describe(s->models[i]));
    exchange_json(x, json_pack("{s:s, s:o}", "object", "list", "data", all));
}
