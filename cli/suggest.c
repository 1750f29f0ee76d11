/* The distance is Damerau and Levenshtein's with adjacent swaps (optimal string
 * alignment), whatever their case; a name that begins with the typed word is nearer than any other. */
#include "suggest.h"
#include "output.h"
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = SUGGESTED_MOST, FILES_MOST = 10000 };

static int least(int a, int b) { return a < b ? a : b; }

static bool same(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

static int distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

void suggest_begin(suggestion *s, const char *word) { *s = (suggestion){ .word = word, .distance = INT_MAX }; }

static void offer(suggestion *s, const char *spelling, const char *name)
{
    size_t typed = strlen(s->word), full = strlen(spelling);
    if (!typed || typed > LONGEST || full > LONGEST) return;
    bool prefix = typed >= 2 && !strncmp(spelling, s->word, typed);
    int d = prefix ? (full > typed) : distance(s->word, spelling);
    int allowed = typed < 3 ? 1 : typed < 8 ? 2 : 3;
    if (d > allowed || d >= (int)full || d >= s->distance || strlen(name) > SUGGESTED_MOST) return;
    s->distance = d;
    memcpy(s->best, name, strlen(name) + 1);
}

void suggest_offer(suggestion *s, const char *name) { offer(s, name, name); }

/* Offers each word of a list, or `name` for it. */
static void offer_list(suggestion *s, const char *name, const char *list, char separator)
{
    const char ends[] = { separator, 0 };
    while (list && *list) {
        char word[LONGEST + 1];
        size_t n = strcspn(list, ends);
        if (n <= LONGEST) {
            memcpy(word, list, n);
            word[n] = 0;
            offer(s, word, name ? name : word);
        }
        list += n + (list[n] == separator);
    }
}

void suggest_list(suggestion *s, const char *names, char separator) { offer_list(s, NULL, names, separator); }

void suggest_also(suggestion *s, const char *name, const char *also) { offer_list(s, name, also, ','); }

/* ---- questions ----------------------------------------------------------------- */

question did_you_mean(const suggestion *s)
{
    question q = { "" };
    if (*s->best) snprintf(q.text, sizeof q.text, "; did you mean %s?", s->best);
    return q;
}

question meant_of(const char *word, const char *(*name)(int i))
{
    suggestion s;
    suggest_begin(&s, word);
    for (int i = 0; name(i); i++) suggest_offer(&s, name(i));
    return did_you_mean(&s);
}

question meant_or(question q)
{
    if (!*q.text) snprintf(q.text, sizeof q.text, ";");
    return q;
}

bool unknown_method(const char *name)
{
    int i = 0;
    while (lithe_grow_method(i) && strcasecmp(lithe_grow_method(i), name)) i++;
    if (lithe_grow_method(i)) return false;
    usage("%s is no method of growing%s lithe grow --help lists them", name, meant_or(meant_of(name, lithe_grow_method)).text);
    return true;
}

question meant_file(const char *path)
{
    suggestion s;
    char dir[4096];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    suggest_begin(&s, slash ? slash + 1 : path);
    DIR *d = opendir(dir);
    struct dirent *e;
    for (int n = 0; d && n < FILES_MOST && (e = readdir(d)); n++)
        if (e->d_name[0] != '.' || s.word[0] == '.') suggest_offer(&s, e->d_name);
    if (d) closedir(d);
    question q = did_you_mean(&s);
    if (*s.best && slash && (size_t)(slash - path) < sizeof q.text / 2) snprintf(q.text, sizeof q.text, "; did you mean %.*s/%s?", (int)(slash - path), path, s.best);
    return q;
}
