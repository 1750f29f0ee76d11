#include "eval/task_encode.h"
#include "base/utf8.h"
#include "text/layout.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int32_t *ids; size_t n; } encoding;

/* special: with what the tokenizer puts before a text; the text will be continued, so nothing comes after it. */
static encoding encode(const lithe_tokenizer *t, const char *text, size_t size, bool special, arena *memory)
{
    size_t n = lithe_encode(t, text, size, special, NULL, 0), plain = special ? lithe_encode(t, text, size, 0, NULL, 0) : n;
    int32_t *ids = arena_alloc(memory, (n + 1) * sizeof *ids);
    if (!ids) return (encoding){ 0 };
    lithe_encode(t, text, size, special, ids, n);
    if (n > plain && ids[n - 1] == lithe_tokenizer_eos(t)) n--;
    return (encoding){ ids, n };
}

/* The length of a text without the white space at its end. */
static size_t stripped_length(const char *text)
{
    size_t n = strlen(text), end = 0;
    int32_t c;
    for (size_t i = 0; i < n; ) {
        i += (size_t)utf8_next(text + i, n - i, &c);
        if (!utf8_is_space(c)) end = i;
    }
    return end;
}

/* The three texts one after the other, in the arena. */
static char *join(const char *a, const char *b, const char *c, arena *memory)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = arena_alloc(memory, n);
    if (text) snprintf(text, n, "%s%s%s", a, b, c);
    return text;
}

static int out_of_memory(lithe_error *err) { return fail(err, LITHE_ENOMEM, "not enough memory for the ids of an item"); }

/* A continuation after the token that stands for no context. */
static int encode_alone(task_sequence *out, const lithe_tokenizer *t, const char *text, arena *memory, lithe_error *err)
{
    int32_t begin = lithe_tokenizer_bos(t) >= 0 ? lithe_tokenizer_bos(t) : lithe_tokenizer_eos(t);
    encoding x = encode(t, text, strlen(text), false, memory);
    int32_t *ids = x.ids ? arena_alloc(memory, (x.n + 1) * sizeof *ids) : NULL;
    if (!ids) return out_of_memory(err);
    bool there = begin < 0 || (x.n && x.ids[0] == begin);       /* without such a token the first id is context only */
    if (!there) ids[0] = begin;
    memcpy(ids + !there, x.ids, x.n * sizeof *ids);
    *out = (task_sequence){ ids, x.n + !there, 1, x.n + !there };
    return LITHE_OK;
}

static int encode_after(task_sequence *out, const lithe_tokenizer *t, const char *context, const char *text, arena *memory, lithe_error *err)
{
    size_t before = stripped_length(context);
    const char *whole = join(context, text, "", memory);
    if (!whole) return out_of_memory(err);
    encoding a = encode(t, context, before, true, memory), b = encode(t, whole, strlen(whole), true, memory);
    if (!a.ids || !b.ids) return out_of_memory(err);
    *out = (task_sequence){ b.ids, b.n, a.n, b.n };
    return LITHE_OK;
}

int task_encode(task_sequence *out, const lithe_tokenizer *t, const char *context, const char *delimiter, const char *text, size_t limit,
                arena *memory, bool *cut, lithe_error *err)
{
    const char *continuation = join(delimiter, text, "", memory);
    if (!continuation) return out_of_memory(err);
    int status = *context ? encode_after(out, t, context, continuation, memory, err) : encode_alone(out, t, continuation, memory, err);
    if (status) return status;
    if (out->first >= out->n) return fail(err, LITHE_EFORMAT, "\"%.60s\" adds no token to its context", text);
    if (!out->first) out->first = 1;
    size_t lost = limit && out->n > limit + 1 ? out->n - limit - 1 : 0;
    if (lost >= out->first) lost = out->first - 1;
    *cut |= lost > 0;
    *out = (task_sequence){ out->ids + lost, out->n - lost, out->first - lost, out->end - lost };
    return LITHE_OK;
}

int task_encode_around(task_sequence *out, const lithe_tokenizer *t, const char *context, const char *delimiter, const char *text, size_t limit,
                       arena *memory, bool *cut, lithe_error *err)
{
    const layout l = layout_of(t);
    const char *whole = *context ? join(context, delimiter, text, memory) : text;
    if (!whole) return out_of_memory(err);
    encoding a = encode(t, context, stripped_length(context), false, memory), b = encode(t, whole, strlen(whole), false, memory);
    size_t n = layout_length(&l, b.n), before = l.one.before.n;
    int32_t *ids = arena_alloc(memory, (n + 1) * sizeof *ids);
    if (!a.ids || !b.ids || !ids) return out_of_memory(err);
    if (a.n >= b.n) return fail(err, LITHE_EFORMAT, "\"%.60s\" adds no token to its context", text);
    if (layout_fits(&l, false, limit, err)) return LITHE_EINVAL;
    size_t lost = n > limit ? n - limit : 0;
    *cut |= lost > 0;
    layout_write(&l, (id_text){ b.ids + lost, b.n - lost }, NULL, 0, ids, NULL, n);
    *out = (task_sequence){ ids, n - lost, before + (a.n > lost ? a.n - lost : 0), before + b.n - lost };
    return LITHE_OK;
}
