/* lithe generate --prompts: the texts of many prompts, written together. */
#ifndef CLI_GENERATE_PROMPTS_H
#define CLI_GENERATE_PROMPTS_H

#include "generator.h"

/* Writes a line of JSON for each prompt of the file at path ("-": standard input), in their order, with at most
 * `parallel` texts at once. */
int generate_prompts(const generator *g, const decoding *how, const char *path, int parallel, lithe_error *err);

#endif
