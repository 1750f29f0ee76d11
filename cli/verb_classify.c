/* lithe classify: the class, or the number, that a model predicts for a text or an image; the classes of a text's
 * tokens, the answer in a passage, the best of several choices. */
#include "lines.h"
#include "output.h"
#include "predictions.h"
#include "suggest.h"
#include "token_answers.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { common common; const char *text, *tokenizer, *pair; prediction_settings table; int top, json; } classify_settings;
typedef classify_settings S;

static const option classify_options[] = {
    { "text", 0, FILENAME(S, text), "FILE", .help = "classify each line of this file, or the text of each object of .jsonl (.gz and .zst of these); a tab separates the two texts of a pair; - is standard input", .also = "file,input", .group = "inputs", .first = 1 },
    { "table", 0, FILENAME(S, table.table), "FILE", .help = "classify each row of this table (.csv, .jsonl, else tab-separated; .gz and .zst of these), and write a table: the texts, the class, its probability and that of each class", .also = "csv,tsv,data", .first = 1 },
    { "pair", 0, TEXT(S, pair), "TEXT", .help = "the second text of a pair, when there is one TEXT", .also = "second,text-pair", .first = 1 },
    { "text-column", 0, TEXT(S, table.text_column), "NAME|N", .help = "with --table: the column of the text (default: found by its name or content)", .group = "columns of a table", .first = 1 },
    { "pair-column", 0, TEXT(S, table.pair_column), "NAME|N", .help = "with --table: the column of the second text of a pair; --no-pair-column: there is none" },
    { "label-column", 0, TEXT(S, table.label_column), "NAME|N", .help = "with --table: the column of a label, which is written too", .first = 1 },
    { "out", 'o', FILENAME(S, table.out), "FILE", .help = "with --table or a set of images: the table to write, with commas if its name ends in .csv (default: standard output, with tabs)", .also = "output", .group = "answers", .first = 1 },
    { "top", 'k', COUNT(S, top), "N", .help = "number of classes to print for each text (default 1; with --json all)", .least = 1, .also = "top-k", .first = 1 },
    { "json", 0, FLAG(S, json), .help = "print a line of JSON for each text: {schema, text, pair, label, probability, labels}, or {..., value}", .first = 1 },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own", .group = "model" },
    { 0 }
};

typedef struct { float probability; int label; } class;

/* The likelier first, and of equal ones the first. */
static int by_probability(const void *a, const void *b)
{
    const class *x = a, *y = b;
    return x->probability > y->probability ? -1 : x->probability < y->probability ? 1 : x->label - y->label;
}

/* Sorts p (n) into c (n); returns how many of them are printed. */
static int sorted(const float *p, int n, const S *s, class *c)
{
    for (int i = 0; i < n; i++) c[i] = (class){ p[i], i };
    qsort(c, (size_t)n, sizeof *c, by_probability);
    return s->top && s->top < n ? s->top : s->top || s->json ? n : 1;
}

static void print_classes(const lithe_model *m, const float *p, int n, const S *s, class *c)
{
    int top = sorted(p, n, s, c);
    char text[24];
    for (int i = 0; i < top; i++) printf("%s%s\t%.4f", i ? "\t" : "", label_name(m, c[i].label, text, sizeof text), (double)c[i].probability);
    putchar('\n');
}

static void emit_class(emitter *e, const lithe_model *m, const class *c)
{
    char text[24];
    emit_text(e, "label", label_name(m, c->label, text, sizeof text));
    emit_number(e, "probability", (double)c->probability);
}

static void emit_classes(emitter *e, const lithe_model *m, const float *p, int n, const S *s, class *c)
{
    int top = sorted(p, n, s, c);
    if (top) emit_class(e, m, c);
    emit_open(e, "labels", '[');
    for (int i = 0; i < top; i++) {
        emit_open(e, NULL, '{');
        emit_class(e, m, &c[i]);
        emit_close(e, '}');
    }
    emit_close(e, ']');
}

static void print_text(const lithe_model *m, const lines *l, size_t i, const float *p, int n, const S *s, class *c)
{
    bool number = !strcmp(lithe_model_task(m), "regress");
    if (!s->json && number) printf("%.6g\n", (double)p[0]);
    else if (!s->json) print_classes(m, p, n, s, c);
    if (!s->json) return;
    emitter e = emit_begin(stdout, "classify");
    emit_text(&e, "text", l->texts[i]);
    if (l->pairs[i]) emit_text(&e, "pair", l->pairs[i]);
    if (number) emit_number(&e, "value", (double)p[0]);
    else emit_classes(&e, m, p, n, s, c);
    emit_end(&e);
}

/* Scores of choices, of which one fits best: the softmax over all of them. */
static void print_choices(const lines *l, float *z, const S *s, class *c)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < l->count; i++) most = fmax(most, (double)z[i]);
    for (size_t i = 0; i < l->count; i++) sum += exp((double)z[i] - most);
    for (size_t i = 0; i < l->count; i++) z[i] = (float)(exp((double)z[i] - most) / sum);
    int top = sorted(z, (int)l->count, s, c);
    emitter e;
    if (s->json) {
        e = emit_begin(stdout, "classify");
        emit_text(&e, "text", l->texts[0]);
        emit_open(&e, "choices", '[');
    }
    for (int i = 0; i < top; i++) {
        const char *choice = l->pairs[c[i].label];
        if (!s->json) { printf("%s%s\t%.4f", i ? "\t" : "", choice, (double)c[i].probability); continue; }
        emit_open(&e, NULL, '{');
        emit_text(&e, "choice", choice);
        emit_number(&e, "probability", (double)c[i].probability);
        emit_close(&e, '}');
    }
    if (s->json) { emit_close(&e, ']'); emit_end(&e); }
    else putchar('\n');
}

/* The first text stands before each of the others, which are choices. */
static int pair_choices(lines *l, const S *s, lithe_error *err)
{
    if (s->text || s->pair || l->count < 3) return wrong(err, LITHE_EINVAL, "the model chooses: give it a text and at least two choices, lithe classify MODEL TEXT CHOICE CHOICE...");
    const char *text = l->texts[0];
    for (size_t i = 1; i < l->count; i++) l->pairs[i - 1] = l->texts[i], l->texts[i - 1] = text;
    l->count--;
    return 0;
}

/* Texts and images that get one answer each. */
static void answer_whole(lithe_model *m, const lithe_tokenizer *t, lines *l, const S *s, lithe_error *err)
{
    size_t cut = 0;
    const bool images = lithe_model_images(m, NULL, NULL, NULL), choice = !strcmp(lithe_model_task(m), "choice");
    int labels = lithe_model_labels(m);
    if (choice && pair_choices(l, s, err)) return;
    float *out = allocate((size_t)(labels > 0 ? labels : 1) * (l->count + 1), sizeof *out, err);
    class *c = out ? allocate((size_t)(labels > 0 ? labels : 1) + l->count, sizeof *c, err) : NULL;
    if (c && images) labels = lithe_classify_images(m, l->texts, l->count, out, err);
    else if (c) labels = lithe_classify(m, t, l->texts, l->pairs, l->count, out, &cut, err);
    if (choice && c && labels > 0) print_choices(l, out, s, c);
    for (size_t i = 0; i < l->count && c && labels > 0 && !choice; i++) print_text(m, l, i, out + i * (size_t)labels, labels, s, c);
    if (cut) say("%zu of %zu texts are longer than the model's context of %d tokens and were truncated", cut, l->count, lithe_model_context(m));
    free(c);
    free(out);
}

/* Options of tables, beside what is no table. */
static const char *out_of_place(const arguments *a)
{
    static const char *const of_tables[] = { "text-column", "pair-column", "label-column" };
    for (size_t i = 0; i < sizeof of_tables / sizeof *of_tables; i++)
        if (option_origin(a, of_tables[i]) == ORIGIN_FLAG) return of_tables[i];
    return NULL;
}

/* --table, or sets of images */
static int classify_many(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    const char *path = a->operands[0];
    prediction_settings o = s->table;
    const bool named = !o.table && is_table(a->operands[1]);
    if (named && a->count > 2) return usage("%s is a table: one at a time, leave out '%s'", a->operands[1], a->operands[2]);
    if (o.table && a->count > 1) return usage("--table %s has the texts: leave out '%s'", o.table, a->operands[1]);
    if (named) o.table = a->operands[1];
    if (s->text || s->pair || s->top || s->json) return usage("a table is written with all classes: leave out --text, --pair, --top and --json");
    if (!o.pair_column && option_origin(a, "pair-column") != ORIGIN_DEFAULT) o.pair_column = "";
    lithe_model *m = must_be_new(o.out, false, &err) ? NULL : open_model(path, NULL, &err);
    const bool images = lithe_model_images(m, NULL, NULL, NULL);
    if (m && images && o.table) wrong(&err, LITHE_EINVAL, "%s: reads images, not the texts of a table: give files or a folder of them", path);
    if (m && !images && !o.table) wrong(&err, LITHE_EINVAL, "%s: reads texts, and %s is a set of images: --table FILE classifies the rows of a table", path, a->operands[1]);
    lithe_tokenizer *t = m && !images && !err.status ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    if (t) predict_table(m, t, &o, &err);
    else if (m && images && !err.status) predict_images(m, a->operands + 1, a->count - 1, &o, &err);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

static int classify(const arguments *a)
{
    const S *s = a->settings;
    bool many = s->table.table != NULL;
    for (int i = 1; i < a->count; i++) many |= is_image_set(a->operands[i]) || is_table(a->operands[i]);
    if (many) return classify_many(a);
    if (out_of_place(a)) return usage("--%s is for --table", out_of_place(a));
    if (s->table.out && a->count == 2 && access(a->operands[1], F_OK))
        return usage("--out is the table of a table or of a set of images, and there is no file %s%s", a->operands[1], meant_file(a->operands[1]).text);
    if (s->table.out) return usage("--out is the table of --table, or of a set of images");
    lithe_error err = { 0 };
    lines l = { 0 };
    const char *path = a->operands[0];
    if (a->count < 2 && !s->text) return usage("classify what? lithe classify MODEL TEXT..., --text FILE or --table FILE");
    if (s->pair && (a->count != 2 || s->text)) return usage("--pair is the second text of one TEXT");
    lithe_model *m = open_model(path, NULL, &err);
    bool images = lithe_model_images(m, NULL, NULL, NULL);
    if (images && s->pair) wrong(&err, LITHE_EINVAL, "--pair is a second text, but the model reads images");
    lithe_tokenizer *t = m && !images ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    if (t || images) lines_open(&l, a->operands + 1, a->count - 1, s->text, true, &err);
    if (s->pair && l.count) l.pairs[0] = s->pair;
    const char *task = m ? lithe_model_task(m) : "";
    const bool ready = !err.status;
    if (ready && !strcmp(task, "tokens")) print_token_classes(m, t, &l, s->json, &err);
    else if (ready && !strcmp(task, "span")) print_answers(m, t, &l, s->json, &err);
    else if (ready) answer_whole(m, t, &l, s, &err);
    lines_close(&l);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_classify = {
    .name = "classify", .operands = "MODEL [TEXT...|TABLE|IMAGE...|IMAGES...]", .least = 1, .most = -1,
    .summary = "predict the class, or the number, of a text or an image",
    .about = "Prints the likeliest class and its probability, or the predicted number, one line for each text. The model was trained with lithe train "
             "--task, or is any model with a sequence classification head. An image model takes PNG and JPEG files, or a --text file with a path "
             "on each line. A table (a file of that name, or --table) and a set of images (a folder, a .tar of it, a list of its "
             "files: docs/image-shards.md) are written as a table. A model with a class for each token (...ForTokenClassification) prints a line for each token: its characters, class and probability, and "
             "where it begins and ends in the text, in characters. One that answers "
             "questions (...ForQuestionAnswering) takes the question as TEXT and the passage with --pair, and prints the passage's words in the same way. One that chooses "
             "(...ForMultipleChoice) takes a text and its choices.",
    .examples = "  lithe classify runs/mnist-1 digit.png\n"
                "  lithe classify runs/reviews-1 reviews.csv --out classified.csv\n"
                "  lithe classify runs/mnist-1 photos/ --out digits.tsv\n"
                "  lithe classify runs/reviews-1 \"a charming and often affecting journey\"\n"
                "  lithe classify runs/intents-1 --text questions.txt --top 3 --json\n"
                "  lithe classify runs/similar-1 \"A cat sits.\" --pair \"A cat is sitting.\"\n"
                "  lithe classify squad/ \"Who wrote it?\" --pair \"It was written by Jane Austen in 1813.\"\n",
    .options = classify_options, .bytes = sizeof(S), .run = classify,
};
