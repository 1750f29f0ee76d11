/* Tokenizers: published ids, saving and reading, bytes, merging, speed. */
#include "text_tests.h"
#include "base/writer.h"
#include "base/json.h"
#include "base/random.h"
#include "text/byte_alphabet.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- helpers -------------------------------------------------------------------------- */

double text_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

lithe_tokenizer *text_open(const char *path)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(path, &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

/* The ids of text, malloc'd; their number is asked for first. */
int32_t *text_ids(const lithe_tokenizer *t, const char *text, size_t len, int special, size_t *n)
{
    *n = lithe_encode(t, text, len, special, NULL, 0);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    ids[*n] = -77;
    size_t again = lithe_encode(t, text, len, special, ids, *n);
    CHECK(again == *n && ids[*n] == -77);
    return ids;
}

char *text_back(const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t *len)
{
    *len = lithe_decode(t, ids, n, NULL, 0);
    char *text = malloc(*len + 1);
    text[*len] = 77;
    CHECK(lithe_decode(t, ids, n, text, *len) == *len && text[*len] == 77);
    text[*len] = 0;
    return text;
}

bool text_comes_back(const lithe_tokenizer *t, const char *text, size_t len)
{
    size_t n, m;
    int32_t *ids = text_ids(t, text, len, 0, &n);
    char *back = text_back(t, ids, n, &m);
    bool same = m == len && !memcmp(back, text, len);
    free(ids);
    free(back);
    return same;
}

bool text_same_ids(const lithe_tokenizer *a, const lithe_tokenizer *b, const char *text, size_t len)
{
    size_t n, m;
    int32_t *x = text_ids(a, text, len, 1, &n), *y = text_ids(b, text, len, 1, &m);
    bool same = n == m && !memcmp(x, y, n * sizeof *x);
    free(x);
    free(y);
    return same;
}

/* Bytes of every kind: mostly characters, of one to four bytes, some damage. */
size_t text_random(char *out, size_t len, uint64_t key)
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

/* A tokenizer.json whose first ids are the bytes; merges is JSON, `rest` is further members. */
lithe_tokenizer *text_build(const char *pre_tokenizer, const char *more_vocab, const char *merges, const char *model, const char *rest, lithe_error *err)
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
        if (s && !special && t->single.n) break;            /* the cases do not have its special tokens */
        size_t n;
        int32_t *ours = text_ids(t, json_string_value(text), json_string_length(text), s, &n);
        CHECK_MSG(ids_equal(s && special ? special : ids, ours, n), "%s: ids of %s, special %d", name, id, s);
        if (!s) {
            size_t len;
            char *back = text_back(t, ours, n, &len);
            if (!decoded) decoded = text;
            CHECK_MSG(len == json_string_length(decoded) && !memcmp(back, json_string_value(decoded), len), "%s: text of %s", name, id);
            free(back);
        }
        free(ours);
    }
}

void text_check_cases(const char *name, const lithe_tokenizer *t)
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
    lithe_tokenizer *t = text_open(test_data("tokenizers/gpt2"));
    CHECK(lithe_tokenizer_vocab(t) == 50257 && lithe_tokenizer_eos(t) == 50256 && lithe_tokenizer_bos(t) == 50256);
    text_check_cases("gpt2", t);
    lithe_tokenizer_close(t);
    t = text_open(test_data("tokenizers/gpt2/encoder.json"));
    text_check_cases("gpt2", t);
    lithe_tokenizer_close(t);
}

static void cases_neox(void)
{
    lithe_tokenizer *t = text_open(test_data("tokenizers/gpt-neox/20B_tokenizer.json"));
    CHECK(lithe_tokenizer_vocab(t) == 50277 && lithe_tokenizer_eos(t) == 0);
    text_check_cases("gpt-neox", t);
    lithe_tokenizer_close(t);
}

/* A folder with RoBERTa's vocabulary, GPT-2's merges and, if not NULL, a tokenizer_config.json. */
const char *text_roberta_dir(const char *config)
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
    lithe_tokenizer *t = text_open(text_roberta_dir(NULL));
    CHECK(lithe_tokenizer_vocab(t) == 50265 && lithe_tokenizer_bos(t) == 0 && lithe_tokenizer_eos(t) == 2);
    text_check_cases("roberta-base", t);
    lithe_tokenizer_close(t);
}

static void config_beside(void)
{
    lithe_tokenizer *t = text_open(text_roberta_dir("{\"add_prefix_space\": true, \"eos_token\": {\"content\": \"<mask>\"}, \"bos_token\": \"<pad>\"}"));
    size_t n;
    int32_t *ids = text_ids(t, "Hello <mask>", 12, 1, &n);
    /* "_Hello"; <mask> takes the space */
    CHECK(n == 4 && ids[0] == 0 && ids[1] == 20920 && ids[2] == 50264 && ids[3] == 2);
    CHECK(lithe_tokenizer_bos(t) == 1 && lithe_tokenizer_eos(t) == 50264);
    free(ids);
    lithe_error err = { 0 };
    /* Special tokens stay special. */
    char *dir = path_join(test_dir(), "saved"), *path = path_join(dir, "tokenizer.json");
    CHECK(!dir_make(dir, &err) && !lithe_tokenizer_save(t, path, &err));
    lithe_tokenizer *u = text_open(path);
    CHECK(lithe_tokenizer_bos(u) == 1 && lithe_tokenizer_eos(u) == 50264 && text_same_ids(t, u, "Hello <mask>", 12));
    lithe_tokenizer_close(u);
    free(dir); free(path);
    lithe_tokenizer_close(t);
}

/* ---- llama2.c --------------------------------------------------------------------------- */

static const char *const llama2c_files[] = { "checkpoints/stories260K/tok512.bin", "checkpoints/babyllama-tok105/tok105.bin" };

static void check_golden(const lithe_tokenizer *t, const json_t *g)
{
    const json_t *prompt = json_object_get(g, "prompt"), *prompt_ids = json_object_get(g, "prompt_ids"), *more = json_object_get(g, "greedy_ids");
    size_t n, len, k = 0;
    int32_t *ids = text_ids(t, json_string_value(prompt), json_string_length(prompt), 1, &n), all[512];
    CHECK(ids_equal(prompt_ids, ids, n));
    for (size_t i = 0; i < n; i++) all[k++] = ids[i];
    for (size_t i = 0; i < json_array_size(more); i++) all[k++] = (int32_t)json_integer_value(json_array_get(more, i));
    char *text = text_back(t, all, k, &len);
    CHECK_MSG(!strcmp(text, json_string_value(json_object_get(g, "greedy_text"))), "%s", text);
    free(ids);
    free(text);
}

static void llama2c_golden(void)
{
    lithe_error err = { 0 };
    json_t *golden = json_read(test_data("checkpoints/golden.json"), (size_t)1 << 20, 8, &err);
    for (size_t i = 0; i < 2; i++) {
        lithe_tokenizer *t = text_open(test_data(llama2c_files[i]));
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
        lithe_tokenizer *t = k < 2 ? text_open(test_data(llama2c_files[k])) : text_open(k == 2 ? "bytes" : k == 3 ? test_data("tokenizers/gpt2")
                                                                                               : test_data("tokenizers/gpt-neox/20B_tokenizer.json"));
        CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
        lithe_tokenizer *u = text_open(dir);
        CHECK(lithe_tokenizer_vocab(t) == lithe_tokenizer_vocab(u));
        CHECK(lithe_tokenizer_bos(t) == lithe_tokenizer_bos(u) && lithe_tokenizer_eos(t) == lithe_tokenizer_eos(u));
        for (uint64_t i = 0; i < 40; i++) {
            size_t len = text_random(text, sizeof text, i), n, a, b;
            CHECK(text_same_ids(t, u, text, len));
            int32_t *ids = text_ids(t, text, len, 1, &n);
            char *x = text_back(t, ids, n, &a), *y = text_back(u, ids, n, &b);
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
    lithe_tokenizer *t = text_open("bytes");
    char all[512];
    for (int i = 0; i < 512; i++) all[i] = (char)(i * 7);
    size_t n;
    int32_t *ids = text_ids(t, all, sizeof all, 1, &n);
    CHECK(n == sizeof all && lithe_tokenizer_vocab(t) == 256 && lithe_tokenizer_eos(t) == -1 && lithe_tokenizer_bos(t) == -1);
    for (size_t i = 0; i < n; i++) CHECK(ids[i] == (unsigned char)all[i]);
    CHECK(text_comes_back(t, all, sizeof all));
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

/* Any bytes decode to themselves, and decoding concatenates. */
static void any_bytes_come_back(void)
{
    lithe_tokenizer *t = text_open(test_data("tokenizers/gpt2"));
    char text[3000];
    for (uint64_t k = 0; k < 200; k++) {
        size_t len = text_random(text, sizeof text, k), n, a, b, c;
        if (k % 4 == 0) for (size_t i = 0; i < len; i++) text[i] = (char)random_u64(k, i);
        CHECK(text_comes_back(t, text, len));
        int32_t *ids = text_ids(t, text, len, 0, &n);
        char *whole = text_back(t, ids, n, &a), *left = text_back(t, ids, n / 3, &b), *right = text_back(t, ids + n / 3, n - n / 3, &c);
        CHECK(a == b + c && !memcmp(whole, left, b) && !memcmp(whole + b, right, c));
        free(ids); free(whole); free(left); free(right);
    }
    lithe_tokenizer_close(t);
}

static void measuring_and_cutting(void)
{
    lithe_tokenizer *t = text_open("bytes");
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

/* ---- merging ------------------------------------------------------------------------------------- */

/* The definition by exhaustive search: the lowest rank, the leftmost of equals. */
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
    lithe_tokenizer *t = text_open(test_data("tokenizers/gpt2"));
    for (uint64_t k = 0; k < 300; k++) {
        char word[600];
        int32_t ours[600], naive[600];
        size_t len = 1 + random_u64(k, 0) % (k % 3 ? 70 : 599);
        for (size_t i = 0; i < len; i++) word[i] = (char)('a' + random_u64(k, i + 1) % (k % 2 ? 3 : 20));
        for (size_t i = 0; i < len; i++) naive[i] = t->bpe.byte_id[(unsigned char)word[i]];
        id_sink sink = { .ids = ours, .cap = 600 };
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
    lithe_tokenizer *t[2] = { text_open(test_data("tokenizers/gpt2")), text_open(test_data(llama2c_files[0])) };
    size_t len = (size_t)1 << 18, n;
    char *text = malloc(len);
    for (int kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < len; i++)
            text[i] = kind == 0 ? 'x' : kind == 1 ? (char)('a' + random_u64(7, i) % 26) : kind == 2 ? ' ' : "ab"[i & 1];
        for (int k = 0; k < 2; k++) {
            double start = text_seconds();
            free(text_ids(t[k], text, len, 0, &n));           /* encodes it twice */
            CHECK_MSG(text_seconds() - start < 10, "%.1f s", text_seconds() - start);
        }
        CHECK(text_comes_back(t[0], text, len));
    }
    free(text);
    lithe_tokenizer_close(t[0]);
    lithe_tokenizer_close(t[1]);
}

/* ---- speed -------------------------------------------------------------------------------------------- */

static void speed(void)
{
    lithe_error err = { 0 };
    size_t len;
    char *text = file_read(test_data("lm/novels/valid.txt"), (size_t)1 << 26, &len, &err);
    lithe_tokenizer *t = text_open(test_data("tokenizers/gpt2"));
    int32_t *ids = malloc(len * sizeof *ids);
    double start = text_seconds();
    lithe_encode(t, text, len, 0, ids, len);
    double encoding = text_seconds() - start;
    start = text_seconds();
    lithe_tokenizer *u = lithe_tokenizer_train(text, len, 4096, &err);
    double training = text_seconds() - start;
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
    { "text: splits", text_splits },
    { "text: GPT-2 pattern against PCRE2", text_gpt2_pattern },
    { "text: patterns as Oniguruma reads them", text_oniguruma_patterns },
    { "text: parts around a model", text_components },
    { "text: the places of tokens", text_spans },
    { "text: words, and pieces with a prefix or a suffix", text_words },
    { "text: pieces with NUL", text_nul_pieces },
    { "text: the files of HerBERT", text_herbert },
    { "text: begin and end of text, as settings say", text_flags_beside },
    { "text: the numbers of XLM-R and CamemBERT", text_fairseq },
    { "text: other numbers of the same file", text_fairseq_refused },
    { "text: Unigram in tokenizer.json, refused by name", text_unigram_refused },
    { "text: patterns that are refused", text_patterns_refused },
    { "text: added tokens", text_added_tokens },
    { "text: templates", text_templates },
    { "text: merges of both forms", text_merge_forms },
    { "text: normal forms", text_normal_forms },
    { "text: merging against its definition", merging_is_the_definition },
    { "text: long texts without spaces", long_without_spaces },
    { "text: published cases, WordPiece", text_wordpiece_cases },
    { "text: WordPiece, ids of Hugging Face", text_wordpiece_table },
    { "text: WordPiece as lines and as JSON", text_wordpiece_forms },
    { "text: every character, against Hugging Face", text_every_character },
    { "text: ten thousand strings, against Hugging Face", text_made_strings },
    { "text: WordPiece, cased or not", text_wordpiece_config },
    { "text: WordPiece files", text_wordpiece_files },
    { "text: WordPiece in tokenizer.json", text_wordpiece_json },
    { "text: longest piece against its definition", text_longest_piece },
    { "text: published cases, World", text_world_cases },
    { "text: World, every piece", text_world_pieces },
    { "text: World, any bytes come back", text_world_round_trip },
    { "text: World, literals", text_world_literals },
    { "text: World, saved and found", text_world_saved },
    { "text: RoBERTa's five and two texts", text_roberta },
    { "text: published cases, SentencePiece", text_sentencepiece_cases },
    { "text: Unigram against its definition", text_unigram_definition },
    { "text: SentencePiece, long texts without spaces", text_sentencepiece_long },
    { "text: SentencePiece, saved and found", text_sentencepiece_saved },
    { "text: SentencePiece, damaged files", text_sentencepiece_damaged },
    { "text: SentencePiece, refused by name", text_sentencepiece_refused },
    { "text: SentencePiece, map of characters", text_charsmap },
    { "text: two texts and what is around them", text_pairs },
    { "text: what tokens are for", text_roles },
    { "text: refused by name", text_refused },
    { "text: the files of Qwen2", text_qwen2_files },
    { "text: added tokens beside a vocabulary", text_tokens_beside },
    { "text: settings beside a vocabulary", text_settings_beside },
    { "text: settings that are refused", text_settings_refused },
    { "text: keys of a tokenizer.json that are not known are refused", text_keys_refused },
    { "text: the side at which texts are cut", text_truncation_side },
    { "text: user-defined pieces", text_user_defined },
    { "text: cut off and damaged files", text_cut_off },
    { "text: paths that hold nothing", text_empty_paths },
    { "text: patterns without end", text_endless_patterns },
    { "text: long matches of patterns", text_long_matches },
    { "text: training against its definition", text_train_definition },
    { "text: training repeats and is saved", text_train_saved },
    { "text: training says what is possible", text_train_possible },
    { "text: training on odd texts", text_train_odd },
    { "text: training WordPiece against its definition", text_train_wordpiece },
    { "text: training WordPiece on text of all kinds", text_train_wordpiece_text },
    { "text: training, three kinds", text_train_kinds },
    { "text: training, Qwen2's words", text_train_qwen2 },
    { "text: training, counts beyond 32 bits", text_train_counts },
    { "text: training, against Hugging Face", text_learned_vocabularies },
    { "text: speed", speed },
    { 0 }
};
