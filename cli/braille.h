/* Curves in braille characters, two by four dots each. */
#ifndef CLI_BRAILLE_H
#define CLI_BRAILLE_H

#include <stddef.h>
#include <stdio.h>

/* Draws y over x, ascending, in `columns` x `lines` characters between the least and the largest value, which stand
 * before the first and the last line. */
void braille_draw(FILE *out, const double *x, const double *y, size_t n, int columns, int lines);

#endif
