/* libFuzzer target: the tokenizer files.  The first byte chooses the format, the
 * rest is the file (vocab.json and merges.txt with a NUL between them).  What
 * opens must encode any bytes, give back what it measured, and decode any ids. */
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lithe_tokenizer *open_as(int kind, const char *text, size_t len, lithe_error *err)
{
    if (kind == 0) return tokenizer_from_json(text, len, "json", err);
    if (kind == 1) return tokenizer_from_llama2c(text, len, "llama2c", err);
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
    require(t->bos < lithe_tokenizer_vocab(t) && t->eos < lithe_tokenizer_vocab(t));
    free(back);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sample[] = "It's <s> 12 a\u0301\u00e9\xff\n\n  the the<|endoftext|>  \xe2\x82 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    if (!size) return 0;
    lithe_error err = { 0 };
    lithe_tokenizer *t = open_as(data[0] & 3, (const char *)data + 1, size - 1, &err);
    require(t ? !err.status : err.status && err.text[0]);
    if (t) {
        use(t, sample, sizeof sample - 1);
        use(t, (const char *)data, size < 4096 ? size : 4096);
    }
    lithe_tokenizer_close(t);
    return 0;
}
