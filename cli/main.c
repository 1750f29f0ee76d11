/* lithe VERB [OPTIONS] [OPERANDS]: finds the verb, reads its options, runs it.
 *
 * The program includes the public headers only. */
#include "lithe_tools.h"
#include "options.h"
#include "output.h"
#include "suggest.h"
#include "terminal.h"
#include "verbs.h"
#include "watch.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const verb *const verbs[] = {
    &verb_train, &verb_grow, &verb_generate, &verb_chat, &verb_fill, &verb_embed, &verb_classify, &verb_serve, &verb_eval, &verb_score, &verb_report, &verb_compare, &verb_watch, &verb_replay, &verb_sweep, &verb_logits, &verb_tokenize, &verb_detokenize, &verb_train_tokenizer,
    &verb_inspect, &verb_convert, &verb_quantize, &verb_bench, &verb_plan, &verb_doctor, &verb_completions, &verb_help, NULL
};

const verb *verb_find(const char *name)
{
    for (int i = 0; verbs[i]; i++) if (!strcmp(verbs[i]->name, name)) return verbs[i];
    return NULL;
}

int unknown_verb(const char *name)
{
    suggestion s;
    suggest_begin(&s, name);
    for (int i = 0; verbs[i]; i++) suggest_offer(&s, verbs[i]->name);
    suggest_also(&s, "generate", "sample,run,complete,infer");
    suggest_also(&s, "eval", "evaluate,perplexity,test");
    suggest_also(&s, "score", "loglikelihood,loglikelihoods,logprobs,rank");
    suggest_also(&s, "fill", "mask,unmask,fill-mask");
    suggest_also(&s, "embed", "embedding,embeddings,vector");
    suggest_also(&s, "classify", "predict,label");
    suggest_also(&s, "serve", "server,listen,api,http");
    suggest_also(&s, "train", "finetune,pretrain,fit");
    suggest_also(&s, "inspect", "info,show,dump");
    suggest_also(&s, "report", "plot,figures,html");
    suggest_also(&s, "compare", "diff");
    suggest_also(&s, "watch", "follow,monitor,tail");
    suggest_also(&s, "replay", "repeat,rerun,reproduce");
    suggest_also(&s, "sweep", "search,grid,tune");
    suggest_also(&s, "tokenize", "encode");
    suggest_also(&s, "detokenize", "decode");
    if (*s.best) return usage("unknown verb '%s'; did you mean %s?", name, s.best);
    return usage("unknown verb '%s'; lithe --help lists them", name);
}

static int run(const verb *v, int argc, char **argv)
{
    common *settings = calloc(1, v->bytes);
    arguments a;
    if (!settings) { complain("out of memory"); return EXIT_RESOURCES; }
    int rank = 0;
    if (v == &verb_train && lithe_ranks_launched(&rank) > 1) output_rank(rank, NULL);
    output_begin(v->name, false);
    int code = arguments_read(&a, v, argc, argv, settings);
    if (settings->help) {
        if (output_leads()) help_verb(stdout, v, settings->help > 1);
        code = EXIT_DONE;
    } else if (code < 0) {
        output_begin(v->name, settings->quiet);
        lithe_threads(settings->threads);
        code = v->run(&a);
    }
    arguments_free(&a);
    free(settings);
    return code;
}

/* ---- help ------------------------------------------------------------------- */

typedef struct { common common; int man, markdown, all; } help_settings;

static const option help_options[] = {
    { "all", 0, FLAG(help_settings, all), .help = "explain all options of VERB; so does lithe VERB --help --all" },
    { "man", 0, FLAG(help_settings, man), .help = "print a manual page (for man -l -); without VERB that of the program" },
    { "markdown", 0, FLAG(help_settings, markdown), .help = "print all verbs as docs/commands.md" },
    { 0 }
};

static int help(const arguments *a)
{
    const help_settings *s = a->settings;
    const verb *v = a->count ? verb_find(a->operands[0]) : NULL;
    if (a->count && !v) return unknown_verb(a->operands[0]);
    if (s->markdown) manual_markdown(stdout);
    else if (s->man) manual_page(stdout, v);
    else if (v) help_verb(stdout, v, s->all);
    else help_program(stdout);
    return EXIT_DONE;
}

const verb verb_help = {
    .name = "help", .operands = "[VERB]", .most = 1,
    .summary = "explain a verb, or print manual pages",
    .examples = "  lithe help train\n  lithe help --man train | man -l -\n",
    .options = help_options, .bytes = sizeof(help_settings), .run = help,
};

/* A file must not get the number of a stream that was closed: records would be written among its bytes.  Reading a
 * closed standard input fails. */
static void open_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDWR : O_WRONLY) != fd) _exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
    open_streams();
    signal(SIGPIPE, SIG_IGN);                   /* when a reader closes the pipe, writing ends but training does not */
    signal(SIGXFSZ, SIG_IGN);                   /* what is too large for `ulimit -f` is a full disk */
    lithe_guard_files(NULL);
    terminal_begin();
    watch_library();
    if (argc < 2) {
        help_program(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("lithe %s\n", lithe_version());
        return output_end(EXIT_DONE);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        help_program(stdout);
        return output_end(EXIT_DONE);
    }
    if (*name == '-') return usage("unknown option %s; options come after the verb: lithe VERB %s", name, name);
    const verb *v = verb_find(name);
    return output_end(v ? run(v, argc - 1, argv + 1) : unknown_verb(name));
}
