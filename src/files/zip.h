/* Zip archives whose members are stored, not compressed, as torch.save writes them.
 * Members that are read point into the caller's bytes. */
#ifndef FILES_ZIP_H
#define FILES_ZIP_H

#include "base/error.h"
#include <stddef.h>
#include <stdio.h>

typedef struct {
    const char *name; size_t length;            /* not NUL-terminated */
    const uint8_t *data; size_t size;
    size_t offset;                              /* of the local header */
} zip_member;

typedef struct { zip_member *members; size_t count; } zip;     /* sorted by name */

/* what names the archive in messages.  z is to be closed on success only. */
int  zip_open(zip *z, const char *what, const uint8_t *data, size_t size, lithe_error *err);
void zip_close(zip *z);
const zip_member *zip_find(const zip *z, const char *name, size_t length);

/* Writing: entries has room for capacity of them; names are borrowed until zip_finish, which writes the directory.
 * Write errors are those of the stream. */
typedef struct { const char *name; uint64_t size, offset; uint32_t checksum; } zip_entry;
typedef struct { FILE *out; zip_entry *entries; size_t count, capacity; uint64_t at; bool failed; } zip_writer;
void zip_put(zip_writer *z, const char *name, const void *data, size_t size);
int  zip_finish(zip_writer *z, const char *what, lithe_error *err);

#endif
