/* Between the files that test RWKV's files. */
#ifndef TEST_RWKV_FILES_H
#define TEST_RWKV_FILES_H

#include "model/model.h"

const char  *golden_path(const char *name);                /* in tests/golden; until the next call */
lithe_model *must_open_file(const char *path);             /* NULL: a failed check */

/* rwkv_runtime.c */
void runtime_files(void), runtime_files_written(void), published_files_written(void), runtime_values_refused(void);

#endif
