/* utf8proc normalizes the stretches that need it.  An ASCII character never composes
 * with the text before it, so a stretch is one ASCII character and the other
 * characters after it.  Canonical ordering takes time quadratic in a run of combining
 * marks, so a run is split after 256 (UAX #15 itself proposes 30). */
#include "text/normal_form.h"
#include "base/utf8.h"
#include "text/bert_text.h"
#include "text/charsmap.h"
#include "text/pattern.h"
#include <stdlib.h>

#define MARKS 256

/* Whether no normal form changes c, whatever its neighbours are. */
static bool is_inert(int32_t c)
{
    if (c < 128) return true;              /* it composes with the next character only if that is not inert */
    if ((c >= 0x1100 && c < 0x1200) || (c >= 0xac00 && c < 0xd7a4)) return false;       /* Hangul is composed by rule */
    const utf8proc_property_t *p = utf8proc_get_property(c);
    return p->combining_class == 0 && p->decomp_seqindex == UINT16_MAX && p->comb_index == UINT16_MAX;
}

/* The end of the stretch of valid UTF-8 that starts at text[from], and whether any form may change it. */
static size_t stretch_end(const char *text, size_t from, size_t len, bool *inert)
{
    size_t i = from, k;
    *inert = true;
    for (int marks = 0; i < len; i += k) {
        int32_t c;
        k = (size_t)utf8_next(text + i, len - i, &c);
        if (c < 0 || (c < 128 && i > from)) break;
        marks = utf8proc_get_property(c)->combining_class ? marks + 1 : 0;
        if (marks > MARKS) break;
        *inert = *inert && is_inert(c);
    }
    return i;
}

static const int options[] = {
    [NORMAL_NFC]  = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
    [NORMAL_NFD]  = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
    [NORMAL_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
    [NORMAL_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
};

/* The normal form of the text (to be freed), n bytes; NULL: memory is out. */
static char *form_of(normal_kind kind, const char *text, size_t len, size_t *n)
{
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t bytes = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &form, (utf8proc_option_t)options[kind]);
    if (bytes < 0) free(form);
    *n = bytes < 0 ? 0 : (size_t)bytes;
    return bytes < 0 ? NULL : (char *)form;
}

/* The end of the characters from `at` on that have a form of their own: one, if it is to be decomposed, else one and
 * those after it that it may be composed with. */
static size_t unit_end(normal_kind kind, const char *text, size_t at, size_t len)
{
    int32_t c;
    at += (size_t)utf8_next(text + at, len - at, &c);
    for (size_t k; at < len && (kind == NORMAL_NFC || kind == NORMAL_NFKC); at += k) {
        k = (size_t)utf8_next(text + at, len - at, &c);
        if (utf8proc_category(c) != UTF8PROC_CATEGORY_MN && utf8proc_category(c) != UTF8PROC_CATEGORY_MC && !(c >= 0x1160 && c < 0x1200)) break;
    }
    return at;
}

/* Appends the form [n] unit by unit, as far as their own forms make it up, else as one. */
static void put_traced(text_buffer *b, normal_kind kind, const char *text, size_t len, const char *form, size_t n)
{
    size_t done = 0, at = 0, m = 0;
    for (size_t end; at < len && !b->failed; at = end, done += m) {
        end = unit_end(kind, text, at, len);
        char *unit = form_of(kind, text + at, end - at, &m);
        const bool part = unit && m <= n - done && !memcmp(unit, form + done, m);
        free(unit);
        if (!part) break;
        text_append_form(b, form + done, m, text + at, end - at);
    }
    if (at < len) text_append_form(b, form + done, n - done, text + at, len - at);
}

static void put_form(text_buffer *b, normal_kind kind, const char *text, size_t len)
{
    size_t n;
    char *form = form_of(kind, text, len, &n);
    if (!form) b->failed = true;
    else if (b->trace) put_traced(b, kind, text, len, form, n);
    else text_append(b, form, n);
    free(form);
}

/* What is appended next stands for the last character before text[end], as if it had been put after it. */
static void put_after(text_buffer *b, const char *text, size_t end)
{
    size_t begin = end ? end - 1 : 0;
    while (begin && utf8_tail((unsigned char)text[begin])) begin--;
    text_stands_for(b, text + begin, end - begin);
}

static void normal_form(text_buffer *b, normal_kind kind, const char *text, size_t len)
{
    for (size_t i = 0; i < len && !b->failed; ) {
        size_t plain = i;
        while (plain < len && (unsigned char)text[plain] < 128 && (plain + 1 == len || (unsigned char)text[plain + 1] < 128)) plain++;
        text_append(b, text + i, plain - i);
        if (plain == len) break;
        i = plain;
        bool inert;
        size_t end = stretch_end(text, i, len, &inert);
        if (end == i) end++;                                /* not UTF-8 */
        if (inert) text_append(b, text + i, end - i);
        else put_form(b, kind, text + i, end - i);
        i = end;
    }
}

static void replace(text_buffer *b, const char *from, const char *to, const char *text, size_t len)
{
    size_t f = strlen(from), t = strlen(to);
    for (const char *end = text + len, *p; text < end; text = p + f) {
        p = memmem(text, (size_t)(end - text), from, f);
        if (!p) {
            text_append(b, text, (size_t)(end - text));
            break;
        }
        text_append(b, text, (size_t)(p - text));
        put_after(b, text, (size_t)(p - text) + f);
        text_append(b, to, t);
    }
}

/* The matches in text[0 .. len), which is valid UTF-8. */
static void replace_matches(text_buffer *b, pattern *p, const char *to, const char *text, size_t len)
{
    size_t done = 0, at = 0, start, end, last = SIZE_MAX;
    pattern_begin(p, len);
    while (at <= len && pattern_find(p, text, len, at, &start, &end)) {
        if (start == end && end == last) {                  /* an empty match directly after a match */
            int32_t c;
            if (at >= len) break;
            at += (size_t)utf8_next(text + at, len - at, &c);
            last = SIZE_MAX;
            continue;
        }
        text_append(b, text + done, start - done);
        put_after(b, text, end);
        text_append(b, to, strlen(to));
        at = done = last = end;
    }
    text_append(b, text + done, len - done);
}

/* The same in each stretch of UTF-8. */
static void replace_pattern(text_buffer *b, pattern *p, const char *to, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_valid(text + i, len - i);
        if (n) replace_matches(b, p, to, text + i, n);
        else text_append(b, text + i, n = 1);
    }
}

static void trim(text_buffer *b, bool start, bool end, const char *text, size_t len)
{
    size_t from = 0, to = len, k;
    int32_t c;
    while (start && from < len && (k = (size_t)utf8_next(text + from, len - from, &c), utf8_is_space(c))) from += k;
    for (size_t i = from; end && i < len; i += k) {
        k = (size_t)utf8_next(text + i, len - i, &c);
        if (i == from) to = from;
        if (!utf8_is_space(c)) to = i + k;
    }
    text_append(b, text + from, to - from);
}

/* Marks of every kind, unlike BERT's. */
static void strip_accents(text_buffer *b, const char *text, size_t len)
{
    for (size_t i = 0, k; i < len; i += k) {
        int32_t c;
        k = (size_t)utf8_next(text + i, len - i, &c);
        const utf8proc_category_t kind = c < 0x300 ? UTF8PROC_CATEGORY_CN : utf8proc_category(c);
        if (kind != UTF8PROC_CATEGORY_MN && kind != UTF8PROC_CATEGORY_MC && kind != UTF8PROC_CATEGORY_ME) text_append(b, text + i, k);
    }
}

static bool nmt_drops(int32_t c)
{
    return (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f;
}

static bool nmt_is_blank(int32_t c)
{
    return c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
           c == 0x2581 || c == 0xfeff || c == 0xfffd;
}

static void nmt(text_buffer *b, const char *text, size_t len)
{
    for (size_t i = 0, k; i < len; i += k) {
        int32_t c;
        k = (size_t)utf8_next(text + i, len - i, &c);
        text_stands_for(b, text + i, k);
        if (nmt_is_blank(c)) text_append(b, " ", 1);
        else if (!nmt_drops(c)) text_append(b, text + i, k);
    }
}

static bool is_ascii(const char *text, size_t len)
{
    unsigned char any = 0;
    for (size_t i = 0; i < len; i++) any |= (unsigned char)text[i];
    return any < 128;
}

/* The steps that change nothing in an ASCII text. */
static bool is_needless(normal_kind kind, const char *text, size_t len)
{
    return kind <= NORMAL_STRIP_ACCENTS && is_ascii(text, len);
}

static void prepend(text_buffer *b, const char *to, const char *text, size_t len)
{
    int32_t c;
    text_stands_for(b, text, (size_t)utf8_next(text, len, &c));
    text_append(b, to, strlen(to));
    text_append(b, text, len);
}

static void take_step(text_buffer *b, const normal_step *s, const char *text, size_t len)
{
    switch (s->kind) {
    case NORMAL_NFC: case NORMAL_NFD: case NORMAL_NFKC: case NORMAL_NFKD: normal_form(b, s->kind, text, len); break;
    case NORMAL_SPACED:     bert_spaced(b, text, len); break;
    case NORMAL_DROP_MARKS: bert_drop_marks(b, text, len); break;
    case NORMAL_CLEAN:      bert_clean(b, text, len); break;
    case NORMAL_LOWER:      bert_lower(b, text, len); break;
    case NORMAL_PREPEND:    prepend(b, s->to, text, len); break;
    case NORMAL_CHARSMAP:   charsmap_apply(s->map, b, text, len); break;
    case NORMAL_REPLACE:    replace(b, s->from, s->to, text, len); break;
    case NORMAL_REPLACE_MATCHES: replace_pattern(b, s->pattern, s->to, text, len); break;
    case NORMAL_PRECOMPILED: charsmap_apply_precompiled(s->map, b, text, len); break;
    case NORMAL_TRIM:       trim(b, s->start, s->end, text, len); break;
    case NORMAL_STRIP_ACCENTS: strip_accents(b, text, len); break;
    case NORMAL_NMT:        nmt(b, text, len); break;
    }
}

char *normalize(const normal_step *steps, int n, const char *text, size_t len, size_t *out, text_origin *origin)
{
    char *now = (char *)(uintptr_t)text;
    *out = len;
    for (int i = 0; i < n && *out; i++) {
        text_trace trace = { .from = origin ? *origin : (text_origin){ 0 }, .bytes = *out };
        text_buffer b = { .trace = origin ? &trace : NULL };
        if (is_needless(steps[i].kind, now, *out)) continue;
        take_step(&b, &steps[i], now, *out);
        if (b.failed) { free(b.bytes); free(trace.range); continue; }
        if (now != text) free(now);
        if (origin) { free(origin->range); *origin = (text_origin){ b.bytes, 0, trace.range }; }
        now = b.bytes;
        *out = b.n;
    }
    return now;
}
