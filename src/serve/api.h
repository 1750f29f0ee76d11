/* The routes, each a function that answers at once, or hands the exchange to the scheduler.  They are called by the
 * thread that reads requests.  body is NULL for a GET. */
#ifndef SERVE_API_H
#define SERVE_API_H

#include "serve/site.h"

typedef void route_function(site *s, exchange *x, const json_t *body);

route_function api_page, api_health, api_live, api_ready, api_metrics, api_models;        /* api_models.c */
route_function api_completions;                                                 /* api_completions.c */
route_function api_state;                                                       /* api_state.c */
route_function api_chat, api_apply_template;                                    /* api_chat.c */
route_function api_tokenize, api_detokenize, api_tokenizer_info;                /* api_tokens.c */
route_function api_embeddings, api_embed;                                       /* api_embeddings.c */
route_function api_predict, api_rerank, api_fill;                               /* api_classes.c */

/* The keys that a body may have, ending with NULL. */
extern const char *const completions_keys[], *const state_keys[], *const chat_keys[], *const apply_template_keys[], *const tokenize_keys[], *const detokenize_keys[], *const embeddings_keys[], *const embed_keys[],
    *const predict_keys[], *const rerank_keys[], *const fill_keys[];

#endif
