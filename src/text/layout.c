/* Texts and the special tokens around them (text/layout.h).  A text that is not ids yet is
 * encoded straight into its place; when it is truncated, no more of its ids are
 * written. */
#include "text/layout.h"
#include "text/tokenizer.h"
#include <stdlib.h>

_Static_assert(TOKENIZER_STEPS <= SPECIALS_MOST, "a template's special tokens fit a layout");

/* ---- the special tokens around texts ---------------------------------------------------- */

/* Takes the special tokens of a template up to its next text, and returns the type of that text. */
static special_run take_run(const template *t, int *at, int32_t *type)
{
    special_run r = { .n = 0 };
    for (; *at < t->n && t->item[*at].id >= 0; ++*at, r.n++) {
        r.ids[r.n] = t->item[*at].id;
        r.types[r.n] = t->item[*at].type;
    }
    if (*at < t->n) *type = t->item[(*at)++].type;
    return r;
}

static frame frame_of(const template *t, bool two)
{
    frame f = { .type_b = 1 };
    int at = 0;
    f.before = take_run(t, &at, &f.type_a);
    if (two) f.between = take_run(t, &at, &f.type_b);
    f.after = take_run(t, &at, &f.type_b);
    return f;
}

static frame two_without_template(const lithe_tokenizer *t, const frame *one)
{
    frame f = *one;
    int32_t end = lithe_tokenizer_eos(t);
    if (end >= 0) f.between = (special_run){ .ids = { end }, .n = 1 };
    f.type_b = 1;
    return f;
}

layout layout_of(const lithe_tokenizer *t)
{
    layout l = { .one = frame_of(&t->single, false), .left = t->cut_left };
    l.two = t->pair.n ? frame_of(&t->pair, true) : two_without_template(t, &l.one);
    return l;
}

/* ---- lengths ----------------------------------------------------------------------------- */

static size_t added(const frame *f) { return f->before.n + f->between.n + f->after.n; }

size_t layout_length(const layout *l, size_t a)               { return added(&l->one) + a; }
size_t layout_length_two(const layout *l, size_t a, size_t b) { return added(&l->two) + a + b; }

int layout_fits(const layout *l, bool two, size_t limit, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (limit > added(two ? &l->two : &l->one)) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "a context of %zu leaves no room between the special tokens", limit);
}

/* ---- one sequence ------------------------------------------------------------------------ */

/* A text, or its ids; `most` of them are used, after the first `skip`. */
typedef struct { const char *text; const int32_t *ids; size_t len, most, skip; } source;
typedef struct { int32_t *ids, *types; size_t n, cap; } place;

static void put_run(const special_run *r, place *out)
{
    for (size_t i = 0; i < r->n; i++, out->n++) {
        if (out->n >= out->cap) continue;
        out->ids[out->n] = r->ids[i];
        if (out->types) out->types[out->n] = r->types[i];
    }
}

/* The n ids after those that are skipped; out of memory: the first n. */
static void encode_end(const lithe_tokenizer *t, const source *s, int32_t *out, size_t n)
{
    int32_t *all = xrealloc(NULL, s->skip + n, sizeof *all);
    lithe_encode(t, s->text, s->len, 0, all ? all : out, all ? s->skip + n : n);
    if (all) memcpy(out, all + s->skip, n * sizeof *out);
    free(all);
}

static void put_source(const lithe_tokenizer *t, const source *s, int32_t type, place *out)
{
    size_t room = out->n < out->cap ? out->cap - out->n : 0, n = s->most < room ? s->most : room;
    int32_t *at = n ? out->ids + out->n : NULL;
    if (n && s->text && s->skip) encode_end(t, s, at, n);
    else if (n && s->text) lithe_encode(t, s->text, s->len, 0, at, n);
    else if (n) memcpy(at, s->ids + s->skip, n * sizeof *at);
    for (size_t i = 0; i < n && out->types; i++) out->types[out->n + i] = type;
    out->n += s->most;
}

static void cut(source *a, source *b, size_t room)
{
    source *shorter = !b || a->most <= b->most ? a : b, *longer = shorter == a ? b : a;
    if (!longer) {
        if (shorter->most > room) shorter->most = room;
        return;
    }
    if (shorter->most + longer->most <= room) return;
    longer->most = shorter->most > room || shorter->most > room - shorter->most ? shorter->most : room - shorter->most;
    if (shorter->most + longer->most <= room) return;
    shorter->most = room / 2;
    longer->most = room - room / 2;
}

static size_t write_sequence(const layout *l, const lithe_tokenizer *t, source a, source *b, size_t limit, place out)
{
    const frame *f = b ? &l->two : &l->one;
    const size_t all_a = a.most, all_b = b ? b->most : 0;
    if (limit) cut(&a, b, limit > added(f) ? limit - added(f) : 0);
    if (l->left) a.skip = all_a - a.most;
    if (l->left && b) b->skip = all_b - b->most;
    put_run(&f->before, &out);
    put_source(t, &a, f->type_a, &out);
    put_run(&f->between, &out);
    if (b) put_source(t, b, f->type_b, &out);
    put_run(&f->after, &out);
    return out.n;
}

size_t layout_write(const layout *l, id_text a, const id_text *b, size_t limit, int32_t *ids, int32_t *types, size_t cap)
{
    source first = { .ids = a.ids, .most = a.n }, second = { .ids = b ? b->ids : NULL, .most = b ? b->n : 0 };
    return write_sequence(l, NULL, first, b ? &second : NULL, limit, (place){ ids, types, 0, ids ? cap : 0 });
}

size_t lithe_encode_pair(const lithe_tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t limit,
                         int32_t *ids, int32_t *types, size_t cap)
{
    if (!t) return 0;
    layout l = layout_of(t);
    source first = { .text = a ? a : "", .len = a ? a_len : 0 }, second = { .text = b, .len = b_len };
    first.most = lithe_encode(t, first.text, first.len, 0, NULL, 0);
    if (b) second.most = lithe_encode(t, b, b_len, 0, NULL, 0);
    return write_sequence(&l, t, first, b ? &second : NULL, limit, (place){ ids, types, 0, ids ? cap : 0 });
}

size_t lithe_join(const lithe_tokenizer *t, const int32_t *a, size_t a_n, const int32_t *b, size_t b_n, size_t limit,
                  int32_t *ids, int32_t *types, size_t cap)
{
    if (!t) return 0;
    layout l = layout_of(t);
    return layout_write(&l, (id_text){ a, a_n }, b ? &(id_text){ b, b_n } : NULL, limit, ids, types, cap);
}
