/* How one text or a pair becomes one sequence of ids: the special tokens around the texts,
 * the token types, and the truncation that makes all of it fit.  Training, evaluation,
 * classification, embedding and masks lay out their texts here and nowhere else.
 *
 *   one text     before A after
 *   a pair       before A between B after
 *
 * A tokenizer with a template for one text only uses it for pairs too, with its
 * end-of-text token, if it has one, between the two texts. */
#ifndef TEXT_LAYOUT_H
#define TEXT_LAYOUT_H

#include "base/error.h"

enum { SPECIALS_MOST = 16 };
typedef struct { int32_t ids[SPECIALS_MOST], types[SPECIALS_MOST]; size_t n; } special_run;
typedef struct { special_run before, between, after; int32_t type_a, type_b; } frame;
typedef struct { frame one, two; bool left; } layout;       /* left: texts that are too long lose their beginning */

layout layout_of(const lithe_tokenizer *t);

/* The ids of a text without special tokens. */
typedef struct { const int32_t *ids; size_t n; } id_text;

/* The tokens of a text of a ids, or of two, uncut; those around no ids at all are the special ones. */
size_t layout_length(const layout *l, size_t a);
size_t layout_length_two(const layout *l, size_t a, size_t b);

/* One line unless limit ids hold the special tokens around one text, or around two, and a token between them. */
int layout_fits(const layout *l, bool two, size_t limit, lithe_error *err);

/* A text, or two where b is not NULL, cut to limit ids (0: none) at their ends, or at their beginnings, as Hugging
 * Face's "longest_first" does: the longer text gives way until both are as long as the shorter, then both, the first
 * giving the odd one.  The first `cap` ids and types (or NULL) are written.  Returns how many ids there are: more than
 * limit where it does not fit the special tokens. */
size_t layout_write(const layout *l, id_text a, const id_text *b, size_t limit, int32_t *ids, int32_t *types, size_t cap);

#endif
