/* The program, build/lithe, run as a shell would run it in the test's own
 * directory. */
#ifndef TEST_SHELL_H
#define TEST_SHELL_H

#include <stddef.h>

extern char out[], err[];           /* what the last command wrote */

/* Runs a shell command in the test's directory with $L the program and $ROOT the
 * repository; its exit code. */
int sh(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What must be in them; NULL: nothing at all. */
typedef struct { const char *command; int code; const char *out, *err; } transcript;
void check_transcripts(const transcript *t, size_t n);
#define TRANSCRIPTS(...) do { const transcript list[] = { __VA_ARGS__ }; check_transcripts(list, sizeof list / sizeof *list); } while (0)

/* For a compiler: what is linked with a library that has a sanitizer, or counts its branches, does too. */
#if defined __SANITIZE_ADDRESS__
#define SANITIZE " -fsanitize=address,undefined"
#elif defined __SANITIZE_THREAD__
#define SANITIZE " -fsanitize=thread"
#elif defined LINT_COUNTED_H
#define SANITIZE " --coverage"
#else
#define SANITIZE ""
#endif

#endif
