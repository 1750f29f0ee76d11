/* The signal handlers only set a flag. */
#include "interrupt.h"
#include <signal.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t wanted, checkpoint;
static struct timespec first;                               /* written before wanted, read after it, in handlers only */

static double since_first(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - first.tv_sec) + 1e-9 * (double)(now.tv_nsec - first.tv_nsec);
}

static void note(int signal_number)
{
    if (!wanted) {
        clock_gettime(CLOCK_MONOTONIC, &first);
        wanted = 128 + signal_number;
    }
    else if (since_first() >= 1) _exit(128 + signal_number);
}

static void note_checkpoint(int signal_number)
{
    (void)signal_number;
    checkpoint = 1;
}

void interrupt_catch(bool reading)
{
    struct sigaction act = { .sa_handler = note, .sa_flags = reading ? 0 : SA_RESTART };
    sigaddset(&act.sa_mask, SIGINT);
    sigaddset(&act.sa_mask, SIGTERM);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    act.sa_handler = note_checkpoint;
    sigaction(SIGUSR1, &act, NULL);
}

int interrupted(void) { return wanted; }
void interrupt_forget(void) { wanted = 0; }

bool checkpoint_wanted(void)
{
    if (!checkpoint) return false;
    checkpoint = 0;
    return true;
}
