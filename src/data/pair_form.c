/* The special tokens around one text or two (data/labelled.h), and what is cut
 * away so that they fit: Hugging Face's longest_first.  With n1 the shorter text
 * and m tokens of room, the longer one keeps max(n1, m - n1); where both are still
 * too long, the shorter half of the room goes to the shorter text. */
#include "data/labelled.h"
#include "text/tokenizer.h"
#include <string.h>

/* Items of a template up to and past the text `until` (0: to its end). */
static bool take(form_part *p, const template *t, int *at, int32_t until, int *type)
{
    for (; *at < t->n; ++*at) {
        const template_item *item = &t->item[*at];
        if (item->id == until && until) { *type = item->type; ++*at; return true; }
        if (item->id < 0 || p->n == FORM_MOST) return false;
        p->ids[p->n] = item->id;
        p->types[p->n++] = item->type;
    }
    return !until;
}

/* A tokenizer without a template for two puts its end of text between them. */
static bool two_without_template(pair_form *f, const lithe_tokenizer *t)
{
    int32_t eos = lithe_tokenizer_eos(t);
    f->pair_before = f->before;
    f->pair_behind = f->behind;
    if (eos >= 0) f->between = (form_part){ .ids = { eos }, .n = 1 };
    return true;
}

int pair_form_open(pair_form *f, const lithe_tokenizer *t, lithe_error *err)
{
    static const template alone = { .item = { { TEXT_A, 0 } }, .n = 1 };
    const template *one = t && t->single.n ? &t->single : &alone;
    int at = 0, type = 0, pair_at = 0;
    *f = (pair_form){ 0 };
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "there is no tokenizer");
    bool fits = take(&f->before, one, &at, TEXT_A, &type) && take(&f->behind, one, &at, 0, &type);
    if (!t->pair.n) fits = fits && two_without_template(f, t);
    else fits = fits && take(&f->pair_before, &t->pair, &pair_at, TEXT_A, &type) && take(&f->between, &t->pair, &pair_at, TEXT_B, &f->second_type)
             && take(&f->pair_behind, &t->pair, &pair_at, 0, &type);
    return fits ? LITHE_OK : fail(err, LITHE_EINVAL, "the tokenizer's template is not special tokens around a text, and around a text and a second one");
}

static int put_part(const form_part *p, int at, int32_t *ids, int *types)
{
    memcpy(ids + at, p->ids, (size_t)p->n * sizeof *ids);
    memcpy(types + at, p->types, (size_t)p->n * sizeof *types);
    return at + p->n;
}

static int put_text(id_text a, int keep, int type, int at, int32_t *ids, int *types)
{
    if (keep > 0) memcpy(ids + at, a.ids, (size_t)keep * sizeof *ids);
    for (int i = 0; i < keep; i++) types[at + i] = type;
    return at + keep;
}

static void cut_longest(int *longer, int *shorter, int room)
{
    int spare = room - *shorter > *shorter ? room - *shorter : *shorter;
    if (*longer > spare) *longer = spare;
    if (*longer + *shorter <= room) return;
    *shorter = room / 2;
    *longer = room - room / 2;
}

int pair_length(const pair_form *f, int a, int b)
{
    return b < 0 ? f->before.n + a + f->behind.n : f->pair_before.n + a + f->between.n + b + f->pair_behind.n;
}

int pair_write(const pair_form *f, id_text a, id_text b, int limit, int32_t *ids, int *types, int *cut)
{
    bool pair = b.n >= 0;
    int na = a.n, nb = pair ? b.n : 0, room = limit - pair_length(f, 0, pair ? 0 : -1), at;
    if (room < 0) room = 0;
    if (!pair) { if (na > room) na = room; }
    else if (na + nb > room) { if (na > nb) cut_longest(&na, &nb, room); else cut_longest(&nb, &na, room); }
    if (cut) *cut = a.n - na + (pair ? b.n - nb : 0);
    at = put_part(pair ? &f->pair_before : &f->before, 0, ids, types);
    at = put_text(a, na, 0, at, ids, types);
    if (pair) at = put_text(b, nb, f->second_type, put_part(&f->between, at, ids, types), ids, types);
    return put_part(pair ? &f->pair_behind : &f->behind, at, ids, types);
}
