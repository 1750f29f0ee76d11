/* A model in memory: its architecture, its configuration as a struct and as
 * the JSON it came from, and its named parameters. */
#include "model/model.h"
#include "base/threads.h"
#include "base/json.h"
#include "model/groups.h"
#include "text/tokenizer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 4 << 20, CONFIG_DEPTH = 32 };

const char *lithe_arch_vocabulary(const char *name)
{
    const arch *a = arch_find(name);
    return a && a->vocabulary ? a->vocabulary : "bpe";
}

const char *lithe_model_vocabulary(const lithe_model *m)
{
    json_t *config = m ? model_config(m, NULL) : NULL;
    const char *kind = tokenizer_kind_of_type(json_string_value(json_object_get(config, "model_type")));
    json_decref(config);
    return kind ? kind : lithe_arch_vocabulary(lithe_model_arch(m));
}

const char *lithe_arch_usual(int images) { return arch_usual(images)->name; }

const char *lithe_arch_over(const char *name)
{
    const arch *a = arch_find(name);
    return a && a->growth.over ? a->growth.over->name : NULL;
}

const char *lithe_arch_name(int i)
{
    for (int j = 0; architectures[j]; j++)
        if (j == i) return architectures[j]->name;
    return NULL;
}

const char *lithe_arch_summary(int i)
{
    for (int j = 0; architectures[j]; j++)
        if (j == i) return architectures[j]->summary;
    return NULL;
}

/* ---- config.json -------------------------------------------------------------- */

json_t *config_read(const char *path, lithe_error *err) { return json_read(path, CONFIG_BYTES, CONFIG_DEPTH, err); }

/* Copies a name from a file for a message, with ? for what cannot be printed. */
static const char *printable(const char *name, char text[64])
{
    size_t i = 0;
    for (; name[i] && i < 63; i++) text[i] = name[i] < ' ' || name[i] > '~' ? '?' : name[i];
    text[i] = 0;
    return text;
}

/* "NAME, NAME, NAME" */
static const char *known_archs(char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (int i = 0; architectures[i] && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "", architectures[i]->name);
    return text;
}

const arch *config_arch(const json_t *config, const char *what, lithe_error *err)
{
    char text[64], known[200];
    if (failed(err)) return NULL;
    for (int i = 0; architectures[i]; i++)
        if (architectures[i]->config.claims && architectures[i]->config.claims(config)) return architectures[i];
    const char *type = json_string_value(json_object_get(config, "model_type")), *key = "model_type";
    if (!type) {
        type = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
        key = "architectures";
    }
    const arch *a = arch_find(type);
    if (a) return arch_check_class(a, config, what, err) ? NULL : a;
    const char *why, *nearest = arch_nearest(type, &why);
    if (!json_is_object(config)) fail(err, LITHE_ECONFIG, "%s: is not a JSON object with the keys of a model", what);
    else if (!type) fail(err, LITHE_ECONFIG, "%s: has neither model_type nor architectures; known: %s", what, known_archs(known, sizeof known));
    else if (nearest) fail(err, LITHE_ECONFIG, "%s: %s says %s, which is not supported: %s; the nearest that is: %s", what, key, printable(type, text), why, nearest);
    else fail(err, LITHE_ECONFIG, "%s: %s says %s, which is not known here; known: %s", what, key, printable(type, text),
              known_archs(known, sizeof known));
    return NULL;
}

static bool holds(const tensor_file *f, const arch *a, const char *mark) { return mark && naming_holds(f, a->files.names, mark); }

/* Looks for names that only one architecture has before those of embeddings, which several share. */
const arch *tensors_arch(const tensor_file *f)
{
    for (int i = 0; architectures[i]; i++)
        if (holds(f, architectures[i], architectures[i]->files.known_by)) return architectures[i];
    for (int i = 0; architectures[i]; i++)
        if (holds(f, architectures[i], architectures[i]->files.tied_to)) return architectures[i];
    return NULL;
}

/* A model made by the name of an architecture has its class, whatever the configuration that it was made by said. */
static int publish_class(json_t *config)
{
    const arch *a = arch_find(json_string_value(json_object_get(config, "model_type")));
    return a && arch_check_class(a, config, "config.json", NULL) ? json_object_set_new(config, "architectures", json_pack("[s]", a->class_name)) : 0;
}

json_t *model_config(const lithe_model *m, lithe_error *err)
{
    if (failed(err)) return NULL;
    json_t *json = json_deep_copy(m->json);
    if (json && !arch_publish(m->arch, m->config, json) && !publish_class(json) && !task_publish(m->arch, &m->task, json)) return json;
    json_decref(json);
    fail(err, LITHE_ENOMEM, "not enough memory for config.json");
    return NULL;
}

/* ---- making ------------------------------------------------------------------- */

/* Reads the parameter groups that older versions kept in config.json. */
static int read_old_groups(lithe_model *m, const char *what, lithe_error *err)
{
    json_t *list = json_incref(json_object_get(m->json, "lithe_segments"));
    if (!list) return LITHE_OK;
    char where[300];
    snprintf(where, sizeof where, "%.250s: lithe_segments", what);
    json_object_del(m->json, "lithe_segments");
    int status = groups_read(m, list, where, err);
    json_decref(list);
    return status;
}

lithe_model *model_declare(const arch *a, const json_t *config, const char *what, lithe_error *err)
{
    if (failed(err)) return NULL;
    int status = LITHE_OK;
    lithe_model *m = xalloc(1, sizeof *m);
    if (!m) { fail(err, LITHE_ENOMEM, "%s: not enough memory for a model", what); return NULL; }
    m->arch = a;
    m->preprocessor = preprocessor_default();
    m->json = config ? json_deep_copy(config) : json_object();
    m->config = xalloc(1, a->config.size);
    m->params = params_new();
    if (!m->json || !m->config || !m->params || !thread_ready()) status = fail(err, LITHE_ENOMEM, "%s: not enough memory for a model", what);
    if (!status) status = arch_normalize(a, m->json, what, err);
    if (!status) status = arch_read(a, m->json, m->config, what, err);
    if (!status) status = arch_check_keys(a, m->json, what, err);
    if (!status) status = generation_check_ends(m->json, what, err);
    if (!status) status = task_read(a, m->json, &m->task, what, err);
    if (!status) {
        lithe_error inner = { 0 };
        status = arch_declare(a, m->config, &m->task, m->params, &inner);
        if (status < 0 || inner.status) status = fail(err, inner.status ? inner.status : LITHE_ECONFIG, "%s: %s", what, inner.text);
    }
    if (!status) status = read_old_groups(m, what, err);
    if (!status) return m;
    lithe_model_close(m);
    return NULL;
}

lithe_model *model_create(const arch *a, const json_t *config, const char *what, lithe_error *err)
{
    lithe_model *m = model_declare(a, config, what, err);
    if (m && !params_close(m->params, err) && !params_masters(m->params, err) && !check_pending(err)) return m;
    lithe_model_close(m);
    return NULL;
}

lithe_model *lithe_model_new(const char *name, const char *config_json, uint64_t seed, lithe_error *err)
{
    static const char what[] = "config.json";
    char text[64], known[200];
    lithe_model *m = NULL;
    json_t *config = NULL;
    if (failed(err)) return NULL;
    if (config_json && !(config = json_parse(config_json, strlen(config_json), CONFIG_DEPTH, what, err))) return NULL;
    const arch *a = arch_find(name), *named = a;
    if (!name) a = named = config_arch(config, what, err);
    else if (!a) fail(err, LITHE_EINVAL, "%s is not a known architecture; known: %s", printable(name, text), known_archs(known, sizeof known));
    else if (json_object_get(config, "model_type")) named = config_arch(config, what, err);
    if (!a || !named) goto out;
    if (a != named) { fail(err, LITHE_ECONFIG, "%s: model_type says %s, %s was asked for", what, named->name, a->name); goto out; }
    m = model_create(a, config, what, err);
    if (m) params_initialize(m->params, seed);
out:
    json_decref(config);
    return m;
}

void lithe_model_close(lithe_model *m)
{
    if (!m) return;
    params_free(m->params);
    json_decref(m->json);
    json_decref(m->generation);
    free(m->groups);
    free(m->config);
    free(m->path);
    free(m->tokenizer);
    free(m->notice);
    free(m->better);
    free(m);
}

/* ---- questions ---------------------------------------------------------------- */

const char *lithe_model_arch(const lithe_model *m)      { return m ? m->arch->name : NULL; }
size_t      lithe_model_params(const lithe_model *m)    { return m ? params_total(m->params) : 0; }
int         lithe_model_vocab(const lithe_model *m)     { return m ? arch_vocab(m->arch, m->config) : 0; }
int         lithe_model_context(const lithe_model *m)   { return m ? arch_context(m->arch, m->config) : 0; }
const char *lithe_model_tokenizer(const lithe_model *m) { return m ? m->tokenizer : NULL; }
const char *lithe_model_notice(const lithe_model *m)    { return m ? m->notice : NULL; }
const char *lithe_model_better(const lithe_model *m)    { return m ? m->better : NULL; }
const char *lithe_model_task(const lithe_model *m)      { return m ? task_name(&m->task) : NULL; }

int lithe_model_images(const lithe_model *m, int *side, int *patch, int *channels)
{
    image_shape z = m ? arch_images(m->arch, m->config) : (image_shape){ 0 };
    if (side) *side = z.side;
    if (patch) *patch = z.patch;
    if (channels) *channels = z.channels;
    return z.side > 0;
}

const char *lithe_model_image_filter(const lithe_model *m)
{
    /* PIL's numbers, in order */
    static const char *const names[] = { "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" };
    return lithe_model_images(m, NULL, NULL, NULL) ? names[m->preprocessor.filter] : NULL;
}

int lithe_arch_images(const char *name)
{
    const arch *a = arch_find(name);
    return a && arch_reads_images(a);
}

int lithe_model_encoder(const lithe_model *m) { return m && arch_encoder(m->arch, m->config); }

int lithe_model_labels(const lithe_model *m)
{
    return m && (m->task.kind == TASK_SEQUENCE || m->task.kind == TASK_TOKENS) ? m->task.labels : 0;
}

const char *lithe_model_label(const lithe_model *m, int i)
{
    char key[16];
    if (!m || i < 0 || i >= lithe_model_labels(m)) return NULL;
    snprintf(key, sizeof key, "%d", i);
    if (m->task.form == FORM_NEXT) return i ? "random" : "next";
    return json_string_value(json_object_get(json_object_get(m->json, "id2label"), key));
}

char *lithe_model_config(const lithe_model *m)
{
    json_t *json = m ? model_config(m, NULL) : NULL;
    char *text = json ? json_text(json) : NULL;
    json_decref(json);
    return text;
}

int lithe_model_image_resize(const lithe_model *m, int *shortest)
{
    if (shortest) *shortest = m && m->preprocessor.shortest;
    return lithe_model_images(m, NULL, NULL, NULL) ? m->preprocessor.resize : 0;
}
