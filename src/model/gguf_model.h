/* What a GGUF file holds of a model beside its parameters. */
#ifndef MODEL_GGUF_MODEL_H
#define MODEL_GGUF_MODEL_H

#include "files/gguf_config.h"
#include "model/model.h"

enum { GGUF_MORE_TENSORS = 5 };

/* All keys: of the architecture, of the configuration as a whole, of the tokenizer (NULL: none).  config: config.json
 * as it is written.  type: of most of the tensors. */
int  gguf_model_keys(gguf_head *h, const lithe_model *m, const json_t *config, dtype type, const lithe_tokenizer *t, lithe_error *err);
/* The defaults of sampling, where the model has none. */
int  gguf_read_generation(lithe_model *m, const tensor_file *f, lithe_error *err);
/* How images are prepared for the model of a file. */
int  gguf_read_preprocessor(lithe_model *m, const tensor_file *f, lithe_error *err);
/* Appends up to GGUF_MORE_TENSORS tensors, which llama.cpp needs and no parameter is, to the `count` of the parameters.
 * Returns the new count. */
int  gguf_model_tensors(out_tensor *out, int count, const json_t *config, arena *memory);

#endif
