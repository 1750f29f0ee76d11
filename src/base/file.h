/* Files: reading, which maps them, directories, names and content hashes.  base/writer.h writes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/writer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* fail() with the meaning of errno: "path: cannot DOING, why"; a full disk is LITHE_ENOMEM.
 * Without err, what says nothing about the file itself (an I/O error, memory, descriptors) becomes pending. */
int fail_errno(lithe_error *err, const char *path, const char *doing);

typedef struct { const uint8_t *data; size_t size; } mapping;   /* an empty file maps to data != NULL, size 0 */

/* Maps a regular file for reading; directories and devices are refused. */
int  file_map(mapping *m, const char *path, lithe_error *err);
void file_unmap(mapping *m);

/* The whole file with a NUL after its end, which size does not count; more than
 * limit bytes are refused.  Release with free(). */
char *file_read(const char *path, size_t limit, size_t *size, lithe_error *err);

bool file_same(const char *a, const char *b);              /* both can be read and have the same bytes */

bool path_exists(const char *path);
bool path_is_dir(const char *path);
int  dir_is_empty(const char *path, lithe_error *err);      /* 1: yes, or absent; 0: no; below 0: failed */
int  dir_make(const char *path, lithe_error *err);          /* with parents; an existing directory is fine */
int  dir_sync(const char *path, lithe_error *err);          /* fsync of the directory itself */
int  dir_sync_parent(const char *path, lithe_error *err);   /* of the directory that path is in */
int  dir_rename(const char *from, const char *to, lithe_error *err);     /* and fsync of the parent */
int  dir_remove(const char *path, lithe_error *err);        /* with contents, does not follow links */

/* "dir/name", to be released with free(); name may contain '/'.  path_base points into path. */
char *path_join(const char *dir, const char *name);
char *path_parent(const char *path);
const char *path_base(const char *path);
char *path_follow(const char *path, lithe_error *err);      /* what a link names, else path; free() it */

/* 64-bit content hash (XXH3), 128 bits for a whole file as 32 hex digits. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);
void     hash_hex(const void *data, size_t size, char hex[33]);
uint32_t crc32c(uint32_t crc, const void *data, size_t size);   /* Castagnoli; "123456789" gives e3069283 */

/* Numbers of 1 to 8 bytes as files hold them, the lowest byte first. */
static inline uint64_t load_bytes(const uint8_t *p, int bytes)
{
    uint64_t x = 0;
    for (int i = bytes; i--;) x = x << 8 | p[i];
    return x;
}

static inline void store_bytes(uint8_t *p, int bytes, uint64_t x)
{
    for (int i = 0; i < bytes; i++, x >>= 8) p[i] = (uint8_t)x;
}

#endif
