/* Tokenizers: published ids, files of every kind and hostile ones, training. */
#include "test.h"
#include "lithe.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "text/byte_alphabet.h"
#include "text/pattern.h"
#include "text/tokenizer.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- helpers -------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static lithe_tokenizer *opened(const char *path)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(path, &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

/* malloc'd ids of text, measured first. */
static int32_t *ids_of(const lithe_tokenizer *t, const char *text, size_t len, int special, size_t *n)
{
    *n = lithe_encode(t, text, len, special, NULL, 0);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    ids[*n] = -77;
    size_t again = lithe_encode(t, text, len, special, ids, *n);
    CHECK(again == *n && ids[*n] == -77);
    return ids;
}

static char *text_of(const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t *len)
{
    *len = lithe_decode(t, ids, n, NULL, 0);
    char *text = malloc(*len + 1);
    text[*len] = 77;
    CHECK(lithe_decode(t, ids, n, text, *len) == *len && text[*len] == 77);
    text[*len] = 0;
    return text;
}

static bool comes_back(const lithe_tokenizer *t, const char *text, size_t len)
{
    size_t n, m;
    int32_t *ids = ids_of(t, text, len, 0, &n);
    char *back = text_of(t, ids, n, &m);
    bool same = m == len && !memcmp(back, text, len);
    free(ids);
    free(back);
    return same;
}

static bool same_ids(const lithe_tokenizer *a, const lithe_tokenizer *b, const char *text, size_t len)
{
    size_t n, m;
    int32_t *x = ids_of(a, text, len, 1, &n), *y = ids_of(b, text, len, 1, &m);
    bool same = n == m && !memcmp(x, y, n * sizeof *x);
    free(x);
    free(y);
    return same;
}

/* Bytes of every kind: mostly characters, of one to four bytes, some damage. */
static size_t random_text(char *out, size_t len, uint64_t key)
{
    static const int32_t from[] = { 32, 32, 97, 0, 9, 48, 0xa0, 0x300, 0x370, 0x900, 0x2000, 0x3040, 0xac00, 0x10000, 0x1f600 };
    static const int32_t count[] = { 1, 95, 26, 128, 5, 10, 96, 112, 600, 600, 112, 4000, 11172, 70000, 80 };
    size_t n = 0;
    for (uint64_t i = 0; n + 4 <= len; i += 3) {
        uint64_t k = random_u64(key, i) % 16, r = random_u64(key, i + 1);
        if (k == 15) out[n++] = (char)r;
        else n += (size_t)utf8_put(from[k] + (int32_t)(r % (uint64_t)count[k]), out + n);
        if (random_u64(key, i + 2) % 4 == 0 && n + 1 < len) { out[n] = out[n - 1]; n++; }
    }
    return n;
}

/* ---- published ids -------------------------------------------------------------------- */

static bool ids_equal(const json_t *expected, const int32_t *ids, size_t n)
{
    bool same = json_array_size(expected) == n;
    for (size_t i = 0; same && i < n; i++) same = json_integer_value(json_array_get(expected, i)) == ids[i];
    return same;
}

static void check_case(const lithe_tokenizer *t, const char *name, const json_t *c)
{
    const char *id = json_string_value(json_object_get(c, "id"));
    const json_t *text = json_object_get(c, "text"), *ids = json_object_get(json_object_get(c, "ids"), name);
    const json_t *special = json_object_get(json_object_get(c, "ids_special"), name);
    const json_t *decoded = json_object_get(json_object_get(c, "decoded"), name);
    for (int s = 0; s < 2; s++) {
        size_t n;
        int32_t *ours = ids_of(t, json_string_value(text), json_string_length(text), s, &n);
        CHECK_MSG(ids_equal(s && special ? special : ids, ours, n), "%s: ids of %s, special %d", name, id, s);
        if (!s) {
            size_t len;
            char *back = text_of(t, ours, n, &len);
            if (!decoded) decoded = text;
            CHECK_MSG(len == json_string_length(decoded) && !memcmp(back, json_string_value(decoded), len), "%s: text of %s", name, id);
            free(back);
        }
        free(ours);
    }
}

static void check_cases(const char *name, const lithe_tokenizer *t)
{
    lithe_error err = { 0 };
    size_t size, n = 0;
    char *text = file_read(test_data("tokenizers/cases.jsonl"), (size_t)1 << 24, &size, &err), *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line; n++) {
        json_t *c = json_parse(line, strlen(line), 8, "cases.jsonl", &err);
        CHECK_MSG(c, "%s", err.text);
        check_case(t, name, c);
        json_decref(c);
    }
    CHECK(n > 100);
    free(text);
}

static void cases_gpt2(void)
{
    lithe_tokenizer *t = opened(test_data("tokenizers/gpt2"));
    CHECK(lithe_tokenizer_vocab(t) == 50257 && lithe_tokenizer_eos(t) == 50256 && lithe_tokenizer_bos(t) == 50256);
    check_cases("gpt2", t);
    lithe_tokenizer_close(t);
    t = opened(test_data("tokenizers/gpt2/encoder.json"));
    check_cases("gpt2", t);
    lithe_tokenizer_close(t);
}

static void cases_neox(void)
{
    lithe_tokenizer *t = opened(test_data("tokenizers/gpt-neox/20B_tokenizer.json"));
    CHECK(lithe_tokenizer_vocab(t) == 50277 && lithe_tokenizer_eos(t) == 0);
    check_cases("gpt-neox", t);
    lithe_tokenizer_close(t);
}

/* A folder with RoBERTa's vocabulary, GPT-2's merges and, if not NULL, a tokenizer_config.json. */
static const char *roberta_dir(const char *config)
{
    const char *dir = test_dir();
    lithe_error err = { 0 };
    char *vocab = path_join(dir, "vocab.json"), *merges = path_join(dir, "merges.txt"), *extra = path_join(dir, "tokenizer_config.json");
    CHECK(!symlink(test_data("tokenizers/roberta-base/vocab.json"), vocab));
    CHECK(!symlink(test_data("tokenizers/gpt2/vocab.bpe"), merges));
    if (config) CHECK(!file_write(extra, config, strlen(config), &err));
    free(vocab); free(merges); free(extra);
    return dir;
}

static void cases_roberta(void)
{
    lithe_tokenizer *t = opened(roberta_dir(NULL));
    CHECK(lithe_tokenizer_vocab(t) == 50265 && lithe_tokenizer_bos(t) == 0 && lithe_tokenizer_eos(t) == 2);
    check_cases("roberta-base", t);
    lithe_tokenizer_close(t);
}

static void config_beside(void)
{
    lithe_tokenizer *t = opened(roberta_dir("{\"add_prefix_space\": true, \"eos_token\": {\"content\": \"<mask>\"}, \"bos_token\": \"<pad>\"}"));
    size_t n;
    int32_t *ids = ids_of(t, "Hello <mask>", 12, 1, &n);
    CHECK(n == 4 && ids[0] == 0 && ids[1] == 20920 && ids[2] == 50264 && ids[3] == 2);      /* "_Hello"; <mask> takes the space */
    CHECK(lithe_tokenizer_bos(t) == 1 && lithe_tokenizer_eos(t) == 50264);
    free(ids);
    lithe_tokenizer_close(t);
}

/* ---- llama2.c --------------------------------------------------------------------------- */

static const char *const llama2c_files[] = { "checkpoints/stories260K/tok512.bin", "checkpoints/babyllama-tok105/tok105.bin" };

static void check_golden(const lithe_tokenizer *t, const json_t *g)
{
    const json_t *prompt = json_object_get(g, "prompt"), *prompt_ids = json_object_get(g, "prompt_ids"), *more = json_object_get(g, "greedy_ids");
    size_t n, len, k = 0;
    int32_t *ids = ids_of(t, json_string_value(prompt), json_string_length(prompt), 1, &n), all[512];
    CHECK(ids_equal(prompt_ids, ids, n));
    for (size_t i = 0; i < n; i++) all[k++] = ids[i];
    for (size_t i = 0; i < json_array_size(more); i++) all[k++] = (int32_t)json_integer_value(json_array_get(more, i));
    char *text = text_of(t, all, k, &len);
    CHECK_MSG(!strcmp(text, json_string_value(json_object_get(g, "greedy_text"))), "%s", text);
    free(ids);
    free(text);
}

static void llama2c_golden(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_data("checkpoints/golden.json"), (size_t)1 << 20, 8, &err);
    for (size_t i = 0; i < 2; i++) {
        lithe_tokenizer *t = opened(test_data(llama2c_files[i]));
        CHECK(lithe_tokenizer_vocab(t) == (i ? 105 : 512) && lithe_tokenizer_bos(t) == 1 && lithe_tokenizer_eos(t) == 2);
        check_golden(t, json_array_get(golden, i));
        lithe_tokenizer_close(t);
    }
    json_decref(golden);
}

/* Saved as tokenizer.json and opened again: the same ids and texts. */
static void saved_is_same(void)
{
    const char *dir = test_dir();
    char *path = path_join(dir, "tokenizer.json"), text[4000];
    for (int k = 0; k < 5; k++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = k < 2 ? opened(test_data(llama2c_files[k])) : opened(k == 2 ? "bytes" : k == 3 ? test_data("tokenizers/gpt2")
                                                                                               : test_data("tokenizers/gpt-neox/20B_tokenizer.json"));
        CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
        lithe_tokenizer *u = opened(dir);
        CHECK(lithe_tokenizer_vocab(t) == lithe_tokenizer_vocab(u));
        CHECK(lithe_tokenizer_bos(t) == lithe_tokenizer_bos(u) && lithe_tokenizer_eos(t) == lithe_tokenizer_eos(u));
        for (uint64_t i = 0; i < 40; i++) {
            size_t len = random_text(text, sizeof text, i), n, a, b;
            CHECK(same_ids(t, u, text, len));
            int32_t *ids = ids_of(t, text, len, 1, &n);
            char *x = text_of(t, ids, n, &a), *y = text_of(u, ids, n, &b);
            CHECK(a == b && !memcmp(x, y, a));
            free(ids); free(x); free(y);
        }
        lithe_tokenizer_close(t);
        lithe_tokenizer_close(u);
    }
    free(path);
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static void bytes_are_ids(void)
{
    lithe_tokenizer *t = opened("bytes");
    char all[512];
    for (int i = 0; i < 512; i++) all[i] = (char)(i * 7);
    size_t n;
    int32_t *ids = ids_of(t, all, sizeof all, 1, &n);
    CHECK(n == sizeof all && lithe_tokenizer_vocab(t) == 256 && lithe_tokenizer_eos(t) == -1 && lithe_tokenizer_bos(t) == -1);
    for (size_t i = 0; i < n; i++) CHECK(ids[i] == (unsigned char)all[i]);
    CHECK(comes_back(t, all, sizeof all));
    free(ids);
    lithe_tokenizer_close(t);
}

static void alphabet(void)
{
    bool seen[0x144] = { false };
    for (int i = 0; i < 256; i++) {
        int32_t c = alphabet_character((unsigned char)i);
        CHECK(c >= 33 && c < 0x144 && !seen[c] && alphabet_byte(c) == i);
        seen[c] = true;
    }
    CHECK(alphabet_character(' ') == 0x120 && alphabet_character('\n') == 0x10a && alphabet_byte(' ') == -1 && alphabet_byte(0x144) == -1);
}

/* Any bytes come back, and decoding concatenates. */
static void any_bytes_come_back(void)
{
    lithe_tokenizer *t = opened(test_data("tokenizers/gpt2"));
    char text[3000];
    for (uint64_t k = 0; k < 200; k++) {
        size_t len = random_text(text, sizeof text, k), n, a, b, c;
        if (k % 4 == 0) for (size_t i = 0; i < len; i++) text[i] = (char)random_u64(k, i);
        CHECK(comes_back(t, text, len));
        int32_t *ids = ids_of(t, text, len, 0, &n);
        char *whole = text_of(t, ids, n, &a), *left = text_of(t, ids, n / 3, &b), *right = text_of(t, ids + n / 3, n - n / 3, &c);
        CHECK(a == b + c && !memcmp(whole, left, b) && !memcmp(whole + b, right, c));
        free(ids); free(whole); free(left); free(right);
    }
    lithe_tokenizer_close(t);
}

static void measuring_and_cutting(void)
{
    lithe_tokenizer *t = opened("bytes");
    int32_t ids[4] = { -5, -5, -5, -5 };
    char text[4] = "zzz";
    CHECK(lithe_encode(t, "abcdef", 6, 0, ids, 3) == 6 && ids[2] == 'c' && ids[3] == -5);
    CHECK(lithe_decode(t, ids, 3, text, 2) == 3 && !memcmp(text, "abz", 3));
    CHECK(lithe_encode(t, NULL, 0, 1, NULL, 0) == 0 && lithe_decode(t, NULL, 0, NULL, 0) == 0);
    CHECK(lithe_encode(NULL, "a", 1, 0, ids, 4) == 0 && lithe_decode(NULL, ids, 1, text, 4) == 0);
    CHECK(lithe_decode(t, (int32_t[]){ -1, 256, INT32_MAX, INT32_MIN, 'x' }, 5, text, 4) == 1 && text[0] == 'x');
    lithe_error err = { .status = LITHE_EIO };
    CHECK(!lithe_tokenizer_open("bytes", &err) && !lithe_tokenizer_train("", 0, 300, &err) && lithe_tokenizer_save(t, "x", &err) == LITHE_EIO);
    lithe_tokenizer_close(t);
    lithe_tokenizer_close(NULL);
}

/* ---- components of tokenizer.json --------------------------------------------------------------- */

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"

/* A tokenizer.json whose first ids are the bytes; merges as JSON, `rest` more members. */
static lithe_tokenizer *build(const char *pre_tokenizer, const char *more_vocab, const char *merges, const char *model, const char *rest, lithe_error *err)
{
    char vocab[8000], *json = NULL;
    size_t n = 0;
    for (int i = 0; i < 256; i++) {
        char name[8] = { 0 };
        utf8_put(alphabet_character((unsigned char)i), name);
        bool escape = i == '"' || i == '\\';
        n += (size_t)snprintf(vocab + n, sizeof vocab - n, "%s\"%s%s\":%d", i ? "," : "", escape ? "\\" : "", name, i);
    }
    int len = asprintf(&json, "{\"version\":\"1.0\",\"pre_tokenizer\":%s,\"model\":{\"type\":\"BPE\",\"vocab\":{%s%s},\"merges\":%s%s}%s}",
                       pre_tokenizer, vocab, more_vocab, merges, model, rest);
    lithe_tokenizer *t = tokenizer_from_json(json, (size_t)len, "test.json", err);
    free(json);
    return t;
}

typedef struct { char text[1000]; size_t n; } joined;

static void join(void *context, const char *text, size_t len)
{
    joined *j = context;
    j->n += (size_t)snprintf(j->text + j->n, sizeof j->text - j->n, "%s%.*s", j->n ? "|" : "", (int)len, text);
}

typedef struct { char *text; size_t n; } joined_long;

static void join_long(void *context, const char *text, size_t len)
{
    joined_long *j = context;
    memcpy(j->text + j->n, text, len);
    memcpy(j->text + j->n + len, "|", 2);
    j->n += len + 1;
}

static void check_split(const char *pre_tokenizer, const char *text, const char *expected)
{
    lithe_error err = { 0 };
    char *sequence = NULL;
    if (asprintf(&sequence, "{\"type\":\"Sequence\",\"pretokenizers\":[%s," BYTE_LEVEL "]}", pre_tokenizer) < 0) return;
    lithe_tokenizer *t = build(strstr(pre_tokenizer, "ByteLevel") ? pre_tokenizer : sequence, "", "[]", "", "", &err);
    CHECK_MSG(t, "%s", err.text);
    joined j = { 0 };
    if (t) split_text(t->split, t->n_split, text, strlen(text), join, &j);
    CHECK_MSG(!strcmp(j.text, expected), "%s of %s is %s", pre_tokenizer, text, j.text);
    lithe_tokenizer_close(t);
    free(sequence);
}

#define SPLIT(kind, pattern, behavior, invert) \
    "{\"type\":\"Split\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"behavior\":\"" behavior "\",\"invert\":" invert "}"

/* As Hugging Face's tokenizers 0.23 cuts them. */
static void splits(void)
{
    check_split(SPLIT("String", "-", "Isolated", "false"), "a-b--c", "a|-|b|-|-|c");
    check_split(SPLIT("String", "-", "Removed", "false"), "a-b--c", "a|b|c");
    check_split(SPLIT("String", "-", "MergedWithPrevious", "false"), "a-b--c", "a-|b-|-|c");
    check_split(SPLIT("String", "-", "MergedWithNext", "false"), "a-b--c", "a|-b|-|-c");
    check_split(SPLIT("String", "-", "Contiguous", "false"), "a-b--c", "a|-|b|--|c");
    check_split(SPLIT("String", "-", "Removed", "true"), "a-b--c", "-|-|-");
    check_split(SPLIT("Regex", "[^\\\\S ]+", "Isolated", "false"), "a \t\nb", "a |\t\n|b");
    check_split(SPLIT("Regex", "(?=[A-Z])", "Isolated", "false"), "oneTwoTHree", "one|Two|T|Hree");
    check_split(SPLIT("Regex", "\\\\w+|[^\\\\w\\\\s]+", "Isolated", "false"), "caf\u00e9 a\u0300b!? x", "caf\u00e9| |a\u0300b|!?| |x");
    check_split(SPLIT("Regex", "\\\\s+$", "Isolated", "false"), "a  \nb ", "a|  |\nb| ");
    check_split("{\"type\":\"Digits\",\"individual_digits\":true}", "ab12\u0967c", "ab|1|2|\u0967|c");
    check_split("{\"type\":\"Digits\",\"individual_digits\":false}", "ab12\u0967c", "ab|12\u0967|c");
    check_split("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}", "it's 12  x\n", " it|'s| 12| | x|\n");
    check_split("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}", " a", " a");
}

/* The hand-written scanner and PCRE2 cut alike. */
static void gpt2_pattern(void)
{
    lithe_error err = { 0 };
    pattern *p = pattern_new(SPLIT_GPT2_PATTERN, strlen(SPLIT_GPT2_PATTERN), false, "test", &err);
    CHECK_MSG(p, "%s", err.text);
    static const char *const ends[] = { "'s", "'ll", "'d", "'S", "' ", "  ", " ", "\r\n", "" };
    for (uint64_t k = 0; k < 3000; k++) {
        char raw[80], text[200];
        size_t n = random_text(raw, sizeof raw, k + 1000), len = 0;
        for (size_t i = 0, c; i < n; i += c) {              /* valid characters only: PCRE2 asks for them */
            int32_t ch;
            c = (size_t)utf8_next(raw + i, n - i, &ch);
            if (ch >= 0x10d00 && ch < 0x1f000) continue;   /* letters newer than one of the two libraries */
            if (ch >= 0) { memcpy(text + len, raw + i, c); len += c; }
            else len += (size_t)sprintf(text + len, "%s", ends[(unsigned char)raw[i] % 9]);
        }
        pattern_begin(p, len);
        for (size_t at = 0, start, end; at < len; at = end) {
            CHECK(pattern_find(p, text, len, at, &start, &end) && start == at);
            size_t ours = split_gpt2(text + at, len - at);
            CHECK_MSG(ours == end - at, "text %d at %zu: %zu, PCRE2 %zu", (int)k, at, ours, end - at);
            if (end <= at) break;
        }
    }
    pattern_free(p);
}

/* ids as text: a byte as itself, others as <id> */
static void check_ids(lithe_tokenizer *t, const char *text, int special, const char *expected)
{
    size_t n, k = 0;
    int32_t *ids = ids_of(t, text, strlen(text), special, &n);
    char shown[1000] = "";
    for (size_t i = 0; i < n; i++)
        k += (size_t)(ids[i] < 256 ? snprintf(shown + k, sizeof shown - k, "%c", ids[i]) : snprintf(shown + k, sizeof shown - k, "<%d>", (int)ids[i]));
    CHECK_MSG(!strcmp(shown, expected), "%s gives %s, not %s", text, shown, expected);
    free(ids);
}

#define ADDED(id, text, flags) "{\"id\":" #id ",\"content\":\"" text "\"" flags "}"

static void added_tokens_in_text(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = build(BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":["
        ADDED(256, "<m>", ",\"lstrip\":true,\"rstrip\":true,\"special\":true,\"normalized\":false") ","
        ADDED(257, "  ", ",\"normalized\":false") "," ADDED(258, "wor", ",\"single_word\":true,\"normalized\":false") ","
        ADDED(259, "world", ",\"normalized\":false") "," ADDED(260, "\u0144", ",\"normalized\":true") "],\"normalizer\":{\"type\":\"NFC\"}", &err);
    CHECK_MSG(t, "%s", err.text);
    check_ids(t, "a  <m>   b", 0, "a<257><256><257> b");
    check_ids(t, "a   b<m>   <m>", 0, "a<257> b<256><257><256>");
    check_ids(t, "a <m>\t <m>b", 0, "a<256><256>b");
    check_ids(t, "wor world worx wor.", 0, "<258> <259> worx <258>.");
    check_ids(t, "xn\u0301y\u0144", 0, "x<260>y<260>");
    CHECK(lithe_tokenizer_vocab(t) == 261);
    CHECK(comes_back(t, "wor \u0144 <", 8));
    lithe_tokenizer_close(t);
}

static void templates(void)
{
    static const char *const post[] = {
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[A]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"[B]\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"[A]\":{\"id\":\"[A]\",\"ids\":[256],\"tokens\":[\"[A]\"]},"
        "\"[B]\":{\"id\":\"[B]\",\"ids\":[257],\"tokens\":[\"[B]\"]}}}",
        "{\"type\":\"RobertaProcessing\",\"sep\":[\"[B]\",257],\"cls\":[\"[A]\",256],\"trim_offsets\":true,\"add_prefix_space\":false}",
        "{\"type\":\"BertProcessing\",\"sep\":[\"[B]\",257],\"cls\":[\"[A]\",256]}" };
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        char rest[2000];
        snprintf(rest, sizeof rest, ",\"added_tokens\":[" ADDED(256, "[A]", ",\"special\":true") "," ADDED(257, "[B]", ",\"special\":true") "],"
                 "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},%s]}", post[i]);
        lithe_tokenizer *t = build(BYTE_LEVEL, "", "[]", "", rest, &err);
        CHECK_MSG(t, "%s", err.text);
        check_ids(t, "hi", 1, "<256>hi<257>");
        check_ids(t, "h[B]i", 0, "h<257>i");
        check_ids(t, "", 1, "<256><257>");
        lithe_tokenizer_close(t);
    }
}

#define MERGED ",\"ab\":256,\"abc\":257,\"\u0120a\":258,\"bc\":259,\"xyz\":260,\"a b\":261"

static void merges_of_both_forms(void)
{
    lithe_error err = { 0 };
    static const char *const forms[] = { "[\"b c\",\"a b\",\"ab c\",\"\u0120 a\"]", "[[\"b\",\"c\"],[\"a\",\"b\"],[\"ab\",\"c\"],[\"\u0120\",\"a\"]]" };
    for (int i = 0; i < 2; i++) {
        lithe_tokenizer *t = build(BYTE_LEVEL, MERGED, forms[i], "", "", &err);
        CHECK_MSG(t, "%s", err.text);
        check_ids(t, "abc ab xyz", 0, "a<259> <256> xyz");
        lithe_tokenizer_close(t);
    }
    lithe_tokenizer *t = build(BYTE_LEVEL, MERGED, forms[0], ",\"ignore_merges\":true", "", &err);
    check_ids(t, "xyz", 0, "<260>");
    check_ids(t, "a b", 0, "a b");                          /* a token with a raw space is found nowhere */
    check_ids(t, "xyzz", 0, "xyzz");
    lithe_tokenizer_close(t);
}

static char *normal(normal_kind kind, const char *text, size_t len, size_t *n)
{
    const normal_step step = { .kind = kind };
    char *form = normalize(&step, 1, text, len, n);
    if (form != text) return form;
    form = malloc(len + 1);
    memcpy(form, text, len);
    return form;
}

static void check_normal(normal_kind kind, const char *text, const char *expected)
{
    size_t n;
    char *form = normal(kind, text, strlen(text), &n);
    CHECK_MSG(n == strlen(expected) && !memcmp(form, expected, n), "%s becomes %.*s", text, (int)n, form);
    free(form);
}

static void normal_forms(void)
{
    check_normal(NORMAL_NFC, "plain", "plain");
    check_normal(NORMAL_NFC, "e\u0301 \u212b \u1100\u1161\u11a8", "\u00e9 \u00c5 \uac01");
    check_normal(NORMAL_NFD, "\u00e9\uac01x", "e\u0301\u1100\u1161\u11a8x");
    check_normal(NORMAL_NFKC, "\ufb01\u00b2 e\u0301", "fi2 \u00e9");
    check_normal(NORMAL_NFKD, "\u00e9\u2167", "e\u0301VIII");
    check_normal(NORMAL_NFC, "q\u0307\u0323", "q\u0323\u0307");
    check_normal(NORMAL_NFC, "\xff" "e\u0301\xc3(\u00e9\xe2\x82", "\xff\u00e9\xc3(\u00e9\xe2\x82");
    char *marks = malloc(1 << 20);                          /* canonical ordering is quadratic in a run of marks */
    for (size_t i = 0; i + 4 <= 1 << 20; i += 4) memcpy(marks + i, "\u0301\u0323", 4);
    size_t n;
    double start = seconds();
    free(normal(NORMAL_NFC, marks, 1 << 20, &n));
    CHECK(n > 0 && seconds() - start < 5);
    free(marks);
}

/* ---- merging ------------------------------------------------------------------------------------- */

/* The definition: the lowest rank, the leftmost of equals, by looking at everything. */
static size_t naive_merge(const bpe *b, int32_t *ids, size_t n)
{
    for (;;) {
        const merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            const merge *m = bpe_find_merge(b, ids[i], ids[i + 1]);
            if (m && (!best || m->rank < best->rank)) { best = m; at = i; }
        }
        if (!best) return n;
        ids[at] = best->id;
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
    }
}

static void merging_is_the_definition(void)
{
    lithe_tokenizer *t = opened(test_data("tokenizers/gpt2"));
    for (uint64_t k = 0; k < 300; k++) {
        char word[600];
        int32_t ours[600], naive[600];
        size_t len = 1 + random_u64(k, 0) % (k % 3 ? 70 : 599);
        for (size_t i = 0; i < len; i++) word[i] = (char)('a' + random_u64(k, i + 1) % (k % 2 ? 3 : 20));
        for (size_t i = 0; i < len; i++) naive[i] = t->bpe.byte_id[(unsigned char)word[i]];
        id_sink sink = { ours, 0, 600 };
        for (int again = 0; again < 2; again++) {           /* the second time from the cache */
            sink.n = 0;
            bpe_encode(&t->bpe, word, len, &sink);
        }
        size_t n = naive_merge(&t->bpe, naive, len);
        CHECK(n == sink.n && !memcmp(ours, naive, n * sizeof *ours));
    }
    lithe_tokenizer_close(t);
}

/* Quadratic work would take minutes. */
static void long_without_spaces(void)
{
    lithe_tokenizer *t[2] = { opened(test_data("tokenizers/gpt2")), opened(test_data(llama2c_files[0])) };
    size_t len = (size_t)1 << 18, n;
    char *text = malloc(len);
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < len; i++)
            text[i] = kind == 0 ? 'x' : kind == 1 ? (char)('a' + random_u64(7, i) % 26) : kind == 2 ? ' ' : "ab"[i & 1];
        for (int k = 0; k < 2; k++) {
            double start = seconds();
            free(ids_of(t[k], text, len, 0, &n));           /* twice through it */
            CHECK_MSG(seconds() - start < 10, "%.1f s", seconds() - start);
        }
        CHECK(comes_back(t[0], text, len));
    }
    free(text);
    lithe_tokenizer_close(t[0]);
    lithe_tokenizer_close(t[1]);
}

/* ---- hostile files --------------------------------------------------------------------------------- */

typedef struct { const char *pre_tokenizer, *vocab, *merges, *model, *rest, *complaint; } refusal;

static const refusal refusals[] = {
    { BYTE_LEVEL, ",\"ab\":255", "[]", "", "", "which another token has" },
    { BYTE_LEVEL, ",\"a\":256", "[]", "", "", "duplicate" },
    { BYTE_LEVEL, ",\"ab\":-1", "[]", "", "", "id -1" },
    { BYTE_LEVEL, ",\"ab\":4194304", "[]", "", "", "id 4194304" },
    { BYTE_LEVEL, ",\"ab\":99999999999999999999999", "[]", "", "", "too big integer" },
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
    { BYTE_LEVEL, "", "[]", ",\"end_of_word_suffix\":\"</w>\"", "", "end_of_word_suffix" },
    { "{\"type\":\"Metaspace\"}", "", "[]", "", "", "pre_tokenizer \"Metaspace\"" },
    { "{}", "", "[]", "", "", "pre_tokenizer \"without type\"" },
    { "null", "", "[]", "", "", "decoder" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTE_LEVEL ",{\"type\":\"Digits\"}]}", "", "[]", "", "", "behind ByteLevel" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "(", "Isolated", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "regular expression" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "[a&&b]", "Isolated", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "&&" },
    { "{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "a", "Sideways", "false") "," BYTE_LEVEL "]}", "", "[]", "", "", "Sideways" },
    { BYTE_LEVEL, "", "[]", "", ",\"normalizer\":{\"type\":\"BertNormalizer\"}", "normalizer \"BertNormalizer\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"decoder\":{\"type\":\"WordPiece\"}", "\"WordPiece\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"Odd\"}", "post_processor \"Odd\"" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",900],\"cls\":[\"x\",1]}", "id 900" },
    { BYTE_LEVEL, "", "[]", "", ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}", "0 times" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(97, "<x>", "") "]", "another token of the vocabulary" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "a", "") "]", "97 in the vocabulary" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "<x>", "") "," ADDED(300, "<y>", "") "]", "another token has" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(300, "<x>", "") "," ADDED(301, "<x>", "") "]", "twice" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[" ADDED(-3, "<x>", "") "]", "id -3" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":[{\"id\":300}]", "added_tokens[0]" },
    { BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":7", "added_tokens" },
};

static void refused_by_name(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *r = &refusals[i];
        lithe_error err = { 0 };
        lithe_tokenizer *t = build(r->pre_tokenizer, r->vocab, r->merges, r->model, r->rest, &err);
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

/* Every prefix is refused or opens; none does harm. */
static void cut_off_anywhere(void)
{
    const char *dir = test_dir();
    char *path = path_join(dir, "tokenizer.json");
    lithe_error err = { 0 };
    size_t size;
    lithe_tokenizer *bytes = opened("bytes");
    CHECK(!lithe_tokenizer_save(bytes, path, &err));
    lithe_tokenizer_close(bytes);
    char *json = file_read(path, 1 << 20, &size, &err);
    for (size_t n = 0; n + 2 < size; n++) {
        lithe_error e = { 0 };
        CHECK(!tokenizer_from_json(json, n, "cut.json", &e) && e.status == LITHE_EFORMAT);
    }
    free(json);
    char *binary = file_read(test_data(llama2c_files[0]), 1 << 20, &size, &err);
    int good = 0;
    for (size_t n = 0; n <= size; n++) {
        lithe_error e = { 0 };
        lithe_tokenizer *t = tokenizer_from_llama2c(binary, n, "cut.bin", &e);
        CHECK(t ? !e.status : e.status == LITHE_EFORMAT);
        if (t) CHECK(lithe_encode(t, "Once upon", 9, 1, NULL, 0) > 1);
        good += t != NULL;
        lithe_tokenizer_close(t);
    }
    CHECK(good == 512 - 3);                                 /* it has no count: a cut between pieces is not seen */
    for (uint64_t k = 0; k < 300; k++) {                    /* damage */
        lithe_error e = { 0 };
        char saved = binary[random_u64(9, k) % size];
        binary[random_u64(9, k) % size] = (char)random_u64(10, k);
        lithe_tokenizer *t = tokenizer_from_llama2c(binary, size, "damaged.bin", &e);
        if (t) free(ids_of(t, "Once upon a time", 16, 1, &(size_t){ 0 }));
        lithe_tokenizer_close(t);
        binary[random_u64(9, k) % size] = saved;
    }
    free(binary);
    free(path);
}

static void paths_that_hold_nothing(void)
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

/* Patterns that would run for ever, or in quadratic time, end; the text is all there. */
static void patterns_without_end(void)
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
        lithe_tokenizer *t = build(both, "", "[]", "", "", &err);
        CHECK_MSG(t, "%s", err.text);
        double start = seconds();
        lithe_encode(t, text, len, 0, NULL, 0);
        CHECK_MSG(seconds() - start < 10, "%s: %.1f s", patterns[i], seconds() - start);
        CHECK(comes_back(t, text, 5000));
        lithe_tokenizer_close(t);
    }
    free(text);
}

/* Matches longer than the window in which they are looked for first. */
static void long_matches(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = build("{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "\\\\s+(?!\\\\S)|\\\\p{L}+(?=1)|1", "Isolated", "false") "," BYTE_LEVEL "]}",
                               "", "[]", "", "", &err);
    CHECK_MSG(t, "%s", err.text);
    char text[20000];
    for (size_t n = 200; n < 9000; n = n * 5 / 4) {
        memset(text, '-', 700);
        memset(text + 700, 'a', n);
        memcpy(text + 700 + n, "1", 1);
        memset(text + 701 + n, ' ', n);
        text[701 + 2 * n] = 0;
        char shown[20100] = "", expected[20100] = "";
        joined_long j = { shown, 0 };
        split_text(t->split, t->n_split, text, 701 + 2 * n, join_long, &j);
        snprintf(expected, sizeof expected, "%.700s|%.*s|1|%.*s|", text, (int)n, text + 700, (int)n, text + 701 + n);
        CHECK_MSG(!strcmp(shown, expected), "%zu", n);
    }
    lithe_tokenizer_close(t);
}

/* ---- training ---------------------------------------------------------------------------------------- */

static char *some_text(size_t *len)
{
    char *text = malloc(*len = 60000);
    size_t n = 0;
    static const char *const syllables[] = { "the", "in", "to", "ra", "qu", "e", "s", "on", "\u00e9", "ab", "aba", "12" };
    for (uint64_t i = 0; n + 20 < *len; i++) {
        uint64_t r = random_u64(3, i), k = r % 12 * (r >> 8) % 12;
        n += (size_t)sprintf(text + n, "%s%s", syllables[k], r >> 20 & 1 ? "" : r >> 24 & 7 ? " " : ", ");
    }
    *len = n;
    return text;
}

/* The definition of training, counting everything again for each merge. */
static void naive_training(const char *text, size_t len, int vocab, int32_t (*pairs)[2], size_t *n_pairs)
{
    typedef struct { int32_t left, right; int64_t count; } tally;
    int32_t *ids = malloc((2 * len + 1) * sizeof *ids);
    size_t n = 0, used = 0;
    for (size_t at = 0, k; at < len; at += k) {
        k = split_gpt2(text + at, len - at);
        for (size_t i = 0; i < k; i++) ids[n++] = (unsigned char)text[at + i];
        ids[n++] = -1;
    }
    tally *table = calloc(1 << 16, sizeof *table);
    for (*n_pairs = 0; 256 + (int)*n_pairs < vocab; ++*n_pairs) {
        tally best = { 0 };
        memset(table, 0, sizeof *table << 16);
        for (size_t i = 0; i + 1 < n; i++) {
            if (ids[i] < 0 || ids[i + 1] < 0) continue;
            size_t s = (size_t)ids[i] * 31 + (size_t)ids[i + 1] * 769;
            for (s &= 65535; table[s].count && (table[s].left != ids[i] || table[s].right != ids[i + 1]); ) s = (s + 1) & 65535;
            table[s] = (tally){ ids[i], ids[i + 1], table[s].count + 1 };
        }
        for (size_t s = 0; s < 65536; s++) {
            const tally *x = &table[s];
            if (x->count > best.count || (x->count == best.count && x->count &&
                (x->left != best.left ? x->left < best.left : x->right < best.right))) best = *x;
        }
        pairs[*n_pairs][0] = best.left;
        pairs[*n_pairs][1] = best.right;
        used = 0;
        for (size_t i = 0; i < n; i++) {
            bool here = i + 1 < n && ids[i] == best.left && ids[i + 1] == best.right;
            ids[used++] = here ? 256 + (int32_t)*n_pairs : ids[i];
            i += here;
        }
        n = used;
    }
    free(table);
    free(ids);
}

static void training_is_the_definition(void)
{
    lithe_error err = { 0 };
    size_t len, n;
    char *text = some_text(&len);
    int32_t (*pairs)[2] = malloc(400 * sizeof *pairs);
    naive_training(text, len, 420, pairs, &n);
    lithe_tokenizer *t = lithe_tokenizer_train(text, len, 421, &err);
    CHECK_MSG(t, "%s", err.text);
    CHECK(t && lithe_tokenizer_vocab(t) == 421 && lithe_tokenizer_eos(t) == 420 && t->n_pairs == n && !memcmp(t->pairs, pairs, n * sizeof *pairs));
    lithe_tokenizer_close(t);
    free(pairs);
    free(text);
}

static void training_repeats_and_is_saved(void)
{
    lithe_error err = { 0 };
    size_t len, a, b;
    char *text = some_text(&len), *path[2] = { path_join(test_dir(), "tokenizer.json"), path_join(test_dir(), "again.json") };
    lithe_tokenizer *t[2];
    for (int i = 0; i < 2; i++) {
        t[i] = lithe_tokenizer_train(text, len, 500, &err);
        CHECK(!lithe_tokenizer_save(t[i], path[i], &err));
    }
    CHECK_MSG(!err.status, "%s", err.text);
    char *x = file_read(path[0], 1 << 20, &a, &err), *y = file_read(path[1], 1 << 20, &b, &err);
    CHECK(a == b && !memcmp(x, y, a));
    lithe_tokenizer *u = opened(test_dir());
    CHECK(lithe_tokenizer_vocab(u) == 500 && lithe_tokenizer_eos(u) == 499);
    CHECK(same_ids(t[0], u, text, len) && comes_back(u, text, len));
    size_t n = lithe_encode(u, text, len, 0, NULL, 0);
    CHECK_MSG(n * 5 < len * 2, "%zu tokens of %zu bytes", n, len);
    int32_t *ids = ids_of(u, "a<|endoftext|>b", 15, 0, &n);
    CHECK(n == 3 && ids[0] == 'a' && ids[1] == 499 && ids[2] == 'b');
    free(ids);
    for (int i = 0; i < 2; i++) { lithe_tokenizer_close(t[i]); free(path[i]); }
    lithe_tokenizer_close(u);
    free(x); free(y); free(text);
}

static void training_says_what_is_possible(void)
{
    lithe_error err = { 0 };
    CHECK(!lithe_tokenizer_train("aaaa bbbb bbbb", 14, 400, &err) && err.status == LITHE_EINVAL);
    int possible = 0;
    const char *says = strstr(err.text, "at most ");
    CHECK_MSG(says && sscanf(says, "at most %d", &possible) == 1 && possible > 257, "%s", err.text);
    err = (lithe_error){ 0 };
    lithe_tokenizer *t = lithe_tokenizer_train("aaaa bbbb bbbb", 14, possible, &err);
    CHECK(t && lithe_tokenizer_vocab(t) == possible);
    lithe_tokenizer_close(t);
    t = lithe_tokenizer_train("", 0, 257, &err);
    CHECK(t && lithe_tokenizer_vocab(t) == 257);
    lithe_tokenizer_close(t);
    CHECK(!lithe_tokenizer_train("abc", 3, 256, &err) && err.status == LITHE_EINVAL);
}

/* Texts that make places of pairs overlap, and one word that is all of the text. */
static void training_odd_texts(void)
{
    size_t len = (size_t)1 << 18;
    char *text = malloc(len);
    for (int kind = 0; kind < 4; kind++) {
        lithe_error err = { 0 };
        for (size_t i = 0; i < len; i++)
            text[i] = kind == 0 ? 'x' : kind == 1 ? "ab"[random_u64(5, i) & 1] : kind == 2 ? (char)random_u64(6, i) : (char)('a' + random_u64(8, i) % 26);
        double start = seconds();
        lithe_tokenizer *t = lithe_tokenizer_train(text, len, kind ? 600 : 260, &err);
        CHECK_MSG(t, "%s", err.text);
        CHECK_MSG(seconds() - start < 10, "%.1f s", seconds() - start);
        if (t) CHECK(comes_back(t, text, len));
        lithe_tokenizer_close(t);
    }
    free(text);
}

/* ---- speed -------------------------------------------------------------------------------------------- */

static void speed(void)
{
    lithe_error err = { 0 };
    size_t len;
    char *text = file_read(test_data("lm/novels/valid.txt"), (size_t)1 << 26, &len, &err);
    lithe_tokenizer *t = opened(test_data("tokenizers/gpt2"));
    int32_t *ids = malloc(len * sizeof *ids);
    double start = seconds();
    lithe_encode(t, text, len, 0, ids, len);
    double encoding = seconds() - start;
    start = seconds();
    lithe_tokenizer *u = lithe_tokenizer_train(text, len, 4096, &err);
    double training = seconds() - start;
    printf("        gpt2 encodes %.0f MB/s; 4096 tokens are learned from %.1f MB in %.2f s\n", (double)len / encoding * 1e-6,
           (double)len * 1e-6, training);
    CHECK(encoding < (double)len * 1e-6 && u && training < 5);
    lithe_tokenizer_close(t);
    lithe_tokenizer_close(u);
    free(ids);
    free(text);
}

const test tests_text[] = {
    { "text: byte alphabet", alphabet },
    { "text: bytes are ids", bytes_are_ids },
    { "text: measuring and cutting off", measuring_and_cutting },
    { "text: published cases, gpt2", cases_gpt2 },
    { "text: published cases, gpt-neox", cases_neox },
    { "text: published cases, roberta-base", cases_roberta },
    { "text: tokenizer_config.json", config_beside },
    { "text: llama2.c golden ids and text", llama2c_golden },
    { "text: saved and opened is the same", saved_is_same },
    { "text: any bytes come back", any_bytes_come_back },
    { "text: splits", splits },
    { "text: GPT-2 pattern against PCRE2", gpt2_pattern },
    { "text: added tokens", added_tokens_in_text },
    { "text: templates", templates },
    { "text: merges of both forms", merges_of_both_forms },
    { "text: normal forms", normal_forms },
    { "text: merging against its definition", merging_is_the_definition },
    { "text: long texts without spaces", long_without_spaces },
    { "text: refused by name", refused_by_name },
    { "text: cut off and damaged files", cut_off_anywhere },
    { "text: paths that hold nothing", paths_that_hold_nothing },
    { "text: patterns without end", patterns_without_end },
    { "text: long matches of patterns", long_matches },
    { "text: training against its definition", training_is_the_definition },
    { "text: training repeats and is saved", training_repeats_and_is_saved },
    { "text: training says what is possible", training_says_what_is_possible },
    { "text: training on odd texts", training_odd_texts },
    { "text: speed", speed },
    { 0 }
};
