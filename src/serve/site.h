/* What the routes of a server share. */
#ifndef SERVE_SITE_H
#define SERVE_SITE_H

#include "lithe_serve.h"
#include "serve/exchange.h"
#include "serve/server_metrics.h"
#include "serve/scheduler.h"
#include <stdatomic.h>

enum { MOST_MODELS = 64, REQUEST_DEPTH = 64, HEAD_BYTES = 32 << 10, CONNECTION_BYTES = 64 << 10 };
/* Bytes of all bodies that are being received, and of all prompts that wait or are continued; more are refused. */
#define MOST_BODIES ((size_t)64 << 20)
#define MOST_PROMPTS ((size_t)64 << 20)

typedef struct site {
    lithe_server_options options;       /* with the defaults filled in */
    served *models[MOST_MODELS];
    int count;
    atomic_bool ready, stopping;
    atomic_size_t bodies;               /* bytes of bodies that are being received */
    prefix_store prefixes;
    scheduler scheduler;
    metrics metrics;
    pthread_mutex_t log_mutex;
} site;

#endif
