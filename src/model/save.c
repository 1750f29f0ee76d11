/* Saves a model in the Hugging Face layout: model.safetensors with the tensor names of
 * the published checkpoints, config.json, generation_config.json and tokenizer.json.
 * Values saved in f32 are bitwise the same when they are read again.
 * Invariant: lithe_model_save's directory is complete when it appears, by rename. */
#include "model/groups.h"
#include "base/dir_names.h"
#include "base/progress.h"
#include "base/writer.h"
#include "files/dtypes.h"
#include "model/gguf_model.h"
#include "base/partial.h"
#include "base/system.h"
#include "base/threads.h"
#include "text/tokenizer.h"
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t CHUNK = (size_t)1 << 18;                 /* elements that one task converts */

/* ---- values ------------------------------------------------------------------- */

typedef struct { const param *from; file_tensor to; atomic_bool overflow, cut; } storing;

static void store_chunk(void *context, int chunk)
{
    enum { N = 4096 };
    storing *s = context;
    real values[N];
    float x[N];
    size_t first = (size_t)chunk * CHUNK, last = s->from->count - first < CHUNK ? s->from->count : first + CHUNK;
    if (dtype_block(s->to.type) > 1) {
        const stored form = weight_stored(&s->from->weight);
        if (form.rows || !file_tensor_put_blocks(&s->to, first, last - first, stored_from(form, first).data)) atomic_store(&s->cut, true);
        return;
    }
    for (size_t i = first; i < last; i += N) {
        size_t n = last - i < N ? last - i : N;
        weight_read(&s->from->weight, i, n, values);
        for (size_t k = 0; k < n; k++) x[k] = (float)values[k];
        if (!file_tensor_put(&s->to, i, n, x)) atomic_store(&s->overflow, true);
    }
}

/* ---- tensors ------------------------------------------------------------------ */

/* A file of parameters that is being written.  names: the tensor names of its format; NULL: the published ones. */
typedef struct {
    const lithe_model *m;
    const char *path;
    const tensor_writer *writer;
    const naming *names;
    dtype type;                      /* DT_OTHER: each as it is stored */
    gguf_head keys;                  /* of a GGUF file */
    json_t *config;                  /* likewise: config.json as it is written */
    out_tensor *out; int count;
    arena memory;                    /* for names and values */
} saving;

static const char *published_name(const saving *s, const char *ours, char out[PATTERN_BYTES])
{
    const char *prefix = arch_head_tensor(s->m->arch, ours) ? NULL : s->m->arch->files.prefix;
    snprintf(out, PATTERN_BYTES, "%s%s", prefix ? prefix : "", ours);
    return out;
}

/* Returns the tensor of this name: an existing one when several parameters are parts of it, else a new one. */
static out_tensor *out_named(saving *s, const char *name, bool of_parts)
{
    for (int i = s->count - 1; of_parts && i >= 0; i--)
        if (!strcmp(s->out[i].name, name)) return &s->out[i];
    out_tensor *t = &s->out[s->count];
    *t = (out_tensor){ .name = arena_strdup(&s->memory, name) };
    s->count += t->name != NULL;
    return t->name ? t : NULL;
}

static int refuse_type(const saving *s, dtype type, const char *name, lithe_error *err)
{
    if (type == DT_BF16) return fail(err, LITHE_EINVAL, "%s: is written in f32 or f16, not bf16", s->path);
    return fail(err, LITHE_EINVAL, "%s: a file with the ending %s cannot hold %s, the type of %s", s->path, s->writer->ending, dtype_name(type), name);
}

/* Sets shape, type and data of the tensor for p.  Its data is p's own where that can be written as it is, else new
 * memory.  *at is the tensor to convert p's values into; its data is NULL when none need be converted. */
static int describe(saving *s, out_tensor *t, const param *p, const naming_rule *rule, file_tensor *at, lithe_error *err)
{
    char like[PATTERN_BYTES];
    const naming_form *form = &rule->form;
    const param *other = naming_like(rule, p->name, like) ? params_find(s->m->params, like) : NULL;
    const wanted_shape shape = param_shape(p), other_shape = param_shape(other ? other : p);
    file_tensor whole = { .name = t->name, .data = t->data };
    naming_shape(&whole, form, &shape, &other_shape);
    t->rank = whole.rank;
    memcpy(t->dims, whole.dims, sizeof t->dims);
    const stored present = weight_stored(&p->weight);
    dtype asked = s->type == DT_OTHER ? dtype_of(present.type) : s->type;
    t->type = s->writer->type(t, asked);
    /* As it is stored, where the format can: rwkv.cpp has no bf16, and f32 holds all of it. */
    if (s->type == DT_OTHER && asked == DT_BF16 && t->type == DT_OTHER) t->type = s->writer->type(t, DT_F32);
    whole.type = t->type;
    if (t->type == DT_OTHER) return refuse_type(s, asked, p->name, err);
    if (!dtype_size(t->type, whole.count, &whole.bytes)) return refuse_type(s, t->type, p->name, err);
    *at = whole;
    bool as_is = dtype_of(present.type) == t->type && form->parts < 2 && naming_target(at, form, &shape) &&
                 (present.rows ? is_transposed(&at->order) : file_tensor_as_is(at));
    if (!t->data) t->data = as_is ? present.data : arena_alloc(&s->memory, whole.bytes);
    if (!t->data) return fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", s->path);
    *at = whole;
    at->data = as_is ? NULL : t->data;
    if (at->data) naming_target(at, form, &shape);
    return LITHE_OK;
}

static int add_parameter(saving *s, const param *p, lithe_error *err)
{
    static const naming_rule plain = { 0 };
    char name[PATTERN_BYTES];
    const naming_rule *rule = s->names ? naming_rule_of(s->names->rules, p->name, name) : NULL;
    if (!rule) rule = &plain;
    storing values = { .from = p };
    out_tensor *t = out_named(s, naming_is_ours(s->names) ? published_name(s, p->name, name) : name, rule->form.parts > 1);
    int status = t ? describe(s, t, p, rule, &values.to, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", s->path);
    if (!status && values.to.data) parallel_for((int)((p->count + CHUNK - 1) / CHUNK), store_chunk, &values);
    if (!status && atomic_load(&values.overflow))
        status = fail(err, LITHE_EINVAL, "%s: %s holds values beyond f16's largest, 65504; save it as f32 or bf16", s->path, p->name);
    if (!status && atomic_load(&values.cut))
        status = fail(err, LITHE_EINVAL, "%s: %s cannot be written in blocks there, whose rows are another axis; keep it in f16", s->path, p->name);
    return status;
}

static int write_tensors(saving *s, lithe_error *err)
{
    const params *p = s->m->params;
    s->out = xalloc((size_t)p->count + GGUF_MORE_TENSORS, sizeof *s->out);
    int status = s->out ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", s->path);
    for (int i = 0; i < p->count && !status; i++) {
        status = progress_tell("converting the weights", i, p->count, err);
        if (!status) status = add_parameter(s, p->items[i], err);
    }
    if (!status && !s->writer->write) s->count = gguf_model_tensors(s->out, s->count, s->config, &s->memory);
    if (!status) status = s->writer->write ? s->writer->write(s->path, s->out, s->count, err) : gguf_write(s->path, &s->keys, s->out, s->count, err);
    arena_free(&s->memory);
    free(s->out);
    return status;
}

/* Parameters as they are stored need a format that knows blocks. */
static int write_weights(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    const naming *names = m->names ? m->names : naming_marked(m->arch->files.written_as);
    bool as_stored = type == DT_OTHER;
    char *path = path_join(dir, as_stored ? "model.gguf" : "model.safetensors");
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", dir);
    int status = as_stored ? lithe_model_export_with(m, path, "stored", t, err)
                           : write_tensors(&(saving){ .m = m, .path = path, .writer = tensor_writer_of(path, err), .names = names, .type = type }, err);
    free(path);
    return status;
}

/* ---- configuration ------------------------------------------------------------- */

static int write_json(json_t *json, const char *dir, const char *name, lithe_error *err)
{
    char *path = path_join(dir, name), *text = json ? json_text(json) : NULL;
    int status = path && text ? file_write(path, text, strlen(text), err) : fail(err, LITHE_ENOMEM, "%s: not enough memory for %s", dir, name);
    free(text);
    free(path);
    return status;
}

/* The ids of the tokenizer's special tokens; null where it has none, since transformers' own numbers are others. */
static int set_ids(json_t *json, const lithe_tokenizer *t)
{
    static const char *const names[] = { "bos", "eos", "pad", "cls", "sep" };
    const size_t n = lithe_tokenizer_special(t, "mask") < 0 ? 3 : 5;          /* the last two are encoders' */
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        char key[24];
        const int32_t id = lithe_tokenizer_special(t, names[i]);
        snprintf(key, sizeof key, "%s_token_id", names[i]);
        const json_t *present = json_object_get(json, key);
        if (present && (!json_is_null(present) || id < 0)) continue;
        bad |= json_object_set_new(json, key, id < 0 ? json_null() : json_integer(id));
    }
    return bad;
}

/* The configuration with keys that other programs read: the stored type under both of its names, and the tokenizer's
 * ids. */
static json_t *written_config(const lithe_model *m, const char *where, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    const char *name = type == DT_BF16 ? "bfloat16" : type == DT_F16 ? "float16" : "float32";
    json_t *json = model_config(m, err);
    int bad = !json;
    if (json) bad = json_object_set_new(json, "torch_dtype", json_string(name)) || json_object_set_new(json, "dtype", json_string(name));
    if (json && t) bad |= set_ids(json, t);
    if (!bad) return json;
    json_decref(json);
    fail(err, LITHE_ENOMEM, "%s: not enough memory for config.json", where);
    return NULL;
}

/* The file that the model was opened with, or else a new one, with the ids of config.json that it does not give. */
static json_t *generation_config(const lithe_model *m, const json_t *config)
{
    static const char *const ids[] = { "bos_token_id", "eos_token_id", "pad_token_id" };
    json_t *json = m->generation ? json_deep_copy(m->generation) : json_pack("{s:b}", "_from_model_config", 1);
    int bad = !json;
    for (size_t i = 0; i < sizeof ids / sizeof *ids && !bad; i++) {
        json_t *id = json_object_get(config, ids[i]);
        if (id && !json_is_null(id) && !json_object_get(json, ids[i])) bad = json_object_set(json, ids[i], id);
    }
    if (!bad) return json;
    json_decref(json);
    return NULL;
}

static int write_config(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    json_t *config = written_config(m, dir, type, t, err), *generation = config ? generation_config(m, config) : NULL;
    int status = config ? write_json(config, dir, "config.json", err) : failed(err) ? (int)err->status : LITHE_ENOMEM;
    if (!status && lithe_model_vocab(m)) status = write_json(generation, dir, "generation_config.json", err);
    json_decref(config);
    json_decref(generation);
    return status;
}

int model_adopt_config(lithe_model *m, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    json_t *json = written_config(m, "the model", type, t, err);
    int status = json ? arch_normalize(m->arch, json, "config.json", err) : failed(err) ? (int)err->status : LITHE_ENOMEM;
    if (!status) {
        json_decref(m->json);
        m->json = json_incref(json);
    }
    json_decref(json);
    return status;
}

/* The configuration says whether the model has token types. */
int model_write_tokenizer(const lithe_model *m, const lithe_tokenizer *t, const char *dir, lithe_error *err)
{
    int types = 0;
    json_t *config = model_config(m, err);
    json_int(config, "type_vocab_size", 0, INT_MAX, &types);
    const tokenizer_user user = { json_string_value(json_object_get(config, "model_type")), lithe_model_context(m), types > 1 };
    if (!failed(err)) tokenizer_save_for_model(t, dir, user, err);
    json_decref(config);
    return failed(err) ? (int)err->status : LITHE_OK;
}

int model_write(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    int status = t ? lithe_model_fits(m, t, err) : LITHE_OK;
    if (!status) status = write_weights(m, dir, type, t, err);
    if (!status) status = write_config(m, dir, type, t, err);
    if (!status && t) status = model_write_tokenizer(m, t, dir, err);
    return status ? status : preprocessor_write(&m->preprocessor, dir, arch_images(m->arch, m->config), err);
}

/* ---- the directory ------------------------------------------------------------- */

static bool parse_type(const char *name, dtype *type)
{
    static const struct { const char *name; dtype type; } known[] = { { "f32", DT_F32 }, { "bf16", DT_BF16 }, { "f16", DT_F16 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name ? name : "f32", known[i].name)) { *type = known[i].type; return true; }
    return false;
}

static int read_type(const char *name, dtype *type, lithe_error *err)
{
    return parse_type(name, type) ? LITHE_OK : fail(err, LITHE_EINVAL, "%s is no type to save a model in; known: f32, bf16, f16", name);
}

/* The type in which most of the numbers are stored. */
static dtype most_stored(const lithe_model *m)
{
    size_t counts[STORED_TYPES] = { 0 };
    stored_type most = STORED_REAL;
    for (int i = 0; i < m->params->count; i++) counts[weight_stored(&m->params->items[i]->weight).type] += m->params->items[i]->count;
    for (int type = 0; type < STORED_TYPES; type++)
        if (counts[type] > counts[most]) most = (stored_type)type;
    return dtype_of(most);
}

static bool has_parameter(const void *context, const char *name) { return params_find(context, name) != NULL; }

/* GGUF has names for every architecture: llama.cpp's, or ours. */
static int begin_gguf(saving *s, const lithe_tokenizer *t, lithe_error *err)
{
    s->config = written_config(s->m, s->path, s->type, t, err);
    if (!s->config) return failed(err) ? (int)err->status : LITHE_ENOMEM;
    const gguf_arch *a = gguf_arch_of(s->config);
    s->names = naming_of_architecture("gguf", a ? a->name : NULL);
    return gguf_model_keys(&s->keys, s->m, s->config, s->type == DT_OTHER ? most_stored(s->m) : s->type, t, err);
}

static int choose_writer(saving *s, const lithe_tokenizer *t, lithe_error *err)
{
    const tensor_writer *w = s->writer = tensor_writer_of(s->path, err);
    if (!w) return LITHE_EINVAL;
    if (!w->write) return begin_gguf(s, t, err);
    s->names = w->format ? naming_of_format(w->format, has_parameter, s->m->params) : NULL;
    if (!w->format || s->names) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "%s: only %s is written for %s, as %s", s->path, w->architectures, w->format, w->ending);
}

int lithe_model_export_with(const lithe_model *m, const char *path, const char *type_name, const lithe_tokenizer *t, lithe_error *err)
{
    saving s = { .m = m, .path = path, .type = DT_OTHER };
    if (failed(err)) return err->status;
    if (!m || !path) return fail(err, LITHE_EINVAL, "saving needs a model and a file");
    bool as_stored = type_name && !strcmp(type_name, "stored");
    int status = as_stored ? LITHE_OK : read_type(type_name, &s.type, err);
    if (!status && t) status = lithe_model_fits(m, t, err);
    if (!status && path_exists(path)) status = fail(err, LITHE_EINVAL, "%s: is there already; name a new file", path);
    if (!status) status = choose_writer(&s, t, err);
    if (!status) status = write_tensors(&s, err);
    if (!status && (status = params_intact(m->params, err))) os.unlinkat(AT_FDCWD, path, 0);
    gguf_head_free(&s.keys);
    json_decref(s.config);
    return status;
}

int lithe_model_export(const lithe_model *m, const char *path, const char *type_name, lithe_error *err)
{
    return lithe_model_export_with(m, path, type_name, NULL, err);
}

/* Whether dir can become a model; *ours: it is not there yet. */
static int check_free(const char *dir, bool *ours, lithe_error *err)
{
    *ours = !path_exists(dir);
    if (!*ours && !path_is_dir(dir)) return fail(err, LITHE_EINVAL, "%s: is a file, expected a new or empty directory", dir);
    int empty = dir_is_empty(dir, err);
    return empty ? (empty < 0 ? empty : LITHE_OK) : fail(err, LITHE_EINVAL, "%s: is not empty; name a new directory", dir);
}

/* Fills a directory beside target and renames it. */
static int save_beside(const lithe_model *m, const char *target, dtype type, const lithe_tokenizer *t, more_files *more, const void *context, lithe_error *err)
{
    partial_dir s = { .lock = -1 };
    char *parent = path_parent(target);
    int status = parent ? partial_make(&s, parent, ".lithe-model", err) : fail(err, LITHE_ENOMEM, "%s: out of memory", target);
    if (!status) status = model_write(m, s.path, type, t, err);
    if (!status) status = groups_save(m, s.path, err);
    if (!status && more) status = more(context, s.path, err);
    if (!status) status = params_intact(m->params, err);
    if (!status) status = dir_sync(s.path, err);
    if (!status) status = dir_rename(s.path, target, err);
    partial_named(s.path, target, err);
    partial_remove(&s);
    free(parent);
    return status;
}

int model_save_with(const lithe_model *m, const char *dir, const char *type_name, const lithe_tokenizer *t, more_files *more, const void *context, lithe_error *err)
{
    dtype type = DT_OTHER;
    bool ours;
    if (failed(err)) return err->status;
    if (!m || !dir || !*dir) return fail(err, LITHE_EINVAL, "saving needs a model and a directory");
    if (!(type_name && !strcmp(type_name, "stored")) && read_type(type_name, &type, err)) return LITHE_EINVAL;
    int status = check_free(dir, &ours, err);
    if (status) return status;
    status = dir_make(dir, err);
    char *target = status ? NULL : os.realpath(dir, NULL);
    if (!status) status = target ? save_beside(m, target, type, t, more, context, err) : fail_errno(err, dir, "write into");
    if (status && ours) os.unlinkat(AT_FDCWD, dir, AT_REMOVEDIR);
    free(target);
    return status;
}

int lithe_model_save(const lithe_model *m, const char *dir, const char *type_name, const lithe_tokenizer *t, lithe_error *err)
{
    return model_save_with(m, dir, type_name, t, NULL, NULL, err);
}
