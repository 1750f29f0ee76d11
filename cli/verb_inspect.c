/* lithe inspect: lists the tensors of a model file, whether its architecture is known or not,
 * or measures how different the features of tokens are from layer to layer. */
#include "inputs.h"
#include "lithe_eval.h"
#include "output.h"
#include "quantity.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    common common;
    int check_values, json, diversity, ctx;
    double tokens;
    const char *text, *tokenizer, *config;
} inspect_settings;

static const option inspect_options[] = {
    { "check-values", 0, FLAG(inspect_settings, check_values), .help = "count NaN and infinite values, and exit 6 when there are any", .also = "nan,verify", .group = "values", .first = 1 },
    { "diversity", 0, FLAG(inspect_settings, diversity), .help = "measure how different the features of the tokens of --text are at each layer, instead of listing tensors", .also = "collapse,rank,features", .group = "features of a text", .first = 1 },
    { "text", 0, FILENAME(inspect_settings, text), "FILE", .help = "with --diversity: the text whose features are measured; - is standard input", .first = 1 },
    { "ctx", 'c', COUNT(inspect_settings, ctx), "N", .help = "with --diversity: tokens in a sequence (default: the context of the model, at most 256)", .also = "context" },
    { "tokens", 0, SIZE(inspect_settings, tokens), "N", "16k", .help = "with --diversity: largest number of tokens to read", .least = 2, .most = 1e9 },
    { "tokenizer", 0, FILENAME(inspect_settings, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own", .group = "model" },
    { "config", 0, FILENAME(inspect_settings, config), "FILE", .help = "config.json of a weights file that has none beside it", .first = 1 },
    { "json", 0, FLAG(inspect_settings, json), .help = "print {schema, format, architecture, parameters, bytes, metadata, tensors}, or {schema, architecture, sequences, tokens, places}", .group = "answers", .first = 1 },
    { 0 }
};

enum { NOT_CHECKED = -2, NOT_NUMBERS = -1 };

static double elements(const lithe_tensor_info *t)
{
    double n = 1;
    for (int i = 0; i < t->rank && i < 8; i++) n *= (double)t->dims[i];
    return n;
}

static long long bad_values(const lithe_listing *l, size_t i, const inspect_settings *s)
{
    if (!s->check_values) return NOT_CHECKED;
    long long bad = lithe_listing_bad_values(l, i);
    return bad < 0 ? NOT_NUMBERS : bad;
}

static void emit_tensor(emitter *e, const lithe_tensor_info *t, long long bad)
{
    emit_open(e, NULL, '{');
    emit_text(e, "name", t->name);
    emit_text(e, "dtype", t->dtype);
    emit_open(e, "shape", '[');
    for (int i = 0; i < t->rank && i < 8; i++) emit_count(e, NULL, t->dims[i]);
    emit_close(e, ']');
    emit_count(e, "bytes", (long long)t->bytes);
    emit_text(e, "file", t->file);
    if (bad >= 0) emit_count(e, "bad_values", bad);
    else if (bad == NOT_NUMBERS) emit_text(e, "bad_values", NULL);
    emit_close(e, '}');
}

/* Names come from a file, so bytes that are not printable are replaced. */
static void print_name(const char *name, int width)
{
    int n = 0;
    for (; name[n]; n++) putchar((unsigned char)name[n] < ' ' || name[n] == 127 ? '?' : name[n]);
    printf("%*s", n < width ? width - n : 0, "");
}

static void print_tensor(const lithe_tensor_info *t, int width, long long bad)
{
    char shape[200] = "";
    size_t used = 0;
    for (int i = 0; i < t->rank && i < 8; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%s%lld", i ? " x " : "", (long long)t->dims[i]);
    print_name(t->name, width);
    printf("  %-5s %s", t->dtype, used ? shape : "scalar");
    if (bad > 0) printf("  %lld bad", bad);
    else if (bad == NOT_NUMBERS) printf("  not numbers");
    putchar('\n');
}

static void totals(const lithe_listing *l, double *parameters, double *bytes, int *width)
{
    *parameters = *bytes = *width = 0;
    for (size_t i = 0; i < lithe_listing_count(l); i++) {
        const lithe_tensor_info *t = lithe_listing_tensor(l, i);
        *parameters += elements(t);
        *bytes += (double)t->bytes;
        if ((int)strlen(t->name) > *width) *width = (int)strlen(t->name) < 60 ? (int)strlen(t->name) : 60;
    }
}

/* ---- what a file says about itself ----------------------------------------------- */

static void emit_keys(emitter *e, lithe_listing *l)
{
    lithe_key_info k;
    emit_open(e, "metadata", '[');
    for (size_t i = 0; lithe_listing_key(l, i, &k); i++) {
        emit_open(e, NULL, '{');
        emit_text(e, "key", k.key);
        emit_text(e, "type", k.type);
        emit_count(e, "count", (long long)k.count);
        emit_json(e, "value", k.value);
        emit_close(e, '}');
    }
    emit_close(e, ']');
}

/* A line for each key, cut where its value is long. */
static void print_keys(lithe_listing *l)
{
    enum { SHOWN = 80 };
    lithe_key_info k;
    size_t n = 0, length;
    for (; lithe_listing_key(l, n, &k); n++) {
        print_name(k.key, 40);
        length = k.value ? strlen(k.value) : 0;
        if (!k.value) printf("  %s, %zu\n", k.type, k.count);
        else if (length <= SHOWN) printf("  %s\n", k.value);
        else {
            int cut = SHOWN;
            while (((unsigned char)k.value[cut] & 0xc0) == 0x80) cut--;
            printf("  %.*s... (%zu bytes)\n", cut, k.value, length);
        }
    }
    if (n) putchar('\n');
}

/* ---- diversity ---------------------------------------------------------------- */

static void emit_measure(emitter *e, const char *key, lithe_measure m)
{
    emit_open(e, key, '{');
    emit_number(e, "mean", m.mean);
    emit_number(e, "deviation", m.deviation);
    emit_close(e, '}');
}

static void emit_place(emitter *e, const lithe_diversity_row *r)
{
    emit_open(e, NULL, '{');
    emit_text(e, "place", r->place);
    if (r->layer >= 0) emit_count(e, "layer", r->layer);
    else emit_text(e, "layer", NULL);
    emit_count(e, "width", r->width);
    emit_measure(e, "dm", r->dm);
    emit_measure(e, "rel", r->rel);
    emit_measure(e, "rel_comp", r->rel_comp);
    emit_measure(e, "rank1", r->rank1);
    emit_measure(e, "cos", r->cos);
    emit_measure(e, "stable_rank", r->stable_rank);
    emit_number(e, "deff80", r->deff80);
    emit_number(e, "deff90", r->deff90);
    emit_number(e, "pr", r->pr);
    emit_number(e, "erank", r->erank);
    emit_number(e, "pc3", r->pc3);
    emit_close(e, '}');
}

static void emit_diversity(const lithe_diversity *d, const lithe_model *m)
{
    const lithe_diversity_row *first = lithe_diversity_at(d, 0);
    emitter e = emit_begin(stdout, "diversity");
    emit_text(&e, "architecture", lithe_model_arch(m));
    emit_count(&e, "sequences", first->sequences);
    emit_count(&e, "tokens", first->tokens);
    emit_bool(&e, "few_tokens", first->few_tokens != 0);
    emit_open(&e, "places", '[');
    for (size_t i = 0; i < lithe_diversity_count(d); i++) emit_place(&e, lithe_diversity_at(d, i));
    emit_close(&e, ']');
    emit_end(&e);
}

static void print_diversity(const lithe_diversity *d, const lithe_model *m)
{
    const lithe_diversity_row *first = lithe_diversity_at(d, 0);
    printf("%s: features of %d tokens in %d sequences, width %d\n\n", lithe_model_arch(m), first->tokens, first->sequences, first->width);
    printf("layer place       %9s %7s %8s %7s %7s %7s %7s %7s %7s %7s %7s\n", "dm", "rel", "rel_comp", "rank1", "cos", "stable", "deff80", "deff90", "pr", "erank", "pc3");
    for (size_t i = 0; i < lithe_diversity_count(d); i++) {
        const lithe_diversity_row *r = lithe_diversity_at(d, i);
        char layer[12] = "-";
        if (r->layer >= 0) snprintf(layer, sizeof layer, "%d", r->layer);
        printf("%5s %-11s %9.4g %7.4f %8.4f %7.4f %7.4f %7.2f %7.0f %7.0f %7.1f %7.1f %7.4f\n", layer, r->place, r->dm.mean, r->rel.mean, r->rel_comp.mean, r->rank1.mean,
               r->cos.mean, r->stable_rank.mean, r->deff80, r->deff90, r->pr, r->erank, r->pc3);
    }
    if (first->few_tokens) say("fewer than five tokens for each channel: deff80 to pc3 are lower than they would be over more text");
}

static int inspect_features(const arguments *a)
{
    const inspect_settings *s = a->settings;
    const char *path = a->operands[0];
    lithe_error err = { 0 };
    size_t size = 0, n = 0;
    if (!s->text) return usage("--diversity measures the features of a text: give --text FILE");
    lithe_model *m = open_model(path, s->config, &err);
    lithe_tokenizer *t = m ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    char *text = t ? read_documents(s->text, &size, &err) : NULL;
    int32_t *ids = text ? encode_text(t, text, size, false, &n, &err) : NULL;
    lithe_diversity *d = ids ? lithe_diversity_open(m, ids, n, &LITHE_OPTIONS(lithe_diversity_options, .ctx = s->ctx, .tokens = (size_t)s->tokens), &err) : NULL;
    if (d && s->json) emit_diversity(d, m);
    else if (d) print_diversity(d, m);
    lithe_diversity_close(d);
    free(ids);
    free(text);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

/* ---- the verb ----------------------------------------------------------------- */

static int inspect(const arguments *a)
{
    const inspect_settings *s = a->settings;
    if (s->diversity) return inspect_features(a);
    if (s->text) return usage("--text goes with --diversity");
    lithe_error err = { 0 };
    lithe_listing *l = lithe_listing_open(a->operands[0], &err);
    if (!l) return failed_input(&err);
    double parameters, bytes;
    int width;
    long long all_bad = 0;
    char text[2][16];
    totals(l, &parameters, &bytes, &width);
    const char *arch = lithe_listing_arch(l);
    emitter e = { 0 };
    if (s->json) {
        e = emit_begin(stdout, "inspect");
        emit_text(&e, "format", lithe_listing_format(l));
        emit_text(&e, "architecture", arch);
        emit_count(&e, "parameters", (long long)parameters);
        emit_count(&e, "bytes", (long long)bytes);
        emit_keys(&e, l);
        emit_open(&e, "tensors", '[');
    } else {
        printf("%s, %s: %zu tensors, %.0f parameters (%s), %sB\n\n", lithe_listing_format(l), arch ? arch : "architecture not known",
               lithe_listing_count(l), parameters, size_text(parameters, text[0]), size_text(bytes, text[1]));
        print_keys(l);
    }
    for (size_t i = 0; i < lithe_listing_count(l); i++) {
        long long bad = bad_values(l, i, s);
        if (bad > 0) all_bad += bad;
        if (s->json) emit_tensor(&e, lithe_listing_tensor(l, i), bad);
        else print_tensor(lithe_listing_tensor(l, i), width, bad);
    }
    if (s->json) { emit_close(&e, ']'); emit_end(&e); }
    lithe_listing_close(l);
    if (all_bad) complain("%s: %lld values are NaN or infinite", a->operands[0], all_bad);
    return all_bad ? EXIT_MISMATCH : EXIT_DONE;
}

const verb verb_inspect = {
    .name = "inspect", .operands = "FILE", .least = 1, .most = 1,
    .summary = "list the tensors of a model file or directory",
    .about = "Lists what a file says about itself, and name, type and shape of every tensor, of a safetensors file, a pytorch_model.bin, a "
             "GGUF file, a llama2.c or rwkv.cpp .bin, or a directory that holds a model; the architecture need not be known, nor need the "
             "types of the tensors be those that open. Pickles are read without running them.\n\n"
             "--diversity runs the model over a text and shows how different the features of its tokens are after the embedding, after each layer's mixer and "
             "feed-forward, and after the last norm. These are means over the sequences, each without its first four tokens: dm, the distance of the tokens "
             "from their mean (not normalised, so it grows with the residual stream); rel, that distance over the norm of the features, 0 when all tokens "
             "are equal; rel_comp, the same in a composite norm; rank1, the relative distance from the nearest matrix of rank 1; cos, the mean cosine of two tokens; "
             "stable, the stable rank. These are over all tokens: deff80 and deff90, the number of principal components that hold 80 and 90 % of the variance; "
             "pr and erank, the participation ratio and the effective rank; pc3, the share of variance in the first three components.",
    .examples = "  lithe inspect runs/tale-1 --check-values\n  lithe inspect model.safetensors --json | jq .parameters\n"
                "  lithe inspect runs/tale-1 --diversity --text tale.txt\n",
    .options = inspect_options, .bytes = sizeof(inspect_settings), .run = inspect,
};
