/* lithe score: how likely each of several texts is. */
#include "lines.h"
#include "lithe_eval.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; const char *text, *tokenizer, *config, *context, *text_column, *context_column; int json; } score_settings;
typedef score_settings S;

static const option score_options[] = {
    { "text", 0, FILENAME(S, text), "FILE", .help = "score each line of this file, or the text of each object of .jsonl (.gz and .zst of these), after its context if it has one; in a line a tab separates a context from the text after it; - is standard input", .also = "file,input" },
    { "text-column", 0, TEXT(S, text_column), "NAME", .help = "the key of the text in .jsonl (default text)" },
    { "context-column", 0, TEXT(S, context_column), "NAME", .help = "the key of the context in .jsonl (default context, where there is one)" },
    { "context", 0, TEXT(S, context), "TEXT", .help = "the context before each TEXT", .also = "prompt" },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "config", 0, FILENAME(S, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "json", 0, FLAG(S, json), .help = "print a line of JSON for each text: {schema, context, text, loglikelihood, tokens, bytes, greedy}" },
    { 0 }
};

static void print_score(const char *context, const char *text, const lithe_likelihood *x, bool json)
{
    if (!json) { printf("%.6f\t%zu\t%s\n", x->loglikelihood, x->tokens, x->greedy < 0 ? "unknown" : x->greedy ? "yes" : "no"); return; }
    emitter e = emit_begin(stdout, "score");
    if (context) emit_text(&e, "context", context);
    emit_text(&e, "text", text);
    emit_number(&e, "loglikelihood", x->loglikelihood);
    emit_count(&e, "tokens", (long long)x->tokens);
    emit_count(&e, "bytes", (long long)strlen(text));
    if (x->greedy >= 0) emit_bool(&e, "greedy", x->greedy);
    emit_end(&e);
}

/* The texts of .jsonl and the contexts before them; false: it has no contexts, and is read as other texts are. */
static bool read_objects(lithe_table **table, lines *l, const S *s, lithe_error *err)
{
    lithe_error no_contexts = { 0 };
    const bool asked = s->text_column || s->context_column;
    const lithe_data_options columns = { .size = sizeof columns, .text_column = s->text_column ? s->text_column : "text", .pair_column = s->context_column ? s->context_column : "context" };
    if (!s->text || !strstr(s->text, ".jsonl")) return false;
    *table = lithe_table_open(s->text, &columns, asked ? err : &no_contexts);
    if (!*table && !asked) return false;
    const size_t n = lithe_table_count(*table);
    l->texts = allocate(n + 1, sizeof *l->texts, err);
    l->pairs = allocate(n + 1, sizeof *l->pairs, err);
    for (; l->texts && l->pairs && l->count < n; l->count++) {
        l->texts[l->count] = lithe_table_row_at(*table, l->count).text;
        l->pairs[l->count] = lithe_table_row_at(*table, l->count).pair;
    }
    return true;
}

/* In a row with a tab the context is the first text. */
static void order_pairs(lines *l, const char *context)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *second = l->pairs[i];
        l->pairs[i] = second ? l->texts[i] : context;
        if (second) l->texts[i] = second;
    }
}

static int score(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    lines l = { 0 };
    lithe_table *table = NULL;
    size_t cut = 0;
    const char *path = a->operands[0];
    if (a->count > 1 && s->text) return usage("--text %s has the texts: leave out '%s'", s->text, a->operands[1]);
    if (a->count < 2 && !s->text) return usage("score what? lithe score MODEL TEXT..., or --text FILE");
    lithe_model *m = open_model(path, s->config, &err);
    lithe_tokenizer *t = m ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    if (t && !read_objects(&table, &l, s, &err) && !lines_open(&l, a->operands + 1, a->count - 1, s->text, true, &err)) order_pairs(&l, s->context);
    lithe_likelihood *x = err.status ? NULL : allocate(l.count + 1, sizeof *x, &err);
    if (x) lithe_likelihoods(m, t, l.pairs, l.texts, l.count, x, &cut, &err);
    for (size_t i = 0; i < l.count && !err.status; i++) print_score(l.pairs[i], l.texts[i], &x[i], s->json);
    if (cut) say("%zu of %zu contexts are longer than the model's context of %d tokens and lost their beginning", cut, l.count, lithe_model_context(m));
    free(x);
    lines_close(&l);
    lithe_table_close(table);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_score = {
    .name = "score", .operands = "MODEL [TEXT...]", .least = 1, .most = -1,
    .summary = "print how likely each of several texts is, alone or after a context",
    .about = "Prints for each text, between tabs, its log-likelihood in nats (the sum over its tokens), the number of its tokens, and whether each of them is "
             "the likeliest at its place, so that greedy decoding would write it (unknown of a text longer than the context).\n\n"
             "Texts are split as lm-evaluation-harness splits them: context and text are tokenized together, and white space at the end of the "
             "context counts as the text's. A text without a context is read after the begin-of-text token, or the "
             "end-of-text token if there is none; where there is neither, its first token is context only. By an encoder each token is predicted from all others.",
    .examples = "  lithe score model/ \"The cat sat.\" \"The cat sit.\"\n"
                "  lithe score model/ --context \"The capital of France is\" \" Paris\" \" Rome\"\n"
                "  lithe score model/ --text pairs.tsv --json\n",
    .options = score_options, .bytes = sizeof(S), .run = score,
};
