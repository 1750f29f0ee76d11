/* The processes that mpirun started. */
#ifndef CLI_PROCESSES_H
#define CLI_PROCESSES_H

#include "lithe_tools.h"
#include <stdbool.h>

/* Connects them if there are several and `mpi` ("auto", "on", "off") wants it, and shares the cores of a machine out
 * unless `threads` says how many each has.  Returns false and sets *code if that fails. */
bool ranks_begin(lithe_ranks **r, const char *mpi, int threads, int *code);
/* Ends all of them if this one failed; returns its exit code. */
int  ranks_end(lithe_ranks *r, int code);

#endif
