/* The runs that verbs are given. */
#ifndef CLI_RUNS_H
#define CLI_RUNS_H

#include "lithe_runs.h"

/* Opens n runs, and says what is known against their logs; NULL, and err, if one cannot be opened. */
lithe_run **open_runs(const char *const *paths, int n, lithe_error *err);
void        close_runs(lithe_run **runs, int n);

#endif
