/* One table of options per verb.  It makes the parser, --help, the manual page,
 * the shells' completions, the LITHE_* variables and docs/commands.md.
 *
 *   flag > environment > default
 *
 * Values are stored in the verb's own zeroed struct, in members that the table names;
 * the compiler checks the type of a member against the kind of the option. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { double value; char unit; } amount;             /* unit: 0, '%' or 'x' */
typedef struct { const char **items; int count; } texts;

typedef enum {
    OPTION_FLAG,        /* int: --x 1, --no-x 0 */
    OPTION_TEXT,        /* const char *; --no-x: NULL */
    OPTION_FILE,        /* const char *, completed by file names */
    OPTION_CHOICE,      /* const char *, one of choices; `help` lists them */
    OPTION_COUNT,       /* int: 400, 64k */
    OPTION_SIZE,        /* double: 3M, 1.5G */
    OPTION_REAL,        /* double: 3e-4 */
    OPTION_TIME,        /* double, seconds: 90, 3m, 2h30m */
    OPTION_AMOUNT,      /* amount: a size, or a number followed by the unit in choices ("%", "x") */
    OPTION_SEED,        /* uint64_t */
    OPTION_LIST,        /* texts: may be given several times */
} option_kind;

typedef struct {
    const char *name;                   /* without dashes */
    char letter;                        /* -x, or 0 */
    option_kind kind;
    size_t offset;
    const char *value;                  /* the placeholder of the value in help */
    const char *preset;                 /* the default, as one would type it; NULL: zero */
    const char *help;                   /* one phrase without a full stop, lower case */
    /* "a|b|c"; of OPTION_AMOUNT the unit; of OPTION_TEXT, OPTION_FILE and OPTION_LIST values that shells complete,
     * among others. */
    const char *choices;
    const char *(*named)(int i);        /* the i-th of more such values, NULL after the last; or NULL */
    const char *also;                   /* "x,y": words that people type instead, for did-you-mean */
    const char *variable;               /* a second environment variable */
    double least, most;                 /* bounds of a number; most 0: no upper bound */
    void (*note)(const char *name, char *text, size_t size); /* writes more help, to be shown in parentheses; or NULL */
    const char *group;                  /* the heading of this option and of those after it, for a verb with many */
    int first;                          /* --help shows it without --all */
} option;

/* The kind and the offset of an option together:  { "lr", 0, REAL(settings, lr), "X", ... } */
#define MEMBER(S, F, T) (offsetof(S, F) + 0 * sizeof(_Generic(&((S *)0)->F, T *: 1)))
#define FLAG(S, F)   OPTION_FLAG,   MEMBER(S, F, int)
#define TEXT(S, F)   OPTION_TEXT,   MEMBER(S, F, const char *)
#define FILENAME(S, F) OPTION_FILE, MEMBER(S, F, const char *)
#define CHOICE(S, F) OPTION_CHOICE, MEMBER(S, F, const char *)
#define COUNT(S, F)  OPTION_COUNT,  MEMBER(S, F, int)
#define SIZE(S, F)   OPTION_SIZE,   MEMBER(S, F, double)
#define REAL(S, F)   OPTION_REAL,   MEMBER(S, F, double)
#define TIME(S, F)   OPTION_TIME,   MEMBER(S, F, double)
#define AMOUNT(S, F) OPTION_AMOUNT, MEMBER(S, F, amount)
#define SEED(S, F)   OPTION_SEED,   MEMBER(S, F, uint64_t)
#define LIST(S, F)   OPTION_LIST,   MEMBER(S, F, texts)

/* The options of every verb; the first member of every verb's struct. */
typedef struct { int help, quiet, threads; } common;             /* help 2: --help --all */
extern const option common_options[];                           /* ends with {0} */

enum { MAX_OPTIONS = 96 };
typedef enum { ORIGIN_DEFAULT, ORIGIN_ENVIRONMENT, ORIGIN_FLAG } origin;

typedef struct verb verb;

typedef struct {
    const verb *verb;
    void *settings;
    const char **operands;              /* [count], NULL-terminated */
    int count;
    char **words;                       /* argv from the verb on, for command.txt */
    origin origins[MAX_OPTIONS];        /* of the verb's options, then of the common ones */
    const char *given[MAX_OPTIONS];     /* their values as they were typed; NULL: none, or --no-x */
} arguments;

struct verb {
    const char *name;
    const char *operands;               /* "DATA...", "MODEL [PROMPT]" */
    int least, most;                    /* operands; most -1: any number */
    const char *summary;                /* one line */
    const char *about;                  /* paragraphs, an empty line between two */
    const char *examples;               /* lines */
    const option *options;              /* ends with {0}; NULL: none */
    size_t bytes;                       /* of its struct */
    int (*run)(const arguments *a);     /* returns the exit code */
};

/* Reads argv[1 .. argc-1], the arguments after the verb argv[0], into settings.  Returns
 * -1 to go on, else the exit code (usage, or 0 after a list of choices); what
 * was wrong is printed on stderr. */
int  arguments_read(arguments *a, const verb *v, int argc, char **argv, void *settings);
void arguments_free(arguments *a);

/* Where an option's value came from. */
origin option_origin(const arguments *a, const char *name);
/* How the letters of a vocab.txt are read: 1 with --lowercase, -1 with --no-lowercase, else 0. */
int letters(const arguments *a, int lowercase);
const option *option_at(const verb *v, int i);      /* the verb's options, then the common ones; NULL after the last */
/* "unknown option --x; did you mean --y?" and the exit code. */
int unknown_option(const verb *v, const char *dashes, const char *name, size_t length);
/* "LITHE_WEIGHT_DECAY" */
void option_variable(const option *o, char *name, size_t cap);

#endif
