/* What a run is called, and by which command it was made. */
#ifndef CLI_RUN_NAME_H
#define CLI_RUN_NAME_H

#include <stddef.h>

/* `given`, or where that is NULL runs/NAME-N after the first file, N the first that is free. */
void choose_run(const char *given, const char *data, char *out, size_t cap);

/* "lithe" and the words (NULL-terminated) as a shell would take them; malloc'd. */
char *command_text(char **words);

#endif
