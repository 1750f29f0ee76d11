/* Connections whose clients send a request, and for how long already: a thread ends those that take too long, however
 * slowly their bytes come. */
#ifndef SERVE_CLIENTS_H
#define SERVE_CLIENTS_H

#include "base/error.h"
#include <pthread.h>

typedef struct client client;
typedef struct { pthread_mutex_t mutex; pthread_cond_t ends; pthread_t thread; client *first; double seconds; bool ending; } clients;

int  clients_open(clients *all, double seconds, lithe_error *err);
void clients_close(clients *all);

/* NULL if memory is out: that connection is not watched.  It is removed before its socket is closed. */
client *clients_add(clients *all, int socket);
void    clients_remove(clients *all, client *c);
/* The client of a connection sends a request from now on (true), or is being answered. */
void    client_sends(clients *all, client *c, bool sends);

#endif
