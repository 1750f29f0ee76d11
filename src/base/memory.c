#include "base/memory.h"
#include <stdio.h>
#include <sys/sysinfo.h>

double memory_limit(void)
{
    struct sysinfo s;
    double bytes = sysinfo(&s) ? 0 : (double)s.totalram * s.mem_unit, limit;
    static const char *const files[] = { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FILE *f = fopen(files[i], "re");
        if (f && fscanf(f, "%lf", &limit) == 1 && limit > 0 && limit < bytes) bytes = limit;
        if (f) fclose(f);
    }
    return bytes;
}
