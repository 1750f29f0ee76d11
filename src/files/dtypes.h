/* The types of files that kernels take as they are. */
#ifndef FILES_DTYPES_H
#define FILES_DTYPES_H

#include "files/tensor_file.h"
#include "kernels/stored.h"

bool  dtype_stored(dtype t, stored_type *type);      /* false: kernels do not take it, and *type is STORED_TYPES */
dtype dtype_of(stored_type type);                    /* the reverse */

#endif
