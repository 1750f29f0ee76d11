/* libFuzzer: the first byte chooses a kind of text file, packed or not, the rest
 * is the file.  A document that is read is not empty and is UTF-8 where it must
 * be; reading again gives the same ones. */
#include "data/corpus.h"
#include "base/utf8.h"
#include "scratch.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t read_through(corpus *c, bool any_bytes, lithe_error *err)
{
    document d;
    uint64_t hash = 0;
    int more;
    while ((more = corpus_next(c, &d, err)) > 0) {
        assert(d.size > 0 && (any_bytes || utf8_valid(d.text, d.size) == d.size));
        hash = hash_bytes(d.text, d.size, hash);
    }
    assert((more < 0) == (err->status != LITHE_OK) && !strchr(err->text, '\n'));
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endings[] = { "txt", "jsonl", "txt.gz", "jsonl.gz", "txt.zst", "jsonl.zst" };
    char path[SCRATCH_PATH], name[16];
    if (!size) return 0;
    bool any_bytes = data[0] & 64;
    snprintf(name, sizeof name, "a.%s", endings[data[0] % 6]);
    scratch_path(path, name);
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data + 1, 1, size - 1, f);
    fclose(f);
    lithe_error err = { 0 }, again = { 0 };
    corpus *c = corpus_open((const char *const[]){ path }, 1, any_bytes, &err);
    assert(!c == (err.status != LITHE_OK));
    if (c) {
        uint64_t first = read_through(c, any_bytes, &err);
        corpus_rewind(c);
        assert(read_through(c, any_bytes, &again) == first && err.status == again.status && !strcmp(err.text, again.text));
    }
    corpus_close(c);
    unlink(path);
    return 0;
}
