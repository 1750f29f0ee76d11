/* What lithe classify prints of models that answer by tokens: a class for each token, or a passage's answer. */
#ifndef CLI_TOKEN_ANSWERS_H
#define CLI_TOKEN_ANSWERS_H

#include "lines.h"

/* A line for each token: the text's own characters, the class, its probability, and where the token begins and ends in
 * the text, in characters, between tabs; and an empty line after each text.  Or a line of JSON for each text. */
int print_token_classes(lithe_model *m, const lithe_tokenizer *t, const lines *l, bool json, lithe_error *err);
/* A line for each pair of a question and a passage: the passage's own characters, the probability, and the place. */
int print_answers(lithe_model *m, const lithe_tokenizer *t, const lines *l, bool json, lithe_error *err);
/* The name of a class, in text where it has none. */
const char *label_name(const lithe_model *m, int i, char *text, size_t cap);

#endif
