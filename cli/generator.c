/* What generates text, with its options and the text that it writes. */
#include "generator.h"
#include "interrupt.h"
#include "output.h"
#include "terminal.h"
#include "watch.h"
#include <stdlib.h>
#include <string.h>

lithe_generation generation(const decoding *s, const lithe_sampling *sampling)
{
    return LITHE_OPTIONS(lithe_generation, .sampling = sampling, .max_tokens = s->max_tokens, .stop = s->stop.items, .stops = s->stop.count, .ignore_eos = s->ignore_eos);
}

/* How the next token is chosen: as the options say, else as the model's own files do, else with temperature 0.8. */
static void choose_sampling(generator *g, const arguments *a, const decoding *s, lithe_error *err)
{
    lithe_sampling *o = &g->sampling;
    *o = LITHE_OPTIONS(lithe_sampling, .temperature = (float)s->temperature, .seed = s->seed);
    int own = lithe_sampling_read(g->model, o, err);
    bool asked = option_origin(a, "temperature") != ORIGIN_DEFAULT;
    if (asked) o->temperature = (float)s->temperature;
    if (option_origin(a, "top-k") != ORIGIN_DEFAULT) o->top_k = s->top_k;
    if (option_origin(a, "top-p") != ORIGIN_DEFAULT) o->top_p = (float)s->top_p;
    if (option_origin(a, "min-p") != ORIGIN_DEFAULT) o->min_p = (float)s->min_p;
    if (option_origin(a, "repeat-penalty") != ORIGIN_DEFAULT) o->repetition = (float)s->repeat_penalty;
    if (own > 0 && !asked)
        say("sampling by generation_config.json: temperature %g, top-k %d, top-p %g, repeat-penalty %g", (double)o->temperature, o->top_k,
            o->top_p > 0 ? (double)o->top_p : 1.0, o->repetition > 0 ? (double)o->repetition : 1.0);
}

int generator_draws(const generator *g, const arguments *a, lithe_error *err)
{
    static const char *const of_draws[] = { "top-k", "top-p", "min-p", "seed" };
    if (g->sampling.temperature > 0) return err->status;
    for (size_t i = 0; i < sizeof of_draws / sizeof *of_draws; i++)
        if (option_origin(a, of_draws[i]) == ORIGIN_FLAG)
            wrong(err, LITHE_EINVAL, "--%s is about tokens that are drawn, and at temperature 0 the likeliest is taken: leave it out, or give --temperature more", of_draws[i]);
    return err->status;
}

int generator_open(generator *g, const arguments *a, const decoding *how, lithe_error *err)
{
    const char *path = a->operands[0];
    *g = (generator){ .model = open_model(path, how->config, err) };
    if (g->model) g->tokenizer = model_tokenizer(g->model, path, how->tokenizer, err);
    if (g->tokenizer) choose_sampling(g, a, how, err);
    return err->status;
}

int generator_begin(generator *g, const decoding *how, lithe_error *err)
{
    g->session = lithe_session_open_with(g->model, &LITHE_OPTIONS(lithe_session_options, .context = how->context, .cache_type = how->cache_type), err);
    g->context = lithe_session_context(g->session);
    return err->status;
}

void generator_close(generator *g)
{
    lithe_session_close(g->session);
    lithe_tokenizer_close(g->tokenizer);
    lithe_model_close(g->model);
}

int32_t *prompt_ids(const generator *g, const char *text, size_t size, size_t *n, lithe_error *err)
{
    int32_t *ids = encode_text(g->tokenizer, text, size, true, n, err), bos = lithe_tokenizer_bos(g->tokenizer), eos = lithe_tokenizer_eos(g->tokenizer);
    if (!ids || *n) return ids;
    free(ids);
    ids = encode_text(g->tokenizer, "\n", 1, false, n, err);
    if (ids && (bos >= 0 || eos >= 0)) {
        ids[0] = bos >= 0 ? bos : eos;
        *n = 1;
    }
    return ids;
}

/* ---- the text -------------------------------------------------------------- */

bool page_add(page *p, const char *text, size_t n)
{
    if (p->size + n >= p->room) {
        size_t room = 2 * (p->size + n) + 256;
        char *larger = realloc(p->text, room);
        if (!larger) { p->failed = true; return false; }
        p->text = larger;
        p->room = room;
    }
    memcpy(p->text + p->size, text, n);
    p->size += n;
    p->text[p->size] = 0;
    return true;
}

int write_piece(void *context, const char *text, size_t n)
{
    page *p = context;
    watch_end();
    if (p->tail_only) p->size = 0;
    if (!page_add(p, text, n)) return 1;
    if (p->show) {
        put_foreign(stdout, text, n);
        if (fflush(stdout)) return 1;                           /* the reader went away */
    }
    return interrupted() != 0;
}

void end_line(const page *p)
{
    if (!p->size || p->text[p->size - 1] != '\n') putchar('\n');
    fflush(stdout);
}
