/* A model with the body of another one and a new head, from which fine-tuning begins.
 * Parameters are matched by name: those that the old model lacks are initialized,
 * and those that the new one lacks (the old heads) are dropped. */
#include "model/model.h"
#include "base/arena.h"
#include <stdlib.h>
#include <string.h>

/* Writes id2label and label2id, in which Hugging Face keeps the names of classes. */
static int put_labels(json_t *config, const char *const *names, int n)
{
    json_t *by_id = json_object(), *by_name = json_object();
    char key[16];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%d", i);
        json_object_set_new(by_id, key, json_string(names[i]));
        json_object_set_new(by_name, names[i], json_integer(i));
    }
    bool all = json_object_size(by_id) == (size_t)n;
    int status = json_object_set_new(config, "id2label", by_id) | json_object_set_new(config, "label2id", by_name);
    return status || !all ? LITHE_ENOMEM : LITHE_OK;
}

int model_name_labels(lithe_model *m, const char *const *names, int n, lithe_error *err)
{
    if (json_is_object(json_object_get(m->json, "id2label")) || n != m->task.labels) return LITHE_OK;
    return put_labels(m->json, names, n) ? fail(err, LITHE_ENOMEM, "not enough memory for %d labels", n) : LITHE_OK;
}

static json_t *headed_config(const lithe_model *m, const task *t, const char *const *names, lithe_error *err)
{
    static const char *const gone[] = { "id2label", "label2id", "num_labels", "problem_type" };
    json_t *config = model_config(m, err);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) json_object_del(config, gone[i]);
    bool sequence = t->kind == TASK_SEQUENCE;
    if (config && !(sequence && !t->regression && put_labels(config, names, t->labels)) && !task_publish(m->arch, t, config)) return config;
    json_decref(config);
    fail(err, LITHE_ENOMEM, "not enough memory for config.json");
    return NULL;
}

static void copy_body(lithe_model *to, const lithe_model *from)
{
    for (int i = 0; i < to->params->count; i++) {
        param *p = to->params->items[i];
        const param *q = params_find(from->params, p->name);
        bool same = q && q->rule.rank == p->rule.rank && !memcmp(q->rule.dims, p->rule.dims, (size_t)p->rule.rank * sizeof *p->rule.dims);
        if (same) weight_read(&q->weight, 0, q->count, weight_edit(&p->weight));
    }
}

/* Initializes the head even where the old classifier's head has the same shape; other heads keep what copy_body
 * found. */
static void renew_head(lithe_model *m, const lithe_model *from, uint64_t seed)
{
    for (int i = 0; i < m->params->count && from->task.kind == TASK_SEQUENCE; i++) {
        param *p = m->params->items[i];
        if (arch_head_tensor(m->arch, p->name)) param_initialize(p, seed, weight_edit(&p->weight));
    }
}

lithe_model *lithe_model_with_head(const lithe_model *m, const char *task_text, const char *const *names, int labels, uint64_t seed, lithe_error *err)
{
    if (failed(err)) return NULL;
    bool regress = task_text && !strcmp(task_text, "regress"), classify = task_text && !strcmp(task_text, "classify");
    bool pretrain = task_text && !strcmp(task_text, "pretrain");
    if (!m || (!regress && !classify && !pretrain)) { fail(err, LITHE_EINVAL, "task \"%s\", expected classify, regress or pretrain", task_text ? task_text : "(none)"); return NULL; }
    if (classify && labels < 2) { fail(err, LITHE_EINVAL, "%d classes, a classifier needs at least 2", labels); return NULL; }
    if (classify && !names) { fail(err, LITHE_EINVAL, "a classifier needs the names of its %d classes", labels); return NULL; }
    const task t = pretrain ? (task){ .kind = TASK_PRETRAIN, .labels = 2 } : (task){ .kind = TASK_SEQUENCE, .labels = regress ? 1 : labels, .regression = regress };
    json_t *config = headed_config(m, &t, names, err);
    lithe_model *out = config ? model_create(m->arch, config, "the model with a new head", err) : NULL;
    json_decref(config);
    if (!out) return NULL;
    params_initialize(out->params, seed);
    copy_body(out, m);
    renew_head(out, m, seed);
    out->preprocessor = m->preprocessor;
    int status = params_intact(m->params, err);
    if (!status && m->tokenizer && !(out->tokenizer = xstrdup(m->tokenizer))) status = fail(err, LITHE_ENOMEM, "not enough memory for a model");
    if (!status) return out;
    lithe_model_close(out);
    return NULL;
}
