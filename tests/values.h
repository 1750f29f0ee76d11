/* What a model from disk holds, however it is stored. */
#ifndef TEST_VALUES_H
#define TEST_VALUES_H

#include "model/model.h"

/* lithe_model_open with master values, which can be looked at and changed. */
lithe_model *open_values(const char *path, const char *config, lithe_error *err);
/* The same parameters, by name and size, with the same values. */
bool same_parameters(const lithe_model *a, const lithe_model *b);

#endif
