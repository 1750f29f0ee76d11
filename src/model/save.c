/* A model to disk, in the Hugging Face layout: model.safetensors, config.json,
 * generation_config.json and tokenizer.json, under the names of the published
 * checkpoints.  In f32 the values read back bitwise the same.
 * Invariant: lithe_model_save's directory appears complete, by rename. */
#include "model/groups.h"
#include "base/threads.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t CHUNK = (size_t)1 << 18;                 /* elements converted by one task */

/* ---- values ------------------------------------------------------------------- */

typedef struct {
    const real *data;
    size_t count, rows, columns;     /* rows of a matrix that is written transposed, else 0 */
    dtype type;
    void *out;
    atomic_bool overflow;
} narrowing;

static void narrow_chunk(void *context, int chunk)
{
    narrowing *c = context;
    size_t first = (size_t)chunk * CHUNK, last = c->count - first < CHUNK ? c->count : first + CHUNK;
    for (size_t i = first; i < last; i++) {
        float x = (float)c->data[c->rows ? i % c->rows * c->columns + i / c->rows : i];
        if (c->type == DT_F32) ((float *)c->out)[i] = x;
        else if (c->type == DT_BF16) ((uint16_t *)c->out)[i] = bf16_from_float(x);
        else {
            uint16_t h = ((uint16_t *)c->out)[i] = f16_from_float(x);
            if (isfinite(x) && (h & 0x7fff) == 0x7c00) atomic_store(&c->overflow, true);
        }
    }
}

static int narrow(const param *p, bool turned, dtype type, void *out, const char *dir, lithe_error *err)
{
    real *values = weight_copy(&p->weight, p->count);
    if (!values) return fail(err, LITHE_ENOMEM, "%s: not enough memory to write %s", dir, p->name);
    narrowing c = { .data = values, .count = p->count, .type = type, .out = out };
    if (turned) {
        c.rows = (size_t)p->rule.dims[0];
        c.columns = (size_t)p->rule.dims[1];
    }
    parallel_for((int)((p->count + CHUNK - 1) / CHUNK), narrow_chunk, &c);
    free(values);
    if (!atomic_load(&c.overflow)) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "%s: %s holds values beyond f16's largest, 65504; save it as bf16 or f32", dir, p->name);
}

/* ---- tensors ------------------------------------------------------------------ */

static const char *published_name(const lithe_model *m, const param *p, arena *memory)
{
    const arch *a = m->arch;
    char name[NAMING_BYTES];
    bool bare = !a->files.prefixes || !a->files.prefixes[0] || arch_head_tensor(a, p->name);
    snprintf(name, sizeof name, "%s%s", bare ? "" : a->files.prefixes[0], p->name);
    return arena_strdup(memory, name);
}

/* A file of parameters: under which names (NULL: ours), in which type, and how it is written. */
typedef struct { const naming *names; dtype type; int (*write)(const char *path, const out_tensor *tensors, int count, lithe_error *err); } form;

static int write_runtime_f32(const char *path, const out_tensor *tensors, int count, lithe_error *err) { return rwkvcpp_write(path, tensors, count, DT_F32, err); }
static int write_runtime_f16(const char *path, const out_tensor *tensors, int count, lithe_error *err) { return rwkvcpp_write(path, tensors, count, DT_F16, err); }
static int write_safetensors(const char *path, const out_tensor *tensors, int count, lithe_error *err) { return safetensors_write(path, tensors, count, NULL, err); }

/* Name and shape as they will stand in the file; true: the matrix is written transposed. */
static bool publish(const lithe_model *m, const naming *foreign, const param *p, out_tensor *out, arena *names)
{
    char name[NAMING_BYTES];
    out->rank = p->rule.rank;
    for (int d = 0; d < p->rule.rank; d++) out->dims[d] = p->rule.dims[d];
    bool turned = foreign && naming_apply(foreign, p->name, name, out->dims, &out->rank);
    out->name = foreign ? arena_strdup(names, name) : published_name(m, p, names);
    return turned;
}

/* Whether every parameter has the type already: its bytes are then written from where they are. */
static bool written_as_is(const lithe_model *m, const form *f)
{
    static const dtype types[STORED_TYPES] = { DT_F32, DT_F16, DT_BF16 };
    bool same = !f->names;
    for (int i = 0; i < m->params->count && same; i++) same = types[weight_stored(&m->params->items[i]->weight).type] == f->type;
    return same;
}

/* bytes: room for every parameter in f->type, or NULL when they are written from where they are. */
static int describe(const lithe_model *m, const form *f, char *bytes, out_tensor *out, arena *names, const char *where, lithe_error *err)
{
    for (int i = 0; i < m->params->count; i++) {
        const param *p = m->params->items[i];
        out[i] = (out_tensor){ .type = f->type, .data = bytes ? bytes : weight_stored(&p->weight).data };
        bool turned = publish(m, f->names, p, &out[i], names);
        if (!out[i].name) return fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", where);
        if (!bytes) continue;
        int status = narrow(p, turned, f->type, bytes, where, err);
        if (status) return status;
        bytes += p->count * dtype_bytes(f->type);
    }
    return LITHE_OK;
}

static int write_tensors(const lithe_model *m, const char *path, form f, lithe_error *err)
{
    size_t size = written_as_is(m, &f) ? 0 : params_total(m->params) * dtype_bytes(f.type);
    arena names = { 0 };
    char *bytes = size ? big_alloc(size) : NULL;
    out_tensor *out = xalloc((size_t)m->params->count + 1, sizeof *out);
    int status = LITHE_OK;
    if (!out || (size && !bytes)) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", path);
    if (!status) status = describe(m, &f, bytes, out, &names, path, err);
    if (!status) status = f.write(path, out, m->params->count, err);
    if (bytes) big_free(bytes, size);
    arena_free(&names);
    free(out);
    return status;
}

static int write_weights(const lithe_model *m, const char *dir, dtype type, lithe_error *err)
{
    char *path = path_join(dir, "model.safetensors");
    int status = path ? write_tensors(m, path, (form){ m->names, type, write_safetensors }, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to write a model", dir);
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

static int set_id(json_t *json, const char *key, int32_t id)
{
    const json_t *present = json_object_get(json, key);
    return id < 0 || (present && !json_is_null(present)) ? 0 : json_object_set_new(json, key, json_integer(id));
}

/* What readers look for beside the fields: the stored type, in both spellings, and the tokenizer's ids. */
static int write_config(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    const char *name = type == DT_F32 ? "float32" : type == DT_BF16 ? "bfloat16" : "float16";
    json_t *json = model_config(m, err), *generation = json_object();
    int bad = !generation;
    if (json) {
        bad |= json_object_set_new(json, "torch_dtype", json_string(name)) || json_object_set_new(json, "dtype", json_string(name));
        if (t) bad |= set_id(json, "bos_token_id", lithe_tokenizer_bos(t)) || set_id(json, "eos_token_id", lithe_tokenizer_eos(t));
        bad |= json_object_set_new(generation, "_from_model_config", json_true()) != 0;
        static const char *const ids[] = { "bos_token_id", "eos_token_id", "pad_token_id" };
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
            json_t *id = json_object_get(json, ids[i]);
            if (id && !json_is_null(id)) bad |= json_object_set(generation, ids[i], id) != 0;
        }
    }
    int status = json && !bad ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory for config.json", dir);
    if (!status) status = write_json(json, dir, "config.json", err);
    if (!status && lithe_model_vocab(m)) status = write_json(generation, dir, "generation_config.json", err);
    json_decref(json);
    json_decref(generation);
    return status;
}

static int write_tokenizer(const lithe_tokenizer *t, const char *dir, lithe_error *err)
{
    char *path = path_join(dir, lithe_tokenizer_file(t));
    int status = path ? lithe_tokenizer_save(t, path, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory for its tokenizer", dir);
    free(path);
    return status;
}

int model_write(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (t && lithe_tokenizer_vocab(t) > lithe_model_vocab(m))
        return fail(err, LITHE_EINVAL, "%s: the tokenizer has %d ids, the model a vocabulary of %d", dir, lithe_tokenizer_vocab(t), lithe_model_vocab(m));
    int status = write_weights(m, dir, type, err);
    if (!status) status = write_config(m, dir, type, t, err);
    if (!status && t) status = write_tokenizer(t, dir, err);
    return status ? status : preprocessor_write(&m->pictures, dir, arch_images(m->arch, m->config), err);
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

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);
    return n > k && !strcmp(path + n - k, suffix);
}

/* rwkv.cpp's files turn to 16 bits by themselves, and not all of their tensors. */
static int choose_form(form *f, const char *path, lithe_error *err)
{
    *f = (form){ .type = f->type, .write = ends_with(path, ".pth") ? pytorch_write : write_safetensors };
    if (ends_with(path, ".pth") || ends_with(path, ".safetensors")) return LITHE_OK;
    if (!ends_with(path, ".bin")) return fail(err, LITHE_EINVAL, "%s: a model is written to one file that ends with .pth, .safetensors or, for rwkv.cpp, .bin", path);
    if (f->type == DT_BF16) return fail(err, LITHE_EINVAL, "%s: rwkv.cpp has f32 and f16, not bf16", path);
    *f = (form){ .type = DT_F32, .write = f->type == DT_F16 ? write_runtime_f16 : write_runtime_f32 };
    return LITHE_OK;
}

int lithe_model_export(const lithe_model *m, const char *path, const char *type_name, lithe_error *err)
{
    form f = { 0 };
    if (failed(err)) return err->status;
    if (!m || !path) return fail(err, LITHE_EINVAL, "saving needs a model and a file");
    int status = read_type(type_name, &f.type, err);
    if (!status) status = choose_form(&f, path, err);
    if (!status && path_exists(path)) status = fail(err, LITHE_EINVAL, "%s: is there already; name a new file", path);
    return status ? status : write_tensors(m, path, f, err);
}

static char *temporary_beside(const char *target)
{
    static atomic_uint serial;
    char name[64];
    snprintf(name, sizeof name, ".lithe-model-%ld-%u.tmp", (long)getpid(), atomic_fetch_add(&serial, 1));
    char *parent = path_parent(target), *path = parent ? path_join(parent, name) : NULL;
    free(parent);
    return path;
}

int lithe_model_save(const lithe_model *m, const char *dir, const char *type_name, const lithe_tokenizer *t, lithe_error *err)
{
    dtype type;
    if (failed(err)) return err->status;
    if (!m || !dir || !*dir) return fail(err, LITHE_EINVAL, "saving needs a model and a directory");
    if (read_type(type_name, &type, err)) return LITHE_EINVAL;
    if (path_exists(dir) && !path_is_dir(dir)) return fail(err, LITHE_EINVAL, "%s: is a file, expected a new or empty directory", dir);
    if (path_exists(dir) && !dir_is_empty(dir)) return fail(err, LITHE_EINVAL, "%s: is not empty; name a new directory", dir);
    bool ours = !path_exists(dir);
    int status = dir_make(dir, err);
    char *target = status ? NULL : realpath(dir, NULL), *temporary = target ? temporary_beside(target) : NULL;
    if (!status && !temporary) status = fail_errno(err, dir, "write into");
    if (!status) {
        dir_remove(temporary, NULL);                         /* of a dead process that had this one's number */
        status = dir_make(temporary, err);
        if (!status) status = model_write(m, temporary, type, t, err);
        if (!status) status = groups_save(m, temporary, err);
        if (!status) status = dir_sync(temporary, err);
        if (!status) status = dir_rename(temporary, target, err);
        if (status) dir_remove(temporary, NULL);
    }
    if (status && ours) rmdir(dir);
    free(temporary);
    free(target);
    return status;
}
