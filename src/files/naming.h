/* The other names by which an architecture's tensors go in published files. */
#ifndef FILES_NAMING_H
#define FILES_NAMING_H

#include "files/tensor_file.h"

/* Another program's names for the tensors of an architecture. */
typedef struct naming naming;

/* Gives RWKV's tensors the authors' names and shapes, whatever prefix or other
 * names the file has; other files stay as they are.  *used: the names they had,
 * NULL: the authors'.  used may be NULL. */
int rwkv_rename(tensor_file *f, const naming **used, lithe_error *err);

/* The way back for one tensor that is to be written: name into out[NAMING_BYTES], dims in place.
 * true: its matrix is to be written transposed, and dims say so already. */
enum { NAMING_BYTES = 320 };
bool naming_apply(const naming *n, const char *own, char out[NAMING_BYTES], int64_t *dims, int *rank);

#endif
