/* The special tokens around one text or two (data/labelled.h), and what is cut
 * away so that they fit: Hugging Face's longest_first.  With n1 the shorter text
 * and m tokens of room, the longer one keeps max(n1, m - n1); where both are still
 * too long, the shorter half of the room goes to the shorter text. */
#include "data/labelled.h"
#include "text/tokenizer.h"
#include <string.h>

static void add_ids(form_part *p, const int32_t *ids, size_t n, int type)
{
    for (size_t i = 0; i < n && p->n < FORM_MOST; i++) {
        p->ids[p->n] = ids[i];
        p->types[p->n++] = type;
    }
}

static void add_id(form_part *p, int32_t id, int type) { if (id >= 0) add_ids(p, &id, 1, type); }

/* The parts before, between and behind the texts of a template. */
static void add_parts(form_part *const part[3], const template *f)
{
    for (int i = 0, p = 0; i < f->n; i++) {
        if (f->item[i].id < 0) p++;
        else add_ids(part[p], &f->item[i].id, 1, f->item[i].type);
    }
}

/* What the tokenizer's templates say; where they put nothing between two texts, what ends a text stands there. */
int pair_form_open(pair_form *f, const lithe_tokenizer *t, lithe_error *err)
{
    *f = (pair_form){ 0 };
    if (failed(err)) return err->status;
    int most = t->single.n > t->pair.n ? t->single.n : t->pair.n;
    if (most > FORM_MOST) return fail(err, LITHE_EINVAL, "the tokenizer puts %d tokens around a text, at most %d are known here", most - 1, FORM_MOST);
    add_parts((form_part *[]){ &f->before, &f->behind, &f->behind }, &t->single);
    add_parts((form_part *[]){ &f->pair_before, &f->between, &f->pair_behind }, &t->pair);
    if (f->between.n) {
        for (int i = 0; i < t->pair.n; i++)
            if (t->pair.item[i].id == TEXT_B) f->second_type = t->pair.item[i].type;
        return LITHE_OK;
    }
    f->pair_before = f->before;
    f->pair_behind = f->behind;
    add_id(&f->between, lithe_tokenizer_eos(t), 0);
    return LITHE_OK;
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
