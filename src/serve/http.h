/* The sockets: HTTP by libmicrohttpd, in a thread of its own. */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include "serve/site.h"

typedef struct http http;

/* Listens at the site's host and port; LITHE_EDEVICE if the library was built without libmicrohttpd. */
http *http_open(site *s, lithe_error *err);
int   http_port(const http *h);
void  http_quiesce(http *h);            /* accepts no more connections */
/* Waits until every answer is sent, at most `seconds`, and closes.  All exchanges must have been answered. */
void  http_close(http *h, double seconds);

#endif
