/* The control groups (versions 1 and 2) that bound what this process may use. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* Calls look for the directory of each group of a controller ("cpu", "memory") that this process is in, and for those
 * of its parents; second: of version 2. */
typedef void cgroup_look(void *context, const char *dir, bool second);
void cgroups_visit(const char *controller, cgroup_look *look, void *context);

/* The memory that this process may have: that of the machine, or less where a group limits it. */
double memory_limit(void);
/* What it may still take without anything being killed for it: what is free or can be freed, within those limits. */
double memory_available(void);

#endif
