/* The language of chat templates: Jinja as transformers sets it (blocks trimmed, strict sandbox), without what no
 * published template uses.  A template is parsed once and rendered any number of times, by any number of threads.
 *
 * Known: comments, raw, for (with else, filter, break, continue, loop.*), if, set (also of several names, of a
 * namespace's fields, and as a block), macro, generation; all expressions; the filters, tests, methods and functions
 * of jinja_filters.c and jinja_methods.c.  What is not known is refused by its name and line when it is parsed. */
#ifndef TEXT_JINJA_H
#define TEXT_JINJA_H

#include "text/jinja_value.h"

typedef struct jinja jinja;                  /* a parsed template */

jinja *jinja_parse(const char *source, size_t n, const char *name, lithe_error *err);
void   jinja_free(jinja *t);
/* Whether it goes through the parts of a message's content, where that is a list. */
bool   jinja_reads_parts(const jinja *t);

/* A machine with these budgets for one rendering; machine_close releases the values that it made. */
machine machine_open(const jinja *t, size_t bytes, size_t work, lithe_error *err);
void    machine_close(machine *m);
/* The text that the template makes of the variables, in the machine's arena. */
marked_text jinja_render(const jinja *t, machine *m, const value_dict *variables);

#endif
