/* A named set of values with an architecture: on disk and in memory. */
#ifndef MODEL_H
#define MODEL_H

#include "lithe_tools.h"
#include "arch/arch.h"
#include "files/naming.h"

/* What is done to a picture before a model reads it: resized with PIL's filter of this number, then
 * (sample * factor - mean) / deviation by channel.  known: read from a file, or taken from data; else usual values. */
typedef struct { bool known; int filter; double factor, mean[3], deviation[3]; } preprocessor;

struct lithe_model {
    const arch *arch;
    void *config;                  /* arch->config.size bytes */
    task task;                     /* as the JSON tells it */
    json_t *json;                  /* config.json, unknown keys kept and written back */
    params *params;
    const naming *names;           /* those of the file it was opened from, under which it is written again; NULL: ours */
    preprocessor preprocessor;     /* of a model that reads images */
    struct param_group *groups; int group_count;       /* rows that train by rules of their own (model/groups.h) */
    char *path;                    /* the directory (of a RUN: its checkpoint) or lone file it was opened from, NULL for a fresh one */
    char *tokenizer;               /* path of its tokenizer, NULL when there is none */
};

/* config is borrowed.  Master values, zero: params_initialize or loading fills them. */
lithe_model *model_create(const arch *a, const json_t *config, const char *what, lithe_error *err);
/* The same with the parameters declared only, without values: for counting and checking, or to be given those of a file. */
lithe_model *model_declare(const arch *a, const json_t *config, const char *what, lithe_error *err);

/* The architecture a config.json asks for: model_type, else architectures[0]. */
const arch *config_arch(const json_t *config, const char *what, lithe_error *err);
/* The architecture whose embedding f holds, a guess for messages; NULL when there is none. */
const arch *tensors_arch(const tensor_file *f);
/* Opens a file of tensors as a model's: what another format calls otherwise has our names. */
tensor_file *model_tensors(const char *path, lithe_error *err);
/* What f says of its architecture, or its tensors tell (a new reference); NULL: nothing, or an error. */
json_t     *tensors_config(const tensor_file *f, lithe_error *err);
json_t     *config_read(const char *path, lithe_error *err);            /* a config.json, with the limits of one */
/* config.json as it is written (a new reference): m->json with every field's present value. */
json_t     *model_config(const lithe_model *m, lithe_error *err);
char       *json_text(const json_t *value);                             /* as json_write writes it; malloc'd, NULL when memory is out */

/* A MODEL directory as it will stand: writes into dir, which exists.  Used by save and by checkpoints. */
int model_write(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err);
/* m->json becomes what one who opens that directory reads, the order of its keys included: what is written from it later is
 * the same bytes as what is written after opening. */
int model_adopt_config(lithe_model *m, dtype type, const lithe_tokenizer *t, lithe_error *err);

/* Which tensor of a file holds each parameter.  `from` has the parameter's shape and order of elements, whatever the file's:
 * file_tensor_floats and file_tensor_elements read it, file_tensor_as_is says whether its bytes can be used where they lie. */
typedef struct { param *to; file_tensor from; } param_source;
typedef struct { const char *path; int count; param_source *sources; } load_plan;

/* A missing, left-over or misshapen tensor is an error with its name and both shapes.  f's tensors get the names of the
 * architecture.  Also before params_close.  The plan borrows from f and from m's parameters. */
int  load_plan_make(load_plan *plan, const lithe_model *m, tensor_file *f, lithe_error *err);
void load_plan_free(load_plan *plan);
/* The values, into master values that are there; or, for inference, into stored forms, most of which lie in the plan's file. */
int  model_load(const load_plan *plan, lithe_error *err);
int  model_map(const load_plan *plan, lithe_error *err);
size_t load_plan_bytes(const load_plan *plan);                                    /* what a model then holds, mapped or in memory of its own */
wanted_shape param_shape(const param *p);                                          /* for naming.h */

/* What a path that names a MODEL, a RUN or a lone file stands for.  weights and config are NULL when there are none. */
typedef struct { char *dir, *weights, *config; } place;
int  place_find(place *p, const char *path, lithe_error *err);
void place_free(place *p);
char *place_tokenizer(const place *p, int vocab);       /* a standard name beside it (malloc'd), NULL when there is none */

/* manifest.json of a checkpoint: {"files": {NAME: {"bytes": N, "xxh128": HEX}, ...}} of every other file in dir, written last.
 * manifest_check compares sizes, and with contents the hashes too; a dir without one fails. */
int manifest_write(const char *dir, lithe_error *err);
int manifest_check(const char *dir, bool contents, lithe_error *err);

/* lithe_model_size with keys that every configuration gets; keys may be NULL. */
char *model_size(const arch *a, double wish, int vocab, int context, const json_t *keys, lithe_error *err);

/* Gives the classes of m names, where it has none and as many of them. */
int model_name_labels(lithe_model *m, const char *const *names, int n, lithe_error *err);

/* preprocessor_config.json in dir, of a model that reads images of this shape; usual values where there is none. */
preprocessor preprocessor_default(void);
int preprocessor_read(preprocessor *p, const char *dir, image_shape shape, lithe_error *err);
int preprocessor_write(const preprocessor *p, const char *dir, image_shape shape, lithe_error *err);

#endif
