/* The transport of MPI (MPI: A Message-Passing Interface Standard, 3.1).  It is built as liblithe_mpi.so, which is
 * loaded under mpirun only. */
#include "train/transport.h"
#include <mpi.h>
#include <stdlib.h>

/* Requests are handed out by pointer and used again. */
enum { MOST = 4096 };
static MPI_Request requests[MOST];
static int used[MOST], next;

static MPI_Request *slot(void)
{
    for (int tries = 0; tries < MOST; tries++, next = (next + 1) % MOST)
        if (!used[next]) {
            used[next] = 1;
            return &requests[next];
        }
    return NULL;
}

static void *begun(MPI_Request *r, int failed)
{
    if (r && failed) used[r - requests] = 0;
    return failed ? NULL : r;
}

static void *send_to(void *self, int to, channel c, const void *data, size_t bytes)
{
    MPI_Request *r = slot();
    (void)self;
    return begun(r, !r || MPI_Isend(data, (int)bytes, MPI_BYTE, to, (int)c, MPI_COMM_WORLD, r) != MPI_SUCCESS);
}

static void *receive_from(void *self, int from, channel c, void *data, size_t bytes)
{
    MPI_Request *r = slot();
    (void)self;
    return begun(r, !r || MPI_Irecv(data, (int)bytes, MPI_BYTE, from, (int)c, MPI_COMM_WORLD, r) != MPI_SUCCESS);
}

static int has_ended(void *self, void *transfer)
{
    MPI_Request *r = transfer;
    int flag = 0, failed = MPI_Test(r, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS;
    (void)self;
    if (flag || failed) used[r - requests] = 0;
    return failed ? -1 : flag;
}

/* A sign of life is an empty message with a tag of its own, which nobody waits for. */
enum { BEAT = 100 };

static void beat(void *self)
{
    int rank, count;
    (void)self;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &count);
    for (int to = 0; to < count; to++) {
        MPI_Request r;
        if (to != rank && MPI_Isend(NULL, 0, MPI_BYTE, to, BEAT, MPI_COMM_WORLD, &r) == MPI_SUCCESS) MPI_Request_free(&r);
    }
}

static int heard(void *self, int from)
{
    int any = 0;
    (void)self;
    for (int here = 1; here; any |= here) {
        if (MPI_Iprobe(from, BEAT, MPI_COMM_WORLD, &here, MPI_STATUS_IGNORE) != MPI_SUCCESS) return any;
        if (here && MPI_Recv(NULL, 0, MPI_BYTE, from, BEAT, MPI_COMM_WORLD, MPI_STATUS_IGNORE) != MPI_SUCCESS) return any;
    }
    return any;
}

static void end(void *self)
{
    (void)self;
    MPI_Finalize();
}

static void end_all(void *self, int code)
{
    (void)self;
    MPI_Abort(MPI_COMM_WORLD, code);
}

int lithe_transport_open(transport *t);
int lithe_transport_open(transport *t)
{
    int has;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &has) != MPI_SUCCESS || has < MPI_THREAD_SERIALIZED) return -1;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    *t = (transport){ .send = send_to, .receive = receive_from, .ended = has_ended, .beat = beat, .heard = heard, .close = end, .abort = end_all };
    MPI_Comm_rank(MPI_COMM_WORLD, &t->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t->count);
    return 0;
}
