/* Finding and sampling text files. */
#include "sources.h"
#include "inputs.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 32 };

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && !strcmp(name + n - m, end);
}

static bool is_packed(const char *name) { return ends_with(name, ".gz") || ends_with(name, ".zst"); }

static bool is_text(const char *name)
{
    static const char *const ends[] = { ".txt", ".jsonl", ".txt.gz", ".jsonl.gz", ".txt.zst", ".jsonl.zst" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) if (ends_with(name, ends[i])) return true;
    return false;
}

/* ---- finding ---------------------------------------------------------------- */

static int add_file(sources *s, const char *path, double bytes, lithe_error *err)
{
    size_t n = (size_t)s->count + 1;
    char **paths = realloc(s->paths, n * sizeof *paths);
    if (paths) s->paths = paths;
    bool *packed = realloc(s->packed, n * sizeof *packed);
    if (packed) s->packed = packed;
    double *sizes = realloc(s->bytes, n * sizeof *sizes);
    if (sizes) s->bytes = sizes;
    char *copy = strdup(path);
    if (!paths || !packed || !sizes || !copy) { free(copy); return wrong(err, LITHE_ENOMEM, "%s: out of memory", path); }
    s->packed[s->count] = is_packed(path);
    s->bytes[s->count] = s->packed[s->count] ? 3 * bytes : bytes;
    s->any_packed |= s->packed[s->count];
    s->total += s->bytes[s->count];
    s->paths[s->count++] = copy;
    return LITHE_OK;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int add_directory(sources *s, const char *path, int depth, lithe_error *err)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, visible, by_bytes), status = LITHE_OK;
    if (n < 0) return wrong(err, LITHE_EIO, "%s: cannot read directory, %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        char name[4096];
        struct stat at;
        bool fits = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name;
        if (status || !fits || lstat(name, &at)) { }
        else if (S_ISDIR(at.st_mode)) { if (depth < DEEPEST) status = add_directory(s, name, depth + 1, err); }
        else if (is_text(name) && stat(name, &at) == 0 && S_ISREG(at.st_mode)) status = add_file(s, name, (double)at.st_size, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int sources_find(sources *s, const char *const *paths, int n, lithe_error *err)
{
    *s = (sources){ 0 };
    for (int i = 0; i < n && err->status == LITHE_OK; i++) {
        struct stat at;
        if (!strcmp(paths[i], "-")) s->standard_input = 1;
        else if (stat(paths[i], &at)) wrong(err, LITHE_EIO, "%s: cannot open, %s", paths[i], strerror(errno));
        else if (S_ISDIR(at.st_mode)) add_directory(s, paths[i], 0, err);
        else add_file(s, paths[i], (double)at.st_size, err);
    }
    return err->status;
}

void sources_free(sources *s)
{
    for (int i = 0; i < s->count; i++) free(s->paths[i]);
    free(s->paths);
    free(s->packed);
    free(s->bytes);
    *s = (sources){ 0 };
}

/* ---- the text field of a line of JSON ---------------------------------------- */

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) if (*p == '\\') p++;
    return p < end ? p + 1 : end;
}

static const char *blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p;
}

/* Behind one value: a string, or anything up to the comma or bracket that ends it. */
static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end && (depth || (*p != ',' && *p != '}'))) {
        if (*p == '"') { p = skip_string(p, end); continue; }
        if (*p == '[' || *p == '{') depth++;
        if (*p == ']' || *p == '}') depth--;
        p++;
    }
    return p;
}

static unsigned hex4(const char *p, const char *end)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        int c = p + i < end ? p[i] | 32 : 0;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) return 0xfffd;
        code = code << 4 | (unsigned)digit;
    }
    return code;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) *to++ = (char)c;
    else if (c < 0x800) { *to++ = (char)(0xc0 | c >> 6); *to++ = (char)(0x80 | (c & 63)); }
    else if (c < 0x10000) { *to++ = (char)(0xe0 | c >> 12); *to++ = (char)(0x80 | (c >> 6 & 63)); *to++ = (char)(0x80 | (c & 63)); }
    else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* The string at p ('"') unescaped into `to`, where it is never longer than in
 * the file: a \u of six bytes becomes at most three. */
static char *unescape(const char *p, const char *end, char *to)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    for (p++; p < end && *p != '"'; p++) {
        if (*p != '\\' || p + 1 >= end) { *to++ = *p; continue; }
        const char *letter = strchr(letters, *++p);
        if (*p == 'u') {
            unsigned c = hex4(p + 1, end), low = 0;
            if (end - p > 4) p += 4;
            if (c >= 0xd800 && c < 0xdc00 && end - p > 6 && p[1] == '\\' && p[2] == 'u') low = hex4(p + 3, end);
            if (low >= 0xdc00 && low < 0xe000) { c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00); p += 6; }
            else if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
            to = put_utf8(to, c);
        }
        else *to++ = *p && letter ? meanings[letter - letters] : *p;
    }
    return to;
}

/* Puts the `text` field of the object in p .. end-1 into `to`; where it ends. */
static char *text_field(const char *p, const char *end, char *to)
{
    p = blanks(p, end);
    if (p == end || *p != '{') return to;
    p++;
    while ((p = blanks(p, end)) < end && *p == '"') {
        const char *key = p, *value = blanks(skip_string(p, end), end);
        bool is_it = value - key >= 6 && !memcmp(key, "\"text\"", 6);
        if (value == end || *value != ':') return to;
        value = blanks(value + 1, end);
        if (is_it && value < end && *value == '"') return unescape(value, end, to);
        p = skip_value(value, end);
        if (p < end && *p == ',') p++;
    }
    return to;
}

/* Lines of JSON become their texts, in place. */
static size_t texts_of_lines(char *text, size_t size)
{
    char *to = text;
    for (const char *p = text, *end = text + size; p < end; ) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end) line_end = end;
        char *behind = text_field(p, line_end, to);
        if (behind > to && behind + 2 <= line_end) { *behind++ = '\n'; *behind++ = '\n'; }
        to = behind;
        p = line_end + (line_end < end);
    }
    return (size_t)(to - text);
}

/* ---- sampling --------------------------------------------------------------- */

static size_t cut_at_line(const char *text, size_t size, double share)
{
    if ((double)size <= share) return size;
    size_t n = share < 1 ? 0 : (size_t)share;
    const char *line = memrchr(text, '\n', n);
    return line ? (size_t)(line - text) + 1 : n;
}

char *sources_text(const sources *s, double limit, size_t *size, lithe_error *err)
{
    double fraction = s->total > limit ? limit / s->total : 1;
    char *all = grab(1, 1, err);
    *size = 0;
    for (int i = 0; i < s->count && err->status == LITHE_OK; i++) {
        size_t n = 0;
        if (s->packed[i]) continue;
        char *text = read_text(s->paths[i], &n, err);
        if (!text) break;
        bool lines = ends_with(s->paths[i], ".jsonl");
        n = cut_at_line(text, n, fraction * (double)n);
        if (lines) n = texts_of_lines(text, n);
        char *larger = realloc(all, *size + n + 1);
        if (!larger) wrong(err, LITHE_ENOMEM, "%s: out of memory for %zu bytes of text", s->paths[i], *size + n);
        else {
            all = larger;
            memcpy(all + *size, text, n);
            *size += n;
        }
        free(text);
    }
    if (err->status == LITHE_OK) return all;
    free(all);
    return NULL;
}
