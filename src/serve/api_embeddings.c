/* POST /v1/embeddings (OpenAI) and /embed (text-embeddings-inference): vectors of length 1. */
#include "serve/api.h"
#include "base/base64.h"
#include "serve/texts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const embeddings_keys[] = { "model", "input", "encoding_format", "dimensions", "user", "truncate", NULL };
const char *const embed_keys[] = { "model", "inputs", "normalize", "truncate", "truncation_direction", "dimensions", NULL };

/* ---- the answer ---------------------------------------------------------------------- */

static void scale_to_one(float *v, int n)
{
    double square = 0;
    for (int i = 0; i < n; i++) square += (double)v[i] * (double)v[i];
    for (int i = 0; i < n && square > 0; i++) v[i] = (float)((double)v[i] / sqrt(square));
}

static json_t *vector_of(const texts *w, size_t i)
{
    float *v = w->values + i * (size_t)w->width;
    int n = w->dimensions ? w->dimensions : w->width;
    if (n < w->width && w->how.normalize) scale_to_one(v, n);
    if (w->base64) {
        char *text = base64_encode(v, (size_t)n * sizeof *v);
        json_t *shown = text ? json_string(text) : NULL;
        free(text);
        return shown;
    }
    json_t *list = json_array();
    for (int k = 0; k < n; k++) json_array_append_new(list, json_real((double)v[k]));
    return list;
}

static json_t *openai_answer(texts *w)
{
    json_t *data = json_array();
    for (size_t i = 0; i < w->count; i++)
        json_array_append_new(data, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index", (json_int_t)i, "embedding", vector_of(w, i)));
    return json_pack("{s:s, s:o, s:s, s:{s:I, s:I}}", "object", "list", "data", data, "model", w->job.model->name,
                     "usage", "prompt_tokens", (json_int_t)w->total, "total_tokens", (json_int_t)w->total);
}

static json_t *plain_answer(texts *w)
{
    json_t *all = json_array();
    for (size_t i = 0; i < w->count; i++) json_array_append_new(all, vector_of(w, i));
    return all;
}

/* ---- the request ------------------------------------------------------------------------ */

static int read_vectors(texts *w, size_t first, size_t n, size_t *cut, lithe_error *err)
{
    const served *m = w->job.model;
    float *out = w->values + first * (size_t)w->width;
    if (w->ids) return lithe_engine_embed_ids(m->whole, m->runner, w->ids, w->start + first, n, &w->how, out, cut, err);
    return lithe_engine_embed(m->whole, m->runner, w->text + first, n, &w->how, out, cut, err);
}

static void prepare(texts *w, const json_t *body, bool scale, problem *p)
{
    const served *m = w->job.model;
    w->how = m->embedding;
    if (m->embedding_error.status) refuse_error(p, NULL, &m->embedding_error);
    w->how.normalize = scale;
    w->width = m->width;
    w->read = read_vectors;
    w->dimensions = field_int(body, "dimensions", 1, w->width, 0, p);
}

/* A text, a list of texts, the ids of one text, or a list of those. */
static void add_inputs(texts *w, const json_t *body, const char *key, problem *p)
{
    const json_t *input = given(body, key), *first = json_array_get(input, 0);
    size_t most = w->how.max_length ? (size_t)w->how.max_length : (size_t)lithe_model_context(w->job.model->model);
    json_t *one = json_is_integer(first) ? json_pack("[O]", input) : NULL;
    if (!json_is_array(input) && !json_is_string(input)) refuse(p, 400, key, "%s must be a string, a list of strings, a list of token ids or a list of such lists", key);
    if (json_is_string(input)) texts_add(w, input, NULL, key, most, p);
    else if (one || json_is_array(first)) texts_add_ids(w, one ? one : input, key, most, p);
    else for (size_t i = 0; i < json_array_size(input) && !p->status; i++) texts_add(w, json_array_get(input, i), NULL, key, most, p);
    json_decref(one);
}

void api_embeddings(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    texts *w = texts_open(s, x, body, &p);
    if (!w) { exchange_refuse(x, &p); return; }
    const char *format = field_text(body, "encoding_format", "float", &p);
    w->base64 = !strcmp(format, "base64");
    if (!w->base64 && strcmp(format, "float")) refuse(&p, 400, "encoding_format", "encoding_format must be float or base64");
    w->answer = openai_answer;
    prepare(w, body, true, &p);
    add_inputs(w, body, "input", &p);
    texts_submit(s, w, &p);
}

void api_embed(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    texts *w = texts_open(s, x, body, &p);
    if (!w) { exchange_refuse(x, &p); return; }
    w->answer = plain_answer;
    prepare(w, body, field_flag(body, "normalize", true, &p), &p);
    add_inputs(w, body, "inputs", &p);
    texts_submit(s, w, &p);
}
