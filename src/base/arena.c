/* An arena is a list of blocks, which hold the allocations one after the other; each block is
 * twice as large as the one before it, so that an arena for one name costs little.
 * Large blocks come straight from the system in whole huge pages: the
 * TLB, not the cache, bounds a GEMM over a large weight on 4 KiB pages.
 * Invariant: memory handed out is zero. */
#include "base/arena.h"
#include "base/system.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/kernel_file.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGN = 16, LEAST_BYTES = 1 << 10, BLOCK_BYTES = 64 << 10 };
#define HUGE_PAGE ((size_t)2 << 20)
#define LOOK_BYTES ((size_t)64 << 20)

struct arena_block {
    struct arena_block *next;
    size_t used, capacity;
    _Alignas(ALIGN) unsigned char bytes[];
};

static atomic_size_t allocations;

/* p, or NULL, of which the next error of this thread tells. */
static void *noted(void *p)
{
    if (!p) fail_later(LITHE_ENOMEM, "out of memory");
    return p;
}

static void count(void) { atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed); }

size_t allocation_count(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

static struct arena_block *new_block(size_t capacity)
{
    size_t total;
    if (!size_add(capacity, sizeof(struct arena_block), &total)) return noted(NULL);
    struct arena_block *b = noted(calloc(1, total));
    if (b) b->capacity = capacity;
    return b;
}

static size_t next_capacity(const struct arena_block *last)
{
    size_t twice = last ? 2 * last->capacity : LEAST_BYTES;
    return twice < BLOCK_BYTES ? twice : BLOCK_BYTES;
}

void *arena_alloc(arena *a, size_t bytes)
{
    count();
    if (!size_add(bytes, ALIGN - 1, &bytes)) return noted(NULL);
    bytes &= ~(size_t)(ALIGN - 1);
    struct arena_block *b = a->blocks;
    if (!b || b->capacity - b->used < bytes) {
        size_t next = next_capacity(b);
        b = new_block(bytes > next ? bytes : next);
        if (!b) return NULL;
        if (a->blocks && bytes > BLOCK_BYTES) {        /* keep filling the block in use */
            b->next = a->blocks->next;
            a->blocks->next = b;
        } else {
            b->next = a->blocks;
            a->blocks = b;
        }
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

char *arena_strdup(arena *a, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(a, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void arena_free(arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

/* Maps one page too many and returns the parts outside the aligned range to the system. */
static void *map_aligned(size_t bytes)
{
    size_t reserve;
    if (!size_add(bytes, HUGE_PAGE, &reserve)) return NULL;
    unsigned char *p = os.mmap(NULL, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    size_t head = (HUGE_PAGE - ((uintptr_t)p & (HUGE_PAGE - 1))) & (HUGE_PAGE - 1);
    if (head) munmap(p, head);
    if (HUGE_PAGE - head) munmap(p + head + bytes, HUGE_PAGE - head);
    madvise(p + head, bytes, MADV_HUGEPAGE);
    return p + head;
}

static bool round_up(size_t bytes, size_t unit, size_t *out)
{
    if (!size_add(bytes, unit - 1, out)) return false;
    *out &= ~(unit - 1);
    return true;
}

/* The kernel gives memory that it does not have, and kills later, when it is touched.  So what is large is compared
 * with what there is, counting what has been given here and is not touched yet. */
static atomic_size_t given;

static bool is_there(size_t bytes)
{
    long pages = 0;
    size_t all = atomic_load(&given) + bytes;
    if (bytes < LOOK_BYTES) return true;
    char line[128];
    if (kernel_first_line("/proc/self/statm", line, sizeof line) && sscanf(line, "%*d %ld", &pages) != 1) pages = 0;
    return (double)all <= memory_available() + (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void *map_given(size_t bytes)
{
    void *p = is_there(bytes) ? map_aligned(bytes) : NULL;
    if (p) atomic_fetch_add(&given, bytes);
    return p;
}

void *big_alloc(size_t bytes)
{
    size_t rounded;
    count();
    if (bytes >= HUGE_PAGE) return noted(round_up(bytes, HUGE_PAGE, &rounded) ? map_given(rounded) : NULL);
    round_up(bytes ? bytes : 1, 64, &rounded);
    void *p = noted(aligned_alloc(64, rounded));
    return p ? memset(p, 0, rounded) : NULL;
}

void big_free(void *p, size_t bytes)
{
    size_t rounded;
    if (!p) return;
    if (bytes < HUGE_PAGE) free(p);
    else if (round_up(bytes, HUGE_PAGE, &rounded)) {
        munmap(p, rounded);
        atomic_fetch_sub(&given, rounded);
    }
}

void big_small_pages(void *p, size_t bytes)
{
    if (p && bytes >= HUGE_PAGE) madvise(p, bytes, MADV_NOHUGEPAGE);
}

void big_drop(void *p, size_t bytes, size_t first, size_t end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), from, to = end / page * page;
    if (!p || bytes < HUGE_PAGE || !round_up(first, page, &from)) return;
    if (from < to) madvise((char *)p + from, to - from, MADV_DONTNEED);
}

void *xalloc(size_t n, size_t size)
{
    count();
    return noted(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
    size_t bytes;
    count();
    return noted(size_mul(n, size, &bytes) ? realloc(p, bytes ? bytes : 1) : NULL);
}

char *xstrdup(const char *text) { return xstrndup(text, strlen(text)); }

char *xstrndup(const char *text, size_t n)
{
    n = strnlen(text, n);
    char *copy = xalloc(n + 1, 1);
    return copy ? memcpy(copy, text, n) : NULL;
}
