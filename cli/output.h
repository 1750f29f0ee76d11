/* The output of the program: data on stdout, everything else on stderr, JSON for
 * machines, and the exit code of a failure. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "lithe_tools.h"
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_RESOURCES = 4, EXIT_DIVERGED = 5, EXIT_MISMATCH = 6 };

/* Prints on stderr, unless --quiet was given. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints "lithe VERB: ..." on stderr, always. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints a line that says on what the result depends, with --quiet too. */
void warn(const char *text);
void output_begin(const char *verb, bool quiet);
/* One of several processes of one command: what all of them would say is said by rank 0 only.  Until its host is
 * known a rank above 0 waits a moment before it complains, in which the launcher ends it if rank 0 complains too; later
 * it says only why it failed.  Rank -1: a process that stands for itself. */
void output_rank(int rank, const char *host);
bool output_leads(void);                                        /* this process speaks for all */
bool output_quiet(void);
/* Calls complain() and returns the exit code of a wrong command line. */
int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the error and returns its exit code.
 *   invalid argument 2 . unreadable, damaged or unfit input, text longer than
 *   the context 3 . out of memory or disk, device 4 . diverged 5 . mismatch 6
 * LITHE_EIO is 3 in failed_input, where a file was read, and 1 in failed_output,
 * where one was written (a full disk is LITHE_ENOMEM). */
int failed_input(const lithe_error *err);
int failed_output(const lithe_error *err);
int exit_code(const lithe_error *err);                          /* what failed_output returns, without a word */

/* Flushes stdout; returns code, or another one if stdout could not take everything.  A reader that
 * closed the pipe (`| head`) is not a failure. */
int output_end(int code);

/* "  0.8732 accuracy  0.8701 F1": the metrics that the task of an evaluation has. */
const char *metrics_text(const lithe_metrics *m, char *text, size_t cap);
const char *figures_text(const lithe_event *e, char *text, size_t cap);     /* with bits per byte */

/* A terminal that understands \r and colours; NO_COLOR, CLICOLOR_FORCE, TERM=dumb. */
bool terminal(FILE *f);
bool coloured(FILE *f);
int  terminal_width(FILE *f);                                   /* COLUMNS, else the terminal's, else 80 */
int  terminal_height(FILE *f);                                  /* LINES, else the terminal's, else 24 */
bool terminal_utf8(void);
int  utf8_length(const char *text, size_t n);                   /* bytes of the sequence at text, 0 when it is none */

/* One JSON document or line, written piece by piece. */
typedef struct { FILE *out; bool comma; } emitter;

emitter emit_begin(FILE *out, const char *schema);              /* {"schema":"lithe.NAME.1" */
void emit_text(emitter *e, const char *key, const char *text);  /* NULL is null; invalid UTF-8 becomes U+FFFD */
void emit_bytes(emitter *e, const char *key, const char *text, size_t n);
void emit_json(emitter *e, const char *key, const char *json);  /* a value that is JSON already; NULL is null */
void emit_number(emitter *e, const char *key, double x);        /* null when not finite */
void emit_count(emitter *e, const char *key, long long n);
void emit_bool(emitter *e, const char *key, bool b);
void emit_metrics(emitter *e, const lithe_metrics *m);          /* those that are not NaN */
void emit_open(emitter *e, const char *key, char bracket);      /* '[' or '{'; key NULL inside an array */
void emit_close(emitter *e, char bracket);
void emit_end(emitter *e);                                      /* }\n and flush */

#endif
