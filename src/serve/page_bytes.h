/* The page at /, whose parts are in src/serve/page: the build joins them into one file, and that into C. */
#ifndef SERVE_PAGE_BYTES_H
#define SERVE_PAGE_BYTES_H

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_bytes;

#endif
