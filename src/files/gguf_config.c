/* A config.json from the keys of a GGUF file.  A file that Lithe wrote holds its
 * config.json whole, under lithe.config, with which the keys must agree; of others the
 * keys and the tensors say all.
 * Invariant: a key of the architecture that is not in its table is refused, since it
 * may change the results, and so are keys of other kinds of files (adapters, image
 * projectors) and of other architectures.  What the rest says, publishers' names and
 * dates, no program that runs models reads. */
#include "files/gguf_config.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_DEPTH = 32, HEAD_BYTES = 24 };

const gguf_value *gguf_key_of(const tensor_file *f, const char *rest)
{
    char key[200];
    const gguf_text name = gguf_string(gguf_find(f->keys, "general.architecture"));
    snprintf(key, sizeof key, "%.*s.%s", name.len < 60 ? (int)name.len : 60, name.bytes, rest);
    return gguf_find(f->keys, key);
}

const file_tensor *gguf_tensor(const tensor_file *f, const char *name)
{
    for (int i = 0; i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        if (!strcmp(t->stored ? t->stored : t->name, name)) return t;
    }
    return NULL;
}

/* ---- keys --------------------------------------------------------------------------- */

/* The value as the kind says, a new reference; NULL: it is none. */
static json_t *value_of(const gguf_value *v, key_kind kind)
{
    int64_t whole;
    double x;
    bool yes;
    if (kind == KEY_WHOLE) return gguf_integer(v, &whole) ? json_integer(whole) : NULL;
    if (kind == KEY_NUMBER) return gguf_number(v, &x) && isfinite(x) ? json_real(x) : NULL;
    return gguf_bool(v, &yes) ? json_boolean(yes) : NULL;
}

static bool is_only(const gguf_value *v, double only)
{
    double x = NAN;
    bool yes;
    if (gguf_bool(v, &yes)) x = yes;
    else gguf_number(v, &x);
    return fabs(x - only) <= 0;
}

static int read_key(json_t *config, const gguf_key *k, const tensor_file *f, lithe_error *err)
{
    const gguf_value *v = gguf_key_of(f, k->key);
    if (!v) return k->optional || !k->ours || json_object_get(config, k->ours) ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s: has no key for %s (%s)", f->path, k->key, k->ours);
    if (k->kind == KEY_ANY) return LITHE_OK;
    if (k->kind == KEY_ONLY) return is_only(v, k->only) ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s: %s asks for something that is not supported here: only files where it is %g open",
                                                                          f->path, v->key, k->only);
    json_t *value = value_of(v, k->kind);
    if (!value) return fail(err, LITHE_ECONFIG, "%s: %s is %s%s, expected %s", f->path, v->key, v->type == GGUF_ARRAY ? "an array of " : "of type ",
                            gguf_type_name(v->type == GGUF_ARRAY ? v->of : v->type), k->kind == KEY_WHOLE ? "a whole number" : k->kind == KEY_NUMBER ? "a number" : "a bool");
    return json_object_set_new(config, k->ours, value) ? fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", f->path) : LITHE_OK;
}

static bool is_listed(const gguf_arch *a, const char *rest)
{
    for (const gguf_key *k = a->keys; k->key; k++)
        if (!strcmp(k->key, rest)) return true;
    return false;
}

/* Every key that begins as the architecture does is one of its table. */
static int check_keys(const gguf_arch *a, const tensor_file *f, lithe_error *err)
{
    size_t n = strlen(a->name);
    for (size_t i = 0; i < f->keys->count; i++) {
        const char *key = f->keys->values[i].key;
        if (!strncmp(key, a->name, n) && key[n] == '.' && !is_listed(a, key + n + 1))
            return fail(err, LITHE_ECONFIG, "%s: the key %.100s is not known here, and may change the results", f->path, key);
    }
    return LITHE_OK;
}

static int check_others(const gguf_arch *a, const tensor_file *f, lithe_error *err)
{
    static const gguf_known none[] = { { NULL, NULL } }, kind[] = { { "general.type", "\"model\"" }, { NULL, NULL } };
    static const char *const foreign[] = { "adapter.", "clip.", "control_vector.", "diffusion.", "optimizer.", "training." };
    int status = gguf_check(f->keys, "general.type", kind, f->path, err);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign && !status; i++) status = gguf_check(f->keys, foreign[i], none, f->path, err);
    for (int i = 0; gguf_arch_at(i) && !status; i++) {
        char prefix[80];
        snprintf(prefix, sizeof prefix, "%s.", gguf_arch_at(i)->name);
        if (gguf_arch_at(i) != a) status = gguf_check(f->keys, prefix, none, f->path, err);
    }
    return status;
}

/* ---- configurations -------------------------------------------------------------------- */

/* The end of a turn or of a message ends a text as well. */
static int read_ends(json_t *config, const tensor_file *f)
{
    static const char *const ends[] = { "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    json_t *first = json_object_get(config, "eos_token_id"), *list = json_is_integer(first) ? json_pack("[O]", first) : NULL;
    int64_t id;
    int bad = 0;
    for (size_t i = 0; i < 2 && list; i++)
        if (gguf_integer(gguf_find(f->keys, ends[i]), &id) && id >= 0 && id != json_integer_value(first)) bad |= json_array_append_new(list, json_integer(id));
    if (json_array_size(list) > 1) bad |= json_object_set(config, "eos_token_id", list);
    json_decref(list);
    return bad;
}

/* The ids of the tokens that config.json names too. */
static int read_ids(json_t *config, const tensor_file *f)
{
    static const char *const ids[][2] = { { "tokenizer.ggml.bos_token_id", "bos_token_id" }, { "tokenizer.ggml.eos_token_id", "eos_token_id" },
                                          { "tokenizer.ggml.padding_token_id", "pad_token_id" } };
    int64_t id;
    int bad = 0;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (gguf_integer(gguf_find(f->keys, ids[i][0]), &id) && !json_object_get(config, ids[i][1])) bad |= json_object_set_new(config, ids[i][1], json_integer(id));
    return bad || read_ends(config, f);
}

/* The vocabulary is as large as the table of it; a head of its own is a tensor. */
static int read_tables(json_t *config, const tensor_file *f)
{
    const file_tensor *words = gguf_tensor(f, "token_embd.weight");
    int bad = 0;
    if (words) bad |= json_object_set_new(config, "vocab_size", json_integer(words->dims[0]));
    if (words && !json_object_get(config, "tie_word_embeddings")) bad |= json_object_set_new(config, "tie_word_embeddings", json_boolean(!gguf_tensor(f, "output.weight")));
    return bad;
}

static const gguf_arch *arch_named(gguf_text name)
{
    int i = 0;
    while (gguf_arch_at(i) && !gguf_is(name, gguf_arch_at(i)->name)) i++;
    return gguf_arch_at(i);
}

static json_t *stored_config(const tensor_file *f, lithe_error *err)
{
    char what[300];
    const gguf_text text = gguf_string(gguf_find(f->keys, "lithe.config"));
    snprintf(what, sizeof what, "%.250s: lithe.config", f->path);
    json_t *config = text.len ? json_parse(text.bytes, text.len, CONFIG_DEPTH, what, err) : NULL;
    if (!config || json_is_object(config)) return config;
    json_decref(config);
    fail(err, LITHE_ECONFIG, "%s is not an object", what);
    return NULL;
}

static int refuse(const tensor_file *f, gguf_text name, lithe_error *err)
{
    char known[300] = "";
    size_t n = 0;
    for (int i = 0; gguf_arch_at(i) && n < sizeof known; i++) n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", gguf_arch_at(i)->name);
    if (!name.len) return fail(err, LITHE_ECONFIG, "%s: has no general.architecture", f->path);
    return fail(err, LITHE_ECONFIG, "%s: is GGUF of the architecture %.*s, which is not known here; known: %s, and what Lithe wrote", f->path,
                name.len < 60 ? (int)name.len : 60, name.bytes, known);
}

/* Several files that are one model. */
static int check_whole(const tensor_file *f, lithe_error *err)
{
    int64_t parts = 1;
    gguf_integer(gguf_find(f->keys, "split.count"), &parts);
    return parts < 2 ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s: is one of %lld parts of a model: merge them first", f->path, (long long)parts);
}

/* Whether the keys of the file are those that this configuration is written with. */
static int check_agrees(const json_t *config, const gguf_arch *a, const tensor_file *f, lithe_error *err)
{
    uint8_t first[HEAD_BYTES] = "GGUF\3";
    gguf_head h = { 0 };
    gguf_keys said = { 0 };
    gguf_put_bytes(&h, first, sizeof first);
    int status = gguf_put_config(&h, a, config, err);
    if (!status && h.out_of_memory) status = fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", f->path);
    if (!status) store_bytes(h.bytes + 16, 8, h.count);
    if (!status) status = gguf_keys_read(&said, h.bytes, h.size, f->path, err);
    for (size_t i = 0; i < said.count && !status; i++) {
        const gguf_value *v = &said.values[i], *held = gguf_find(f->keys, v->key);
        bool same = held && held->type == v->type && held->of == v->of && held->count == v->count && gguf_same(held, v);
        if (!same) status = fail(err, LITHE_ECONFIG, "%s: %s is not what its lithe.config says: take lithe.config away if the key is right", f->path, v->key);
    }
    gguf_keys_free(&said);
    gguf_head_free(&h);
    return status;
}

static int fill(json_t *config, const gguf_arch *a, const tensor_file *f, bool whole, lithe_error *err)
{
    int status = check_keys(a, f, err), bad = 0;
    if (whole) return status ? status : check_agrees(config, a, f, err);
    bad = json_object_set_new(config, "model_type", json_string(a->model_type)) || json_object_set_new(config, "architectures", json_pack("[s]", a->class_name));
    for (const gguf_key *k = a->keys; k->key && !status; k++) status = read_key(config, k, f, err);
    if (!bad && !status) bad = read_ids(config, f) || read_tables(config, f);
    if (bad) return fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", f->path);
    return status || !a->read ? status : a->read(config, f, err);
}

json_t *gguf_config(const tensor_file *f, lithe_error *err)
{
    const gguf_text name = gguf_string(gguf_find(f->keys, "general.architecture"));
    const gguf_arch *a = arch_named(name);
    json_t *config = stored_config(f, err);
    bool whole = config != NULL;
    int status = failed(err) ? (int)err->status : check_whole(f, err);
    if (!status) status = check_others(a, f, err);
    if (!status && !whole && !(a ? (config = json_object()) != NULL : false)) status = a ? fail(err, LITHE_ENOMEM, "%s: no memory", f->path) : refuse(f, name, err);
    if (!status && a) status = fill(config, a, f, whole, err);
    if (!status) return config;
    json_decref(config);
    return NULL;
}

/* ---- the way back ------------------------------------------------------------------------ */

const gguf_arch *gguf_arch_of(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    if (type && !strcmp(type, "mistral")) type = "llama";
    for (int i = 0; type && gguf_arch_at(i); i++)
        if (!strcmp(gguf_arch_at(i)->model_type, type)) return gguf_arch_at(i);
    return NULL;
}

const char *gguf_key_name(const gguf_arch *a, const char *rest, char name[GGUF_KEY_BYTES])
{
    snprintf(name, GGUF_KEY_BYTES, "%s.%s", a->name, rest);
    return name;
}

static void put_key(gguf_head *h, const gguf_arch *a, const gguf_key *k, const json_t *config)
{
    char name[GGUF_KEY_BYTES];
    const json_t *value = k->ours ? json_object_get(config, k->ours) : NULL;
    gguf_key_name(a, k->key, name);
    if (!value || json_is_null(value)) return;
    if (k->kind == KEY_WHOLE) gguf_put_integer(h, name, GGUF_U32, json_integer_value(value));
    else if (k->kind == KEY_NUMBER) gguf_put_number(h, name, json_number_value(value));
    else if (k->kind == KEY_BOOL) gguf_put_bool(h, name, json_is_true(value));
}

/* "KEY=VALUE|VALUE": whether config has one of the values, or says nothing. */
static bool has_fixed(const json_t *config, const char *fixed)
{
    char key[64];
    size_t n = strcspn(fixed, "=");
    snprintf(key, sizeof key, "%.*s", (int)n, fixed);
    const json_t *value = json_object_get(config, key);
    char *text = value && !json_is_null(value) ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7)) : NULL;
    bool found = !text;
    for (const char *at = fixed + n; text && *at; at += 1 + strcspn(at + 1, "|")) {
        size_t length = strcspn(at + 1, "|"), quoted = text[0] == '"', size = strlen(text) - 2 * quoted;
        found |= length == size && !memcmp(at + 1, text + quoted, size);
    }
    free(text);
    return found;
}

int gguf_put_config(gguf_head *h, const gguf_arch *a, const json_t *config, lithe_error *err)
{
    for (const char *const *f = a->fixed; f && *f; f++)
        if (!has_fixed(config, *f))
            return fail(err, LITHE_EINVAL, "GGUF's %s has %s alone, this model another value: write it as a directory or as safetensors", a->name, *f);
    for (const gguf_key *k = a->keys; k->key; k++) put_key(h, a, k, config);
    if (a->write) a->write(h, a, config);
    return LITHE_OK;
}
