/* Finds the file that a path means, and its format. */
#include "text/tokenizer.h"
#include "base/sized.h"
#include "base/file.h"
#include "base/dir_names.h"
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)256 << 20)     /* bytes of a tokenizer file */
#define CONFIG_DEPTH 64

/* The first of the names that exists in dir; NULL if there is none, or memory is out. */
static char *one_beside(const char *dir, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        char *path = path_join(dir, names[i]);
        if (path && path_exists(path) && !path_is_dir(path)) return path;
        free(path);
    }
    return NULL;
}

/* What a config.json says of its tokenizer: the class, or the model that implies it. */
static json_t *class_alone(json_t *config)
{
    json_t *class = json_pack("{s:O*, s:O*}", "tokenizer_class", json_object_get(config, "tokenizer_class"), "model_type", json_object_get(config, "model_type"));
    json_decref(config);
    return class;
}

/* The settings of the files in one object, NULL if there is none.  As in transformers 5, the tokens of
 * special_tokens_map.json count where tokenizer_config.json has no added_tokens_decoder, and then they come first. */
static json_t *config_beside(const char *dir, lithe_error *err)
{
    static const char *const names[][2] = { { "tokenizer_config.json" }, { "special_tokens_map.json" }, { "config.json" } };
    json_t *config = NULL;
    for (int i = 0; i < 3 && !failed(err); i++) {
        char *path = i == 1 && json_object_get(config, "added_tokens_decoder") ? NULL : one_beside(dir, names[i]);
        json_t *more = path ? json_read(path, FILE_LIMIT, CONFIG_DEPTH, err) : NULL;
        if (more && !json_is_object(more)) fail(err, LITHE_EFORMAT, "%s: is not a JSON object", path);
        free(path);
        if (i == 2 && more) more = class_alone(more);
        if (!config) { config = more; continue; }
        if (more) (i == 1 ? json_object_update : json_object_update_missing)(config, more);
        json_decref(more);
    }
    return config;
}

/* Sets the roles that the settings name: a string, or an object with `content`. */
static void configure(lithe_tokenizer *t, const json_t *config, const char *what, lithe_error *err)
{
    for (int i = 0; i < ROLES; i++) {
        const json_t *v = json_object_get(config, tokenizer_role_key(i));
        if (json_is_object(v)) v = json_object_get(v, "content");
        int32_t id = json_is_string(v) ? tokenizer_id(t, json_string_value(v), json_string_length(v)) : -1;
        if (id < 0 || id == t->role[i]) continue;
        t->role[i] = id;
        t->configured |= 1u << i;
    }
    const char *side = json_string_value(json_object_get(config, "truncation_side"));
    if (side) t->cut_left = !strcmp(side, "left");
    t->clean = json_is_true(json_object_get(config, "clean_up_tokenization_spaces")) && t->model != MODEL_BPE;
    if (tokenizer_is(config, "CLIPTokenizer") && !t->bpe.characters) t->ending = t->bpe.suffix;
    tokenizer_flag(t, what, err);
    if (json_is_true(json_object_get(config, "split_special_tokens"))) tokenizer_split_special(t, err);
}

/* A template is a string, or a list of them with names. */
static void read_template(lithe_tokenizer *t, const json_t *config, const char *what, lithe_error *err)
{
    const json_t *v = json_object_get(config, "chat_template");
    if (json_is_string(v)) tokenizer_add_template(t, "default", json_string_value(v), json_string_length(v), what, err);
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i), *text = json_object_get(one, "template");
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name && json_is_string(text)) tokenizer_add_template(t, name, json_string_value(text), json_string_length(text), what, err);
    }
}

static void read_named_template(lithe_tokenizer *t, const char *folder, const char *file, lithe_error *err)
{
    const size_t length = strlen(file);
    if (file[0] == '.' || length < 7 || strcmp(file + length - 6, ".jinja")) return;
    size_t n = 0;
    char *name = xstrndup(file, length - 6), *path = path_join(folder, file), *text = name && path ? file_read(path, FILE_LIMIT, &n, err) : NULL;
    if (text) tokenizer_add_template(t, name, text, n, path, err);
    else if (!name || !path) fail(err, LITHE_ENOMEM, "%s: out of memory", folder);
    free(text);
    free(path);
    free(name);
}

/* Templates with names are files of this directory, NAME.jinja. */
static void read_named_templates(lithe_tokenizer *t, const char *dir, lithe_error *err)
{
    char *folder = path_join(dir, "additional_chat_templates");
    dir_names l = { 0 };
    if (!folder) fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    else if (path_is_dir(folder)) dir_names_read(&l, folder, err);
    for (size_t i = 0; i < l.count && !failed(err); i++) read_named_template(t, folder, l.names[i], err);
    dir_names_free(&l);
    free(folder);
}

/* The template in a file of its own: chat_template.json, or chat_template.jinja, which is the newest form. */
static void read_template_files(lithe_tokenizer *t, const char *dir, lithe_error *err)
{
    static const char *const json_name[] = { "chat_template.json", NULL }, *const text_name[] = { "chat_template.jinja", NULL };
    char *path = one_beside(dir, json_name);
    json_t *config = path ? json_read(path, FILE_LIMIT, CONFIG_DEPTH, err) : NULL;
    if (config) read_template(t, config, path, err);
    json_decref(config);
    free(path);
    size_t n = 0;
    path = one_beside(dir, text_name);
    char *text = path && !failed(err) ? file_read(path, FILE_LIMIT, &n, err) : NULL;
    if (text) tokenizer_add_template(t, "default", text, n, path, err);
    free(text);
    free(path);
    if (!failed(err)) read_named_templates(t, dir, err);
}

static byte_level_words words_of(const json_t *config)
{
    return (byte_level_words){ .qwen2 = tokenizer_is(config, "Qwen2Tokenizer"), .prefixed = json_flag(config, "add_prefix_space", false) };
}

static lithe_tokenizer *open_files(const char *vocab, const char *dir, const json_t *config, lithe_error *err)
{
    static const char *const merges_names[] = { "merges.txt", "vocab.bpe", NULL };
    if (tokenizer_check_class(config, VOCABULARY_BYTE_LEVEL, vocab, err)) return NULL;
    char *merges = one_beside(dir, merges_names);
    size_t vocab_size = 0, merges_size = 0;
    if (!merges) {
        fail(err, LITHE_EIO, "%s: no merges.txt or vocab.bpe beside it", vocab);
        return NULL;
    }
    char *vocab_text = file_read(vocab, FILE_LIMIT, &vocab_size, err);
    char *merges_text = file_read(merges, FILE_LIMIT, &merges_size, err);
    lithe_tokenizer *t = NULL;
    const bool clip = tokenizer_is(config, "CLIPTokenizer");
    if (vocab_text && merges_text && (clip || tokenizer_is(config, "HerbertTokenizer")))
        t = tokenizer_from_suffixed(vocab_text, vocab_size, merges_text, merges_size, clip, vocab, err);
    else if (vocab_text && merges_text)
        t = tokenizer_from_files(vocab_text, vocab_size, merges_text, merges_size, words_of(config), vocab, merges, err);
    free(vocab_text);
    free(merges_text);
    free(merges);
    return t;
}

/* Reads a tokenizer that is a single file with `reader`. */
typedef lithe_tokenizer *(*reader)(const char *data, size_t len, const char *what, lithe_error *err);
static lithe_tokenizer *open_alone(const char *path, reader read, lithe_error *err)
{
    size_t size;
    char *data = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = data ? read(data, size, path, err) : NULL;
    free(data);
    return t;
}

/* Reads a vocab.txt, which is uncased unless the caller or the settings say otherwise, as transformers takes it. */
static lithe_tokenizer *open_pieces(const char *path, const json_t *config, int lowercase, lithe_error *err)
{
    bool lower = lowercase ? lowercase > 0 : json_flag(config, "do_lower_case", true);
    bert_options how = { .lower = lower, .marks = json_flag(config, "strip_accents", lower), .spaced = json_flag(config, "tokenize_chinese_chars", true) };
    size_t size;
    if (tokenizer_check_class(config, VOCABULARY_WORDPIECE, path, err)) return NULL;
    char *text = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = text ? tokenizer_from_pieces(text, size, how, path, err) : NULL;
    free(text);
    return t;
}

static lithe_tokenizer *open_sentencepiece(const char *path, const json_t *config, lithe_error *err)
{
    size_t size;
    if (tokenizer_check_class(config, VOCABULARY_SENTENCEPIECE, path, err)) return NULL;
    char *data = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = data ? tokenizer_from_fairseq(data, size, tokenizer_numbering(config, path), path, err) : NULL;
    const char *scheme = tokenizer_is(config, "LlamaTokenizer") ? tokenizer_llama_scheme(config) : NULL;
    /* "always" is what SentencePiece does. */
    if (t && scheme && strcmp(scheme, "always")) tokenizer_set_scheme(t, scheme);
    free(data);
    return t;
}

static lithe_tokenizer *open_json(const char *path, const json_t *config, lithe_error *err)
{
    size_t size;
    if (tokenizer_check_class(config, VOCABULARY_JSON, path, err)) return NULL;
    char *text = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = text ? tokenizer_from_json_with(text, size, config, path, err) : NULL;
    free(text);
    return t;
}

typedef enum { FORMAT_JSON, FORMAT_PIECES, FORMAT_WORLD, FORMAT_SENTENCEPIECE, FORMAT_LLAMA2C, FORMAT_GGUF } format;

/* Whether the text begins as the line of an RWKV vocabulary does: 1 'x' 1 */
static bool is_world(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9') i++;
    if (!i || i + 3 > n || text[i] != ' ') return false;
    i += text[i + 1] == 'b' ? 2 : 1;
    return text[i] == '\'' || text[i] == '"';
}

/* Whether it begins with a protocol buffer's field 1 in a field 1: a piece. */
static bool is_sentencepiece(const unsigned char *data, size_t n)
{
    size_t i = 1;
    while (i < n && i < 5 && data[i] >= 128) i++;
    return i + 1 < n && data[0] == 10 && data[1] && data[i + 1] == 10;
}

/* The format follows from the first bytes: JSON begins with {, a binary file has a NUL early on, the rest are lines. */
static format format_of(const mapping *m)
{
    size_t i = 0, n = m->size < 4096 ? m->size : 4096;
    const char *text = (const char *)m->data;
    if (n >= 4 && !memcmp(text, "GGUF", 4)) return FORMAT_GGUF;
    while (i < n && text[i] && strchr(" \t\r\n", text[i])) i++;
    if (i < n && text[i] == '{') return FORMAT_JSON;
    if (is_sentencepiece(m->data, n)) return FORMAT_SENTENCEPIECE;
    if (n < 4 || memchr(text, 0, n)) return FORMAT_LLAMA2C;
    return is_world(text, n) ? FORMAT_WORLD : FORMAT_PIECES;
}

static bool is_name(const char *path, const char *name) { return !strcmp(path_base(path), name); }

/* Opens a file by its name or its first bytes; dir is the folder of it. */
static lithe_tokenizer *open_file(const char *path, const char *dir, int lowercase, lithe_error *err)
{
    json_t *config = config_beside(dir, err);
    lithe_tokenizer *t = NULL;
    mapping m;
    if (failed(err) || file_map(&m, path, err)) { json_decref(config); return NULL; }
    format f = format_of(&m);
    if (f == FORMAT_GGUF) t = tokenizer_from_gguf((const char *)m.data, m.size, path, err);
    if (mapping_finish(&m, LITHE_OK, err) || f == FORMAT_GGUF) {             /* GGUF says all by itself */
        json_decref(config);
        if (!failed(err)) return t;
        lithe_tokenizer_close(t);
        return NULL;
    }
    if (is_name(path, "vocab.json") || is_name(path, "encoder.json")) t = open_files(path, dir, config, err);
    else if (f == FORMAT_PIECES) t = open_pieces(path, config, lowercase, err);
    else if (f == FORMAT_SENTENCEPIECE) t = open_sentencepiece(path, config, err);
    else if (f == FORMAT_JSON) t = open_json(path, config, err);
    else t = open_alone(path, f == FORMAT_WORLD ? tokenizer_from_world : tokenizer_from_llama2c, err);
    if (t && t->model != MODEL_LONGEST && !tokenizer_add_beside(t, dir, config, path, err)) configure(t, config, path, err);
    if (t && !failed(err) && f != FORMAT_JSON) tokenizer_surround(t, config, path, err);
    if (t && !failed(err)) read_template(t, config, path, err);
    if (t && !failed(err)) read_template_files(t, dir, err);
    json_decref(config);
    if (!failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

char *lithe_tokenizer_find(const char *dir)
{
    static const char *const alone[] = { "tokenizer.json", SENTENCEPIECE_FILE, "spiece.model", FAIRSEQ_FILE, "vocab.txt", WORLD_FILE, NULL }, *const last[] = { "tokenizer.bin", NULL };
    static const char *const pairs[][4] = { { "vocab.json", NULL, "merges.txt", NULL }, { "encoder.json", NULL, "vocab.bpe", NULL } };
    char *found = dir ? one_beside(dir, alone) : NULL;
    for (int i = 0; i < 2 && dir && !found; i++) {
        char *merges = one_beside(dir, pairs[i] + 2);
        found = merges ? one_beside(dir, pairs[i]) : NULL;
        free(merges);
    }
    return found || !dir ? found : one_beside(dir, last);
}

lithe_tokenizer *lithe_tokenizer_open_with(const char *path, const lithe_tokenizer_options *o, lithe_error *err)
{
    lithe_error local = { 0 };
    lithe_tokenizer_options options;
    if (!err) err = &local;
    if (options_read(&options, sizeof options, o, "lithe_tokenizer_options", err)) return NULL;
    if (!path) {
        fail(err, LITHE_EINVAL, "tokenizer: no path");
        return NULL;
    }
    if (!strcmp(path, "bytes")) return tokenizer_bytes(err);
    bool is_dir = path_is_dir(path);
    char *dir = is_dir ? NULL : path_parent(path), *file = is_dir ? lithe_tokenizer_find(path) : NULL;
    lithe_tokenizer *t = NULL;
    if (is_dir && !file)
        fail(err, LITHE_EIO, "%s: holds no tokenizer.json, " SENTENCEPIECE_FILE ", " FAIRSEQ_FILE ", vocab.txt, " WORLD_FILE ", vocab.json with merges.txt or tokenizer.bin", path);
    else if (!is_dir && !dir) fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    else t = open_file(is_dir ? file : path, is_dir ? path : dir, options.lowercase, err);
    free(dir);
    free(file);
    if (!t || !check_pending(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

lithe_tokenizer *lithe_tokenizer_open(const char *path, lithe_error *err) { return lithe_tokenizer_open_with(path, NULL, err); }
