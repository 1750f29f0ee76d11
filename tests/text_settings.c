/* The settings beside a vocabulary: what transformers makes of them (tools/golden_settings.py), and which keys are
 * refused. */
#include "text_tests.h"
#include "base/base64.h"
#include "base/json.h"
#include <stdlib.h>

static void put(const char *dir, const char *name, const char *data, size_t n)
{
    lithe_error err = { 0 };
    char *path = path_join(dir, name);
    CHECK_MSG(!file_write(path, data, n, &err), "%s", err.text);
    free(path);
}

static void put_json(const char *dir, const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    put(dir, name, text, strlen(text));
    free(text);
}

/* The folder of a row. */
static const char *folder_of(const json_t *row, const json_t *vocabularies, size_t i)
{
    char name[32];
    lithe_error err = { 0 };
    snprintf(name, sizeof name, "settings-%zu", i);
    const char *dir = in_dir(name), *file = json_string_value(json_object_get(row, "file"));
    json_t *data = json_object_get(vocabularies, json_string_value(json_object_get(row, "vocabulary"))), *one;
    size_t n = json_string_length(data);
    const char *part;
    CHECK(!dir_make(dir, &err));
    json_object_foreach(data, part, one) put(dir, part, json_string_value(one), json_string_length(one));
    char *model = strstr(file, ".model") ? base64_decode(json_string_value(data), n, &n) : NULL;
    if (json_is_string(data)) put(dir, file, model ? model : json_string_value(data), n);
    free(model);
    put_json(dir, "tokenizer_config.json", json_object_get(row, "settings"));
    json_t *config = json_pack("{s:O}", "model_type", json_object_get(row, "model_type"));
    put_json(dir, "config.json", config);
    json_decref(config);
    return dir;
}

static bool same(const int32_t *ids, size_t n, const json_t *expected)
{
    bool equal = n == json_array_size(expected);
    for (size_t i = 0; equal && i < n; i++) equal = ids[i] == json_integer_value(json_array_get(expected, i));
    return equal;
}

enum { SHORT = 5, ROOM = 256 };

/* [text, ids, ids with special tokens, those of a text that is cut to SHORT, decoded ids or null] */
static void check_case(const lithe_tokenizer *t, const json_t *c, const char *name)
{
    const char *text = json_string_value(json_array_get(c, 0));
    const json_t *back = json_array_get(c, 4);
    int32_t ids[ROOM];
    char decoded[ROOM];
    size_t n = lithe_encode_pair(t, text, strlen(text), NULL, 0, SHORT, ids, NULL, ROOM);
    CHECK_MSG(same(ids, n, json_array_get(c, 3)), "%s: ids of \"%s\" cut to %d", name, text, SHORT);
    for (int special = 1; special >= 0; special--) {
        n = lithe_encode(t, text, strlen(text), special, ids, ROOM);
        CHECK_MSG(same(ids, n, json_array_get(c, special ? 2 : 1)), "%s: ids of \"%s\"%s", name, text, special ? " with special tokens" : "");
    }
    n = lithe_decode(t, ids, n, decoded, ROOM);
    if (!json_is_null(back)) CHECK_MSG(n == json_string_length(back) && !memcmp(decoded, json_string_value(back), n), "%s: \"%s\" is decoded as \"%.*s\"", name, text, (int)n, decoded);
}

/* As it is opened, and as it is saved for a model and opened again. */
void text_settings_beside(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_file("tests/golden/text/settings.json"), 1 << 20, 16, &err), *row, *c;
    size_t i, k;
    CHECK_MSG(json_array_size(json_object_get(golden, "rows")) > 20, "%s", err.text);
    json_array_foreach(json_object_get(golden, "rows"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name")), *dir = folder_of(row, json_object_get(golden, "vocabularies"), i);
        char again[600];
        snprintf(again, sizeof again, "%s/again", dir);
        lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
        CHECK_MSG(t && !dir_make(again, &err) && !tokenizer_save_for_model(t, again, (tokenizer_user){ 0 }, &err), "%s: %s", name, err.text);
        lithe_tokenizer *saved = lithe_tokenizer_open(again, &err);
        CHECK_MSG(saved, "%s: %s", name, err.text);
        json_array_foreach(json_object_get(row, "cases"), k, c) {
            if (t) check_case(t, c, name);
            if (saved) check_case(saved, c, name);
        }
        lithe_tokenizer_close(t);
        lithe_tokenizer_close(saved);
        err = (lithe_error){ 0 };
    }
    json_decref(golden);
}

/* A tokenizer.json of one word with these parts. */
static lithe_tokenizer *with_parts(const char *model, const char *parts, lithe_error *err)
{
    char json[1000];
    snprintf(json, sizeof json, "{\"version\":\"1.0\",\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}%s}%s}", model, parts);
    return tokenizer_from_json(json, strlen(json), "test.json", err);
}

/* Each key that could change the ids is refused with its part and its value. */
void text_keys_refused(void)
{
    static const struct { const char *model, *parts, *complaint; } cases[] = {
        { "", ",\"truncation\":{\"direction\":\"Right\",\"max_length\":8,\"strategy\":\"LongestFirst\",\"stride\":0},\"padding\":{\"strategy\":{\"Fixed\":8},\"direction\":\"Right\",\"pad_to_multiple_of\":null,"
              "\"pad_id\":0,\"pad_type_id\":0,\"pad_token\":\"a\"}", NULL },
        { "", ",\"added_tokens\":[{\"id\":1,\"content\":\"b\",\"special\":true,\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false}],\"normalizer\":{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}", NULL },
        { "", ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"str_rep\":\"_\",\"add_prefix_space\":true}", NULL },
        { "", ",\"mapper\":{\"a\":1}", "test.json: \"mapper\": {\"a\":1} is not known" }, { "", ",\"truncation\":{\"direction\":\"Middle\"}", "direction of truncation" },
        { "", ",\"truncation\":{\"words\":3}", "truncation: \"words\": 3" }, { "", ",\"padding\":{\"pad_text\":\"b\"}", "padding: \"pad_text\": \"b\"" },
        { ",\"max_words\":4", "", "model WordLevel: \"max_words\": 4" }, { "", ",\"added_tokens\":[{\"id\":1,\"content\":\"b\",\"once\":true}]", "added_tokens: \"once\": true" },
        { "", ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\",\"locale\":\"tr\"}]}", "normalizer Lowercase: \"locale\": \"tr\"" },
        { "", ",\"pre_tokenizer\":{\"type\":\"Whitespace\",\"keep\":true}", "pre_tokenizer Whitespace: \"keep\": true" },
        { "", ",\"decoder\":{\"type\":\"Fuse\",\"by\":\"-\"}", "decoder Fuse: \"by\": \"-\"" },
        { "", ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",0],\"cls\":[\"a\",0],\"eos\":2}", "post_processor BertProcessing: \"eos\": 2" },
        { ",\"dropout\":null", "", NULL }, { "", ",\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":5}", "FixedLength" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = with_parts(cases[i].model, cases[i].parts, &err);
        CHECK_MSG(cases[i].complaint ? !t && strstr(err.text, cases[i].complaint) : t != NULL, "%s%s: %s", cases[i].model, cases[i].parts, err.text);
        lithe_tokenizer_close(t);
    }
}

/* The side at which texts are cut, of the file and of the settings beside it, which win: as transformers has it. */
void text_truncation_side(void)
{
    static const struct { const char *direction, *settings; int32_t first; } cases[] = { { "Left", "{}", 1 }, { "Right", "{}", 0 }, { "Left", "{\"truncation_side\":\"right\"}", 0 }, { "Right", "{\"truncation_side\":\"left\"}", 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32], json[400];
        lithe_error err = { 0 };
        int32_t ids[4];
        snprintf(name, sizeof name, "side-%zu", i);
        const char *dir = in_dir(name);
        CHECK(!dir_make(dir, &err));
        int n = snprintf(json, sizeof json, "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2}},\"pre_tokenizer\":{\"type\":\"Whitespace\"},"
                         "\"truncation\":{\"direction\":\"%s\",\"max_length\":2,\"strategy\":\"LongestFirst\",\"stride\":0}}", cases[i].direction);
        put(dir, "tokenizer.json", json, (size_t)n);
        put(dir, "tokenizer_config.json", cases[i].settings, strlen(cases[i].settings));
        lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
        CHECK_MSG(t && lithe_encode_pair(t, "a b c", 5, NULL, 0, 2, ids, NULL, 4) == 2 && ids[0] == cases[i].first, "%s %s: %s", cases[i].direction, cases[i].settings, err.text);
        lithe_tokenizer_close(t);
    }
}

void text_settings_refused(void)
{
    static const struct { const char *file, *settings, *complaint; } cases[] = {
        { "tokenizer.json", "{\"name_or_path\":\"x\",\"padding_side\":\"left\",\"model_max_length\":1e30,\"sp_model_kwargs\":{},\"image_token\":\"<i>\",\"extra_ids\":100}", NULL },
        { "vocab.txt", "{\"do_lower_case\":true,\"never_split\":null,\"tokenizer_file\":null,\"special_tokens_map_file\":\"y\",\"max_len\":512}", NULL },
        { "tokenizer.json", "{\"word_separator\":\"_\"}", "\"word_separator\": \"_\" is not known" }, { "tokenizer.json", "{\"truncation_side\":\"middle\"}", "truncation_side" },
        { "tokenizer.json", "{\"word_tokenizer_type\":\"mecab\"}", "mecab" }, { "tokenizer.json", "{\"fix_mistral_regex\":true}", "\"fix_mistral_regex\": true" },
        { "tokenizer.json", "{\"fast_tokenizer_files\":[\"tokenizer.4.0.json\"]}", "tokenizer.4.0.json" },
        { "vocab.txt", "{\"do_basic_tokenize\":false}", "\"do_basic_tokenize\": false" }, { "vocab.txt", "{\"never_split\":[\"a\"]}", "never_split" },
        { "vocab.txt", "{\"add_prefix_space\":true}", "add_prefix_space" } };
    static const char words[] = "[UNK]\na\n", json[] = "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}}}";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        lithe_error err = { 0 };
        snprintf(name, sizeof name, "refused-%zu", i);
        const char *dir = in_dir(name), *text = cases[i].file[0] == 'v' ? words : json;
        CHECK(!dir_make(dir, &err));
        put(dir, cases[i].file, text, strlen(text));
        put(dir, "tokenizer_config.json", cases[i].settings, strlen(cases[i].settings));
        lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
        if (!cases[i].complaint) CHECK_MSG(t, "%s", err.text);
        else CHECK_MSG(!t && err.status == LITHE_ECONFIG && strstr(err.text, cases[i].complaint), "%s: %s", cases[i].settings, err.text);
        lithe_tokenizer_close(t);
    }
    static const char *const files[] = { "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json" };
    for (int i = 0; i < 3; i++) {
        char name[32];
        lithe_error err = { 0 };
        snprintf(name, sizeof name, "list-%d", i);
        const char *dir = in_dir(name);
        CHECK(!dir_make(dir, &err));
        put(dir, "vocab.txt", words, strlen(words));
        put(dir, files[i], "[1]", 3);
        CHECK_MSG(!lithe_tokenizer_open(dir, &err) && strstr(err.text, files[i]) && strstr(err.text, "object"), "%s: %s", files[i], err.text);
    }
}
