/* Memory with one lifetime: many small allocations and one release.  This file also
 * has the checked arithmetic that every size from a file goes through.
 * When memory is out, a function here returns NULL and leaves a pending failure (base/error.h). */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct arena { struct arena_block *blocks; } arena;     /* zero is an empty arena */

void *arena_alloc(arena *a, size_t bytes);                      /* zeroed, 16-byte aligned; NULL when memory is out */
char *arena_strdup(arena *a, const char *text);
void  arena_free(arena *a);

/* Zeroed, 64-byte aligned, backed by huge pages where the system has them.
 * Release with big_free and the same size. */
void *big_alloc(size_t bytes);
void  big_free(void *p, size_t bytes);
/* Keeps a new allocation in small pages, for memory of which small parts are used, and others given back. */
void  big_small_pages(void *p, size_t bytes);
/* Gives back the memory of the whole pages in bytes first .. end-1 of such an allocation; they are zeros again when
 * they are next used.  Of small allocations nothing is given back. */
void  big_drop(void *p, size_t bytes, size_t first, size_t end);

/* These return false on overflow. */
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

/* How many allocations the whole process has made through arena_alloc,
 * big_alloc, xalloc and xrealloc: a step after planning must not move it. */
size_t allocation_count(void);

/* calloc, realloc, strdup and strndup that are counted; NULL when memory is out. */
void *xalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t count, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t n);

#endif
