/* The processes that mpirun started. */
#ifndef CLI_PROCESSES_H
#define CLI_PROCESSES_H

#include "lithe_tools.h"
#include "options.h"
#include <stdbool.h>

/* Connects them if there are several and `mpi` ("auto", "on", "off") wants it, and shares the cores of a machine out
 * unless --threads says how many each has.  Returns false and sets *code if that fails, or if their command lines
 * differ; ranks_end follows in any case. */
bool ranks_begin(lithe_ranks **r, const arguments *a, const char *mpi, int *code);
/* Ends all of them if this one failed; returns its exit code. */
int  ranks_end(lithe_ranks *r, int code);

#endif
