/* GPT-2's way of writing bytes as printable characters: the bytes 33..126,
 * 161..172, 174..255 stand for themselves as code points, the other 68, in
 * ascending order, are U+0100 .. U+0143.  So a space is U+0120. */
#ifndef TEXT_BYTE_ALPHABET_H
#define TEXT_BYTE_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int32_t alphabet_character(unsigned char byte);
int     alphabet_byte(int32_t character);                              /* -1: not of the alphabet */

/* Text in the alphabet to bytes (at most len of them): false when a character
 * is not of it.  And back: 2 len bytes at most; returns how many. */
bool   alphabet_to_bytes(const char *text, size_t len, char *bytes, size_t *n);
size_t alphabet_from_bytes(const char *bytes, size_t len, char *text);

#endif
