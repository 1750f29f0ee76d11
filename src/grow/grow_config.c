/* Helpers of all parts of growing: numbers of a configuration, the size of a
 * parameter's values, and the report that a function is not preserved. */
#include "base/json.h"
#include "grow/grow.h"
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int config_int(const json_t *config, const char *key, int absent)
{
    int value = absent;
    if (key) json_int(config, key, INT_MIN, INT_MAX, &value);
    return value;
}

double config_real(const json_t *config, const char *key, double absent)
{
    const json_t *value = key ? json_object_get(config, key) : NULL;
    return json_is_number(value) ? json_number_value(value) : absent;
}

double root_mean_square(const param *p)
{
    enum { PIECE = 1024 };
    real piece[PIECE];
    double sum = 0;
    for (size_t at = 0, n; at < p->count; at += n) {
        n = p->count - at < PIECE ? p->count - at : PIECE;
        weight_read(&p->weight, at, n, piece);
        for (size_t i = 0; i < n; i++) sum += (double)piece[i] * (double)piece[i];
    }
    return sqrt(sum / (double)p->count);
}

void not_preserved(lithe_growth *report, const char *format, ...)
{
    if (!report->preserves) return;
    report->preserves = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(report->says, sizeof report->says, format, args);
    va_end(args);
}
