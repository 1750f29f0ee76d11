/* A folder of small files, held in memory and put on disk, and what a fuzzer's
 * bytes do to it.  Each edit is one of
 *
 *   splice    a few bytes of a file are cut out and others put in their place
 *   number    a number of its text becomes one at which arithmetic breaks
 *   whole     the file is what is left of the input
 *
 * so a hostile file stays one that a reader gets far into. */
#ifndef FUZZ_EDITS_H
#define FUZZ_EDITS_H

#include "scratch.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_FILES = 40, FOLDER_FILE_BYTES = 1 << 18, FOLDER_PATH = 800 };

typedef struct { char name[80]; uint8_t *bytes; size_t size; } folder_file;
typedef struct { char dir[SCRATCH_PATH]; folder_file file[FOLDER_FILES]; int count; } folder;

/* ---- folders ---- */

static inline void folder_make(const char *path) { if (mkdir(path, 0700) && !path_is_dir(path)) abort(); }

/* Reads the files below dir/prefix. */
static inline void folder_read(folder *f, const char *prefix)
{
    char path[FOLDER_PATH];
    snprintf(path, sizeof path, "%s/%s", f->dir, prefix);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[300], at[FOLDER_PATH];
        struct stat s;
        if (e->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "/" : "", e->d_name);
        snprintf(at, sizeof at, "%s/%s", f->dir, name);
        if (stat(at, &s)) abort();
        if (S_ISDIR(s.st_mode)) { folder_read(f, name); continue; }
        if (f->count == FOLDER_FILES || strlen(name) >= sizeof f->file[0].name) abort();
        folder_file *file = &f->file[f->count++];
        strcpy(file->name, name);
        if (!(file->bytes = (uint8_t *)file_read(at, FOLDER_FILE_BYTES, &file->size, NULL))) abort();
    }
    if (d) closedir(d);
}

/* In the order of their names, whatever order the directory has. */
static inline int folder_order(const void *a, const void *b) { return strcmp(((const folder_file *)a)->name, ((const folder_file *)b)->name); }
static inline void folder_sort(folder *f) { qsort(f->file, (size_t)f->count, sizeof *f->file, folder_order); }

static inline folder_file *folder_find(folder *f, const char *name)
{
    for (int i = 0; i < f->count; i++)
        if (!strcmp(f->file[i].name, name)) return &f->file[i];
    return NULL;
}

static inline void folder_put(const folder *f, const folder_file *file)
{
    char path[sizeof f->dir + sizeof file->name + 2];
    snprintf(path, sizeof path, "%.*s/%.*s", (int)sizeof f->dir, f->dir, (int)sizeof file->name, file->name);
    for (char *slash = path + strlen(f->dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        folder_make(path);
        *slash = '/';
    }
    unlink(path);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(file->bytes, 1, file->size, out) != file->size || fclose(out)) abort();
}

static inline void folder_put_all(const folder *f)
{
    if (dir_remove(f->dir, NULL)) abort();
    folder_make(f->dir);
    for (int i = 0; i < f->count; i++) folder_put(f, &f->file[i]);
}

/* The same folder with bytes of its own, which can be changed. */
static inline folder folder_copy(const folder *f)
{
    folder copy = *f;
    for (int i = 0; i < f->count; i++) {
        copy.file[i].bytes = malloc(f->file[i].size + 1);
        if (!copy.file[i].bytes) abort();
        memcpy(copy.file[i].bytes, f->file[i].bytes, f->file[i].size);
    }
    return copy;
}

static inline void folder_free(folder *f)
{
    for (int i = 0; i < f->count; i++) free(f->file[i].bytes);
}

/* ---- edits ---- */

typedef struct { const uint8_t *data; size_t size; } fuzz_bytes;

static inline unsigned take_byte(fuzz_bytes *b)
{
    if (!b->size) return 0;
    b->size--;
    return *b->data++;
}

/* size bytes of *file from `at` on become the n bytes given. */
static inline void splice(folder_file *file, size_t at, size_t size, const void *bytes, size_t n)
{
    if (at > file->size) at = file->size;
    if (size > file->size - at) size = file->size - at;
    if (file->size - size + n > FOLDER_FILE_BYTES) return;
    uint8_t *out = malloc(file->size - size + n + 1);
    if (!out) abort();
    memcpy(out, file->bytes, at);
    memcpy(out + at, bytes, n);
    memcpy(out + at + n, file->bytes + at + size, file->size - at - size);
    free(file->bytes);
    file->bytes = out;
    file->size = file->size - size + n;
}

/* Where number `which` of the text stands. */
static inline size_t find_number(const folder_file *file, unsigned which, size_t *length)
{
    size_t first[256], lengths[256], count = 0, text = file->size < 1 << 14 ? file->size : 1 << 14;
    for (size_t i = 0; i < text && count < 256; i++) {
        size_t n = 0;
        while (i + n < text && file->bytes[i + n] && strchr("0123456789.eE+-", file->bytes[i + n])) n++;
        bool digit = false;
        for (size_t k = 0; k < n; k++) digit |= file->bytes[i + k] >= '0' && file->bytes[i + k] <= '9';
        bool begins = !i || strchr(" :[,\"\n\t", file->bytes[i - 1]);
        if (digit && begins) { first[count] = i; lengths[count++] = n; }
        i += n;
    }
    *length = count ? lengths[which % count] : 0;
    return count ? first[which % count] : 0;
}

/* One edit of *file; how it is done comes from the input too. */
static inline void edit(folder_file *file, fuzz_bytes *b)
{
    static const char *const numbers[] = {
        "0", "1", "2", "3", "7", "8", "16", "64", "100", "255", "256", "1000", "4096", "65535", "65536", "1048576", "16777216", "1073741824", "2147483646", "2147483647",
        "2147483648", "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "18446744073709551616", "-1", "-2", "-2147483648", "-2147483649",
        "-9223372036854775808", "0.0", "0.5", "-0.5", "1.0", "1e-300", "1e300", "1e999", "null", "true", "false", "\"\"", "[]", "{}", "[1,2]", "\"gelu\"",
    };
    unsigned how = take_byte(b);
    if (how < 128) {
        unsigned which = take_byte(b);
        const char *text = numbers[take_byte(b) % (sizeof numbers / sizeof *numbers)];
        size_t length, at = find_number(file, which, &length);
        splice(file, at, length, text, strlen(text));
    } else if (how < 250) {
        size_t at = take_byte(b) | take_byte(b) << 8, cut = take_byte(b) % 32, n = take_byte(b) % 32;
        if (n > b->size) n = b->size;
        splice(file, file->size ? at % (file->size + 1) : 0, cut, b->data, n);
        b->data += n;
        b->size -= n;
    } else {
        splice(file, 0, file->size, b->data, b->size);
        b->size = 0;
    }
}

#endif
