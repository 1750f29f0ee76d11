/* The texts of a verb: its operands, or the lines of a file. */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "inputs.h"

typedef struct { const char **texts, **pairs; size_t count; char *memory; } lines;

/* The texts, then the rows of the file at path (NULL: none; "-": standard input), which are its lines, empty ones too,
 * or of .jsonl the texts of its objects, so that results stand row beside row; with pairs, a tab in a row separates the
 * two texts of a pair.  pairs[i] is NULL if text i is not a pair. */
int  lines_open(lines *l, const char *const *texts, int n, const char *path, bool pairs, lithe_error *err);
void lines_close(lines *l);

#endif
