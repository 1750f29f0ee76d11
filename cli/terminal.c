#include "terminal.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 4096 };

/* Bytes of a sequence of the program's own: a colour, or clearing the line that a progress bar is painted on. */
static size_t own_sequence(const char *text, size_t n)
{
    size_t i = 2;
    if (n < 3 || text[0] != '\033' || text[1] != '[') return 0;
    while (i < n && (isdigit((unsigned char)text[i]) || text[i] == ';')) i++;
    return i < n && (text[i] == 'm' || text[i] == 'K') ? i + 1 : 0;
}

/* Bytes of a control character, of C0 or, in UTF-8, of C1; 0: something else. */
static size_t control(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    if (c == 0xc2 && n > 1 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0) return 2;
    return (c < ' ' && c != '\n' && c != '\t' && c != '\r') || c == 127;
}

static int put_all(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno != EINTR) return -1;
        if (done > 0) { text += done; n -= (size_t)done; }
    }
    return 0;
}

static ssize_t put_clean(void *cookie, const char *text, size_t n)
{
    char clean[PIECE];
    size_t used = 0;
    const int fd = *(const int *)cookie;
    for (size_t i = 0; i < n;) {
        size_t own = own_sequence(text + i, n - i), bad = own ? 0 : control(text + i, n - i), take = own ? own : bad ? bad : 1;
        if (used + (own ? own : 1) > sizeof clean) {
            if (put_all(fd, clean, used)) return 0;
            used = 0;
        }
        if (own > sizeof clean) { own = 0; bad = take; }
        if (own) memcpy(clean + used, text + i, own);
        else clean[used] = bad ? '?' : text[i];
        used += own ? own : 1;
        i += take;
    }
    return put_all(fd, clean, used) ? 0 : (ssize_t)n;
}

static void filter(FILE **stream, const int *fd, int mode)
{
    static const cookie_io_functions_t functions = { .write = put_clean };
    FILE *clean = isatty(*fd) ? fopencookie((void *)(unsigned long)fd, "w", functions) : NULL;
    if (!clean) return;
    setvbuf(clean, NULL, mode, PIECE);
    *stream = clean;
}

static const int out = STDOUT_FILENO, err = STDERR_FILENO;

void terminal_begin(void)
{
    filter(&stdout, &out, _IOLBF);
    filter(&stderr, &err, _IOLBF);
}

void put_foreign(FILE *f, const char *text, size_t n)
{
    if (!isatty(stream_fd(f))) fwrite(text, 1, n, f);
    else for (size_t i = 0; i < n; i++) fputc(strchr("\033\r\b", text[i]) && text[i] ? '?' : text[i], f);
}

void terminal_clear(FILE *f)
{
    static const char home[] = "\033[H\033[J";
    fflush(f);
    if (isatty(stream_fd(f))) put_all(stream_fd(f), home, sizeof home - 1);
}

int stream_fd(FILE *f) { return f == stdin ? STDIN_FILENO : f == stdout ? out : err; }
