/* How a model of a named architecture is called as a hybrid (hybrid_forms.c). */
#ifndef ARCH_HYBRID_FORMS_H
#define ARCH_HYBRID_FORMS_H

#include "arch/arch.h"

/* A name of the model, with "layers.*." before those of its layers, and the hybrid's, where they differ.  ours is the
 * given one of `parts` equal parts of its outputs; transposed: theirs has the other layout; past: theirs is the share
 * of the row before, ours that of the row itself. */
typedef struct { const char *theirs, *ours; int part, parts; bool transposed, past; } named_part;

typedef struct hybrid_form hybrid_form;
bool               is_hybrid(const arch *a);
const hybrid_form *hybrid_form_of(const arch *from);                 /* NULL: a hybrid has no names for its layers */
const char        *hybrid_name(const hybrid_form *f);                /* of the architecture that such a model becomes */
const named_part  *hybrid_parts(const hybrid_form *f);               /* ends with a NULL */
/* The configuration of the hybrid, a new reference.  before: the model's own with every key; inner: its inner size.
 * Fails with the reason where a hybrid has no name for a part. */
json_t *hybrid_config(const hybrid_form *f, const void *config, const json_t *before, int inner, lithe_error *err);

#endif
