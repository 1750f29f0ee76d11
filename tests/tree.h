/* The files of this repository, and the symbols of what was built of them, for
 * the tests that read the project itself. */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include "base/file.h"

enum { MOST_FILES = 2000 };
typedef struct { char *path[MOST_FILES]; int count; } tree;

/* Adds every file below dir whose name has one of the endings (".c .h"; "": any), except in folders called `without`
 * (NULL: none). */
void  tree_walk(tree *t, const char *dir, const char *endings, const char *without);
void  tree_leave(tree *t);
/* A file of the repository as text, to be freed; the test ends as failed when it cannot be read. */
char *tree_text(const char *path);
/* All of them, one after another. */
char *tree_texts(const tree *t);
/* Turns comments of C into blanks. */
void  blank_comments(char *text);
/* The first place where word stands in text by itself, between characters that no identifier holds; NULL when there is
 * none. */
const char *find_word(const char *text, const char *word);

/* Symbols of ELF files: those they define for others, and those they ask of others.  where: as the caller called the
 * file. */
typedef struct { const char *name, *where; } symbol;
typedef struct { symbol *given, *asked; size_t givens, askeds; } symbols;

/* Adds those of an object, or the dynamic ones of a library; false where the file is not ELF of 64 bits.  Names and
 * `where` stay. */
bool symbols_add(symbols *s, const char *path, const char *where);
void symbols_sort(symbols *s);
const symbol *symbols_given(const symbols *s, const char *name);        /* NULL when nobody defines it; sorted before */
bool symbols_asked(const symbols *s, const char *name);
void symbols_leave(symbols *s);

#endif
