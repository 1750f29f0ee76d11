/* GPT-2 writes bytes as printable characters: the bytes 33..126, 161..172 and
 * 174..255 are the code points of the same number, the other 68 bytes, in
 * ascending order, are U+0100 .. U+0143.  So a space is U+0120. */
#ifndef TEXT_BYTE_ALPHABET_H
#define TEXT_BYTE_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int32_t alphabet_character(unsigned char byte);
int     alphabet_byte(int32_t character);                              /* -1: it is not in the alphabet */

/* Converts text in the alphabet to bytes (at most len of them); false if a character is not
 * in the alphabet.  The other way gives at most 2 len bytes; their number is returned. */
bool   alphabet_to_bytes(const char *text, size_t len, char *bytes, size_t *n);
size_t alphabet_from_bytes(const char *bytes, size_t len, char *text);

#endif
