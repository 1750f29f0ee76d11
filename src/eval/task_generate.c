#include "eval/task_generate.h"
#include "text/text_buffer.h"
#include <stdlib.h>

static int take(void *context, const char *text, size_t n)
{
    text_append(context, text, n);
    return 0;
}

static const char white[] = " \t\r\n";

static bool equal_texts(const char *a, size_t n, const char *b)
{
    size_t m = strlen(b);
    while (n && strchr(white, a[n - 1]) && a[n - 1]) n--;
    while (m && strchr(white, b[m - 1])) m--;
    while (n && strchr(white, *a) && *a) { a++; n--; }
    while (m && strchr(white, *b)) { b++; m--; }
    return n == m && !memcmp(a, b, n);
}

int task_generates(lithe_session *s, const lithe_tokenizer *t, const task_file *f, const char *context, const char *answer, bool *same, lithe_error *err)
{
    size_t n = lithe_encode(t, context, strlen(context), 1, NULL, 0), room = (size_t)lithe_session_context(s), most = room > (size_t)f->longest ? room - (size_t)f->longest : 1;
    int32_t *ids = xalloc(n + 1, sizeof *ids);
    text_buffer out = { 0 };
    const char *reason;
    const lithe_generation o = { .size = sizeof o, .max_tokens = f->longest, .stop = f->stop, .stops = f->stop_count };
    if (!ids) return fail(err, LITHE_ENOMEM, "not enough memory for %zu ids", n);
    lithe_encode(t, context, strlen(context), 1, ids, n);
    if (n && ids[n - 1] == lithe_tokenizer_eos(t)) n--;             /* the text goes on */
    if (!n) ids[n++] = lithe_tokenizer_eos(t) >= 0 ? lithe_tokenizer_eos(t) : 0;
    size_t lost = room && n > most ? n - most : 0;
    int status = lithe_generate(s, t, ids + lost, n - lost, &o, take, &out, &reason, err);
    if (!status && out.failed) status = fail(err, LITHE_ENOMEM, "not enough memory for a text");
    *same = !status && equal_texts(out.bytes ? out.bytes : "", out.n, answer);
    free(out.bytes);
    free(ids);
    return status;
}
