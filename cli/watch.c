#include "watch.h"
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
    double read_before;
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
    if (n < 1e6) say("%s: %d s so far", watch.what, seconds);
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
