/* The parts of the list in encoders.c that stand in encoders_files.c. */
#ifndef TEST_ENCODERS_H
#define TEST_ENCODERS_H

#include <jansson.h>

/* The config.json of a golden model with one key changed (value is taken over), as a file of this test's. */
const char *changed_config(const char *name, const char *key, json_t *value);

void encoders_published_sizes(void);
void encoders_names(void);
void encoders_refused(void);
void encoders_initial_values(void);
void encoders_several_labels(void);
void encoders_grow(void);

#endif
