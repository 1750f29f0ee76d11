/* RWKV in files that do not say what they hold: which version, which sizes,
 * and the other names its tensors go by. */
#ifndef MODEL_RWKV_FILES_H
#define MODEL_RWKV_FILES_H

#include "model/tensor_file.h"

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

/* "4", "5.0", "5.1", "5.2", "6" or "7" by the tensors of a renamed file; NULL: no RWKV, or, with an error, one that is not read. */
const char *rwkv_version(const tensor_file *f, lithe_error *err);

/* config.json of a renamed file, from its tensors alone (a new reference); NULL: no RWKV, or an error. */
json_t *rwkv_config(const tensor_file *f, lithe_error *err);

#endif
