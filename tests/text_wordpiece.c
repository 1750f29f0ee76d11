/* WordPiece: published ids, the two forms of one vocabulary, pairs, roles. */
#include "text_tests.h"
#include "base/writer.h"
#include <stdlib.h>
#include <unistd.h>

static const lithe_tokenizer_options uncased = { .size = sizeof uncased, .lowercase = 1 }, cased = { .size = sizeof cased, .lowercase = -1 };

static lithe_tokenizer *open_vocab(const char *path, const lithe_tokenizer_options *o)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open_with(path, o, &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

static lithe_tokenizer *from_lines(const char *lines, bert_options how, lithe_error *err)
{
    return tokenizer_from_pieces(lines, strlen(lines), how, "vocab.txt", err);
}

void text_wordpiece_cases(void)
{
    lithe_tokenizer *t = text_open(test_data("tokenizers/bert-base-uncased/tokenizer.json"));
    CHECK(lithe_tokenizer_vocab(t) == 30522 && lithe_tokenizer_bos(t) == 101 && lithe_tokenizer_eos(t) == 102);
    text_check_cases("bert-base-uncased", t);
    lithe_tokenizer_close(t);
    t = open_vocab(test_data("tokenizers/bert-base-uncased/vocab.txt"), &uncased);
    text_check_cases("bert-base-uncased", t);
    lithe_tokenizer_close(t);
    t = open_vocab(test_data("tokenizers/bert-base-chinese"), &cased);  /* its model's tokenizer_config.json says so */
    CHECK(lithe_tokenizer_vocab(t) == 21128);
    text_check_cases("bert-base-chinese", t);
    lithe_tokenizer_close(t);
}

/* The ids of Hugging Face's tokenizers (0.20 and 0.22) with bert-base-uncased; they end with 0. */
typedef struct { const char *text; size_t len; int32_t ids[64]; } known;
#define KNOWN(text, ...) { text, sizeof text - 1, { __VA_ARGS__ } }
static const known table[] = {
    KNOWN("Hello, y'all! How are you \U0001F601 ?", 7592, 1010, 1061, 1005, 2035, 999, 2129, 2024, 2017, 100, 1029),
    KNOWN("New York-based (U.S.)", 2047, 2259, 1011, 2241, 1006, 1057, 1012, 1055, 1012, 1007),
    KNOWN("3.14e-10 1,000,000", 1017, 1012, 2403, 2063, 1011, 2184, 1015, 1010, 2199, 1010, 2199),
    KNOWN("C++ #hashtag @user", 1039, 1009, 1009, 1001, 23325, 15900, 1030, 5310),
    KNOWN("Crème brûlée", 13675, 21382, 7987, 9307, 2063),
    KNOWN("ŁÓDŹ Øre đ", 17814, 1100, 2890, 1102),
    KNOWN("北京2022", 1781, 1755, 16798, 2475),
    KNOWN("日本語テスト中文", 1864, 1876, 1950, 1713, 30233, 30240, 1746, 1861),
    KNOWN("€100 £5 ¥7", 1574, 18613, 27813, 1071, 2581),
    KNOWN("x²+y²", 1060, 10701, 1009, 1061, 10701),
    KNOWN("don’t “quote”", 2123, 1521, 1056, 1523, 14686, 1524),
    KNOWN("İstanbul ΣΑΣ", 9960, 1173, 14608, 29733),
    KNOWN("[MASK] is [mask] and x[SEP]y", 103, 2003, 1031, 7308, 1033, 1998, 1060, 102, 1061),
    KNOWN("##ing ing", 1001, 1001, 13749, 13749),
    KNOWN("a\0b\uFFFDc\u200Bd\u00ADe\u200Df", 5925, 3207, 2546),
    KNOWN("a\xc2\x85" "b", 11113), KNOWN("a\uE000b", 11113), KNOWN("a\U000F0000b", 11113), KNOWN("a\xff" "b\xe2\x82", 11113),
    KNOWN("a\u2028b", 1037, 1038), KNOWN("a\u1680b", 1037, 1038), KNOWN("a\u3000b", 1037, 1038),
    KNOWN("한국어", 1469, 30006, 30021, 29991, 30014, 30020, 29999, 30008),
    KNOWN("", 0), KNOWN(" \t\n", 0),
};

static size_t length_of(const int32_t *ids)
{
    size_t n = 0;
    while (ids[n]) n++;
    return n;
}

void text_wordpiece_table(void)
{
    lithe_tokenizer *t = open_vocab(test_data("tokenizers/bert-base-uncased/vocab.txt"), &uncased);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n, m = length_of(table[i].ids);
        int32_t *ids = text_ids(t, table[i].text, table[i].len, 0, &n);
        CHECK_MSG(n == m && !memcmp(ids, table[i].ids, n * sizeof *ids), "%s: %zu ids, expected %zu", table[i].text, n, m);
        free(ids);
    }
    char word[102];
    memset(word, 'a', sizeof word);
    CHECK(lithe_encode(t, word, 100, 0, NULL, 0) == 50 && lithe_encode(t, word, 101, 0, NULL, 0) == 1);
    CHECK(lithe_encode(t, "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë" "éèêë", 104, 0, NULL, 0) > 1);
    lithe_tokenizer_close(t);
}

/* The vocabulary as lines, as a tokenizer.json, and as we write it give the same ids and texts. */
void text_wordpiece_forms(void)
{
    lithe_error err = { 0 };
    char *saved = path_join(test_dir(), "tokenizer.json"), text[3000];
    lithe_tokenizer *t[3] = { open_vocab(test_data("tokenizers/bert-base-uncased/vocab.txt"), &uncased),
                              text_open(test_data("tokenizers/bert-base-uncased/tokenizer.json")), NULL };
    CHECK_MSG(!lithe_tokenizer_save(t[0], saved, &err), "%s", err.text);
    t[2] = text_open(saved);
    for (int k = 1; k < 3; k++) {
        CHECK(lithe_tokenizer_vocab(t[k]) == 30522);
        for (int32_t id = 0; id < 30522; id++) {
            size_t n, m;
            const char *a = pieces_bytes(&t[0]->vocabulary, id, &n), *b = pieces_bytes(&t[k]->vocabulary, id, &m);
            CHECK(n == m && !memcmp(a, b, n) && t[0]->flags[id] == t[k]->flags[id]);
        }
        for (uint64_t i = 0; i < 60; i++) {
            size_t len = text_random(text, sizeof text, i), n, a, b;
            CHECK(text_same_ids(t[0], t[k], text, len));
            int32_t *ids = text_ids(t[0], text, len, 1, &n);
            char *x = text_back(t[0], ids, n, &a), *y = text_back(t[k], ids, n, &b);
            CHECK(a == b && !memcmp(x, y, a));
            free(ids); free(x); free(y);
        }
    }
    for (int k = 0; k < 3; k++) lithe_tokenizer_close(t[k]);
    free(saved);
}

/* A vocab.txt beside a tokenizer_config.json; the caller's options win over the file. */
void text_wordpiece_config(void)
{
    lithe_error err = { 0 };
    char *vocab = path_join(test_dir(), "vocab.txt"), *config = path_join(test_dir(), "tokenizer_config.json");
    static const char lines[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nÉté\nété\nete\nEte\n中\n##中\n<p>\n";
    CHECK(!file_write(vocab, lines, sizeof lines - 1, &err));
    static const struct { const char *config; int lowercase; int32_t ids[3]; int32_t pad; } cases[] = {
        { NULL, 0, { 7, 9, 9 }, 0 }, { NULL, 1, { 7, 9, 9 }, 0 }, { NULL, -1, { 5, 9, 9 }, 0 },
        { "{\"do_lower_case\": true}", 0, { 7, 9, 9 }, 0 }, { "{\"do_lower_case\": true}", -1, { 5, 9, 9 }, 0 },
        { "{\"do_lower_case\": true, \"strip_accents\": false, \"pad_token\": \"<p>\"}", 0, { 6, 9, 9 }, 11 },
        { "{\"do_lower_case\": false, \"strip_accents\": true}", 0, { 8, 9, 9 }, 0 },
        { "{\"tokenize_chinese_chars\": false, \"strip_accents\": null}", 0, { 7, 9, 10 }, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].config) CHECK(!file_write(config, cases[i].config, strlen(cases[i].config), &err));
        lithe_tokenizer *t = open_vocab(i % 2 ? vocab : test_dir(), &LITHE_OPTIONS(lithe_tokenizer_options, .lowercase = cases[i].lowercase));
        size_t n;
        int32_t *ids = text_ids(t, "Été 中中", 12, 0, &n);
        CHECK_MSG(n == 3 && !memcmp(ids, cases[i].ids, sizeof cases[i].ids), "case %zu: %d %d", i, ids[0], ids[2]);
        CHECK(lithe_tokenizer_special(t, "pad") == cases[i].pad);
        free(ids);
        lithe_tokenizer_close(t);
    }
    free(vocab); free(config);
}

/* ---- pairs and roles ---------------------------------------------------------------------- */

typedef struct { const char *a, *b; size_t limit; int32_t ids[24]; int32_t second; } joined; /* second: ids of type 1 */

/* As Hugging Face's encode(a, b) with truncation "longest_first"; bert-base-uncased. */
static const joined joins[] = {
    { "I don't know. It's [MASK]!", "Really?", 0, { 101, 1045, 2123, 1005, 1056, 2113, 1012, 2009, 1005, 1055, 103, 999, 102, 2428, 1029, 102 }, 3 },
    { "one two three four five six", "seven eight nine", 9, { 101, 2028, 2048, 2093, 102, 2698, 2809, 3157, 102 }, 4 },
    { "one two three four five six", "seven eight nine", 12, { 101, 2028, 2048, 2093, 2176, 2274, 2416, 102, 2698, 2809, 3157, 102 }, 4 },
    { "one two", "three four five six seven eight", 9, { 101, 2028, 2048, 102, 2093, 2176, 2274, 2416, 102 }, 5 },
    { "one two three four", "five six seven eight nine", 8, { 101, 2028, 2048, 102, 2274, 2416, 2698, 102 }, 4 },
    { "one two three", NULL, 4, { 101, 2028, 2048, 102 }, 0 },
    { "one two three", "four", 3, { 101, 102, 102 }, 1 }, { "", "", 0, { 101, 102, 102 }, 1 }, { "", "x", 4, { 101, 102, 1060, 102 }, 2 },
};

static void check_join(const lithe_tokenizer *t, const joined *j)
{
    int32_t ids[24] = { 0 }, types[24] = { 0 }, again[24] = { 0 }, kinds[24], parts[2][24];
    size_t expected = length_of(j->ids), b_len = j->b ? strlen(j->b) : 0;
    size_t n = lithe_encode_pair(t, j->a, strlen(j->a), j->b, b_len, j->limit, ids, types, 24);
    CHECK_MSG(n == expected && !memcmp(ids, j->ids, n * sizeof *ids), "%s + %s: %zu", j->a, j->b ? j->b : "nothing", n);
    for (size_t i = 0; i < n; i++) CHECK(types[i] == (i + (size_t)j->second >= n));
    CHECK(lithe_encode_pair(t, j->a, strlen(j->a), j->b, b_len, j->limit, NULL, NULL, 0) == n);
    size_t a = lithe_encode(t, j->a, strlen(j->a), 0, parts[0], 24), b = j->b ? lithe_encode(t, j->b, b_len, 0, parts[1], 24) : 0;
    CHECK(lithe_join(t, parts[0], a, j->b ? parts[1] : NULL, b, j->limit, again, kinds, 24) == n);
    CHECK(!memcmp(ids, again, sizeof ids) && !memcmp(types, kinds, n * sizeof *types));
    int32_t few[4] = { -5, -5, -5, -5 }, kind[4] = { -5, -5, -5, -5 };
    CHECK(lithe_encode_pair(t, j->a, strlen(j->a), j->b, b_len, j->limit, few, kind, 2) == n && few[1] == ids[1] && few[2] == -5 && kind[2] == -5);
}

void text_pairs(void)
{
    lithe_tokenizer *t = open_vocab(test_data("tokenizers/bert-base-uncased/vocab.txt"), &uncased);
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) check_join(t, &joins[i]);
    const joined *first = &joins[0];                        /* without special tokens, as text */
    int32_t kept[24];
    size_t n = 0, len;
    for (size_t i = 0; i < length_of(first->ids); i++)
        if (!lithe_tokenizer_is_special(t, first->ids[i])) kept[n++] = first->ids[i];
    char *back = text_back(t, kept, n, &len);
    CHECK_MSG(!strcmp(back, "i don ' t know. it ' s! really?"), "%s", back);
    free(back);
    lithe_tokenizer_close(t);
    t = text_open("bytes");                                 /* no special tokens surround these */
    int32_t ids[4], types[4];
    CHECK(lithe_encode_pair(t, "ab", 2, "c", 1, 0, ids, types, 4) == 3 && ids[2] == 'c' && types[1] == 0 && types[2] == 1);
    CHECK(lithe_encode_pair(NULL, "ab", 2, "c", 1, 0, ids, types, 4) == 0);
    lithe_tokenizer_close(t);
}

void text_roles(void)
{
    static const char *const roles[] = { "bos", "eos", "cls", "sep", "pad", "mask", "unk", "pads", "ma", "" };
    static const struct { const char *path; int32_t id[10], special, begins, continues; } known_roles[] = {
        { "tokenizers/bert-base-uncased/vocab.txt", { 101, 102, 101, 102, 0, 103, 100, -1, -1, -1 }, 103, 2003, 2015 },
        { "tokenizers/gpt2", { 50256, 50256, 50256, 50256, -1, -1, -1, -1, -1, -1 }, 50256, 995, 31373 },
        { "checkpoints/stories260K/tok512.bin", { 1, 2, 1, 2, -1, -1, 0, -1, -1, -1 }, 0, 261, 260 } };
    for (size_t k = 0; k < 3; k++) {
        lithe_tokenizer *t = text_open(test_data(known_roles[k].path));
        for (int i = 0; i < 10; i++) CHECK_MSG(lithe_tokenizer_special(t, roles[i]) == known_roles[k].id[i], "%s %s", known_roles[k].path, roles[i]);
        CHECK(lithe_tokenizer_is_special(t, known_roles[k].special) && !lithe_tokenizer_continues(t, known_roles[k].special));
        CHECK(!lithe_tokenizer_is_special(t, known_roles[k].begins) && !lithe_tokenizer_continues(t, known_roles[k].begins));
        CHECK(!lithe_tokenizer_is_special(t, known_roles[k].continues) && lithe_tokenizer_continues(t, known_roles[k].continues));
        CHECK(!lithe_tokenizer_is_special(t, -1) && !lithe_tokenizer_continues(t, lithe_tokenizer_vocab(t)) && !lithe_tokenizer_is_special(NULL, 0));
        lithe_tokenizer_close(t);
    }
    CHECK(lithe_tokenizer_special(NULL, "cls") == -1);
}

/* ---- files ------------------------------------------------------------------------------------ */

void text_wordpiece_files(void)
{
    static const char *const good[] = { "[UNK]", "[UNK]\n", "a\n[UNK]\r\n##b\r\n", "\n\n[UNK]\n##\n", "[UNK]\na\na\n##a\n##a" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = from_lines(good[i], (bert_options){ .lower = true }, &err);
        CHECK_MSG(t, "%s", err.text);
        CHECK(text_same_ids(t, t, "a ab aab # ##b", 14));
        if (i == 2) CHECK(lithe_tokenizer_vocab(t) == 3 && lithe_encode(t, "ab", 2, 1, NULL, 0) == 2);
        if (i == 4) {                               /* of two equal lines the last is used, also in the saved file */
            int32_t ids[2];
            char *path = path_join(test_dir(), "tokenizer.json");
            CHECK(lithe_encode(t, "aa", 2, 0, ids, 2) == 2 && ids[0] == 2 && ids[1] == 4);
            CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
            lithe_tokenizer *u = text_open(path);
            CHECK(text_same_ids(t, u, "a aaa b", 7));
            lithe_tokenizer_close(u);
            free(path);
        }
        lithe_tokenizer_close(t);
    }
    static const struct { const char *lines, *complaint; } bad[] = {
        { "", "[UNK]" }, { "a\nb\n", "[UNK]" }, { "[UNK]\na\n\xff\n", "line 3" }, { "[UNK]\n\xc3\nb", "line 2" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        CHECK_MSG(!from_lines(bad[i].lines, (bert_options){ 0 }, &err) && err.status == LITHE_EFORMAT && strstr(err.text, bad[i].complaint), "%s", err.text);
    }
    size_t many = (size_t)PIECES_ID_LIMIT + 8;
    char *lines = malloc(many);
    memset(lines, '\n', many);
    lithe_error err = { 0 };
    CHECK(!tokenizer_from_pieces(lines, many, (bert_options){ 0 }, "vocab.txt", &err) && err.status == LITHE_EFORMAT);
    free(lines);
}

#define WORDPIECE(model, rest) "{\"model\":{\"vocab\":{\"[UNK]\":0,\"a\":1,\"##b\":2,\"b\":3,\"@b\":4}" model "}" rest "}"
#define TYPED ",\"type\":\"WordPiece\""

void text_wordpiece_json(void)
{
    static const struct { const char *json; int32_t ids[8]; const char *back; } good[] = {
        { WORDPIECE(TYPED ",\"unk_token\":\"[UNK]\"", ""), { 1, 2 }, "a ##b" },
        { WORDPIECE(",\"max_input_chars_per_word\":2", ",\"decoder\":{\"type\":\"WordPiece\"}"), { 1, 2 }, "ab" },
        { WORDPIECE(TYPED ",\"max_input_chars_per_word\":1", ""), { 0 }, "[UNK]" },
        { WORDPIECE(TYPED ",\"continuing_subword_prefix\":\"@\"", ",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"@\",\"cleanup\":false}"), { 1, 4 }, "ab" },
        { WORDPIECE(TYPED ",\"continuing_subword_prefix\":\"\"", ",\"pre_tokenizer\":{\"type\":\"Whitespace\"}"), { 1, 3 }, "a b" },
        { WORDPIECE(TYPED, ",\"normalizer\":{\"type\":\"Lowercase\"},\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}"), { 1, 2 }, "a ##b" } };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        lithe_error err = { 0 };
        size_t n, len, m = i == 2 ? 1 : 2;
        lithe_tokenizer *t = tokenizer_from_json(good[i].json, strlen(good[i].json), "test.json", &err);
        CHECK_MSG(t, "%s", err.text);
        int32_t *ids = text_ids(t, "ab", 2, 0, &n);
        char *back = text_back(t, ids, n, &len);
        CHECK_MSG(n == m && !memcmp(ids, good[i].ids, m * sizeof *ids) && !strcmp(back, good[i].back), "case %zu: %s", i, back);
        free(ids); free(back);
        lithe_tokenizer_close(t);
    }
    static const struct { const char *json, *complaint; } bad[] = {
        { WORDPIECE(TYPED ",\"unk_token\":\"nope\"", ""), "nope" }, { WORDPIECE(TYPED ",\"unk_token\":7", ""), "unk_token" },
        { WORDPIECE(TYPED ",\"max_input_chars_per_word\":-1", ""), "max_input_chars_per_word" },
        { WORDPIECE(TYPED ",\"max_input_chars_per_word\":\"1\"", ""), "max_input_chars_per_word" },
        { WORDPIECE(TYPED ",\"continuing_subword_prefix\":1", ""), "continuing_subword_prefix" },
        { WORDPIECE(TYPED, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}"), "ByteLevel" },
        { WORDPIECE(TYPED, ",\"decoder\":{\"type\":\"ByteLevel\"}"), "ByteLevel" },
        { WORDPIECE(",\"type\":\"WordLevel\"", ""), "unk_token \"<unk>\"" }, { WORDPIECE(",\"type\":\"Words\"", ""), "type \"Words\"" },
        { WORDPIECE(TYPED, ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}]}"), "second 1 times" },
        { WORDPIECE(TYPED, ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":-1}}]}"), "type_id -1" },
        { WORDPIECE(TYPED, ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"x\",-1],\"cls\":[\"x\",-2]}"), "cls or sep" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        CHECK_MSG(!tokenizer_from_json(bad[i].json, strlen(bad[i].json), "test.json", &err) && err.status == LITHE_EFORMAT && strstr(err.text, bad[i].complaint),
                  "%s: %s", bad[i].complaint, err.text);
    }
}

/* The tree finds what a scan of all pieces finds. */
void text_longest_piece(void)
{
    lithe_tokenizer *t = open_vocab(test_data("tokenizers/bert-base-uncased/vocab.txt"), &uncased);
    char text[200];
    for (uint64_t k = 0; k < 400; k++) {
        size_t len = text_random(text, sizeof text, k), found = 0;
        for (size_t at = 0; at < len; at++) {
            int32_t best = -1, id = trie_longest(&t->tree, 0, text + at, len - at, &found);
            size_t longest = 0;
            for (size_t n = 1; n <= len - at && n < 30; n++)
                if (pieces_find(&t->vocabulary, text + at, n) >= 0) { best = pieces_find(&t->vocabulary, text + at, n); longest = n; }
            CHECK(id == best && (id < 0 || found == longest));
        }
    }
    lithe_tokenizer_close(t);
}
