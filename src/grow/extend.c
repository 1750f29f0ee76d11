/* A larger vocabulary for a trained model.  What the new tokenizer knows and the
 * old one did not begins as the mean of the pieces the old one cuts it into, in
 * every table with a row for each token (embedding, head, a head's bias), so the
 * logits of the old ids stay to the bit.
 * Invariant: the new tokenizer gives every old id its old text. */
#include "model/model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 4096, MOST_PIECES = 512 };

/* A token's bytes; negative when it is too long to be one. */
static int text_of(const lithe_tokenizer *t, int32_t id, char text[LONGEST])
{
    size_t n = lithe_decode(t, &id, 1, text, LONGEST);
    return n <= LONGEST ? (int)n : -1;
}

static int check_old_ids(const lithe_tokenizer *from, const lithe_tokenizer *to, int known, lithe_error *err)
{
    char *a = malloc(LONGEST), *b = malloc(LONGEST);
    int status = a && b ? 0 : fail(err, LITHE_ENOMEM, "not enough memory to compare two tokenizers");
    for (int32_t id = 0; !status && id < known; id++) {
        int n = text_of(from, id, a), m = text_of(to, id, b);
        if (n != m || (n > 0 && memcmp(a, b, (size_t)n)))
            status = fail(err, LITHE_EINVAL, "token %d has another text in the new tokenizer: it must begin with all ids of the old one", (int)id);
    }
    free(a);
    free(b);
    return status;
}

/* pieces[0 ..]: what `from` makes of token id of `to`; 0 when it makes nothing of it. */
static int pieces_of(const lithe_tokenizer *from, const lithe_tokenizer *to, int32_t id, int known, int32_t pieces[MOST_PIECES])
{
    char text[LONGEST];
    int n = text_of(to, id, text), kept = 0;
    size_t count = n > 0 ? lithe_encode(from, text, (size_t)n, 0, pieces, MOST_PIECES) : 0;
    for (size_t i = 0; i < count && i < MOST_PIECES; i++)
        if (pieces[i] < known) pieces[kept++] = pieces[i];
    return kept;
}

/* Row `id` of a table (vocab, width): the mean of the pieces' rows, which the larger table begins with; without pieces, of all
 * the old ones. */
static void fill_row(real *table, size_t width, int32_t id, const int32_t *pieces, int count, int known)
{
    int n = count ? count : known;
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += (double)table[(size_t)(count ? pieces[i] : i) * width + c];
        table[(size_t)id * width + c] = (real)(sum / n);
    }
}

static bool by_token(const param *p, int vocab) { return p->rule.axes[0].kind == AXIS_VOCAB && p->rule.dims[0] == vocab; }

/* Old values, and rows known .. vocab-1 of the tables. */
static int fill(const lithe_model *m, lithe_model *large, const lithe_tokenizer *from, const lithe_tokenizer *to, int known, lithe_error *err)
{
    int32_t pieces[MOST_PIECES];
    int before = lithe_model_vocab(m), after = lithe_tokenizer_vocab(to);
    for (int i = 0; i < large->params->count; i++) {
        param *p = large->params->items[i];
        const param *q = params_find(m->params, p->name);
        if (!q || (q->count != p->count && !by_token(q, before))) return fail(err, LITHE_EINVAL, "%s does not grow with the vocabulary", p->name);
        weight_read(&q->weight, 0, q->count, weight_edit(&p->weight));
    }
    for (int32_t id = known; id < after; id++) {
        int count = pieces_of(from, to, id, known, pieces);
        for (int i = 0; i < large->params->count; i++) {
            param *p = large->params->items[i];
            if (by_token(p, lithe_model_vocab(large))) fill_row(weight_edit(&p->weight), p->count / (size_t)p->rule.dims[0], id, pieces, count, known);
        }
    }
    return 0;
}

lithe_model *lithe_model_extend(const lithe_model *m, const lithe_tokenizer *from, const lithe_tokenizer *to, lithe_growth *report, lithe_error *err)
{
    if (!m || !from || !to || failed(err)) return NULL;
    int before = lithe_model_vocab(m), known = lithe_tokenizer_vocab(from) < before ? lithe_tokenizer_vocab(from) : before, after = lithe_tokenizer_vocab(to);
    lithe_error first = { 0 };
    lithe_model *large = NULL;
    json_t *config = NULL;
    if (!before) fail(&first, LITHE_EINVAL, "a %s has no vocabulary", m->arch->name);
    else if (after <= known) fail(&first, LITHE_EINVAL, "the new tokenizer has %d tokens, the old one %d already", after, known);
    else if (!check_old_ids(from, to, known, &first) && (config = model_config(m, &first))) {
        json_object_set_new(config, "vocab_size", json_integer(after > before ? after : before));
        large = model_create(m->arch, config, "the config.json of a larger vocabulary", &first);
    }
    if (large) fill(m, large, from, to, known, &first);
    json_decref(config);
    if (first.status) {
        lithe_model_close(large);
        fail(err, first.status, "%s", first.text);
        return NULL;
    }
    if (report) {
        *report = (lithe_growth){ .preserves = 1, .params_before = params_total(m->params), .params_after = params_total(large->params) };
        snprintf(report->method, sizeof report->method, "vocabulary");
        snprintf(report->says, sizeof report->says, "preserved exactly for the old ids: new tokens begin as the mean of their old pieces");
        snprintf(report->moves, sizeof report->moves, "tokens %d -> %d", known, after);
    }
    return large;
}
