/* The name of a run, and the command that made it. */
#ifndef CLI_RUN_NAME_H
#define CLI_RUN_NAME_H

#include <stddef.h>

/* `given`, or if that is NULL runs/NAME-N with the name of the first file and the first N that is free. */
void choose_run(const char *given, const char *data, char *out, size_t cap);

/* "lithe" and the words (NULL-terminated), quoted for a shell; malloc'd. */
char *command_text(char **words);

#endif
