/* What classifying texts and images shares. */
#ifndef EVAL_CLASSIFICATION_H
#define EVAL_CLASSIFICATION_H

#include "data/labels.h"
#include "model/model.h"

/* The names of m's classes, by which labels are found; its number of one that has no name. */
int class_names(const lithe_model *m, label_names *names, lithe_error *err);

/* How good a model of images is on a labelled set: its test part, else its valid part, else all. */
int evaluate_images(lithe_model *m, const char *path, lithe_evaluation *out, lithe_error *err);

#endif
