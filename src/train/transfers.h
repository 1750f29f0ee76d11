/* Transfers between ranks that are begun together and waited for.  A thread moves gradients while others compute, and
 * tells the other ranks all the time that this process lives, so that one that hangs is found by its silence. */
#ifndef TRAIN_TRANSFERS_H
#define TRAIN_TRANSFERS_H

#include "train/ranks.h"
#include <pthread.h>

enum { HOST = 64 };

typedef struct { void *transfer; int rank; } pending;
typedef struct { pending *p; int n; bool failed; } transfers;

struct reducing;

struct lithe_ranks {
    transport transport;             /* called under `lock` only */
    void *library;                   /* that the transport is in */
    bool alone, failed_alike;
    double waited;                   /* seconds that this rank has waited for others */
    char (*hosts)[HOST];             /* [count] */
    struct reducing *reducing;       /* reduce.c's, */
    bool (*moves)(lithe_ranks *r);   /* which moves what there is to move; whether anything is left; NULL: none */
    uint8_t tokenizer[16];           /* that the others have (data/tokenizer_identity.h) */

    double silence, limit;           /* seconds without a sign of life, and for a whole exchange */
    double *heard, beaten, looked;   /* when: of each rank; this rank's last sign; last look */
    int silent;                      /* a rank that was silent for too long, -1: none */

    pthread_mutex_t lock;
    pthread_cond_t wake;             /* of the mover */
    pthread_t mover;
    bool moving, closing, waiting;   /* the mover runs; shall end; another thread moves meanwhile */
};

/* Whether there are others to exchange with now. */
static inline bool together(const lithe_ranks *r) { return r && !r->alone && r->transport.count > 1; }

/* Begin a transfer, under the lock. */
void put(lithe_ranks *r, transfers *x, int to, channel c, const void *data, size_t bytes);
void get(lithe_ranks *r, transfers *x, int from, channel c, void *data, size_t bytes);
/* How many of its transfers have not ended, or -1: one failed; under the lock. */
int  transfers_left(lithe_ranks *r, transfers *x);
/* Waits for all of them, without the lock. */
int  transfers_wait(lithe_ranks *r, transfers *x, lithe_error *err);

/* Waits until `left` (called under the lock) gives 0; its number must fall now and then. */
int  ranks_wait(lithe_ranks *r, int (*left)(lithe_ranks *r, void *context), void *context, lithe_error *err);

int  mover_open(lithe_ranks *r);               /* 0 on success */
void mover_close(lithe_ranks *r);

void reduce_close(lithe_ranks *r);

#endif
