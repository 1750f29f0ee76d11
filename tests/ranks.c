/* Ranks: exchanges over a transport between threads against plain sums, and a run of several ranks against one of a
 * single process. */
#include "base/arena.h"
#include "base/random.h"
#include "kernels/half.h"
#include "test.h"
#include "train/encode_ranks.h"
#include "train_runs.h"
#include <math.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a transport between threads ---------------------------------------------------- */

enum { RANKS = 5 };
typedef struct message { struct message *next; size_t bytes; char data[]; } message;
typedef struct post post;
typedef struct { post *post; int rank, from, number; channel channel; void *data; size_t bytes; } thread_rank;
/* Messages [from][to][channel], the latest receive of each rank, NULL after it has ended, and signs of life. */
struct post {
    pthread_mutex_t lock;
    message *first[RANKS][RANKS][2], **last[RANKS][RANKS][2];
    thread_rank *unended[RANKS];
    int wanted[RANKS][RANKS][2], taken[RANKS][RANKS][2], beats[RANKS][RANKS];
};

static char sent;

static void *thread_send(void *self, int to, channel c, const void *data, size_t bytes)
{
    thread_rank *own = self;
    post *p = own->post;
    message *m = malloc(sizeof *m + bytes);
    *m = (message){ .bytes = bytes };
    memcpy(m->data, data, bytes);
    pthread_mutex_lock(&p->lock);
    *p->last[own->rank][to][c] = m;
    p->last[own->rank][to][c] = &m->next;
    pthread_mutex_unlock(&p->lock);
    return &sent;
}

static void *thread_receive(void *self, int from, channel c, void *data, size_t bytes)
{
    thread_rank *r = malloc(sizeof *r);
    *r = *(thread_rank *)self;
    r->from = from, r->channel = c, r->data = data, r->bytes = bytes;
    r->number = r->post->wanted[from][r->rank][c]++;                           /* this rank alone asks for these */
    return r->post->unended[r->rank] = r;
}

static int thread_ended(void *self, void *transfer)
{
    thread_rank *r = transfer;
    (void)self;
    if (transfer == &sent) return 1;
    post *p = r->post;
    pthread_mutex_lock(&p->lock);
    int *taken = &p->taken[r->from][r->rank][r->channel];
    message **first = &p->first[r->from][r->rank][r->channel], *m = r->number == *taken ? *first : NULL;
    *taken += m != NULL;
    if (m && !(*first = m->next)) p->last[r->from][r->rank][r->channel] = first;
    pthread_mutex_unlock(&p->lock);
    if (!m) return 0;
    CHECK_MSG(m->bytes == r->bytes, "%zu bytes came, %zu were expected", m->bytes, r->bytes);
    memcpy(r->data, m->data, m->bytes < r->bytes ? m->bytes : r->bytes);
    free(m);
    p->unended[r->rank] = NULL;
    free(r);
    return 1;
}

static void thread_beat(void *self)
{
    thread_rank *own = self;
    pthread_mutex_lock(&own->post->lock);
    for (int to = 0; to < RANKS; to++) own->post->beats[own->rank][to]++;
    pthread_mutex_unlock(&own->post->lock);
}

static int thread_heard(void *self, int from)
{
    thread_rank *own = self;
    pthread_mutex_lock(&own->post->lock);
    int any = own->post->beats[from][own->rank];
    own->post->beats[from][own->rank] = 0;
    pthread_mutex_unlock(&own->post->lock);
    return any > 0;
}

typedef struct { thread_rank self; transport transport; pthread_t thread; lithe_error err; void *context; } member;

static void begin_members(post *p, member *all, int count, void *context)
{
    *p = (post){ .lock = PTHREAD_MUTEX_INITIALIZER };
    for (int i = 0; i < RANKS; i++)
        for (int j = 0; j < RANKS; j++)
            for (int c = 0; c < 2; c++) p->last[i][j][c] = &p->first[i][j][c];
    for (int i = 0; i < count; i++) {
        all[i] = (member){ .self = { .post = p, .rank = i }, .context = context };
        all[i].transport = (transport){ .rank = i, .count = count, .self = &all[i].self, .send = thread_send, .receive = thread_receive, .ended = thread_ended,
                                        .beat = thread_beat, .heard = thread_heard };
    }
}

/* ---- exchanges ------------------------------------------------------------------------ */

typedef struct { size_t n; real *sums; } problem;

static real value_of(int rank, size_t i) { return (real)random_normal(key_of(3, (uint64_t)rank), i); }

/* A rank's own numbers stay as they are, those of others come rounded. */
static real rounded_sum(int count, int rank, size_t i)
{
    real sum = 0;
    for (int k = 0; k < count; k++) {
        real x = k == rank ? value_of(k, i) : (real)float_from_bf16(bf16_from_float((float)value_of(k, i)));
        sum = k ? sum + x : x;
    }
    return sum;
}

static void sums_of_halves(lithe_ranks *r, real *x, size_t n, lithe_error *err)
{
    const shares s = ranks_shares(r, n);
    for (size_t i = 0; i < n; i++) x[i] = value_of(s.rank, i);
    CHECK_MSG(!ranks_reduce_open(r, x, n, WIRE_BF16, err) && !ranks_reduce_end(r, err), "%s", err->text);
    for (size_t b = 0; b < shares_buckets(&s); b++)
        for (size_t i = share_in(&s, b, s.rank).first; i < share_in(&s, b, s.rank).end; i++)
            if (x[i] != rounded_sum(s.count, s.rank, i)) CHECK_MSG(0, "rank %d: number %zu of %zu is %.9g", s.rank, i, n, (double)x[i]);
}

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
    CHECK_MSG(!ranks_reduce_open(r, x, p->n, WIRE_F32, &m->err), "%s", m->err.text);
    const shares s = ranks_shares(r, p->n);
    if (p->n) ranks_reduce_begin(r, shares_buckets(&s) - 1);          /* it may be the first to be ready */
    CHECK_MSG(!ranks_reduce_end(r, &m->err) && !ranks_spread(r, x, p->n, &m->err), "%s", m->err.text);
    CHECK_MSG(!memcmp(x, p->sums, p->n * sizeof *x), "%d ranks, rank %d: %zu sums are others", count, rank, p->n);
    if (count > 1 && p->n <= 1000) sums_of_halves(r, x, p->n, &m->err);
    double each[RANKS];
    CHECK(!lithe_ranks_each(r, 10 + rank, each, &m->err));
    for (int i = 0; i < count; i++) CHECK(each[i] == 10 + i);
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
    lithe_ranks_agree(r, m->transport.rank == 2 ? "version 1\nseed 8\n" : "version 1\nseed 7\n", &m->err);
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

/* Another machine may not see the directory that rank 0 names. */
static void *sees_no_run(void *context)
{
    member *m = context;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    announcement a = { .kind = RANKS_RUN, .run = "/nowhere/run" };
    if (m->transport.rank) CHECK(!lithe_trainer_join(r, &m->err));
    else ranks_tell(r, &a, sizeof a, &m->err);
    lithe_ranks_close(r);
    return NULL;
}

static void run_not_seen(void)
{
    post mail;
    member all[2];
    begin_members(&mail, all, 2, NULL);
    run_members(all, 2, sees_no_run);
    CHECK_MSG(all[1].err.status == LITHE_EIO && strstr(all[1].err.text, "/nowhere/run: ") && strstr(all[1].err.text, "does not see it"), "%s", all[1].err.text);
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
    ranks_patience(r, 0.5, 0);
    CHECK(ranks_sum(r, &x, 1, &err) == LITHE_EIO && strstr(err.text, "rank 1") && strstr(err.text, "has not answered"));
    lithe_ranks_close(r);
    free(mail.unended[0]);
}

/* ---- when buckets begin --------------------------------------------------------------- */

enum { BUCKET = 1 << 10 };
typedef struct { const params *p; real *copy; int begun, *times; } watched;

static size_t in_bucket(const params *p, size_t bucket) { return p->arena_count - bucket * BUCKET < BUCKET ? p->arena_count - bucket * BUCKET : BUCKET; }

static void copy_bucket(void *context, size_t bucket)
{
    watched *w = context;
    w->times[bucket]++;
    w->begun++;
    memcpy(w->copy + bucket * BUCKET, w->p->grad + bucket * BUCKET, in_bucket(w->p, bucket) * sizeof *w->copy);
}

/* During the backward pass, once for each bucket, and its numbers stay as they are then. */
static void begun_when_whole(void)
{
    const lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 2);
    fixture f = begin("run", tiny, &o);
    lithe_trainer *t = f.trainer;
    const params *p = t->model->params;
    size_t buckets = (p->arena_count + BUCKET - 1) / BUCKET;
    watched w = { p, xalloc(p->arena_count, sizeof *w.copy), 0, xalloc(buckets, sizeof *w.times) };
    feed x;
    const step *steps;
    CHECK(!feed_open(&x, t->model, GRAPH_TRAIN, &t->settings, &t->objective, 4, &(reduce_hook){ BUCKET, copy_bucket, &w }, &f.err));
    batch_begin(&x.pass.batch);
    for (int i = 0; i < 4; i++) objective_train(&t->objective, &x.pass.batch, 1, (uint64_t)i);
    CHECK(!feed_run(&x, 1, 1, false, &f.err));
    for (size_t b = 0; b < buckets; b++) {
        CHECK_MSG(w.times[b] == 1, "bucket %zu began %d times", b, w.times[b]);
        CHECK_MSG(!memcmp(w.copy + b * BUCKET, p->grad + b * BUCKET, in_bucket(p, b) * sizeof *w.copy), "bucket %zu began before it was whole", b);
    }
    int count = graph_steps(x.pass.g, &steps), first = 0, last = count - 1;
    while (first < count && steps[first].kind != STEP_REDUCE) first++;
    while (last > 0 && steps[last].kind != STEP_BACKWARD) last--;
    CHECK_MSG(first < last && w.begun > 4, "the first bucket begins at step %d, the backward pass ends at step %d", first, last);
    feed_close(&x);
    free(w.copy);
    free(w.times);
    close_fixture(&f);
}

/* ---- texts ------------------------------------------------------------------------------ */

/* Encodes what rank 0 asks for. */
static void *encodes(void *context)
{
    member *m = context;
    announcement a;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    CHECK_MSG(!encode_for_rank_0(r, &a, &m->err) && a.kind == RANKS_RUN, "%s", m->err.text);
    lithe_ranks_close(r);
    return NULL;
}

static void write_documents(const char *name)
{
    FILE *f = fopen(in_dir(name), "wb");
    for (int i = 0; i < 3000; i++) {
        fprintf(f, "{\"text\": \"");
        for (int w = 0; w < 1 + (i * i) % 97 * (i % 500 ? 1 : 200); w++) fprintf(f, "word%d ", (i * w) % 1000);
        fprintf(f, "\"}\n");
    }
    fclose(f);
}

/* The shards of many documents are those of a single process, with one tokenizer and then another. */
static void encoded_together(void)
{
    post mail;
    member all[3];
    lithe_error err = { 0 };
    char together[256], alone[256];
    write_documents("many.jsonl");
    const char *path = in_dir("many.jsonl");
    size_t size;
    char *text = lithe_text_read(&path, 1, 20000, &size, &err);
    lithe_tokenizer *tokens[2] = { lithe_tokenizer_open("bytes", &err), lithe_tokenizer_learn(text, size, 300, NULL, &err) };
    begin_members(&mail, all, 3, NULL);
    for (int i = 1; i < 3; i++) CHECK(!pthread_create(&all[i].thread, NULL, encodes, &all[i]));
    lithe_ranks *r = ranks_new(&all[0].transport, &err);
    const lithe_encoder encoder = lithe_ranks_encoder(r);
    CHECK(encoder.processes == 3);
    for (int i = 0; i < 2; i++) {
        lithe_dataset *a = lithe_dataset_open(&path, 1, NULL, tokens[i], &LITHE_OPTIONS(lithe_data_options, .encoder = &encoder), &err);
        lithe_dataset *b = lithe_dataset_open(&path, 1, NULL, tokens[i], NULL, &err);
        CHECK_MSG(a && b, "%s", err.text);
        if (a) dataset_identity(a, together, sizeof together);
        if (b) dataset_identity(b, alone, sizeof alone);
        CHECK_MSG(!strcmp(together, alone), "together %s, alone %s", together, alone);
        lithe_dataset_close(a);
        lithe_dataset_close(b);
        lithe_tokenizer_close(tokens[i]);
    }
    announcement end = { .kind = RANKS_RUN };
    CHECK(!ranks_tell(r, &end, sizeof end, &err));
    for (int i = 1; i < 3; i++) pthread_join(all[i].thread, NULL);
    lithe_ranks_close(r);
    free(text);
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
    if (t && m->context) *(int *)m->context = t->progress.step;
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

/* With gradients that travel as bf16 the run is another one, nearly the same, and repeats. */
static void run_on_halves(void)
{
    lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 20, .save_every = 10, .lr = 3e-3);
    double whole = run_in(2, "whole", false, still, o);
    o.wire = "bf16";
    double halves = run_in(2, "halves", false, still, o);
    run_in(2, "again", false, still, o);
    CHECK_MSG(halves != whole && fabs(halves - whole) < 2e-3 * whole, "loss %.9g, with bf16 %.9g", whole, halves);
    same_checkpoint(in_dir("halves"), in_dir("again"), 20);
    o.wire = "f16";
    lithe_error e = { 0 };
    fixture f = begin("no", still, &LITHE_OPTIONS(lithe_train_options, .ctx = 16, .steps = 1));
    CHECK(!lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir("wrong"), &e) && e.status == LITHE_EINVAL && strstr(e.text, "\"f16\""));
    e = (lithe_error){ 0 };
    close_fixture(&f);
    lithe_trainer *t = lithe_trainer_resume(in_dir("halves"), NULL, &e);
    CHECK(t && t->settings.wire == WIRE_BF16);
    lithe_trainer_close(t);
}

/* Runs on until it fails; before the fifth step rank 1 writes the time of a file of the data anew. */
static void run_until_changed(lithe_trainer *t, lithe_ranks *r, lithe_error *err)
{
    lithe_event e = { 0 };
    bool changes = lithe_ranks_rank(r) == 1;
    while (lithe_trainer_next(t, &e, err) > 0)
        if (changes && e.step == 4) CHECK(!utimensat(AT_FDCWD, in_dir("run/data/train.shard"), NULL, 0));
    CHECK_MSG(err->status == LITHE_EFORMAT && strstr(err->text, "/data") && lithe_ranks_failed_alike(r), "%s", err->text);
    lithe_trainer_close(t);
}

static void *joined_until_changed(void *context)
{
    member *m = context;
    lithe_ranks *r = ranks_new(&m->transport, &m->err);
    run_until_changed(lithe_trainer_join(r, &m->err), r, &m->err);
    lithe_ranks_close(r);
    return NULL;
}

/* All ranks end together, and the steps before are saved. */
static void data_changed(void)
{
    lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 1000, .save_every = 1000);
    post mail;
    member all[2];
    fixture f = { 0 };
    CHECK(!lithe_ranks_failed_alike(NULL));
    begin_members(&mail, all, 2, NULL);
    CHECK(!pthread_create(&all[1].thread, NULL, joined_until_changed, &all[1]));
    o.ranks = ranks_new(&all[0].transport, &f.err);
    f = begin("run", still, &o);
    run_until_changed(f.trainer, o.ranks, &f.err);
    pthread_join(all[1].thread, NULL);
    CHECK_MSG(strstr(f.err.text, "; the run is saved as ") && !strcmp(strrchr(f.err.text, '/'), strrchr(all[1].err.text, '/')), "%s | %s", f.err.text, all[1].err.text);
    f.trainer = NULL;
    close_fixture(&f);
    lithe_ranks_close(o.ranks);
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_open(in_dir("run"), NULL, &e);
    CHECK_MSG(m && !strstr(m->path, "ckpt-0"), "%s", e.text);
    lithe_model_close(m);
}

/* Rank 0 finds after the first step that a step takes ten seconds of the hundred: all write a checkpoint between the
 * usual ones, and end at the step that is chosen there. */
static void budget_in_ranks(void)
{
    lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .seconds = 1, .steps_most = 40, .save_every = 1 << 20, .eval_every = 1 << 20);
    post mail;
    member all[2];
    lithe_event e;
    fixture f = { 0 };
    int steps = 0;
    begin_members(&mail, all, 2, &steps);
    CHECK(!pthread_create(&all[1].thread, NULL, joined, &all[1]));
    o.ranks = ranks_new(&all[0].transport, &f.err);
    f = begin("run", still, &o);
    lithe_trainer *t = f.trainer;
    CHECK_MSG(t && t->settings.schedule.steps > 10, "%s", f.err.text);
    t->budget = (time_budget){ .seconds = 100, .began = seconds_now() - 10, .planned = seconds_now() - 6, .step = 10 };
    while (lithe_trainer_next(t, &e, &f.err) > 0 && e.kind != LITHE_SAVED) { }
    CHECK_MSG(e.kind == LITHE_SAVED && e.step == 1 && e.steps == 9, "saved at step %d of %d: %s", e.step, e.steps, f.err.text);
    run_out(t, &f.err);
    pthread_join(all[1].thread, NULL);
    CHECK_MSG(t->progress.step == 9 && steps == 9, "%d steps in rank 0, %d in rank 1", t->progress.step, steps);
    close_fixture(&f);
    lithe_ranks_close(o.ranks);
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

/* Into another architecture, whose values stand in other places, and to a larger vocabulary with data of its own. */
static void grown_into_others(void)
{
    char at[800], path[600];
    lithe_error err = { 0 };
    const char *text = text_file();
    size_t size;
    char *all = lithe_text_read(&text, 1, 1 << 20, &size, &err);
    lithe_tokenizer *larger = lithe_tokenizer_train(all, size, 280, &err);
    snprintf(path, sizeof path, "%s", in_dir("larger.json"));
    CHECK_MSG(larger && !lithe_tokenizer_save(larger, path, &err), "%s", err.text);
    snprintf(at, sizeof at, "3:to=hybrid,6:vocabulary=%s", path);
    const lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 10, .lr = 1e-3, .grow_at = at, .grow_with = "rewarm=2");
    double one = run_in(1, "one", false, still, o), two = run_in(2, "two", false, still, o);
    CHECK_MSG(close_to(two, one), "loss %.9g alone, %.9g in two ranks", one, two);
    lithe_tokenizer_close(larger);
    free(all);
}

/* Each rank has its shares of the momentum; a matrix is whole where it is orthogonalised. */
static void matrices_in_ranks(void)
{
    lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 8, .steps = 10, .save_every = 5, .lr = 1e-3, .optimizer = "muon", .grow_at = "6:to=hybrid");
    double one = run_in(1, "one", false, still, o), two = run_in(2, "two", false, still, o), three = run_in(3, "three", false, still, o);
    CHECK_MSG(close_to(two, one) && close_to(three, one), "loss %.9g alone, %.9g in two ranks, %.9g in three", one, two, three);
    o.steps = 14;
    double on = run_in(1, "one", true, still, o), others = run_in(2, "three", true, still, o);
    CHECK_MSG(close_to(on, others), "loss %.9g alone, %.9g resumed in two ranks", on, others);
}

static void one_alone(void)
{
    post mail;
    member all[RANKS];
    lithe_error err = { 0 };
    begin_members(&mail, all, 1, NULL);
    lithe_ranks *r = ranks_new(&all[0].transport, &err);
    int rank = 7;
    CHECK(lithe_ranks_launched(&rank) == 0 && rank == 0);                     /* by no mpirun */
    setenv("SLURM_STEP_NUM_TASKS", "8", 1);
    CHECK(lithe_ranks_launched(&rank) == 0 && rank == 0);
    setenv("PMIX_RANK", "3", 1);
    CHECK(lithe_ranks_launched(&rank) == 8 && rank == 3);
    unsetenv("SLURM_STEP_NUM_TASKS");
    unsetenv("PMIX_RANK");
    CHECK(!lithe_ranks_open(&(lithe_error){ LITHE_EIO, "an earlier failure" }));
    CHECK(lithe_ranks_count(r) == 1 && lithe_ranks_rank(r) == 0 && lithe_ranks_local(r) == 1 && *lithe_ranks_host(r, 0) && !*lithe_ranks_host(r, 1));
    CHECK(!lithe_trainer_join(r, &err) && strstr(err.text, "rank 0"));
    CHECK(!lithe_trainer_join(NULL, &(lithe_error){ 0 }));
    lithe_ranks_abort(NULL, 1);
    lithe_ranks_close(r);
}

const test tests_ranks[] = {
    { "ranks: sums in the order of the ranks", sums_in_order },
    { "ranks: what differs is named", difference_named },
    { "ranks: silence is named", silence_named },
    { "ranks: a run that another machine does not see", run_not_seen },
    { "ranks: a bucket begins when its gradients are whole", begun_when_whole },
    { "ranks: a corpus encoded together", encoded_together },
    { "ranks: a run is that of one process", run_of_ranks },
    { "ranks: a run with bf16 between ranks", run_on_halves },
    { "ranks: resumed in another number", resumed_in_others },
    { "ranks: data that change are found by all", data_changed },
    { "ranks: a budget of time is kept by all", budget_in_ranks },
    { "ranks: growth, dropout and parts", grown_and_accumulated },
    { "ranks: growth into another architecture and vocabulary", grown_into_others },
    { "ranks: Muon", matrices_in_ranks },
    { "ranks: one alone", one_alone },
    { 0 }
};
