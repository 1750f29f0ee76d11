#include "serve/scheduler.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* A stream whose client has not read that much yet has to wait. */
enum { BACKLOG = 1 << 20, LEAST_PROMPT_ROWS = 16 };

static void leave_slot(served *m, int i)
{
    m->slot[i] = (place_in_engine){ 0 };
    lithe_engine_clear(m->engine, i);
    atomic_fetch_sub(&m->busy, 1);
}

static void leave_slots(job *j)
{
    for (int i = 0; i < j->model->slots; i++)
        if (j->model->slot[i].job == j) leave_slot(j->model, i);
}

/* ---- jobs ---------------------------------------------------------------------------- */

static void count_start(scheduler *s, job *j)
{
    if (j->started) return;
    j->started = true;
    pthread_mutex_lock(&s->mutex);
    s->waiting--;
    pthread_mutex_unlock(&s->mutex);
}

static void remove_job(scheduler *s, job *j)
{
    job **at = &s->jobs;
    while (*at != j) at = &(*at)->next;
    *at = j->next;
    count_start(s, j);
    leave_slots(j);
    exchange *x = j->x;
    size_t bytes = j->bytes;
    j->kind->close(j);
    exchange_release(x);
    pthread_mutex_lock(&s->mutex);
    s->unfinished--;
    s->bytes -= bytes;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void finish_job(scheduler *s, job *j)
{
    if (j->problem.status) exchange_break(j->x, &j->problem);
    else j->kind->finish(j);
    remove_job(s, j);
}

static void drop_those_left(scheduler *s)
{
    for (job *j = s->jobs, *next; j; j = next) {
        next = j->next;
        exchange_ping(j->x);
        if (!exchange_left(j->x) && !j->problem.status) continue;
        refuse(&j->problem, CLIENT_LEFT, NULL, "the client has left");          /* which lets go of its connection */
        finish_job(s, j);
    }
}

/* ---- prefixes --------------------------------------------------------------------------- */

/* Short texts are read again as fast as they are looked up. */
enum { SHORTEST_PREFIX = 16 };

/* Keeps the states of a slot; logits are those after all ids of the prompt, or NULL. */
static void keep_prefix(served *m, int slot, const float *logits)
{
    const sequence *q = m->slot[slot].sequence;
    if (q->read >= SHORTEST_PREFIX && !m->slot[slot].job->state) prefix_keep(m->prefixes, m->engine, slot, q->ids, q->read, logits, m->vocab);
}

/* ---- a turn of a model ------------------------------------------------------------------ */

/* A choice begins when the first one with its prompt has read it, from whose states it goes on. */
static bool can_begin(const job *j)
{
    const sequence *first = j->begun < j->count ? j->sequences[j->begun].first : NULL;
    return j->begun < j->count && !(first && first->phase == SEQUENCE_READS && j->model->prefixes->most > 1);
}

/* The job with a sequence to begin that has the fewest running ones, the earliest of several. */
static job *next_job(const scheduler *s, const served *m)
{
    job *best = NULL;
    for (job *j = s->jobs; j; j = j->next)
        if (j->model == m && can_begin(j) && (!best || j->begun - j->ended < best->begun - best->ended)) best = j;
    return best;
}

static void note_end(job *j, sequence *q)
{
    j->ended++;
    if (j->kind->wrote) j->kind->wrote(j, q);
}

/* A sequence of which nothing is to be computed ends at once. */
static bool begin_sequence(job *j, sequence *q)
{
    lithe_error err = { 0 };
    q->begun = true;
    if (q->rules->max_tokens || q->rules->score_prompt || j->kind->read) return true;
    sequence_end(q, "length", &err);
    note_end(j, q);
    return false;
}

/* What follows when a sequence in a slot has chosen an id, or could not. */
static void settle(scheduler *s, served *m, int slot, size_t before, const lithe_error *err)
{
    place_in_engine at = m->slot[slot];
    if (err->status) refuse(&at.job->problem, err->status == LITHE_ENOMEM ? 503 : 500, NULL, "%s", err->text);
    bool ended = at.sequence->phase == SEQUENCE_ENDED;
    if (ended) {
        keep_prefix(m, slot, NULL);
        leave_slot(m, slot);
        note_end(at.job, at.sequence);
    } else if (at.sequence->count > before && at.job->kind->wrote) at.job->kind->wrote(at.job, at.sequence);
    if (at.job->problem.status || (ended && at.job->ended == at.job->count)) finish_job(s, at.job);
}

/* The number of ids at the beginning of a prompt that do not have to be read: those of the request's state, else of the
 * longest beginning that is known. */
static size_t read_before(served *m, int slot, const job *j, const sequence *q, float *logits)
{
    if (q->rules->score_prompt) return 0;
    if (j->state) return given_state_take(j->state, m->engine, slot, logits, m->vocab);
    return prefix_restore(m->prefixes, m->engine, slot, q->ids, q->prompt, logits, m->vocab);
}

/* The whole prompt is read: the first token is chosen. */
static int begin_writing(served *m, int slot, const float *logits, lithe_error *err)
{
    const place_in_engine *at = &m->slot[slot];
    if (at->job->kind->read) at->job->kind->read(at->job, slot, logits);
    return sequence_choose(at->sequence, &m->chooser, logits, err);
}

static void enter_slot(scheduler *s, served *m, int slot, job *j, sequence *q)
{
    lithe_error err = { 0 };
    float *logits = m->logits + (size_t)slot * (size_t)m->vocab;
    m->slot[slot] = (place_in_engine){ .job = j, .sequence = q };
    atomic_fetch_add(&m->busy, 1);
    q->read = read_before(m, slot, j, q, logits);
    if (q->read < q->prompt) return;
    begin_writing(m, slot, logits, &err);
    settle(s, m, slot, q->prompt, &err);
}

static void fill_slots(scheduler *s, served *m)
{
    for (int i = 0; i < m->slots; ) {
        job *j = m->slot[i].sequence ? NULL : next_job(s, m);
        if (!m->slot[i].sequence && !j) return;
        if (!j) { i++; continue; }
        count_start(s, j);
        sequence *q = &j->sequences[j->begun++];
        if (!begin_sequence(j, q)) {
            if (j->ended == j->count) finish_job(s, j);
            continue;
        }
        enter_slot(s, m, i, j, q);
    }
}

static void add_input(served *m, size_t *count, int slot, size_t n, float *logits, size_t wanted)
{
    sequence *q = m->slot[slot].sequence;
    m->slot[slot].taken = n;
    m->inputs[(*count)++] = (lithe_engine_input){ .slot = slot, .ids = q->ids + q->read, .n = n, .logits = logits, .wanted = wanted };
}

/* Whether the client of a sequence reads what is written; a stream that waits too long for it is broken off. */
static bool is_read(const scheduler *s, const place_in_engine *at)
{
    sequence *q = at->sequence;
    if (exchange_backlog(at->job->x) <= BACKLOG) q->waits_since = 0;
    else if (!(q->waits_since > 0)) q->waits_since = exchange_now();
    else if (exchange_now() - q->waits_since > s->patience) refuse(&at->job->problem, 408, NULL, "the client reads too slowly");
    return !(q->waits_since > 0);
}

/* One token of each sequence that writes. */
static size_t gather_writers(const scheduler *s, served *m)
{
    size_t count = 0;
    for (int i = 0; i < m->slots; i++) {
        const place_in_engine *at = &m->slot[i];
        if (!at->sequence || at->sequence->phase != SEQUENCE_WRITES || !is_read(s, at)) continue;
        add_input(m, &count, i, 1, m->logits + (size_t)i * (size_t)m->vocab, 1);
    }
    return count;
}

/* Parts of prompts, in the rows that are left, beginning with another slot in each turn. */
static size_t gather_readers(served *m, size_t count)
{
    size_t rows = count + LEAST_PROMPT_ROWS < PROMPT_ROWS ? PROMPT_ROWS - count : LEAST_PROMPT_ROWS, scored = 0;
    for (int k = 0; k < m->slots && rows; k++) {
        int i = (m->next + k) % m->slots;
        const sequence *q = m->slot[i].sequence;
        if (!q || q->phase != SEQUENCE_READS) continue;
        size_t left = q->prompt - q->read, n = left < rows ? left : rows, border = PREFIX_BORDER - q->read % PREFIX_BORDER;
        if (m->recurrent && n > border) n = border;
        if (q->rules->score_prompt && n > SCORED_ROWS - scored) n = SCORED_ROWS - scored;
        if (!n) continue;
        if (q->rules->score_prompt) add_input(m, &count, i, n, m->scoring + scored * (size_t)m->vocab, n);
        else add_input(m, &count, i, n, m->logits + (size_t)i * (size_t)m->vocab, n == left);
        if (q->rules->score_prompt) scored += n;
        rows -= n;
    }
    m->next = (m->next + 1) % m->slots;
    return count;
}

/* The scores of the prompt's ids that follow those which were read. */
static bool score_rows(const served *m, sequence *q, const lithe_engine_input *in)
{
    bool done = q->read || sequence_score(q, 0, NULL, m->vocab);
    for (size_t k = 0; k < in->n && q->read + k + 1 < q->prompt && done; k++)
        done = sequence_score(q, q->read + k + 1, in->logits + k * (size_t)m->vocab, m->vocab);
    return done;
}

/* What a sequence makes of the logits of a step. */
static int take_step(served *m, sequence *q, const lithe_engine_input *in, lithe_error *err)
{
    if (q->phase == SEQUENCE_READS && q->rules->score_prompt && !score_rows(m, q, in))
        return fail(err, LITHE_ENOMEM, "not enough memory for the scores of %zu tokens", q->prompt);
    const float *last = in->wanted ? in->logits + (in->wanted - 1) * (size_t)m->vocab : NULL;
    q->read += in->n;
    if (q->read == q->prompt) {
        keep_prefix(m, in->slot, last);
        return begin_writing(m, in->slot, last, err);
    }
    if (m->recurrent && q->read < q->prompt && q->read % PREFIX_BORDER == 0) keep_prefix(m, in->slot, NULL);
    return q->read < q->count ? LITHE_OK : sequence_choose(q, &m->chooser, last, err);
}

static void after_step(scheduler *s, served *m, const lithe_engine_input *in, const lithe_error *failure)
{
    sequence *q = m->slot[in->slot].sequence;
    size_t before = q->count;
    lithe_error err = *failure;
    if (!err.status) take_step(m, q, in, &err);
    settle(s, m, in->slot, before, &err);
}

/* Returns whether anything was done. */
static bool turn_model(scheduler *s, served *m)
{
    lithe_error err = { 0 };
    fill_slots(s, m);
    size_t count = gather_readers(m, gather_writers(s, m));
    if (!count) return false;
    lithe_engine_step(m->engine, m->inputs, count, &err);
    for (size_t i = 0; i < count; i++)
        /* The failure of another one may have removed it. */
        if (m->slot[m->inputs[i].slot].sequence) after_step(s, m, &m->inputs[i], &err);
    return true;
}

/* ---- other work ------------------------------------------------------------------------- */

/* One piece of the first job that has such work, which then goes to the end of the list. */
static bool turn_work(scheduler *s)
{
    job **at = &s->jobs;
    while (*at && !(*at)->kind->work) at = &(*at)->next;
    job *j = *at;
    if (!j) return false;
    count_start(s, j);
    if (!j->kind->work(j) || j->problem.status) { finish_job(s, j); return true; }
    *at = j->next;
    while (*at) at = &(*at)->next;
    *at = j;
    j->next = NULL;
    return true;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Waits while there is nothing to do, and a moment when only clients have to. */
static bool take_arrivals(scheduler *s, bool idle)
{
    pthread_mutex_lock(&s->mutex);
    while (!s->arrived && !s->jobs && !s->dropping) pthread_cond_wait(&s->changed, &s->mutex);
    if (idle && s->jobs && !s->arrived && !s->dropping) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += 5000000;
        if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; }
        pthread_cond_timedwait(&s->changed, &s->mutex, &t);
    }
    job **end = &s->jobs;
    while (*end) end = &(*end)->next;
    *end = s->arrived;
    s->arrived = NULL;
    bool dropping = s->dropping;
    pthread_mutex_unlock(&s->mutex);
    return !dropping;
}

static void break_off(scheduler *s)
{
    while (s->jobs) {
        refuse(&s->jobs->problem, 503, NULL, "the server stops");
        finish_job(s, s->jobs);
    }
}

static void *run(void *argument)
{
    scheduler *s = argument;
    for (bool idle = false; take_arrivals(s, idle); ) {
        drop_those_left(s);
        idle = !turn_work(s);
        for (int i = 0; i < s->model_count; i++)
            if (s->models[i]->engine && turn_model(s, s->models[i])) idle = false;
    }
    break_off(s);
    return NULL;
}

int scheduler_start(scheduler *s, served *const *models, int count, int queue, size_t bytes, double patience, lithe_error *err)
{
    *s = (scheduler){ .models = models, .model_count = count, .limit = queue, .most_bytes = bytes, .patience = patience, .running = true };
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (!pthread_create(&s->thread, NULL, run, s)) return LITHE_OK;
    s->running = false;
    return fail(err, LITHE_ENOMEM, "cannot start a thread");
}

int scheduler_waiting(scheduler *s)
{
    pthread_mutex_lock(&s->mutex);
    int n = s->waiting;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

bool scheduler_submit(scheduler *s, job *j, problem *p)
{
    pthread_mutex_lock(&s->mutex);
    if (s->draining) refuse(p, 503, NULL, "the server stops and takes no more requests");
    else if (s->waiting >= s->limit) refuse(p, 429, NULL, "%d requests are waiting already, try again later", s->waiting);
    else if (s->bytes + j->bytes > s->most_bytes) refuse(p, 429, NULL, "the prompts of waiting requests have %zu bytes already, try again later", s->bytes);
    else {
        job **end = &s->arrived;
        while (*end) end = &(*end)->next;
        *end = j;
        s->waiting++;
        s->bytes += j->bytes;
        s->unfinished++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    return !p->status;
}

void scheduler_stop(scheduler *s, double seconds)
{
    if (!s->running) return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)seconds;
    pthread_mutex_lock(&s->mutex);
    s->draining = true;
    while (s->unfinished && pthread_cond_timedwait(&s->changed, &s->mutex, &t) != ETIMEDOUT) {}
    s->dropping = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    s->running = false;
}
