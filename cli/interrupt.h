/* SIGINT and SIGTERM are requests.  The first one sets a flag, so that the work in progress
 * can be finished; a second one that comes a second or more later ends the process
 * at once (within that second it is the same request, sent both by a terminal and by a
 * shell).  SIGUSR1 asks for a checkpoint. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers.  reading: the signal ends a read that waits (chat at its
 * prompt); otherwise system calls continue. */
void interrupt_catch(bool reading);
int  interrupted(void);                 /* 0, or the exit code: 130 or 143 */
void interrupt_forget(void);            /* the request was served */
bool checkpoint_wanted(void);           /* true once for each SIGUSR1 */

#endif
