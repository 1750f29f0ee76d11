/* How bytes go from one process to another; train/ranks.h is made of these functions.  reduce_mpi.c is the transport
 * of clusters, a shared object of its own, since programs that use MPI cannot be started without it.  One thread at a
 * time calls them. */
#ifndef TRAIN_TRANSPORT_H
#define TRAIN_TRANSPORT_H

#include <stddef.h>

/* Messages of one channel from one rank to another arrive in the order they are sent. */
typedef enum { CHANNEL_TALK, CHANNEL_GRADIENTS } channel;

typedef struct {
    int rank, count;                 /* this process, of how many */
    void *self;                      /* the transport's own */
    /* Begin to send, or to receive.  data stays the transport's until `ended` says so.  NULL: it failed. */
    void *(*send)(void *self, int to, channel c, const void *data, size_t bytes);
    void *(*receive)(void *self, int from, channel c, void *data, size_t bytes);
    int   (*ended)(void *self, void *transfer);                 /* 1: yes, and it is gone; 0: not yet; -1: it failed */
    void  (*beat)(void *self);                                  /* tells all others that this process lives */
    int   (*heard)(void *self, int from);                       /* whether that rank did since the last call */
    void  (*close)(void *self);
    void  (*abort)(void *self, int code);                       /* ends all processes of the job; may return */
} transport;

/* The function that a transport's shared object exports; 0 on success. */
#define TRANSPORT_OPEN "lithe_transport_open"
typedef int transport_open(transport *t);

#endif
