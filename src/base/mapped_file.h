/* Files that are read where they are mapped.  Such a file may be cut or overwritten by others meanwhile: reading beyond
 * its new end is a SIGBUS, and its bytes may become any others.  So whoever gives away what was read of a mapping first
 * asks mapping_intact, and takes nothing that was read of it since opening for checked where that could be an address
 * or a size.
 * After mapping_guard, a handler of SIGBUS puts zeros in the place of what a mapping has lost and notes it. */
#ifndef BASE_MAPPED_FILE_H
#define BASE_MAPPED_FILE_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* An empty file maps to data != NULL, size 0. */
typedef struct { const uint8_t *data; size_t size; struct mapped_file *file; } mapping;

/* Maps a regular file for reading; directories and devices are refused. */
int  file_map(mapping *m, const char *path, lithe_error *err);
void file_unmap(mapping *m);
bool file_same(const char *a, const char *b);               /* both can be read and have the same bytes */

/* Fails with LITHE_EFORMAT, and the file's path and sizes, if the file was cut or overwritten since it was mapped.
 * A file that was replaced by another, or removed, is intact. */
int  mapping_intact(const mapping *m, lithe_error *err);
/* Messages name it so from now on, if path is another name of the same file. */
int  mapping_called(const mapping *m, const char *path, lithe_error *err);
/* Unmaps it and returns status, unless the file is not intact: that is the failure then, and why reading it failed. */
int  mapping_finish(mapping *m, int status, lithe_error *err);

/* Handles SIGBUS from now on.  A fault elsewhere goes to the handler that was there before. */
int  mapping_guard(lithe_error *err);

#endif
