/* The parts of a tokenizer.json around a model, against Hugging Face's tokenizers (tools/golden_components.py,
 * golden_words.py and golden_spans.py). */
#include "text_tests.h"
#include "base/json.h"
#include <stdlib.h>

/* The tokenizer.json of a row: its parts, and its model, to which bytes are added where it falls back to them. */
static lithe_tokenizer *assembled(const json_t *row, const json_t *models, lithe_error *err)
{
    const char *kind = json_string_value(json_object_get(row, "model"));
    json_t *model = json_deep_copy(json_object_get(models, kind)), *file = json_deep_copy(row), *vocab = json_object_get(model, "vocab");
    json_object_set(model, "byte_fallback", json_object_get(row, "byte_fallback"));
    for (int i = 0; i < 256 && json_is_array(vocab) && json_is_true(json_object_get(row, "byte_fallback")); i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        json_array_append_new(vocab, json_pack("[s, f]", name, -20.0));
    }
    json_object_set_new(file, "model", model);
    static const char *const of_row[] = { "cases", "name", "byte_fallback" };
    for (size_t i = 0; i < sizeof of_row / sizeof *of_row; i++) json_object_del(file, of_row[i]);
    char *text = json_dumps(file, JSON_COMPACT);
    lithe_tokenizer *t = tokenizer_from_json(text, strlen(text), json_string_value(json_object_get(row, "name")), err);
    free(text);
    json_decref(file);
    return t;
}

static bool same(const int32_t *ids, size_t n, const json_t *expected)
{
    bool equal = n == json_array_size(expected);
    for (size_t i = 0; equal && i < n; i++) equal = ids[i] == json_integer_value(json_array_get(expected, i));
    return equal;
}

/* [text, ids, ids with special tokens, decoded, those with special tokens decoded where that is another text]; null is
 * text that is not whole characters. */
static void check_case(const lithe_tokenizer *t, const json_t *c, const char *name)
{
    const json_t *text = json_array_get(c, 0);
    for (int special = 0; special < 2; special++) {
        const json_t *back = json_array_get(c, special && json_array_size(c) > 4 ? 4 : 3);
        size_t n, m;
        int32_t *ids = text_ids(t, json_string_value(text), json_string_length(text), special, &n);
        CHECK_MSG(same(ids, n, json_array_get(c, 1 + (size_t)special)), "%s: ids of \"%s\"", name, json_string_value(text));
        char *decoded = text_back(t, ids, n, &m);
        if (!json_is_null(back)) CHECK_MSG(m == json_string_length(back) && !memcmp(decoded, json_string_value(back), m), "%s: \"%s\" is decoded as \"%.*s\"", name, json_string_value(back), (int)m, decoded);
        free(ids);
        free(decoded);
    }
}

static void check_rows(const char *file, size_t count)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_file(file), 1 << 20, 16, &err), *row, *c;
    const json_t *models = json_object_get(golden, "models");
    size_t i, k;
    CHECK_MSG(json_array_size(json_object_get(golden, "rows")) == count, "%s", err.text);
    json_array_foreach(json_object_get(golden, "rows"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        lithe_tokenizer *t = assembled(row, models, &err);
        CHECK_MSG(t, "%s: %s", name, err.text);
        json_array_foreach(json_object_get(row, "cases"), k, c) if (t) check_case(t, c, name);
        lithe_tokenizer_close(t);
        err = (lithe_error){ 0 };
    }
    json_decref(golden);
}

void text_components(void) { check_rows("tests/golden/text/components.json", 18); }
void text_words(void) { check_rows("tests/golden/text/words.json", 6); }

/* ---- places of tokens ---- */

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

/* [text, [[begin, end, word], ...]], in characters. */
static void check_spans(const lithe_tokenizer *t, const json_t *c, const char *name)
{
    const char *text = json_string_value(json_array_get(c, 0));
    const json_t *places = json_array_get(c, 1), *place;
    int32_t ids[200], plain[200];
    lithe_span spans[200];
    size_t len = strlen(text), n = lithe_encode_spans(t, text, len, ids, spans, 200), i;
    CHECK_MSG(n == lithe_encode(t, text, len, 0, plain, 200) && !memcmp(ids, plain, n * sizeof *ids), "%s: other ids of \"%s\"", name, text);
    CHECK_MSG(n == json_array_size(places), "%s: %zu tokens of \"%s\"", name, n, text);
    json_array_foreach(places, i, place) {
        const json_int_t begin = json_integer_value(json_array_get(place, 0)), end = json_integer_value(json_array_get(place, 1)), word = json_integer_value(json_array_get(place, 2));
        const size_t first = i < n ? characters(text, spans[i].begin) : 0, last = i < n ? characters(text, spans[i].end) : 0;
        CHECK_MSG(i < n && first == (size_t)begin && last == (size_t)end && spans[i].word == word, "%s: token %zu of \"%s\" is %zu..%zu of word %d, expected %d..%d of %d", name, i, text,
                  first, last, i < n ? spans[i].word : -1, (int)begin, (int)end, (int)word);
    }
    CHECK(lithe_encode_spans(t, text, len, ids, spans, n / 2) == n);
}

/* The row of this name in another golden file. */
static lithe_tokenizer *other_row(const json_t *others, const char *name, lithe_error *err)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(others, "rows"), i, row)
        if (!strcmp(json_string_value(json_object_get(row, "name")), name)) return assembled(row, json_object_get(others, "models"), err);
    return NULL;
}

void text_spans(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_file("tests/golden/text/spans.json"), 1 << 20, 16, &err), *row, *c;
    json_t *components = json_read(test_file("tests/golden/text/components.json"), 1 << 20, 16, &err), *words = json_read(test_file("tests/golden/text/words.json"), 1 << 20, 16, &err);
    size_t i, k;
    CHECK_MSG(json_array_size(json_object_get(golden, "rows")) == 24, "%s", err.text);
    json_array_foreach(json_object_get(golden, "rows"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name")), *file = json_string_value(json_object_get(row, "file"));
        char *own = file ? NULL : json_dumps(json_object_get(row, "tokenizer"), JSON_COMPACT);
        lithe_tokenizer *t = own ? tokenizer_from_json(own, strlen(own), name, &err) : other_row(!strcmp(file, "words") ? words : components, name, &err);
        CHECK_MSG(t, "%s: %s", name, err.text);
        json_array_foreach(json_object_get(row, "cases"), k, c) if (t) check_spans(t, c, name);
        lithe_tokenizer_close(t);
        free(own);
        err = (lithe_error){ 0 };
    }
    json_decref(golden);
    json_decref(components);
    json_decref(words);
}

void text_unigram_refused(void)
{
    static const struct { const char *model, *complaint; } bad[] = {
        { "{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1.0]]}", "unk_id" }, { "{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",-1.0]]}", "unk_id" },
        { "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[]}", "pieces with scores" }, { "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\"]]}", "model.vocab[0]" },
        { "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",\"b\"]]}", "model.vocab[0]" }, { "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"a\",0],[\"a\",0]]}", "twice" },
        { "{\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"a\",0]]}", "byte 0" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        char text[300];
        int n = snprintf(text, sizeof text, "{\"model\":%s}", bad[i].model);
        lithe_tokenizer *t = tokenizer_from_json(text, (size_t)n, "test.json", &err);
        CHECK_MSG(!t && err.status == LITHE_EFORMAT && strstr(err.text, bad[i].complaint), "%s: %s", bad[i].model, err.text);
        lithe_tokenizer_close(t);
    }
}

/* A piece may hold NUL, as a key, in a merge of either form and in a text: ids of Hugging Face's tokenizers. */
void text_nul_pieces(void)
{
    static const char *const merges[] = { "\"a \\u0000\"", "[\"a\",\"\\u0000\"]" };
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        char text[300];
        int n = snprintf(text, sizeof text, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0000\":0,\"a\":1,\"a\\u0000\" : 2,\"\\u0000a\":3},\"merges\":[%s]},\"decoder\":{\"type\":\"Fuse\"}}", merges[i]);
        lithe_tokenizer *t = tokenizer_from_json(text, (size_t)n, "test.json", &err);
        CHECK_MSG(t, "%s", err.text);
        int32_t ids[8];
        char back[8];
        CHECK(lithe_encode(t, "a\0\0a", 4, 0, ids, 8) == 3 && ids[0] == 2 && ids[1] == 0 && ids[2] == 1);
        CHECK(lithe_decode(t, ids, 3, back, 8) == 4 && !memcmp(back, "a\0\0a", 4));
        lithe_tokenizer_close(t);
    }
}
