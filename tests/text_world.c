/* RWKV's World vocabulary, and RoBERTa's two files. */
#include "text_tests.h"
#include "base/random.h"
#include <stdlib.h>

#define WORLD "tokenizers/rwkv/" WORLD_FILE

void text_world_cases(void)
{
    lithe_tokenizer *t = text_open(test_data(WORLD));
    CHECK(lithe_tokenizer_vocab(t) == 65530 && lithe_tokenizer_bos(t) == 0 && lithe_tokenizer_eos(t) == 0 && lithe_tokenizer_special(t, "mask") == -1);
    CHECK(lithe_tokenizer_is_special(t, 0) && !lithe_tokenizer_is_special(t, 1));
    text_check_cases("rwkv", t);
    int32_t ids[4];
    CHECK(lithe_encode(t, "\n\n", 2, 1, ids, 4) == 1 && ids[0] == 261);
    CHECK(lithe_decode(t, &(int32_t){ 0 }, 1, NULL, 0) == 0);
    lithe_tokenizer_close(t);
}

/* Every piece encodes to its own id, and ids 1 to 256 are the bytes 0 to 255. */
void text_world_pieces(void)
{
    lithe_tokenizer *t = text_open(test_data(WORLD));
    size_t longest = 0;
    for (int32_t id = 1; id < 65530; id++) {
        char bytes[200];
        size_t len = lithe_decode(t, &id, 1, bytes, sizeof bytes);
        int32_t again[2];
        CHECK(len && len <= sizeof bytes && lithe_encode(t, bytes, len, 0, again, 2) == 1 && again[0] == id);
        if (id <= 256) CHECK(len == 1 && (unsigned char)bytes[0] == id - 1);
        if (len > longest) longest = len;
    }
    CHECK(longest == 128);
    lithe_tokenizer_close(t);
}

/* A million random bytes, a million bytes of characters, and their speed. */
void text_world_round_trip(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = text_open(test_data(WORLD));
    size_t len = 1000000, size;
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++) text[i] = (char)random_u64(1, i);
    CHECK(text_comes_back(t, text, len));
    CHECK(text_comes_back(t, text, text_random(text, len, 5)));
    char *novel = file_read(test_data("lm/novels/valid.txt"), (size_t)1 << 26, &size, &err);
    int32_t *ids = malloc(size * sizeof *ids);
    double start = text_seconds();
    lithe_encode(t, novel, size, 0, ids, size);
    printf("        World encodes %.0f MB/s\n", (double)size / (text_seconds() - start) * 1e-6);
    free(text); free(novel); free(ids);
    lithe_tokenizer_close(t);
}

/* A vocabulary of the bytes as lines 1 .. 256, then `more`. */
static char *lines_of(const char *more, const char *end)
{
    char *lines = malloc(256 * 20 + strlen(more) + 1);
    size_t n = 0;
    for (int i = 0; i < 256; i++) n += (size_t)sprintf(lines + n, i < 128 ? "%d '\\x%02x' 1%s" : "%d b'\\x%02x' 1%s", i + 1, (unsigned)i, end);
    strcpy(lines + n, more);
    return lines;
}

static lithe_tokenizer *from_world(const char *more, const char *end, lithe_error *err)
{
    char *lines = lines_of(more, end);
    lithe_tokenizer *t = tokenizer_from_world(lines, strlen(lines), "world.txt", err);
    free(lines);
    return t;
}

void text_world_literals(void)
{
    static const struct { const char *line, *bytes; } good[] = {
        { "300 'a b' 3", "a b" }, { "300 ' ' 1 2", NULL }, { "300 '\\'' 1", NULL }, { "300 \"it's\" 4", "it's" }, { "300 '\\n\\r\\t\\\\' 4", "\n\r\t\\" },
        { "300 '\\xe9\\u4e2d' 5", "\u00e9\u4e2d" }, { "300 b'\\xe4\\xb8' 2", "\xe4\xb8" }, { "300 '\u00e9\u00e9' 4", "\u00e9\u00e9" }, { "300 b\"it's\" 4", "it's" },
        { "300 'ab' 3", NULL }, { "300 'ab' -2", NULL }, { "300 'ab'", NULL }, { "300 ab 2", NULL }, { "300 'ab\" 2", NULL }, { "300 '' 0", NULL },
        { "300 '\\ud800' 3", NULL }, { "300 '\\q' 1", NULL }, { "300 '\\x4' 1", NULL }, { "300 b'\u00e9' 2", NULL }, { "0 'ab' 2", NULL }, { "x 'ab' 2", NULL },
        { "300 'a'b' 3", NULL }, { "1 'ab' 2", NULL }, { "300 'a' 1", NULL }, { "9999999999 'ab' 2", NULL }, { "4194304 'ab' 2", NULL }, { "300 '\xff\xff' 2", NULL },
        { "300 ' 1", NULL }, { "300 b 1", NULL }, { "300  1", NULL }, { "300", NULL }, { "300 'ab\\' 3", NULL } };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = from_world(good[i].line, i % 2 ? "\n" : "\r\n", &err);
        CHECK_MSG(good[i].bytes ? t != NULL : !t && err.status == LITHE_EFORMAT && strstr(err.text, "world.txt"), "%s: %s", good[i].line, err.text);
        int32_t id = -1;
        if (t && good[i].bytes) CHECK(lithe_encode(t, good[i].bytes, strlen(good[i].bytes), 0, &id, 1) == 1 && id == 300 && lithe_tokenizer_vocab(t) == 301);
        lithe_tokenizer_close(t);
    }
    lithe_error err = { 0 };
    CHECK(!tokenizer_from_world("1 'a' 1\n", 8, "world.txt", &err) && strstr(err.text, "byte 0"));
}

/* It is found beside a model under its name, and saving writes the same file. */
void text_world_saved(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = text_open(test_data("tokenizers/rwkv")), *bytes = text_open("bytes");
    CHECK(!strcmp(lithe_tokenizer_file(t), WORLD_FILE) && !strcmp(lithe_tokenizer_file(bytes), "tokenizer.json"));
    char *path = path_join(test_dir(), lithe_tokenizer_file(t)), *found;
    size_t a, b;
    CHECK(!lithe_tokenizer_find(test_dir()) && !lithe_tokenizer_find(NULL));
    CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
    char *x = file_read(path, 1 << 22, &a, &err), *y = file_read(test_data(WORLD), 1 << 22, &b, &err);
    CHECK(a == b && !memcmp(x, y, a));
    CHECK((found = lithe_tokenizer_find(test_dir())) && !strcmp(found, path));
    lithe_tokenizer *u = text_open(test_dir());
    CHECK(text_same_ids(t, u, "In 2024 \u4e2d\u6587\n\n", 17));
    lithe_tokenizer_close(t); lithe_tokenizer_close(u); lithe_tokenizer_close(bytes);
    free(path); free(found); free(x); free(y);
}

/* ---- RoBERTa ------------------------------------------------------------------------------- */

/* <s> A </s></s> B </s>, all of one type; <mask> takes the space before it; saving keeps both. */
void text_roberta(void)
{
    lithe_error err = { 0 };
    char *path = path_join(test_dir(), "saved.json");
    lithe_tokenizer *t[2] = { text_open(text_roberta_dir(NULL)), NULL };
    CHECK_MSG(!lithe_tokenizer_save(t[0], path, &err), "%s", err.text);
    t[1] = text_open(path);
    for (int k = 0; k < 2; k++) {
        static const char *const roles[] = { "bos", "eos", "cls", "sep", "pad", "mask", "unk" };
        static const int32_t known[] = { 0, 2, 0, 2, 1, 50264, 3 }, pair[] = { 0, 31414, 232, 328, 2, 2, 30327, 116, 2 };
        for (int i = 0; i < 7; i++) CHECK_MSG(lithe_tokenizer_special(t[k], roles[i]) == known[i], "%s", roles[i]);
        int32_t ids[12], types[12];
        size_t n = lithe_encode_pair(t[k], "Hello world!", 12, "Really?", 7, 0, ids, types, 12);
        CHECK(n == 9 && !memcmp(ids, pair, sizeof pair));
        for (size_t i = 0; i < n; i++) CHECK(types[i] == 0);
        CHECK(lithe_encode(t[k], "Hello world!", 12, 1, ids, 12) == 5 && ids[0] == 0 && ids[4] == 2);
        CHECK(lithe_encode(t[k], "Hello <mask>", 12, 0, ids, 12) == 2 && ids[1] == 50264);
        CHECK(lithe_tokenizer_is_special(t[k], 50264) && !lithe_tokenizer_continues(t[k], 232) && lithe_tokenizer_continues(t[k], 31414));
        lithe_tokenizer_close(t[k]);
    }
    free(path);
}
