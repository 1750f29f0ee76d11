/* "did you mean": of several names the one nearest to the typed word. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

enum { SUGGESTED_MOST = 64 };

/* Feed names one by one; best is "" while none is near enough. */
typedef struct { const char *word; char best[SUGGESTED_MOST + 1]; int distance; } suggestion;

void suggest_begin(suggestion *s, const char *word);
void suggest_offer(suggestion *s, const char *name);
/* Offers each of the names in a list. */
void suggest_list(suggestion *s, const char *names, char separator);
/* Offers `name` for each of the comma-separated words in `also`. */
void suggest_also(suggestion *s, const char *name, const char *also);

/* "; did you mean NAME?", or "" */
typedef struct { char text[4 * SUGGESTED_MOST]; } question;
question did_you_mean(const suggestion *s);
/* The same for a name of a library's list, which ends with NULL. */
question meant_of(const char *word, const char *(*name)(int i));
question meant_or(question q);         /* ";" where there is none, before a sentence that goes on */
/* Complains of a name that is none of a method of growing. */
bool unknown_method(const char *name);
/* The same for a file that does not exist, of those in its directory. */
question meant_file(const char *path);

#endif
