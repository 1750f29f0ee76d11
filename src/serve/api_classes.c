/* POST /predict and /rerank (text-embeddings-inference; /v1/rerank also in Jina's form): classes of texts and of pairs;
 * POST /fill: masked tokens. */
#include "serve/api.h"
#include "serve/texts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const predict_keys[] = { "model", "inputs", "raw_scores", "truncate", "truncation_direction", NULL };
const char *const rerank_keys[] = { "model", "query", "texts", "documents", "top_n", "raw_scores", "return_text", "return_documents", "truncate", "truncation_direction", NULL };
const char *const fill_keys[] = { "model", "text", "inputs", "top", "top_k", NULL };

enum { USUAL_TOP = 5, MOST_TOP = 1000 };

typedef struct { size_t index; double score; } ranked;

/* The larger first, and of equal ones the first. */
static int by_score(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score ? 1 : x->index < y->index ? -1 : x->index > y->index;
}

static bool is_number(const served *m) { return !strcmp(lithe_model_task(m->model), "regress"); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static int read_classes(texts *w, size_t first, size_t n, size_t *cut, lithe_error *err)
{
    return lithe_engine_classify(w->job.model->whole, w->job.model->runner, w->text + first, w->pair + first, n, w->values + first * (size_t)w->width, cut, err);
}

static texts *open_classes(const site *s, exchange *x, const json_t *body, problem *p)
{
    texts *w = texts_open(s, x, body, p);
    if (!w) return NULL;
    const served *m = w->job.model;
    w->read = read_classes;
    w->width = lithe_model_labels(m->model);
    w->raw = field_flag(body, "raw_scores", false, p);
    if (!is_number(m) && strcmp(lithe_model_task(m->model), "classify")) refuse(p, 400, "model", "%s has no classes: its task is \"%s\"", m->name, lithe_model_task(m->model));
    if (w->raw && !is_number(m)) refuse(p, 400, "raw_scores", "raw_scores must be false: the scores of %d classes are probabilities", w->width);
    return w;
}

static size_t context_of(const texts *w) { return (size_t)lithe_model_context(w->job.model->model); }

/* ---- predict ------------------------------------------------------------------------- */

/* A number is a score by itself, between 0 and 1 unless raw scores are asked for. */
static double score_of(const texts *w, size_t i, int label)
{
    double x = (double)w->values[i * (size_t)w->width + (size_t)label];
    return is_number(w->job.model) && !w->raw ? sigmoid(x) : x;
}

static json_t *classes_of(const texts *w, size_t i)
{
    json_t *all = json_array();
    ranked *order = calloc((size_t)w->width, sizeof *order);
    for (int k = 0; k < w->width && order; k++) order[k] = (ranked){ (size_t)k, score_of(w, i, k) };
    if (order) qsort(order, (size_t)w->width, sizeof *order, by_score);
    for (int k = 0; k < w->width && order; k++) {
        char number[24];
        const char *label = lithe_model_label(w->job.model->model, (int)order[k].index);
        snprintf(number, sizeof number, "LABEL_%zu", order[k].index);
        json_array_append_new(all, json_pack("{s:f, s:o}", "score", order[k].score, "label", json_shown(label ? label : number, strlen(label ? label : number))));
    }
    free(order);
    return all;
}

static json_t *predict_answer(texts *w)
{
    if (w->one) return classes_of(w, 0);
    json_t *all = json_array();
    for (size_t i = 0; i < w->count; i++) json_array_append_new(all, classes_of(w, i));
    return all;
}

/* A list of one text is that text, and a list of two is a pair. */
static void add_sequence(texts *w, const json_t *input, problem *p)
{
    size_t n = json_array_size(input);
    if (json_is_array(input) && (n < 1 || n > 2)) refuse(p, 400, "inputs", "inputs has a list of %zu texts: one is a text, two are a pair", n);
    else texts_add(w, n ? json_array_get(input, 0) : input, n == 2 ? json_array_get(input, 1) : NULL, "inputs", context_of(w), p);
}

void api_predict(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    texts *w = open_classes(s, x, body, &p);
    if (!w) { exchange_refuse(x, &p); return; }
    const json_t *inputs = given(body, "inputs");
    w->answer = predict_answer;
    w->one = !json_is_array(json_array_get(inputs, 0));
    if (!inputs) refuse(&p, 400, "inputs", "inputs must be a text, a list of one text or of two (a pair), or a list of such lists");
    if (w->one && !p.status) add_sequence(w, inputs, &p);
    for (size_t i = 0; i < json_array_size(inputs) && !w->one && !p.status; i++) add_sequence(w, json_array_get(inputs, i), &p);
    texts_submit(s, w, &p);
}

/* ---- rerank --------------------------------------------------------------------------- */

/* Jina's form, for `documents`: {results: [{index, relevance_score}]}. */
static json_t *rank_of(const texts *w, const ranked *r)
{
    json_t *all = json_pack("{s:I, s:f}", "index", (json_int_t)r->index, w->other_form ? "relevance_score" : "score", r->score), *text = w->with_text ? json_string(w->pair[r->index]) : NULL;
    if (text && w->other_form) json_object_set_new(all, "document", json_pack("{s:o}", "text", text));
    else if (text) json_object_set_new(all, "text", text);
    return all;
}

static json_t *rerank_answer(texts *w)
{
    json_t *all = json_array();
    ranked *order = calloc(w->count, sizeof *order);
    size_t most = w->top && (size_t)w->top < w->count ? (size_t)w->top : w->count;
    for (size_t i = 0; i < w->count && order; i++) order[i] = (ranked){ i, score_of(w, i, w->width - 1) };
    if (order) qsort(order, w->count, sizeof *order, by_score);
    for (size_t i = 0; i < most && order; i++) json_array_append_new(all, rank_of(w, &order[i]));
    free(order);
    if (!w->other_form) return all;
    return json_pack("{s:s, s:s, s:{s:I, s:I}, s:o}", "object", "list", "model", w->job.model->name, "usage", "prompt_tokens", (json_int_t)w->total, "total_tokens", (json_int_t)w->total,
                     "results", all);
}

void api_rerank(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    texts *w = open_classes(s, x, body, &p);
    if (!w) { exchange_refuse(x, &p); return; }
    const char *key = given(body, "documents") ? "documents" : "texts";
    const json_t *list = given(body, key);
    w->answer = rerank_answer;
    w->other_form = key[0] == 'd';
    w->with_text = field_flag(body, w->other_form ? "return_documents" : "return_text", false, &p);
    w->top = field_int(body, "top_n", 1, 1 << 20, 0, &p);
    if (w->width > 2) refuse(&p, 400, "model", "%s has %d classes: texts are ranked by a model with one number or two classes", w->job.model->name, w->width);
    if (!json_is_array(list)) refuse(&p, 400, key, "%s must be a list of strings", key);
    field_text(body, "query", NULL, &p);
    if (!given(body, "query")) refuse(&p, 400, "query", "query must be given");
    for (size_t i = 0; i < json_array_size(list) && !p.status; i++) texts_add(w, given(body, "query"), json_array_get(list, i), key, context_of(w), &p);
    texts_submit(s, w, &p);
}

/* ---- fill ------------------------------------------------------------------------------- */

static int read_masks(texts *w, size_t first, size_t n, size_t *cut, lithe_error *err)
{
    const served *m = w->job.model;
    *cut = 0;
    for (size_t i = first; i < first + n && !err->status; i++) {
        w->masks[i] = lithe_engine_fill(m->whole, m->runner, w->text[i], w->top, NULL, err);
        if (w->masks[i] == 0) return fail(err, LITHE_EFORMAT, "text %zu has no mask token in it; write [MASK] or <mask>, as the tokenizer calls it", i + 1);
        if (w->masks[i] > 0) w->found[i] = calloc((size_t)w->masks[i] * (size_t)w->top, sizeof **w->found);
        if (w->masks[i] > 0 && !w->found[i]) return fail(err, LITHE_ENOMEM, "not enough memory for %d masks", w->masks[i]);
        if (w->masks[i] > 0) lithe_engine_fill(m->whole, m->runner, w->text[i], w->top, w->found[i], err);
    }
    return err->status;
}

static json_t *candidates(const texts *w, const lithe_candidate *c)
{
    json_t *all = json_array();
    for (int k = 0; k < w->top && c[k].id >= 0; k++) {
        char text[400];
        size_t n = lithe_decode(w->job.model->runner, &c[k].id, 1, text, sizeof text);
        json_array_append_new(all, json_pack("{s:o, s:i, s:f}", "token", json_shown(text, n < sizeof text ? n : sizeof text), "id", c[k].id, "probability", (double)c[k].probability));
    }
    return all;
}

static json_t *fill_answer(texts *w)
{
    json_t *data = json_array();
    for (size_t i = 0; i < w->count; i++) {
        json_t *masks = json_array();
        for (int k = 0; k < w->masks[i]; k++) json_array_append_new(masks, candidates(w, w->found[i] + (size_t)k * (size_t)w->top));
        json_array_append_new(data, json_pack("{s:I, s:o}", "index", (json_int_t)i, "masks", masks));
    }
    return json_pack("{s:s, s:s, s:o, s:{s:I, s:I}}", "object", "list", "model", w->job.model->name, "data", data, "usage", "prompt_tokens", (json_int_t)w->total, "total_tokens", (json_int_t)w->total);
}

void api_fill(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    texts *w = texts_open(s, x, body, &p);
    if (!w) { exchange_refuse(x, &p); return; }
    const char *key = given(body, "inputs") ? "inputs" : "text";
    const json_t *input = given(body, key);
    w->read = read_masks;
    w->answer = fill_answer;
    w->truncate = false;
    w->top = field_int(body, given(body, "top_k") ? "top_k" : "top", 1, MOST_TOP, USUAL_TOP, &p);
    if (!lithe_model_encoder(w->job.model->model)) refuse(&p, 400, "model", "%s does not fill in masks: it reads from left to right", w->job.model->name);
    if (!json_is_string(input) && !json_is_array(input)) refuse(&p, 400, key, "%s must be a string or a list of strings", key);
    if (json_is_string(input)) texts_add(w, input, NULL, key, context_of(w), &p);
    for (size_t i = 0; i < json_array_size(input) && !p.status; i++) texts_add(w, json_array_get(input, i), NULL, key, context_of(w), &p);
    texts_submit(s, w, &p);
}
