/* Under mpirun the processes train together. */
#include "processes.h"
#include "inputs.h"
#include "output.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The cores that a process may use. */
static int cores_of(pid_t process)
{
    cpu_set_t set;
    return sched_getaffinity(process, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
}

/* Rank 0 says which ranks are bound to fewer cores than their share, as launchers bind them by default. */
static void say_bound(const lithe_ranks *r, const double *own, const double *share)
{
    int first = -1, count = 0;
    for (int i = lithe_ranks_count(r); i-- > 0; )
        if (own[i] < share[i]) first = i, count++;
    if (!count) return;
    char others[48] = "";
    if (count > 1) snprintf(others, sizeof others, ", like %d more", count - 1);
    say("rank %d on %s is bound to %s%.0f of the %.0f cores that are its share%s: mpirun --map-by numa --bind-to numa, or --bind-to none, gives it the others",
        first, lithe_ranks_host(r, first), own[first] < 2 ? "only " : "", own[first], share[first], others);
}

/* The cores that the launcher of this rank may use are shared by the ranks on its machine. */
static int share_cores(lithe_ranks *r, int threads, lithe_error *err)
{
    const int count = lithe_ranks_count(r), all = cores_of(getppid()), local = lithe_ranks_local(r), own = cores_of(0);
    const int share = all / local > 1 ? all / local : 1;
    const bool chosen = threads || getenv("LITHE_NUM_THREADS") || getenv("OMP_NUM_THREADS");
    double *each = calloc(2 * (size_t)count, sizeof *each);
    if (!each) return wrong(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    if (!chosen && own > share) lithe_threads(share);
    lithe_ranks_each(r, own, each, err);
    lithe_ranks_each(r, share, each + count, err);
    if (!lithe_ranks_rank(r) && !err->status) {
        say("%d processes, %d on this machine, of whose %d cores each has %d", count, local, all, own < share ? own : share);
        if (!chosen) say_bound(r, each, each + count);
    }
    free(each);
    return err->status;
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
    output_rank(lithe_ranks_rank(*r), lithe_ranks_host(*r, lithe_ranks_rank(*r)));
    if (!share_cores(*r, threads, &err)) return true;
    *code = failed_input(&err);
    return false;
}

int ranks_end(lithe_ranks *r, int code)
{
    if (r && code != EXIT_DONE && code < 128) lithe_ranks_abort(r, code);
    else lithe_ranks_close(r);
    return code;
}
