/* Inference: an engine (engine.c) reads sequences in slots that keep states, or whole.  On its slots stand sessions
 * (session.c) with sampling of the next token (sampler.c), streams of text (text_stream.c) and the loop over them
 * (generate.c); on whole sequences scores and logits (score.c), vectors (embed.c) and masked tokens (fill.c). */
#ifndef INFER_H
#define INFER_H

#include "model/fit.h"
#include "model/pass.h"

/* Fails if m has no logits over its vocabulary, or is bidirectional and therefore cannot continue a text. */
int must_predict_tokens(const lithe_model *m, lithe_error *err);
int must_continue_text(const lithe_model *m, lithe_error *err);

/* Fails if m does not classify images. */
int must_read_images(const lithe_model *m, lithe_error *err);

/* Runs the graph on the batch that was built, as pass_run; results that are no finite numbers are LITHE_EFORMAT, with
 * the parameter that is to blame. */
int pass_answer(pass *p, const lithe_model *m, lithe_error *err);

#endif
