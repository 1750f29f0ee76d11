/* How texts become vectors, by the files beside a model: what sentence-transformers writes (modules.json,
 * sentence_bert_config.json, config_sentence_transformers.json, the config.json of its pooling module, in the
 * forms before and since version 5.4), and the tokenizer's length limit. */
#include "base/file.h"
#include "base/keys.h"
#include "infer/infer.h"
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES = 1 << 20, JSON_DEPTH = 16 };

/* The flags of old files and the names of new ones, and ours, in the order in which flags stand side by side. */
static const struct { const char *key, *name, *pooling; } modes[] = {
    { "pooling_mode_cls_token", "cls", "cls" }, { "pooling_mode_max_tokens", "max", "max" }, { "pooling_mode_mean_tokens", "mean", "mean" },
    { "pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", "mean_sqrt_len_tokens" },
    { "pooling_mode_weightedmean_tokens", "weightedmean", "weightedmean" }, { "pooling_mode_lasttoken", "lasttoken", "last" },
};
enum { MODES = sizeof modes / sizeof *modes };

static const known_key pooling_settings[] = {
    { .key = "pooling_mode" }, { .key = "pooling_mode_cls_token" }, { .key = "pooling_mode_mean_tokens" }, { .key = "pooling_mode_lasttoken" },
    { .key = "pooling_mode_max_tokens" }, { .key = "pooling_mode_mean_sqrt_len_tokens" }, { .key = "pooling_mode_weightedmean_tokens" },
    { .key = "include_prompt" },
    { "embedding_dimension", "*" }, { "word_embedding_dimension", "*" },      /* the model knows its width */
    { 0 }
};

static const known_key transformer_settings[] = {
    { .key = "max_seq_length" }, { .key = "do_lower_case" },
    { "transformer_task", "\"feature-extraction\"" },
    { "modality_config", "*" }, { "module_output_name", "*" },  /* where the hidden states are found in its objects */
    { "unpad_inputs", "*" },                                    /* speed alone */
    { "tokenizer_name_or_path", "*" },                          /* the files beside the model are used */
    { 0 }
};

static const known_key model_settings[] = {
    { .key = "prompts" }, { .key = "default_prompt_name" },
    { "__version__", "*" },
    { "similarity_fn_name", "*" },                                            /* between vectors, after they are made */
    { "model_type", "\"SentenceTransformer\"" },
    { "truncate_dim", "null" },
    { "requirements", "*" },                                                  /* of its Python packages */
    { 0 }
};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

/* The file, checked if it has `known` settings; NULL without an error if there is none. */
static json_t *read_beside(const char *dir, const char *folder, const char *name, const known_key *known, lithe_error *err)
{
    char *inner = path_join(dir, folder), *path = inner ? path_join(inner, name) : NULL;
    json_t *json = path && path_exists(path) ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL;
    if (json && known && keys_check(json, known, path, err)) {
        json_decref(json);
        json = NULL;
    }
    free(inner);
    free(path);
    return json;
}

static int take_mode(int mode, const char *name, const char *folder, int *found, lithe_embedding *o, lithe_error *err)
{
    if (mode == MODES)
        return fail(err, LITHE_ECONFIG, "%s/config.json: pooling \"%.40s\" is not known, only cls, max, mean, mean_sqrt_len_tokens, weightedmean and lasttoken", folder, name);
    const size_t n = (*found)++ ? strlen(o->pooling) : 0;
    const int length = snprintf(o->pooling + n, sizeof o->pooling - n, "%s%s", n ? "," : "", modes[mode].pooling);
    return (size_t)length < sizeof o->pooling - n ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s/config.json: asks for too many poolings side by side", folder);
}

static int take_named(const json_t *value, const char *folder, int *found, lithe_embedding *o, lithe_error *err)
{
    const char *name = json_string_value(value);
    int mode = 0;
    if (!name) return fail(err, LITHE_ECONFIG, "%s/config.json: pooling_mode is neither a name nor a list of names", folder);
    while (mode < MODES && strcmp(name, modes[mode].name)) mode++;
    return take_mode(mode, name, folder, found, o, err);
}

static int read_pooling(const char *dir, const char *folder, lithe_embedding *o, bool *whole, lithe_error *err)
{
    json_t *json = read_beside(dir, folder, "config.json", pooling_settings, err), *named = json_object_get(json, "pooling_mode");
    int status = json || !failed(err) ? LITHE_OK : (int)err->status, found = 0;
    for (int i = 0; i < MODES && !status && !named; i++)
        if (json_is_true(json_object_get(json, modes[i].key))) status = take_mode(i, modes[i].key, folder, &found, o, err);
    for (size_t i = 0; i < json_array_size(named) && !status; i++) status = take_named(json_array_get(named, i), folder, &found, o, err);
    if (named && !json_is_array(named) && !status) status = take_named(named, folder, &found, o, err);
    if (json_is_false(json_object_get(json, "include_prompt"))) *whole = false;
    json_decref(json);
    return status;
}

/* Of the module that scales vectors to length 1. */
static const known_key normalize_settings[] = { { "module_input_name", "\"sentence_embedding\"" }, { "module_output_name", "\"sentence_embedding\"|null" }, { 0 } };

static const known_key module_settings[] = {
    { .key = "type" }, { .key = "path" }, { "idx", "*" }, { "name", "*" },              /* the order is the list's */
    { "kwargs", "[]|{}|null" },
    { 0 }
};

static int read_module(const char *dir, const json_t *module, lithe_embedding *o, bool *whole, lithe_error *err)
{
    const char *type = json_string_value(json_object_get(module, "type")), *path = json_string_value(json_object_get(module, "path"));
    if (keys_check(module, module_settings, "modules.json", err)) return LITHE_ECONFIG;
    if (!type || !path || strstr(path, "..") || *path == '/') return fail(err, LITHE_ECONFIG, "%s/modules.json: a module without a type or a path inside the folder", dir);
    if (ends_with(type, ".Transformer")) return LITHE_OK;
    if (ends_with(type, ".Pooling")) return read_pooling(dir, path, o, whole, err);
    if (!ends_with(type, ".Normalize")) return fail(err, LITHE_ECONFIG, "%s/modules.json: module %.80s is not supported, expected Transformer, Pooling, Normalize", dir, type);
    o->normalize = 1;
    json_decref(read_beside(dir, path, "config.json", normalize_settings, err));
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* The prompt that is used when none is asked for. */
static int read_prompt(const char *dir, lithe_embedding *o, lithe_error *err)
{
    json_t *json = read_beside(dir, ".", "config_sentence_transformers.json", model_settings, err);
    const char *name = json_string_value(json_object_get(json, "default_prompt_name"));
    const char *text = name ? json_string_value(json_object_get(json_object_get(json, "prompts"), name)) : "";
    if (!text) fail(err, LITHE_ECONFIG, "config_sentence_transformers.json: the default prompt \"%.40s\" is not among its prompts", name);
    else if (strlen(text) >= sizeof o->prompt)
        fail(err, LITHE_ECONFIG, "config_sentence_transformers.json: the prompt \"%.40s\" has %zu bytes, at most %zu are possible", name, strlen(text), sizeof o->prompt - 1);
    else strcpy(o->prompt, text);
    json_decref(json);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* A limit above the model's context, or a tokenizer's of 1e30, is none. */
static void limit_length(const json_t *object, const char *key, int most, lithe_embedding *o, lithe_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value) && !(json_number_value(value) >= 1)) fail(err, LITHE_ECONFIG, "%s is no number of tokens from 1 on", key);
    else json_int(object, key, 1, most, &o->max_length);
}

/* Older files are named after the architecture. */
static json_t *read_own(const char *dir, lithe_error *err)
{
    static const char *const names[] = { "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                         "sentence_albert_config.json", "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json" };
    json_t *own = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !own && !failed(err); i++) own = read_beside(dir, ".", names[i], transformer_settings, err);
    return own;
}

static int read_transformer(const char *dir, int context, lithe_embedding *o, lithe_error *err)
{
    json_t *own = read_own(dir, err);
    json_t *tokenizer = failed(err) ? NULL : read_beside(dir, ".", "tokenizer_config.json", NULL, err);
    limit_length(own, "max_seq_length", context, o, err);
    if (!o->max_length) limit_length(tokenizer, json_object_get(tokenizer, "model_max_length") ? "model_max_length" : "max_len", context, o, err);
    o->lowercase = json_is_true(json_object_get(own, "do_lower_case"));
    json_decref(own);
    json_decref(tokenizer);
    return failed(err) ? (int)err->status : LITHE_OK;
}

static int read_modules(const char *dir, lithe_embedding *o, bool *whole, lithe_error *err)
{
    json_t *modules = read_beside(dir, ".", "modules.json", NULL, err);
    int status = modules || !failed(err) ? LITHE_OK : (int)err->status;
    for (size_t i = 0; i < json_array_size(modules) && !status; i++) status = read_module(dir, json_array_get(modules, i), o, whole, err);
    json_decref(modules);
    return status;
}

int lithe_embedding_read(const lithe_model *m, lithe_embedding *o, lithe_error *err)
{
    lithe_error own = { 0 };
    bool whole = true;                                                        /* the prompt's tokens are pooled too */
    if (failed(err)) return err->status;
    if (!err) err = &own;
    if (!m || !o) return fail(err, LITHE_EINVAL, "there is no model whose settings say how it embeds");
    const char *said = json_string_value(json_object_get(m->json, "lithe_pooling"));        /* of a GGUF file */
    *o = LITHE_OPTIONS(lithe_embedding);
    snprintf(o->pooling, sizeof o->pooling, "%s", said ? said : lithe_model_encoder(m) ? "mean" : "last");
    if (!m->path || !path_is_dir(m->path)) return LITHE_OK;
    int status = read_modules(m->path, o, &whole, err);
    if (!status) status = read_transformer(m->path, lithe_model_context(m), o, err);
    if (!status) status = read_prompt(m->path, o, err);
    if (!status && !whole && *o->prompt)
        status = fail(err, LITHE_ECONFIG, "%s: pooling without the tokens of the prompt (include_prompt: false) is not supported", m->path);
    return status;
}
