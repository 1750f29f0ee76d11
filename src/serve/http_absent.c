/* A build without libmicrohttpd has no server. */
#include "serve/http.h"

http *http_open(site *s, lithe_error *err)
{
    (void)s;
    fail(err, LITHE_EDEVICE, "this build has no HTTP server: install libmicrohttpd-dev (apt-get install libmicrohttpd-dev) and build again");
    return NULL;
}

int  http_port(const http *h)                  { (void)h; return 0; }
void http_quiesce(http *h)                     { (void)h; }
void http_close(http *h, double seconds)       { (void)h, (void)seconds; }
