/* `lithe --help`, `lithe VERB --help`: the option table for people to read. */
#include "lithe_tools.h"
#include "output.h"
#include "verbs.h"
#include <string.h>

enum { INDENT = 2, COLUMN = 28, NARROW = 60, WIDE = 100 };

static int width_of(FILE *out)
{
    int width = terminal(out) ? terminal_width(out) : WIDE;
    return width < NARROW ? NARROW : width > WIDE ? WIDE : width;
}

void print_filled(FILE *out, const char *text, int at, int indent, int width)
{
    for (const char *p = text; *p; ) {
        int word = (int)strcspn(p, " \n");
        if (at > indent && at + 1 + word > width) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', out);
            at++;
        }
        fwrite(p, 1, (size_t)word, out);
        at += word;
        p += word;
        while (*p == ' ') p++;
        if (p[0] == '\n' && p[1] == '\n') {                     /* paragraphs */
            fprintf(out, "\n\n%*s", indent, "");
            at = indent;
        }
        while (*p == '\n') p++;
    }
    fputc('\n', out);
}

static void fill(FILE *out, const char *text, int at, int indent) { print_filled(out, text, at, indent, width_of(out)); }

void verb_synopsis(FILE *out, const verb *v)
{
    fprintf(out, "%s%s%s%s", v->name, v->options ? " [OPTIONS]" : "", *v->operands ? " " : "", v->operands);
}

void option_head(char *text, size_t cap, const option *o)
{
    char letter[8] = "";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(text, cap, "%s--%s%s%s", letter, o->name, o->kind == OPTION_FLAG ? "" : " ", o->kind == OPTION_FLAG ? "" : o->value);
}

void option_body(char *text, size_t cap, const option *o)
{
    int n = snprintf(text, cap, "%s", o->help);
    if (o->kind == OPTION_CHOICE && n > 0 && (size_t)n < cap) {
        n += snprintf(text + n, cap - (size_t)n, ": ");
        for (const char *p = o->choices; *p && (size_t)n < cap; ) {
            int word = (int)strcspn(p, "|");
            n += snprintf(text + n, cap - (size_t)n, "%.*s%s", word, p, p[word] ? ", " : "");
            p += word + (p[word] == '|');
        }
    }
    if (o->note && n > 0 && (size_t)n < cap) {
        char note[420];
        o->note(o->name, note, sizeof note);
        n += snprintf(text + n, cap - (size_t)n, " (%s)", note);
    }
    bool on = o->kind == OPTION_FLAG && o->preset;
    if (on && n > 0 && (size_t)n < cap) snprintf(text + n, cap - (size_t)n, " (default; --no-%s: not)", o->name);
    else if (o->preset && n > 0 && (size_t)n < cap)
        snprintf(text + n, cap - (size_t)n, " (default %s)", strcmp(o->preset, "\n") ? o->preset : "a line feed");
}

static void print_option(FILE *out, const option *o)
{
    char head[80], body[512];
    option_head(head, sizeof head, o);
    option_body(body, sizeof body, o);
    int at = fprintf(out, "%*s%s", o->letter ? INDENT : INDENT + 4, "", head);
    if (at >= COLUMN) { fputc('\n', out); at = 0; }
    fprintf(out, "%*s", COLUMN - at, "");
    fill(out, body, COLUMN, COLUMN);
}

void help_verb(FILE *out, const verb *v)
{
    fputs("usage: lithe ", out);
    verb_synopsis(out, v);
    fputs("\n\n", out);
    fill(out, v->about ? v->about : v->summary, 0, 0);
    fputs("\noptions:\n", out);
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) print_option(out, o);
    if (v->examples) fprintf(out, "\nexamples:\n%s", v->examples);
    fputc('\n', out);
    fill(out, "Every option --some-name is also LITHE_SOME_NAME in the environment; the flag wins. Sizes may be written 64k, 3M, 1.5G, "
              "times 90s, 3m, 2h30m. --no-NAME turns an option off.", 0, 0);
}

void help_program(FILE *out)
{
    fprintf(out, "lithe %s: train, grow, evaluate and run language and image models\n\nusage: lithe VERB [OPTIONS] [OPERANDS]\n\n", lithe_version());
    for (int i = 0; verbs[i]; i++) fprintf(out, "  %-16s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\nlithe VERB --help explains a verb. To begin:  lithe train my.txt\n\n", out);
    fill(out, "MODEL is a directory with config.json and its weights (safetensors or pytorch_model.bin), a RUN directory of `lithe train` (its newest "
              "checkpoint), an RWKV .pth file, or a llama2.c or rwkv.cpp .bin file. Exit codes: 0 done, 1 failed, 2 usage, 3 input invalid, 4 resources, 5 diverged, "
              "6 a comparison did not hold, 130 and 143 interrupted.", 0, 0);
}
