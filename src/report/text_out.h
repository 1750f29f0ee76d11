/* A page that is written piece by piece; the first failure to grow sticks. */
#ifndef REPORT_TEXT_OUT_H
#define REPORT_TEXT_OUT_H

#include "base/arena.h"
#include <stddef.h>

typedef struct { char *text; size_t n, room; bool failed; } text_out;        /* zero is empty; free(text) */

void out_print(text_out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text with < > & " escaped; bytes that are not UTF-8 and control characters become U+FFFD. */
void out_escaped(text_out *o, const char *text, size_t most);

#endif
