/* SentencePiece's .model: a protocol buffer (ModelProto) of pieces with scores and
 * types, the settings of the trainer, and the normalization of text.  Models of type
 * BPE and Unigram are read.  A space is U+2581 in pieces; BPE merges the adjacent
 * pair whose joined piece has the highest score, so every way to split a piece in
 * two is a merge, ranked by its score. */
#include "text/tokenizer.h"
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- protocol buffers ------------------------------------------------------------------ */

typedef struct { const unsigned char *at, *end; } wire;
typedef struct { uint64_t number, value; const char *bytes; size_t len; } field;       /* bytes NULL: a number */

static bool read_varint(wire *w, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; w->at < w->end && shift < 64; shift += 7) {
        unsigned char c = *w->at++;
        *value |= (uint64_t)(c & 127) << shift;
        if (c < 128) return true;
    }
    return false;
}

/* Returns 1 for a field, 0 at the end, -1 if the buffer is damaged. */
static int read_field(wire *w, field *f)
{
    uint64_t key;
    if (w->at == w->end) return 0;
    *f = (field){ 0 };
    if (!read_varint(w, &key)) return -1;
    f->number = key >> 3;
    size_t left = (size_t)(w->end - w->at), fixed = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : 0;
    if ((key & 7) == 0) return read_varint(w, &f->value) ? 1 : -1;
    if ((key & 7) == 2) {
        if (!read_varint(w, &f->value) || f->value > (uint64_t)(w->end - w->at)) return -1;
        f->bytes = (const char *)w->at;
        f->len = (size_t)f->value;
        w->at += f->len;
        return 1;
    }
    if (!fixed || fixed > left) return -1;
    for (size_t i = 0; i < fixed; i++) f->value |= (uint64_t)w->at[i] << 8 * i;
    w->at += fixed;
    return 1;
}

static wire inside(const field *f) { return (wire){ (const unsigned char *)f->bytes, (const unsigned char *)f->bytes + f->len }; }

/* ---- the model -------------------------------------------------------------------------- */

enum { LONGEST_PIECE = 256 };              /* bytes; n (n - 1) lookups to cut one */
enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE };

/* How fairseq's dictionaries number the pieces: those for unknown, begin and end, and the others after them by a shift;
 * <pad> is 1, <mask> comes last, and the names with no piece are never used. */
typedef struct fairseq { int32_t first[3], shift; const char *unused[3]; int32_t unused_id[3]; } fairseq;
static const fairseq orders[] = { [NUMBERED_XLMR] = { { 3, 0, 2 }, 1, { NULL }, { 0 } },
                                  [NUMBERED_CAMEMBERT] = { { 3, 5, 6 }, 4, { "<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED" }, { 0, 2, 4 } } };
enum { FAIRSEQ_PAD = 1 };

typedef struct {
    lithe_tokenizer *t;
    const char *what;
    double *scores;            /* [room] */
    size_t n, room;            /* pieces; ids */
    const struct fairseq *order;
    int kind;
    bool fallback;
    int64_t unknown, bos, eos, pad;
} reading;

static int damaged(const reading *r, lithe_error *err)
{
    return fail(err, LITHE_EFORMAT, "%s: is not a SentencePiece model, or is damaged after piece %zu", r->what, r->n);
}

static bool is_byte(const char *text, size_t len, int *byte)
{
    char name[8];
    for (*byte = 0; len == 6 && *byte < 256; ++*byte) {
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)*byte);
        if (!memcmp(name, text, 6)) return true;
    }
    return false;
}

static int put_piece(reading *r, size_t id, const char *text, size_t len, float score, bool findable, lithe_error *err)
{
    if (id >= r->room) {
        size_t room = r->room ? r->room * 2 : 4096;
        double *scores = xrealloc(r->scores, room, sizeof *scores);
        if (!scores) return fail(err, LITHE_ENOMEM, "%s: out of memory", r->what);
        r->scores = scores;
        r->room = room;
    }
    r->scores[id] = (double)score;
    return tokenizer_add(&r->t->vocabulary, (int64_t)id, text, len, findable, r->what, err);
}

static int add_piece(reading *r, const char *text, size_t len, float score, uint64_t type, lithe_error *err)
{
    int byte = -1;
    if (len > LONGEST_PIECE) return fail(err, LITHE_EFORMAT, "%s: piece %zu is %zu bytes long, at most %d are accepted", r->what, r->n, len, LONGEST_PIECE);
    if (type < NORMAL || type > BYTE || !isfinite(score)) return damaged(r, err);
    if (type == BYTE && !is_byte(text, len, &byte)) return damaged(r, err);
    const size_t id = !r->order ? r->n : r->n < 3 ? (size_t)r->order->first[r->n] : r->n + (size_t)r->order->shift;
    if (type == BYTE) r->t->bpe.byte_id[byte] = (int32_t)id;
    r->n++;
    if (type == USER_DEFINED && len && tokenizer_add(&r->t->defined, (int64_t)id, text, len, true, r->what, err)) return err->status;
    return put_piece(r, id, text, len, score, type == NORMAL && len, err);
}

static int read_piece(reading *r, const field *f, lithe_error *err)
{
    wire w = inside(f);
    field part, text = { .bytes = "" };
    float score = 0;
    uint64_t type = NORMAL;
    int more;
    while ((more = read_field(&w, &part)) > 0) {
        uint32_t bits = (uint32_t)part.value;
        if (part.number == 1 && part.bytes) text = part;
        else if (part.number == 2 && !part.bytes) memcpy(&score, &bits, sizeof score);
        else if (part.number == 3 && !part.bytes) type = part.value;
    }
    return more < 0 ? damaged(r, err) : add_piece(r, text.bytes, text.len, score, type, err);
}

/* TrainerSpec: the settings of the trainer. */
static int read_trainer(reading *r, const field *f, lithe_error *err)
{
    wire w = inside(f);
    field part;
    int more;
    while ((more = read_field(&w, &part)) > 0) {
        int64_t id = (int32_t)(uint32_t)part.value;         /* -1 is written as 64 bits */
        switch (part.number) {
        case 3:  r->kind = part.value < INT_MAX ? (int)part.value : 0; break;
        case 24: if (part.value) return fail(err, LITHE_EFORMAT, "%s: white space as a suffix is not supported", r->what); break;
        case 35: r->fallback = part.value; break;
        case 40: r->unknown = id; break;
        case 41: r->bos = id; break;
        case 42: r->eos = id; break;
        case 43: r->pad = id; break;
        case 44:
            if (part.bytes && !(r->t->unknown_text = arena_alloc(&r->t->memory, part.len + 1))) return fail(err, LITHE_ENOMEM, "%s: out of memory", r->what);
            if (part.bytes && part.len) memcpy((char *)(uintptr_t)r->t->unknown_text, part.bytes, part.len);
            break;
        }
    }
    return more < 0 ? damaged(r, err) : LITHE_OK;
}

/* NormalizerSpec. */
static int read_normalizer(reading *r, const field *f, lithe_error *err)
{
    charsmap *m = &r->t->charsmap;
    wire w = inside(f);
    field part;
    int more;
    while ((more = read_field(&w, &part)) > 0) {
        if (part.number == 2 && part.bytes && !m->units && charsmap_open(m, part.bytes, part.len, r->what, err)) return err->status;
        if (part.number == 3) m->add_space = part.value;
        if (part.number == 4) m->trim = part.value;
        if (part.number == 5 && !part.value) return fail(err, LITHE_EFORMAT, "%s: spaces that are not escaped are not supported", r->what);
    }
    return more < 0 ? damaged(r, err) : LITHE_OK;
}

static int read_model(reading *r, const char *data, size_t len, lithe_error *err)
{
    wire w = { (const unsigned char *)data, (const unsigned char *)data + len };
    field f;
    int more;
    while ((more = read_field(&w, &f)) > 0 && !failed(err)) {
        if (!f.bytes) continue;
        if (f.number == 1) read_piece(r, &f, err);
        else if (f.number == 2) read_trainer(r, &f, err);
        else if (f.number == 3) read_normalizer(r, &f, err);
    }
    if (failed(err)) return err->status;
    if (more < 0 || !r->n) return damaged(r, err);
    if (r->kind != UNIGRAM && r->kind != BPE) return fail(err, LITHE_EFORMAT, "%s: a model of type %d is not supported, only Unigram (1) and BPE (2) are", r->what, r->kind);
    for (int i = 0; i < 256 && r->fallback; i++)
        if (r->t->bpe.byte_id[i] < 0) return fail(err, LITHE_EFORMAT, "%s: falls back to bytes, but has no piece for byte %d", r->what, i);
    int64_t ids[] = { r->unknown, r->bos, r->eos, r->pad };
    for (int i = 0; i < 4; i++)
        if (ids[i] >= (int64_t)r->n || (i == 0 && ids[i] < 0)) return fail(err, LITHE_EFORMAT, "%s: special id %lld, expected 0 to %zu", r->what, (long long)ids[i], r->n - 1);
    return LITHE_OK;
}

/* ---- fairseq's numbers -------------------------------------------------------------------- */

/* A token that is found in texts before anything else. */
static int add_found(reading *r, const char *text, int64_t id, bool lstrip, lithe_error *err)
{
    return tokenizer_add_entry(r->t, (added_entry){ .text = text, .len = strlen(text), .id = (int32_t)id, .special = true, .lstrip = lstrip }, r->what, err);
}

/* Gives the roles their ids, and adds the tokens that are no pieces. */
static int renumber(reading *r, lithe_error *err)
{
    const fairseq *o = r->order;
    const int64_t mask = (int64_t)r->n + o->shift;
    if (r->unknown != 0 || r->bos != 1 || r->eos != 2) return fail(err, LITHE_EFORMAT, "%s: <unk>, <s> and </s> are not its first three pieces, as fairseq's numbers need them", r->what);
    r->unknown = o->first[0]; r->bos = o->first[1]; r->eos = o->first[2]; r->pad = FAIRSEQ_PAD;
    for (int i = 0; i < 3 && o->unused[i]; i++)
        if (put_piece(r, (size_t)o->unused_id[i], o->unused[i], strlen(o->unused[i]), 0, false, err)) return err->status;
    if (put_piece(r, FAIRSEQ_PAD, "<pad>", 5, 0, false, err) || put_piece(r, (size_t)mask, "<mask>", 6, 0, false, err)) return err->status;
    add_found(r, "<s>", r->bos, false, err);
    add_found(r, "<pad>", r->pad, false, err);
    add_found(r, "</s>", r->eos, false, err);
    add_found(r, "<unk>", r->unknown, false, err);
    add_found(r, "<mask>", mask, true, err);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* ---- as a tokenizer ------------------------------------------------------------------------ */

/* Pieces that a user has defined: they stay as they are when text is normalized, and are taken before all others. */
static int take_defined(reading *r, lithe_error *err)
{
    lithe_tokenizer *t = r->t;
    if (!t->defined.n) return LITHE_OK;
    if (!trie_build(&t->defined_tree, &t->defined)) return fail(err, LITHE_ENOMEM, "%s: out of memory", r->what);
    t->charsmap.kept = &t->defined_tree;
    return LITHE_OK;
}

/* As SentencePiece scores them so that they win: by the best score of all for each byte, or nearly 0. */
static void score_defined(reading *r, double best)
{
    lithe_tokenizer *t = r->t;
    for (int32_t id = 0; id < t->defined.n; id++) {
        size_t len;
        if (!pieces_has(&t->defined, id)) continue;
        pieces_bytes(&t->defined, id, &len);
        r->scores[id] = (double)((float)len * (float)best) - 0.1;
    }
    if (t->defined.n) t->unigram.defined = &t->defined_tree;
}

static int make_unigram(reading *r, lithe_error *err)
{
    lithe_tokenizer *t = r->t;
    double best = (double)FLT_MIN;
    t->model = MODEL_UNIGRAM;
    t->unigram = (unigram){ .tree = &t->tree, .scores = r->scores, .floats = true, .unknown = (int32_t)r->unknown, .byte_id = r->fallback ? t->bpe.byte_id : NULL };
    for (int32_t id = 0; id < t->vocabulary.n; id++) {
        size_t len;
        const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
        if (pieces_find(&t->vocabulary, bytes, len) != id) continue;
        t->unigram.lowest = fmin(t->unigram.lowest, r->scores[id]);
        best = fmax(best, r->scores[id]);
    }
    score_defined(r, best);
    r->scores = NULL;                                       /* the tokenizer owns them now */
    return failed(err) ? (int)err->status : LITHE_OK;
}

static void set_roles(reading *r)
{
    lithe_tokenizer *t = r->t;
    int32_t bos = (int32_t)r->bos, eos = (int32_t)r->eos, unknown = (int32_t)r->unknown;
    const int32_t roles[ROLES] = { bos, eos, bos, eos, (int32_t)r->pad, -1, unknown };
    for (int i = 0; i < ROLES; i++) t->role[i] = roles[i] < 0 ? -1 : roles[i];
    if (r->order) {
        t->role[ROLE_MASK] = (int32_t)r->n + r->order->shift;
        tokenizer_around(t, bos, eos, 2, 0);
        return;
    }
    if (t->model == MODEL_BPE && bos >= 0) {            /* Llama has a begin-of-text token, T5 an end-of-text token */
        t->single = (template){ { { bos, 0 }, { TEXT_A, 0 } }, 2 };
        t->pair = (template){ { { bos, 0 }, { TEXT_A, 0 }, { bos, 1 }, { TEXT_B, 1 } }, 4 };
    } else if (t->model == MODEL_UNIGRAM && eos >= 0) {
        t->single = (template){ { { TEXT_A, 0 }, { eos, 0 } }, 2 };
        t->pair = (template){ { { TEXT_A, 0 }, { eos, 0 }, { TEXT_B, 0 }, { eos, 0 } }, 4 };
    }
}

/* Puts a step before the others, which are three at most. */
static void split_first(lithe_tokenizer *t, split_step step)
{
    memmove(t->split + 1, t->split, (size_t)t->n_split++ * sizeof *t->split);
    t->split[0] = step;
}

static lithe_tokenizer *from_model(const char *data, size_t len, numbering how, const added_entry *found, size_t n, const char *what, lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    reading r = { .t = t, .what = what, .order = how ? &orders[how] : NULL, .kind = UNIGRAM, .unknown = 0, .bos = 1, .eos = 2, .pad = -1 };
    if (t) {
        t->bpe.characters = t->bpe.fuse_unknown = t->sentencepiece = true;
        t->charsmap.trim = t->charsmap.add_space = true;
        t->mark = SPACE_MARK;
        t->numbering = how;
        t->unknown_text = " \u2047 ";
        t->normal[t->n_normal++] = (normal_step){ .kind = NORMAL_CHARSMAP, .map = &t->charsmap };
    }
    if (t && !read_model(&r, data, len, err) && !(r.order && renumber(&r, err))) {
        t->bpe.unknown = (int32_t)r.unknown;
        if (!take_defined(&r, err) && r.kind == UNIGRAM) make_unigram(&r, err);
        else if (!failed(err) && !tokenizer_score_merges(t, r.scores, (size_t)t->vocabulary.n, what, err)) {
            t->unigram.scores = r.scores;                   /* for a file that holds them again */
            r.scores = NULL;
        }
    }
    free(r.scores);
    for (size_t i = 0; i < n && t && !failed(err); i++) tokenizer_add_entry(t, found[i], what, err);
    if (t && !failed(err) && !tokenizer_finish(t, what, err)) {
        if (t->defined.n && t->model == MODEL_BPE) split_first(t, (split_step){ .kind = SPLIT_DEFINED, .tree = &t->defined_tree });
        set_roles(&r);
        if (!tokenizer_flag(t, what, err)) tokenizer_keep_source(t, data, len, what, err);
    }
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

lithe_tokenizer *tokenizer_from_sentencepiece_with(const char *data, size_t len, const added_entry *found, size_t n, const char *what, lithe_error *err)
{
    return from_model(data, len, NUMBERED_AS_IS, found, n, what, err);
}

lithe_tokenizer *tokenizer_from_fairseq(const char *data, size_t len, numbering how, const char *what, lithe_error *err)
{
    return from_model(data, len, how, NULL, 0, what, err);
}

lithe_tokenizer *tokenizer_from_sentencepiece(const char *data, size_t len, const char *what, lithe_error *err)
{
    return tokenizer_from_sentencepiece_with(data, len, NULL, 0, what, err);
}

/* Spaces become marks, as ever, but where one is put is left to Metaspace. */
void tokenizer_set_scheme(lithe_tokenizer *t, const char *scheme)
{
    t->scheme = scheme;
    t->unprefixed = t->charsmap;
    t->unprefixed.add_space = false;
    if (!strcmp(scheme, "never")) t->charsmap.add_space = false;            /* decoding takes none away */
    t->normal[0].map = &t->unprefixed;
    split_first(t, (split_step){ .kind = SPLIT_METASPACE, .mark = SPACE_MARK, .whole = true,
                                 .prefix = !strcmp(scheme, "never") ? PREFIX_NEVER : PREFIX_FIRST });
}
