/* Exchanges between ranks (train/ranks.h).  Every exchange is made of sends and receives that are begun together and
 * waited for; a rank that does not answer is named. */
#include "train/ranks.h"
#include "base/arena.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOST = 64, PIECE = 1 << 20, UNIT = 64, SPINS = 2000, TEXT = 4096 };
/* Seconds that a rank may be silent. */
static const double PATIENCE = 45;

struct lithe_ranks {
    transport transport;
    void *library;                   /* that the transport is in */
    bool alone;
    double patience;
    char (*hosts)[HOST];             /* [count] */
    real *scratch;                   /* (2, count, PIECE) */
};

int  ranks_rank(const lithe_ranks *r)  { return r ? r->transport.rank : 0; }
int  ranks_count(const lithe_ranks *r) { return r ? r->transport.count : 1; }
void ranks_alone(lithe_ranks *r, bool alone) { if (r) r->alone = alone; }
void ranks_busy(lithe_ranks *r, double seconds) { if (r) r->patience = seconds; }

/* ---- waiting ---------------------------------------------------------------------------- */

/* Transfers that were begun together.  Each rank has at most one of each direction. */
typedef struct { void *transfer; int rank; } pending;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Lets other threads and processes run, first for a moment and then for longer. */
static void pause_for(int *spins)
{
    if (++*spins < SPINS) return;
    nanosleep(&(struct timespec){ 0, *spins < 4 * SPINS ? 20000 : 200000 }, NULL);
}

static int silent(const lithe_ranks *r, int rank, double seconds, lithe_error *err)
{
    return fail(err, LITHE_EIO, "rank %d on %s has not answered for %.0f seconds: it hangs, or its machine is lost", rank, r->hosts ? r->hosts[rank] : "its machine", seconds);
}

static int wait_for(lithe_ranks *r, pending *p, int n, lithe_error *err)
{
    double began = now(), patience = r->patience > 0 ? r->patience : PATIENCE;
    for (int left = n, spins = 0; left; ) {
        int before = left;
        for (int i = 0; i < n; i++) {
            if (!p[i].transfer) continue;
            int ended = r->transport.ended(r->transport.self, p[i].transfer);
            if (ended < 0) return fail(err, LITHE_EIO, "the connection with rank %d failed", p[i].rank);
            if (ended) p[i].transfer = NULL, left--;
        }
        if (left < before) began = now(), spins = 0;
        else pause_for(&spins);
        for (int i = 0; left == before && spins % SPINS == 0 && now() - began > patience && i < n; i++)
            if (p[i].transfer) return silent(r, p[i].rank, patience, err);
    }
    return LITHE_OK;
}

typedef struct { pending *p; int n; bool failed; } exchange;

static void put(lithe_ranks *r, exchange *x, int to, const void *data, size_t bytes)
{
    if (!bytes || x->failed) return;
    void *transfer = r->transport.send(r->transport.self, to, data, bytes);
    x->failed = !transfer;
    x->p[x->n++] = (pending){ transfer, to };
}

static void get(lithe_ranks *r, exchange *x, int from, void *data, size_t bytes)
{
    if (!bytes || x->failed) return;
    void *transfer = r->transport.receive(r->transport.self, from, data, bytes);
    x->failed = !transfer;
    x->p[x->n++] = (pending){ transfer, from };
}

static int settle(lithe_ranks *r, exchange *x, lithe_error *err)
{
    if (x->failed) return fail(err, LITHE_EIO, "the connection with rank %d failed", x->p[x->n - 1].rank);
    return wait_for(r, x->p, x->n, err);
}

/* ---- few numbers, and texts ---------------------------------------------------------------- */

/* Rank 0 receives the `bytes` of all ranks, one after the other, its own first. */
static int collect(lithe_ranks *r, const void *own, void *all, size_t bytes, lithe_error *err)
{
    int count = r->transport.count;
    pending *p = xalloc(2 * (size_t)count, sizeof *p);
    if (!p) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    exchange x = { p, 0, false };
    if (r->transport.rank) put(r, &x, 0, own, bytes);
    else memcpy(all, own, bytes);
    for (int i = 1; i < count && !r->transport.rank; i++) get(r, &x, i, (char *)all + (size_t)i * bytes, bytes);
    int status = settle(r, &x, err);
    free(p);
    return status;
}

int ranks_tell(lithe_ranks *r, void *data, size_t bytes, lithe_error *err)
{
    if (!r || r->alone) return LITHE_OK;
    int count = r->transport.count;
    pending *p = xalloc((size_t)count, sizeof *p);
    if (!p) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", count);
    exchange x = { p, 0, false };
    if (r->transport.rank) get(r, &x, 0, data, bytes);
    for (int i = 1; i < count && !r->transport.rank; i++) put(r, &x, i, data, bytes);
    int status = settle(r, &x, err);
    free(p);
    return status;
}

int ranks_sum(lithe_ranks *r, double *x, int n, lithe_error *err)
{
    if (!r || r->alone) return LITHE_OK;
    if (failed(err)) return err->status;
    size_t bytes = (size_t)n * sizeof *x;
    double *all = xalloc((size_t)r->transport.count * (size_t)n, sizeof *all);
    if (!all) return fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", r->transport.count);
    int status = collect(r, x, all, bytes, err);
    for (int i = 1; i < r->transport.count && !r->transport.rank; i++)
        for (int k = 0; k < n; k++) x[k] = (i == 1 ? all[k] : x[k]) + all[(size_t)i * (size_t)n + (size_t)k];
    if (!status) status = ranks_tell(r, x, bytes, err);
    free(all);
    r->patience = 0;
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

int ranks_agree(lithe_ranks *r, const char *text, lithe_error *err)
{
    if (!r) return LITHE_OK;
    char own[TEXT] = "", *all = xalloc((size_t)r->transport.count, TEXT);
    snprintf(own, sizeof own, "%s", text);
    int status = all ? collect(r, own, all, TEXT, err) : fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", r->transport.count);
    for (int i = 1; i < r->transport.count && !r->transport.rank && !status; i++) {
        const char *theirs = all + (size_t)i * TEXT, *ours = own;
        if (!strcmp(theirs, own)) continue;
        int n = line_that_differs(&theirs, &ours);
        status = fail(err, LITHE_EMISMATCH, "rank %d on %s has %.*s, rank 0 on %s has %.*s: all must have the same", i, r->hosts[i], n, theirs,
                      r->hosts[0], (int)strcspn(ours, "\n"), ours);
    }
    free(all);
    return status;
}

/* ---- many numbers ---------------------------------------------------------------------------- */

static rank_share share_of(size_t n, int count, int rank)
{
    size_t units = (n + UNIT - 1) / UNIT, first = units * (size_t)rank / (size_t)count * UNIT, end = units * (size_t)(rank + 1) / (size_t)count * UNIT;
    return (rank_share){ first < n ? first : n, end < n ? end : n };
}

rank_share ranks_share(const lithe_ranks *r, size_t n) { return share_of(n, ranks_count(r), ranks_rank(r)); }

/* The part of a share that piece number `piece` holds. */
static rank_share piece_of(rank_share s, size_t piece)
{
    size_t first = s.first + piece * PIECE, end = first + PIECE;
    return (rank_share){ first < s.end ? first : s.end, end < s.end ? end : s.end };
}

static size_t length_of(rank_share s) { return s.end - s.first; }
static size_t bytes_of(rank_share s) { return length_of(s) * sizeof(real); }

/* Begins to exchange piece number `piece`: others' parts of this rank's share come to scratch, this rank's parts of
 * theirs go out. */
static void begin_piece(lithe_ranks *r, exchange *x, const real *data, size_t n, size_t piece)
{
    const transport *t = &r->transport;
    real *to = r->scratch + piece % 2 * (size_t)t->count * PIECE;
    rank_share own = piece_of(share_of(n, t->count, t->rank), piece);
    for (int k = 0; k < t->count; k++) {
        if (k == t->rank) continue;
        rank_share theirs = piece_of(share_of(n, t->count, k), piece);
        get(r, x, k, to + (size_t)k * PIECE, bytes_of(own));
        put(r, x, k, data + theirs.first, bytes_of(theirs));
    }
}

/* Adds in the order of the ranks. */
static void add_piece(const lithe_ranks *r, real *data, size_t n, size_t piece)
{
    const transport *t = &r->transport;
    const real *from = r->scratch + piece % 2 * (size_t)t->count * PIECE;
    rank_share own = piece_of(share_of(n, t->count, t->rank), piece);
    real *sum = data + own.first;
    for (size_t i = 0, count = length_of(own); i < count; i++) {
        real all = t->rank ? from[i] : sum[i];
        for (int k = 1; k < t->count; k++) all += k == t->rank ? sum[i] : from[(size_t)k * PIECE + i];
        sum[i] = all;
    }
}

static size_t pieces_of(const lithe_ranks *r, size_t n)
{
    size_t longest = 0;
    for (int k = 0; k < r->transport.count; k++) {
        size_t length = length_of(share_of(n, r->transport.count, k));
        if (length > longest) longest = length;
    }
    return (longest + PIECE - 1) / PIECE;
}

int ranks_reduce(lithe_ranks *r, real *x, size_t n, lithe_error *err)
{
    if (!r || r->alone) return LITHE_OK;
    if (failed(err)) return err->status;
    int count = r->transport.count, status = LITHE_OK;
    pending *p = xalloc(4 * (size_t)count, sizeof *p);
    if (!r->scratch) r->scratch = xalloc(2 * (size_t)count * PIECE, sizeof *r->scratch);
    if (!p || !r->scratch) status = fail(err, LITHE_ENOMEM, "not enough memory for the gradients of %d ranks", count);
    exchange x2[2] = { { p, 0, false }, { p ? p + 2 * count : NULL, 0, false } };
    size_t pieces = pieces_of(r, n);
    if (!status) begin_piece(r, &x2[0], x, n, 0);
    for (size_t i = 0; i < pieces && !status; i++) {
        x2[(i + 1) % 2].n = 0;
        if (i + 1 < pieces) begin_piece(r, &x2[(i + 1) % 2], x, n, i + 1);
        status = settle(r, &x2[i % 2], err);
        if (!status) add_piece(r, x, n, i);
    }
    free(p);
    return status;
}

/* Sends this rank's share to all ranks, or to rank 0, and receives theirs. */
static int share_out(lithe_ranks *r, real *x, size_t n, bool to_all, lithe_error *err)
{
    if (!r || r->alone) return LITHE_OK;
    if (failed(err)) return err->status;
    const transport *t = &r->transport;
    pending *p = xalloc(2 * (size_t)t->count, sizeof *p);
    int status = p ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", t->count);
    for (size_t i = 0, pieces = pieces_of(r, n); i < pieces && !status; i++) {
        exchange e = { p, 0, false };
        rank_share own = piece_of(share_of(n, t->count, t->rank), i);
        for (int k = 0; k < t->count; k++) {
            if (k == t->rank) continue;
            rank_share theirs = piece_of(share_of(n, t->count, k), i);
            if (to_all || !t->rank) get(r, &e, k, x + theirs.first, bytes_of(theirs));
            if (to_all || !k) put(r, &e, k, x + own.first, bytes_of(own));
        }
        status = settle(r, &e, err);
    }
    free(p);
    return status;
}

int ranks_spread(lithe_ranks *r, real *x, size_t n, lithe_error *err) { return share_out(r, x, n, true, err); }
int ranks_gather(lithe_ranks *r, real *x, size_t n, lithe_error *err) { return share_out(r, x, n, false, err); }

/* ---- opening ---------------------------------------------------------------------------------- */

lithe_ranks *ranks_new(const transport *t, lithe_error *err)
{
    lithe_ranks *r = xalloc(1, sizeof *r);
    if (r) {
        r->transport = *t;
        r->hosts = xalloc((size_t)t->count, HOST);
    }
    if (!r || !r->hosts) {
        free(r);
        fail(err, LITHE_ENOMEM, "not enough memory for %d ranks", t->count);
        return NULL;
    }
    char own[HOST] = "";
    gethostname(own, sizeof own - 1);
    if (!collect(r, own, r->hosts, HOST, err) && !ranks_tell(r, r->hosts, (size_t)t->count * HOST, err)) return r;
    lithe_ranks_close(r);
    return NULL;
}

/* What launchers set for the processes that they start: of Open MPI, and of MPICH and SLURM. */
static const char *const counts[] = { "OMPI_COMM_WORLD_SIZE", "PMI_SIZE" }, *const ranks[] = { "OMPI_COMM_WORLD_RANK", "PMI_RANK" };

static int number_in(const char *const *names)
{
    for (int i = 0; i < 2; i++)
        if (getenv(names[i])) return atoi(getenv(names[i]));
    return 0;
}

int lithe_ranks_launched(int *rank)
{
    int count = number_in(counts);
    if (rank) *rank = count > 1 ? number_in(ranks) : 0;
    return count > 1 ? count : 1;
}

/* The transport's file is beside this library. */
static void *open_library(lithe_error *err)
{
    static const char name[] = "liblithe_mpi.so";
    char path[4096];
    Dl_info own;
    const char *file = dladdr((void *)(uintptr_t)lithe_ranks_open, &own) ? own.dli_fname : "", *slash = strrchr(file, '/');
    snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash + 1 - file) : 0, file, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!library && !access(path, F_OK)) fail(err, LITHE_EDEVICE, "%s: cannot be loaded, %s", path, dlerror());
    else if (!library) fail(err, LITHE_EDEVICE, "training in several processes needs Open MPI, which was absent when lithe was built: "
                            "apt-get install libopenmpi-dev openmpi-bin, then make");
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
    if (r->transport.close) r->transport.close(r->transport.self);
    free(r->hosts);
    free(r->scratch);
    free(r);
}

void lithe_ranks_abort(lithe_ranks *r, int code)
{
    if (r && r->transport.abort) r->transport.abort(r->transport.self, code);
}

int lithe_ranks_rank(const lithe_ranks *r) { return ranks_rank(r); }
int lithe_ranks_count(const lithe_ranks *r) { return ranks_count(r); }
const char *lithe_ranks_host(const lithe_ranks *r) { return r ? r->hosts[r->transport.rank] : ""; }

int lithe_ranks_local(const lithe_ranks *r)
{
    int n = 0;
    for (int i = 0; i < ranks_count(r); i++) n += !r || !strcmp(r->hosts[i], r->hosts[r->transport.rank]);
    return n;
}

int lithe_ranks_any(lithe_ranks *r, int yes, lithe_error *err)
{
    double sum = yes != 0;
    int status = ranks_sum(r, &sum, 1, err);
    return status ? status : sum > 0;
}
