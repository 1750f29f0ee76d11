/* Images inside a tar archive (POSIX ustar, with GNU's and pax's long names):
 * headers of 512 bytes, each before its file's bytes, padded to 512.  A link is the file of the archive that it leads
 * to, as it is in a folder.
 * Invariant: nothing outside the archive's bytes is read, whatever a header says. */
#include "base/arena.h"
#include "data/image_set.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, NAME_MOST = 4096, HOPS = 16 };
enum { AT_NAME = 0, AT_SIZE = 124, AT_SUM = 148, AT_TYPE = 156, AT_LINK = 157, AT_MAGIC = 257, AT_PREFIX = 345 };

/* Digits of base 8 up to a space or NUL, or GNU's base 256; SIZE_MAX for anything else. */
static size_t number(const uint8_t *p, int n)
{
    size_t value = 0;
    if (p[0] & 0x80) {
        for (int i = 0; i < n; i++) {
            if (value >> 48) return SIZE_MAX;
            value = value << 8 | (i ? p[i] : p[i] & 0x7f);
        }
        return value;
    }
    while (n > 0 && *p == ' ') p++, n--;
    for (; n > 0 && *p >= '0' && *p <= '7'; p++, n--) value = value << 3 | (size_t)(*p - '0');
    return n == 0 || !*p || *p == ' ' ? value : SIZE_MAX;
}

/* The sum of a header's bytes, where its own field counts as spaces. */
static bool sum_agrees(const uint8_t *h)
{
    size_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
    return sum == number(h + AT_SUM, 8);
}

static void header_name(const uint8_t *h, char name[NAME_MOST])
{
    bool ustar = !memcmp(h + AT_MAGIC, "ustar", 5) && h[AT_MAGIC + 5] == 0 && h[AT_PREFIX];
    snprintf(name, NAME_MOST, "%.155s%s%.100s", ustar ? (const char *)h + AT_PREFIX : "", ustar ? "/" : "", (const char *)h + AT_NAME);
}

static void copy_name(const uint8_t *bytes, size_t size, char name[NAME_MOST])
{
    size_t n = strnlen((const char *)bytes, size < NAME_MOST - 1 ? size : NAME_MOST - 1);
    memcpy(name, bytes, n);
    name[n] = 0;
}

/* The value of a key (" path=") among pax's records "LENGTH KEY=VALUE\n". */
static void pax_value(const uint8_t *bytes, size_t size, const char *word, char value[NAME_MOST])
{
    const size_t n = strlen(word);
    for (size_t at = 0; at < size; ) {
        size_t length = 0, key = at;
        while (key < size && isdigit(bytes[key]) && length < size) length = 10 * length + (size_t)(bytes[key++] - '0');
        if (length <= key - at || length > size - at) return;
        if (length > key - at + n + 1 && !memcmp(bytes + key, word, n)) copy_name(bytes + key + n, length - (key - at) - n - 1, value);
        at += length;
    }
}

/* ---- links ------------------------------------------------------------------------------ */

/* A file or, with a target, a link. */
typedef struct { const char *name, *target; const uint8_t *bytes; size_t size; bool hard; } member;
typedef struct { member *at; size_t count, room; } members;

static int keep(image_set *s, members *m, member x, lithe_error *err)
{
    if (m->count == m->room) {
        const size_t room = m->room ? 2 * m->room : 64;
        member *more = xrealloc(m->at, room, sizeof *more);
        if (!more) return fail(err, LITHE_ENOMEM, "%s: out of memory for an archive", x.name);
        m->at = more;
        m->room = room;
    }
    if (!(x.name = set_text(s, x.name, err)) || (x.target && !(x.target = set_text(s, x.target, err)))) return LITHE_ENOMEM;
    m->at[m->count++] = x;
    return LITHE_OK;
}

/* Appends the components of path to out, which ends with none of ".", ".." or an empty one; false: it leads out. */
static bool walk(char out[NAME_MOST], const char *path, size_t len)
{
    for (size_t at = 0, n; at < len; at += n + 1) {
        const char *slash = memchr(path + at, '/', len - at);
        n = slash ? (size_t)(slash - path) - at : len - at;
        const bool up = n == 2 && !memcmp(path + at, "..", 2);
        char *end = strrchr(out, '/');
        if (!n || (n == 1 && path[at] == '.')) continue;
        if (up && !*out) return false;
        if (up) *(end ? end : out) = 0;
        else if (strlen(out) + n + 2 > NAME_MOST) return false;
        else snprintf(out + strlen(out), NAME_MOST - strlen(out), "%s%.*s", *out ? "/" : "", (int)n, path + at);
    }
    return true;
}

/* The name, from the archive's root, of what a link leads to. */
static bool leads_to(const member *link, char out[NAME_MOST])
{
    const char *slash = strrchr(link->name, '/');
    *out = 0;
    if (!link->hard && *link->target == '/') return false;
    return (link->hard || !slash || walk(out, link->name, (size_t)(slash - link->name))) && walk(out, link->target, strlen(link->target));
}

static int by_name(const void *x, const void *y) { return strcmp(((const member *)x)->name, ((const member *)y)->name); }

/* The file that a link leads to, through others; NULL: none of the archive. */
static const member *follow(const members *all, const member *m)
{
    char target[NAME_MOST];
    const member wanted = { .name = target };
    for (int hops = 0; m && m->target; hops++)
        m = hops < HOPS && leads_to(m, target) ? bsearch(&wanted, all->at, all->count, sizeof wanted, by_name) : NULL;
    return m;
}

/* Links to files of the archive are those files under other names; others are left out. */
static int add_links(image_set *s, const char *path, const members *all, const members *links, image_part part, lithe_error *err)
{
    int status = LITHE_OK;
    if (all->count) qsort(all->at, all->count, sizeof *all->at, by_name);
    for (size_t i = 0; i < links->count && !status; i++) {
        const member *link = &links->at[i], *file = follow(all, link);
        status = file ? image_file_add(s, path, link->name, file->bytes, file->size, part, err) : set_leave(s, LEFT_LINK, path, link->name, err);
    }
    return status;
}

/* Under its name from the archive's root. */
static int keep_plain(image_set *s, members *all, member x, lithe_error *err)
{
    char plain[NAME_MOST] = "";
    const bool inside = walk(plain, x.name, strlen(x.name));
    x.name = plain;
    return inside ? keep(s, all, x, err) : LITHE_OK;
}

/* ---- headers ------------------------------------------------------------------------------ */

/* Files join the set, and links are kept; or, with `all`, both are kept for those to be followed. */
static int read_members(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, members *all, members *links, lithe_error *err)
{
    char name[NAME_MOST], longer[NAME_MOST] = "", target[NAME_MOST] = "";
    for (size_t at = 0; at < size && bytes[at]; ) {
        const uint8_t *h = bytes + at;
        if (size - at < BLOCK) return fail(err, LITHE_EFORMAT, "%s: ends after %zu bytes in the middle of a header", path, size);
        size_t length = number(h + AT_SIZE, 12);
        if (!sum_agrees(h)) return fail(err, LITHE_EFORMAT, "%s: is damaged at byte %zu: the sum of a header is wrong", path, at);
        at += BLOCK;
        if (length > size - at) return fail(err, LITHE_EFORMAT, "%s: ends after %zu bytes in the middle of a file", path, size);
        char type = (char)h[AT_TYPE];
        header_name(h, name);
        if (type == 'L') copy_name(bytes + at, length, longer);
        else if (type == 'K') copy_name(bytes + at, length, target);
        else if (type == 'x') pax_value(bytes + at, length, " path=", longer), pax_value(bytes + at, length, " linkpath=", target);
        else {
            const char *full = *longer ? longer : name;
            const bool file = type == '0' || type == 0, link = type == '1' || type == '2';
            int status = LITHE_OK;
            if (link && !*target) copy_name(h + AT_LINK, AT_MAGIC - AT_LINK, target);
            const member x = { .name = full, .target = link ? target : NULL, .bytes = bytes + at, .size = length, .hard = type == '1' };
            if (all && (file || link)) status = keep_plain(s, all, x, err);
            else if (file) status = image_file_add(s, path, full, x.bytes, x.size, part, err);
            else if (link) status = keep(s, links, x, err);
            if (status) return status;
            *longer = *target = 0;
        }
        size_t padded = (length + BLOCK - 1) / BLOCK * BLOCK;
        at = padded > size - at ? size : at + padded;
    }
    return LITHE_OK;
}

int tar_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    members all = { 0 }, links = { 0 };
    const size_t before = set_runs(s);
    int status = read_members(s, path, bytes, size, part, NULL, &links, err);
    if (!status && links.count) status = read_members(s, path, bytes, size, part, &all, NULL, err);
    if (!status) status = add_links(s, path, &all, &links, part, err);
    set_sort(s, before);
    free(all.at);
    free(links.at);
    return status;
}
