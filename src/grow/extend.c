/* Gives a trained model a larger vocabulary.  In every table with a row for each token
 * (embedding, head, bias of a head), the row of a new token is the mean of the rows of
 * the old tokens into which the old tokenizer splits its text.  The logits of the old ids
 * stay bitwise the same.
 * Invariant: every old id has the same text in the new tokenizer. */
#include "model/model.h"
#include "base/arena.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096, PIECES_MAX = 512 };

/* Writes a token's bytes and returns their number; negative when they are more than TEXT_MAX. */
static int text_of(const lithe_tokenizer *t, int32_t id, char text[TEXT_MAX])
{
    size_t n = lithe_decode(t, &id, 1, text, TEXT_MAX);
    return n <= TEXT_MAX ? (int)n : -1;
}

static int check_old_ids(const lithe_tokenizer *from, const lithe_tokenizer *to, int known, lithe_error *err)
{
    char *a = xalloc(TEXT_MAX, 1), *b = xalloc(TEXT_MAX, 1);
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

/* Splits the text of token `id` of `to` into tokens of `from`, and returns the number of those that the model knows. */
static int pieces_of(const lithe_tokenizer *from, const lithe_tokenizer *to, int32_t id, int known, int32_t pieces[PIECES_MAX])
{
    char text[TEXT_MAX];
    int n = text_of(to, id, text), kept = 0;
    size_t count = n > 0 ? lithe_encode(from, text, (size_t)n, 0, pieces, PIECES_MAX) : 0;
    for (size_t i = 0; i < count && i < PIECES_MAX; i++)
        if (pieces[i] < known) pieces[kept++] = pieces[i];
    return kept;
}

/* Sets row `id` of a table (vocab, width) to the mean of the pieces' rows, or of all old rows when there are no
 * pieces. */
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

/* Copies the old values and fills rows known .. vocab-1 of the tables. */
static int fill(const lithe_model *m, lithe_model *large, const lithe_tokenizer *from, const lithe_tokenizer *to, int known, lithe_error *err)
{
    int32_t pieces[PIECES_MAX];
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
    return params_intact(m->params, err);
}

lithe_model *lithe_model_extend(const lithe_model *m, const lithe_tokenizer *from, const lithe_tokenizer *to, lithe_growth *report, lithe_error *err)
{
    if (!m || !from || !to) fail(err, LITHE_EINVAL, "there is no %s", m ? "tokenizer" : "model");
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
