/* The settings of a run, which stay the same throughout, and its progress, which
 * changes with each step.  trainer.json holds both. */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H

#include "data/objective.h"
#include "train/losses.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { MAX_GROWTHS = 16, SKIPS_IN_A_ROW = 3, MAX_ROLL_BACKS = 3 };
/* Most tokens of a window or samples of a batch; most steps of a run. */
enum { WINDOWS_MAX = 1 << 20, STEPS_MAX = UPDATES_MAX };
#define BETA_MAX 0.9999999
#define TUNING_SHARE 0.1            /* of the learning rate, for a model that was trained already */

/* At a step: one of params and factor, or the text that stands in grow_at from character `what` on: sizes, another
 * architecture, or the path of a larger vocabulary's tokenizer. */
typedef enum { GROW_AMOUNT, GROW_SIZES, GROW_ARCH, GROW_VOCABULARY } growth_kind;
typedef struct { int at; growth_kind kind; double params, factor; size_t what, length; } planned_growth;

typedef struct {
    int ctx, batch, accumulate;
    int bptt;                           /* windows of ctx tokens in a sequence, through all of which gradients flow */
    int eval_every, save_every, eval_windows;
    schedule schedule;
    optimizer_settings optimizer;
    compute_type compute;
    wire_type wire;                  /* of gradients between ranks */
    uint64_t seed;
    bool recompute;
    objective_settings objective;
    double usual_epochs, warmup_share, eval_share, save_share;          /* until the steps are known */
    char *sample, *grow_at, *grow_method, *grow_with;           /* NULL: none */
    char *augment;                              /* of images; NULL: none */
    planned_growth growths[MAX_GROWTHS]; int growth_count;
} settings;

/* Checks o and replaces its zeros by the defaults for the model and the data.  The number of steps comes later, from
 * settings_samples. */
int  settings_resolve(settings *s, const lithe_train_options *o, const lithe_model *m, const lithe_dataset *d, lithe_error *err);
/* Sets the number of steps, given the samples in an epoch; it stays 0 when o gives a budget of seconds. */
int  settings_samples(settings *s, const lithe_train_options *o, uint64_t samples, lithe_error *err);
/* Sets the number of steps and what depends on it: warm-up, evaluations, checkpoints. */
void settings_length(settings *s, const lithe_train_options *o, int steps);
void settings_free(settings *s);
/* What m learns to predict in text. */
text_task settings_task(const settings *s, const lithe_model *m);
/* Read what options and trainer.json hold as text: the names of a schedule and of a type, and grow_at. */
int  settings_kinds(settings *s, const char *schedule_text, const char *type, lithe_error *err);
int  settings_wire(settings *s, const char *name, lithe_error *err);
int  settings_growths(settings *s, lithe_error *err);
/* The options of growth number i; *text, to be freed after their use, holds their strings, or is the path of a larger
 * vocabulary's tokenizer, which they lack. */
int  settings_growth(const settings *s, int i, lithe_grow_options *o, char **text, lithe_error *err);
/* Each larger vocabulary stands in grow_at by the name of its directory in the run from now on. */
int  settings_name_vocabularies(settings *s, lithe_error *err);

typedef struct {
    int step;                        /* steps taken, including skipped ones; it gives the place in the data */
    int skipped, in_a_row;           /* steps without an update: in all, and since the latest update */
    int roll_backs;
    double lr_scale;                 /* halved by each roll-back */
    int grown, grown_at;             /* growths done; the step of the latest, -1 when there is none */
    bool evaluated;                  /* valid_loss belongs to the present weights */
    double valid_loss, bits_per_byte;           /* of the latest evaluation; NaN before the first */
    double best_loss; int best_step;            /* of the checkpoints; NaN and -1 when there is none */
    int good_step;                   /* the newest checkpoint that a roll-back may use, -1: none */
    recent_losses losses;            /* of the steps that changed the weights, since the latest growth */
    double tokens;
    int lines;                       /* written to log.jsonl for this step */
} progress;

extern const progress progress_start;

/* The defaults of a run: the architecture's own or the usual ones, and for labelled data those of fine-tuning. */
const recipe *recipe_find(const arch *a, bool fine_tuning);
/* Its peak learning rate for a model of this width. */
double        recipe_lr(const recipe *r, int width);

/* Refuses a growth after the last step of a run whose length is known, and one that the model m with tokenizer t, after
 * those before it, cannot make. */
int settings_check_growths(const settings *s, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, lithe_error *err);

/* ---- trainer.json ---------------------------------------------------------------------- */

/* Writes DIR/trainer.json: settings, progress, the identity of the data, and the parameter groups of m (NULL: none),
 * which are read when the model is opened. */
int trainer_json_write(const char *dir, const settings *s, const progress *p, const char *data, const lithe_model *m, lithe_error *err);
/* Sets *data to the identity that was written; the caller frees it. */
int trainer_json_read(const char *dir, settings *s, progress *p, char **data, lithe_error *err);


#endif
