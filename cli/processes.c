/* Under mpirun the processes train together. */
#include "processes.h"
#include "inputs.h"
#include "output.h"
#include <math.h>
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

/* The number of the first of the cores that this process may use; 0 if it is not known. */
static int first_core(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 0;
    for (size_t i = 0; i < CPU_SETSIZE; i++) if (CPU_ISSET(i, &set)) return (int)i;
    return 0;
}

/* What a rank may use: own cores, the first of them, those that are its share, and its threads. */
typedef struct { double own, first, share, threads; } placement;

/* Rank 0 says which ranks are bound to fewer cores than their share, as launchers bind them by default. */
static void say_bound(const lithe_ranks *r, const placement *each)
{
    int first = -1, count = 0;
    for (int i = lithe_ranks_count(r); i-- > 0; )
        if (each[i].own < each[i].share) first = i, count++;
    if (!count) return;
    char others[48] = "";
    if (count > 1) snprintf(others, sizeof others, ", like %d more", count - 1);
    say("rank %d on %s is bound to %s%.0f of the %.0f cores that are its share%s: mpirun --map-by numa --bind-to numa, or --bind-to none, gives it the others",
        first, lithe_ranks_host(r, first), each[first].own < 2 ? "only " : "", each[first].own, each[first].share, others);
}

static bool same_cores(const lithe_ranks *r, const placement *each, int a, int b)
{
    return fabs(each[a].first - each[b].first) < 0.5 && fabs(each[a].own - each[b].own) < 0.5 && !strcmp(lithe_ranks_host(r, a), lithe_ranks_host(r, b));
}

/* Rank 0 names the first rank whose threads, with those of ranks on the same cores, are more than the cores. */
static void say_crowded(const lithe_ranks *r, const placement *each)
{
    for (int i = 0; i < lithe_ranks_count(r); i++) {
        int ranks = 0;
        double threads = 0;
        for (int k = 0; k < lithe_ranks_count(r); k++)
            if (same_cores(r, each, i, k)) ranks++, threads += each[k].threads;
        if (threads < each[i].own + 0.5) continue;
        char others[48] = "";
        if (ranks > 1) snprintf(others, sizeof others, " and %d more on the same cores", ranks - 1);
        say("rank %d on %s%s: %.0f threads share %.0f core%s; give each rank its own (mpirun --map-by numa --bind-to numa), or fewer --threads",
            i, lithe_ranks_host(r, i), others, threads, each[i].own, each[i].own < 2 ? "" : "s");
        return;
    }
}

/* All ranks receive the placements of all. */
static int exchange_placements(lithe_ranks *r, placement own, placement *each, lithe_error *err)
{
    const int count = lithe_ranks_count(r);
    double *x = calloc(4 * (size_t)count, sizeof *x);
    if (!x) return wrong(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    lithe_ranks_each(r, own.own, x, err);
    lithe_ranks_each(r, own.first, x + count, err);
    lithe_ranks_each(r, own.share, x + 2 * count, err);
    lithe_ranks_each(r, own.threads, x + 3 * count, err);
    for (int i = 0; i < count; i++) each[i] = (placement){ x[i], x[count + i], x[2 * count + i], x[3 * count + i] };
    free(x);
    return err->status;
}

/* The cores that the launcher of this rank may use are shared by the ranks on its machine. */
static int share_cores(lithe_ranks *r, int threads, lithe_error *err)
{
    const char *usual = getenv("OMP_NUM_THREADS");
    const int count = lithe_ranks_count(r), all = cores_of(getppid()), local = lithe_ranks_local(r), own = cores_of(0);
    const int share = all / local > 1 ? all / local : 1, least = own < share ? own : share;
    const int chosen = threads ? threads : usual ? atoi(usual) : 0;
    placement *each = calloc((size_t)count, sizeof *each);
    if (!each) return wrong(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    if (!chosen && own > share) lithe_threads(share);
    exchange_placements(r, (placement){ own, first_core(), share, chosen > 0 ? chosen : least }, each, err);
    if (!lithe_ranks_rank(r) && !err->status) {
        say("%d processes, %d on this machine, of whose %d cores each has %d", count, local, all, least);
        if (chosen <= 0) say_bound(r, each);
        say_crowded(r, each);
    }
    free(each);
    return err->status;
}

/* Options that need not be the same in all processes. */
static bool own_choice(const char *name)
{
    static const char *const names[] = { "help", "quiet", "threads", "mpi", "json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) if (!strcmp(name, names[i])) return true;
    return false;
}

/* The command line that this process was given, a line for each option and operand; malloc'd. */
static char *arguments_text(const arguments *a)
{
    char *text = NULL;
    size_t size;
    const option *o;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (int i = 0; (o = option_at(a->verb, i)); i++) {
        if (own_choice(o->name)) continue;
        if (a->origins[i] != ORIGIN_FLAG) fprintf(out, "no --%s\n", o->name);
        else if (!a->given[i]) fprintf(out, "--no-%s\n", o->name);
        else fprintf(out, o->kind == OPTION_FLAG ? "--%s\n" : "--%s %s\n", o->name, a->given[i]);
    }
    for (int i = 0; i < a->count; i++) fprintf(out, "DATA %s\n", a->operands[i]);
    if (!fclose(out)) return text;
    free(text);
    return NULL;
}

/* Rank 0 fails if another process was started with another command. */
static int agree(lithe_ranks *r, const arguments *a, lithe_error *err)
{
    char *text = arguments_text(a);
    int status = text ? lithe_ranks_agree(r, text, err) : wrong(err, LITHE_ENOMEM, "not enough memory for a command line");
    free(text);
    return status;
}

bool ranks_begin(lithe_ranks **r, const arguments *a, const char *mpi, int *code)
{
    lithe_error err = { 0 };
    const common *c = a->settings;
    int rank, count = lithe_ranks_launched(&rank);
    *r = NULL;
    if (!count && !strcmp(mpi, "on")) {
        *code = usage("--mpi on, but no mpirun started this process: mpirun -n N lithe train ...");
        return false;
    }
    if (!strcmp(mpi, "off") || (count < 2 && strcmp(mpi, "on"))) {
        output_rank(-1, NULL);
        return true;
    }
    if (!(*r = lithe_ranks_open(&err))) {
        *code = failed_input(&err);
        return false;
    }
    output_rank(lithe_ranks_rank(*r), lithe_ranks_host(*r, lithe_ranks_rank(*r)));
    if (!agree(*r, a, &err) && !share_cores(*r, c->threads, &err)) return true;
    *code = failed_input(&err);
    return false;
}

int ranks_end(lithe_ranks *r, int code)
{
    const bool alike = code == EXIT_DONE || code >= 128 || lithe_ranks_failed_alike(r);      /* in all ranks */
    if (r && !alike) lithe_ranks_abort(r, code);
    else lithe_ranks_close(r);
    return code;
}
