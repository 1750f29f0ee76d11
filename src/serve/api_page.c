/* GET /: the page for people, which asks the other routes for all it shows. */
#include "serve/api.h"
#include "serve/page_bytes.h"
#include <stdlib.h>
#include <string.h>

void api_page(site *s, exchange *x, const json_t *body)
{
    char *copy = malloc(page_bytes + 1);
    (void)s, (void)body;
    if (copy) {
        memcpy(copy, page_html, page_bytes);
        copy[page_bytes] = 0;
    }
    exchange_answer(x, 200, "text/html; charset=utf-8", copy);
}
