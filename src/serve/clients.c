#include "serve/clients.h"
#include "base/arena.h"
#include "serve/exchange.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct client { client *before, *after; int socket; bool sends; double since; };

static const char TOO_SLOW[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 108\r\n\r\n"
                               "{\"error\":{\"message\":\"the request took too long\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"slow\"}}\n";

/* libmicrohttpd reads the end of the connection then, and closes it. */
static void end_connection(client *c)
{
    send(c->socket, TOO_SLOW, sizeof TOO_SLOW - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(c->socket, SHUT_RDWR);
    c->sends = false;
}

/* A client that has closed its side will not send the rest of its request. */
static bool has_closed(const client *c)
{
    char byte;
    return recv(c->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void *watch(void *context)
{
    clients *all = context;
    pthread_mutex_lock(&all->mutex);
    while (!all->ending) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        t.tv_sec++;
        pthread_cond_timedwait(&all->ends, &all->mutex, &t);
        double now = exchange_now();
        for (client *c = all->first; c; c = c->after) if (c->sends && (now - c->since > all->seconds || has_closed(c))) end_connection(c);
    }
    pthread_mutex_unlock(&all->mutex);
    return NULL;
}

int clients_open(clients *all, double seconds, lithe_error *err)
{
    *all = (clients){ .seconds = seconds };
    pthread_mutex_init(&all->mutex, NULL);
    pthread_cond_init(&all->ends, NULL);
    return pthread_create(&all->thread, NULL, watch, all) ? fail(err, LITHE_ENOMEM, "cannot start a thread") : LITHE_OK;
}

void clients_close(clients *all)
{
    pthread_mutex_lock(&all->mutex);
    all->ending = true;
    pthread_cond_broadcast(&all->ends);
    pthread_mutex_unlock(&all->mutex);
    pthread_join(all->thread, NULL);
    pthread_mutex_destroy(&all->mutex);
    pthread_cond_destroy(&all->ends);
}

client *clients_add(clients *all, int socket)
{
    client *c = xalloc(1, sizeof *c);
    if (!c) return NULL;
    pthread_mutex_lock(&all->mutex);
    *c = (client){ .after = all->first, .socket = socket, .sends = true, .since = exchange_now() };
    if (c->after) c->after->before = c;
    all->first = c;
    pthread_mutex_unlock(&all->mutex);
    return c;
}

void clients_remove(clients *all, client *c)
{
    if (!c) return;
    pthread_mutex_lock(&all->mutex);
    if (c->before) c->before->after = c->after;
    else all->first = c->after;
    if (c->after) c->after->before = c->before;
    pthread_mutex_unlock(&all->mutex);
    free(c);
}

void client_sends(clients *all, client *c, bool sends)
{
    if (!c) return;
    pthread_mutex_lock(&all->mutex);
    c->sends = sends;
    c->since = exchange_now();
    pthread_mutex_unlock(&all->mutex);
}
