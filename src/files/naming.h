/* The naming engine: the names, shapes and orders in which published files store
 * the parameters that have one canonical name here.  A format is one table of rules, each a
 * pair of patterns and a form; the same table is used to read and to write.
 *
 *   tensor_file_open -> naming_apply (the table that fits) -> naming_view for each parameter
 *
 * Nothing is copied: a transposed matrix, a part of a tensor and rows in another
 * order are views of the file's bytes. */
#ifndef FILES_NAMING_H
#define FILES_NAMING_H

#include "base/name_pattern.h"
#include "files/tensor_file.h"

/* Dimensions of a tensor of theirs beside ours.  All but the first are read in whatever shape holds the same
 * numbers: without or with dimensions of one, or flat. */
typedef enum {
    SHAPE_OURS,
    SHAPE_ANY,                       /* written as ours */
    SHAPE_FLAT,                      /* written as (n) */
    SHAPE_STACKED,                   /* written as (parts, 1, 1, n), of parts alone */
    SHAPE_HEADS                      /* written as (heads, channels, 1), rwkv.cpp's numbers of each head */
} shape_rule;

/* Their numbers are a function of ours.  Numbers of theirs outside the bounds are refused; `expected` describes
 * valid ones. */
typedef struct value_rule {
    double (*ours)(double theirs), (*theirs)(double ours);
    double least, most;
    const char *expected;
} value_rule;

/* How a tensor of theirs stores one of ours; zero: as we do. */
typedef struct naming_form {
    shape_rule shape;
    bool transposed;                 /* the last two dimensions are swapped */
    bool pairs;                      /* in the rows of a head RoPE pairs are adjacent; ours are half a head apart */
    bool parted;                     /* q, k and v of all heads lie one after the other, as ours do */
    bool rescaled;                   /* divided by 2^(layer / f->rescale); layer: the first number in its name */
    int part, parts;                 /* ours is one of `parts` equal parts along the first dimension */
    /* Of three parts: rows (groups, heads that share a key head, one key head, one value head), part 0: those of q. */
    bool grouped;
    const char *like;                /* it is written in the shape of this tensor of ours; NULL: in its own */
    const value_rule *values;        /* NULL: the same numbers */
} naming_form;

/* The first rule that fits is used.  ours "@" takes a prefix away, then the others are tried on the rest; ours NULL: no
 * parameter, whose absence and presence mean nothing. */
typedef struct { const char *theirs, *ours; naming_form form; } naming_rule;
#define NAMED(theirs, ours) { theirs, ours, { 0 } }       /* the same tensor under another name */

typedef struct naming {
    const char *format;              /* of the files that have these names ("rwkv.cpp"); NULL: any */
    const char *architecture;        /* as GGUF files say it (general.architecture); NULL: any, or they say none */
    const char *mark;                /* pattern of a tensor's name by which a file is recognised; NULL: by the above */
    const naming_rule *rules;        /* ends with a NULL in theirs */
    const struct naming *kept;       /* a directory opened under these names is written under those; NULL: under ours */
    /* config.json by the tensors under our names, a new reference; or NULL */
    json_t *(*config)(const tensor_file *f, lithe_error *err);
} naming;

extern const naming *const namings[];                     /* ends with NULL */

/* The table whose mark f holds, NULL: none, its names are ours; and the one that a file of this format is written
 * by, when `has` says which tensors of ours there are. */
const naming *naming_of_file(const tensor_file *f);
const naming *naming_marked(const char *mark);            /* the table with this mark; NULL: none, or no mark */
const naming *naming_of_architecture(const char *format, const char *architecture);       /* NULL: under our names */
/* Whether a table has our names, and orders of elements alone. */
bool naming_is_ours(const naming *n);
const naming *naming_of_format(const char *format, bool (*has)(const void *context, const char *name), const void *context);

/* Gives the tensors of f our names: t->name; t->stored is the name in the file.  A tensor whose name another one has
 * already keeps its own, and t->copy_of is our name. */
int naming_apply(tensor_file *f, const naming_rule *rules, lithe_error *err);
/* The same for names only; pairs may be NULL. */
int naming_apply_pairs(tensor_file *f, const name_pair *pairs, lithe_error *err);
int naming_apply_file(tensor_file *f, lithe_error *err);    /* by the table that fits, f->names; our own names stay */

/* Whether f has a tensor with this name of ours, or one that the pairs turn into it.  pairs may be NULL. */
bool naming_holds(const tensor_file *f, const name_pair *pairs, const char *ours);

/* A parameter as the equations want it: its sizes, and of an axis of heads how many there are, and of how many parts
 * (q, k and v) published files keep those of each head together: rows (heads, parts, channels) for our (parts,
 * heads, channels). */
typedef struct {
    int rank;
    int64_t dims[MAX_RANK];
    struct { int heads, parts; } axis[MAX_RANK];
} wanted_shape;

/* Makes t, a tensor of theirs, the parameter it holds: its sizes and its order.  False: another shape. */
bool naming_view(file_tensor *t, const wanted_shape *p);

/* The way back.  Their name for one of ours, with the rule for it (NULL: none, the name is the same); the sizes in
 * which theirs is written, all parts together (like: the shape of the parameter that form.like names, or NULL); and
 * that tensor made to ours, so that what is put into it lands where theirs has it. */
const naming_rule *naming_rule_of(const naming_rule *rules, const char *ours, char theirs[PATTERN_BYTES]);
/* The name that form.like gives for ours; false: none. */
bool naming_like(const naming_rule *rule, const char *ours, char like[PATTERN_BYTES]);
void naming_shape(file_tensor *theirs, const naming_form *form, const wanted_shape *p, const wanted_shape *like);
bool naming_target(file_tensor *theirs, const naming_form *form, const wanted_shape *p);

#endif
