/* Files that are written: to a temporary name, which is fsynced, renamed, and its directory
 * fsynced: a reader sees the old file or the new one. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include "base/error.h"
#include <stdio.h>

typedef struct { FILE *stream; char *path, *temporary, *buffer; struct written *to; } writer;

/* writer_open(&w, path) ... fwrite(w.stream) ... writer_commit(&w).  On any
 * failure, or writer_abandon, the temporary file is removed and path is as it
 * was.  writer_commit reports write errors that happened at any time before.
 * A path that names a device or a pipe is refused; a link is written through. */
int  writer_open(writer *w, const char *path, lithe_error *err);
int  writer_commit(writer *w, lithe_error *err);
void writer_abandon(writer *w);
int  file_write(const char *path, const void *data, size_t size, lithe_error *err);     /* open, write and commit */
int  file_copy(const char *from, const char *to, lithe_error *err);

#endif
