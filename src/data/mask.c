/* Chooses tokens and masks them (data/mask.h). */
#include "lithe_tools.h"
#include "data/mask.h"
#include "base/arena.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[MASK_KINDS] = { "each", "count", "words" };

int mask_find(const char *name)
{
    for (int i = 0; i < MASK_KINDS; i++) if (!strcmp(name, names[i])) return i;
    return -1;
}

const char *mask_name(mask_kind kind) { return names[kind]; }

/* ---- how many ---------------------------------------------------------------------- */

int mask_most(const mask_settings *s, int n)
{
    double p = s->rate, most = s->kind == MASK_EACH ? ceil(n * p + 6 * sqrt(n * p * (1 - p))) + 1 : fmax(1, round(n * p));
    return most < n ? (int)most : n;
}

/* ---- which -------------------------------------------------------------------------- */

static int choose_each(const mask_settings *s, const mask_vocab *v, uint64_t key, int n, const int32_t *ids, int most, int *place)
{
    int k = 0;
    for (int i = 0; i < n && k < most; i++)
        if (!v->special[ids[i]] && random_unit(key, (uint64_t)i) < s->rate) place[k++] = i;
    return k;
}

/* Draws without replacement in one pass: each eligible token with probability wanted / left (Knuth, algorithm S). */
static int choose_count(const mask_vocab *v, uint64_t key, int n, const int32_t *ids, int most, int *place)
{
    int left = 0, k = 0;
    for (int i = 0; i < n; i++) left += !v->special[ids[i]];
    for (int i = 0; i < n && k < most; i++) {
        if (v->special[ids[i]]) continue;
        if (random_unit(key, (uint64_t)i) * left < most - k) place[k++] = i;
        left--;
    }
    return k;
}

static int word_length(const mask_vocab *v, const int32_t *ids, int n, int first)
{
    int end = first + 1;
    while (end < n && v->continues[ids[end]] && !v->special[ids[end]]) end++;
    return end - first;
}

/* Takes words in random order, each if it still fits. */
static int choose_words(const mask_vocab *v, uint64_t key, int n, const int32_t *ids, int most, int *place, int *scratch)
{
    int *word = scratch, *chosen = scratch + n, words = 0, k = 0, count = 0;
    for (int i = 0; i < n; i++) {
        chosen[i] = 0;
        if (v->special[ids[i]] || (i && v->continues[ids[i]] && !v->special[ids[i - 1]])) continue;
        word[words++] = i;
    }
    for (int i = words - 1; i > 0; i--) {
        int j = (int)(random_unit(key, (uint64_t)i) * (i + 1)), swap = word[i];
        word[i] = word[j];
        word[j] = swap;
    }
    for (int w = 0; w < words && count < most; w++) {
        int length = word_length(v, ids, n, word[w]);
        if (count + length > most) continue;
        for (int i = 0; i < length; i++) chosen[word[w] + i] = 1;
        count += length;
    }
    for (int i = 0; i < n; i++) if (chosen[i]) place[k++] = i;
    return k;
}

/* ---- what stands there ---------------------------------------------------------------- */

static int32_t hidden(const mask_settings *s, const mask_vocab *v, uint64_t key, int place, int32_t id)
{
    double u = random_unit(key, 2 * (uint64_t)place);
    if (u < s->keep) return id;
    if (u >= s->keep + s->random || !v->ordinary_count) return v->mask;
    return v->ordinary[(int)(random_unit(key, 2 * (uint64_t)place + 1) * v->ordinary_count)];
}

int mask_tokens(const mask_settings *s, const mask_vocab *v, uint64_t key, int n, int32_t *ids, int *place, int32_t *target, int *scratch)
{
    uint64_t choice = key_of_name(key, "chosen"), change = key_of_name(key, "changed");
    int most = mask_most(s, n), k;
    if (s->kind == MASK_EACH) k = choose_each(s, v, choice, n, ids, most, place);
    else if (s->kind == MASK_COUNT) k = choose_count(v, choice, n, ids, most, place);
    else k = choose_words(v, choice, n, ids, most, place, scratch);
    for (int i = 0; i < k; i++) {
        target[i] = ids[place[i]];
        ids[place[i]] = hidden(s, v, change, place[i], target[i]);
    }
    return k;
}

/* ---- vocabularies --------------------------------------------------------------------- */

int mask_vocab_open(mask_vocab *v, const lithe_tokenizer *t, lithe_error *err)
{
    size_t n = (size_t)lithe_tokenizer_vocab(t);
    *v = (mask_vocab){ .mask = lithe_tokenizer_special(t, "mask"), .vocab = (int)n };
    if (failed(err)) return err->status;
    if (v->mask < 0) return fail(err, LITHE_EINVAL, "the tokenizer has no mask token ([MASK] or <mask>): masked tokens cannot be learned with it");
    v->special = xalloc(n, 1);
    v->continues = xalloc(n, 1);
    v->ordinary = xalloc(n, sizeof *v->ordinary);
    if (!v->special || !v->continues || !v->ordinary) return fail(err, LITHE_ENOMEM, "out of memory for a vocabulary of %zu tokens", n);
    for (int32_t id = 0; id < v->vocab; id++) {
        v->special[id] = lithe_tokenizer_is_special(t, id) != 0;
        v->continues[id] = lithe_tokenizer_continues(t, id) != 0;
        if (!v->special[id]) v->ordinary[v->ordinary_count++] = id;
    }
    return LITHE_OK;
}

void mask_vocab_close(mask_vocab *v)
{
    free(v->special);
    free(v->continues);
    free(v->ordinary);
    *v = (mask_vocab){ 0 };
}
