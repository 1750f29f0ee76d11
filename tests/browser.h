/* A Chromium without a window, for tests of pages. */
#ifndef TEST_BROWSER_H
#define TEST_BROWSER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum { DESKTOP = 1280, PHONE = 390 };

typedef struct { pid_t pid; FILE *log; } chromium;

/* The program; skips the test where there is none. */
const char *browser(void);
/* Opens a page in a frame of this size (its windows are not as narrow as phones), for people who like light or dark
 * screens; option: one more option.  url: of a file in in_dir() its name.  Its process group is its own. */
chromium    chromium_open(const char *program, int width, int height, bool light, const char *option, const char *url);
/* The next line of its log that has the words, within some minutes, in `line`; false if there is none. */
bool        chromium_says(chromium *c, const char *text, char line[4000]);
void        chromium_close(chromium *c);

/* The image shows a page: it has this width, letters with soft edges have many levels of grey, and most of it is light
 * or dark as the theme says. */
void        check_image(const char *path, int width, bool light);

#endif
