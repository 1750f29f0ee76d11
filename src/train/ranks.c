/* Ranks: what they tell one another (train/ranks.h), and how they come together. */
#include "train/transfers.h"
#include "base/arena.h"
#include "base/beside.h"
#include "base/file.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int  ranks_rank(const lithe_ranks *r)  { return r ? r->transport.rank : 0; }
int  ranks_count(const lithe_ranks *r) { return r ? r->transport.count : 1; }
void ranks_alone(lithe_ranks *r, bool alone) { if (r) r->alone = alone; }
void ranks_fail_alike(lithe_ranks *r)  { if (r) r->failed_alike = true; }
int  lithe_ranks_failed_alike(const lithe_ranks *r) { return r && r->failed_alike; }

/* ---- few numbers, and texts ---------------------------------------------------------------- */

/* Rank 0 receives the `bytes` of all ranks, one after the other, its own first. */
static int collect(lithe_ranks *r, const void *own, void *all, size_t bytes, lithe_error *err)
{
    int count = r->transport.count;
    pending *p = xalloc((size_t)count, sizeof *p);
    if (!p) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    transfers x = { p, 0, false };
    if (!r->transport.rank) memcpy(all, own, bytes);
    pthread_mutex_lock(&r->lock);
    if (r->transport.rank) put(r, &x, 0, CHANNEL_TALK, own, bytes);
    for (int i = 1; i < count && !r->transport.rank; i++) get(r, &x, i, CHANNEL_TALK, (char *)all + (size_t)i * bytes, bytes);
    pthread_mutex_unlock(&r->lock);
    int status = transfers_wait(r, &x, err);
    free(p);
    return status;
}

/* In messages that a transport can count. */
static int pass_on(lithe_ranks *r, int other, const void *out, void *in, size_t bytes, lithe_error *err)
{
    static const size_t most = (size_t)1 << 30;
    int status = LITHE_OK;
    for (size_t at = 0, n; at < bytes && !status; at += n) {
        pending p;
        transfers x = { &p, 0, false };
        n = bytes - at < most ? bytes - at : most;
        pthread_mutex_lock(&r->lock);
        if (out) put(r, &x, other, CHANNEL_TALK, (const char *)out + at, n);
        else get(r, &x, other, CHANNEL_TALK, (char *)in + at, n);
        pthread_mutex_unlock(&r->lock);
        status = transfers_wait(r, &x, err);
    }
    return status;
}

int ranks_send(lithe_ranks *r, int to, const void *data, size_t bytes, lithe_error *err) { return pass_on(r, to, data, NULL, bytes, err); }
int ranks_receive(lithe_ranks *r, int from, void *data, size_t bytes, lithe_error *err) { return pass_on(r, from, NULL, data, bytes, err); }

int ranks_tell(lithe_ranks *r, void *data, size_t bytes, lithe_error *err)
{
    if (!together(r)) return LITHE_OK;
    int count = r->transport.count;
    pending *p = xalloc((size_t)count, sizeof *p);
    if (!p) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    transfers x = { p, 0, false };
    pthread_mutex_lock(&r->lock);
    if (r->transport.rank) get(r, &x, 0, CHANNEL_TALK, data, bytes);
    for (int i = 1; i < count && !r->transport.rank; i++) put(r, &x, i, CHANNEL_TALK, data, bytes);
    pthread_mutex_unlock(&r->lock);
    int status = transfers_wait(r, &x, err);
    free(p);
    return status;
}

int ranks_sum(lithe_ranks *r, double *x, int n, lithe_error *err)
{
    if (!together(r)) return LITHE_OK;
    if (failed(err)) return err->status;
    size_t bytes = (size_t)n * sizeof *x;
    double *all = xalloc((size_t)r->transport.count * (size_t)n, sizeof *all);
    if (!all) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", r->transport.count);
    int status = collect(r, x, all, bytes, err);
    for (int i = 1; i < r->transport.count && !r->transport.rank; i++)
        for (int k = 0; k < n; k++) x[k] = (i == 1 ? all[k] : x[k]) + all[(size_t)i * (size_t)n + (size_t)k];
    if (!status) status = ranks_tell(r, x, bytes, err);
    free(all);
    return status;
}

/* The first line of a that is not in b at the same place: its length, and where it is in both. */
static int line_that_differs(const char **a, const char **b)
{
    while (**a) {
        size_t n = strcspn(*a, "\n"), m = strcspn(*b, "\n");
        if (n != m || memcmp(*a, *b, n)) break;
        *a += n + ((*a)[n] != 0);
        *b += m + ((*b)[m] != 0);
    }
    return (int)strcspn(*a, "\n");
}

/* The size of the longest text, with its end. */
static size_t longest(lithe_ranks *r, const char *text, lithe_error *err)
{
    double most = 0, *sizes = xalloc((size_t)r->transport.count, sizeof *sizes);
    if (!sizes) fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", r->transport.count);
    if (sizes) lithe_ranks_each(r, (double)strlen(text), sizes, err);
    for (int i = 0; sizes && i < r->transport.count; i++) most = sizes[i] > most ? sizes[i] : most;
    free(sizes);
    return (size_t)most + 1;
}

int lithe_ranks_agree(lithe_ranks *r, const char *text, lithe_error *err)
{
    if (!r || failed(err)) return r ? (int)err->status : LITHE_OK;
    const size_t size = longest(r, text, err);
    if (failed(err)) return err->status;
    char *own = xalloc(size, 1), *all = xalloc((size_t)r->transport.count, size);
    int status = own && all ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", r->transport.count);
    if (own) memcpy(own, text, strlen(text));
    if (!status) status = collect(r, own, all, size, err);
    for (int i = 1; i < r->transport.count && !r->transport.rank && !status; i++) {
        const char *theirs = all + (size_t)i * size, *ours = own;
        if (!strcmp(theirs, own)) continue;
        int n = line_that_differs(&theirs, &ours), m = (int)strcspn(ours, "\n");
        status = fail(err, LITHE_EMISMATCH, "rank %d on %s has %.*s, but rank 0 %.*s: all must have the same", i, r->hosts[i],
                      n ? n : 7, n ? theirs : "nothing", m ? m : 7, m ? ours : "nothing");
    }
    free(own);
    free(all);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------------- */

lithe_ranks *ranks_new(const transport *t, lithe_error *err)
{
    lithe_ranks *r = xalloc(1, sizeof *r);
    if (!r) {
        fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", t->count);
        return NULL;
    }
    r->transport = *t;
    r->hosts = xalloc((size_t)t->count, HOST);
    if (mover_open(r) || !r->hosts) {
        r->transport.close = NULL;                          /* it is the caller's */
        lithe_ranks_close(r);
        fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", t->count);
        return NULL;
    }
    char own[HOST] = "";
    gethostname(own, sizeof own - 1);
    if (!collect(r, own, r->hosts, HOST, err) && !ranks_tell(r, r->hosts, (size_t)t->count * HOST, err)) return r;
    lithe_ranks_close(r);
    return NULL;
}

/* What launchers set for the processes that they start: Open MPI's mpirun, MPICH's and SLURM's srun --mpi=pmi2, and
 * srun --mpi=pmix, whose number of tasks stands for others too unless there is a rank. */
static const struct { const char *rank, *count; } launchers[] = {
    { "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE" }, { "PMI_RANK", "PMI_SIZE" }, { "PMIX_RANK", "SLURM_STEP_NUM_TASKS" },
};

int lithe_ranks_launched(int *rank)
{
    int found = 0, count = 0;
    for (size_t i = sizeof launchers / sizeof *launchers; i-- > 0; ) {
        const char *own = getenv(launchers[i].rank), *all = getenv(launchers[i].count);
        if (own && all) found = atoi(own), count = atoi(all);
    }
    if (rank) *rank = count > 1 ? found : 0;
    return count > 0 ? count : 0;
}

/* The transport's file is beside this library. */
static void *open_library(lithe_error *err)
{
    char *path = path_beside_library(TRANSPORT_FILE);
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (!path) fail(err, LITHE_ENOMEM, "out of memory");
    else if (!library && path_exists(path)) fail(err, LITHE_EDEVICE, "%s: cannot be loaded, %s", path, dlerror());
    else if (!library) fail(err, LITHE_EDEVICE, "training in several processes needs %s, which is absent: it is made where Open MPI is, "
                            "apt-get install libopenmpi-dev openmpi-bin, then make", path);
    free(path);
    return library;
}

lithe_ranks *lithe_ranks_open(lithe_error *err)
{
    if (failed(err)) return NULL;
    void *library = open_library(err), *symbol = library ? dlsym(library, TRANSPORT_OPEN) : NULL;
    transport_open *begin = NULL;
    transport t = { 0 };
    memcpy(&begin, &symbol, sizeof begin);
    if (!library) return NULL;
    if (!begin || begin(&t)) {
        fail(err, LITHE_EDEVICE, "MPI does not start: is this process one that mpirun started?");
        return NULL;
    }
    return ranks_new(&t, err);
}

void lithe_ranks_close(lithe_ranks *r)
{
    if (!r) return;
    mover_close(r);
    reduce_close(r);
    if (r->transport.close) r->transport.close(r->transport.self);
    free(r->hosts);
    free(r);
}

void lithe_ranks_abort(lithe_ranks *r, int code)
{
    if (!r || !r->transport.abort) return;
    pthread_mutex_lock(&r->lock);
    r->transport.abort(r->transport.self, code);
    pthread_mutex_unlock(&r->lock);
}

int lithe_ranks_rank(const lithe_ranks *r) { return ranks_rank(r); }
int lithe_ranks_count(const lithe_ranks *r) { return ranks_count(r); }
const char *lithe_ranks_host(const lithe_ranks *r, int rank) { return r && rank >= 0 && rank < ranks_count(r) ? r->hosts[rank] : ""; }

int lithe_ranks_local(const lithe_ranks *r)
{
    int n = 0;
    for (int i = 0; i < ranks_count(r); i++) n += !r || !strcmp(r->hosts[i], r->hosts[r->transport.rank]);
    return n;
}

int lithe_ranks_each(lithe_ranks *r, double x, double *all, lithe_error *err)
{
    for (int i = 0; i < ranks_count(r); i++) all[i] = i == ranks_rank(r) ? x : 0;
    return ranks_sum(r, all, ranks_count(r), err);
}

int lithe_ranks_any(lithe_ranks *r, int yes, lithe_error *err)
{
    double sum = yes != 0;
    int status = ranks_sum(r, &sum, 1, err);
    return status ? status : sum > 0;
}
