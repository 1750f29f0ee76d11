/* Tokenizer files that are hostile, damaged or absent. */
#include "text_tests.h"
#include "base/file.h"
#include "base/writer.h"
#include "base/random.h"
#include <stdlib.h>

/* ---- hostile files --------------------------------------------------------------------------------- */

typedef struct { const char *pre_tokenizer, *vocab, *merges, *model, *rest, *complaint; } refusal;

#define FIRST "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define SECOND(type) "{\"Sequence\":{\"id\":\"B\",\"type_id\":" type "}}"
#define TEMPLATE(a, b) ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" FIRST "],\"pair\":[" a "," b "],\"special_tokens\":{}}"

static const refusal refusals[] = {
    { BYTE_LEVEL, ",\"ab\":255", "[]", "", "", "which another token has" },
    { BYTE_LEVEL, ",\"a\":256", "[]", "", "", "duplicate" },
    { BYTE_LEVEL, ",\"ab\":-1", "[]", "", "", "id -1" },
    { BYTE_LEVEL, ",\"ab\":4194304", "[]", "", "", "id 4194304" },
    { BYTE_LEVEL, ",\"ab\":99999999999999999999999", "[]", "", "", "not a whole number" },
    { BYTE_LEVEL, ",\"ab\":256.0", "[]", "", "", "not a whole number" },
    { BYTE_LEVEL, ",\"ab\":\"256\"", "[]", "", "", "not a whole number" },
    { BYTE_LEVEL, "", "[\"a b\"]", "", "", "merge 0, giving \"ab\", names a token that is not in the vocabulary" },
    { BYTE_LEVEL, ",\"abc\":256", "[\"ab c\"]", "", "", "merge 0" },
    { BYTE_LEVEL, "", "[\"ab\"]", "", "", "neither" },
    { BYTE_LEVEL, "", "[\"a b c\"]", "", "", "neither" },
    { BYTE_LEVEL, "", "[[\"a\"]]", "", "", "neither" },
    { BYTE_LEVEL, "", "[[\"a\",1]]", "", "", "neither" },
    { BYTE_LEVEL, "", "{}", "", "", "model.merges is not an array" },
    { BYTE_LEVEL, "", "[]", ",\"dropout\":0.1", "", "dropout" },
    { BYTE_LEVEL, "", "[]", ",\"unk_token\":\"nope\"", "", "nope" },
    { BYTE_LEVEL, "", "[]", ",\"end_of_word_suffix\":\"\\u0120\"", "", "end_of_word_suffix" },
    { BYTE_LEVEL, "", "[]", ",\"byte_fallback\":true,\"continuing_subword_prefix\":\"##\"", "", "continuing_subword_prefix" },
    { "{\"type\":\"Metaspace\"}", "", "[]", "", "", "the replacement of Metaspace" },
    { "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}", "", "[]", "", "", "prepend_scheme" },
    { "{\"type\":\"Punctuation\",\"behavior\":\"Sideways\"}", "", "[]", "", "", "Sideways" },
    { "{\"type\":\"UnicodeScripts\"}", "", "[]", "", "", "pre_tokenizer \"UnicodeScripts\"" },
    { "{}", "", "[]", "", "", "pre_tokenizer \"without type\"" },
    { "null", "", "[]", "", ",\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}", "after Fuse" },
    { "null", "", "[]", "", ",\"decoder\":{\"type\":\"CTC\"}", "decoder \"CTC\"" },
    { "null", "", "[]", "", ",\"decoder\":{\"type\":\"BPEDecoder\",\"suffix\":\"\"}", "the suffix of BPEDecoder is empty" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTE_LEVEL ",{\"type\":\"Digits\"}]}", "", "[]", "", "", "after ByteLevel" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "(", "Isolated", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "regular expression" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "[a&&b]", "Isolated", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "&&" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "a", "Sideways", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "Sideways" },
    { BYTE_LEVEL, "", "[]", "", ",\"normalizer\":{\"type\":\"ByteLevel\"}", "normalizer \"ByteLevel\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"}", "no base64" },
    { BYTE_LEVEL, "", "[]", "", ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAAAAAA\"}", "map of characters" },
    { BYTE_LEVEL, "", "[]", "", ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}", "regular expression" },
    { BYTE_LEVEL, "", "[]", "", ",\"decoder\":{\"type\":\"WordPiece\"}", "\"WordPiece\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"Odd\"}", "post_processor \"Odd\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",900],\"cls\":[\"x\",1]}", "id 900" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}", "0 times" },
    { BYTE_LEVEL, "", "[]", "", TEMPLATE(SECOND("2"), FIRST), "type_id 2" },
    { BYTE_LEVEL, "", "[]", "", TEMPLATE(SECOND("1"), FIRST), "the second text before the first" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(97, "<x>", "") "]", "another token of the vocabulary" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "a", "") "]", "97 in the vocabulary" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "<x>", "") "," ADDED(300, "<y>", "") "]", "another token has" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "<x>", "") "," ADDED(301, "<x>", "") "]", "twice" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(-3, "<x>", "") "]", "id -3" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[{\"id\":300}]", "added_tokens[0]" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":7", "added_tokens" },
};

void text_refused(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        lithe_error err = { 0 };
        lithe_tokenizer *t = text_build(r->pre_tokenizer, r->vocab, r->merges, r->model, r->rest, &err);
        CHECK_MSG(!t && err.status == LITHE_EFORMAT && strstr(err.text, r->complaint) && strstr(err.text, "test.json"), "%s: %s", r->complaint, err.text);
        lithe_tokenizer_close(t);
    }
    static const char *const whole[] = { "", "[]", "7", "{}", "{\"model\":{\"type\":\"WordPiece\"}}", "{\"model\":{}}", "{\"model\":[]}", "\xff" };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        lithe_error err = { 0 };
        CHECK(!tokenizer_from_json(whole[i], strlen(whole[i]), "test.json", &err) && err.status == LITHE_EFORMAT);
    }
    char deep[4000];
    memset(deep, '[', sizeof deep);
    lithe_error err = { 0 };
    CHECK(!tokenizer_from_json(deep, sizeof deep, "test.json", &err) && strstr(err.text, "deep"));
}

/* Every prefix of the file is refused or opens without harm. */
void text_cut_off(void)
{
    const char *dir = test_dir();
    char *path = path_join(dir, "tokenizer.json");
    lithe_error err = { 0 };
    size_t size;
    lithe_tokenizer *bytes = text_open("bytes");
    CHECK(!lithe_tokenizer_save(bytes, path, &err));
    lithe_tokenizer_close(bytes);
    char *json = file_read(path, 1 << 20, &size, &err);
    for (size_t n = 0; n + 2 < size; n++) {
        lithe_error e = { 0 };
        CHECK(!tokenizer_from_json(json, n, "cut.json", &e) && e.status == LITHE_EFORMAT);
    }
    free(json);
    char *binary = file_read(test_data("checkpoints/stories260K/tok512.bin"), 1 << 20, &size, &err);
    int good = 0;
    for (size_t n = 0; n <= size; n++) {
        lithe_error e = { 0 };
        lithe_tokenizer *t = tokenizer_from_llama2c(binary, n, "cut.bin", &e);
        CHECK(t ? !e.status : e.status == LITHE_EFORMAT);
        if (t) CHECK(lithe_encode(t, "Once upon", 9, 1, NULL, 0) > 1);
        good += t != NULL;
        lithe_tokenizer_close(t);
    }
    CHECK(good == 512 - 3);                         /* the file has no count, so a cut between pieces is not noticed */
    for (uint64_t k = 0; k < 300; k++) {            /* damage */
        lithe_error e = { 0 };
        char saved = binary[random_u64(9, k) % size];
        binary[random_u64(9, k) % size] = (char)random_u64(10, k);
        lithe_tokenizer *t = tokenizer_from_llama2c(binary, size, "damaged.bin", &e);
        if (t) free(text_ids(t, "Once upon a time", 16, 1, &(size_t){ 0 }));
        lithe_tokenizer_close(t);
        binary[random_u64(9, k) % size] = saved;
    }
    free(binary);
    lithe_error e = { 0 };                                  /* every piece empty */
    char empty[44] = { 19 };
    lithe_tokenizer *t = tokenizer_from_llama2c(empty, sizeof empty, "empty.bin", &e);
    CHECK(t && text_same_ids(t, t, "a b", 3));
    lithe_tokenizer_close(t);
    free(path);
}

void text_empty_paths(void)
{
    lithe_error err = { 0 };
    CHECK(!lithe_tokenizer_open(test_dir(), &err) && err.status == LITHE_EIO && strstr(err.text, "holds no tokenizer.json"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_tokenizer_open("/nonexistent/tokenizer.json", &err) && err.status == LITHE_EIO);
    err = (lithe_error){ 0 };
    CHECK(!lithe_tokenizer_open(NULL, &err) && err.status == LITHE_EINVAL);
    CHECK(!lithe_tokenizer_open("/nonexistent/tokenizer.json", NULL));
    char *vocab = path_join(test_dir(), "vocab.json");
    err = (lithe_error){ 0 };
    CHECK(!file_write(vocab, "{\"a\": 0}", 8, &err));
    CHECK(!lithe_tokenizer_open(test_dir(), &err) && strstr(err.text, "merges.txt"));
    free(vocab);
}

/* Patterns that would never end, or take quadratic time, end, and no text is lost. */
void text_endless_patterns(void)
{
    static const char *const patterns[] = {
        SPLIT("Regex", "(a+)+$", "Isolated", "false"), SPLIT("Regex", "(?=[^x]*x).", "Isolated", "false"),
        SPLIT("Regex", "a.*?x|a", "Isolated", "false"), SPLIT("Regex", "(a|aa)+c|(a|aa)+x|a", "Isolated", "false") };
    size_t len = 200000;
    char *text = malloc(len);
    memset(text, 'a', len);
    text[len - 1] = 'b';
    for (int i = 0; i < 4; i++) {
        lithe_error err = { 0 };
        char both[300];
        snprintf(both, sizeof both, "{\"type\":\"Sequence\",\"pretokenizers\":[%s," BYTE_LEVEL "]}", patterns[i]);
        lithe_tokenizer *t = text_build(both, "", "[]", "", "", &err);
        CHECK_MSG(t, "%s", err.text);
        double start = text_seconds();
        lithe_encode(t, text, len, 0, NULL, 0);
        CHECK_MSG(text_seconds() - start < 10, "%s: %.1f s", patterns[i], text_seconds() - start);
        CHECK(text_comes_back(t, text, 5000));
        lithe_tokenizer_close(t);
    }
    free(text);
}


/* ---- files beside a vocabulary ----------------------------------------------------------------------- */

static void put(const char *dir, const char *name, const char *text)
{
    lithe_error err = { 0 };
    char *path = path_join(dir, name);
    CHECK_MSG(!file_write(path, text, strlen(text), &err), "%s", err.text);
    free(path);
}

/* vocab.json with the 256 bytes under their names in GPT-2's alphabet, and eight merges. */
static void put_vocabulary(const char *dir)
{
    static const char *const pairs[][2] = { { "1", "2" }, { "\u0120", "1" }, { "a", "b" }, { "\u0120", "ab" }, { "!", "!" }, { "!!", "\u010a" }, { "'", "S" }, { "C", "'" } };
    char vocabulary[8192], merges[256] = "#version: 0.2\n";
    size_t n = 0, m = strlen(merges), other = 0;
    for (int b = 0; b < 256; b++) {
        bool shown = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        n += (size_t)snprintf(vocabulary + n, sizeof vocabulary - n, "%c\"\\u%04x\":%d", b ? ',' : '{', shown ? (unsigned)b : 256 + (unsigned)other, b);
        other += !shown;
    }
    for (int i = 0; i < 8; i++) {
        n += (size_t)snprintf(vocabulary + n, sizeof vocabulary - n, ",\"%s%s\":%d", pairs[i][0], pairs[i][1], 256 + i);
        m += (size_t)snprintf(merges + m, sizeof merges - m, "%s %s\n", pairs[i][0], pairs[i][1]);
    }
    snprintf(vocabulary + n, sizeof vocabulary - n, "}");
    put(dir, "vocab.json", vocabulary);
    put(dir, "merges.txt", merges);
}

static void check_ids(const lithe_tokenizer *t, const char *text, const int *expected)
{
    int32_t ids[32];
    size_t n = lithe_encode(t, text, strlen(text), 0, ids, 32), i = 0;
    for (; i < n && ids[i] == expected[i]; i++);
    CHECK_MSG(i == n && expected[n] < 0, "\"%s\": id %zu of %zu is another", text, i, n);
}

/* The ids are those of transformers 4.40's Qwen2Tokenizer with these files. */
static void check_qwen2(const char *dir)
{
    static const struct { const char *text; int ids[16]; } cases[] = {
        { "12 12", { 49, 50, 32, 49, 50, -1 } }, { "ab12ab 1", { 258, 49, 50, 258, 32, 49, -1 } }, { "!!\nab", { 261, 258, -1 } }, { "C'S abS", { 67, 262, 259, 83, -1 } },
        { "e\u0301", { 195, 169, -1 } }, { "a<|im_start|>b", { 97, 300, 98, -1 } }, { "  ab\n\n 12!!\n", { 32, 259, 10, 10, 32, 49, 50, 261, -1 } } };
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
    CHECK_MSG(t && lithe_tokenizer_eos(t) == 300 && lithe_tokenizer_is_special(t, 300), "%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_ids(t, cases[i].text, cases[i].ids);
    lithe_tokenizer_close(t);
}

#define DECODER "\"added_tokens_decoder\":{\"300\":{\"content\":\"<|im_start|>\",\"normalized\":false,\"special\":true}}"

void text_qwen2_files(void)
{
    const char *dir = in_dir("qwen2"), *again = in_dir("qwen2-again");
    lithe_error err = { 0 };
    CHECK(!dir_make(dir, &err) && !dir_make(again, &err));
    put_vocabulary(dir);
    put(dir, "tokenizer_config.json", "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"eos_token\":\"<|im_start|>\"," DECODER "}");
    check_qwen2(dir);
    lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
    CHECK_MSG(!lithe_tokenizer_save(t, in_dir("qwen2-again/tokenizer.json"), &err), "%s", err.text);
    lithe_tokenizer_close(t);
    check_qwen2(again);
}

/* Tokens that its own file does not have go with a tokenizer whose file is written as it was read. */
static void kept_with_its_source(const char *dir)
{
    const char *copy = in_dir("beside-copy");
    lithe_error err = { 0 };
    put(dir, "tokenizer_config.json", "{\"added_tokens_decoder\":{\"310\":{\"content\":\"<later>\",\"special\":true}}}");
    lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
    CHECK(!dir_make(copy, &err) && !lithe_tokenizer_save(t, in_dir("beside-copy/tokenizer.json"), &err));
    lithe_tokenizer_close(t);
    t = lithe_tokenizer_open(copy, &err);
    CHECK_MSG(t && lithe_tokenizer_is_special(t, 310), "%s", err.text);
    check_ids(t, "a<later>", (const int[]){ 97, 310, -1 });
    lithe_tokenizer_close(t);
}

/* As transformers' HerbertTokenizer reads the same files, and as they are saved. */
void text_herbert(void)
{
    static const struct { const char *text; int32_t ids[8]; const char *back; } cases[] = {
        { "za\u017c\u00f3\u0142\u0107 dom w lesie", { 68, 60, 30, 64, -1 }, "za\u017c\u00f3\u0142\u0107 dom w lesie" }, { "dom, las. w", { 60, 31, 14, 6, 2, 2, 30, -1 }, "dom , la<unk><unk>w" },
        { "<mask> w</w>lesie", { 4, 30, 2, 2, 30, 2, 64, -1 }, "<mask>w <unk><unk>w <unk>lesie" } };
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(test_file("tests/golden/text/herbert"), &err);
    CHECK_MSG(t && !lithe_tokenizer_save(t, in_dir("tokenizer.json"), &err), "%s", err.text);
    lithe_tokenizer *both[] = { t, lithe_tokenizer_open(in_dir("tokenizer.json"), &err) };
    for (size_t i = 0; i < 6; i++) {
        const size_t c = i / 2;
        char back[64];
        int32_t ids[16];
        check_ids(both[i % 2], cases[c].text, cases[c].ids);
        const size_t n = lithe_encode(both[i % 2], cases[c].text, strlen(cases[c].text), 0, ids, 16), m = lithe_decode(both[i % 2], ids, n, back, sizeof back);
        CHECK_MSG(m == strlen(cases[c].back) && !memcmp(back, cases[c].back, m), "%.*s", (int)m, back);
    }
    lithe_tokenizer_close(both[0]);
    lithe_tokenizer_close(both[1]);
}

/* add_bos_token and add_eos_token, as transformers' LlamaTokenizer follows them. */
void text_flags_beside(void)
{
    static const struct { const char *config; int32_t one[4], two[8]; } cases[] = {
        { "{}", { 1, 100, -3 }, { 1, 100, 1, 100, -3 } },
        { "{\"add_bos_token\":true,\"add_eos_token\":true}", { 1, 100, 2, -3 }, { 1, 100, 2, 1, 100, 2, -3 } },
        { "{\"add_bos_token\":false}", { 100, -3 }, { 100, 100, -3 } },
        { "{\"add_bos_token\":false,\"add_eos_token\":true}", { 100, 2, -3 }, { 100, 2, 100, 2, -3 } } };
    char *model = path_join(test_dir(), SENTENCEPIECE_FILE);
    lithe_error err = { 0 };
    size_t size;
    char *data = file_read(test_data("tokenizers/mistral/tokenizer.model"), (size_t)1 << 24, &size, &err);
    CHECK_MSG(data && !file_write(model, data, size, &err), "%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(test_dir(), "tokenizer_config.json", cases[i].config);
        lithe_tokenizer *t = text_open(test_dir());
        int32_t plain[4], ids[8];
        CHECK(lithe_encode(t, "a", 1, 0, plain, 4) == 1);
        for (int two = 0; two < 2; two++) {
            const int32_t *wanted = two ? cases[i].two : cases[i].one;
            const size_t n = lithe_encode_pair(t, "a", 1, two ? "a" : NULL, (size_t)two, 0, ids, NULL, 8);
            size_t k = 0;
            for (; wanted[k] != -3; k++) CHECK_MSG(k < n && ids[k] == (wanted[k] == 100 ? plain[0] : wanted[k]), "%s: %zu", cases[i].config, k);
            CHECK(k == n);
        }
        lithe_tokenizer_close(t);
    }
    free(data), free(model);
}

void text_tokens_beside(void)
{
    static const struct { const char *config, *added; } cases[] = {
        { "{\"eos_token\":\"<|im_end|>\"}", "{\"<|im_start|>\":300,\"<|im_end|>\":301}" },
        { "{\"eos_token\":\"<|im_end|>\"," "\"added_tokens_decoder\":{\"300\":{\"content\":\"<|im_start|>\"},\"301\":{\"content\":\"<|im_end|>\",\"special\":true}}}", NULL } };
    static const struct { const char *config, *added, *why; } bad[] = {
        { "{}", "{\"<x>\":97}", "another token" }, { "{}", "{\"<x>\":-1}", "id -1" }, { "{}", "{\"<x>\":\"7\"}", "no whole id" }, { "{}", "{\"<x>\":4194304}", "4194304" },
        { "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}", "{}", "\"x\"" }, { "{\"added_tokens_decoder\":{\"7\":{}}}", "{}", "no content" },
        { "{\"tokenizer_class\":\"CTRLTokenizer\"}", "{}", "CTRLTokenizer" }, { "{\"word_tokenizer_type\":\"mecab\"}", "{}", "mecab" },
        { "{\"sp_model_kwargs\":{\"nbest_size\":2}}", "{}", "\"sp_model_kwargs\"" } };
    const char *dir = in_dir("beside"), *again = in_dir("beside-again"), *saved = in_dir("beside-again/tokenizer.json");
    lithe_error err = { 0 };
    CHECK(!dir_make(dir, &err) && !dir_make(again, &err));
    put_vocabulary(dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(dir, "tokenizer_config.json", cases[i].config);
        put(dir, "added_tokens.json", cases[i].added ? cases[i].added : "{}");
        lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
        CHECK_MSG(t, "%s", err.text);
        check_ids(t, "hi<|im_start|>12", (const int[]){ 104, 105, 300, 256, -1 });
        CHECK(lithe_tokenizer_eos(t) == 301 && lithe_tokenizer_vocab(t) == 302);
        CHECK(!lithe_tokenizer_save(t, saved, &err));
        lithe_tokenizer_close(t);
        t = lithe_tokenizer_open(again, &err);
        check_ids(t, "hi<|im_start|>12", (const int[]){ 104, 105, 300, 256, -1 });
        lithe_tokenizer_close(t);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error e = { 0 };
        put(dir, "tokenizer_config.json", bad[i].config);
        put(dir, "added_tokens.json", bad[i].added);
        CHECK_MSG(!lithe_tokenizer_open(dir, &e) && strstr(e.text, bad[i].why), "%s: %s", bad[i].why, e.text);
    }
    kept_with_its_source(again);
}
