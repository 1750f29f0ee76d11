/* lithe inspect: what a model file holds, known architecture or not. */
#include "output.h"
#include "quantity.h"
#include "verbs.h"
#include <string.h>

typedef struct { common common; int check_values, json; } inspect_settings;

static const option inspect_options[] = {
    { "check-values", 0, FLAG(inspect_settings, check_values), .help = "count NaN and infinite values; exit 6 when there are any", .also = "nan,verify" },
    { "json", 0, FLAG(inspect_settings, json), .help = "print {schema, format, architecture, parameters, bytes, tensors}" },
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

/* Names come from a file: what is not printable stays out of the terminal. */
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

static int inspect(const arguments *a)
{
    const inspect_settings *s = a->settings;
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
        emit_open(&e, "tensors", '[');
    }
    else printf("%s, %s: %zu tensors, %.0f parameters (%s), %sB\n\n", lithe_listing_format(l), arch ? arch : "architecture not known",
                lithe_listing_count(l), parameters, size_text(parameters, text[0]), size_text(bytes, text[1]));
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
    .about = "Lists name, type and shape of every tensor of a safetensors file, a pytorch_model.bin, a llama2.c .bin, or of a directory "
             "that holds a model; the architecture need not be known. Pickles are read without running them.",
    .examples = "  lithe inspect runs/tale-1 --check-values\n  lithe inspect model.safetensors --json | jq .parameters\n",
    .options = inspect_options, .bytes = sizeof(inspect_settings), .run = inspect,
};
