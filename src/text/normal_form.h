/* Changes to a text before it is split into words: Unicode normal forms (UAX #15),
 * BERT's steps (bert_text.h), replacements, and maps of characters.  Normal forms and
 * replacements leave bytes that are not UTF-8 as they are. */
#ifndef TEXT_NORMAL_FORM_H
#define TEXT_NORMAL_FORM_H

#include "text/text_buffer.h"

typedef enum {
    /* These change no ASCII. */
    NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD, NORMAL_SPACED, NORMAL_DROP_MARKS, NORMAL_STRIP_ACCENTS,
    NORMAL_CLEAN, NORMAL_LOWER, NORMAL_PREPEND, NORMAL_REPLACE, NORMAL_CHARSMAP,
    NORMAL_REPLACE_MATCHES,    /* of a regular expression */
    NORMAL_PRECOMPILED,        /* a charsmap as Hugging Face's library applies it */
    NORMAL_TRIM,               /* white space at the beginning, the end, or both */
    NORMAL_NMT                 /* controls are dropped, blanks become spaces */
} normal_kind;

typedef struct {
    normal_kind kind;
    const char *from, *to;     /* REPLACE: from -> to; PREPEND, REPLACE_MATCHES: to; borrowed */
    struct pattern *pattern;   /* REPLACE_MATCHES */
    const struct charsmap *map;            /* CHARSMAP, PRECOMPILED; borrowed */
    bool start, end;           /* TRIM */
} normal_step;

/* Applies all steps in order.  The result is text itself if nothing changed, else
 * memory to be freed.  If memory is out the text stays as it is.
 * origin: where the text comes from, with no ranges; it becomes the result's, its range to be freed.
 * NULL: not asked. */
char *normalize(const normal_step *steps, int n, const char *text, size_t len, size_t *out, text_origin *origin);

#endif
