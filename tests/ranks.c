/* Ranks: exchanges over a transport between threads against plain sums, and a run of several ranks against one of a
 * single process. */
#include "base/arena.h"
#include "base/random.h"
#include "test.h"
#include "train/ranks.h"
#include "train_runs.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- a transport between threads ---------------------------------------------------- */

enum { RANKS = 5 };
typedef struct message { struct message *next; size_t bytes; char data[]; } message;
typedef struct post post;
typedef struct { post *post; int rank, from; void *data; size_t bytes; } thread_rank;
/* Messages [from][to], and the latest receive of each rank, NULL after it has ended. */
struct post { pthread_mutex_t lock; message *first[RANKS][RANKS], **last[RANKS][RANKS]; thread_rank *unended[RANKS]; };

static char sent;

static void *thread_send(void *self, int to, const void *data, size_t bytes)
{
    thread_rank *own = self;
    post *p = own->post;
    message *m = malloc(sizeof *m + bytes);
    *m = (message){ .bytes = bytes };
    memcpy(m->data, data, bytes);
    pthread_mutex_lock(&p->lock);
    *p->last[own->rank][to] = m;
    p->last[own->rank][to] = &m->next;
    pthread_mutex_unlock(&p->lock);
    return &sent;
}

static void *thread_receive(void *self, int from, void *data, size_t bytes)
{
    thread_rank *r = malloc(sizeof *r);
    *r = *(thread_rank *)self;
    r->from = from, r->data = data, r->bytes = bytes;
    return r->post->unended[r->rank] = r;
}

static int thread_ended(void *self, void *transfer)
{
    thread_rank *r = transfer;
    (void)self;
    if (transfer == &sent) return 1;
    post *p = r->post;
    pthread_mutex_lock(&p->lock);
    message *m = p->first[r->from][r->rank];
    if (m && !(p->first[r->from][r->rank] = m->next)) p->last[r->from][r->rank] = &p->first[r->from][r->rank];
    pthread_mutex_unlock(&p->lock);
    if (!m) return 0;
    CHECK_MSG(m->bytes == r->bytes, "%zu bytes came, %zu were expected", m->bytes, r->bytes);
    memcpy(r->data, m->data, m->bytes < r->bytes ? m->bytes : r->bytes);
    free(m);
    p->unended[r->rank] = NULL;
    free(r);
    return 1;
}

typedef struct { thread_rank self; transport transport; pthread_t thread; lithe_error err; void *context; } member;

static void begin_members(post *p, member *all, int count, void *context)
{
    *p = (post){ .lock = PTHREAD_MUTEX_INITIALIZER };
    for (int i = 0; i < RANKS; i++)
        for (int j = 0; j < RANKS; j++) p->last[i][j] = &p->first[i][j];
    for (int i = 0; i < count; i++) {
        all[i] = (member){ .self = { .post = p, .rank = i }, .context = context };
        all[i].transport = (transport){ .rank = i, .count = count, .self = &all[i].self, .send = thread_send, .receive = thread_receive, .ended = thread_ended };
    }
}

/* ---- exchanges ------------------------------------------------------------------------ */

typedef struct { size_t n; real *sums; } problem;

static real value_of(int rank, size_t i) { return (real)random_normal(key_of(3, (uint64_t)rank), i); }

/* Every rank's array becomes the sum in the order of the ranks. */
static void *sums_in(void *context)
{
    member *m = context;
    const problem *p = m->context;
    int rank = m->transport.rank, count = m->transport.count;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    real *x = xalloc(p->n + 1, sizeof *x);
    double few[3] = { rank, 1, 0.5 * rank };
    for (size_t i = 0; i < p->n; i++) x[i] = value_of(rank, i);
    CHECK(!ranks_sum(r, few, 3, &m->err) && few[0] == count * (count - 1) / 2 && few[1] == count && few[2] == count * (count - 1) / 4.0);
    CHECK_MSG(!ranks_reduce(r, x, p->n, &m->err) && !ranks_spread(r, x, p->n, &m->err), "%s", m->err.text);
    CHECK_MSG(!memcmp(x, p->sums, p->n * sizeof *x), "%d ranks, rank %d: %zu sums are others", count, rank, p->n);
    CHECK(lithe_ranks_any(r, rank == count - 1, &m->err) == 1 && lithe_ranks_any(r, 0, &m->err) == 0);
    free(x);
    lithe_ranks_close(r);
    return NULL;
}

static void run_members(member *all, int count, void *(*body)(void *))
{
    for (int i = 0; i < count; i++) CHECK(!pthread_create(&all[i].thread, NULL, body, &all[i]));
    for (int i = 0; i < count; i++) pthread_join(all[i].thread, NULL);
}

static void sums_in_order(void)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 1000, (1 << 21) + 13 };
    for (int count = 1; count <= RANKS; count++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            problem p = { sizes[k], xalloc(sizes[k] + 1, sizeof(real)) };
            post mail;
            member all[RANKS];
            if (count > 3 && sizes[k] > 1000) { free(p.sums); continue; }
            for (size_t i = 0; i < p.n; i++) {
                p.sums[i] = value_of(0, i);
                for (int r = 1; r < count; r++) p.sums[i] += value_of(r, i);
            }
            begin_members(&mail, all, count, &p);
            run_members(all, count, sums_in);
            free(p.sums);
        }
}

static void *agrees(void *context)
{
    member *m = context;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    ranks_agree(r, m->transport.rank == 2 ? "version 1\nseed 8\n" : "version 1\nseed 7\n", &m->err);
    lithe_ranks_close(r);
    return NULL;
}

static void difference_named(void)
{
    post mail;
    member all[3];
    begin_members(&mail, all, 3, NULL);
    run_members(all, 3, agrees);
    CHECK_MSG(all[0].err.status == LITHE_EMISMATCH && strstr(all[0].err.text, "rank 2 ") && strstr(all[0].err.text, "seed 8") && strstr(all[0].err.text, "seed 7"),
              "%s", all[0].err.text);
    CHECK(!all[1].err.status && !all[2].err.status);
}

static void *leaves(void *context)
{
    member *m = context;
    lithe_ranks_close(ranks_new(&m->transport, &m->err));
    return NULL;
}

static void silence_named(void)
{
    post mail;
    member all[2];
    lithe_error err = { 0 };
    double x = 1;
    begin_members(&mail, all, 2, NULL);
    CHECK(!pthread_create(&all[1].thread, NULL, leaves, &all[1]));
    lithe_ranks *r = ranks_new(&all[0].transport, &err);
    pthread_join(all[1].thread, NULL);
    ranks_busy(r, 0.3);
    CHECK(ranks_sum(r, &x, 1, &err) == LITHE_EIO && strstr(err.text, "rank 1") && strstr(err.text, "has not answered"));
    lithe_ranks_close(r);
    free(mail.unended[0]);
}

/* ---- runs ------------------------------------------------------------------------------- */

static void *joined(void *context)
{
    member *m = context;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    lithe_trainer *t = lithe_trainer_join(r, &m->err);
    CHECK_MSG(t, "%s", m->err.text);
    if (t) run_out(t, &m->err);
    CHECK_MSG(!m->err.status, "%s", m->err.text);
    lithe_trainer_close(t);
    lithe_ranks_close(r);
    return NULL;
}

/* A run in `count` ranks, or of a single process; resumed: to its larger number of steps. */
static double run_in(int count, const char *name, bool resumed, const char *config, lithe_train_options o)
{
    post mail;
    member all[RANKS];
    lithe_error err = { 0 };
    double loss;
    begin_members(&mail, all, count, NULL);
    for (int i = 1; i < count; i++) CHECK(!pthread_create(&all[i].thread, NULL, joined, &all[i]));
    o.ranks = count > 1 ? ranks_new(&all[0].transport, &err) : NULL;
    if (resumed) {
        lithe_trainer *t = lithe_trainer_resume(in_dir(name), &LITHE_OPTIONS(lithe_train_options, .steps = o.steps, .ranks = o.ranks), &err);
        CHECK_MSG(t, "%s", err.text);
        loss = t ? run_out(t, &err) : NAN;
        lithe_trainer_close(t);
    } else loss = whole_run(name, config, &o);
    for (int i = 1; i < count; i++) pthread_join(all[i].thread, NULL);
    lithe_ranks_close(o.ranks);
    CHECK_MSG(!err.status, "%s", err.text);
    return loss;
}

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-6 * fabs(b); }

static void run_of_ranks(void)
{
    const lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 12, .eval_every = 4, .save_every = 4, .lr = 3e-3);
    double one = run_in(1, "one", false, tiny, o), two = run_in(2, "two", false, tiny, o), three = run_in(3, "three", false, tiny, o);
    CHECK_MSG(close_to(two, one) && close_to(three, one), "loss %.9g alone, %.9g in two ranks, %.9g in three", one, two, three);
    run_in(3, "again", false, tiny, o);
    same_checkpoint(in_dir("three"), in_dir("again"), 12);
    CHECK(same_file(in_dir("three"), in_dir("again"), "model.safetensors"));
}

static void resumed_in_others(void)
{
    lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 6, .save_every = 6, .lr = 3e-3, .schedule = "constant");
    run_in(3, "run", false, tiny, o);
    run_in(1, "alone", false, tiny, o);
    o.steps = 12;
    double others = run_in(2, "run", true, tiny, o), alone = run_in(1, "alone", true, tiny, o);
    CHECK_MSG(close_to(others, alone), "loss %.9g alone, %.9g resumed in two ranks", alone, others);
}

static void grown_and_accumulated(void)
{
    const lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .accumulate = 2, .steps = 10, .lr = 1e-3, .grow_at = "4:2x");
    double one = run_in(1, "one", false, still, o), two = run_in(2, "two", false, still, o);
    CHECK_MSG(close_to(two, one), "loss %.9g alone, %.9g in two ranks", one, two);
}

static void one_alone(void)
{
    post mail;
    member all[RANKS];
    lithe_error err = { 0 };
    begin_members(&mail, all, 1, NULL);
    lithe_ranks *r = ranks_new(&all[0].transport, &err);
    int rank = 7;
    CHECK(lithe_ranks_launched(&rank) == 1 && rank == 0);                     /* by no mpirun */
    CHECK(!lithe_ranks_open(&(lithe_error){ LITHE_EIO, "an earlier failure" }));
    CHECK(lithe_ranks_count(r) == 1 && lithe_ranks_rank(r) == 0 && lithe_ranks_local(r) == 1 && *lithe_ranks_host(r));
    CHECK(!lithe_trainer_join(r, &err) && strstr(err.text, "rank 0"));
    CHECK(!lithe_trainer_join(NULL, &(lithe_error){ 0 }));
    lithe_ranks_abort(NULL, 1);
    lithe_ranks_close(r);
}

const test tests_ranks[] = {
    { "ranks: sums in the order of the ranks", sums_in_order },
    { "ranks: what differs is named", difference_named },
    { "ranks: silence is named", silence_named },
    { "ranks: a run is that of one process", run_of_ranks },
    { "ranks: resumed in another number", resumed_in_others },
    { "ranks: growth, dropout and parts", grown_and_accumulated },
    { "ranks: one alone", one_alone },
    { 0 }
};
