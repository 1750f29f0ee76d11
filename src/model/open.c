/* Opens a model: finds its files, its configuration, its architecture and its tensors.
 * Its values stay in the mapped file until master values are made (params_masters).
 * Invariant: every shape is compared with the file before memory for the parameters
 * is allocated, so a configuration cannot demand more than the file holds. */
#include "model/gguf_model.h"
#include "base/arena.h"
#include "model/groups.h"
#include "base/gguf_keys.h"
#include "files/rwkv_files.h"
#include <stdlib.h>
#include <string.h>

/* The end of a message that lacks a configuration. */
static const char *arch_hint(const tensor_file *f, char text[128])
{
    const arch *a = tensors_arch(f);
    if (!a) return "";
    snprintf(text, 128, "; its tensors are named like those of %s", a->name);
    return text;
}

tensor_file *model_tensors(const char *path, lithe_error *err)
{
    tensor_file *f = tensor_file_open(path, err);
    if (!f || !naming_apply_file(f, err)) return f;
    tensor_file_close(f);
    return NULL;
}

/* A configuration in the file itself wins over the one derived from its tensors' shapes. */
json_t *tensors_config(const tensor_file *f, lithe_error *err)
{
    json_t *derived = f->names && f->names->config ? f->names->config(f, err) : NULL;
    if (!derived) return failed(err) || !f->config ? NULL : json_incref(f->config);
    if (!f->config || !json_object_update(derived, f->config)) return derived;
    json_decref(derived);
    fail(err, LITHE_ENOMEM, "%s: not enough memory for its configuration", f->path);
    return NULL;
}

static json_t *read_named(const char *named, lithe_error *err)
{
    if (!path_is_dir(named)) return config_read(named, err);
    char *path = path_join(named, "config.json");
    json_t *config = path ? config_read(path, err) : NULL;
    free(path);
    return config;
}

/* Whether the config.json beside a single file is about that file: their architectures agree. */
static bool describes_same(const json_t *config, const json_t *own)
{
    const arch *a = config ? config_arch(config, "", NULL) : NULL;
    return a && a == config_arch(own, "", NULL);
}

/* Takes sizes that the configuration does not give from the tensors. */
static int complete(json_t *config, const json_t *own)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)own, key, value) {
        const json_t *present = json_object_get(config, key);
        if ((!present || json_is_null(present)) && strcmp(key, "model_type") && strcmp(key, "architectures") && json_object_set(config, key, value)) return LITHE_ENOMEM;
    }
    return LITHE_OK;
}

/* Finds the configuration (a new reference): the one that the caller named, else the one in the file itself, else the
 * config.json beside it, else the one derived from the tensors' shapes.  *what: the path it came from. */
static json_t *find_config(const place *p, bool lone, const char *named, const tensor_file *f, const char **what, lithe_error *err)
{
    char text[128];
    *what = named ? named : p->weights;
    if (named) return read_named(named, err);
    json_t *own = tensors_config(f, err);
    if (f->config || f->keys || failed(err)) return own;
    json_t *beside = p->config ? config_read(p->config, lone && own ? NULL : err) : NULL;
    if (beside && (!lone || !own || describes_same(beside, own))) {
        *what = p->config;
        if (own && describes_same(beside, own) && complete(beside, own)) fail(err, LITHE_ENOMEM, "%s: not enough memory to read it", p->config);
        json_decref(own);
        return beside;
    }
    json_decref(beside);
    if (!own && !p->config && !rwkv_refuse(f, err)) fail(err, LITHE_ECONFIG, "%s: has no config.json beside it; name one with --config%s", p->weights, arch_hint(f, text));
    return own;
}

/* Some files name the architecture that theirs was derived from; the names of the tensors decide. */
static const arch *arch_by_tensors(const arch *a, const tensor_file *f)
{
    const arch *found = a ? tensors_arch(f) : NULL;
    for (const char *const *alias = found && found->files.known_by ? found->config.aliases : NULL; alias && *alias; alias++)
        if (!strcmp(*alias, a->name)) return found;
    return a;
}

/* The tokenizer inside the file, or beside it. */
static char *find_tokenizer(const place *p, const tensor_file *f, int vocab)
{
    bool inside = f->keys && (gguf_find(f->keys, "tokenizer.ggml.tokens") || gguf_find(f->keys, "tokenizer.huggingface.json"));
    return inside ? xstrdup(p->weights) : place_tokenizer(p, vocab);
}

static int  file_intact(const void *file, lithe_error *err) { return tensor_file_intact(file, err); }
static void close_file(void *file) { tensor_file_close(file); }
static const lending lent_file = { file_intact, close_file };

/* On success f belongs to the model. */
static lithe_model *fill(const place *p, const char *path, const json_t *config, const char *what, tensor_file *f, lithe_error *err)
{
    const arch *a = arch_by_tensors(config_arch(config, what, err), f);
    lithe_model *m = a ? model_declare(a, config, what, err) : NULL;
    if (!m) return NULL;
    load_plan plan;
    int status = load_plan_make(&plan, m, f, err);
    if (!status) status = params_close(m->params, err);
    if (!status) status = model_map(&plan, err);
    if (!status) status = params_plain(m->params, err);
    load_plan_free(&plan);
    if (!status && path_is_dir(path)) status = groups_open(m, p->dir, err);
    if (!status && path_is_dir(path)) status = generation_open(m, p->dir, err);
    if (!status && f->keys) status = gguf_read_generation(m, f, err);
    if (!status && f->keys) status = gguf_read_preprocessor(m, f, err);
    else if (!status) status = preprocessor_read(&m->preprocessor, p->dir, arch_images(a, m->config), err);
    if (!status) status = tensor_file_intact(f, err);
    if (!status) {
        m->path = xstrdup(path_is_dir(path) ? p->dir : p->weights);
        m->tokenizer = find_tokenizer(p, f, arch_vocab(a, m->config));
        if (!m->path) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", p->weights);
    }
    if (!status) {
        params_borrow(m->params, f, &lent_file);
        return m;
    }
    lithe_model_close(m);
    return NULL;
}

static lithe_model *open_place(place *p, const char *path, const char *config, lithe_error *err)
{
    tensor_file *f = NULL;
    json_t *json = NULL;
    lithe_model *m = NULL;
    const char *what = NULL;
    if (!p->weights) place_without_weights(p, err);
    else f = model_tensors(p->weights, err);
    if (f) json = find_config(p, !path_is_dir(path), config, f, &what, err);
    if (json && !failed(err)) m = fill(p, path, json, what, f, err);
    if (m && f->names) m->names = f->names->kept;
    json_decref(json);
    if (!m) tensor_file_close(f);
    else {
        m->notice = p->notice, p->notice = NULL;
        m->better = p->better, p->better = NULL;
    }
    return m;
}

/* A trainer beside may remove the checkpoint that was found: then there is a newer one. */
lithe_model *lithe_model_open(const char *path, const char *config, lithe_error *err)
{
    enum { TRIES = 100 };
    if (failed(err)) return NULL;
    lithe_model *m = NULL;
    lithe_error each = { 0 };
    for (int i = 0, again = 1; i < TRIES && again; i++) {
        place p;
        each = (lithe_error){ 0 };
        m = place_find(&p, path, &each) ? NULL : open_place(&p, path, config, &each);
        again = !m && p.run && !path_exists(p.dir);
        place_free(&p);
    }
    if (!m) fail(err, each.status, "%s", each.text);
    else if (check_pending(err)) {
        lithe_model_close(m);
        m = NULL;
    }
    return m;
}
