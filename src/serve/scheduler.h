/* One thread runs all models: in each turn, every model reads one pass for all its sequences, and one piece of the
 * other work is done.  A request joins at the next turn; of several requests the one with the fewest running
 * sequences goes first. */
#ifndef SERVE_SCHEDULER_H
#define SERVE_SCHEDULER_H

#include "serve/exchange.h"
#include "serve/given_state.h"

typedef struct job job;
typedef struct {
    /* A slot has read all of a prompt, with the logits after it; NULL: nobody asks. */
    void (*read)(job *j, int slot, const float *logits);
    void (*wrote)(job *j, sequence *q);     /* a sequence has another token, or has ended; NULL: nobody listens */
    void (*finish)(job *j);                 /* all sequences, or all pieces, are done: it answers */
    bool (*work)(job *j);                   /* does a piece of other work, true while there is more; NULL: none */
    void (*close)(job *j);                  /* frees it */
} job_kind;

/* A request that a model works on.  The first member of each kind's own struct. */
struct job {
    const job_kind *kind;
    served *model;
    exchange *x;                            /* held */
    sequence *sequences; int count;
    given_state *state;                     /* from which its prompts are read on; NULL: none */
    size_t bytes;                           /* of its prompts and its state */
    problem problem;                        /* why it failed, if it did */
    /* The scheduler's. */
    job *next;
    int begun, ended;                       /* sequences that have had a slot; that have ended */
    bool started;
};

typedef struct {
    served *const *models; int model_count;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    job *arrived;                           /* in order of arrival; taken over by the thread at its next turn */
    int waiting, limit, unfinished;         /* jobs without a slot yet, how many there may be, and all jobs */
    double patience;                        /* seconds that a stream waits for its client */
    size_t bytes, most_bytes;               /* of the prompts of all jobs, and how many there may be */
    bool running, draining, dropping;
    job *jobs;                              /* the thread's own */
} scheduler;

int  scheduler_start(scheduler *s, served *const *models, int count, int queue, size_t bytes, double patience, lithe_error *err);
/* The job is the scheduler's from then on.  False, and a problem, if there are too many. */
bool scheduler_submit(scheduler *s, job *j, problem *p);
int  scheduler_waiting(scheduler *s);               /* jobs that wait for a slot */
/* Accepts no more jobs, waits for those that run, at most `seconds`, breaks off the others and ends the thread. */
void scheduler_stop(scheduler *s, double seconds);

#endif
