/* A disk that loses power.  Between disk_begin and disk_end every change that this process makes to the files below a
 * directory, through base/system.h, is noted; disk_after then writes what could be found there had the power gone after
 * any of them.  A file's bytes are sure to be there once the file was synced after they were written, a name once its
 * directory was synced after the name was given or taken; of anything else the power decides. */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include <stdint.h>

typedef enum {
    LOSES_NOTHING,
    LOSES_UNSYNCED,         /* all that is not sure */
    LOSES_BYTES,            /* names are as they were, of bytes that are not sure the size may be there, as zeros */
    LOSES_NAMES,            /* bytes are as they were, names that are not sure are lost */
    LOSES_SOME,             /* of names each by chance, of bytes each page */
    LOSSES
} loss;

extern const char *const loss_names[LOSSES];

/* What lies below root now is sure to be there. */
void disk_begin(const char *root);
/* The number of changes until now. */
int  disk_changes(void);
void disk_end(void);
/* Writes into `to`, a new directory, what is found below root when the power goes after the first `changes`. */
void disk_after(int changes, loss how, uint64_t seed, const char *to);

#endif
