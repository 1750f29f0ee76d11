/* Models that verbs write: one file, or a directory. */
#ifndef CLI_MODEL_OUT_H
#define CLI_MODEL_OUT_H

#include "lithe_tools.h"
#include <stdbool.h>

/* A path with one of the endings of a format (.gguf, .bin, .pth, .safetensors) is a file; any other names a
 * directory. */
bool names_a_file(const char *path);
/* Writes m there, with lithe_model_export_with or lithe_model_save. */
int  write_model(const lithe_model *m, const char *path, const char *dtype, const lithe_tokenizer *t, lithe_error *err);

#endif
