/* Classifying texts and classifying images share this. */
#ifndef EVAL_CLASSIFICATION_H
#define EVAL_CLASSIFICATION_H

#include "lithe_eval.h"
#include "data/labels.h"
#include "model/model.h"

/* Gives the names of m's classes, by which labels are found; a class without a name is called by its number. */
int class_names(const lithe_model *m, label_names *names, lithe_error *err);

/* Evaluates a model of images on a labelled set: on its test part, else its valid part, else all of it. */
int evaluate_images(lithe_model *m, const char *path, lithe_evaluation *out, size_t *confusion, lithe_error *err);

#endif
