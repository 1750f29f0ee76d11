/* A file that a verb writes line by line.  Of the first write that fails the reason is kept, which stdio forgets. */
#ifndef CLI_OUTPUT_FILE_H
#define CLI_OUTPUT_FILE_H

#include "lithe.h"
#include <stdio.h>

/* Stays in its place while it is open. */
typedef struct { FILE *stream; const char *path; int fd, error; } output_file;

int output_file_open(output_file *f, const char *path, lithe_error *err);
/* Fails if any of it could not be written. */
int output_file_close(output_file *f, lithe_error *err);

#endif
