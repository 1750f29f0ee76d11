#include "watch.h"
#include "interrupt.h"
#include "lithe_tools.h"
#include "output.h"
#include "quantity.h"
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

static struct {
    pthread_t speaker;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool running, over;
    const char *what;
    double read_before, share;          /* share: of the work, as the library says; 0: it does not */
} watch = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

/* Bytes that this process has read from disk, through mapped files too; 0 where the system does not tell. */
static double bytes_read(void)
{
    char line[100];
    double bytes = 0;
    FILE *f = fopen("/proc/self/io", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "read_bytes: %lf", &bytes) != 1) { }
    if (f) fclose(f);
    return bytes;
}

/* In a log only large files are worth a line. */
static void speak(int seconds)
{
    char bytes[16];
    double n = bytes_read() - watch.read_before;
    if (!terminal(stderr) && n < 64e6) return;
    if (watch.share > 0) say("%s: %.0f %% after %d s", watch.what, 100 * watch.share, seconds);
    else if (n < 1e6) say("%s: %d s so far", watch.what, seconds);
    else say("%s: %d s so far, %sB read", watch.what, seconds, size_text(n, bytes));
}

static void *speaker(void *unused)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    pthread_mutex_lock(&watch.lock);
    for (int seconds = 1; !watch.over; seconds *= 2) {
        at.tv_sec += seconds > 1 ? seconds / 2 : 1;
        while (!watch.over && !pthread_cond_timedwait(&watch.ended, &watch.lock, &at)) { }
        if (!watch.over) speak(seconds);
    }
    pthread_mutex_unlock(&watch.lock);
    return unused;
}

void watch_begin(const char *what)
{
    if (output_quiet() || watch.running) return;
    watch.over = false;
    watch.what = what;
    watch.share = 0;
    watch.read_before = bytes_read();
    watch.running = !pthread_create(&watch.speaker, NULL, speaker, NULL);
}

void watch_end(void)
{
    if (!watch.running) return;
    pthread_mutex_lock(&watch.lock);
    watch.over = true;
    pthread_cond_signal(&watch.ended);
    pthread_mutex_unlock(&watch.lock);
    pthread_join(watch.speaker, NULL);
    watch.running = false;
}

/* ---- the library's work ---------------------------------------------------------- */

/* In a log a line is worth its place after some seconds only. */
enum { LOG_SECONDS = 8 };
static struct { const char *what; double began, next; } work;

static void speak_of_work(double share, double seconds)
{
    if (share > 0) say("%s: %.0f %% after %.0f s", work.what, 100 * share, seconds);
    else say("%s: %.0f s so far", work.what, seconds);
}

static void share_with_watch(double share)
{
    pthread_mutex_lock(&watch.lock);
    watch.share = share;
    pthread_mutex_unlock(&watch.lock);
}

static int on_progress(void *unused, const char *what, double done, double all)
{
    const double now = clock_seconds(), share = all > 0 && done <= all ? done / all : 0;
    (void)unused;
    if (watch.running) share_with_watch(share);
    else if (what != work.what) {
        work.what = what;
        work.began = now;
        work.next = terminal(stderr) ? 1 : LOG_SECONDS;
    } else if (now - work.began >= work.next) {
        speak_of_work(share, now - work.began);
        work.next *= 2;
    }
    return interrupted() != 0;
}

void watch_library(void) { lithe_on_progress(on_progress, NULL); }
void unwatch_library(void) { lithe_on_progress(NULL, NULL); }
