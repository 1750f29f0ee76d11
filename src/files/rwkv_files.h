/* Finds the version and the sizes of RWKV in files without a configuration. */
#ifndef FILES_RWKV_FILES_H
#define FILES_RWKV_FILES_H

#include "files/tensor_file.h"

/* Fails, with its name, for a file of an RWKV that is not read, which may lack all by which the others are known. */
int         rwkv_refuse(const tensor_file *f, lithe_error *err);
/* "4", "5.0", "5.1", "5.2", "6" or "7", by the tensors under our names; NULL: not RWKV, or, with an error, a version
 * that is not read. */
const char *rwkv_version(const tensor_file *f, lithe_error *err);

/* A config.json made from the tensors under our names (a new reference); NULL: not RWKV, or an error. */
json_t *rwkv_config(const tensor_file *f, lithe_error *err);

#endif
