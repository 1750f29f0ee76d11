/* The text that a run's models are looked at with: the one that was given, else the run's held-out one, else (*seen)
 * the one that it was trained on. */
#ifndef REPORT_VIEW_TEXT_H
#define REPORT_VIEW_TEXT_H

#include "report/run_log.h"

/* Ids of at most `most` tokens for a model of the run, to be freed; NULL with an error that names what is missing. */
int32_t *view_text(const lithe_run *r, const lithe_report_options *o, const lithe_tokenizer *t, size_t most, size_t *n, bool *seen, lithe_error *err);

#endif
