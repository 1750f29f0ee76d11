#include "serve/served.h"
#include "base/arena.h"
#include "base/file.h"
#include "infer/engine.h"
#include "infer/state_file.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- opening ------------------------------------------------------------------------ */

static int open_engine(served *m, const lithe_engine_options *o, lithe_error *err)
{
    m->engine = lithe_engine_open(m->model, o, err);
    if (!m->engine) return err->status;
    m->slots = lithe_engine_slots(m->engine);
    for (int i = 0; i < engine_states(m->engine); i++) m->recurrent |= engine_state(m->engine, i, 0).recurrent;
    m->context = lithe_engine_context(m->engine);
    m->slot = xalloc((size_t)m->slots, sizeof *m->slot);
    m->inputs = xalloc((size_t)m->slots, sizeof *m->inputs);
    m->logits = xalloc((size_t)m->slots, (size_t)m->vocab * sizeof *m->logits);
    m->scoring = xalloc(SCORED_ROWS, (size_t)m->vocab * sizeof *m->scoring);
    if (!m->slot || !m->inputs || !m->logits || !m->scoring) return fail(err, LITHE_ENOMEM, "not enough memory for %d sequences of %s", m->slots, m->name);
    return chooser_open(&m->chooser, m->model, m->runner, m->context, err);
}

static bool continues_text(const lithe_model *m) { return !strcmp(lithe_model_task(m), "language") && !lithe_model_encoder(m); }

/* The type that most bytes of the parameters have, and a hash of the configuration. */
static void describe(served *m)
{
    lithe_tensor_info t;
    size_t most = 0;
    char *config = lithe_model_config(m->model);
    for (size_t i = 0; lithe_model_parameter(m->model, i, &t); i++) {
        if (t.bytes <= most) continue;
        most = t.bytes;
        snprintf(m->dtype, sizeof m->dtype, "%s", t.dtype);
    }
    if (config) hash_hex(config, strlen(config), m->hash);
    free(config);
}

/* A template that this library does not know leaves the model without conversations, unless it was asked for. */
static int open_template(served *m, const char *template, lithe_error *err)
{
    m->template = lithe_template_open(m->reader, template, template ? err : &m->template_error);
    return failed(err) ? (int)err->status : LITHE_OK;
}

static int open_parts(served *m, const char *tokenizer, const lithe_tokenizer_options *o, const lithe_engine_options *e, const char *template, lithe_error *err)
{
    for (const char *c = m->name; *c; c++) if ((unsigned char)*c < ' ') return fail(err, LITHE_EINVAL, "the name of a model has a control character");
    if (!*m->name) return fail(err, LITHE_EINVAL, "a model has no name");
    if (lithe_model_images(m->model, NULL, NULL, NULL)) return fail(err, LITHE_EINVAL, "%s reads images, and only models of text can be served", m->name);
    m->reader = lithe_tokenizer_open_with(tokenizer, o, err);
    m->runner = lithe_tokenizer_open_with(tokenizer, o, err);
    if (failed(err) || lithe_model_fits(m->model, m->reader, err)) return err->status;
    m->vocab = lithe_model_vocab(m->model);
    m->context = lithe_model_context(m->model);
    m->created = (long long)time(NULL);
    describe(m);
    m->whole = lithe_engine_open(m->model, &LITHE_OPTIONS(lithe_engine_options, .whole = 1), err);
    lithe_embedding_read(m->model, &m->embedding, &m->embedding_error);
    if (m->embedding_error.status) m->embedding = LITHE_OPTIONS(lithe_embedding);
    m->width = m->whole ? lithe_engine_embed(m->whole, m->runner, NULL, 0, &m->embedding, NULL, NULL, NULL) : 0;
    if (failed(err)) return err->status;
    return !continues_text(m->model) || open_template(m, template, err) ? (int)err->status : open_engine(m, e, err);
}

served *served_open(const char *name, lithe_model *model, const char *tokenizer, const lithe_tokenizer_options *o, const lithe_engine_options *e,
                    const char *template, lithe_error *err)
{
    served *m = xalloc(1, sizeof *m);
    if (m) *m = (served){ .name = strdup(name), .model = model };
    if (!m || !m->name) fail(err, LITHE_ENOMEM, "not enough memory for the model %s", name);
    else if (!open_parts(m, tokenizer, o, e, template, err)) return m;
    served_close(m);
    return NULL;
}

void served_close(served *m)
{
    if (!m) return;
    chooser_close(&m->chooser);
    lithe_template_close(m->template);
    lithe_engine_close(m->engine);
    lithe_engine_close(m->whole);
    lithe_tokenizer_close(m->reader);
    lithe_tokenizer_close(m->runner);
    free(m->slot);
    free(m->inputs);
    free(m->logits);
    free(m->scoring);
    free(m->origin);
    free(m->name);
    free(m);
}

/* ---- what requests ask of it ----------------------------------------------------------- */

served *served_find(served *const *all, int count, const json_t *body, problem *p)
{
    const char *name = field_text(body, "model", NULL, p);
    if (p->status) return NULL;
    if (!name && count == 1) return all[0];
    if (!name) { refuse(p, 400, "model", "model must be given: this server has %d models", count); return NULL; }
    for (int i = 0; i < count; i++) if (!strcmp(all[i]->name, name)) return all[i];
    p->code = "model_not_found";
    refuse(p, 404, "model", "the model `%.200s` does not exist: GET /v1/models lists those that do", name);
    return NULL;
}

const state_origin *served_origin(served *m, lithe_error *err)
{
    state_origin *o = m->origin ? m->origin : xalloc(1, sizeof *o);
    if (!o) fail(err, LITHE_ENOMEM, "not enough memory for the digest of %s", m->name);
    else if (!m->origin && state_origin_of(m->model, m->reader, o, err)) { free(o); o = NULL; }
    return m->origin = o;
}

/* A tokenizer that ends texts by a token does so only where the text is complete, and a prompt is not. */
static size_t without_end(const served *m, const char *text, size_t size, const int32_t *ids, size_t n)
{
    int32_t eos = lithe_tokenizer_eos(m->reader);
    bool ends = n && eos >= 0 && ids[n - 1] == eos && n > lithe_encode(m->reader, text, size, 0, NULL, 0);
    return ends ? n - 1 : n;
}

int32_t *served_encode(const served *m, const char *text, size_t size, bool special, size_t *n, problem *p)
{
    *n = lithe_encode(m->reader, text, size, special, NULL, 0);
    int32_t *ids = malloc((*n + 1) * sizeof *ids), bos = lithe_tokenizer_bos(m->reader), eos = lithe_tokenizer_eos(m->reader);
    if (!ids) { refuse(p, 503, NULL, "not enough memory for %zu tokens", *n); return NULL; }
    *n = lithe_encode(m->reader, text, size, special, ids, *n);
    if (special) *n = without_end(m, text, size, ids, *n);
    if (*n) return ids;
    *n = 1;
    if (bos >= 0 || eos >= 0) ids[0] = bos >= 0 ? bos : eos;
    else if (lithe_encode(m->reader, "\n", 1, 0, ids, 1) != 1) refuse(p, 400, "prompt", "the prompt is empty, and the tokenizer has no token that begins texts");
    return ids;
}
