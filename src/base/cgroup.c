#include "base/cgroup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

/* ---- the groups ------------------------------------------------------------------------ */

static void visit_parents(const char *root, char *path, bool second, cgroup_look *look, void *context)
{
    for (;;) {
        char dir[4400];
        snprintf(dir, sizeof dir, "%s%s", root, path);
        look(context, dir, second);
        char *slash = strrchr(path, '/');
        if (!slash) return;
        *slash = 0;
    }
}

static bool lists(const char *controllers, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = controllers; *at; at += strcspn(at, ","), at += *at == ',')
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return true;
    return false;
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; version 2 is "0::path". */
void cgroups_visit(const char *controller, cgroup_look *look, void *context)
{
    char line[4096], root[64];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        bool second = !*++controllers;
        snprintf(root, sizeof root, "/sys/fs/cgroup%s%s", second ? "" : "/", second ? "" : controller);
        if (second || lists(controllers, controller)) visit_parents(root, path, second, look, context);
    }
    if (f) fclose(f);
}

/* ---- memory ---------------------------------------------------------------------------- */

/* The number after key in a file of lines "key number", or all of the file where key is NULL; -1 when it is not there,
 * as with "max". */
static double number_in(const char *dir, const char *name, const char *key)
{
    char path[4500], line[256];
    double x = -1;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    size_t n = key ? strlen(key) : 0;
    while (f && x < 0 && fgets(line, sizeof line, f)) {
        char *end;
        if (key && (strncmp(line, key, n) || (line[n] != ' ' && line[n] != ':'))) continue;
        double found = strtod(line + n + (key != NULL), &end);
        if (end != line + n + (key != NULL)) x = found;
    }
    if (f) fclose(f);
    return x;
}

typedef struct { double limit, available; } memory;

static void look_at_memory(void *context, const char *dir, bool second)
{
    memory *m = context;
    double limit = number_in(dir, second ? "memory.max" : "memory.limit_in_bytes", NULL);
    double used = number_in(dir, second ? "memory.current" : "memory.usage_in_bytes", NULL);
    if (limit < 0 || used < 0) return;
    static const char *const files[2][2] = { { "total_inactive_file", "total_active_file" }, { "inactive_file", "active_file" } };
    for (int i = 0; i < 2; i++) {                            /* pages of files, which can be read again */
        double pages = number_in(dir, "memory.stat", files[second][i]);
        if (pages > 0) used -= pages;
    }
    if (limit < m->limit) m->limit = limit;
    if (limit - used < m->available) m->available = limit - used;
}

static memory memory_of_process(void)
{
    struct sysinfo s;
    memory m = { 0 };
    if (sysinfo(&s)) return m;
    m.limit = (double)s.totalram * s.mem_unit;
    m.available = 1024 * number_in("/proc", "meminfo", "MemAvailable");
    if (m.available < 0) m.available = (double)s.freeram * s.mem_unit;
    cgroups_visit("memory", look_at_memory, &m);
    return m;
}

double memory_limit(void) { return memory_of_process().limit; }
double memory_available(void) { return memory_of_process().available; }
