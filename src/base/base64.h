/* Bytes as text (RFC 4648, section 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* To be freed; NULL if memory is out. */
char *base64_encode(const void *bytes, size_t n);
/* The bytes of a text, to be freed, and their number; NULL with *n 0 if it is no base64, with *n 1 if memory is out. */
char *base64_decode(const char *text, size_t length, size_t *n);

#endif
