/* The steps call each other for every piece, so no list of pieces is kept. */
#include "text/split.h"
#include "base/arena.h"
#include "text/bert_text.h"
#include "text/pattern.h"
#include "text/text_buffer.h"
#include "text/trie.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* first: where the beginning of the whole text is; NULL: it is not among the pieces. */
typedef struct { const split_step *steps; int n; split_word word; void *context; const char *first; text_origin *origin; } job;

static void run(const job *j, int i, const char *text, size_t len);

/* ---- matches and gaps become pieces ------------------------------------------------- */

typedef struct {
    const job *job;
    int step;
    const char *text;
    size_t start, end;         /* the piece that is held back */
    bool match;                /* the piece is a match, or ends with one */
} cutter;

static void cutter_flush(cutter *c)
{
    if (c->end > c->start) run(c->job, c->step + 1, c->text + c->start, c->end - c->start);
    c->start = c->end;
}

/* Takes the next match or gap, in order; together they cover the text. */
static void cut(cutter *c, size_t start, size_t end, bool match)
{
    const split_step *s = &c->job->steps[c->step];
    match ^= s->invert;
    bool held = c->end > c->start, join = false;
    switch (s->behavior) {
    case SPLIT_ISOLATED: case SPLIT_REMOVED: break;
    case SPLIT_WITH_PREVIOUS: join = held && match && !c->match; break;
    case SPLIT_WITH_NEXT:     join = held && c->match && !match; break;
    case SPLIT_CONTIGUOUS:    join = held && c->match == match; break;
    }
    if (!join) {
        cutter_flush(c);
        c->start = start;
    }
    c->end = end;
    c->match = match;
    if (s->behavior == SPLIT_REMOVED && match) c->start = end;
}

/* Finds the matches of a pattern in text[from .. to), which is valid UTF-8; empty matches only split. */
static void cut_pattern(cutter *c, pattern *p, size_t from, size_t to)
{
    const char *text = c->text + from;
    size_t len = to - from, at = 0, done = 0, start, end, last = SIZE_MAX;
    pattern_begin(p, len);
    while (at <= len && pattern_find(p, text, len, at, &start, &end)) {
        if (start == end && end == last) {                  /* an empty match directly after a match */
            if (at >= len) break;
            int32_t ch;
            at += (size_t)utf8_next(text + at, len - at, &ch);
            last = SIZE_MAX;
            continue;
        }
        if (start > done) cut(c, from + done, from + start, false);
        cut(c, from + start, from + end, true);
        at = done = last = end;
    }
    if (len > done) cut(c, from + done, to, false);
}

/* Goes through the valid stretches; a byte that is not UTF-8 never matches. */
static void split_pattern(cutter *c, pattern *p, size_t len)
{
    size_t from = 0, i = 0, gap = SIZE_MAX;
    while (i < len) {
        int32_t ch;
        size_t k = (size_t)utf8_next(c->text + i, len - i, &ch);
        if (ch < 0 && gap == SIZE_MAX) {
            if (i > from) cut_pattern(c, p, from, i);
            gap = i;
        } else if (ch >= 0 && gap != SIZE_MAX) {
            cut(c, gap, i, false);
            from = i;
            gap = SIZE_MAX;
        }
        i += k;
    }
    if (gap != SIZE_MAX) cut(c, gap, len, false);
    else if (len > from) cut_pattern(c, p, from, len);
}

static bool is_number(int32_t c) { return utf8_class(c) == CLASS_NUMBER; }

/* Characters of a kind are the matches. */
static void split_characters(cutter *c, bool (*is_match)(int32_t c), size_t len)
{
    size_t done = 0, k;
    for (size_t i = 0; i < len; i += k) {
        int32_t ch;
        k = (size_t)utf8_next(c->text + i, len - i, &ch);
        if (!is_match(ch)) continue;
        if (i > done) cut(c, done, i, false);
        cut(c, i, i + k, true);
        done = i + k;
    }
    if (len > done) cut(c, done, len, false);
}

/* ---- the other steps ------------------------------------------------------------------ */

/* A text that a step changes, and the trace of it where one is kept. */
typedef struct { text_buffer b; text_trace trace; text_origin outer; } changed;

static void begin_change(changed *c, const job *j, const char *text, size_t len)
{
    int32_t first;
    *c = (changed){ .b = { 0 } };
    if (!j->origin) return;
    c->outer = *j->origin;
    c->trace = (text_trace){ .from = c->outer, .bytes = (size_t)(text - c->outer.text) + len };
    c->b.trace = &c->trace;
    text_stands_for(&c->b, text, (size_t)utf8_next(text, len, &first));
}

/* The words come from the changed text until its end. */
static void enter_change(changed *c, const job *j)
{
    if (j->origin) *j->origin = (text_origin){ c->b.bytes, 0, c->trace.range };
}

static void end_change(changed *c, const job *j)
{
    if (j->origin) *j->origin = c->outer;
    free(c->trace.range);
    free(c->b.bytes);
}

static void prefix_space(const job *j, int i, const char *text, size_t len)
{
    if (text[0] == ' ') { run(j, i + 1, text, len); return; }
    changed c;
    begin_change(&c, j, text, len);
    text_append(&c.b, " ", 1);
    text_append(&c.b, text, len);
    job inner = *j;
    inner.first = text == j->first ? c.b.bytes : NULL;
    if (c.b.failed) run(j, i + 1, text, len);
    else { enter_change(&c, j); run(&inner, i + 1, c.b.bytes, c.b.n); }
    end_change(&c, j);
}

/* Before each mark. */
static void run_marked(const job *j, int i, const char *mark, const char *text, size_t len)
{
    const size_t m = strlen(mark);
    while (len) {
        const char *next = memmem(text + 1, len - 1, mark, m);
        const size_t n = next ? (size_t)(next - text) : len;
        run(j, i, text, n);
        text += n;
        len -= n;
    }
}

static void metaspace(const job *j, int i, const char *text, size_t len)
{
    const split_step *s = &j->steps[i];
    const size_t m = strlen(s->mark);
    const bool first = text == j->first, marked = text[0] == ' ' || (len >= m && !memcmp(text, s->mark, m));
    changed c;
    begin_change(&c, j, text, len);
    text_buffer *const b = &c.b;
    if (!marked && (s->prefix == PREFIX_ALWAYS || (s->prefix == PREFIX_FIRST && first))) text_append(b, s->mark, m);
    for (size_t at = 0, n; at < len; at += n) {
        const char *space = memchr(text + at, ' ', len - at);
        if (space == text + at) { text_stands_for(b, space, 1); text_append(b, s->mark, m); n = 1; continue; }
        text_append(b, text + at, n = space ? (size_t)(space - text) - at : len - at);
    }
    job inner = *j;
    inner.first = first ? b->bytes : NULL;
    if (!b->failed) enter_change(&c, j);
    if (b->failed) run(j, i + 1, text, len);
    else if (s->whole) run(&inner, i + 1, b->bytes, b->n);
    else run_marked(&inner, i + 1, s->mark, b->bytes, b->n);
    end_change(&c, j);
}

static void split_marks(const job *j, int i, const char *text, size_t len)
{
    const char *mark = j->steps[i].mark;
    size_t m = strlen(mark), start = 0, at = 0;
    bool in_run = true;
    while (at < len) {
        bool here = at + m <= len && !memcmp(text + at, mark, m);
        if (here && !in_run) {
            run(j, i + 1, text + start, at - start);
            start = at;
        }
        in_run = here;
        at += here ? m : 1;
    }
    run(j, i + 1, text + start, len - start);
}

static void split_defined(const job *j, int i, const trie *tree, const char *text, size_t len)
{
    size_t start = 0, k;
    int32_t c;
    for (size_t at = 0; at < len; at += k) {
        if (trie_longest(tree, 0, text + at, len - at, &k) < 0) {
            k = (size_t)utf8_next(text + at, len - at, &c);
            continue;
        }
        run(j, i + 1, text + start, at - start);
        j->word(j->context, text + at, k);
        start = at + k;
    }
    run(j, i + 1, text + start, len - start);
}

static void split_bert(const job *j, int i, const char *text, size_t len)
{
    size_t start = 0, k;
    for (size_t at = 0; at < len; at += k) {
        int32_t c;
        k = (size_t)utf8_next(text + at, len - at, &c);
        bool space = utf8_is_space(c), mark = !space && bert_is_punctuation(c);
        if (!space && !mark) continue;
        run(j, i + 1, text + start, at - start);
        if (mark) run(j, i + 1, text + at, k);
        start = at + k;
    }
    run(j, i + 1, text + start, len - start);
}

static void run(const job *j, int i, const char *text, size_t len)
{
    if (!len) return;
    if (i == j->n) {
        j->word(j->context, text, len);
        return;
    }
    cutter c = { j, i, text, 0, 0, false };
    switch (j->steps[i].kind) {
    case SPLIT_PREFIX_SPACE: prefix_space(j, i, text, len); return;
    case SPLIT_MARKS:        split_marks(j, i, text, len); return;
    case SPLIT_DEFINED:      split_defined(j, i, j->steps[i].tree, text, len); return;
    case SPLIT_METASPACE:    metaspace(j, i, text, len); return;
    case SPLIT_BERT:         split_bert(j, i, text, len); return;
    case SPLIT_GPT2:
        for (size_t at = 0, k; at < len; at += k) run(j, i + 1, text + at, k = split_gpt2(text + at, len - at));
        return;
    case SPLIT_PATTERN:      split_pattern(&c, j->steps[i].pattern, len); break;
    case SPLIT_DIGITS:       split_characters(&c, is_number, len); break;
    case SPLIT_PUNCTUATION:  split_characters(&c, bert_is_punctuation, len); break;
    }
    cutter_flush(&c);
}

void split_text(const split_step *steps, int n, const char *text, size_t len, bool first, split_word word, void *context, text_origin *origin)
{
    job j = { steps, n, word, context, first ? text : NULL, origin };
    run(&j, 0, text, len);
}
