/* How much memory there is. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* The bytes that this process may use: the installed memory, or less where its cgroup limits it; 0: unknown. */
double memory_limit(void);

#endif
