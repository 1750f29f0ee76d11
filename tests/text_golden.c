/* Every character of Unicode 8.0, and ten thousand generated strings, against hashes of
 * the ids of Hugging Face's tokenizers (tools/golden_text.py). */
#include "text_tests.h"
#include "base/random.h"
#include "base/utf8.h"
#include <stdlib.h>

enum { BLOCK = 4096, STRINGS = 10000, PART = 500, LONGEST = 40 * 8 };

static uint64_t fnv(uint64_t h, const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
    return h;
}

#define FNV_START 0xcbf29ce484222325u

static json_t *golden_text(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_file("tests/golden/text/bert.json"), 1 << 20, 8, &err);
    CHECK_MSG(golden, "%s", err.text);
    return golden;
}

/* The code points that the fixture names; malloc'd. */
static int32_t *assigned(const json_t *golden, size_t *n)
{
    const json_t *runs = json_object_get(golden, "assigned");
    int32_t *points = malloc(0x110000 * sizeof *points), at = 0;
    *n = 0;
    for (size_t i = 0; i + 1 < json_array_size(runs); i += 2) {
        at += (int32_t)json_integer_value(json_array_get(runs, i));
        for (int64_t k = json_integer_value(json_array_get(runs, i + 1)); k > 0; k--) points[(*n)++] = at++;
    }
    return points;
}

static void check_hash(const json_t *expected, size_t i, uint64_t h, const char *what)
{
    char shown[17];
    snprintf(shown, sizeof shown, "%016llx", (unsigned long long)h);
    CHECK_MSG(!strcmp(shown, json_string_value(json_array_get(expected, i))), "%s: part %zu", what, i);
}

static void hash_word(void *context, const char *text, size_t len)
{
    uint64_t *h = context;
    *h = fnv(fnv(*h, text, len), "", 1);
}

/* a?b through the steps, into h. */
static void hash_character(const lithe_tokenizer *t, int32_t c, uint64_t *h)
{
    char text[8] = "a";
    size_t k = (size_t)utf8_put(c, text + 1), n;
    text[1 + k] = 'b';
    char *form = normalize(t->normal, t->n_normal, text, k + 2, &n, NULL);
    split_text(t->split, t->n_split, form, n, true, hash_word, h, NULL);
    if (form != text) free(form);
}

void text_every_character(void)
{
    json_t *golden = golden_text();
    if (!golden) return;
    size_t n;
    int32_t *points = assigned(golden, &n);
    CHECK(n > 250000);
    for (int cased = 0; cased < 2; cased++) {
        lithe_error err = { 0 };
        const char *name = cased ? "cased" : "uncased";
        const json_t *expected = json_object_get(json_object_get(golden, "characters"), name);
        lithe_tokenizer *t = tokenizer_from_pieces("[UNK]", 5, (bert_options){ .lower = !cased, .marks = !cased, .spaced = true }, name, &err);
        CHECK(json_array_size(expected) == (n + BLOCK - 1) / BLOCK);
        for (size_t at = 0; at < n; at += BLOCK) {
            uint64_t h = FNV_START;
            for (size_t i = at; i < n && i < at + BLOCK; i++) hash_character(t, points[i], &h);
            check_hash(expected, at / BLOCK, h, name);
        }
        lithe_tokenizer_close(t);
    }
    free(points);
    json_decref(golden);
}

/* The k-th string, as tools/golden_text.py generates it; returns its length in bytes. */
static size_t made(const int32_t *points, size_t n, uint64_t k, char *text)
{
    static const char *const parts[] = { "[MASK]", "[SEP]", "<mask>", "'s", "##", "...", "\u2019t", "\u00e9" };
    size_t len = 0;
    for (uint64_t i = 0, count = 1 + random_u64(k, 0) % 40; i < count; i++) {
        uint64_t r = random_u64(k, 2 * i + 1), kind = random_u64(k, 2 * i + 2) % 16;
        int32_t c = kind < 6 ? 97 + (int32_t)(r % 26) : kind < 8 ? 32 + (int32_t)(r % 95) : kind < 10 ? ' ' : kind == 10 ? 0x300 + (int32_t)(r % 112)
                  : kind == 11 ? 0x4e00 + (int32_t)(r % 0x5000) : points[r % n];
        if (kind == 12) len += (size_t)sprintf(text + len, "%s", parts[r % 8]);
        else len += (size_t)utf8_put(c, text + len);
    }
    return len;
}

static void check_strings(const lithe_tokenizer *t, const json_t *golden, const int32_t *points, size_t n, const char *name)
{
    const json_t *expected = json_object_get(json_object_get(golden, "strings"), name);
    CHECK(json_array_size(expected) == STRINGS / PART);
    for (uint64_t at = 0; at < STRINGS; at += PART) {
        uint64_t h = FNV_START;
        for (uint64_t k = at; k < at + PART; k++) {
            char text[LONGEST];
            int32_t ids[4 * LONGEST];
            size_t len = made(points, n, k, text), m = lithe_encode(t, text, len, 0, ids, 4 * LONGEST - 1);
            CHECK(m < 4 * LONGEST);
            ids[m] = -1;
            h = fnv(h, ids, (m + 1) * sizeof *ids);
        }
        check_hash(expected, at / PART, h, name);
    }
}

void text_made_strings(void)
{
    json_t *golden = golden_text();
    if (!golden) return;
    size_t n;
    int32_t *points = assigned(golden, &n);
    lithe_tokenizer *t[] = { text_open(test_data("tokenizers/bert-base-uncased")), lithe_tokenizer_open_with(test_data("tokenizers/bert-base-chinese"), &LITHE_OPTIONS(lithe_tokenizer_options, .lowercase = -1), NULL),
                             text_open(text_roberta_dir(NULL)) };
    static const char *const names[] = { "bert-base-uncased", "bert-base-chinese", "roberta-base" };
    for (int i = 0; i < 3; i++) {
        check_strings(t[i], golden, points, n, names[i]);
        lithe_tokenizer_close(t[i]);
    }
    free(points);
    json_decref(golden);
}

static int by_bytes(const void *x, const void *y) { return strcmp(*(char *const *)x, *(char *const *)y); }

/* The tokens as the tokenizer.json names them, in order of their bytes. */
static uint64_t hash_tokens(const json_t *vocab)
{
    char **names = malloc(json_object_size(vocab) * sizeof *names);
    size_t n = 0;
    const char *name;
    json_t *id;
    uint64_t h = FNV_START;
    json_object_foreach((json_t *)(uintptr_t)vocab, name, id) names[n++] = strdup(name);
    qsort(names, n, sizeof *names, by_bytes);
    for (size_t i = 0; i < n; i++) {
        h = fnv(h, names[i], strlen(names[i]) + 1);
        free(names[i]);
    }
    free(names);
    return h;
}

static bool among(const json_t *hashes, uint64_t h)
{
    char shown[17];
    bool found = false;
    snprintf(shown, sizeof shown, "%016llx", (unsigned long long)h);
    for (size_t i = 0; i < json_array_size(hashes); i++) found |= !strcmp(shown, json_string_value(json_array_get(hashes, i)));
    return found;
}

/* Learning from Shakespeare gives what Hugging Face's trainers learn, for one of the ways in which they break ties. */
void text_learned_vocabularies(void)
{
    static const char *const kinds[] = { "wordpiece", "roberta" };
    json_t *golden = golden_text();
    if (!golden) return;
    lithe_error err = { 0 };
    size_t len;
    char *text = file_read(test_data("lm/tinyshakespeare/input.txt"), (size_t)1 << 24, &len, &err), *path = path_join(test_dir(), "tokenizer.json");
    for (int k = 0; k < 2; k++) {
        lithe_tokenizer *t = lithe_tokenizer_learn(text, len, 3000, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kinds[k], .lowercase = !k), &err);
        CHECK_MSG(t && !lithe_tokenizer_save(t, path, &err), "%s", err.text);
        json_t *file = json_read(path, (size_t)1 << 24, 16, &err);
        const json_t *vocab = json_object_get(json_object_get(file, "model"), "vocab");
        CHECK(json_object_size(vocab) == 3000 && among(json_object_get(json_object_get(golden, "learned"), kinds[k]), hash_tokens(vocab)));
        CHECK(json_object_get(vocab, k ? "\u0120the" : "the"));
        json_decref(file);
        lithe_tokenizer_close(t);
    }
    free(text);
    free(path);
    json_decref(golden);
}
