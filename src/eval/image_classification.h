/* How good a model of pictures is on a labelled set: its test part, else its valid part, else all. */
#ifndef EVAL_IMAGE_CLASSIFICATION_H
#define EVAL_IMAGE_CLASSIFICATION_H

#include "model/model.h"

int evaluate_images(lithe_model *m, const char *path, lithe_evaluation *out, lithe_error *err);

#endif
