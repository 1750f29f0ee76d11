/* WikiText's published perplexities are of words: pages are written as plain text again, their tokens are scored, and
 * the sum is divided by the number of words that the file has, whatever the tokenizer (Merity et al. 2016; the rules
 * are those of Megatron-LM and of lm-evaluation-harness).  A page begins at a line " = Title = ".  Windows do not
 * overlap and begin with the token before them, but for a page's last one, which reaches back as far as it can. */
#include "base/arena.h"
#include "lithe_eval.h"
#include "base/progress.h"
#include "eval/task_pattern.h"
#include "infer/engine.h"
#include <stdlib.h>
#include <string.h>

/* What is replaced in a page, in this order. */
static const char *const rules[][2] = {
    { "s '", "s'" }, { " @-@ ", "-" }, { " @,@ ", "," }, { " @\\.@ ", "." },
    { " : ", ": " }, { " ; ", "; " }, { " \\. ", ". " }, { " ! ", "! " }, { " \\? ", "? " }, { " , ", ", " },
    { "\\(\\s*([^\\)]*?)\\s*\\)", "($1)" }, { "\\[\\s*([^\\]]*?)\\s*\\]", "[$1]" }, { "\\{\\s*([^}]*?)\\s*\\}", "{$1}" },
    { "\"\\s*([^\"]*?)\\s*\"", "\"$1\"" }, { "'\\s*([^']*?)\\s*'", "'$1'" },
    { "= = = =", "====" }, { "= = =", "===" }, { "= =", "==" }, { " \xc2\xb0 ", "\xc2\xb0" }, { " \n", "\n" }, { "\n ", "\n" }, { " N ", " 1 " }, { " 's", "'s" },
};
enum { RULES = sizeof rules / sizeof *rules };

typedef struct { task_pattern *rule[RULES]; lithe_engine *engine; const lithe_tokenizer *tokenizer; size_t context; lithe_wikitext *out; } reading;

/* ---- pages --------------------------------------------------------------------------------- */

/* A line such as " = Title = ", and not " = = Section = = ". */
static bool is_title(const char *line, size_t n)
{
    while (n && strchr(" \t\r", *line)) { line++; n--; }
    while (n && strchr(" \t\r", line[n - 1])) n--;
    return n >= 2 && line[0] == '=' && line[1] == ' ' && !(n > 2 && line[2] == '=') && line[n - 1] == '=' && line[n - 2] == ' ' && !(n > 3 && line[n - 3] == '=');
}

/* The end of the page that begins at text: before the line break that a title follows. */
static const char *page_end(const char *text, const char *end)
{
    for (const char *at = memchr(text, '\n', (size_t)(end - text)); at; at = memchr(at + 1, '\n', (size_t)(end - at - 1))) {
        const char *stop = memchr(at + 1, '\n', (size_t)(end - at - 1));
        if (is_title(at + 1, (size_t)((stop ? stop : end) - at - 1))) return at;
    }
    return end;
}

/* Pieces between white space, as a split at it gives them: empty ones at both ends count. */
static size_t words_of(const char *text, size_t n)
{
    size_t words = 1;
    for (size_t i = 0; i < n; i++) words += strchr(" \t\n\r\v\f", text[i]) && text[i] && (!i || !strchr(" \t\n\r\v\f", text[i - 1]));
    return words;
}

static bool is_blank(const char *text, size_t n) { return strspn(text, " \t\n\r") >= n; }

/* ---- scores ----------------------------------------------------------------------------------- */

/* Adds the score of n tokens after all[0]. */
static int score_ids(reading *r, const int32_t *all, size_t n, lithe_error *err)
{
    size_t whole = n / r->context * r->context, rest = n - whole, span = n < r->context ? n : r->context;
    double total = 0;
    float *nll = xalloc(span + 1, sizeof *nll);
    int status = nll ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for %zu scores", span);
    if (!status && whole) status = lithe_engine_score(r->engine, all, whole + 1, 0, 0, NULL, &total, err);
    if (!status && rest) status = lithe_engine_score(r->engine, all + (n - span), span + 1, 0, 0, nll, NULL, err);
    for (size_t i = span - rest; i < span && !status; i++) total += (double)nll[i];
    r->out->nll += total;
    r->out->tokens += n;
    free(nll);
    return status;
}

static int score_text(reading *r, const char *text, lithe_error *err)
{
    int32_t begin = lithe_tokenizer_bos(r->tokenizer) >= 0 ? lithe_tokenizer_bos(r->tokenizer) : lithe_tokenizer_eos(r->tokenizer);
    size_t n = lithe_encode(r->tokenizer, text, strlen(text), 1, NULL, 0);
    int32_t *all = xalloc(n + 1, sizeof *all);
    if (!all) return fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", n);
    all[0] = begin;
    lithe_encode(r->tokenizer, text, strlen(text), 1, all + 1, n);
    int status = begin >= 0 ? score_ids(r, all, n, err) : n > 1 ? score_ids(r, all + 1, n - 1, err) : LITHE_OK;
    free(all);
    return status;
}

static int score_page(reading *r, const char *text, size_t n, lithe_error *err)
{
    arena memory = { 0 };
    char *page = arena_alloc(&memory, n + 1);
    int status = page ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for a page of %zu bytes", n);
    if (page) memcpy(page, text, n);
    for (int i = 0; i < RULES && !status; i++)
        if (!(page = task_pattern_replace(r->rule[i], page, rules[i][1], &memory, err))) status = err ? (int)err->status : LITHE_ENOMEM;
    if (!status) status = score_text(r, page, err);
    r->out->words += words_of(text, n);
    r->out->bytes += n;
    r->out->pages++;
    arena_free(&memory);
    return status;
}

static int score_pages(reading *r, const char *text, size_t size, lithe_error *err)
{
    int status = LITHE_OK;
    for (const char *end = text + size, *stop; text < end && !status; text = stop + 1) {
        stop = page_end(text, end);
        if ((status = progress_tell("scoring the text", (double)(size - (size_t)(end - text)), (double)size, err))) break;
        if (!is_blank(text, (size_t)(stop - text))) status = score_page(r, text, (size_t)(stop - text), err);
        if (stop == end) break;
    }
    return status || r->out->pages ? status : fail(err, LITHE_EFORMAT, "the text is empty");
}

int lithe_score_wikitext(lithe_model *m, const lithe_tokenizer *t, const char *text, size_t size, lithe_wikitext *out, lithe_error *err)
{
    if (!m || !t || !text || !out) return fail(err, LITHE_EINVAL, "a score needs a model, a tokenizer and a text");
    if (must_continue_text(m, err) || lithe_model_fits(m, t, err)) return LITHE_EINVAL;
    *out = (lithe_wikitext){ 0 };
    reading r = { .tokenizer = t, .context = (size_t)lithe_model_context(m), .out = out, .engine = engine_of_whole(m, err) };
    int status = r.engine ? LITHE_OK : err ? (int)err->status : LITHE_ENOMEM;
    for (int i = 0; i < RULES && !status; i++)
        if (!(r.rule[i] = task_pattern_new(rules[i][0], "wikitext", err))) status = err ? (int)err->status : LITHE_ENOMEM;
    if (!status) status = score_pages(&r, text, size, err);
    for (int i = 0; i < RULES; i++) task_pattern_free(r.rule[i]);
    lithe_engine_close(r.engine);
    return status;
}
