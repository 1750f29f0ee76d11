/* Many prompts: each is encoded before the first text is begun, so that a mistake in the file costs no time; texts are
 * written as slots become free and printed in the order of their prompts. */
#include "generate_prompts.h"
#include "interrupt.h"
#include "output.h"
#include "quantity.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    lithe_prompts *prompts; size_t count;
    lithe_continuation *texts;          /* [count], whose ids are to be freed */
    page *pages;                        /* [count] what was written so far */
    const char **reasons; size_t *tokens;               /* [count]; NULL while a text is not finished */
    size_t printed;
    bool failed;                        /* out of memory */
} job;

/* ---- prompts ------------------------------------------------------------------------------ */

static void *refused(int32_t *ids, lithe_error *err, lithe_status status, const char *name, size_t line, const char *why)
{
    wrong(err, status, "%s:%zu: %s", name, line, why);
    free(ids);
    return NULL;
}

/* The ids of prompt i, which the context of the model holds. */
static int32_t *encoded(const job *j, size_t i, const generator *g, const char *name, int context, lithe_error *err)
{
    char why[120];
    lithe_error own = { 0 };
    const lithe_prompt *p = lithe_prompts_at(j->prompts, i);
    size_t n = 0;
    int32_t *ids = prompt_ids(g, p->text, p->size, &n, &own);
    if (!ids) return refused(ids, err, own.status, name, p->line, own.text);
    snprintf(why, sizeof why, "the prompt is %zu tokens, the context holds %d; shorten it", n, context);
    if (context && n > (size_t)context) return refused(ids, err, LITHE_EFULL, name, p->line, why);
    j->texts[i] = (lithe_continuation){ .ids = ids, .n = n, .how = &p->how };
    return ids;
}

static int job_open(job *j, const generator *g, const char *path, int context, const lithe_generation *usual, lithe_error *err)
{
    const char *name = strcmp(path, "-") ? path : "standard input";
    size_t size = 0;
    char *text = lithe_text_file(path, &size, err);
    j->prompts = text ? lithe_prompts_read(text, size, name, usual, err) : NULL;
    free(text);
    size_t n = lithe_prompts_count(j->prompts);
    if (err->status) return err->status;
    j->texts = allocate(n, sizeof *j->texts, err);
    j->pages = allocate(n, sizeof *j->pages, err);
    j->reasons = allocate(n, sizeof *j->reasons, err);
    j->tokens = allocate(n, sizeof *j->tokens, err);
    if (err->status) return err->status;
    memset(j->pages, 0, n * sizeof *j->pages);
    memset(j->reasons, 0, n * sizeof *j->reasons);
    for (; j->count < n && encoded(j, j->count, g, name, context, err); j->count++) { }
    return err->status;
}

static void job_close(job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        free((void *)(uintptr_t)j->texts[i].ids);
        free(j->pages[i].text);
    }
    free(j->texts);
    free(j->pages);
    free(j->reasons);
    free(j->tokens);
    lithe_prompts_close(j->prompts);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static void print_text(const job *j, size_t i)
{
    const lithe_prompt *p = lithe_prompts_at(j->prompts, i);
    emitter e = emit_begin(stdout, "generate");
    if (p->id) emit_json(&e, "id", p->id);
    emit_bytes(&e, "prompt", p->text, p->size);
    emit_bytes(&e, "text", j->pages[i].text ? j->pages[i].text : "", j->pages[i].size);
    emit_text(&e, "reason", j->reasons[i]);
    emit_count(&e, "tokens", (long long)j->tokens[i]);
    emit_end(&e);
}

/* lithe_generate_batch's listener: prints what is finished and comes next. */
static int take_piece(void *context, const lithe_piece *piece)
{
    job *j = context;
    page *p = &j->pages[piece->index];
    if (piece->n && !page_add(p, piece->text, piece->n)) j->failed = true;
    j->reasons[piece->index] = piece->reason;
    j->tokens[piece->index] = piece->tokens;
    for (; j->printed < j->count && j->reasons[j->printed]; j->printed++) {
        print_text(j, j->printed);
        free(j->pages[j->printed].text);
        j->pages[j->printed] = (page){ 0 };
    }
    return j->failed || ferror(stdout) || interrupted();
}

/* The most tokens that any of the texts can have, which is what a slot must hold; 0: no limit. */
static int longest_text(const job *j, int context)
{
    size_t most = 2;
    for (size_t i = 0; i < j->count; i++) {
        const lithe_continuation *x = &j->texts[i];
        size_t length = x->how->max_tokens > 0 ? x->n + (size_t)x->how->max_tokens : (size_t)context;
        if (length > most) most = length;
    }
    return !context || most > (size_t)context ? context : (int)most;
}

static int write_texts(job *j, const generator *g, const decoding *how, int parallel, int context, lithe_error *err)
{
    char bytes[16];
    int slots = (size_t)parallel < j->count ? parallel : (int)j->count;
    const lithe_engine_options o = LITHE_OPTIONS(lithe_engine_options, .slots = slots, .context = longest_text(j, context), .cache_type = how->cache_type);
    lithe_engine *e = lithe_engine_open(g->model, &o, err);
    if (e) say("%zu prompts, %d at once: %sB of memory beside the model", j->count, slots, size_text((double)lithe_engine_bytes(e), bytes));
    if (e) lithe_generate_batch(e, g->tokenizer, j->texts, j->count, take_piece, j, err);
    lithe_engine_close(e);
    return j->failed ? wrong(err, LITHE_ENOMEM, "out of memory for the texts") : err->status;
}

int generate_prompts(const generator *g, const decoding *how, const char *path, int parallel, lithe_error *err)
{
    job j = { 0 };
    const lithe_generation usual = generation(how, &g->sampling);
    int own = lithe_model_recurrent(g->model) ? 0 : lithe_model_context(g->model), context = how->context && (!own || how->context < own) ? how->context : own;
    if (!job_open(&j, g, path, context, &usual, err)) write_texts(&j, g, how, parallel, context, err);
    job_close(&j);
    return err->status;
}
