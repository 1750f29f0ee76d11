#include "runs.h"
#include "inputs.h"
#include "output.h"
#include <stdlib.h>

void close_runs(lithe_run **runs, int n)
{
    for (int i = 0; i < n && runs; i++) lithe_run_close(runs[i]);
    free(runs);
}

lithe_run **open_runs(const char *const *paths, int n, lithe_error *err)
{
    lithe_run **runs = allocate((size_t)n, sizeof *runs, err);
    for (int i = 0; i < n && runs; i++) {
        runs[i] = lithe_run_open(paths[i], err);
        for (int k = 0; lithe_run_notice(runs[i], k); k++) say("%s: %s", paths[i], lithe_run_notice(runs[i], k));
    }
    if (!err->status) return runs;
    close_runs(runs, n);
    return NULL;
}
