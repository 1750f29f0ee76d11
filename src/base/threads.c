/* The pool.  A job is one word: a generation in the high half, tasks not yet
 * claimed in the low half.  A thread claims by subtracting one; while the low
 * half is above zero the job cannot end, so the fields read between the load
 * and a successful exchange are this job's, however late the thread woke up.
 * Invariant: the job's fields change only under `use`, with nothing claimable
 * and nothing unfinished. */
#include "base/threads.h"
#include "base/arena.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/kernel_file.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

enum { THREADS_MAX = 1024, SPIN_NANOSECONDS = 20000 };

typedef struct { pthread_t thread; void *scratch; uint32_t generation; } worker;

static struct {
    pthread_mutex_t use;                        /* held by the thread whose job runs */
    pthread_mutex_t mutex;                      /* of the two conditions */
    pthread_cond_t wake, finished;
    atomic_ullong job;                          /* generation << 32 | unclaimed tasks */
    _Atomic(void (*)(void *, int)) body;
    _Atomic(void *) context;
    atomic_int tasks, unfinished;
    atomic_int sleeping, waiting;               /* workers in wake; the caller in finished */
    atomic_bool stop;
    atomic_int wanted;                          /* number of threads asked for; 0: not decided yet */
    int started;                                /* number of threads asked for when the workers were started */
    worker *workers;
    int count;
} pool = { .use = PTHREAD_MUTEX_INITIALIZER, .mutex = PTHREAD_MUTEX_INITIALIZER,
           .wake = PTHREAD_COND_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER };

static _Thread_local bool inside;       /* this thread runs a task: a job that it begins runs in this thread alone */
static _Thread_local void *scratch;
static pthread_key_t scratch_key;               /* frees the scratch of a thread that ends */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- how many --------------------------------------------------------------- */

static int count_from_environment(const char *name)
{
    const char *text = getenv(name);
    long n = text ? strtol(text, NULL, 10) : 0;             /* "4,2" of OpenMP reads as 4 */
    return n < 1 ? 0 : n > THREADS_MAX ? THREADS_MAX : (int)n;
}

/* Two numbers, quota and period in microseconds, of which the first may be "max" or -1. */
static int cpus_of_quota(const char *quota_path, const char *period_path)
{
    long long quota = -1, period = 0;
    char line[128];
    int n = kernel_first_line(quota_path, line, sizeof line) ? sscanf(line, "%lld %lld", &quota, &period) : 0;
    if (n == 1 && period_path && kernel_first_line(period_path, line, sizeof line) && sscanf(line, "%lld", &period) != 1) period = 0;
    if (n < 1 || quota <= 0 || period <= 0) return 0;
    long long cpus = quota / period + (quota % period * 2 >= period);
    return cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : (int)cpus;
}

static void look_at_quota(void *context, const char *dir, bool second)
{
    char quota[4500], period[4500];
    int *least = context;
    snprintf(quota, sizeof quota, "%s/%s", dir, second ? "cpu.max" : "cpu.cfs_quota_us");
    snprintf(period, sizeof period, "%s/cpu.cfs_period_us", dir);
    int n = cpus_of_quota(quota, second ? NULL : period);
    if (n && (!*least || n < *least)) *least = n;
}

static int cpus_of_cgroup(void)
{
    int least = 0;
    cgroups_visit("cpu", look_at_quota, &least);
    return least;
}

static int cpus_of_affinity(void)
{
    cpu_set_t *set = CPU_ALLOC(8192);
    size_t size = CPU_ALLOC_SIZE(8192);
    int n = set && !sched_getaffinity(0, size, set) ? CPU_COUNT_S(size, set) : 1;
    CPU_FREE(set);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

static int default_count(void)
{
    int n = count_from_environment("LITHE_NUM_THREADS");
    if (!n) n = count_from_environment("OMP_NUM_THREADS");
    if (n) return n;
    int quota = cpus_of_cgroup();
    n = cpus_of_affinity();
    return quota && quota < n ? quota : n;
}

void threads_set(int n)
{
    atomic_store(&pool.wanted, n < 1 ? default_count() : n > THREADS_MAX ? THREADS_MAX : n);
}

int threads_count(void)
{
    int n = atomic_load(&pool.wanted);
    if (!n) {
        int none = 0;
        atomic_compare_exchange_strong(&pool.wanted, &none, default_count());
        n = atomic_load(&pool.wanted);
    }
    return n;
}

/* ---- scratch and the floating-point environment ------------------------------- */

static void free_scratch(void *p) { big_free(p, THREAD_SCRATCH_BYTES); }

/* In the child of a fork only the calling thread is left. */
static void forget_workers(void)
{
    pthread_mutex_init(&pool.use, NULL);
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.finished, NULL);
    atomic_store(&pool.job, 0);
    atomic_store(&pool.sleeping, 0);
    atomic_store(&pool.waiting, 0);
    pool.started = pool.count = 0;
    pool.workers = NULL;
}

static void initialise(void)
{
    pthread_key_create(&scratch_key, free_scratch);
    pthread_atfork(NULL, NULL, forget_workers);
}

bool thread_ready(void)
{
    if (!scratch) {
        pthread_once(&once, initialise);
        scratch = big_alloc(THREAD_SCRATCH_BYTES);
        if (scratch) pthread_setspecific(scratch_key, scratch);
    }
    return scratch != NULL;
}

void *thread_scratch(void)
{
    if (!thread_ready()) abort();
    return scratch;
}

static unsigned flush_denormals(void)
{
#ifdef __SSE__
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);                            /* FTZ and DAZ */
    return before;
#elif defined(__aarch64__)
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1 << 24));         /* FZ, which is both */
    return (unsigned)before;
#else
    return 0;
#endif
}

static void restore_denormals(unsigned before)
{
#ifdef __SSE__
    _mm_setcsr(before);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)before));
#else
    (void)before;
#endif
}

/* ---- waiting ------------------------------------------------------------------ */

static void pause_briefly(void)
{
#ifdef __SSE__
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t generation(void) { return (uint32_t)(atomic_load(&pool.job) >> 32); }
static bool job_is_new(uint32_t seen) { return generation() != seen; }
static bool job_is_done(uint32_t unused) { (void)unused; return atomic_load(&pool.unfinished) == 0; }

static bool spin(bool (*ready)(uint32_t), uint32_t argument)
{
    int64_t end = nanoseconds() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < 32; i++) {
            if (ready(argument)) return true;
            pause_briefly();
        }
    } while (nanoseconds() < end);
    return false;
}

/* The sleeper announces itself, then looks; the other side acts, then looks for
 * sleepers.  All of it is sequentially consistent, so one sees the other. */
static void wait_until(bool (*ready)(uint32_t), uint32_t argument, atomic_int *sleepers, pthread_cond_t *condition)
{
    if (spin(ready, argument)) return;
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(sleepers, 1);
    while (!ready(argument)) pthread_cond_wait(condition, &pool.mutex);
    atomic_fetch_sub(sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
}

static void wake(atomic_int *sleepers, pthread_cond_t *condition)
{
    if (!atomic_load(sleepers)) return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(condition);
    pthread_mutex_unlock(&pool.mutex);
}

/* ---- working ------------------------------------------------------------------ */

static void run_tasks(void)
{
    unsigned long long job = atomic_load(&pool.job);
    while ((uint32_t)job) {
        void (*body)(void *, int) = atomic_load(&pool.body);
        void *context = atomic_load(&pool.context);
        int task = atomic_load(&pool.tasks) - (int)(uint32_t)job;
        if (!atomic_compare_exchange_weak(&pool.job, &job, job - 1)) continue;
        body(context, task);
        if (atomic_fetch_sub(&pool.unfinished, 1) == 1) wake(&pool.waiting, &pool.finished);
        job = atomic_load(&pool.job);
    }
}

static void *work(void *argument)
{
    const worker *w = argument;
    uint32_t seen = w->generation;
    inside = true;
    scratch = w->scratch;
    flush_denormals();
    for (;;) {
        wait_until(job_is_new, seen, &pool.sleeping, &pool.wake);
        if (atomic_load(&pool.stop)) return NULL;
        seen = generation();
        run_tasks();
    }
}

static void publish(uint32_t tasks)
{
    unsigned long long next = (unsigned long long)(generation() + 1) << 32 | tasks;
    atomic_store(&pool.job, next);
    wake(&pool.sleeping, &pool.wake);
}

static void stop_workers(void)
{
    atomic_store(&pool.stop, true);
    publish(0);
    for (int i = 0; i < pool.count; i++) {
        pthread_join(pool.workers[i].thread, NULL);
        free_scratch(pool.workers[i].scratch);
    }
    free(pool.workers);
    pool.workers = NULL;
    pool.count = 0;
    atomic_store(&pool.stop, false);
}

/* When the system allows fewer workers than asked for, those are used. */
static void start_workers(int threads)
{
    sigset_t all, before;
    pool.started = threads;
    pool.workers = xalloc((size_t)threads, sizeof *pool.workers);
    if (!pool.workers) { forget_pending(); return; }
    sigfillset(&all);                                       /* signals belong to the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < threads - 1; i++) {
        worker *w = &pool.workers[i];
        w->generation = generation();
        w->scratch = big_alloc(THREAD_SCRATCH_BYTES);
        if (!w->scratch) break;
        if (pthread_create(&w->thread, NULL, work, w)) { free_scratch(w->scratch); break; }
        pool.count++;
    }
    forget_pending();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* So that the library can be unloaded, and a process that ends leaves nothing running. */
__attribute__((destructor)) static void end_pool(void)
{
    if (inside || pthread_mutex_trylock(&pool.use)) return;
    if (pool.count) stop_workers();
    pool.started = 0;
    pthread_mutex_unlock(&pool.use);
}

static bool take_pool(int tasks)
{
    int threads = threads_count();
    if (inside || tasks < 2 || threads < 2) return false;
    pthread_once(&once, initialise);
    if (pthread_mutex_trylock(&pool.use)) return false;
    if (pool.started != threads) {
        stop_workers();
        start_workers(threads);
    }
    return true;
}

void parallel_for(int tasks, void (*body)(void *context, int task), void *context)
{
    unsigned before = flush_denormals();
    if (take_pool(tasks)) {
        atomic_store(&pool.body, body);
        atomic_store(&pool.context, context);
        atomic_store(&pool.tasks, tasks);
        atomic_store(&pool.unfinished, tasks);
        inside = true;
        publish((uint32_t)tasks);
        run_tasks();
        wait_until(job_is_done, 0, &pool.waiting, &pool.finished);
        inside = false;
        pthread_mutex_unlock(&pool.use);
    } else {
        for (int task = 0; task < tasks; task++) body(context, task);
    }
    restore_denormals(before);
}
