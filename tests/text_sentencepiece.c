/* SentencePiece models: published ids and texts, Viterbi against its definition,
 * the character map, hostile files. */
#include "text_tests.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>

static const struct { const char *name, *path; int vocab; int32_t bos, eos, pad, unknown; } models[] = {
    { "t5", "tokenizers/t5/spiece.model", 32000, -1, 1, 0, 2 },
    { "mistral", "tokenizers/mistral/tokenizer.model", 32000, 1, 2, -1, 0 },
    { "unigram1000", "tokenizers/sentencepiece-test/unigram1000.model", 1000, 1, 2, -1, 0 },
    { "tok105", "checkpoints/babyllama-tok105/tok105.model", 105, 1, 2, -1, 0 },
};
enum { MODELS = sizeof models / sizeof *models };

void text_sentencepiece_cases(void)
{
    for (int i = 0; i < MODELS; i++) {
        lithe_tokenizer *t = text_open(test_data(models[i].path));
        CHECK(lithe_tokenizer_vocab(t) == models[i].vocab && lithe_tokenizer_bos(t) == models[i].bos && lithe_tokenizer_eos(t) == models[i].eos);
        CHECK(lithe_tokenizer_special(t, "pad") == models[i].pad && lithe_tokenizer_special(t, "unk") == models[i].unknown);
        text_check_cases(models[i].name, t);
        lithe_tokenizer_close(t);
    }
}

/* ---- the best path, by its definition ----------------------------------------------------- */

/* The best sum of scores over all ways to split text into pieces and single unknown characters, in double. */
static double best_sum(const lithe_tokenizer *t, const char *text, size_t len)
{
    double *best = malloc((len + 1) * sizeof *best);
    best[0] = 0;
    for (size_t end = 1; end <= len; end++) best[end] = -INFINITY;
    for (size_t at = 0; at < len; at++)
        for (size_t n = 1; n <= len - at; n++) {
            int32_t id = pieces_find(&t->vocabulary, text + at, n), c;
            bool one = (size_t)utf8_next(text + at, len - at, &c) == n;
            double score = id >= 0 ? t->unigram.scores[id] : one ? t->unigram.lowest - 10 : -INFINITY;
            if (best[at] + score > best[at + n]) best[at + n] = best[at] + score;
        }
    double sum = best[len];
    free(best);
    return sum;
}

/* The sum of the scores of the ids of a text of known pieces. */
static double sum_of(const lithe_tokenizer *t, const int32_t *ids, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += t->unigram.scores[ids[i]];
    return sum;
}

void text_unigram_definition(void)
{
    lithe_tokenizer *t = text_open(test_data("tokenizers/sentencepiece-test/unigram1000.model"));
    for (uint64_t k = 0; k < 300; k++) {
        char text[160];
        size_t len = 1 + random_u64(k, 0) % 150, n;
        for (size_t i = 0; i < len; i++) text[i] = "abcdeghilmnorstuy    ,."[random_u64(k, i + 1) % 23];
        int32_t *ids = text_ids(t, text, len, 0, &n);
        char *form = normalize(t->normal, t->n_normal, text, len, &len, NULL);
        double ours = sum_of(t, ids, n), best = best_sum(t, form, len);
        CHECK_MSG(fabs(ours - best) <= 1e-5 * fabs(best), "text %d: %.9g, the best is %.9g", (int)k, ours, best);
        if (form != text) free(form);
        free(ids);
    }
    lithe_tokenizer_close(t);
}

/* A text without spaces is one word; quadratic work would take minutes. */
void text_sentencepiece_long(void)
{
    size_t len = (size_t)1 << 17, n;
    char *text = malloc(len);
    for (int i = 0; i < 3; i++) {
        lithe_tokenizer *t = text_open(test_data(models[i].path));
        for (int kind = 0; kind < 3; kind++) {
            for (size_t k = 0; k < len; k++) text[k] = kind == 0 ? 'x' : kind == 1 ? (char)('a' + random_u64(7, k) % 26) : (char)random_u64(8, k);
            double start = text_seconds();
            free(text_ids(t, text, len, 0, &n));            /* encodes it twice */
            CHECK_MSG(n > 0 && text_seconds() - start < 10, "%.1f s", text_seconds() - start);
            if (kind == 1) CHECK(text_comes_back(t, text, len));
        }
        lithe_tokenizer_close(t);
    }
    free(text);
}

/* ---- files -------------------------------------------------------------------------------------- */

void text_sentencepiece_saved(void)
{
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = text_open(test_data(models[i].path));
        char *path = path_join(test_dir(), lithe_tokenizer_file(t)), *found, text[2000];
        CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
        CHECK((found = lithe_tokenizer_find(test_dir())) && !strcmp(found, path) && !strcmp(path_base(path), "tokenizer.model"));
        lithe_tokenizer *u = text_open(test_dir());
        for (uint64_t k = 0; k < 30; k++) CHECK(text_same_ids(t, u, text, text_random(text, sizeof text, k)));
        /* T5's end-of-text token, Llama's begin-of-text token */
        CHECK(lithe_encode(t, "one", 3, 1, NULL, 0) == lithe_encode(t, "one", 3, 0, NULL, 0) + 1);
        CHECK(lithe_tokenizer_is_special(t, t->role[ROLE_EOS]) && lithe_tokenizer_is_special(t, t->role[ROLE_UNK]));
        lithe_tokenizer_close(t);
        lithe_tokenizer_close(u);
        free(path); free(found);
    }
}

/* A file that is truncated anywhere or damaged is refused, or opens and encodes. */
void text_sentencepiece_damaged(void)
{
    lithe_error err = { 0 };
    size_t size, n;
    char *file = file_read(test_data(models[2].path), 1 << 20, &size, &err);
    for (uint64_t k = 0; k < 400; k++) {
        lithe_error e = { 0 };
        bool cut = k % 2;
        size_t at = random_u64(3, k) % (k % 4 < 2 ? size : 14000), len = cut ? at : size;
        char saved = file[at];
        if (!cut) file[at] = (char)random_u64(4, k);
        lithe_tokenizer *t = tokenizer_from_sentencepiece(file, len, "damaged.model", &e);
        CHECK_MSG(t ? !e.status : e.status == LITHE_EFORMAT && strstr(e.text, "damaged.model"), "%s", e.text);
        if (t) free(text_ids(t, "It\u2019s \uff21 na\u00efve \u2460 text\t\xff", 26, 1, &n));
        lithe_tokenizer_close(t);
        file[at] = saved;
    }
    free(file);
}

/* field 1 { 1: text, 2: score, 3: type } */
static size_t put_piece(char *out, const char *text, float score, int type)
{
    size_t len = strlen(text);
    out[0] = 10;
    out[1] = (char)(len + 9);
    out[2] = 10;
    out[3] = (char)len;
    memcpy(out + 4, text, len);
    out[4 + len] = 21;
    memcpy(out + 5 + len, &score, 4);
    out[9 + len] = 24;
    out[10 + len] = (char)type;
    return len + 11;
}

/* Pieces that a user has defined, against SentencePiece (tools/golden_words.py). */
void text_user_defined(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_file("tests/golden/text/defined.json"), 1 << 20, 16, &err), *row, *c;
    size_t i, k;
    CHECK_MSG(json_array_size(json_object_get(golden, "rows")) == 6, "%s", err.text);
    json_array_foreach(json_object_get(golden, "rows"), i, row) {
        size_t n = 0;
        const json_t *blob = json_object_get(row, "model");
        const char *name = json_string_value(json_object_get(row, "name"));
        char *model = base64_decode(json_string_value(blob), json_string_length(blob), &n);
        lithe_tokenizer *t = tokenizer_from_sentencepiece(model, n, name, &err);
        CHECK_MSG(t, "%s", err.text);
        json_array_foreach(json_object_get(row, "cases"), k, c) {
            const json_t *text = json_array_get(c, 0), *wanted = json_array_get(c, 1), *back = json_array_get(c, 2);
            size_t m, bytes;
            int32_t *ids = text_ids(t, json_string_value(text), json_string_length(text), 0, &m);
            char *decoded = text_back(t, ids, m, &bytes);
            bool same = m == json_array_size(wanted);
            for (size_t j = 0; j < m && same; j++) same = ids[j] == json_integer_value(json_array_get(wanted, j));
            CHECK_MSG(same, "%s: ids of \"%s\"", name, json_string_value(text));
            CHECK_MSG(bytes == json_string_length(back) && !memcmp(decoded, json_string_value(back), bytes), "%s: \"%s\" is decoded as \"%.*s\"", name, json_string_value(text), (int)bytes, decoded);
            free(ids), free(decoded);
        }
        free(model);
        lithe_tokenizer_close(t);
    }
    json_decref(golden);
}

void text_sentencepiece_refused(void)
{
    static const struct { const char *rest, *complaint; int type; size_t len; float score; } bad[] = {
        { "", "damaged", 7, 0, 0 }, { "", "damaged", 1, 0, INFINITY }, { "", "damaged", 6, 0, 0 },
        { "\x12\x02\x18\x03", "type 3", 1, 4, 0 }, { "\x12\x03\xc0\x02\x09", "special id 9", 1, 5, 0 }, { "\x12\x03\xc0\x01\x01", "suffix", 1, 5, 0 },
        { "\x12\x03\x98\x02\x01", "no piece for byte 0", 1, 5, 0 }, { "\x1a\x02\x28\x00", "escaped", 1, 4, 0 }, { "\x1a\x05\x12\x03xyz", "map of characters", 1, 7, 0 },
        { "\x1a\x09\x12\x07\x08\x00\x00\x00xyz", "map of characters", 1, 11, 0 }, { "\x0a", "damaged", 1, 1, 0 }, { "\x12\x7f\x18", "damaged", 1, 3, 0 } };
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
        char file[200];
        lithe_error err = { 0 };
        size_t n = put_piece(file, "<unk>", 0, 2);
        n += put_piece(file + n, "<s>", 0, 3);
        n += put_piece(file + n, "</s>", 0, 3);
        bool good = i == sizeof bad / sizeof *bad;
        n += put_piece(file + n, "ab", good ? 0 : bad[i].score, good ? 1 : bad[i].type);
        if (!good) { memcpy(file + n, bad[i].rest, bad[i].len); n += bad[i].len; }
        lithe_tokenizer *t = tokenizer_from_sentencepiece(file, n, "test.model", &err);
        if (good) CHECK_MSG(t && lithe_encode(t, "ab", 2, 0, NULL, 0) == 2, "%s", err.text);
        else CHECK_MSG(!t && err.status == LITHE_EFORMAT && strstr(err.text, bad[i].complaint), "%s: %s", bad[i].complaint, err.text);
        lithe_tokenizer_close(t);
    }
}

/* Entries that overlap, text without an entry, spaces, and invalid offsets. */
void text_charsmap(void)
{
    lithe_tokenizer *t = text_open(test_data("tokenizers/t5/spiece.model"));
    static const struct { const char *text, *form; } forms[] = {
        { "\uff21\u00a0 b\u3000", "\u2581A\u2581b" }, { "  a  b ", "\u2581a\u2581b" }, { "e\u0301\u2460\ufb01", "\u2581\u00e91fi" }, { "\x01x\u200by", "\u2581x\u2581y" },
        { " \t ", "" }, { "", "" }, { "a\xff" "b", "\u2581a\uFFFD" "b" } };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        text_buffer b = { 0 };
        charsmap_apply(&t->charsmap, &b, forms[i].text, strlen(forms[i].text));
        CHECK_MSG(b.n == strlen(forms[i].form) && !memcmp(b.bytes ? b.bytes : "", forms[i].form, b.n), "%s becomes %.*s", forms[i].text, (int)b.n, b.bytes ? b.bytes : "");
        free(b.bytes);
    }
    lithe_tokenizer_close(t);
    for (uint64_t k = 0; k < 200; k++) {
        char blob[300] = { 0 }, text[64];
        lithe_error err = { 0 };
        charsmap m = { .trim = k & 1, .add_space = k & 2 };
        text_buffer b = { 0 };
        blob[0] = (char)(256 & 255); blob[1] = 1;
        for (size_t i = 4; i < sizeof blob; i++) blob[i] = (char)random_u64(k, i);
        CHECK(!charsmap_open(&m, blob, sizeof blob, "test", &err));
        charsmap_apply(&m, &b, text, text_random(text, sizeof text, k));
        free(b.bytes);
        charsmap_close(&m);
    }
}

typedef struct { const char *config; int32_t girl[6], masked[8], pair[8]; } fairseq_case;

/* XLM-R's and CamemBERT's numbers of a .model's pieces, as transformers gives them for the same file. */
void text_fairseq(void)
{
    static const fairseq_case cases[] = {
        { "{\"model_type\":\"xlm-roberta\"}", { 0, 10, 460, 12, 940, 2 }, { 0, 8, 1001, 15, 2, 5, 3, 2 }, { 0, 10, 460, 2, 2, 12, 940, 2 } },
        { "{\"tokenizer_class\":\"CamembertTokenizer\"}", { 5, 13, 463, 15, 943, 6 }, { 5, 11, 1004, 18, 6, 8, 3, 6 }, { 5, 13, 463, 6, 6, 15, 943, 6 } } };
    char *model = path_join(test_dir(), FAIRSEQ_FILE), *config = path_join(test_dir(), "config.json");
    lithe_error err = { 0 };
    size_t size;
    char *data = file_read(test_data("tokenizers/sentencepiece-test/unigram1000.model"), (size_t)1 << 24, &size, &err);
    CHECK_MSG(data && !file_write(model, data, size, &err), "%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fairseq_case *c = &cases[i];
        CHECK(!file_write(config, c->config, strlen(c->config), &err));
        lithe_tokenizer *t = text_open(test_dir());
        int32_t ids[16];
        CHECK(lithe_encode(t, "I saw a girl", 12, 1, ids, 16) == 6 && !memcmp(ids, c->girl, sizeof c->girl));
        CHECK(lithe_encode(t, "the <mask> of </s>\u00e9", 20, 1, ids, 16) == 8 && !memcmp(ids, c->masked, sizeof c->masked));
        CHECK(lithe_encode_pair(t, "I saw", 5, "a girl", 6, 16, ids, NULL, 16) == 8 && !memcmp(ids, c->pair, sizeof c->pair));
        CHECK(lithe_tokenizer_special(t, "mask") == c->masked[2] && lithe_tokenizer_special(t, "pad") == 1 && lithe_tokenizer_special(t, "unk") == 3);
        char text[64];
        size_t n = lithe_decode(t, c->girl, 6, text, sizeof text);
        CHECK_MSG(n == 12 && !memcmp(text, "I saw a girl", 12), "%.*s", (int)n, text);
        CHECK(!strcmp(lithe_tokenizer_file(t), FAIRSEQ_FILE));
        lithe_tokenizer_close(t);
    }
    free(data), free(model), free(config);
}

/* Settings for other numbers of the same file are refused by name. */
void text_fairseq_refused(void)
{
    static const char *const configs[] = { "{\"model_type\":\"mbart\"}", "{\"tokenizer_class\":\"NllbTokenizer\"}", "{\"model_type\":\"xglm\"}" };
    char *model = path_join(test_dir(), FAIRSEQ_FILE), *config = path_join(test_dir(), "config.json");
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        lithe_error err = { 0 };
        size_t size;
        char *data = file_read(test_data("tokenizers/sentencepiece-test/unigram1000.model"), (size_t)1 << 24, &size, &err);
        CHECK(!file_write(model, data, size, &err) && !file_write(config, configs[i], strlen(configs[i]), &err));
        CHECK_MSG(!lithe_tokenizer_open(test_dir(), &err) && err.status == LITHE_ECONFIG && strstr(err.text, "Tokenizer, which is not supported"), "%s", err.text);
        free(data);
    }
    free(model), free(config);
}
