/* Learning a vocabulary: against its definition, again, saved, on odd texts. */
#include "text_tests.h"
#include "base/random.h"
#include <stdlib.h>

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

void text_train_definition(void)
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

void text_train_saved(void)
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
    lithe_tokenizer *u = text_open(test_dir());
    CHECK(lithe_tokenizer_vocab(u) == 500 && lithe_tokenizer_eos(u) == 499);
    CHECK(text_same_ids(t[0], u, text, len) && text_comes_back(u, text, len));
    size_t n = lithe_encode(u, text, len, 0, NULL, 0);
    CHECK_MSG(n * 5 < len * 2, "%zu tokens of %zu bytes", n, len);
    int32_t *ids = text_ids(u, "a<|endoftext|>b", 15, 0, &n);
    CHECK(n == 3 && ids[0] == 'a' && ids[1] == 499 && ids[2] == 'b');
    free(ids);
    for (int i = 0; i < 2; i++) { lithe_tokenizer_close(t[i]); free(path[i]); }
    lithe_tokenizer_close(u);
    free(x); free(y); free(text);
}

void text_train_possible(void)
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
void text_train_odd(void)
{
    size_t len = (size_t)1 << 18;
    char *text = malloc(len);
    for (int kind = 0; kind < 4; kind++) {
        lithe_error err = { 0 };
        for (size_t i = 0; i < len; i++)
            text[i] = kind == 0 ? 'x' : kind == 1 ? "ab"[random_u64(5, i) & 1] : kind == 2 ? (char)random_u64(6, i) : (char)('a' + random_u64(8, i) % 26);
        double start = text_seconds();
        lithe_tokenizer *t = lithe_tokenizer_train(text, len, kind ? 600 : 260, &err);
        CHECK_MSG(t, "%s", err.text);
        CHECK_MSG(text_seconds() - start < 10, "%.1f s", text_seconds() - start);
        if (t) CHECK(text_comes_back(t, text, len));
        lithe_tokenizer_close(t);
    }
    free(text);
}

