/* Writes a tokenizer.json from which Hugging Face's tokenizers gives the same ids.
 * A tokenizer that was read from a tokenizer.json, or from an RWKV vocabulary, which has no
 * form in JSON, is written back byte for byte.  For the others the file has the components,
 * the vocabulary in the order of ids, and the merges in the order of their ranks, as strings
 * "a b" if no token contains a space and as pairs otherwise. */
#include "text/tokenizer.h"
#include "text/byte_alphabet.h"
#include "base/file.h"
#include "base/writer.h"
#include <stdlib.h>
#include <string.h>

/* Writes the name of a token in the file to text, which has room for 2 bytes for each of its bytes.
 * The name is the bytes in GPT-2's alphabet, unless the token came with a name outside it; the
 * begin and end tokens of llama2.c lose the line ends around them. */
static size_t name_of(const lithe_tokenizer *t, int32_t id, char *text)
{
    size_t len;
    const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
    if (!t->bpe.characters && pieces_find(&t->vocabulary, bytes, len) == id) return alphabet_from_bytes(bytes, len, text);
    if (t->bpe.characters && (id == t->role[ROLE_BOS] || id == t->role[ROLE_EOS]) && len > 2 && bytes[0] == '\n' && bytes[len - 1] == '\n') {
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

/* NULL if two tokens have the same name, or a name cannot be a key. */
static json_t *vocabulary(const lithe_tokenizer *t, char *name)
{
    json_t *o = json_object();
    for (int32_t id = 0; o && id < t->vocabulary.n; id++) {
        if (!pieces_has(&t->vocabulary, id)) continue;
        size_t len = name_of(t, id, name);
        name[len] = 0;
        if (t->model == MODEL_WORDPIECE && pieces_find(&t->vocabulary, name, len) != id) continue; /* a repeated line */
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

static bool splits(const lithe_tokenizer *t, split_kind kind)
{
    for (int i = 0; i < t->n_split; i++)
        if (t->split[i].kind == kind) return true;
    return false;
}

/* {"type": "ByteLevel"} as pre_tokenizer, decoder and post_processor; the last two hardly use its flags. */
static json_t *byte_level(const lithe_tokenizer *t)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", splits(t, SPLIT_PREFIX_SPACE), "trim_offsets", 1, "use_regex", splits(t, SPLIT_GPT2));
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

/* Appends the items of one template, and its special tokens to `tokens`. */
static json_t *template_items(const lithe_tokenizer *t, const template *f, json_t *tokens, char *text)
{
    json_t *list = json_array();
    for (int i = 0; i < f->n; i++) {
        const template_item *item = &f->item[i];
        json_t *name = item->id >= 0 ? name_as_json(t, item->id, text) : json_string(item->id == TEXT_A ? "A" : "B");
        json_array_append_new(list, json_pack("{s:{s:O, s:i}}", item->id >= 0 ? "SpecialToken" : "Sequence", "id", name, "type_id", (int)item->type));
        if (item->id >= 0)
            json_object_set_new(tokens, json_string_value(name), json_pack("{s:O, s:[i], s:[O]}", "id", name, "ids", (int)item->id, "tokens", name));
        json_decref(name);
    }
    return list;
}

/* RobertaProcessing if the templates are RoBERTa's, else TemplateProcessing. */
static json_t *post_processor(const lithe_tokenizer *t, char *text)
{
    const template *f = &t->pair;
    if (!t->single.n) return t->bpe.characters ? json_null() : byte_level(t);
    bool roberta = !t->bpe.characters && f->n == 6 && f->item[2].id == f->item[3].id && !f->item[4].type;
    if (roberta)
        return json_pack("{s:s, s:[o, i], s:[o, i], s:b, s:b}", "type", "RobertaProcessing", "sep", name_as_json(t, f->item[2].id, text), (int)f->item[2].id,
                         "cls", name_as_json(t, f->item[0].id, text), (int)f->item[0].id, "trim_offsets", 1, "add_prefix_space", 0);
    json_t *tokens = json_object(), *single = template_items(t, &t->single, tokens, text), *pair = template_items(t, f, tokens, text);
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair", pair, "special_tokens", tokens);
}

static json_t *wordpiece_model(const lithe_tokenizer *t, char *name)
{
    size_t len;
    const char *unknown = pieces_bytes(&t->vocabulary, t->wordpiece.unknown, &len);
    return json_pack("{s:s, s:s%, s:s, s:i, s:o}", "type", "WordPiece", "unk_token", unknown, len, "continuing_subword_prefix", t->prefix,
                     "max_input_chars_per_word", t->wordpiece.longest, "vocab", vocabulary(t, name));
}

static bool takes(const lithe_tokenizer *t, normal_kind kind)
{
    for (int i = 0; i < t->n_normal; i++)
        if (t->normal[i].kind == kind) return true;
    return false;
}

/* BERT's steps, for a vocab.txt or a vocabulary that was learned here. */
static json_t *wordpiece_as_json(const lithe_tokenizer *t, char *name)
{
    json_t *normalizer = json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", "BertNormalizer", "clean_text", takes(t, NORMAL_CLEAN), "handle_chinese_chars",
                                   takes(t, NORMAL_SPACED), "strip_accents", takes(t, NORMAL_DROP_MARKS), "lowercase", takes(t, NORMAL_LOWER));
    json_t *decoder = json_pack("{s:s, s:s, s:b}", "type", "WordPiece", "prefix", t->glue, "cleanup", t->cleanup);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:{s:s}, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding", "added_tokens", added(t),
                     "normalizer", normalizer, "pre_tokenizer", "type", "BertPreTokenizer", "post_processor", post_processor(t, name),
                     "decoder", decoder, "model", wordpiece_model(t, name));
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

json_t *tokenizer_qwen2_words(json_t *byte_level)
{
    return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type", "Split", "pattern", "Regex", SPLIT_QWEN2_PATTERN,
                     "behavior", "Isolated", "invert", 0, byte_level);
}

/* How a byte-level text is cut into words: by ByteLevel itself, or before it by Qwen2's pattern. */
static json_t *words(const lithe_tokenizer *t) { return splits(t, SPLIT_PATTERN) ? tokenizer_qwen2_words(byte_level(t)) : byte_level(t); }

static json_t *as_json(const lithe_tokenizer *t, char *names[3])
{
    if (t->model == MODEL_WORDPIECE) return wordpiece_as_json(t, names[0]);
    bool c = t->bpe.characters;
    json_t *normalizer = c ? json_pack("{s:s, s:s}", "type", "Prepend", "prepend", " ")
                         : takes(t, NORMAL_NFC) ? json_pack("{s:s}", "type", "NFC") : json_null();
    json_t *decoder = c ? json_pack("{s:s, s:[{s:s}, {s:s}, {s:s, s:s, s:i, s:i}]}", "type", "Sequence", "decoders", "type", "ByteFallback",
                                    "type", "Fuse", "type", "Strip", "content", " ", "start", 1, "stop", 0) : byte_level(t);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding", "added_tokens", added(t),
                     "normalizer", normalizer, "pre_tokenizer", c ? json_null() : words(t),
                     "post_processor", post_processor(t, names[0]), "decoder", decoder, "model", model(t, names));
}

/* {"ID": {"content": TEXT, ...}} of the added tokens that the source does not have. */
static json_t *later_tokens(const lithe_tokenizer *t)
{
    json_t *all = json_object();
    for (size_t i = t->later; i < t->n_entries && all; i++) {
        const added_entry *e = &t->entries[i];
        char id[16];
        snprintf(id, sizeof id, "%d", (int)e->id);
        json_object_set_new(all, id, json_pack("{s:s%, s:b, s:b, s:b, s:b, s:b}", "content", e->text, e->len, "lstrip", e->lstrip, "normalized", e->normalized,
                                               "rstrip", e->rstrip, "single_word", e->single_word, "special", e->special));
    }
    return all;
}

/* The templates as tokenizer_config.json has them: one text, or a list with names. */
static json_t *templates_json(const lithe_tokenizer *t)
{
    if (!t->templates) return json_string(t->chat_template);
    json_t *all = json_array();
    if (t->chat_template) json_array_append_new(all, json_pack("{s:s, s:s}", "name", "default", "template", t->chat_template));
    for (const named_template *one = t->templates; one; one = one->next)
        json_array_append_new(all, json_pack("{s:s, s:s}", "name", one->name, "template", one->text));
    return all;
}

/* Whether the files are for encoders, which know a text's ends as cls and sep. */
static bool for_encoders(const lithe_tokenizer *t) { return t->model == MODEL_WORDPIECE || t->role[ROLE_MASK] >= 0; }

static bool has_role(const lithe_tokenizer *t, int i)
{
    if (t->role[i] < 0) return false;
    if (t->configured >> i & 1) return true;
    if (i == ROLE_BOS || i == ROLE_EOS) return t->model != MODEL_WORDPIECE;
    return (i != ROLE_CLS && i != ROLE_SEP) || for_encoders(t);
}

/* Decoding a text of bytes ends words: as CLIPTokenizer does. */
static bool ends_words(const lithe_tokenizer *t) { return t->ending && !t->bpe.characters; }

/* The class of transformers that reads the file: of a tokenizer.json, the one that takes it as it is. */
static const char *class_of(const lithe_tokenizer *t)
{
    static const char *const numbered[] = { [NUMBERED_XLMR] = "XLMRobertaTokenizer", [NUMBERED_CAMEMBERT] = "CamembertTokenizer" };
    if (t->numbering) return numbered[t->numbering];
    if (ends_words(t)) return "CLIPTokenizer";
    if (!t->sentencepiece) return "PreTrainedTokenizerFast";
    return t->model == MODEL_UNIGRAM ? "T5Tokenizer" : "LlamaTokenizer";
}

/* What a tokenizer_config.json said of texts, so that it says it again. */
static bool has_flags(const lithe_tokenizer *t) { return t->splits_special || t->cut_left || t->clean || t->scheme || ends_words(t); }

static int put_flags(const lithe_tokenizer *t, json_t *config)
{
    int bad = 0;
    if (t->splits_special) bad |= json_object_set_new(config, "split_special_tokens", json_true());
    if (t->cut_left) bad |= json_object_set_new(config, "truncation_side", json_string("left"));
    if (t->clean) bad |= json_object_set_new(config, "clean_up_tokenization_spaces", json_true());
    if (ends_words(t)) bad |= json_object_set_new(config, "tokenizer_class", json_string("CLIPTokenizer"));
    if (t->scheme) bad |= json_object_set_new(config, "tokenizer_class", json_string("LlamaTokenizer"))
                       || json_object_set_new(config, "legacy", json_false());
    if (t->scheme && !strcmp(t->scheme, "never")) bad |= json_object_set_new(config, "add_prefix_space", json_false());
    return bad;
}

/* What transformers asks of a model's tokenizer beside its file. */
static int put_model_settings(const lithe_tokenizer *t, json_t *config, const tokenizer_user *model)
{
    json_t *inputs = json_pack("[s, s]", "input_ids", "attention_mask");
    if (model->types) json_array_insert_new(inputs, 1, json_string("token_type_ids"));
    int bad = json_object_set_new(config, "model_input_names", inputs) || json_object_set_new(config, "tokenizer_class", json_string(class_of(t)));
    if (!t->clean) bad |= json_object_set_new(config, "clean_up_tokenization_spaces", json_false());
    /* As SentencePiece marks each text; transformers 5 would mark the first alone. */
    if (t->sentencepiece && !t->scheme && !strcmp(class_of(t), "LlamaTokenizer")) bad |= json_object_set_new(config, "legacy", json_true());
    if (t->surrounded) bad |= json_object_set_new(config, "add_bos_token", json_boolean(tokenizer_begins(t))) || json_object_set_new(config, "add_eos_token", json_boolean(tokenizer_ends(t)));
    /* An auto_map without a class keeps transformers from the class of the model_type, which would cut other words. */
    if (tokenizer_type_decides(model->type) && !tokenizer_cuts_as_qwen2(t)) bad |= json_object_set_new(config, "auto_map", json_pack("{s:[n, n]}", "AutoTokenizer"));
    return bad || (model->context > 0 && json_object_set_new(config, "model_max_length", json_integer(model->context)));
}

/* Writes what the tokenizer's own file does not say to a tokenizer_config.json beside path, unless there is one: roles,
 * later tokens, the chat template; of a model's also those that the file says, and what put_model_settings adds. */
static int save_beside(const lithe_tokenizer *t, const char *path, const tokenizer_user *model, lithe_error *err)
{
    const bool later = t->source && t->n_entries && (t->later || t->sentencepiece);         /* a .model has none */
    const bool templates = t->chat_template || t->templates;
    if (t->model == MODEL_LONGEST || (!model && !t->configured && !later && !templates && !has_flags(t))) return LITHE_OK;
    char *dir = path_parent(path), *beside = dir ? path_join(dir, "tokenizer_config.json") : NULL, *text = xalloc(longest_name(t) + 2, 1);
    json_t *config = beside && text ? json_object() : NULL;
    int bad = !config;
    for (int i = 0; i < ROLES && !bad; i++)
        if (model ? has_role(t, i) : t->configured >> i & 1) bad = json_object_set_new(config, tokenizer_role_key(i), name_as_json(t, t->role[i], text));
    if (!bad && later) bad = json_object_set_new(config, "added_tokens_decoder", later_tokens(t));
    if (!bad && templates) bad = json_object_set_new(config, "chat_template", templates_json(t));
    if (!bad) bad = put_flags(t, config);
    if (!bad && model) bad = put_model_settings(t, config, model);
    if (bad) fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    else if (!path_exists(beside)) json_write(config, beside, err);
    json_decref(config);
    free(dir); free(beside); free(text);
    return failed(err) ? (int)err->status : LITHE_OK;
}

const char *lithe_tokenizer_file(const lithe_tokenizer *t)
{
    return t && t->model == MODEL_LONGEST ? WORLD_FILE : t && t->numbering ? FAIRSEQ_FILE : t && t->sentencepiece ? SENTENCEPIECE_FILE : "tokenizer.json";
}

/* The JSON of a tokenizer without a source, a new reference. */
static json_t *made_json(const lithe_tokenizer *t)
{
    char *names[3];
    size_t room = longest_name(t) + 2;
    for (int i = 0; i < 3; i++) names[i] = xalloc(i == 2 ? 2 * room : room, 1);
    json_t *root = names[0] && names[1] && names[2] ? as_json(t, names) : NULL;
    for (int i = 0; i < 3; i++) free(names[i]);
    return root;
}

char *tokenizer_text(const lithe_tokenizer *t, size_t *n)
{
    json_t *root = t->source ? NULL : made_json(t);
    char *text = t->source ? xalloc(t->source_bytes + 1, 1) : root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (text && t->source) memcpy(text, t->source, t->source_bytes);
    *n = t->source ? t->source_bytes : text ? strlen(text) : 0;
    json_decref(root);
    return text;
}

static int write_file(const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    if (t->source) return file_write(path, t->source, t->source_bytes, err);
    json_t *root = made_json(t);
    if (!root) fail(err, LITHE_EINVAL, "%s: tokenizer cannot be written as JSON: a piece that is not UTF-8, or two that are the same", path);
    else json_write(root, path, err);
    json_decref(root);
    return failed(err) ? (int)err->status : LITHE_OK;
}

int lithe_tokenizer_save(const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    lithe_error local = { 0 };
    if (!err) err = &local;
    if (failed(err)) return err->status;
    if (!t || !path) return fail(err, LITHE_EINVAL, "tokenizer: nothing to save, or no path");
    return save_beside(t, path, NULL, err) ? (int)err->status : write_file(t, path, err);
}

int tokenizer_save_for_model(const lithe_tokenizer *t, const char *dir, tokenizer_user model, lithe_error *err)
{
    char *path = path_join(dir, lithe_tokenizer_file(t));
    if (!path) fail(err, LITHE_ENOMEM, "%s: not enough memory for its tokenizer", dir);
    else if (!save_beside(t, path, &model, err)) write_file(t, path, err);
    free(path);
    return failed(err) ? (int)err->status : LITHE_OK;
}
