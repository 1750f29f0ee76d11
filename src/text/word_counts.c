/* Open addressing over slots that are at most half full. */
#include "text/word_counts.h"
#include "base/arena.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

static uint32_t word_slot(const word_counts *w, const char *text, size_t len)
{
    uint32_t s = (uint32_t)hash_bytes(text, len, 0) & w->mask;
    for (; w->slots[s]; s = (s + 1) & w->mask) {
        const counted_word *x = &w->words[w->slots[s] - 1];
        if (x->len == len && !memcmp(x->text, text, len)) break;
    }
    return s;
}

static bool words_grow(word_counts *w)
{
    size_t room = w->room ? w->room * 2 : 4096;
    counted_word *words = xrealloc(w->words, room, sizeof *words);
    if (words) w->words = words;
    free(w->slots);
    w->slots = xalloc(room * 2, sizeof *w->slots);
    if (!words || !w->slots || room > UINT32_MAX / 4) return false;
    w->room = room;
    w->mask = (uint32_t)(room * 2 - 1);
    for (size_t i = 0; i < w->n; i++) w->slots[word_slot(w, w->words[i].text, w->words[i].len)] = (uint32_t)i + 1;
    return true;
}

void count_word(void *counts, const char *text, size_t len)
{
    word_counts *w = counts;
    if (w->failed || (w->n == w->room && !words_grow(w))) { w->failed = true; return; }
    uint32_t s = word_slot(w, text, len);
    if (w->slots[s]) { w->words[w->slots[s] - 1].count++; return; }
    w->words[w->n++] = (counted_word){ text, len, 1 };
    w->slots[s] = (uint32_t)w->n;
    w->bytes += len;
}

void word_counts_free(word_counts *w)
{
    free(w->words);
    free(w->slots);
    *w = (word_counts){ 0 };
}
