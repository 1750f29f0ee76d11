/* The most frequent characters come first, of equals the lower code point, while there is room. */
#include "text/alphabet_choice.h"
#include "base/arena.h"
#include "base/utf8.h"
#include "text/pair_learner.h"
#include <stdlib.h>

enum { LETTERS = 0x110000 };

/* The letter of the next character; NULL for a byte that is not UTF-8. */
static letter *next_letter(const alphabet_choice *a, const char *text, size_t len, size_t *k)
{
    int32_t c;
    *k = (size_t)utf8_next(text, len, &c);
    return c < 0 ? NULL : &a->letters[c];
}

static void count_letters(alphabet_choice *a, const counted_word *w)
{
    for (size_t i = 0, k; i < w->len; i += k) {
        letter *x = next_letter(a, w->text + i, w->len - i, &k);
        if (!x) continue;
        x->count += w->count;
        x->inside |= i > 0;
    }
}

typedef struct { int64_t count; int32_t c; } ranked;

static int by_count(const void *x, const void *y)
{
    const ranked *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return (a->c > b->c) - (a->c < b->c);
}

static int by_code(const void *x, const void *y)
{
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static void choose(alphabet_choice *a, ranked *seen, int n, int room)
{
    if (n) qsort(seen, (size_t)n, sizeof *seen, by_count);
    for (int i = 0; i < n; i++) {
        int cost = 1 + a->letters[seen[i].c].inside;
        if (cost > room) break;
        room -= cost;
        a->chosen[a->n++] = seen[i].c;
    }
    if (a->n) qsort(a->chosen, (size_t)a->n, sizeof *a->chosen, by_code);
}

bool alphabet_choose(alphabet_choice *a, const word_counts *w, int room)
{
    int n = 0;
    a->letters = xalloc(LETTERS, sizeof *a->letters);
    for (size_t i = 0; a->letters && i < w->n; i++) count_letters(a, &w->words[i]);
    for (int32_t c = 0; a->letters && c < LETTERS; c++) n += a->letters[c].count > 0;
    ranked *seen = a->letters ? xrealloc(NULL, (size_t)n + 1, sizeof *seen) : NULL;
    a->chosen = seen ? xrealloc(NULL, (size_t)n + 1, sizeof *a->chosen) : NULL;
    n = 0;
    for (int32_t c = 0; a->chosen && c < LETTERS; c++) {
        if (a->letters[c].count > 0) seen[n++] = (ranked){ a->letters[c].count, c };
        a->letters[c].id = a->letters[c].inside_id = SYMBOL_END;
    }
    if (a->chosen) choose(a, seen, n, room);
    free(seen);
    return a->chosen;
}

void alphabet_free(alphabet_choice *a)
{
    free(a->letters);
    free(a->chosen);
    *a = (alphabet_choice){ 0 };
}

size_t alphabet_symbols(const alphabet_choice *a, const char *word, size_t len, int32_t *symbols)
{
    size_t n = 0;
    for (size_t i = 0, k; i < len; i += k) {
        const letter *x = next_letter(a, word + i, len - i, &k);
        symbols[n++] = !x ? SYMBOL_END : i ? x->inside_id : x->id;
    }
    return n;
}

size_t alphabet_text(const alphabet_choice *a, int i, char *text) { return (size_t)utf8_put(a->chosen[i], text); }
