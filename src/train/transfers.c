#include "train/transfers.h"
#include "base/arena.h"
#include <stdlib.h>
#include <time.h>

/* Spins of a wait before it sleeps, and before it sleeps longer. */
enum { SPINS = 2000, MANY_SPINS = 4 * SPINS };
/* Seconds without a sign of life after which a rank is given up, and of an exchange with ranks that do live. */
static const double SILENCE = 45, LIMIT = 1800;
/* The former is so many times the time between signs of life, that between looks for others', and a rest so long
 * that this process was stopped. */
static const double BEATS = 40, LOOKS = 400, STOPPED = 4;
static const double LATER = 1.1;                /* when a second rank reports one that is silent */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- signs of life ---------------------------------------------------------------------- */

/* Gives one and looks for those of others.  A process that was stopped itself forgives the silence of that time.  One
 * rank reports a silent one, and ends the job before the others do. */
static void live(lithe_ranks *r)
{
    const transport *t = &r->transport;
    double at = now(), rest = at - r->looked;
    if (rest < r->silence / LOOKS) return;
    r->looked = at;
    for (int k = 0; k < t->count; k++) {
        if (t->heard(t->self, k) || k == t->rank || rest > r->silence / STOPPED) r->heard[k] = at;
        else if (at - r->heard[k] > r->silence * (t->rank == (k == 0) ? 1 : LATER) && r->silent < 0) r->silent = k;
    }
    if (at - r->beaten < r->silence / BEATS) return;
    r->beaten = at;
    t->beat(t->self);
}

/* ---- the mover ---------------------------------------------------------------------------- */

static void sleep_until_woken(lithe_ranks *r, double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long ns = t.tv_nsec + (long)(1e9 * (seconds - (double)(long)seconds));
    t.tv_sec += (long)seconds + ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&r->wake, &r->lock, &t);
}

static void *move(void *context)
{
    static const double between = 200e-6;
    lithe_ranks *r = context;
    pthread_mutex_lock(&r->lock);
    while (!r->closing) {
        live(r);
        bool busy = r->moves && !r->waiting && r->moves(r);
        sleep_until_woken(r, busy ? between : r->silence / BEATS);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- transfers ------------------------------------------------------------------------------ */

static void begun(transfers *x, void *transfer, int rank)
{
    x->failed |= !transfer;
    x->p[x->n++] = (pending){ transfer, rank };
}

void put(lithe_ranks *r, transfers *x, int to, channel c, const void *data, size_t bytes)
{
    if (bytes && !x->failed) begun(x, r->transport.send(r->transport.self, to, c, data, bytes), to);
}

void get(lithe_ranks *r, transfers *x, int from, channel c, void *data, size_t bytes)
{
    if (bytes && !x->failed) begun(x, r->transport.receive(r->transport.self, from, c, data, bytes), from);
}

int transfers_left(lithe_ranks *r, transfers *x)
{
    int left = 0;
    for (int i = 0; i < x->n && !x->failed; i++) {
        int ended = x->p[i].transfer ? r->transport.ended(r->transport.self, x->p[i].transfer) : 1;
        x->failed = ended < 0;
        if (ended) x->p[i].transfer = NULL;
        else left++;
    }
    return x->failed ? -1 : left;
}

/* Lets other threads and processes run, first for a moment and then for longer. */
static void pause_for(int spins)
{
    if (spins >= SPINS) nanosleep(&(struct timespec){ 0, spins < MANY_SPINS ? 20000 : 200000 }, NULL);
}

static int give_up(const lithe_ranks *r, int silent, lithe_error *err)
{
    if (silent < 0) return fail(err, LITHE_EIO, "the other ranks live, but one of them has computed or written for more than %.0f seconds", r->limit);
    return fail(err, LITHE_EIO, "rank %d on %s has not answered for %.0f seconds: it hangs, or its machine is lost", silent, r->hosts ? r->hosts[silent] : "its machine", r->silence);
}

/* Sets whether another thread moves in the mover's place. */
static void wait_begins(lithe_ranks *r, bool begins)
{
    pthread_mutex_lock(&r->lock);
    r->waiting = begins;
    pthread_mutex_unlock(&r->lock);
}

int ranks_wait(lithe_ranks *r, int (*left)(lithe_ranks *r, void *context), void *context, lithe_error *err)
{
    double began = now(), since = began;
    int status = LITHE_OK, before = -1;
    wait_begins(r, true);
    for (int spins = 0; !status; spins++) {
        pthread_mutex_lock(&r->lock);
        int n = left(r, context);
        live(r);
        int silent = r->silent;
        pthread_mutex_unlock(&r->lock);
        if (!n) break;
        if (n < 0) status = fail(err, LITHE_EIO, "the connection with another rank failed");
        else if (n != before) since = now(), spins = 0, before = n;
        else pause_for(spins);
        if (!status && (silent >= 0 || (spins % SPINS == SPINS - 1 && now() - since > r->limit))) status = give_up(r, silent, err);
    }
    wait_begins(r, false);
    r->waited += now() - began;
    return status;
}

static int left_of(lithe_ranks *r, void *x) { return transfers_left(r, x); }
int transfers_wait(lithe_ranks *r, transfers *x, lithe_error *err) { return ranks_wait(r, left_of, x, err); }

/* ---- opening ---------------------------------------------------------------------------------- */

int mover_open(lithe_ranks *r)
{
    pthread_condattr_t clock;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &clock);
    pthread_condattr_destroy(&clock);
    r->silence = SILENCE;
    r->limit = LIMIT;
    r->silent = -1;
    r->looked = r->beaten = now();
    r->heard = xalloc((size_t)r->transport.count, sizeof *r->heard);
    if (!r->heard) return -1;
    for (int k = 0; k < r->transport.count; k++) r->heard[k] = r->looked;
    r->moving = !pthread_create(&r->mover, NULL, move, r);
    return r->moving ? 0 : -1;
}

void mover_close(lithe_ranks *r)
{
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->moving) pthread_join(r->mover, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    free(r->heard);
}

void ranks_patience(lithe_ranks *r, double silence, double limit)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    if (silence > 0) r->silence = silence;
    r->limit = limit > 0 ? limit : LIMIT;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

double ranks_waited(lithe_ranks *r)
{
    double seconds = r ? r->waited : 0;
    if (r) r->waited = 0;
    return seconds;
}
