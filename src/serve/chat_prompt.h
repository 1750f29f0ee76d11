/* A conversation of a request as the text that a model continues, by the model's chat template. */
#ifndef SERVE_CHAT_PROMPT_H
#define SERVE_CHAT_PROMPT_H

#include "serve/served.h"

typedef struct {
    lithe_rendered rendered;
    int32_t *ids; size_t n;
    char *stop;                         /* the text after which a reply is complete; NULL: none */
    int32_t end;                        /* the token after which it is; -1: none */
} chat_prompt;

/* Reads body["messages"], "tools" and "chat_template_kwargs".  A problem if they are no conversation. */
void chat_prompt_open(chat_prompt *c, const served *m, const json_t *body, problem *p);
void chat_prompt_close(chat_prompt *c);         /* ids may have been taken, and be NULL */

#endif
