/* The test runner's side of a test file: one list per file, named in main.c.
 * Each test runs in a process of its own, so a crash is a failure and nothing more. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct { const char *name; void (*run)(void); } test;     /* a list ends with {0} */

/* A failed check prints where and what, and the test goes on; it counts once. */
#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition))
/* The same with a message that holds the numbers. */
#define CHECK_MSG(condition, ...) ((condition) ? (void)0 : (test_fail(__FILE__, __LINE__, #condition), test_say(__VA_ARGS__)))
void test_fail(const char *file, int line, const char *what);
void test_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test as skipped, with the reason. */
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ../shared/data/NAME, or $LITHE_SHARED/data/NAME; skips the test by name when it is absent. */
const char *test_data(const char *name);
/* A file of this repository, found from any working directory (tests/...). */
const char *test_file(const char *name);
/* An empty directory of this test's own, removed at its end. */
const char *test_dir(void);
/* NAME in that directory; the last eight stay. */
const char *in_dir(const char *name);

/* ||a - b|| / ||b|| in double; CHECK fails above tolerance and prints it. */
double relative_error(const float *a, const float *b, size_t n);
double max_difference(const float *a, const float *b, size_t n);

#endif
