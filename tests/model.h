/* Between the files that test the model room. */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "test.h"
#include "values.h"
#include <stdlib.h>

/* The failure with this status whose line holds `part` (and no line break). */
static inline void check_failure(const lithe_error *e, lithe_status status, const char *part)
{
    CHECK_MSG(e->status == status && strstr(e->text, part) && !strchr(e->text, '\n'), "%d \"%s\", expected %d ... %s ...", e->status, e->text, status, part);
}

/* NAME in the test's own directory; several results stay valid at once. */
void        put_text(const char *path, const char *text);
json_t     *get_json(const char *path);

/* A small model of each architecture: its config.json. */
extern const char *const SMALL[];
enum { SMALL_COUNT = 3 };

void test_golden(void), test_round_trip(void), test_narrow(void), test_misfits(void), test_tied_head(void), test_prefixes(void);
void test_places(void), test_llama2c(void), test_runs(void), test_manifest(void), test_save_refusals(void), test_listing(void);
void test_saved_tokenizer(void);

#endif
