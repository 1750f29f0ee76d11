/* Reads BERT's vocab.txt: one piece a line, whose id is the number of the line.  A piece that
 * occurs twice is found under its last id.  The steps and the template that belong to it,
 * which a tokenizer.json spells out, are set here too. */
#include "text/tokenizer.h"
#include "base/utf8.h"

static void put_item(template *t, int32_t id, int32_t type) { t->item[t->n++] = (template_item){ id, type }; }

void tokenizer_around(lithe_tokenizer *t, int32_t cls, int32_t sep, int middle, int32_t type)
{
    t->single.n = t->pair.n = 0;
    for (int two = 0; two < 2; two++) {
        template *f = two ? &t->pair : &t->single;
        put_item(f, cls, 0);
        put_item(f, TEXT_A, 0);
        for (int i = 0; i < middle && two; i++) put_item(f, sep, 0);
        if (two) put_item(f, TEXT_B, type);
        put_item(f, sep, two ? type : 0);
    }
}

void tokenizer_bert_shape(lithe_tokenizer *t, bert_options how)
{
    t->model = MODEL_WORDPIECE;
    t->bpe.characters = t->cleanup = t->worded = true;
    t->prefix = t->glue = "##";
    t->wordpiece.longest = WORDPIECE_LONGEST;
    normal_kind steps[] = { NORMAL_CLEAN, NORMAL_SPACED, NORMAL_NFD, NORMAL_DROP_MARKS, NORMAL_LOWER };
    bool taken[] = { true, how.spaced, how.marks, how.marks, how.lower };
    for (int i = 0; i < 5; i++)
        if (taken[i]) t->normal[t->n_normal++] = (normal_step){ .kind = steps[i] };
    t->split[t->n_split++] = (split_step){ .kind = SPLIT_BERT };
}

/* ---- lines ---------------------------------------------------------------------------- */

/* The line that ends at text[*end], *end > 0, without its line break; *end becomes its start. */
static const char *last_line(const char *text, size_t *end, size_t *len)
{
    size_t stop = *end - (text[*end - 1] == '\n'), start = stop;
    while (start > 0 && text[start - 1] != '\n') start--;
    *end = start;
    *len = stop - start - (stop > start && text[stop - 1] == '\r');
    return text + start;
}

static int64_t count_lines(const char *text, size_t len)
{
    int64_t lines = len && text[len - 1] != '\n';
    for (size_t i = 0; i < len; i++) lines += text[i] == '\n';
    return lines;
}

/* The lines are read from the last to the first, so that of two equal ones the last is found. */
static int read_lines(lithe_tokenizer *t, const char *text, size_t len, const char *what, lithe_error *err)
{
    size_t end = len, n;
    for (int64_t id = count_lines(text, len) - 1; end > 0; id--) {
        const char *line = last_line(text, &end, &n);
        if (utf8_valid(line, n) < n || memchr(line, 0, n))
            return fail(err, LITHE_EFORMAT, "%s: line %lld is not text in UTF-8; expected a vocab.txt, one piece a line", what, (long long)id + 1);
        bool findable = pieces_find(&t->vocabulary, line, n) < 0;
        if (tokenizer_add(&t->vocabulary, id, line, n, findable, what, err)) return err->status;
    }
    return LITHE_OK;
}

int tokenizer_add_bert_specials(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    static const char *const names[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
    int32_t id[5];
    for (int i = 0; i < 5; i++) {
        id[i] = pieces_find(&t->vocabulary, names[i], strlen(names[i]));
        added_entry e = { .text = names[i], .len = strlen(names[i]), .id = id[i], .special = true };
        if (id[i] >= 0 && tokenizer_add_entry(t, e, what, err)) return err->status;
    }
    if (id[1] < 0) return fail(err, LITHE_EFORMAT, "%s: has no line [UNK]; expected a vocab.txt of BERT", what);
    t->wordpiece.unknown = id[1];
    if (id[2] >= 0 && id[3] >= 0) tokenizer_around(t, id[2], id[3], 1, 1);
    return LITHE_OK;
}

lithe_tokenizer *tokenizer_from_pieces(const char *text, size_t len, bert_options how, const char *what, lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    if (!t) return NULL;
    tokenizer_bert_shape(t, how);
    if (!read_lines(t, text, len, what, err) && !tokenizer_add_bert_specials(t, what, err) && !tokenizer_finish(t, what, err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}
