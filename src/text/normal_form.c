/* utf8proc normalizes the stretches that need it.  An ASCII character never composes
 * with the text before it, so a stretch is one ASCII character and the other
 * characters after it.  Canonical ordering takes time quadratic in a run of combining
 * marks, so a run is split after 256 (UAX #15 itself proposes 30). */
#include "text/normal_form.h"
#include "base/utf8.h"
#include "text/bert_text.h"
#include "text/charsmap.h"
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

static void put_form(text_buffer *b, normal_kind kind, const char *text, size_t len)
{
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &form,
                                      (utf8proc_option_t)options[kind]);
    if (n < 0) b->failed = true;
    else text_append(b, (const char *)form, (size_t)n);
    free(form);
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
        text_append(b, to, t);
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
    return kind <= NORMAL_DROP_MARKS && is_ascii(text, len);
}

static void take_step(text_buffer *b, const normal_step *s, const char *text, size_t len)
{
    switch (s->kind) {
    case NORMAL_NFC: case NORMAL_NFD: case NORMAL_NFKC: case NORMAL_NFKD: normal_form(b, s->kind, text, len); break;
    case NORMAL_SPACED:     bert_spaced(b, text, len); break;
    case NORMAL_DROP_MARKS: bert_drop_marks(b, text, len); break;
    case NORMAL_CLEAN:      bert_clean(b, text, len); break;
    case NORMAL_LOWER:      bert_lower(b, text, len); break;
    case NORMAL_PREPEND:    text_append(b, s->to, strlen(s->to)); text_append(b, text, len); break;
    case NORMAL_CHARSMAP:   charsmap_apply(s->map, b, text, len); break;
    case NORMAL_REPLACE:    replace(b, s->from, s->to, text, len); break;
    }
}

char *normalize(const normal_step *steps, int n, const char *text, size_t len, size_t *out)
{
    char *now = (char *)(uintptr_t)text;
    *out = len;
    for (int i = 0; i < n && *out; i++) {
        text_buffer b = { 0 };
        if (is_needless(steps[i].kind, now, *out)) continue;
        take_step(&b, &steps[i], now, *out);
        if (b.failed) { free(b.bytes); continue; }
        if (now != text) free(now);
        now = b.bytes;
        *out = b.n;
    }
    return now;
}
