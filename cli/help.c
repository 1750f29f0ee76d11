/* `lithe --help`, `lithe VERB --help`: the option table for people to read. */
#include "lithe_tools.h"
#include "output.h"
#include "verbs.h"
#include <string.h>

enum { INDENT = 2, COLUMN = 28, NARROW = 64, NARROW_COLUMN = 8, NARROWEST = 24 };

static int width_of(FILE *out)
{
    int width = terminal_width(out);
    return width < NARROWEST ? NARROWEST : width;
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

/* The explanation begins beside the option, or below it where that or the terminal leaves no room. */
static void print_option(FILE *out, const option *o)
{
    char head[80], body[512];
    const int column = width_of(out) < NARROW ? NARROW_COLUMN : COLUMN;
    option_head(head, sizeof head, o);
    option_body(body, sizeof body, o);
    int at = fprintf(out, "%*s%s", o->letter ? INDENT : INDENT + 4, "", head);
    if (at >= column) { fputc('\n', out); at = 0; }
    fprintf(out, "%*s", column - at, "");
    fill(out, body, column, column);
}

/* Where a line of at most `width` columns ends: before a blank outside quotes, else after a comma; 0: it cannot be
 * cut. */
static int command_cut(const char *line, int length, int width)
{
    int blank = 0, comma = 0;
    char quote = 0;
    for (int i = 0; i < length && i < width; i++) {
        if (strchr("\"'", line[i])) quote = quote == line[i] ? 0 : quote ? quote : line[i];
        if (line[i] == ' ' && !quote && i > 2 * INDENT) blank = i;
        if (line[i] == ',' && i > 2 * INDENT) comma = i + 1;
    }
    return blank ? blank : comma;
}

/* A command that is longer than a line goes on in the next, as a shell reads it. */
static void print_command(FILE *out, const char *line, int length)
{
    const int width = width_of(out);
    for (int indent = 0, cut; ; line += cut, length -= cut) {
        cut = length + indent > width ? command_cut(line, length, width - indent - 1) : 0;
        fprintf(out, "%*s%.*s", indent, "", cut ? cut : length, line);
        if (!cut) break;
        const bool blank = line[cut] == ' ';
        fputs(blank ? " \\\n" : "\\\n", out);
        indent = blank ? 2 * INDENT : 0;
        cut += blank;
    }
    fputc('\n', out);
}

static void print_examples(FILE *out, const char *text)
{
    for (int n; *text; text += n + (text[n] == '\n')) {
        n = (int)strcspn(text, "\n");
        print_command(out, text, n);
    }
}

/* ---- options ------------------------------------------------------------------ */

static bool in_groups(const verb *v)
{
    for (int i = 0; v->options && v->options[i].name; i++) if (v->options[i].group) return true;
    return false;
}

static void print_first(FILE *out, const verb *v)
{
    const option *o;
    fputs("\noptions that matter first:\n", out);
    for (int i = 0; (o = option_at(v, i)); i++) if (o->first) print_option(out, o);
}

/* The names of a group's other options. */
static void print_names(FILE *out, const verb *v, int from)
{
    const option *o;
    int at = fprintf(out, "  %s:", option_at(v, from)->group), width = width_of(out);
    for (int i = from; (o = option_at(v, i)) && (i == from || !o->group); i++) {
        if (o->first) continue;
        if (at + 3 + (int)strlen(o->name) > width) at = fprintf(out, "\n%*s", 2 * INDENT - 1, "") - 1;
        at += fprintf(out, " --%s", o->name);
    }
    fputc('\n', out);
}

static bool has_others(const verb *v, int from)
{
    const option *o;
    for (int i = from; (o = option_at(v, i)) && (i == from || !o->group); i++) if (!o->first) return true;
    return false;
}

static void print_rest(FILE *out, const verb *v)
{
    const option *o;
    fprintf(out, "\nall others, explained by lithe %s --help --all:\n", v->name);
    for (int i = 0; (o = option_at(v, i)); i++) if (o->group && has_others(v, i)) print_names(out, v, i);
}

static void print_all(FILE *out, const verb *v)
{
    const option *o;
    if (!in_groups(v)) fputs("\noptions:\n", out);
    for (int i = 0; (o = option_at(v, i)); i++) {
        if (o->group && in_groups(v)) fprintf(out, "\n%s:\n", o->group);
        print_option(out, o);
    }
}

void help_verb(FILE *out, const verb *v, bool all)
{
    fputs("usage: lithe ", out);
    verb_synopsis(out, v);
    fputs("\n\n", out);
    fill(out, v->about ? v->about : v->summary, 0, 0);
    if (all || !in_groups(v)) print_all(out, v);
    else print_first(out, v);
    if (!all && in_groups(v)) print_rest(out, v);
    if (v->examples) { fputs("\nexamples:\n", out); print_examples(out, v->examples); }
    fputc('\n', out);
    fill(out, "Every option --some-name is also LITHE_SOME_NAME in the environment; the flag wins. Sizes may be written 64k, 3M, 1.5G, "
              "times 90s, 3m, 2h30m. --no-NAME turns an option off.", 0, 0);
}

void help_program(FILE *out)
{
    enum { SUMMARY = 19 };
    fprintf(out, "lithe %s: train, grow, evaluate and run language and image models\n\nusage: lithe VERB [OPTIONS] [OPERANDS]\n\n", lithe_version());
    for (int i = 0; verbs[i]; i++) {
        fprintf(out, "  %-16s ", verbs[i]->name);
        fill(out, verbs[i]->summary, SUMMARY, SUMMARY);
    }
    fputs("\nlithe VERB --help explains a verb. To begin:  lithe train my.txt\n\n", out);
    fill(out, "MODEL is a directory with config.json and its weights (safetensors or pytorch_model.bin), a RUN directory of `lithe train` (its newest "
              "checkpoint), an RWKV .pth file, or a llama2.c or rwkv.cpp .bin file. Exit codes: 0 done, 1 failed, 2 usage, 3 input invalid, 4 resources, 5 diverged, "
              "6 a comparison did not hold, 130 and 143 interrupted.", 0, 0);
}
