#include "base/cgroup.h"
#include "base/kernel_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

enum { PATH_BYTES = 4096 };

static bool lists(const char *names, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = names; *at; at += strcspn(at, ","), at += *at == ',')
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return true;
    return false;
}

/* ---- where the groups are -------------------------------------------------------------- */

/* The directory `at` shows the group `root` and those below it. */
typedef struct { char root[PATH_BYTES], at[PATH_BYTES]; } mounted;

/* Blanks and backslashes of names are \040 and the like. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; ) {
        const bool octal = *from == '\\' && strspn(from + 1, "01234567") >= 3;
        *to++ = octal ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0')) : *from;
        from += octal ? 4 : 1;
    }
    *to = 0;
}

/* Lines of /proc/self/mountinfo are "36 35 0:33 ROOT AT OPTIONS ... - cgroup SOURCE CONTROLLERS". */
static bool read_mounted(const char *line, const char *controller, bool second, mounted *m)
{
    char type[32], options[512];
    const char *after = strstr(line, " - ");
    if (!after || sscanf(after, " - %31s %*s %511s", type, options) != 2) return false;
    if (strcmp(type, second ? "cgroup2" : "cgroup") || (!second && !lists(options, controller))) return false;
    if (sscanf(line, "%*s %*s %*s %4095s %4095s", m->root, m->at) != 2) return false;
    unescape(m->root);
    unescape(m->at);
    return true;
}

/* Of several the one that shows most; where the kernel does not say, the usual place. */
static void find_mounted(mounted *m, const char *controller, bool second)
{
    mounted x;
    kernel_file f;
    bool found = false;
    snprintf(m->root, sizeof m->root, "/");
    snprintf(m->at, sizeof m->at, "/sys/fs/cgroup%s%s", second ? "" : "/", second ? "" : controller);
    kernel_open(&f, "/proc/self/mountinfo");
    for (const char *line; (line = kernel_line(&f)); ) {
        if (!read_mounted(line, controller, second, &x) || (found && strlen(x.root) >= strlen(m->root))) continue;
        *m = x;
        found = true;
    }
    kernel_close(&f);
}

/* The part of a group's path below m->root, "" for a group that is not to be seen there. */
static const char *below(const mounted *m, const char *path)
{
    size_t n = strcmp(m->root, "/") ? strlen(m->root) : 0;
    if (strncmp(path, m->root, n) || path[n] != '/' || strstr(path, "/..") || !strcmp(path, "/")) return "";
    return path + n;
}

/* ---- the groups ------------------------------------------------------------------------ */

static void visit_parents(const char *root, const char *below_root, bool second, cgroup_look *look, void *context)
{
    char dir[2 * PATH_BYTES];
    const size_t n = strlen(root);
    snprintf(dir, sizeof dir, "%s%s", root, below_root);
    for (;;) {
        look(context, dir, second);
        char *slash = strrchr(dir + n, '/');
        if (!slash) return;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup are "id:controllers:path"; version 2 is "0::path". */
void cgroups_visit(const char *controller, cgroup_look *look, void *context)
{
    kernel_file f;
    mounted m;
    kernel_open(&f, "/proc/self/cgroup");
    for (char *line; (line = kernel_line(&f)); ) {
        char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        bool second = !*++controllers;
        if (!second && !lists(controllers, controller)) continue;
        find_mounted(&m, controller, second);
        visit_parents(m.at, below(&m, path), second, look, context);
    }
    kernel_close(&f);
}

/* ---- memory ---------------------------------------------------------------------------- */

/* The number after key in a file of lines "key number", or that of the first line where key is NULL; -1 when it is not
 * there, as with "max". */
static double number_in(const char *dir, const char *name, const char *key)
{
    char path[2 * PATH_BYTES + 64];
    double x = -1;
    kernel_file f;
    size_t n = key ? strlen(key) : 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    kernel_open(&f, path);
    for (const char *line; x < 0 && (line = kernel_line(&f)); ) {
        char *end;
        if (key && (strncmp(line, key, n) || (line[n] != ' ' && line[n] != ':'))) continue;
        double found = strtod(line + n + (key != NULL), &end);
        if (end != line + n + (key != NULL)) x = found;
    }
    kernel_close(&f);
    return x;
}

static double lower(double a, double b) { return a < 0 || (b >= 0 && b < a) ? b : a; }

typedef struct { double limit, available; bool parent; } memory;

/* Above "high" the kernel lets a process of version 2 hardly go on.  A parent of version 1 bounds its children only
 * where it says so. */
static void look_at_memory(void *context, const char *dir, bool second)
{
    memory *m = context;
    double limit = second ? lower(number_in(dir, "memory.max", NULL), number_in(dir, "memory.high", NULL)) : number_in(dir, "memory.limit_in_bytes", NULL);
    bool apart = !second && m->parent && number_in(dir, "memory.use_hierarchy", NULL) == 0;
    if (limit < 0 || apart) return;
    m->parent = true;
    double used = number_in(dir, second ? "memory.current" : "memory.usage_in_bytes", NULL);
    static const char *const files[2][2] = { { "total_inactive_file", "total_active_file" }, { "inactive_file", "active_file" } };
    for (int i = 0; i < 2; i++) {                            /* pages of files, which can be read again */
        double pages = number_in(dir, "memory.stat", files[second][i]);
        if (pages > 0) used -= pages;
    }
    double left = used < 0 ? limit : used > limit ? 0 : limit - used;
    if (limit < m->limit) m->limit = limit;
    if (left < m->available) m->available = left;
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
