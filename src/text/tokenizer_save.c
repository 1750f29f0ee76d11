/* Writing a tokenizer.json that Hugging Face's tokenizers reads to the same ids.
 * What was read from a tokenizer.json is written back byte for byte; the others
 * are: the components above, the vocabulary in order of ids, merges in order of
 * rank, as strings "a b" while no token holds a space and as pairs otherwise. */
#include "text/tokenizer.h"
#include "text/byte_alphabet.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

/* The name of a token in the file, in text (room for 2 bytes of each of its):
 * bytes in GPT-2's alphabet, unless the token came with a name outside it; the
 * begin and end of llama2.c without the line ends it writes around them. */
static size_t name_of(const lithe_tokenizer *t, int32_t id, char *text)
{
    size_t len;
    const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
    if (!t->bpe.characters && pieces_find(&t->vocabulary, bytes, len) == id) return alphabet_from_bytes(bytes, len, text);
    if (t->bpe.characters && (id == t->bos || id == t->eos) && len > 2 && bytes[0] == '\n' && bytes[len - 1] == '\n') {
        bytes++;
        len -= 2;
    }
    memcpy(text, bytes, len);
    return len;
}

static size_t longest_name(const lithe_tokenizer *t)
{
    size_t longest = 1, len;
    for (int32_t id = 0; id < t->vocabulary.n; id++)
        if (pieces_has(&t->vocabulary, id) && (pieces_bytes(&t->vocabulary, id, &len), len > longest)) longest = len;
    return 2 * longest;
}

/* NULL when two tokens have the same name, or one cannot be a key. */
static json_t *vocabulary(const lithe_tokenizer *t, char *name)
{
    json_t *o = json_object();
    for (int32_t id = 0; o && id < t->vocabulary.n; id++) {
        if (!pieces_has(&t->vocabulary, id)) continue;
        size_t len = name_of(t, id, name);
        name[len] = 0;
        if (strlen(name) == len && !json_object_get(o, name) && !json_object_set_new(o, name, json_integer(id))) continue;
        json_decref(o);
        o = NULL;
    }
    return o;
}

static bool any_space(const lithe_tokenizer *t, char *name)
{
    for (int32_t id = 0; id < t->vocabulary.n; id++)
        if (pieces_has(&t->vocabulary, id) && memchr(name, ' ', name_of(t, id, name))) return true;
    return false;
}

static json_t *merges(const lithe_tokenizer *t, char *left, char *right, char *both)
{
    json_t *list = json_array();
    bool strings = !any_space(t, left);
    for (size_t i = 0; i < t->n_pairs && list; i++) {
        size_t l = name_of(t, t->pairs[i][0], left), r = name_of(t, t->pairs[i][1], right);
        json_t *m;
        if (strings) {
            memcpy(both, left, l);
            both[l] = ' ';
            memcpy(both + l + 1, right, r);
            m = json_stringn(both, l + 1 + r);
        } else m = json_pack("[s%, s%]", left, l, right, r);
        if (json_array_append_new(list, m)) { json_decref(list); list = NULL; }
    }
    return list;
}

static json_t *added(const lithe_tokenizer *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_entries; i++) {
        const added_entry *e = &t->entries[i];
        json_array_append_new(list, json_pack("{s:i, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (int)e->id, "content", e->text, e->len,
                                              "single_word", e->single_word, "lstrip", e->lstrip, "rstrip", e->rstrip,
                                              "normalized", e->normalized, "special", e->special));
    }
    return list;
}

/* {"type": "ByteLevel"} as pre_tokenizer, and where its flags mean little as decoder and post_processor. */
static json_t *byte_level(const lithe_tokenizer *t)
{
    bool prefix = false, regex = false;
    for (int i = 0; i < t->n_split; i++) {
        prefix |= t->split[i].kind == SPLIT_PREFIX_SPACE;
        regex |= t->split[i].kind == SPLIT_GPT2;
    }
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", prefix, "trim_offsets", 1, "use_regex", regex);
}

/* RobertaProcessing for a begin and an end, a template for a begin alone. */
static json_t *post_processor(const lithe_tokenizer *t, char *bos, char *eos)
{
    if (!t->n_before) return t->bpe.characters ? json_null() : byte_level(t);
    size_t b = name_of(t, t->before[0], bos), e = t->n_behind ? name_of(t, t->behind[0], eos) : 0;
    if (e) return json_pack("{s:s, s:[s%, i], s:[s%, i], s:b, s:b}", "type", "RobertaProcessing", "sep", eos, e, (int)t->behind[0],
                            "cls", bos, b, (int)t->before[0], "trim_offsets", 1, "add_prefix_space", 0);
    bos[b] = 0;
    json_t *item = json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", bos, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0), *second = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    return json_pack("{s:s, s:[O, O], s:[o, o, o], s:{s:{s:s, s:[i], s:[s]}}}", "type", "TemplateProcessing", "single", item, a,
                     "pair", item, a, second, "special_tokens", bos, "id", bos, "ids", (int)t->before[0], "tokens", bos);
}

static json_t *model(const lithe_tokenizer *t, char *names[3])
{
    size_t len;
    bool c = t->bpe.characters;
    const char *unknown = c ? pieces_bytes(&t->vocabulary, t->bpe.unknown, &len) : NULL;
    json_t *v = vocabulary(t, names[0]), *m = merges(t, names[0], names[1], names[2]);
    json_t *u = unknown ? json_stringn(unknown, len) : json_null();
    return json_pack("{s:s, s:n, s:o, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token", u,
                     "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", t->bpe.fuse_unknown,
                     "byte_fallback", c && t->bpe.byte_id[0] >= 0, "ignore_merges", 0, "vocab", v, "merges", m);
}

static json_t *as_json(const lithe_tokenizer *t, char *names[3])
{
    bool c = t->bpe.characters;
    json_t *normalizer = c ? json_pack("{s:s, s:s}", "type", "Prepend", "prepend", " ") : json_null();
    json_t *decoder = c ? json_pack("{s:s, s:[{s:s}, {s:s}, {s:s, s:s, s:i, s:i}]}", "type", "Sequence", "decoders", "type", "ByteFallback",
                                    "type", "Fuse", "type", "Strip", "content", " ", "start", 1, "stop", 0) : byte_level(t);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding", "added_tokens", added(t),
                     "normalizer", normalizer, "pre_tokenizer", c ? json_null() : byte_level(t),
                     "post_processor", post_processor(t, names[0], names[1]), "decoder", decoder, "model", model(t, names));
}

static json_t *name_as_json(const lithe_tokenizer *t, int32_t id, char *text)
{
    size_t len;
    if (pieces_has(&t->added, id)) {
        const char *bytes = pieces_bytes(&t->added, id, &len);
        return json_stringn(bytes, len);
    }
    if (!pieces_has(&t->vocabulary, id)) return json_null();
    len = name_of(t, id, text);
    return json_stringn(text, len);
}

/* bos and eos, where their names alone would not tell, as tokenizer_config.json
 * beside path, unless there is one. */
static int save_ends(const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    if (!t->configured) return LITHE_OK;
    char *dir = path_parent(path), *beside = dir ? path_join(dir, "tokenizer_config.json") : NULL, *text = xalloc(longest_name(t) + 2, 1);
    json_t *config = NULL;
    if (!beside || !text) fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    else if (!path_exists(beside)) {
        config = json_pack("{s:o, s:o}", "bos_token", name_as_json(t, t->bos, text), "eos_token", name_as_json(t, t->eos, text));
        if (!config) fail(err, LITHE_ENOMEM, "%s: out of memory", beside);
        else json_write(config, beside, err);
    }
    json_decref(config);
    free(dir); free(beside); free(text);
    return failed(err) ? (int)err->status : LITHE_OK;
}

int lithe_tokenizer_save(const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    lithe_error local = { 0 };
    if (!err) err = &local;
    if (failed(err)) return err->status;
    if (!t || !path) return fail(err, LITHE_EINVAL, "tokenizer: nothing to save, or no path");
    if (save_ends(t, path, err)) return err->status;
    if (t->source) return file_write(path, t->source, t->source_bytes, err);
    char *names[3];
    size_t room = longest_name(t) + 2;
    for (int i = 0; i < 3; i++) names[i] = xalloc(i == 2 ? 2 * room : room, 1);
    json_t *root = names[0] && names[1] && names[2] ? as_json(t, names) : NULL;
    if (!root) fail(err, LITHE_ENOMEM, "%s: tokenizer cannot be written as JSON: out of memory, a piece that is not UTF-8, or two that are the same", path);
    else json_write(root, path, err);
    json_decref(root);
    for (int i = 0; i < 3; i++) free(names[i]);
    return failed(err) ? (int)err->status : LITHE_OK;
}
