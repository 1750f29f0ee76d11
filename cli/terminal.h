/* Files and models hold text of anyone.  Where a stream is a terminal, it passes through a filter that shows control
 * characters, which could move the cursor or reprogram the terminal, as '?'. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdio.h>

void terminal_begin(void);          /* puts the filter before stdout and stderr, where these are terminals */
/* Writes text of a model: on a terminal none of it, not even a colour, is the program's own. */
void put_foreign(FILE *f, const char *text, size_t n);
/* Empties the terminal that f is, and the next character stands in its first corner. */
void terminal_clear(FILE *f);
int  stream_fd(FILE *f);            /* the descriptor of a standard stream */

#endif
