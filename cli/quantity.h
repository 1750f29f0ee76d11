/* Numbers as people type them.  They do not depend on the locale: this program never
 * calls setlocale, so the C library reads and writes numbers in the C locale.
 * Each returns NULL, or what is wrong with the text ("is not a number"). */
#ifndef CLI_QUANTITY_H
#define CLI_QUANTITY_H

#include <stdint.h>

const char *quantity_real(const char *text, double *out);       /* 3e-4, -1 */
const char *quantity_size(const char *text, double *out);       /* 64k 3M 1.5G 2T: powers of 1000; Ki Mi Gi: of 1024 */
const char *quantity_time(const char *text, double *seconds);   /* 90, 45s, 3m, 2h30m, 1d */
const char *quantity_seed(const char *text, uint64_t *out);
/* A size, or a number followed by `unit` (2x, 10%); then *found is the unit, else 0. */
const char *quantity_amount(const char *text, char unit, double *out, char *found);

/* Of a clock that nobody sets. */
double clock_seconds(void);

/* A number as "3.1M", "850k" or "412"; seconds as "0:22" or "1:02:03". */
const char *size_text(double x, char text[16]);
const char *time_text(double seconds, char text[24]);

#endif
