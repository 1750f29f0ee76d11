/* Numbers as people type them, and short numbers for people to read. */
#include "quantity.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* strtod without its surprises: no white space, hexadecimal numbers, "inf" or "nan". */
static const char *leading_number(const char *text, double *out, const char **rest)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits) && *digits != '.') return "is not a number";
    if (digits[0] == '0' && (digits[1] | 32) == 'x') return "is not a decimal number";
    char *end;
    *out = strtod(text, &end);
    if (end == digits || end == text) return "is not a number";
    if (!isfinite(*out)) return "is too large";
    *rest = end;
    return NULL;
}

const char *quantity_real(const char *text, double *out)
{
    const char *rest, *wrong = leading_number(text, out, &rest);
    return wrong ? wrong : *rest ? "is not a number" : NULL;
}

const char *quantity_size(const char *text, double *out)
{
    static const char letters[] = "kmgt";
    const char *rest, *wrong = leading_number(text, out, &rest);
    if (wrong) return wrong;
    if (!*rest) return NULL;
    const char *letter = strchr(letters, tolower((unsigned char)*rest));
    if (!letter) return "is not a size such as 64k, 3M or 1.5G";
    double base = 1000;
    if (*++rest == 'i') { base = 1024; rest++; }
    if (*rest) return "is not a size such as 64k, 3M or 1.5G";
    *out *= pow(base, (double)(letter - letters + 1));
    return NULL;
}

const char *quantity_time(const char *text, double *seconds)
{
    static const char wrong_time[] = "is not a time such as 90s, 3m or 2h30m";
    static const struct { const char *name; double seconds; } units[] = {
        { "ms", 1e-3 }, { "s", 1 }, { "min", 60 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
    *seconds = 0;
    double x, smallest = INFINITY;
    for (const char *rest = text; ; ) {
        const char *wrong = *rest == '-' || *rest == '+' ? wrong_time : leading_number(rest, &x, &rest);
        if (wrong) return wrong_time;
        if (!*rest && rest != text && smallest == INFINITY) { *seconds = x; return NULL; }     /* plain seconds */
        size_t i = 0, n = sizeof units / sizeof *units;
        while (i < n && strncmp(rest, units[i].name, strlen(units[i].name))) i++;
        if (i == n || units[i].seconds >= smallest) return wrong_time;                         /* 30m2h is a mistake */
        smallest = units[i].seconds;
        *seconds += x * smallest;
        rest += strlen(units[i].name);
        if (!*rest) return NULL;
    }
}

const char *quantity_seed(const char *text, uint64_t *out)
{
    if (!isdigit((unsigned char)*text)) return "is not a whole number";
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *end ? "is not a whole number" : errno ? "is too large" : NULL;
}

const char *quantity_amount(const char *text, char unit, double *out, char *found)
{
    const char *rest, *wrong = leading_number(text, out, &rest);
    if (wrong) return wrong;
    *found = 0;
    if (*rest && *rest == unit && !rest[1]) { *found = unit; return NULL; }
    return quantity_size(text, out);
}

/* ---- for reading ------------------------------------------------------------ */

const char *size_text(double x, char text[16])
{
    static const char letters[] = " kMGTP";
    int power = 0;
    double y = fabs(x);
    while (y >= 999.5 && power < 5) { y /= 1000; power++; }
    if (!power) snprintf(text, 16, "%.0f", x);
    else snprintf(text, 16, "%s%.*f%c", x < 0 ? "-" : "", y < 9.995 ? 2 : y < 99.95 ? 1 : 0, y, letters[power]);
    return text;
}

const char *time_text(double seconds, char text[24])
{
    if (!(seconds >= 0) || seconds > 1e8) { snprintf(text, 24, "-:--"); return text; }
    long s = lround(seconds);
    if (s < 3600) snprintf(text, 24, "%ld:%02ld", s / 60, s % 60);
    else snprintf(text, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
