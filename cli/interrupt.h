/* SIGINT and SIGTERM as requests.  The first one is noted, and whoever asks
 * finishes what it does; one that comes a second or more later ends the process
 * at once (within the second it is the same wish said twice: a terminal and a
 * shell both send it).  SIGUSR1 asks for a checkpoint. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on.  reading: a read that waits is ended by the signal (chat at its
 * prompt); without it system calls go on. */
void interrupt_catch(bool reading);
int  interrupted(void);                 /* 0, or the exit code: 130 or 143 */
void interrupt_forget(void);            /* the request was served */
bool checkpoint_wanted(void);           /* true once for each SIGUSR1 */

#endif
