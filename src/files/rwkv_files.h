/* RWKV in files that do not say what they hold: which version, which sizes. */
#ifndef FILES_RWKV_FILES_H
#define FILES_RWKV_FILES_H

#include "files/naming.h"

/* "4", "5.0", "5.1", "5.2", "6" or "7" by the tensors of a renamed file; NULL: no RWKV, or, with an error, one that is not read. */
const char *rwkv_version(const tensor_file *f, lithe_error *err);

/* config.json of a renamed file, from its tensors alone (a new reference); NULL: no RWKV, or an error. */
json_t *rwkv_config(const tensor_file *f, lithe_error *err);

#endif
