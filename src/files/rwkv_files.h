/* RWKV in files that do not say what they hold: which version, which sizes. */
#ifndef FILES_RWKV_FILES_H
#define FILES_RWKV_FILES_H

#include "files/tensor_file.h"

/* "4", "5.0", "5.1", "5.2", "6" or "7" by the tensors under our names; NULL: no RWKV, or, with an error, one that is not read. */
const char *rwkv_version(const tensor_file *f, lithe_error *err);

/* config.json by the tensors alone, under our names (a new reference); NULL: no RWKV, or an error. */
json_t *rwkv_config(const tensor_file *f, lithe_error *err);

#endif
