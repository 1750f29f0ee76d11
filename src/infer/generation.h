/* What generation of one text (generate.c) and of many (generate_batch.c) share. */
#ifndef INFER_GENERATION_H
#define INFER_GENERATION_H

#include "infer/infer.h"
#include "infer/text_stream.h"

typedef enum { FAILED, GOES_ON, LENGTH, STOP, EOS, FULL, CANCELLED } ending;

/* The reason that callers get; NULL for FAILED and GOES_ON. */
const char *ending_name(ending e);

/* Adds the id that was chosen to a text: returns whether that ends it, and in *shown what may be shown now.  full:
 * there is no room to read the id. */
ending text_take(text_stream *s, const lithe_model *m, const lithe_generation *o, int32_t id, bool full, shown_text *shown, lithe_error *err);

#endif
