/* Files: reading, directories, names and content hashes.  base/mapped_file.h maps them, base/writer.h writes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/mapped_file.h"
#include "base/writer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

/* fail() with the meaning of errno: "path: cannot DOING, why"; a full disk is LITHE_ENOMEM.
 * Without err, what says nothing about the file itself (an I/O error, memory, descriptors) becomes pending. */
int fail_errno(lithe_error *err, const char *path, const char *doing);

/* Opens a regular file for reading; directories, devices and pipes are refused.  Returns the descriptor, or -1. */
int  file_open_regular(const char *path, struct stat *s, lithe_error *err);
/* Fails for a file of `size` bytes that is little more than a hole, which takes no room on the disk but as long to read
 * as its size. */
int  refuse_sparse(const char *path, size_t size, lithe_error *err);
/* Fails for what Git leaves in place of a large file that was not fetched. */
int  refuse_git_pointer(const void *data, size_t size, const char *path, lithe_error *err);

/* The whole file with a NUL after its end, which size does not count; more than
 * limit bytes are refused.  Release with free(). */
char *file_read(const char *path, size_t limit, size_t *size, lithe_error *err);

bool path_exists(const char *path);
bool path_is_dir(const char *path);
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
/* The same of what may be long, which tells how far it is (base/progress.h). */
int      hash_long(const void *data, size_t size, char hex[33], lithe_error *err);
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
