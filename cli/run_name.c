/* Names of runs (run_name.h). */
#include "run_name.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void choose_run(const char *given, const char *data, char *out, size_t cap)
{
    const char *base;
    char name[64];
    struct stat at;
    if (given) { snprintf(out, cap, "%s", given); return; }
    size_t end = strlen(data), n = 0;
    while (end > 1 && data[end - 1] == '/') end--;
    for (base = data + end; base > data && base[-1] != '/'; base--) { }
    for (; base < data + end && *base && *base != '.' && n < sizeof name - 1; base++)
        name[n++] = strchr("/ \t\n\\'\"$`*?", *base) ? '_' : *base;
    name[n] = 0;
    for (int i = 1; i < 100000; i++) {
        snprintf(out, cap, "runs/%s-%d", !n || !strcmp(data, "-") ? "run" : name, i);
        if (lstat(out, &at)) return;
    }
}

char *command_text(char **words)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    fputs("lithe", f);
    for (char **word = words; *word; word++) {
        bool plain = **word && !strpbrk(*word, " \t\n\\'\"$`*?[](){}<>|&;#~!");
        fputs(plain ? " " : " '", f);
        for (const char *p = *word; *p; p++) {
            if (!plain && *p == '\'') fputs("'\\''", f);
            else fputc(*p, f);
        }
        if (!plain) fputc('\'', f);
    }
    fclose(f);
    return text;
}
