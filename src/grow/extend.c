/* Gives a trained model a larger vocabulary.  In every table with a row for each token
 * (embedding, head, bias of a head), the row of a new token is the mean of the rows of
 * the old tokens into which the old tokenizer splits its text.  The logits of the old ids
 * stay bitwise the same.
 * Invariant: every old id has the same text in the new tokenizer. */
#include "base/arena.h"
#include "grow/grow.h"
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

/* Refuses what says how a size grows, and a tokenizer that does not extend the old one. */
static int check_vocabulary(const growth *g, lithe_error *err)
{
    const lithe_grow_options *o = &g->options;
    const int before = lithe_model_vocab(g->small);
    if (!o->tokenizer) return fail(err, LITHE_EINVAL, "there is no tokenizer of the model beside the new one: a larger vocabulary needs both");
    if (o->params > 0 || o->factor > 0 || o->set || o->to) return fail(err, LITHE_EINVAL, "a larger vocabulary keeps all other sizes: grow these in another step");
    if (o->method || o->portable || o->noise > 0 || o->where) return fail(err, LITHE_EINVAL, "a larger vocabulary adds tokens and nothing else: it takes no method, no noise and no place");
    if (!before) return fail(err, LITHE_EINVAL, "a %s has no vocabulary", g->arch->name);
    if (g->tokens <= g->known) return fail(err, LITHE_EINVAL, "the new tokenizer has %d tokens, the old one %d already", g->tokens, g->known);
    return check_old_ids(o->tokenizer, o->vocabulary, g->known, err);
}

int grow_vocabulary(growth *g, lithe_growth *report, lithe_error *err)
{
    const int before = lithe_model_vocab(g->small), had = lithe_tokenizer_vocab(g->options.tokenizer);
    g->known = had < before ? had : before;
    g->tokens = lithe_tokenizer_vocab(g->options.vocabulary);
    int status = check_vocabulary(g, err);
    if (status) return status;
    if (g->tokens > before) json_object_set_new(g->config, "vocab_size", json_integer(g->tokens));
    report->preserves = 1;
    snprintf(report->method, sizeof report->method, "vocabulary");
    snprintf(report->says, sizeof report->says, "preserved exactly for the old ids: new tokens begin as the mean of their old pieces");
    snprintf(report->moves, sizeof report->moves, "tokens %d -> %d", g->known, g->tokens);
    return LITHE_OK;
}

/* ---- the rows of new tokens -------------------------------------------------------- */

/* Splits the text of token `id` of the new tokenizer into old tokens, and returns the number of those that the model
 * knows. */
static int pieces_of(const growth *g, int32_t id, int32_t pieces[PIECES_MAX])
{
    char text[TEXT_MAX];
    int n = text_of(g->options.vocabulary, id, text), kept = 0;
    size_t count = n > 0 ? lithe_encode(g->options.tokenizer, text, (size_t)n, 0, pieces, PIECES_MAX) : 0;
    for (size_t i = 0; i < count && i < PIECES_MAX; i++)
        if (pieces[i] < g->known) pieces[kept++] = pieces[i];
    return kept;
}

/* Writes the mean of the pieces' rows of a table (vocab, width), or of all old rows when there are no pieces. */
static void mean_row(const real *table, size_t width, const int32_t *pieces, int count, int known, float *row)
{
    int n = count ? count : known;
    for (size_t c = 0; c < width; c++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += (double)table[(size_t)(count ? pieces[i] : i) * width + c];
        row[c] = (float)(sum / n);
    }
}

int grow_tokens(const growth *g, const param *large, param_map *map, lithe_error *err)
{
    int32_t pieces[PIECES_MAX];
    if (!g->options.vocabulary || large->rule.axes[0].kind != AXIS_VOCAB || large->rule.dims[0] != lithe_model_vocab(g->large)) return LITHE_OK;
    const size_t width = map->small->count / (size_t)map->small->rule.dims[0];
    real *table = weight_copy(&map->small->weight, map->small->count);
    map->extra = xalloc((size_t)(g->tokens - g->known) * width, sizeof *map->extra);
    int status = table && map->extra ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to grow %s", map->name);
    for (int id = g->known; !status && id < g->tokens; id++)
        mean_row(table, width, pieces, pieces_of(g, id, pieces), g->known, map->extra + (size_t)(id - g->known) * width);
    free(table);
    return status;
}
