/* The verbs, one file each, and their help. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "options.h"
#include <stdio.h>

extern const verb verb_train, verb_grow, verb_generate, verb_chat, verb_fill, verb_embed, verb_classify, verb_serve, verb_eval, verb_score, verb_report, verb_compare, verb_watch, verb_replay, verb_sweep, verb_logits, verb_tokenize, verb_detokenize,
                  verb_train_tokenizer, verb_inspect, verb_convert, verb_quantize, verb_bench, verb_plan, verb_doctor, verb_completions, verb_help;
extern const verb *const verbs[];                       /* in the order of help; ends with NULL */
const verb *verb_find(const char *name);
/* "unknown verb x; did you mean y?" and the exit code. */
int unknown_verb(const char *name);

/* Values that options of several verbs take. */
#define QUANTIZED_TYPES    "q8_0|q4_0|q4_1|q5_0|q5_1|q4_K|q4_K_M|q5_K|q6_K"
#define METHODS_OF_GROWING "A|B|C|D|E|F|duplicate|clone|corner|stack|interpolate|aki"
#define CHAT_TEMPLATES     "plain|chatml|world|world-instruction|world-qa"

/* help.c: for people */
void help_program(FILE *out);
void help_verb(FILE *out, const verb *v, bool all);        /* all: of a verb with many options, not only the first */
/* manual.c: lithe.1 (v NULL) or lithe-VERB.1, and all verbs as Markdown */
void manual_page(FILE *out, const verb *v);
void manual_markdown(FILE *out);

/* "train [OPTIONS] DATA..." */
void verb_synopsis(FILE *out, const verb *v);
/* Prints text in lines of at most `width` columns.  The cursor is at column `at`; further lines are indented by
 * `indent`. */
void print_filled(FILE *out, const char *text, int at, int indent, int width);
/* "--opt VALUE", "-o, --opt VALUE" */
void option_head(char *text, size_t cap, const option *o);
/* The help phrase, followed by the choices and the default. */
void option_body(char *text, size_t cap, const option *o);

#endif
