/* libFuzzer target: the tokenizer files.  The first byte chooses the format, the
 * rest is the file (vocab.json and merges.txt with a NUL between them).  What
 * opens must encode any bytes and any two texts, give back what it measured, decode
 * any ids, mask, and be saved. */
#include "base/file.h"
#include "data/mask.h"
#include "data/tokenizer_identity.h"
#include "scratch.h"
#include "text/layout.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With settings that change its steps, or without. */
static lithe_tokenizer *open_json(const char *text, size_t len, lithe_error *err)
{
    static const char *const settings[] = { "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":false,\"strip_accents\":null}", "{\"tokenizer_class\":\"LlamaTokenizer\",\"legacy\":false}",
                                            "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_prefix_space\":false}", "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":true}" };
    const size_t which = len % 8;
    json_t *config = which < 4 ? json_loads(settings[which], 0, NULL) : NULL;
    lithe_tokenizer *t = config ? tokenizer_from_json_with(text, len, config, "json", err) : tokenizer_from_json(text, len, "json", err);
    json_decref(config);
    return t;
}

static lithe_tokenizer *open_as(int kind, const char *text, size_t len, lithe_error *err)
{
    if (kind == 0) return open_json(text, len, err);
    if (kind == 1) return tokenizer_from_llama2c(text, len, "llama2c", err);
    const added_entry found = { .text = "<s>", .len = 3, .id = 1, .special = true };
    if (kind == 11) return tokenizer_from_gguf(text, len, "gguf", err);
    if (kind == 10) return tokenizer_from_sentencepiece_with(text, len, &found, 1, "model", err);
    if (kind >= 12) return tokenizer_from_fairseq(text, len, kind == 12 ? NUMBERED_XLMR : NUMBERED_CAMEMBERT, "fairseq", err);
    if (kind == 9) return tokenizer_from_sentencepiece(text, len, "model", err);
    if (kind == 8) return tokenizer_from_world(text, len, "world.txt", err);
    if (kind >= 4) return tokenizer_from_pieces(text, len, (bert_options){ kind & 1, kind & 1, kind & 2 }, "vocab.txt", err);
    const char *nul = memchr(text, 0, len);
    size_t first = nul ? (size_t)(nul - text) : len, rest = nul ? len - first - 1 : 0;
    if (len & 1) return tokenizer_from_suffixed(text, first, text + first + (nul != NULL), rest, len & 2, "vocab", err);
    return tokenizer_from_files(text, first, text + first + (nul != NULL), rest, (byte_level_words){ kind & 1, kind & 2 }, "vocab", "merges", err);
}

static void require(bool ok) { if (!ok) abort(); }

/* Encoded and decoded, measured first. */
static void encode_and_decode(const lithe_tokenizer *t, const char *text, size_t len)
{
    size_t n = lithe_encode(t, text, len, 1, NULL, 0), m;
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    require(lithe_encode(t, text, len, 1, ids, n) == n);
    for (size_t i = 0; i < n; i++) require(ids[i] >= 0 && ids[i] < lithe_tokenizer_vocab(t));
    m = lithe_decode(t, ids, n, NULL, 0);
    char *back = malloc(m + 1);
    require(lithe_decode(t, ids, n, back, m) == m);
    free(back);
    free(ids);
}

/* The same ids with their places, which lie in the text, and in words that do not go back. */
static void find_places(const lithe_tokenizer *t, const char *text, size_t len)
{
    size_t n = lithe_encode(t, text, len, 0, NULL, 0);
    int32_t *ids = malloc((n + 1) * sizeof *ids), *again = malloc((n + 1) * sizeof *again);
    lithe_span *spans = malloc((n + 1) * sizeof *spans);
    require(lithe_encode(t, text, len, 0, ids, n) == n && lithe_encode_spans(t, text, len, again, spans, n) == n);
    for (size_t i = 0; i < n; i++)
        require(ids[i] == again[i] && spans[i].begin <= spans[i].end && spans[i].end <= len && spans[i].word >= (i ? spans[i - 1].word : 0));
    free(spans);
    free(again);
    free(ids);
}

/* Two texts at every small limit, in room for no more than fits. */
static void lay_out(const lithe_tokenizer *t, const char *text, size_t len)
{
    int32_t ids[24], types[24];
    const layout l = layout_of(t);
    for (size_t limit = 0; limit <= 24; limit++) {
        size_t cap = limit % 25, n = lithe_encode_pair(t, text, len, limit % 2 ? text : NULL, len / 2, limit, ids, types, cap);
        require(!limit || n <= limit || layout_fits(&l, limit % 2, limit, NULL));
        for (size_t i = 0; i < n && i < cap; i++) require(ids[i] >= 0 && ids[i] < lithe_tokenizer_vocab(t) && (types[i] == 0 || types[i] == 1));
    }
}

/* Masked as in training; its identity; its roles. */
static void ask(const lithe_tokenizer *t, const char *text, size_t len)
{
    enum { MOST = 64 };
    int32_t ids[MOST], target[MOST];
    int place[MOST], scratch[2 * MOST];
    char hex[33];
    mask_vocab v;
    size_t n = lithe_encode(t, text, len, 0, ids, MOST);
    tokenizer_hex(t, hex);
    for (int i = 0; i < ROLES; i++) require(t->role[i] < lithe_tokenizer_vocab(t));
    if (!mask_vocab_open(&v, t, NULL))
        for (int kind = 0; kind < MASK_KINDS; kind++) {
            const mask_settings m = { (mask_kind)kind, 0.4, 0.1, 0.5, false };
            int rows = n < MOST ? (int)n : MOST, masked = mask_tokens(&m, &v, len, rows, ids, place, target, scratch);
            require(masked >= 0 && masked <= rows);
            for (int i = 0; i < rows; i++) require(ids[i] >= 0 && ids[i] < v.vocab);
        }
    mask_vocab_close(&v);
}

/* Any numbers as ids. */
static void decode_anything(const lithe_tokenizer *t, const uint8_t *data, size_t size)
{
    int32_t ids[64];
    char text[100];
    size_t n = size / 4 < 64 ? size / 4 : 64;
    memcpy(ids, data, 4 * n);
    for (size_t i = 0; i < n; i++) if (i % 3) ids[i] %= lithe_tokenizer_vocab(t) + 2;
    size_t all = lithe_decode(t, ids, n, NULL, 0);
    require(lithe_decode(t, ids, n, text, sizeof text) == all);
}

/* What is saved opens again. */
static void save(const lithe_tokenizer *t)
{
    lithe_error err = { 0 };
    char path[SCRATCH_PATH];
    size_t size;
    scratch_path(path, lithe_tokenizer_file(t));
    if (lithe_tokenizer_save(t, path, &err)) return;
    char *bytes = file_read(path, 1 << 24, &size, &err);
    require(bytes);
    lithe_tokenizer *again = open_as(t->numbering ? 11 + (int)t->numbering : t->model == MODEL_LONGEST ? 8 : t->sentencepiece ? 9 : 0, bytes, size, &err);
    require(again && lithe_tokenizer_vocab(again) == lithe_tokenizer_vocab(t));
    lithe_tokenizer_close(again);
    free(bytes);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sample[] = "It's <s> 12 a\u0301\u00e9\xff\n\n  the the<|endoftext|>  \xe2\x82 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    if (!size) return 0;
    lithe_error err = { 0 };
    lithe_tokenizer *t = open_as(data[0] % 14, (const char *)data + 1, size - 1, &err);
    require(t ? !err.status : err.status && err.text[0]);
    if (t) {
        const char *text = (const char *)data;
        size_t n = size < 4096 ? size : 4096;
        encode_and_decode(t, sample, sizeof sample - 1);
        encode_and_decode(t, text, n);
        find_places(t, sample, sizeof sample - 1);
        find_places(t, text, n);
        lay_out(t, text, n % 100);
        ask(t, sample, sizeof sample - 1);
        decode_anything(t, data, size);
        save(t);
    }
    lithe_tokenizer_close(t);
    return 0;
}
