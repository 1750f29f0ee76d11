#include "report/view_text.h"
#include "base/file.h"
#include "data/shard.h"
#include <stdlib.h>

enum { BYTES_OF_A_TOKEN = 64 };          /* so much of a given text is read for each wanted token, at most */

/* As `lithe eval --text` reads it: with the tokens that the tokenizer puts before a text, without those after it. */
static int32_t *encode(const lithe_tokenizer *t, const char *text, size_t size, size_t most, size_t *n, lithe_error *err)
{
    size_t all = lithe_encode(t, text, size, 1, NULL, 0), plain = lithe_encode(t, text, size, 0, NULL, 0);
    int32_t *ids = xalloc(all + 1, sizeof *ids), eos = lithe_tokenizer_eos(t);
    if (!ids) { fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", all); return NULL; }
    lithe_encode(t, text, size, 1, ids, all);
    if (all > plain && eos >= 0 && ids[all - 1] == eos) all--;
    *n = all < most ? all : most;
    return ids;
}

/* The first ids of a part of the run's data; NULL, with an error, if there is none or it is empty. */
static int32_t *from_shard(const lithe_run *r, const char *name, size_t most, size_t *n, lithe_error *err)
{
    shard s;
    char *path = path_join(r->path, name);
    int status = path ? shard_open(&s, path, err) : fail(err, LITHE_ENOMEM, "out of memory");
    free(path);
    if (status) return NULL;
    *n = s.header.tokens < most ? (size_t)s.header.tokens : most;
    int32_t *ids = *n ? xalloc(*n, sizeof *ids) : NULL;
    if (ids) shard_ids(&s, 0, *n, ids);
    else fail(err, *n ? LITHE_ENOMEM : LITHE_EFORMAT, "%s: holds no text", name);
    shard_close(&s);
    return ids;
}

int32_t *view_text(const lithe_run *r, const lithe_report_options *o, const lithe_tokenizer *t, size_t most, size_t *n, bool *seen, lithe_error *err)
{
    lithe_error valid = { 0 };
    *seen = false;
    if (o->text && !t) { fail(err, LITHE_EINVAL, "the model has no tokenizer for the text"); return NULL; }
    size_t bytes = most * BYTES_OF_A_TOKEN < o->text_bytes ? most * BYTES_OF_A_TOKEN : o->text_bytes;
    if (o->text) return encode(t, o->text, bytes, most, n, err);
    int32_t *ids = from_shard(r, "data/valid.shard", most, n, &valid);
    if (ids) return ids;
    if (valid.status == LITHE_ENOMEM) { fail(err, valid.status, "%s", valid.text); return NULL; }
    *seen = true;
    return from_shard(r, "data/train.shard", most, n, err);
}
