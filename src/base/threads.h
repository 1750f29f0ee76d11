/* One small pool for the whole process.  Kernels say parallel_for; nothing
 * above a kernel does.  Tasks are claimed in any order by any thread, so a task
 * must write only what is its own: then results do not depend on the number of
 * threads.  Workers run with denormals flushed to zero (FTZ/DAZ); the caller's
 * MXCSR is restored when parallel_for returns. */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include <stdbool.h>
#include <stddef.h>

/* Runs body(context, task) for task = 0 .. tasks-1 and returns when all are
 * done.  Called from inside a task, or while another thread uses the pool, it
 * runs the tasks itself. */
void parallel_for(int tasks, void (*body)(void *context, int task), void *context);

/* This thread's scratch, 64-byte aligned, huge-page backed, contents undefined,
 * allocated once.  Kernels that pack or tile fit in it.  It is one buffer, so nested users
 * share it.  It cannot fail, so whoever is about to call kernels looks with thread_ready first
 * whether this thread has its scratch; false: memory is out. */
#define THREAD_SCRATCH_BYTES ((size_t)8 << 20)
void *thread_scratch(void);
bool  thread_ready(void);

/* The number in use, caller included.  threads_set takes effect with the next
 * parallel_for; a forked child starts workers of its own when it needs them. */
int  threads_count(void);
void threads_set(int n);           /* 0: default from the environment, affinity mask, cgroup quota */

#endif
