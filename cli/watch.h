/* Says on stderr what takes long: a line after one second, and again after 2, 4, 8, ... seconds, with how far it is or
 * how much was read from disk meanwhile. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

/* what names the work ("opening model.gguf") and is borrowed until watch_end.  One at a time; a second watch_end does
 * nothing. */
void watch_begin(const char *what);
void watch_end(void);

/* From now on the library's long work of this thread is watched, and a signal that interrupt.h has caught ends it. */
void watch_library(void);
/* No longer: what follows is written whole, after a signal too. */
void unwatch_library(void);

#endif
