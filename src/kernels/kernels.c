/* Chooses the table of this machine.  A level needs the CPU's instructions and the
 * support of the operating system: the state that it saves on a switch (XGETBV), and for
 * AMX the permission to use tiles.  Levels are filled in order, each on top of
 * the one before. */
#include "kernels/kernels.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && !defined(LITHE_DOUBLE)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct { unsigned a, b, c, d; } registers;

static registers cpuid(unsigned leaf, unsigned sub)
{
    registers r = {0};
    __get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d);
    return r;
}

static bool all(unsigned value, unsigned bits) { return (value & bits) == bits; }

/* XCR0: bits 1, 2 for AVX; 5 to 7 for AVX-512; 17, 18 for the tiles. */
static bool os_saves(unsigned bits)
{
    unsigned low, high;
    if (!all(cpuid(1, 0).c, bit_OSXSAVE)) return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return all(low, bits);
}

static bool has_avx2(void)
{
    return all(cpuid(1, 0).c, bit_AVX | bit_FMA | bit_F16C) && os_saves(0x6) && all(cpuid(7, 0).b, bit_AVX2);
}

static bool has_avx512(void)
{
    return os_saves(0xe6) && all(cpuid(7, 0).b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
}

/* Linux lets a process use the tiles when it asks (Documentation/arch/x86/xstate.rst). */
static bool has_amx(void)
{
    enum { LEAF7_AMX_BF16 = 1 << 22, LEAF7_AMX_TILE = 1 << 24, LEAF7_AMX_INT8 = 1 << 25, LEAF7_VNNI = 1 << 11, LEAF7_1_AVX512_BF16 = 1 << 5 };
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };               /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    if (!os_saves(0x600e6) || !all(cpuid(7, 0).d, LEAF7_AMX_BF16 | LEAF7_AMX_TILE | LEAF7_AMX_INT8) || !all(cpuid(7, 0).c, LEAF7_VNNI)) return false;
    return all(cpuid(7, 1).a, LEAF7_1_AVX512_BF16) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

#if defined(__aarch64__) && !defined(LITHE_DOUBLE)
#include <sys/auxv.h>

static bool has_neon(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMD; }
#endif

static bool has_ref(void) { return true; }

#define ROW(level, unused) { #level, has_##level, kernels_##level },
static const struct { const char *name; bool (*present)(void); void (*fill)(kernels *); } levels[] = { KERNEL_LEVELS(ROW, ) };
enum { LEVELS = sizeof levels / sizeof *levels };

static kernels tables[LEVELS];
static int highest;                             /* the highest level of this machine; each level needs those below it */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (int i = 0; i < LEVELS && levels[i].present(); i++) {
        if (i) tables[i] = tables[i - 1];
        levels[i].fill(&tables[i]);
        highest = i;
    }
}

static int level_named(const char *name)
{
    for (int i = 0; i < LEVELS; i++)
        if (!strcmp(levels[i].name, name)) return i;
    return -1;
}

const kernels *kernels_default(void)
{
    const char *mask = getenv("LITHE_CPU");
    int wanted = mask ? level_named(mask) : -1;
    pthread_once(&once, fill_tables);
    return &tables[wanted >= 0 && wanted < highest ? wanted : highest];
}

const kernels *kernels_level(const char *name)
{
    int level = level_named(name);
    pthread_once(&once, fill_tables);
    return level >= 0 && level <= highest ? &tables[level] : NULL;
}
