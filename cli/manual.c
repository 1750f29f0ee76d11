/* The option table as manual pages (man(7) macros) and as docs/commands.md. */
#include "lithe_tools.h"
#include "verbs.h"
#include <ctype.h>
#include <string.h>

static const struct { int code; const char *meaning; } exits[] = {
    { 0, "done" },
    { 1, "failed; also when output cannot be written" },
    { 2, "usage: an unknown option, an invalid value, or an option that is missing" },
    { 3, "input invalid: it cannot be read, is damaged or of another kind, or is longer than the context" },
    { 4, "resources: not enough memory or disk, no such device" },
    { 5, "training diverged" },
    { 6, "a comparison or verification did not hold" },
    { 130, "interrupted by SIGINT (training has written a checkpoint)" },
    { 143, "interrupted by SIGTERM (the same)" },
};
enum { EXITS = sizeof exits / sizeof *exits };

#define RELEASED "2026-11-30"           /* lithe_version() */

/* ---- man -------------------------------------------------------------------- */

enum { ROFF_LINE = 76 };

/* Bytes of the word at text as roff, whose dashes and backslashes are escaped. */
static int roff_bytes(const char *text)
{
    int n = 0;
    for (; *text && !strchr(" \n", *text); text++) n += 1 + (*text == '-' || *text == '\\');
    return n;
}

/* Prints text as roff: dashes are escaped, no line is a request, an empty line begins a paragraph.  filled: lines end
 * between words. */
static void roff_text(FILE *out, const char *text, const char *paragraph, bool filled)
{
    int at = 0;
    for (const char *p = text; *p; p++) {
        if (p[0] == '\n' && p[1] == '\n') {
            fprintf(out, "\n%s\n", paragraph);
            at = 0;
            p++;
            continue;
        }
        const bool ends = *p == '\n' || (filled && *p == ' ' && at + 1 + roff_bytes(p + 1) > ROFF_LINE);
        if (at == 0 && (*p == '.' || *p == '\'')) fputs("\\&", out);
        if (ends) fputc('\n', out);
        else if (*p == '\\') at += fprintf(out, "\\e");
        else if (*p == '-') at += fprintf(out, "\\-");
        else fputc(*p, out), at++;
        if (ends) at = 0;
    }
}

static void roff(FILE *out, const char *text) { roff_text(out, text, "", false); }
static void roff_filled(FILE *out, const char *text) { roff_text(out, text, ".PP", true); }

static void upper(FILE *out, const char *text)
{
    for (; *text; text++) fputc(toupper((unsigned char)*text), out);
}

static void roff_head(FILE *out, const char *name, const char *summary)
{
    char line[300];
    fputs(".TH \"", out);
    upper(out, name);
    fprintf(out, "\" 1 \"" RELEASED "\" \"lithe %s\" \"Lithe manual\"\n.SH NAME\n", lithe_version());
    snprintf(line, sizeof line, "%s - %s", name, summary);
    roff_filled(out, line);
    fputs("\n.SH SYNOPSIS\n", out);
}

static void roff_exits(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (int i = 0; i < EXITS; i++) {
        fprintf(out, ".TP\n.B %d\n", exits[i].code);
        roff_filled(out, exits[i].meaning);
        fputc('\n', out);
    }
}

static void roff_option(FILE *out, const option *o)
{
    char text[512];
    fputs(".TP\n", out);
    fputs(".B ", out);
    option_head(text, sizeof text, o);
    roff(out, text);
    fputc('\n', out);
    option_body(text, sizeof text, o);
    roff_filled(out, text);
    fputc('\n', out);
}

static void roff_environment(FILE *out, const verb *v)
{
    fputs(".SH ENVIRONMENT\nA flag wins over a variable, a variable over the default.\n", out);
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) {
        char name[64];
        if (!strcmp(o->name, "help")) continue;
        option_variable(o, name, sizeof name);
        fprintf(out, ".TP\n.B %s%s%s\n", name, o->variable ? ", " : "", o->variable ? o->variable : "");
        fprintf(out, "\\-\\-");
        roff(out, o->name);
        fputc('\n', out);
    }
}

static void manual_program(FILE *out)
{
    roff_head(out, "lithe", "train, grow, evaluate and run language and image models");
    fputs(".B lithe\n.I VERB\n[OPTIONS] [OPERANDS]\n.SH VERBS\n", out);
    for (int i = 0; verbs[i]; i++) {
        fprintf(out, ".TP\n.BR lithe\\-");
        roff(out, verbs[i]->name);
        fputs(" (1)\n", out);
        roff_filled(out, verbs[i]->summary);
        fputc('\n', out);
    }
    roff_exits(out);
}

void manual_page(FILE *out, const verb *v)
{
    if (!v) { manual_program(out); return; }
    char name[64];
    snprintf(name, sizeof name, "lithe-%s", v->name);
    roff_head(out, name, v->summary);
    fputs(".B lithe ", out);
    roff(out, v->name);
    fprintf(out, "\n[OPTIONS]%s", *v->operands ? " " : "");
    roff(out, v->operands);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_filled(out, v->about ? v->about : v->summary);
    fputs("\n.SH OPTIONS\n", out);
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) roff_option(out, o);
    roff_environment(out, v);
    roff_exits(out);
    if (v->examples) {
        fputs(".SH EXAMPLES\n.nf\n", out);
        roff(out, v->examples);
        fputs(".fi\n", out);
    }
    fputs(".SH SEE ALSO\n.BR lithe (1)\n", out);
}

enum { COLUMNS = 120 };

/* ---- Markdown --------------------------------------------------------------- */

/* A cell of a table, whose bars are escaped. */
static void cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') fputc('\\', out);
        fputc(*text, out);
    }
}

static void markdown_option(FILE *out, const option *o)
{
    char text[512], name[64];
    option_head(text, sizeof text, o);
    fputs("| `", out);
    cell(out, text);
    fputs("` | ", out);
    option_body(text, sizeof text, o);
    cell(out, text);
    option_variable(o, name, sizeof name);
    if (!strcmp(o->name, "help")) fputs(" | |\n", out);
    else fprintf(out, " | `%s`%s%s%s |\n", name, o->variable ? ", `" : "", o->variable ? o->variable : "", o->variable ? "`" : "");
}

/* The paragraphs on a verb; a summary alone becomes a sentence. */
static void markdown_about(FILE *out, const verb *v)
{
    char sentence[200];
    snprintf(sentence, sizeof sentence, "%c%s.", toupper((unsigned char)*v->summary), v->summary + 1);
    print_filled(out, v->about ? v->about : sentence, 0, 0, COLUMNS);
}

/* The lines of examples without their indentation. */
static void markdown_examples(FILE *out, const char *examples)
{
    fputc('\n', out);
    for (const char *line = examples, *end; *line; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        line += strspn(line, " ");
        fprintf(out, "    %.*s\n", (int)(end - line), line);
    }
}

static void markdown_verb(FILE *out, const verb *v)
{
    fprintf(out, "\n## lithe %s\n\n    lithe ", v->name);
    verb_synopsis(out, v);
    fputs("\n\n", out);
    markdown_about(out, v);
    fputs("\n| option | meaning | variable |\n| --- | --- | --- |\n", out);
    for (int i = 0; v->options && v->options[i].name; i++) markdown_option(out, &v->options[i]);
    for (int i = 0; common_options[i].name; i++) markdown_option(out, &common_options[i]);
    if (v->examples) markdown_examples(out, v->examples);
}

void manual_markdown(FILE *out)
{
    fputs("# Commands\n\nThis page is made by `lithe help --markdown` from the program's option table.\n\n"
          "A flag wins over the environment variable (`LITHE_` and the option's name), and the variable wins over the default.\n"
          "`--opt=value` and `--opt value` are the same, `--no-opt` turns an option off, `--` ends the options, and `-` is\n"
          "standard input. Sizes are written 64k, 3M or 1.5G, shares 10%, times 90s, 3m or 2h30m. Data go to standard output,\n"
          "everything else to standard error.\n\n"
          "| exit code | meaning |\n| --: | --- |\n", out);
    for (int i = 0; i < EXITS; i++) fprintf(out, "| %d | %s |\n", exits[i].code, exits[i].meaning);
    for (int i = 0; verbs[i]; i++) markdown_verb(out, verbs[i]);
}
