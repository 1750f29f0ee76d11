/* The distance is Damerau and Levenshtein's with adjacent swaps (optimal string
 * alignment); a name that begins with the typed word is nearer than any other. */
#include "suggest.h"
#include <limits.h>
#include <stdbool.h>
#include <string.h>

enum { LONGEST = 40 };

static int least(int a, int b) { return a < b ? a : b; }

static int distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
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
    if (d <= allowed && d < (int)full && d < s->distance) { s->distance = d; s->best = name; }
}

void suggest_offer(suggestion *s, const char *name) { offer(s, name, name); }

void suggest_also(suggestion *s, const char *name, const char *also)
{
    while (also && *also) {
        char word[LONGEST + 1];
        size_t n = strcspn(also, ",");
        if (n <= LONGEST) {
            memcpy(word, also, n);
            word[n] = 0;
            offer(s, word, name);
        }
        also += n + (also[n] == ',');
    }
}
