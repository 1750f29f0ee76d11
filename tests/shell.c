/* The program under a shell (tests/shell.h). */
#include "shell.h"
#include "test.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

char out[1 << 20], err[1 << 16];

static void read_back(const char *name, char *text, size_t cap)
{
    FILE *f = fopen(in_dir(name), "rb");
    size_t n = f ? fread(text, 1, cap - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
}

/* The options of whoever runs the tests are not ours; how the library is tested is. */
static void forget_variables(void)
{
    char name[64];
    for (char **e = environ; *e; ) {
        size_t n = strcspn(*e, "=");
        bool ours = !strncmp(*e, "LITHE_", 6) && strncmp(*e, "LITHE_CPU=", 10) && strncmp(*e, "LITHE_SHARED=", 13) && n < sizeof name;
        if (!ours) { e++; continue; }
        memcpy(name, *e, n);
        name[n] = 0;
        unsetenv(name);
        e = environ;
    }
    unsetenv("NO_COLOR");
    unsetenv("CLICOLOR_FORCE");
}

int sh(const char *format, ...)
{
    static bool ready;
    char command[8192], line[12000];
    va_list args;
    if (!ready) {
        forget_variables();
        if (access(test_file("build/lithe"), X_OK)) {
            test_fail(__FILE__, __LINE__, "build/lithe is not there: make test builds it");
            fflush(stdout);
            _Exit(1);
        }
        setenv("L", test_file("build/lithe"), 1);
        setenv("ROOT", test_file(""), 1);
        ready = true;
    }
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    snprintf(line, sizeof line, "cd '%s' && { %s\n} > out 2> err < /dev/null", test_dir(), command);
    fflush(stdout);
    int status = system(line);
    read_back("out", out, sizeof out);
    read_back("err", err, sizeof err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void check_transcripts(const transcript *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int code = sh("%s", t[i].command);
        CHECK_MSG(code == t[i].code, "%s: exit code %d, expected %d; %.300s", t[i].command, code, t[i].code, err);
        CHECK_MSG(t[i].out ? strstr(out, t[i].out) != NULL : !*out, "%s: stdout is \"%.300s\"", t[i].command, out);
        CHECK_MSG(t[i].err ? strstr(err, t[i].err) != NULL : !*err, "%s: stderr is \"%.300s\"", t[i].command, err);
    }
}
