/* Which request is answered by whom, and what is asked of every request first. */
#ifndef SERVE_ROUTES_H
#define SERVE_ROUTES_H

#include "serve/site.h"

/* What is known of a request before its body. */
typedef struct { const char *method, *path, *authorization, *type; } request_head;
typedef struct route route;

/* The route of a request; NULL and a problem if it is refused whatever its body is.  *allow is the method that the path
 * has, if it is not the one that was asked. */
const route *route_find(const site *s, const request_head *h, const char **allow, problem *p);
const char  *route_path(const route *r);
bool         route_is_logged(const route *r);
/* Answers x, now or later. */
void         route_call(const route *r, site *s, exchange *x);
/* Notes a request that was answered, in the metrics and the log. */
void         route_note(site *s, const exchange *x);

#endif
