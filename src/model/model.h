/* A model: named parameters with an architecture, on disk and in memory. */
#ifndef MODEL_H
#define MODEL_H

#include "lithe_tools.h"
#include "arch/arch.h"
#include "files/naming.h"

/* How an image is prepared for a model: it is resized with PIL's filter of this number, and each channel becomes
 * (sample * factor - mean) / deviation.  known: the values come from a file or from data; else they are the usual
 * ones. */
/* resize: the side, or with `shortest` the shorter side, before the middle of an image is cut out; 0: nothing is cut
 * off. */
typedef struct { bool known, shortest; int filter, resize; double factor, mean[3], deviation[3]; } preprocessor;

struct lithe_model {
    const arch *arch;
    void *config;                  /* arch->config.size bytes */
    task task;                     /* read from the JSON */
    json_t *json;                  /* config.json; unknown keys are kept and written back */
    params *params;
    /* Names in the file it was opened from, with which it is written again; NULL: the published ones. */
    const naming *names;
    preprocessor preprocessor;     /* used by a model that reads images */
    struct param_group *groups; int group_count;       /* (model/groups.h) */
    json_t *generation; /* generation_config.json; NULL: there is none */
    char *path;         /* the directory (of a RUN: its checkpoint) or file it was opened from, NULL for a new model */
    char *tokenizer;    /* path of its tokenizer, NULL when there is none */
    char *notice;       /* damaged checkpoints that were passed over, NULL when there are none */
    char *better;       /* says which checkpoint of the run has a lower validation loss, NULL: none */
};

/* Makes a model whose master values are zero: params_initialize or model_load fills them.  config is borrowed. */
lithe_model *model_create(const arch *a, const json_t *config, const char *what, lithe_error *err);
/* Makes a model whose parameters are declared but have no values: to count them, to check them, or to map a file's
 * (model_map). */
lithe_model *model_declare(const arch *a, const json_t *config, const char *what, lithe_error *err);

/* The architecture that a config.json names, in model_type or else in architectures[0]. */
const arch *config_arch(const json_t *config, const char *what, lithe_error *err);
/* The architecture that the names of f's tensors suggest; NULL when there is none. */
const arch *tensors_arch(const tensor_file *f);
/* Opens a file of tensors and gives them the published names where its format has other ones. */
tensor_file *model_tensors(const char *path, lithe_error *err);
/* The configuration in f itself, or derived from its tensors' shapes (a new reference); NULL: there is none, or an
 * error. */
json_t     *tensors_config(const tensor_file *f, lithe_error *err);
/* Reads a config.json, within limits on its size and depth. */
json_t     *config_read(const char *path, lithe_error *err);
/* The config.json to write (a new reference): m->json with the present value of every field. */
json_t     *model_config(const lithe_model *m, lithe_error *err);
/* The text that json_write writes; the caller frees it; NULL when memory runs out. */

/* Writes the files of a MODEL into dir, which exists.  Saving and checkpoints use it. */
int model_write(const lithe_model *m, const char *dir, dtype type, const lithe_tokenizer *t, lithe_error *err);
/* The tokenizer alone, with the settings by which it is opened beside the model's config.json. */
int model_write_tokenizer(const lithe_model *m, const lithe_tokenizer *t, const char *dir, lithe_error *err);

/* lithe_model_save with files of the caller's: more(context, dir) writes them before the directory appears. */
typedef int more_files(const void *context, const char *dir, lithe_error *err);
int model_save_with(const lithe_model *m, const char *dir, const char *type, const lithe_tokenizer *t, more_files *more, const void *context, lithe_error *err);
/* Makes m->json equal to what opening that directory reads, in the same order of keys, so that a model that was opened
 * and one that was not write the same bytes later. */
int model_adopt_config(lithe_model *m, dtype type, const lithe_tokenizer *t, lithe_error *err);

/* A load plan says which tensor of a file holds each parameter.  `from` has the parameter's shape and order of
 * elements, whatever the file's are: file_tensor_floats and file_tensor_elements read it, and file_tensor_as_is says
 * whether its bytes can be used where they are. */
typedef struct { param *to; file_tensor from; } param_source;
typedef struct { const char *path; int count; param_source *sources; } load_plan;

/* Matches f's tensors with m's parameters, after giving them the architecture's names.  A missing tensor, one too many
 * or one of another shape is an error with its name and the shapes.  May be called before params_close.  The plan
 * borrows from f and from m's parameters. */
int  load_plan_make(load_plan *plan, const lithe_model *m, tensor_file *f, lithe_error *err);
void load_plan_free(load_plan *plan);
/* Copies the values into existing master values. */
int  model_load(const load_plan *plan, lithe_error *err);
/* Gives the parameters stored forms for inference, most of which stay in the plan's file. */
int  model_map(const load_plan *plan, lithe_error *err);
size_t load_plan_bytes(const load_plan *plan);  /* bytes of a mapped model's values, in the file or in its own memory */
wanted_shape param_shape(const param *p);                                          /* for naming.h */

/* The files of a path that names a MODEL, a RUN or a single file.  weights and config are NULL when there are none.  Of
 * a RUN dir is the newest complete checkpoint, run the RUN, notice says which newer one is damaged, better which one
 * has a lower validation loss. */
typedef struct { char *dir, *weights, *config, *run, *notice, *better; } place;
int  place_find(place *p, const char *path, lithe_error *err);
/* Fails for a directory without weights, and names a file in it that could be opened. */
int  place_without_weights(const place *p, lithe_error *err);
void place_free(place *p);
/* A tokenizer's file beside it, which the caller frees; NULL when there is none. */
char *place_tokenizer(const place *p, int vocab);

/* manifest.json of a checkpoint lists every other file in dir, {"files": {NAME: {"bytes": N, "xxh128": HEX}, ...}}, and
 * is written last.  manifest_check compares the size and the hash of each file, of the file `but` (or NULL) only the
 * size; a file is hashed once in a process, and again after it has changed.  A dir without a manifest fails. */
int manifest_write(const char *dir, lithe_error *err);
int manifest_check(const char *dir, const char *but, lithe_error *err);
int manifest_check_if_any(const char *dir, const char *but, lithe_error *err);     /* LITHE_OK without a manifest */
#define MOMENTS_FILE "optimizer.safetensors"                                      /* only training reads it */

/* Does what lithe_model_size does, and lays keys (or NULL) over every configuration. */
char *model_size(const arch *a, double target, int vocab, int context, const json_t *keys, lithe_error *err);

/* Refuses ends of texts that are no ids, in a config.json too. */
int  generation_check_ends(const json_t *json, const char *what, lithe_error *err);
/* Reads generation_config.json in dir, if there is one. */
int  generation_open(lithe_model *m, const char *dir, lithe_error *err);
/* Whether id ends a text: one of the ids that the model's files give, else the tokenizer's end of text; or its begin of
 * text. */
bool model_ends_text(const lithe_model *m, const lithe_tokenizer *t, int32_t id);

/* Names the classes of m, where they have no names yet and n is their number. */
int model_name_labels(lithe_model *m, const char *const *names, int n, lithe_error *err);

/* Read and write preprocessor_config.json in dir, for a model that reads images of this shape; reading gives the usual
 * values where there is no such file. */
preprocessor preprocessor_default(void);
int preprocessor_read(preprocessor *p, const char *dir, image_shape shape, lithe_error *err);
/* The same from its JSON (NULL: usual values), and the way back, a new reference. */
int preprocessor_parse(preprocessor *p, const json_t *json, image_shape shape, const char *what, lithe_error *err);
json_t *preprocessor_json(const preprocessor *p, image_shape shape);
int preprocessor_write(const preprocessor *p, const char *dir, image_shape shape, lithe_error *err);

#endif
