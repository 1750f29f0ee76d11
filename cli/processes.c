/* Under mpirun the processes train together. */
#include "processes.h"
#include "output.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The cores of this machine, and those that this process is bound to. */
static void count_cores(int *all, int *own)
{
    cpu_set_t set;
    *all = (int)sysconf(_SC_NPROCESSORS_ONLN);
    *own = sched_getaffinity(0, sizeof set, &set) ? *all : CPU_COUNT(&set);
}

static void share_cores(const lithe_ranks *r, int threads)
{
    int all, own, share;
    count_cores(&all, &own);
    share = all / lithe_ranks_local(r) > 1 ? all / lithe_ranks_local(r) : 1;
    bool said = threads || getenv("LITHE_NUM_THREADS") || getenv("OMP_NUM_THREADS");
    if (!said && own > share) lithe_threads(share);
    if (!lithe_ranks_rank(r) && own < share && !said)
        say("each process is bound to %d of the %d cores that are its share: mpirun --map-by numa --bind-to numa, or --bind-to none, gives it the others", own, share);
}

bool ranks_begin(lithe_ranks **r, const char *mpi, int threads, int *code)
{
    lithe_error err = { 0 };
    int rank, count = lithe_ranks_launched(&rank);
    *r = NULL;
    if (!strcmp(mpi, "off") || (count < 2 && strcmp(mpi, "on"))) {
        output_rank(-1, NULL);
        return true;
    }
    if (!(*r = lithe_ranks_open(&err))) {
        *code = failed_input(&err);
        return false;
    }
    output_rank(lithe_ranks_rank(*r), lithe_ranks_host(*r));
    if (!lithe_ranks_rank(*r)) say("%d processes, %d on this machine", lithe_ranks_count(*r), lithe_ranks_local(*r));
    share_cores(*r, threads);
    return true;
}

int ranks_end(lithe_ranks *r, int code)
{
    if (r && code != EXIT_DONE && code < 128) lithe_ranks_abort(r, code);
    else lithe_ranks_close(r);
    return code;
}
