/* The models and the tokenizer that fuzzers use: some thousands of parameters and
 * twelve words. */
#ifndef FUZZ_MODELS_H
#define FUZZ_MODELS_H

#include "text/tokenizer.h"
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

enum { FUZZ_VOCAB = 12, FUZZ_CONTEXT = 16, FUZZ_WIDTH = 32 };
static const char FUZZ_WORDS[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsat\non\nmat\n##s\n.\n";

static inline lithe_tokenizer *fuzz_words(void)
{
    lithe_tokenizer *t = tokenizer_from_pieces(FUZZ_WORDS, sizeof FUZZ_WORDS - 1, (bert_options){ .lower = true }, "words", NULL);
    if (!t) abort();
    return t;
}

/* One layer of the architecture. */
static inline lithe_model *fuzz_model(const arch *a)
{
    lithe_error err = { 0 };
    json_t *config = a->config.sized(FUZZ_WIDTH, 1, FUZZ_VOCAB, FUZZ_CONTEXT);
    char *text = json_dumps(config, 0);
    lithe_model *m = lithe_model_new(a->name, text, 1, &err);
    if (!m) fprintf(stderr, "%s\n", err.text), abort();
    free(text);
    json_decref(config);
    return m;
}

#endif
