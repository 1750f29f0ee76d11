/* What the files beside a vocabulary say of it: the class of tokenizer they are for, and tokens that were added later
 * (added_tokens.json, and added_tokens_decoder in tokenizer_config.json).
 * Invariant: a class whose words are cut in another way than the vocabulary's file implies is refused by name. */
#include "base/file.h"
#include "base/keys.h"
#include "text/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

enum { JSON_BYTES = 64 << 20, DEPTH = 16 };

/* ---- classes ---------------------------------------------------------------------- */

/* The classes that read a vocabulary as its file implies, with or without "Fast" at the end.  A tokenizer.json says
 * itself how it is read, whatever its class. */
static const char *const wordpiece_classes[] = { "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "RetriBertTokenizer",
    "ConvBertTokenizer", "SqueezeBertTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "DPRQuestionEncoderTokenizer", "DPRContextEncoderTokenizer", NULL };
static const char *const byte_level_classes[] = { "GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "CodeGenTokenizer",
    "LEDTokenizer", "DebertaTokenizer", "Qwen2Tokenizer", "HerbertTokenizer", "CLIPTokenizer", NULL };
static const char *const sentencepiece_classes[] = { "LlamaTokenizer", "CodeLlamaTokenizer", "T5Tokenizer", "GemmaTokenizer", "InternLMTokenizer", "InternLM2Tokenizer", "XLMRobertaTokenizer",
    "CamembertTokenizer", NULL };

typedef struct { const char *model, *class; } class_of_model;

/* The class of a model_type whose files do not say it, where it is another than the vocabulary's file implies. */
static const class_of_model unlike_file[] = {
    { "qwen2", "Qwen2Tokenizer" }, { "qwen2_moe", "Qwen2Tokenizer" }, { "qwen3", "Qwen2Tokenizer" }, { "qwen3_moe", "Qwen2Tokenizer" }, { "clip", "CLIPTokenizer" },
    { "openai-gpt", "OpenAIGPTTokenizer" }, { "ctrl", "CTRLTokenizer" }, { "xlm", "XLMTokenizer" }, { "flaubert", "FlaubertTokenizer" }, { "biogpt", "BioGptTokenizer" },
    { "xlm-roberta", "XLMRobertaTokenizer" }, { "xlm-roberta-xl", "XLMRobertaTokenizer" }, { "camembert", "CamembertTokenizer" }, { "albert", "AlbertTokenizer" },
    { "xlnet", "XLNetTokenizer" }, { "mbart", "MBartTokenizer" }, { "m2m_100", "M2M100Tokenizer" }, { "xglm", "XGLMTokenizer" }, { "deberta-v2", "DebertaV2Tokenizer" },
    { "pegasus", "PegasusTokenizer" }, { "big_bird", "BigBirdTokenizer" }, { "marian", "MarianTokenizer" }, { "mpnet", "MPNetTokenizer" }, { NULL, NULL } };

/* The same where it is the one that the vocabulary's file implies: it makes the steps of a tokenizer.json anew. */
static const class_of_model like_file[] = {
    { "bert", "BertTokenizer" }, { "distilbert", "BertTokenizer" }, { "electra", "BertTokenizer" }, { "roberta", "RobertaTokenizer" }, { "gpt2", "GPT2Tokenizer" },
    { "gpt_neo", "GPT2Tokenizer" }, { "gptj", "GPT2Tokenizer" }, { "opt", "GPT2Tokenizer" }, { "phi", "GPT2Tokenizer" }, { "starcoder2", "GPT2Tokenizer" },
    { "gpt_neox", "GPTNeoXTokenizer" }, { "rwkv", "GPTNeoXTokenizer" }, { "olmo", "GPTNeoXTokenizer" }, { NULL, NULL } };

/* Of these models transformers takes a tokenizer.json as it is, whatever class they name. */
static const char *const kept_models[] = { "mistral", "mixtral", "ministral", "phi3", "phimoe", "granite", "olmo2", "olmo3", "stablelm", "internlm2", "internlm3", "jamba", "minicpm3",
    "nemotron", "modernbert" };

static const char *text_at(const json_t *config, const char *key) { return json_string_value(json_object_get(config, key)); }

static const char *class_in(const class_of_model *list, const char *model)
{
    for (; model && list->model; list++)
        if (!strcmp(model, list->model)) return list->class;
    return NULL;
}

bool tokenizer_type_decides(const char *model_type) { return model_type && !strcmp(model_type, "qwen2"); }

const char *tokenizer_kind_of_type(const char *model_type)
{
    const char *class = class_in(unlike_file, model_type);
    return class && !strcmp(class, "Qwen2Tokenizer") ? "qwen2" : NULL;
}

/* tokenizer_class, or what model_type implies; NULL: neither says it.  Where the type decides, the files name another
 * class only by an auto_map. */
static const char *class_named(const json_t *config)
{
    const char *name = text_at(config, "tokenizer_class"), *model = text_at(config, "model_type");
    const json_t *map = json_object_get(config, "auto_map");
    const bool mapped = json_is_array(map) || json_is_array(json_object_get(map, "AutoTokenizer"));
    return name && (mapped || !tokenizer_type_decides(model)) ? name : class_in(unlike_file, model);
}

static bool is_class(const char *name, const char *class)
{
    size_t n = strlen(class);
    return !strncmp(name, class, n) && (!name[n] || !strcmp(name + n, "Fast"));
}

bool tokenizer_is(const json_t *config, const char *class)
{
    const char *name = class_named(config);
    return name && is_class(name, class);
}

bool tokenizer_made_by(const json_t *config, const char *class)
{
    const char *name = class_named(config), *model = text_at(config, "model_type");
    if (!name) name = class_in(like_file, model);
    for (size_t i = 0; model && i < sizeof kept_models / sizeof *kept_models; i++)
        if (!strcmp(model, kept_models[i])) return false;
    return name && is_class(name, class);
}

static const char *const *const classes[] = { [VOCABULARY_WORDPIECE] = wordpiece_classes, [VOCABULARY_BYTE_LEVEL] = byte_level_classes,
                                              [VOCABULARY_SENTENCEPIECE] = sentencepiece_classes };

bool tokenizer_class_reads(const json_t *config, vocabulary_file file)
{
    for (const char *const *c = classes[file]; *c; c++)
        if (tokenizer_is(config, *c)) return true;
    return false;
}

int tokenizer_check_class(const json_t *config, vocabulary_file file, const char *what, lithe_error *err)
{
    const char *name = class_named(config), *words = text_at(config, "word_tokenizer_type");
    if (words && strcmp(words, "basic")) return fail(err, LITHE_ECONFIG, "%s: its words are cut by %.40s (word_tokenizer_type), which is not supported", what, words);
    if (!name || file == VOCABULARY_JSON || tokenizer_class_reads(config, file) || tokenizer_is(config, "PreTrainedTokenizer") || tokenizer_is(config, "TokenizersBackend"))
        return tokenizer_check_settings(config, file, what, err);
    return fail(err, LITHE_ECONFIG, "%s: is for a %.60s, which is not supported without a tokenizer.json", what, name);
}

numbering tokenizer_numbering(const json_t *config, const char *path)
{
    if (tokenizer_is(config, "CamembertTokenizer")) return NUMBERED_CAMEMBERT;
    return tokenizer_is(config, "XLMRobertaTokenizer") || (!class_named(config) && !strcmp(path_base(path), FAIRSEQ_FILE)) ? NUMBERED_XLMR : NUMBERED_AS_IS;
}

/* ---- begin and end of text ----------------------------------------------------------- */

bool tokenizer_begins(const lithe_tokenizer *t) { return t->single.n && t->single.item[0].id >= 0 && t->single.item[0].id == t->role[ROLE_BOS]; }

bool tokenizer_ends(const lithe_tokenizer *t)
{
    const int last = t->single.n - 1;
    return last >= 0 && t->single.item[last].id >= 0 && t->single.item[last].id == t->role[ROLE_EOS];
}

/* One text of a template, of this type, between the tokens that are asked for. */
static void put_text(template *f, int32_t text, int32_t type, int32_t bos, int32_t eos)
{
    const int32_t ids[] = { bos, text, eos };
    for (int i = 0; i < 3; i++)
        if (i == 1 || ids[i] >= 0) f->item[f->n++] = (template_item){ ids[i], type };
}

int tokenizer_surround(lithe_tokenizer *t, const json_t *config, const char *what, lithe_error *err)
{
    const bool begins = tokenizer_begins(t), ends = tokenizer_ends(t);
    const bool begin = json_flag(config, "add_bos_token", begins), end = json_flag(config, "add_eos_token", ends);
    if (t->model == MODEL_WORDPIECE || t->model == MODEL_LONGEST || (begin == begins && end == ends)) return LITHE_OK;
    const int32_t bos = begin ? t->role[ROLE_BOS] : -1, eos = end ? t->role[ROLE_EOS] : -1;
    if ((begin && bos < 0) || (end && eos < 0))
        return fail(err, LITHE_ECONFIG, "%s: tokenizer_config.json says add_%s_token, but there is no such token", what, begin && bos < 0 ? "bos" : "eos");
    t->single = t->pair = (template){ 0 };
    put_text(&t->single, TEXT_A, 0, bos, eos);
    put_text(&t->pair, TEXT_A, 0, bos, eos);
    put_text(&t->pair, TEXT_B, 1, bos, eos);
    t->surrounded = true;
    return LITHE_OK;
}

/* ---- added tokens ------------------------------------------------------------------ */

static int check_id(json_int_t id, const char *text, const char *what, lithe_error *err)
{
    return id >= 0 && id < PIECES_ID_LIMIT ? LITHE_OK
         : fail(err, LITHE_EFORMAT, "%s: added token \"%.60s\" has id %lld, expected 0 to %d", what, text, (long long)id, PIECES_ID_LIMIT - 1);
}

static bool has_entry(const lithe_tokenizer *t, const char *text, size_t len)
{
    for (size_t i = 0; i < t->n_entries; i++)
        if (t->entries[i].len == len && !memcmp(t->entries[i].text, text, len)) return true;
    return false;
}

/* Whether the settings give the text a role or name it among their other special tokens. */
static bool is_named_special(const json_t *config, const char *text)
{
    const json_t *others = json_object_get(config, "additional_special_tokens");
    for (int i = 0; i < ROLES + (int)json_array_size(others); i++) {
        const json_t *v = i < ROLES ? json_object_get(config, tokenizer_role_key(i)) : json_array_get(others, (size_t)(i - ROLES));
        if (json_is_object(v)) v = json_object_get(v, "content");
        if (json_is_string(v) && !strcmp(json_string_value(v), text)) return true;
    }
    return false;
}

/* The pieces of a .model that no text has; where memory is out, some of them. */
static pieces control_pieces(const lithe_tokenizer *t)
{
    pieces controls = { 0 };
    for (int32_t id = 0; t->sentencepiece && id < t->vocabulary.n; id++) {
        size_t n;
        const char *bytes = pieces_has(&t->vocabulary, id) ? pieces_bytes(&t->vocabulary, id, &n) : NULL;
        if (bytes && pieces_find(&t->vocabulary, bytes, n) != id) pieces_add(&controls, id, bytes, n, true);
    }
    return controls;
}

static int add_special(lithe_tokenizer *t, const pieces *controls, const json_t *v, const char *what, lithe_error *err)
{
    const json_t *content = json_is_object(v) ? json_object_get(v, "content") : v;
    const char *text = json_string_value(content);
    const size_t len = json_string_length(content);
    int32_t id = text && len ? tokenizer_id(t, text, len) : -1;
    if (id < 0 && text) id = pieces_find(controls, text, len);
    if (id < 0 || has_entry(t, text, len)) return LITHE_OK;
    added_entry e = { .text = text, .len = len, .id = id };
    if (json_is_object(v)) e = tokenizer_described(v, id);
    e.special = true;
    return tokenizer_add_entry(t, e, what, err);
}

/* Tokens of the vocabulary that the settings name become special, and are found in texts. */
static int add_named(lithe_tokenizer *t, const json_t *config, const char *what, lithe_error *err)
{
    static const char *const lists[] = { "additional_special_tokens", "extra_special_tokens" };
    pieces controls = control_pieces(t);
    int status = LITHE_OK;
    for (int i = 0; i < ROLES && !status; i++) status = add_special(t, &controls, json_object_get(config, tokenizer_role_key(i)), what, err);
    for (int l = 0; l < 2; l++) {
        json_t *list = json_object_get(config, lists[l]);
        for (size_t i = 0; i < json_array_size(list) && !status; i++) status = add_special(t, &controls, json_array_get(list, i), what, err);
        for (void *i = json_object_iter(list); i && !status; i = json_object_iter_next(list, i)) status = add_special(t, &controls, json_object_iter_value(i), what, err);
    }
    pieces_free(&controls);
    return status;
}

/* {"TEXT": ID}: only the settings say which of them are special. */
static int add_plain(lithe_tokenizer *t, const json_t *tokens, const json_t *config, const char *what, lithe_error *err)
{
    json_t *open = (json_t *)(uintptr_t)tokens;                              /* jansson's iterators are not const */
    for (void *i = json_object_iter(open); i; i = json_object_iter_next(open, i)) {
        const char *text = json_object_iter_key(i);
        const json_t *id = json_object_iter_value(i);
        if (!json_is_integer(id)) return fail(err, LITHE_EFORMAT, "%s: added token \"%.60s\" has no whole id", what, text);
        bool special = is_named_special(config, text);
        added_entry e = { .text = text, .len = strlen(text), .id = (int32_t)json_integer_value(id), .special = special, .normalized = !special };
        if (!e.len || has_entry(t, text, e.len)) continue;
        if (check_id(json_integer_value(id), text, what, err) || tokenizer_add_entry(t, e, what, err)) return err->status;
    }
    return LITHE_OK;
}

/* {"ID": {"content": TEXT, "special": ..., ...}} */
static int add_described(lithe_tokenizer *t, const json_t *tokens, const char *what, lithe_error *err)
{
    json_t *open = (json_t *)(uintptr_t)tokens;
    for (void *i = json_object_iter(open); i; i = json_object_iter_next(open, i)) {
        const json_t *d = json_object_iter_value(i);
        int id;
        if (!json_is_string(json_object_get(d, "content")) || !text_int(json_object_iter_key(i), 0, PIECES_ID_LIMIT - 1, &id))
            return fail(err, LITHE_EFORMAT, "%s: added_tokens_decoder \"%.60s\" has no id from 0 to %d or no content", what, json_object_iter_key(i), PIECES_ID_LIMIT - 1);
        const added_entry e = tokenizer_described(d, id);
        if (!e.len || has_entry(t, e.text, e.len)) continue;
        if (tokenizer_add_entry(t, e, what, err)) return err->status;
    }
    return LITHE_OK;
}

int tokenizer_add_beside(lithe_tokenizer *t, const char *dir, const json_t *config, const char *what, lithe_error *err)
{
    char *path = path_join(dir, "added_tokens.json");
    size_t before = t->n_entries;
    if (!path) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    const json_t *described = json_object_get(config, "added_tokens_decoder");
    json_t *plain = path_exists(path) && !described ? json_read(path, JSON_BYTES, DEPTH, err) : NULL;
    if (plain && !json_is_object(plain)) fail(err, LITHE_EFORMAT, "%s: is not an object of texts and ids", path);
    int status = failed(err) ? (int)err->status : add_described(t, described, what, err);
    if (!status) status = add_plain(t, plain, config, path, err);
    if (!status) status = add_named(t, config, what, err);
    if (!status && t->n_entries > before) status = tokenizer_take_entries(t, before, what, err);
    json_decref(plain);
    free(path);
    return status;
}
