/* A model from disk: place, configuration, architecture, tensors.
 * Invariant: every shape was compared with the file before memory for the
 * parameters is taken, so a configuration cannot ask for more than lies there. */
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

static const char *tell_arch(const tensor_file *f, char text[128])
{
    const arch *a = tensors_arch(f);
    if (!a) return "";
    snprintf(text, 128, "; its tensors are named like those of %s", a->name);
    return text;
}

/* A configuration that was named wins over the one beside the file, and that
 * over what the file says of itself.  A new reference; *what: where it stands. */
static json_t *find_config(const place *p, const char *named, const tensor_file *f, const char **what, lithe_error *err)
{
    char text[128];
    if (named && path_is_dir(named)) {
        char *path = path_join(named, "config.json");
        json_t *config = path ? config_read(path, err) : NULL;
        free(path);
        *what = named;
        return config;
    }
    *what = named ? named : f->config ? p->weights : p->config;
    if (!named && f->config) return json_incref(f->config);
    if (*what) return config_read(*what, err);
    fail(err, LITHE_ECONFIG, "%s: has no config.json beside it; name one with --config%s", p->weights, tell_arch(f, text));
    return NULL;
}

static lithe_model *fill(const place *p, const char *path, const json_t *config, const char *what, const tensor_file *f, lithe_error *err)
{
    const arch *a = config_arch(config, what, err);
    lithe_model *m = a ? model_declare(a, config, what, err) : NULL;
    if (!m) return NULL;
    int status = model_fits(m, f, err);
    if (!status) status = params_close(m->params, err);
    if (!status) status = model_load(m, f, err);
    if (!status) {
        m->path = strdup(path_is_dir(path) ? p->dir : p->weights);
        m->tokenizer = place_tokenizer(p, a->vocab(m->config));
        if (!m->path) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", p->weights);
    }
    if (!status) return m;
    lithe_model_close(m);
    return NULL;
}

lithe_model *lithe_model_open(const char *path, const char *config, lithe_error *err)
{
    place p;
    tensor_file *f = NULL;
    json_t *json = NULL;
    lithe_model *m = NULL;
    const char *what = NULL;
    if (place_find(&p, path, err)) goto out;
    if (!p.weights) {
        fail(err, LITHE_EIO, "%s: holds no model.safetensors, pytorch_model.bin or index of shards", p.dir);
        goto out;
    }
    f = tensor_file_open(p.weights, err);
    if (f) json = find_config(&p, config, f, &what, err);
    if (json) m = fill(&p, path, json, what, f, err);
out:
    json_decref(json);
    tensor_file_close(f);
    place_free(&p);
    return m;
}
