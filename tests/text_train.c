/* Learning a vocabulary: against its definition, twice, saved, on odd texts. */
#include "text_tests.h"
#include "base/random.h"
#include "text/pair_learner.h"
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

typedef struct { int32_t left, right; int64_t count; } tally;
enum { TALLIES = 1 << 16 };

/* The most frequent pair among ids, in which -1 separates the words; of equal ones the lowest. */
static tally most_frequent(const int32_t *ids, size_t n, tally *table)
{
    tally best = { 0 };
    memset(table, 0, sizeof *table * TALLIES);
    for (size_t i = 0; i + 1 < n; i++) {
        if (ids[i] < 0 || ids[i + 1] < 0) continue;
        size_t s = (size_t)ids[i] * 31 + (size_t)ids[i + 1] * 769;
        for (s %= TALLIES; table[s].count && (table[s].left != ids[i] || table[s].right != ids[i + 1]); ) s = (s + 1) % TALLIES;
        table[s] = (tally){ ids[i], ids[i + 1], table[s].count + 1 };
    }
    for (size_t s = 0; s < TALLIES; s++) {
        const tally *x = &table[s];
        if (x->count > best.count || (x->count == best.count && x->count &&
            (x->left != best.left ? x->left < best.left : x->right < best.right))) best = *x;
    }
    return best;
}

/* The definition of training, which counts everything again for each merge. */
static void naive_training(const char *text, size_t len, int vocab, int32_t (*pairs)[2], size_t *n_pairs)
{
    int32_t *ids = malloc((2 * len + 1) * sizeof *ids);
    size_t n = 0, used = 0;
    for (size_t at = 0, k; at < len; at += k) {
        k = split_gpt2(text + at, len - at);
        for (size_t i = 0; i < k; i++) ids[n++] = (unsigned char)text[at + i];
        ids[n++] = -1;
    }
    tally *table = calloc(TALLIES, sizeof *table);
    for (*n_pairs = 0; 256 + (int)*n_pairs < vocab; ++*n_pairs) {
        tally best = most_frequent(ids, n, table);
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

/* ---- WordPiece ------------------------------------------------------------------------------------------ */

static char *piece_of(const lithe_tokenizer *t, int32_t id, size_t *n)
{
    static char text[300];
    const char *bytes = pieces_bytes(&t->vocabulary, id, n);
    memcpy(text, bytes, *n);
    text[*n] = 0;
    return text;
}

/* The definition, by strings: characters, ## before all but the first of a word, then the most frequent pair, of equals
 * the one of lower ids, everything counted again each time. */
static int naive_wordpiece(const char *text, size_t len, int vocab, char (*names)[32])
{
    int32_t *ids = malloc((2 * len + 2) * sizeof *ids);
    size_t n = 0, at = 0;
    int known = 0;
    bool first[128] = { 0 }, inside[128] = { 0 };
    static const char *const specials[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    for (; known < 5; known++) strcpy(names[known], specials[known]);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ') continue;
        bool begins = !i || text[i - 1] == ' ' || text[i] == ',' || text[i - 1] == ',';
        first[(int)text[i]] = true;
        inside[(int)text[i]] |= !begins;
    }
    int id_of[2][128];
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < 128; c++)
            if (k ? inside[c] : first[c]) { snprintf(names[known], 32, k ? "##%c" : "%c", c); id_of[k][c] = known++; }
    for (; at < len; at++) {
        bool begins = !at || text[at - 1] == ' ' || text[at] == ',' || text[at - 1] == ',';
        if (begins || text[at] == ' ') ids[n++] = -1;
        if (text[at] != ' ') ids[n++] = id_of[!begins][(int)text[at]];
    }
    tally *table = calloc(TALLIES, sizeof *table);
    while (known < vocab) {
        tally best = most_frequent(ids, n, table);
        char joined[40];
        snprintf(joined, sizeof joined, "%s%s", names[best.left], names[best.right] + 2);
        int id = 5;
        while (id < known && strcmp(names[id], joined)) id++;
        if (id == known) snprintf(names[known++], 32, "%.31s", joined);
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
            bool here = i + 1 < n && ids[i] == best.left && ids[i + 1] == best.right;
            ids[used++] = here ? id : ids[i];
            i += here;
        }
        n = used;
    }
    free(table);
    free(ids);
    return known;
}

static char *ascii_text(size_t *len)
{
    char *text = malloc(20000);
    static const char *const syllables[] = { "the", "in", "to", "ra", "qu", "e", "s", "on", "ing", "ab", "aba", "er" };
    *len = 0;
    for (uint64_t i = 0; *len + 20 < 20000; i++) {
        uint64_t r = random_u64(4, i);
        *len += (size_t)sprintf(text + *len, "%s%s", syllables[r % 12 * (r >> 8) % 12], r >> 20 & 1 ? "" : r >> 24 & 7 ? " " : ",");
    }
    return text;
}

void text_train_wordpiece(void)
{
    lithe_error err = { 0 };
    size_t len, n;
    char *text = ascii_text(&len), (*names)[32] = malloc(400 * sizeof *names);
    int known = naive_wordpiece(text, len, 150, names);
    lithe_tokenizer *t = lithe_tokenizer_learn(text, len, 150, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "wordpiece"), &err);
    CHECK_MSG(t, "%s", err.text);
    CHECK(known == 150 && lithe_tokenizer_vocab(t) == 150);
    for (int32_t id = 0; t && id < known; id++) CHECK_MSG(!strcmp(piece_of(t, id, &n), names[id]), "%d: %s, expected %s", (int)id, piece_of(t, id, &n), names[id]);
    CHECK(lithe_tokenizer_special(t, "cls") == 2 && lithe_tokenizer_special(t, "mask") == 4 && lithe_tokenizer_special(t, "pad") == 0);
    int32_t ids[9];
    CHECK(lithe_encode(t, "[MASK]the", 9, 1, ids, 9) == 4 && ids[0] == 2 && ids[1] == 4 && ids[3] == 3);
    lithe_tokenizer_close(t);
    free(names);
    free(text);
}

/* Lower case, accents, characters that do not fit, special tokens in the text; saving keeps all of it. */
void text_train_wordpiece_text(void)
{
    lithe_error err = { 0 };
    static const char text[] = "\u00c9t\u00e9 \u00e9T\u00c9 ete [MASK]\u4e2d\u6587\u4e2d z\xff[SEP] ete ete x";
    char *path = path_join(test_dir(), "tokenizer.json");
    lithe_tokenizer *t[2] = { lithe_tokenizer_learn(text, sizeof text - 1, 14, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "wordpiece", .lowercase = 1), &err), NULL };
    CHECK_MSG(t[0] && !lithe_tokenizer_save(t[0], path, &err), "%s", err.text);
    t[1] = text_open(path);
    static const char *const pieces_known[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "e", "t", "x", "z", "\u4e2d", "\u6587", "##e", "##t", "et" };
    for (int k = 0; k < 2; k++) {
        size_t n;
        for (int32_t id = 0; id < 14; id++) CHECK_MSG(!strcmp(piece_of(t[k], id, &n), pieces_known[id]), "%d: %s", (int)id, piece_of(t[k], id, &n));
        int32_t ids[6];
        CHECK(lithe_encode(t[k], "\u00c9T\u00c9 y", 8, 0, ids, 6) == 3 && ids[0] == 13 && ids[1] == 11 && ids[2] == 1);
        lithe_tokenizer_close(t[k]);
    }
    lithe_tokenizer *few = lithe_tokenizer_learn(text, sizeof text - 1, 9, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "wordpiece", .lowercase = 1), &err);
    size_t n;
    /* The most frequent. */
    CHECK_MSG(few && !strcmp(piece_of(few, 5, &n), "e") && !strcmp(piece_of(few, 6, &n), "t"), "%s", err.text);
    lithe_tokenizer_close(few);
    free(path);
}

static size_t letters_of(void *context, const counted_word *w, int32_t *symbols)
{
    (void)context;
    for (size_t i = 0; i < w->len; i++) symbols[i] = w->text[i];
    return w->len;
}

/* Counts beyond 32 bits. */
void text_train_counts(void)
{
    counted_word words[] = { { "ef", 2, 5 }, { "ab", 2, (int64_t)3 << 32 }, { "cd", 2, ((int64_t)3 << 32) + 1 }, { "xab", 3, (int64_t)1 << 33 } };
    word_counts w = { .words = words, .n = 4, .bytes = 9 };
    pair_learner l = { 0 };
    CHECK(pair_learner_begin(&l, &w, letters_of, NULL));
    static const char *const order[] = { "ab", "cd", "x?", "ef" };
    for (int i = 0; i < 4; i++) {
        uint32_t best = pair_learner_best(&l);
        CHECK(best != NO_PAIR);
        if (best == NO_PAIR) break;
        CHECK_MSG(l.pairs[best].left == order[i][0] && (i == 2 || l.pairs[best].right == order[i][1]), "%d: %c", i, (char)l.pairs[best].left);
        pair_learner_merge(&l, best, 200 + i);
    }
    CHECK(pair_learner_best(&l) == NO_PAIR);
    pair_learner_free(&l);
}

void text_train_kinds(void)
{
    lithe_error err = { 0 };
    size_t len;
    char *text = some_text(&len);
    lithe_tokenizer *plain = lithe_tokenizer_train(text, len, 400, &err), *t = lithe_tokenizer_learn(text, len, 404, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "roberta"), &err);
    CHECK_MSG(t, "%s", err.text);
    CHECK(t->n_pairs == plain->n_pairs && text_comes_back(t, text, len));       /* the same merges, five ids higher */
    for (size_t i = 0; i < t->n_pairs; i++) CHECK(t->pairs[i][0] == plain->pairs[i][0] + 5 && t->pairs[i][1] == plain->pairs[i][1] + 5);
    static const char *const roles[] = { "bos", "pad", "eos", "unk", "mask" };
    for (int32_t i = 0; i < 5; i++) CHECK_MSG(lithe_tokenizer_special(t, roles[i]) == i && lithe_tokenizer_is_special(t, i), "%s", roles[i]);
    int32_t ids[9];
    CHECK(lithe_encode_pair(t, "z", 1, "y <mask>", 8, 0, ids, NULL, 9) == 7 && ids[2] == 2 && ids[3] == 2 && ids[5] == 4 && ids[6] == 2);
    char *path = path_join(test_dir(), "tokenizer.json");
    CHECK(!lithe_tokenizer_save(t, path, &err));
    lithe_tokenizer *u = text_open(path);
    CHECK(text_same_ids(t, u, text, len) && text_same_ids(t, u, "a <mask> b</s>", 14));
    static const char *const kinds[] = { "bpe", "roberta", "wordpiece", "unigram" };
    for (int i = 0; i < 4; i++) {
        err = (lithe_error){ 0 };
        CHECK(!lithe_tokenizer_learn(text, len, i == 2 ? 5 : 256, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kinds[i]), &err) && err.status == LITHE_EINVAL);
    }
    err = (lithe_error){ 0 };
    CHECK(!lithe_tokenizer_learn("a b", 3, 9, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "wordpiece"), &err) && strstr(err.text, "at most 7"));
    lithe_tokenizer_close(plain); lithe_tokenizer_close(t); lithe_tokenizer_close(u);
    free(text); free(path);
}

static bool has_token(const lithe_tokenizer *t, const char *text) { return pieces_find(&t->vocabulary, text, strlen(text)) >= 0; }

/* The ids of a text as it is saved for a model of this type and opened again. */
static void check_saved(const lithe_tokenizer *t, const char *type, const char *text, size_t len)
{
    lithe_error err = { 0 };
    char *dir = path_join(test_dir(), type), *config = dir ? path_join(dir, "config.json") : NULL, said[64];
    const int n = snprintf(said, sizeof said, "{\"model_type\":\"%s\"}", type);
    CHECK_MSG(!dir_make(dir, &err) && !file_write(config, said, (size_t)n, &err), "%s", err.text);
    CHECK_MSG(!tokenizer_save_for_model(t, dir, (tokenizer_user){ .type = type }, &err), "%s", err.text);
    lithe_tokenizer *again = text_open(dir);
    CHECK_MSG(text_same_ids(t, again, text, len), "%s", type);
    lithe_tokenizer_close(again);
    dir_remove(dir, &err);
    free(dir); free(config);
}

/* Qwen2's pattern joins no digits, takes one character with a word, and comes after NFC.  A vocabulary of another
 * pattern keeps it, even where the model's type would decide. */
void text_train_qwen2(void)
{
    static const char text[] = "x 12 12 12 12 12 12 12e\xcc\x81 \xc3\xa9 e\xcc\x81 \xc3\xa9-ab-ab-ab-ab-ab", end[] = "<|endoftext|>";
    lithe_error err = { 0 };
    lithe_tokenizer *plain = lithe_tokenizer_train(text, sizeof text - 1, 260, &err), *t = lithe_tokenizer_learn(text, sizeof text - 1, 260, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = "qwen2"), &err);
    CHECK_MSG(t && plain, "%s", err.text);
    if (!t || !plain) return;
    CHECK(has_token(plain, " 12") && !has_token(plain, "-ab") && !has_token(plain, "\xc3\xa9"));
    CHECK(!has_token(t, "12") && !has_token(t, " 1") && has_token(t, "-ab") && has_token(t, "\xc3\xa9") && lithe_tokenizer_special(t, "eos") == 259);
    CHECK(tokenizer_id(t, end, sizeof end - 1) == 259);
    for (int i = 0; i < 3; i++) {
        static const char *const types[] = { "qwen2", "qwen3", "llama" };
        check_saved(t, types[i], text, sizeof text - 1);
        check_saved(plain, types[i], text, sizeof text - 1);
    }
    lithe_tokenizer_close(t); lithe_tokenizer_close(plain);
}

/* Texts in which pairs overlap, and a text that is a single word. */
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

