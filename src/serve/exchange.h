/* One HTTP request and its answer, shared by the thread that reads sockets and the thread that runs models.  Whoever
 * needs it holds it; the last one to let go frees it.
 * Invariant: the request does not change after its route was called, and the answer changes under `mutex` only. */
#ifndef SERVE_EXCHANGE_H
#define SERVE_EXCHANGE_H

#include "serve/request_fields.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

/* The status, in log and metrics, of a request whose client did not wait for the answer. */
enum { CLIENT_LEFT = 499 };

typedef enum { ANSWER_NONE, ANSWER_WHOLE, ANSWER_STREAM } answer_kind;

typedef struct exchange {
    /* The request. */
    const char *route;                  /* the route's path, for log and metrics */
    char *path;
    bool unlogged;
    text_buffer body;
    double began;                       /* seconds of the monotonic clock */
    /* The answer. */
    pthread_mutex_t mutex;
    int holders;
    answer_kind kind;
    int status, retry_after;            /* retry_after in seconds; 0: none */
    const char *type;
    char *ignored;                      /* keys of the request that mean nothing here, or NULL */
    text_buffer out;                    /* what is to be sent, */
    size_t sent;                        /* and how much of it was */
    bool ended, gone;                   /* the answer is complete; the client has left */
    double said;                        /* when something was last added to it */
    size_t prompt_tokens; atomic_size_t tokens;       /* for log and metrics */
    /* The connection.  It is parked while there is nothing to send, and woken when there is. */
    int fd;                             /* -1 after the connection has closed */
    bool parked;
    void *connection;
    void (*park)(void *connection), (*wake)(void *connection);
} exchange;

double exchange_now(void);

exchange *exchange_new(void);                       /* held once; NULL if memory is out */
exchange *exchange_hold(exchange *x);
void      exchange_release(exchange *x);

/* Answers in one piece: body (malloc'd, NULL: memory is out) becomes the exchange's. */
void exchange_answer(exchange *x, int status, const char *type, char *body);
void exchange_json(exchange *x, json_t *value);     /* with status 200; takes the reference */
void exchange_refuse(exchange *x, const problem *p);

/* Answers by server-sent events, one `data:` line for each text; the last is [DONE], or a problem. */
void exchange_stream(exchange *x);
void exchange_event(exchange *x, json_t *value);    /* takes the reference */
void exchange_ping(exchange *x);                    /* a comment, if the stream has been silent for a while */
void exchange_done(exchange *x);
/* Ends the answer with a problem, in whichever form it has. */
void exchange_break(exchange *x, const problem *p);

/* Whether nobody waits for the answer any more. */
bool   exchange_left(exchange *x);
size_t exchange_backlog(exchange *x);               /* bytes that the client has not read yet */

/* For the thread that reads sockets.  wait gives the kind of answer; if there is none yet, it has parked the
 * connection.  take gives the next bytes of a stream, 0 after it has parked the connection, -1 at the end. */
answer_kind exchange_wait(exchange *x);
ssize_t     exchange_take(exchange *x, char *bytes, size_t cap);
/* The connection does not exist any more: the answer does not change from now on. */
void        exchange_closed(exchange *x);

#endif
