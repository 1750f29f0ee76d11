/* Texts and what is put around them.  A text is encoded straight into its place;
 * cut off means that no more than so many of its ids are written. */
#include "text/tokenizer.h"

/* A text, or its ids; the first `most` of them are used. */
typedef struct { const char *text; const int32_t *ids; size_t len, most; } source;
typedef struct { int32_t *ids, *types; size_t n, cap; } place;

static void put_source(const lithe_tokenizer *t, const source *s, int32_t type, place *out)
{
    size_t room = out->n < out->cap ? out->cap - out->n : 0, n = s->most < room ? s->most : room;
    int32_t *at = n ? out->ids + out->n : NULL;
    if (n && s->text) lithe_encode(t, s->text, s->len, 0, at, n);
    else if (n) memcpy(at, s->ids, n * sizeof *at);
    for (size_t i = 0; i < n && out->types; i++) out->types[out->n + i] = type;
    out->n += s->most;
}

static size_t fill(const lithe_tokenizer *t, const source *a, const source *b, place out)
{
    static const template one = { { { TEXT_A, 0 } }, 1 }, two = { { { TEXT_A, 0 }, { TEXT_B, 1 } }, 2 };
    const template *given = b ? &t->pair : &t->single, *form = given->n ? given : b ? &two : &one;
    for (int i = 0; i < form->n; i++) {
        const template_item *item = &form->item[i];
        if (item->id == TEXT_A) put_source(t, a, item->type, &out);
        else if (item->id == TEXT_B) put_source(t, b, item->type, &out);
        else {
            if (out.n < out.cap) out.ids[out.n] = item->id;
            if (out.n < out.cap && out.types) out.types[out.n] = item->type;
            out.n++;
        }
    }
    return out.n;
}

/* Hugging Face's "longest_first": the longer text gives way until both are as
 * long as the shorter, then both, the first giving the odd one. */
static void cut(source *a, source *b, size_t room)
{
    source *first = !b || a->most <= b->most ? a : b, *second = first == a ? b : a;     /* the shorter, the longer */
    if (!second) {
        if (first->most > room) first->most = room;
        return;
    }
    if (first->most + second->most <= room) return;
    second->most = first->most > room || first->most > room - first->most ? first->most : room - first->most;
    if (first->most + second->most <= room) return;
    first->most = room / 2;
    second->most = room - room / 2;
}

static size_t added(const lithe_tokenizer *t, bool pair)
{
    const template *form = pair ? &t->pair : &t->single;
    size_t n = 0;
    for (int i = 0; i < form->n; i++) n += form->item[i].id >= 0;
    return n;
}

static size_t fit(const lithe_tokenizer *t, source a, source *b, size_t limit, place out)
{
    size_t around = added(t, b);
    if (limit) cut(&a, b, limit > around ? limit - around : 0);
    return fill(t, &a, b, out);
}

size_t lithe_encode_pair(const lithe_tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t limit,
                         int32_t *ids, int32_t *types, size_t cap)
{
    if (!t) return 0;
    source first = { a ? a : "", NULL, a ? a_len : 0, 0 }, second = { b, NULL, b_len, 0 };
    first.most = lithe_encode(t, first.text, first.len, 0, NULL, 0);
    if (b) second.most = lithe_encode(t, b, b_len, 0, NULL, 0);
    return fit(t, first, b ? &second : NULL, limit, (place){ ids, types, 0, ids ? cap : 0 });
}

size_t lithe_join(const lithe_tokenizer *t, const int32_t *a, size_t a_n, const int32_t *b, size_t b_n, size_t limit,
                  int32_t *ids, int32_t *types, size_t cap)
{
    if (!t) return 0;
    source first = { NULL, a, a_n, a_n }, second = { NULL, b, b_n, b_n };
    return fit(t, first, b ? &second : NULL, limit, (place){ ids, types, 0, ids ? cap : 0 });
}
