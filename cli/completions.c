/* `lithe completions SHELL`: the option table as a completion script. */
#include "output.h"
#include "verbs.h"
#include <ctype.h>
#include <string.h>

/* In single quotes: for bash and zsh '\'' is a quote, for fish \'. */
static void quoted(FILE *out, const char *text, bool fish)
{
    for (; *text; text++) {
        if (*text == '\'') fputs(fish ? "\\'" : "'\\''", out);
        else if (*text == '\\' && fish) fputs("\\\\", out);
        else fputc(*text, out);
    }
}

static void choices_with(FILE *out, const char *choices, char between)
{
    for (; *choices; choices++) fputc(*choices == '|' ? between : *choices, out);
}

/* The values of an option by name, in words. */
static void values_of(FILE *out, const option *o)
{
    if (o->choices) choices_with(out, o->choices, ' ');
    for (int i = 0; o->named && o->named(i); i++) fprintf(out, "%s%s", i || o->choices ? " " : "", o->named(i));
}

static bool has_values(const option *o) { return o->kind != OPTION_AMOUNT && (o->choices || o->named); }
static bool takes_file(const option *o) { return o->kind == OPTION_FILE || strstr(o->value, "FILE") || strstr(o->value, "PATH"); }

static void verb_names(FILE *out) { for (int i = 0; verbs[i]; i++) fprintf(out, "%s%s", i ? " " : "", verbs[i]->name); }

/* Whether a verb's operand is one of some words, and these; other operands are files or free text. */
static bool takes_word(const verb *v) { return !strcmp(v->operands, "[VERB]") || islower((unsigned char)*v->operands); }
static void operand_words(FILE *out, const verb *v)
{
    if (takes_word(v) && *v->operands == '[') verb_names(out);
    else if (takes_word(v)) choices_with(out, v->operands, ' ');
}

/* ---- bash ------------------------------------------------------------------- */

static void bash_verb(const verb *v)
{
    printf("    %s)\n        case $before in\n", v->name);
    const option *o;
    for (int i = 0; (o = option_at(v, i)); i++) {
        if (o->kind == OPTION_FLAG) continue;
        printf("            --%s", o->name);
        if (o->letter) printf("|-%c", o->letter);
        fputs(") ", stdout);
        if (has_values(o)) {
            printf("COMPREPLY=($(compgen %s-W '", takes_file(o) ? "-f " : "");
            values_of(stdout, o);
            fputs("' -- \"$word\")); return;;\n", stdout);
        }
        else puts(takes_file(o) ? "COMPREPLY=($(compgen -f -- \"$word\")); return;;" : "return;;");
    }
    fputs("        esac\n        options='", stdout);
    for (int i = 0; (o = option_at(v, i)); i++) printf("%s--%s", i ? " " : "", o->name);
    fputs("' operands='", stdout);
    operand_words(stdout, v);
    fputs("';;\n", stdout);
}

static void bash(void)
{
    fputs("# bash completion for lithe:  source <(lithe completions bash)\n"
          "_lithe() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= operands=\n"
          "    [[ $word == = ]] && word=\n"
          "    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    compopt -o default 2>/dev/null\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '", stdout);
    verb_names(stdout);
    fputs("' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n", stdout);
    for (int i = 0; verbs[i]; i++) bash_verb(verbs[i]);
    fputs("    esac\n"
          "    if [[ $word == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
          "    elif [[ $operands ]]; then COMPREPLY=($(compgen -W \"$operands\" -- \"$word\"))\n"
          "    else COMPREPLY=($(compgen -f -- \"$word\")); fi\n"
          "}\n"
          "complete -F _lithe lithe\n", stdout);
}

/* ---- zsh -------------------------------------------------------------------- */

/* Inside a specification brackets and colons have a meaning. */
static void zsh_text(const char *text)
{
    char one[2] = "";
    for (; *text; text++) {
        if (strchr("[]:\\", *text)) fputc('\\', stdout);
        one[0] = *text;
        quoted(stdout, one, false);
    }
}

static void zsh_option(const option *o)
{
    fputs(" \\\n            ", stdout);
    if (o->letter) printf("'(-%c --%s)'{-%c%s,--%s%s}'[", o->letter, o->name, o->letter, o->kind == OPTION_FLAG ? "" : "+",
                          o->name, o->kind == OPTION_FLAG ? "" : "=");
    else           printf("'%s--%s%s[", o->kind == OPTION_LIST ? "*" : "", o->name, o->kind == OPTION_FLAG ? "" : "=");
    zsh_text(o->help);
    fputc(']', stdout);
    if (o->kind != OPTION_FLAG) {
        fputc(':', stdout);
        zsh_text(o->value);
        fputc(':', stdout);
        if (has_values(o)) {
            fputs(takes_file(o) ? "{_alternative \"values\\:value\\:(" : "(", stdout);
            values_of(stdout, o);
            fputs(takes_file(o) ? ")\" files\\:file\\:_files}" : ")", stdout);
        }
        else if (takes_file(o)) fputs("_files", stdout);
    }
    fputc('\'', stdout);
}

static void zsh(void)
{
    fputs("#compdef lithe\n"
          "# zsh completion for lithe:  lithe completions zsh > a folder of $fpath/_lithe\n"
          "_lithe() {\n"
          "    local -a verbs\n"
          "    verbs=(\n", stdout);
    for (int i = 0; verbs[i]; i++) {
        printf("        '%s:", verbs[i]->name);
        quoted(stdout, verbs[i]->summary, false);
        fputs("'\n", stdout);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then _describe verb verbs; return; fi\n"
          "    local verb=$words[2]\n"
          "    shift words; ((CURRENT--))\n"
          "    case $verb in\n", stdout);
    for (int i = 0; verbs[i]; i++) {
        printf("        %s) _arguments -s -S", verbs[i]->name);
        const option *o;
        for (int k = 0; (o = option_at(verbs[i], k)); k++) zsh_option(o);
        fputs(takes_word(verbs[i]) ? " \\\n            '*:operand:(" : " \\\n            '*:file:_files", stdout);
        operand_words(stdout, verbs[i]);
        fputs(takes_word(verbs[i]) ? ")';;\n" : "';;\n", stdout);
    }
    fputs("    esac\n}\n_lithe \"$@\"\n", stdout);
}

/* ---- fish ------------------------------------------------------------------- */

static void fish_option(const verb *v, const option *o)
{
    printf("complete -c lithe -n '__fish_seen_subcommand_from %s' -l %s", v->name, o->name);
    if (o->letter) printf(" -s %c", o->letter);
    if (has_values(o)) {
        fputs(takes_file(o) ? " -r -F -a '" : " -x -a '", stdout);
        values_of(stdout, o);
        fputc('\'', stdout);
    }
    else if (o->kind != OPTION_FLAG) fputs(takes_file(o) ? " -r -F" : " -x", stdout);
    fputs(" -d '", stdout);
    quoted(stdout, o->help, true);
    fputs("'\n", stdout);
}

static void fish(void)
{
    puts("# fish completion for lithe:  lithe completions fish > ~/.config/fish/completions/lithe.fish");
    for (int i = 0; verbs[i]; i++) {
        printf("complete -c lithe -n __fish_use_subcommand -f -a %s -d '", verbs[i]->name);
        quoted(stdout, verbs[i]->summary, true);
        fputs("'\n", stdout);
        const option *o;
        for (int k = 0; (o = option_at(verbs[i], k)); k++) fish_option(verbs[i], o);
        if (!takes_word(verbs[i])) continue;
        printf("complete -c lithe -n '__fish_seen_subcommand_from %s' -f -a '", verbs[i]->name);
        operand_words(stdout, verbs[i]);
        puts("'");
    }
}

static int completions(const arguments *a)
{
    static const struct { const char *shell; void (*print)(void); } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(a->operands[0], shells[i].shell)) { shells[i].print(); return EXIT_DONE; }
    return usage("no completions for '%s': there are bash, zsh and fish", a->operands[0]);
}

const verb verb_completions = {
    .name = "completions", .operands = "bash|zsh|fish", .least = 1, .most = 1,
    .summary = "print a completion script for a shell",
    .about = "Prints a script that teaches a shell to complete the verbs, options and values of this program.",
    .examples = "  source <(lithe completions bash)\n"
                "  lithe completions fish > ~/.config/fish/completions/lithe.fish\n",
    .bytes = sizeof(common), .run = completions,
};
