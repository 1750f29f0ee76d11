/* The texts of a verb: its operands, or the lines of a file. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "inputs.h"

typedef struct { const char **texts, **pairs; size_t count; char *memory; } lines;

/* The texts, then the lines of the file at path (NULL: none; "-": standard input), empty ones too, so that results
 * stand row beside row; with pairs, a tab in a line separates the two texts of a pair.  pairs[i] is NULL if text i is
 * not a pair. */
int  lines_open(lines *l, const char *const *texts, int n, const char *path, bool pairs, lithe_error *err);
void lines_close(lines *l);

#endif
