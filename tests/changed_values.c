/* Every value of a JSON file, and of a GGUF file's keys, becomes in its place a value of each other kind, is there no
 * more, or is there with a key that nobody knows: the file is then opened, and what opened is used, or it is refused in
 * one line that names the file and never blames memory. */
#include "base/file.h"
#include "base/gguf_keys.h"
#include "base/json.h"
#include "data_files.h"
#include "failing.h"
#include "model/model.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Opens what lies at the path, uses it and closes it. */
typedef void opening(const char *path, lithe_error *err);

typedef struct { const char *file, *opened; opening *open; json_t *root; int refused, accepted; } sweep;

/* ---- the openings ----------------------------------------------------------------------------- */

static void open_tokenizer(const char *path, lithe_error *err)
{
    static const char text[] = "It's <s> 12 the the [MASK] \xe4\xbd\xa0\xff\n";
    lithe_tokenizer *t = lithe_tokenizer_open(path, err);
    int32_t ids[200];
    char back[400];
    const size_t n = t ? lithe_encode(t, text, sizeof text - 1, 1, ids, 200) : 0;
    for (size_t i = 0; i < n && i < 200; i++) CHECK_MSG(ids[i] >= 0 && ids[i] < lithe_tokenizer_vocab(t), "%s: id %d", path, (int)ids[i]);
    if (n && n <= 200) lithe_decode(t, ids, n, back, sizeof back);
    lithe_tokenizer_close(t);
}

static void open_model(const char *path, lithe_error *err)
{
    lithe_model *m = lithe_model_open(path, NULL, err);
    lithe_sampling o = { 0 };
    if (m) lithe_sampling_read(m, &o, err);
    lithe_model_close(m);
}

static void resume(const char *path, lithe_error *err)
{
    lithe_trainer *t = lithe_trainer_resume(path, NULL, err);
    if (t) lithe_trainer_next(t, NULL, err);
    lithe_trainer_close(t);
}

/* What is open in a checkpoint has a manifest, which is made right first. */
static void open_run(const char *path, lithe_error *err)
{
    char *checkpoint = path_join(path, "ckpt-2");
    manifest_write(checkpoint, NULL);
    free(checkpoint);
    resume(path, err);
}

/* ---- one change ------------------------------------------------------------------------------- */

/* Opens what was changed and judges how that ended. */
static void judge(sweep *s, const char *change)
{
    lithe_error e = { 0 };
    s->open(in_dir(s->opened), &e);
    const bool named = strstr(e.text, in_dir(s->opened)) || strstr(e.text, path_base(s->file)) || strstr(e.text, "json");
    const bool names_others = strstr(s->file, ".index.json") != NULL;
    if (!e.status) s->accepted++;
    else {
        s->refused++;
        CHECK_MSG(e.text[0] && !strchr(e.text, '\n') && strcmp(e.text, "out of memory") && (e.status != LITHE_EIO || names_others), "%s: %s: %d %s", s->file, change, e.status, e.text);
        CHECK_MSG(named || e.status == LITHE_ECONFIG, "%s: %s: the file is not named: %s", s->file, change, e.text);
    }
    forget_pending();
}

static void look(sweep *s, const char *change)
{
    char *text = json_dumps(s->root, JSON_ENCODE_ANY | JSON_COMPACT);
    put_text_file(s->file, text ? text : "");
    free(text);
    judge(s, change);
}

enum { KINDS = 14 };

static json_t *value_of_kind(int kind)
{
    switch (kind) {
    case 0:  return json_null();
    case 1:  return json_true();
    case 2:  return json_false();
    case 3:  return json_integer(-1);
    case 4:  return json_integer(0);
    case 5:  return json_integer(INT64_MAX);
    case 6:  return json_real(0.5);
    case 7:  return json_real(-1e300);
    case 8:  return json_string("");
    case 9:  return json_string("unheard of");
    case 10: return json_stringn("a\0b", 3);
    case 11: return json_array();
    case 12: return json_object();
    default: return json_pack("[[i], s, {s:n}, n]", 1, "x", "y");
    }
}

/* ---- all of them -------------------------------------------------------------------------------- */

enum { FIRST = 4, MANY = 40 };                          /* of more, these and the last are changed */

static bool skipped(size_t i, size_t n) { return n > MANY && i >= FIRST && i + 1 < n; }

static void each_below(sweep *s, json_t *value);

static void each_in_object(sweep *s, json_t *object)
{
    json_t *names = json_array(), *name, *value;
    const char *key;
    size_t i;
    json_object_foreach(object, key, value) json_array_append_new(names, json_string(key));
    json_array_foreach(names, i, name) {
        if (skipped(i, json_array_size(names))) continue;
        json_t *whole = json_copy(object), *was = json_object_get(whole, json_string_value(name));
        for (int kind = 0; kind < KINDS; kind++) {
            json_object_set_new(object, json_string_value(name), value_of_kind(kind));
            look(s, json_string_value(name));
        }
        json_object_del(object, json_string_value(name));
        look(s, json_string_value(name));
        json_object_clear(object);
        json_object_update(object, whole);              /* in the order that it had */
        each_below(s, was);
        json_decref(whole);
    }
    json_object_set_new(object, "unheard_of", json_true());
    look(s, "a key more");
    json_object_del(object, "unheard_of");
    json_decref(names);
}

static void each_in_array(sweep *s, json_t *array)
{
    const size_t n = json_array_size(array);
    for (size_t i = 0; i < n; i++) {
        if (skipped(i, n)) continue;
        json_t *was = json_incref(json_array_get(array, i));
        for (int kind = 0; kind < KINDS; kind++) {
            json_array_set_new(array, i, value_of_kind(kind));
            look(s, "an element");
        }
        json_array_set(array, i, was);
        each_below(s, was);
        json_decref(was);
    }
    json_array_append_new(array, json_integer(3));
    look(s, "an element more");
    json_array_remove(array, n);
}

static void each_below(sweep *s, json_t *value)
{
    if (json_is_object(value)) each_in_object(s, value);
    else if (json_is_array(value)) each_in_array(s, value);
}

/* Changes the file, which as it is opens. */
static void change(const char *file, const char *opened, opening *open)
{
    lithe_error e = { 0 };
    sweep s = { .file = file, .opened = opened, .open = open };
    char *whole = file_read(in_dir(file), 1 << 24, NULL, &e);
    json_t *root = s.root = whole ? json_loads(whole, 0, NULL) : NULL;
    CHECK_MSG(root, "%s: %s", file, e.text);
    open(in_dir(opened), &e);
    CHECK_MSG(!e.status, "%s", e.text);
    for (int kind = 0; kind < KINDS; kind++) {
        s.root = value_of_kind(kind);
        look(&s, "the whole");
        json_decref(s.root);
    }
    s.root = root;
    each_below(&s, root);
    CHECK_MSG(s.refused > s.accepted / 100, "%s: %d refused, %d accepted", file, s.refused, s.accepted);
    put_text_file(file, whole);
    json_decref(root);
    free(whole);
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* A file of this repository. */
static void put_copy(const char *from, const char *name)
{
    size_t size;
    char *bytes = file_read(test_file(from), 1 << 24, &size, NULL);
    CHECK_MSG(bytes, "%s", from);
    if (bytes) put_file(name, bytes, size);
    free(bytes);
}

#define WORDS "\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"the\":5,\"##s\":6,\"it\":7"
#define ADDED "\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\",\"single_word\":true,\"lstrip\":true,\"rstrip\":false,\"normalized\":false,\"special\":true}," \
              "{\"id\":4,\"content\":\"[MASK]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":true,\"normalized\":true,\"special\":false}]"

static const char wordpiece[] = "{\"version\":\"1.0\",\"truncation\":{\"direction\":\"Left\",\"max_length\":8,\"strategy\":\"LongestFirst\",\"stride\":0},\"padding\":null," ADDED
    ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
    "{\"type\":\"NFKC\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":false},{\"type\":\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"BertPreTokenizer\"},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]\"},\"behavior\":\"Isolated\",\"invert\":false},"
    "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"|\"},{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],"
    "\"pair\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}],"
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}},"
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{" WORDS "}}}";

static const char merged[] = "{\"version\":\"1.0\"," ADDED ",\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":true},"
    "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2],\"trim_offsets\":true,\"add_prefix_space\":false},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,\"byte_fallback\":false,\"ignore_merges\":true,"
    "\"vocab\":{" WORDS ",\"t\":8,\"h\":9,\"e\":10,\"th\":11},\"merges\":[[\"t\",\"h\"],\"th e\"]}}";

static const char summed[] = "{\"version\":\"1.0\"," ADDED ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"},\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"add_prefix_space\":true},"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"byte_fallback\":false,\"vocab\":[[\"[PAD]\",0],[\"[UNK]\",0],[\"[CLS]\",-1.5],[\"[SEP]\",-2],[\"[MASK]\",-3.0],[\"the\",-1.0]]}}";

static const char spelled[] = "{\"version\":\"1.0\"," ADDED ",\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"post_processor\":null,"
    "\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"},\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"[UNK]\",\"vocab\":{" WORDS "}}}";

static void tokenizers(void)
{
    static const char *const texts[] = { wordpiece, merged, summed, spelled };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_text_file("tokenizer.json", texts[i]);
        change("tokenizer.json", "tokenizer.json", open_tokenizer);
    }
    size_t size;
    char *seed = file_read(test_file("tests/fuzz/corpus/tokenizer/byte-level"), 1 << 20, &size, NULL);
    CHECK(seed);
    put_file("tokenizer.json", seed + 1, size - 1);     /* before it stands the fuzzer's choice */
    free(seed);
    change("tokenizer.json", "tokenizer.json", open_tokenizer);
}

static void settings_of_tokenizers(void)
{
    static const char config[] = "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":true,\"strip_accents\":null,\"add_bos_token\":false,\"unk_token\":\"[UNK]\",\"mask_token\":{\"content\":\"[MASK]\",\"lstrip\":true},"
        "\"model_max_length\":512,\"padding_side\":\"right\",\"truncation_side\":\"left\",\"clean_up_tokenization_spaces\":true,\"split_special_tokens\":false,\"additional_special_tokens\":[\"[SEP]\"],"
        "\"added_tokens_decoder\":{\"4\":{\"content\":\"[MASK]\",\"special\":true,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"single_word\":false}},"
        "\"chat_template\":[{\"name\":\"default\",\"template\":\"{{ messages }}\"}]}";
    put_text_file("d/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\n");
    put_text_file("d/tokenizer_config.json", config);
    change("d/tokenizer_config.json", "d", open_tokenizer);
    put_text_file("e/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\n");
    put_text_file("e/special_tokens_map.json", "{\"unk_token\":\"[UNK]\",\"mask_token\":{\"content\":\"[MASK]\",\"lstrip\":true},\"additional_special_tokens\":[\"[SEP]\",{\"content\":\"the\"}]}");
    put_text_file("e/added_tokens.json", "{\"<extra>\":7,\"<more>\":8}");
    change("e/special_tokens_map.json", "e", open_tokenizer);
    change("e/added_tokens.json", "e", open_tokenizer);
    put_text_file("p/vocab.json", "{\"t\":0,\"h\":1,\"e\":2,\"th\":3,\"<|endoftext|>\":4}");
    put_text_file("p/merges.txt", "#version: 0.2\nt h\n");
    change("p/vocab.json", "p", open_tokenizer);
}

static void models(void)
{
    static const char *const parts[] = { "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json" };
    char from[200], to[100];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        snprintf(from, sizeof from, "tests/golden/gpt2-sharded/%s", parts[i]);
        snprintf(to, sizeof to, "m/%s", parts[i]);
        put_copy(from, to);
    }
    put_text_file("m/generation_config.json", "{\"do_sample\":true,\"temperature\":0.7,\"top_k\":50,\"top_p\":0.9,\"min_p\":0.01,\"repetition_penalty\":1.1,\"eos_token_id\":[1,2],\"num_beams\":1}");
    put_text_file("m/trainer.json", "{\"format\":1,\"groups\":[{\"param\":\"wte.weight\",\"first\":0,\"rows\":4,\"born\":1,\"rewarm\":2,\"column\":0,\"columns\":2,\"lr_factor\":0.5,\"frozen\":true}]}");
    change("m/model.safetensors.index.json", "m", open_model);
    change("m/generation_config.json", "m", open_model);
    change("m/trainer.json", "m", open_model);
    change("m/config.json", "m", open_model);
    put_copy("tests/golden/vit/config.json", "v/config.json");
    put_copy("tests/golden/vit/model.safetensors", "v/model.safetensors");
    put_text_file("v/preprocessor_config.json", "{\"do_resize\":true,\"size\":{\"height\":8,\"width\":8},\"resample\":2,\"do_rescale\":true,\"rescale_factor\":0.00392156862745098,\"do_normalize\":true,"
                  "\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5],\"do_center_crop\":false,\"do_convert_rgb\":null}");
    change("v/preprocessor_config.json", "v", open_model);
}

/* A run with one checkpoint, whose other files are right. */
static void runs(void)
{
    const lithe_train_options o = { .size = sizeof o, .ctx = 8, .batch = 2, .steps = 1000, .save_every = 2, .eval_every = 2, .eval_windows = 2, .grow_at = "1:2x" };
    static const char smallest[] = "{\"num_layers\":1,\"hidden_size\":8,\"num_attention_heads\":1,\"max_position_embeddings\":8,\"qkv_slot_num\":2,\"proj_slot_num\":2,\"ffn_slot_num\":2,\"vocab_size\":256}";
    fixture f = begin_as("tokenformer", "run", smallest, &o);
    lithe_event e = { 0 };
    while (!(e.kind == LITHE_SAVED && e.step == 2) && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    for (int at = 0; at < 2; at++) checkpoint_remove(in_dir("run"), at, NULL);
    failing_open();                                     /* for its fsync */
    change("run/ckpt-2/trainer.json", "run", open_run);
    CHECK(!manifest_write(in_dir("run/ckpt-2"), NULL));
    change("run/ckpt-2/manifest.json", "run", resume);
    failing_close();
}

/* ---- keys of GGUF files ----------------------------------------------------------------------------- */

enum { HEAD = 24, OTHERS = 14 };

/* A key as it stands in a file, from its name on. */
typedef struct { const char *key; const uint8_t *begin, *data; size_t size; } raw_key;

static int by_data(const void *a, const void *b)
{
    const raw_key *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static raw_key *raw_keys(const gguf_keys *k, const uint8_t *file)
{
    raw_key *raw = calloc(k->count + 1, sizeof *raw);
    for (size_t i = 0; i < k->count; i++) raw[i] = (raw_key){ k->values[i].key, k->values[i].data - (k->values[i].type == GGUF_ARRAY ? 16 : 4) - strlen(k->values[i].key) - 8, k->values[i].data, 0 };
    qsort(raw, k->count, sizeof *raw, by_data);
    for (size_t i = 0; i < k->count; i++) raw[i].size = (size_t)((i + 1 < k->count ? raw[i + 1].begin : file + k->end) - raw[i].begin);
    return raw;
}

/* Where the descriptions of the tensors end. */
static size_t descriptions_end(const uint8_t *file, const gguf_keys *k)
{
    size_t at = k->end;
    for (uint64_t i = 0; i < k->tensors; i++) {
        at += 8 + (size_t)load_bytes(file + at, 8);
        at += 4 + 8 * (size_t)load_bytes(file + at, 4) + 4 + 8;
    }
    return at;
}

static void put_other(gguf_head *h, const char *key, int kind)
{
    switch (kind) {
    case 0:  gguf_put_integer(h, key, GGUF_U32, 0); break;
    case 1:  gguf_put_integer(h, key, GGUF_U32, UINT32_MAX); break;
    case 2:  gguf_put_integer(h, key, GGUF_I32, -1); break;
    case 3:  gguf_put_integer(h, key, GGUF_U64, INT64_MAX); break;
    case 4:  gguf_put_number(h, key, (double)NAN); break;
    case 5:  gguf_put_number(h, key, 0.5); break;
    case 6:  gguf_put_bool(h, key, true); break;
    case 7:  gguf_put_string(h, key, "", 0); break;
    case 8:  gguf_put_string(h, key, "unheard of, and longer than sixty bytes, to the end of this text", 64); break;
    case 9:  gguf_put_array(h, key, GGUF_STRING, 0); break;
    case 10: gguf_put_array(h, key, GGUF_STRING, 1); gguf_put_text(h, "a", 1); break;
    case 11: gguf_put_array(h, key, GGUF_U8, 1); gguf_put_bytes(h, "a", 1); break;
    case 12: gguf_put_array(h, key, GGUF_I32, 1); gguf_put_bytes(h, "\0\0\0\0", 4); break;
    default: gguf_put_array(h, key, GGUF_ARRAY, 1); gguf_put_bytes(h, "\0\0\0\0\0\0\0\0\0\0\0\0", 12); break;
    }
}

/* Writes the file with key `which` of another kind, or without it (kind -1), or with one more (which: their number). */
static void put_changed(const char *name, const mapping *file, const gguf_keys *k, const raw_key *raw, size_t which, int kind, const char *more)
{
    gguf_head h = { 0 };
    const size_t end = descriptions_end(file->data, k), data = (end + k->alignment - 1) / k->alignment * k->alignment;
    gguf_put_bytes(&h, file->data, HEAD);
    for (size_t i = 0; i < k->count; i++) {
        if (i != which) gguf_put_bytes(&h, raw[i].begin, raw[i].size), h.count++;
        else if (kind >= 0) put_other(&h, raw[i].key, kind);
    }
    if (which == k->count) put_other(&h, more, kind);
    store_bytes(h.bytes + 16, 8, h.count);
    gguf_put_bytes(&h, file->data + k->end, end - k->end);
    while (h.size % k->alignment) gguf_put_bytes(&h, "", 1);
    if (data < file->size) gguf_put_bytes(&h, file->data + data, file->size - data);
    put_file(name, h.bytes, h.size);
    gguf_head_free(&h);
}

static void change_keys(const char *from, opening *open, const char *more)
{
    lithe_error e = { 0 };
    sweep s = { .file = "changed.gguf", .opened = "changed.gguf", .open = open };
    mapping file;
    gguf_keys k;
    CHECK_MSG(!file_map(&file, test_file(from), &e) && !gguf_keys_read(&k, file.data, file.size, from, &e), "%s", e.text);
    raw_key *raw = raw_keys(&k, file.data);
    put_changed(s.file, &file, &k, raw, k.count + 1, 0, NULL);
    judge(&s, "as it is");
    CHECK_MSG(s.accepted == 1, "%s does not open as it is", from);
    for (size_t i = 0; i <= k.count; i++)
        for (int kind = -1; kind < OTHERS; kind++) {
            if (i == k.count && kind < 0) continue;
            put_changed(s.file, &file, &k, raw, i, kind, more);
            judge(&s, i < k.count ? raw[i].key : more);
        }
    CHECK_MSG(s.refused > s.accepted / 4, "%s: %d refused, %d accepted", from, s.refused, s.accepted);
    free(raw);
    gguf_keys_free(&k);
    file_unmap(&file);
}

static void keys_of_models(void)
{
    change_keys("tests/golden/gguf/llama-scaled.gguf", open_model, "llama.unheard_of");
    change_keys("tests/golden/gguf/bert.gguf", open_model, "general.sampling.top_k");
    change_keys("tests/golden/gguf/rwkv7.gguf", open_model, "tokenizer.ggml.eot_token_id");
}

static void keys_of_tokenizers(void)
{
    static const char *const kinds[] = { "bert", "gpt2", "llama", "rwkv", "t5" };
    char from[100];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(from, sizeof from, "tests/golden/gguf/tokenizer-%s.gguf", kinds[i]);
        change_keys(from, open_tokenizer, "tokenizer.ggml.unheard_of");
    }
}

const test tests_changed_values[] = {
    { "changed json: tokenizers", tokenizers },
    { "changed json: what stands beside a vocabulary", settings_of_tokenizers },
    { "changed json: models", models },
    { "changed json: a run", runs },
    { "changed gguf: keys of models", keys_of_models },
    { "changed gguf: keys of tokenizers", keys_of_tokenizers },
    { 0 }
};
