/* Work that may take long tells a person how far it is, and can be ended (lithe_on_progress, lithe_tools.h). */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include "base/error.h"

/* what says in a few words what is done, `done` of `all` of it (all 0: nobody knows).  Fails with LITHE_ECANCELLED when
 * the work is to end. */
int progress_tell(const char *what, double done, double all, lithe_error *err);

#endif
