/* libFuzzer target: the tokenizer files.  The first byte chooses the format, the
 * rest is the file (vocab.json and merges.txt with a NUL between them).  What
 * opens must encode any bytes and any two texts, give back what it measured, and
 * decode any ids. */
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lithe_tokenizer *open_as(int kind, const char *text, size_t len, lithe_error *err)
{
    if (kind == 0) return tokenizer_from_json(text, len, "json", err);
    if (kind == 1) return tokenizer_from_llama2c(text, len, "llama2c", err);
    if (kind == 9) return tokenizer_from_sentencepiece(text, len, "model", err);
    if (kind == 8) return tokenizer_from_world(text, len, "world.txt", err);
    if (kind >= 4) return tokenizer_from_pieces(text, len, (bert_options){ kind & 1, kind & 1, kind & 2 }, "vocab.txt", err);
    const char *nul = memchr(text, 0, len);
    size_t first = nul ? (size_t)(nul - text) : len, rest = nul ? len - first - 1 : 0;
    return tokenizer_from_files(text, first, text + first + (nul != NULL), rest, kind & 1, "vocab", "merges", err);
}

static void require(bool ok) { if (!ok) abort(); }

static void use(const lithe_tokenizer *t, const char *text, size_t len)
{
    size_t n = lithe_encode(t, text, len, 1, NULL, 0), m;
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    require(lithe_encode(t, text, len, 1, ids, n) == n);
    for (size_t i = 0; i < n; i++) require(ids[i] >= 0 && ids[i] < lithe_tokenizer_vocab(t));
    m = lithe_decode(t, ids, n, NULL, 0);
    char *back = malloc(m + 1);
    require(lithe_decode(t, ids, n, back, m) == m);
    for (int i = 0; i < ROLES; i++) require(t->role[i] < lithe_tokenizer_vocab(t));
    size_t limit = len % 40, two = lithe_encode_pair(t, text, len, text, len / 2, limit, NULL, NULL, 0);
    int32_t *types = malloc((two + 1) * sizeof *types);
    ids = realloc(ids, (two + 1) * sizeof *ids);
    require(lithe_encode_pair(t, text, len, text, len / 2, limit, ids, types, two) == two);
    free(types);
    free(back);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sample[] = "It's <s> 12 a\u0301\u00e9\xff\n\n  the the<|endoftext|>  \xe2\x82 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    if (!size) return 0;
    lithe_error err = { 0 };
    lithe_tokenizer *t = open_as(data[0] % 10, (const char *)data + 1, size - 1, &err);
    require(t ? !err.status : err.status && err.text[0]);
    if (t) {
        use(t, sample, sizeof sample - 1);
        use(t, (const char *)data, size < 4096 ? size : 4096);
    }
    lithe_tokenizer_close(t);
    return 0;
}
