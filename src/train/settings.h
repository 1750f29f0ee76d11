/* What the options of a run come to, which is constant over it, and where it
 * stands, which changes with each step.  trainer.json holds both. */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H

#include "data/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"

enum { MAX_GROWTHS = 16, SKIPS_IN_A_ROW = 3, MAX_ROLL_BACKS = 3 };
enum { WINDOWS_MAX = 1 << 20, STEPS_MAX = UPDATES_MAX };        /* of a context, a batch; of a run */
#define BETA_MAX 0.9999999

typedef struct { int at; double params, factor; } planned_growth;   /* one of params and factor is 0 */

typedef struct {
    int ctx, batch, accumulate;
    int bptt;                                   /* windows of ctx tokens in a sequence, through which gradients go; 1 */
    int eval_every, save_every, eval_windows;
    schedule schedule;
    adamw_settings adamw;
    compute_type compute;
    uint64_t seed;
    bool recompute;
    objective_settings objective;
    double usual_epochs, warmup_share;          /* of the defaults: not kept */
    char *sample, *grow_at, *grow_method;       /* NULL: none */
    char *augment;                              /* of images; NULL: none */
    planned_growth growths[MAX_GROWTHS]; int growth_count;
} settings;

/* Checks o and puts the model's and the data's defaults where it holds zero.  How long the run is hangs on the samples of
 * an epoch: settings_samples. */
int  settings_resolve(settings *s, const lithe_train_options *o, const lithe_model *m, const lithe_dataset *d, lithe_error *err);
int  settings_samples(settings *s, const lithe_train_options *o, uint64_t samples, lithe_error *err);   /* steps stay 0 when o gives a budget of seconds */
void settings_length(settings *s, const lithe_train_options *o, int steps);     /* what hangs on it: warm-up, evaluations, checkpoints */
void settings_free(settings *s);
/* What m learns of text. */
text_task settings_task(const settings *s, const lithe_model *m);
/* What stands as text: a schedule's and a type's names, and grow_at. */
int  settings_kinds(settings *s, const char *schedule_text, const char *type, lithe_error *err);
int  settings_growths(settings *s, lithe_error *err);

typedef struct {
    int step;                        /* taken, those skipped among them: the place in the data */
    int skipped, in_a_row;           /* steps without an update: all, and at the end */
    int roll_backs;
    double lr_scale;                 /* halved by each roll-back */
    int grown, grown_at;             /* growths done; the step of the latest, -1 before */
    bool evaluated;                  /* valid_loss is of the weights as they are */
    double valid_loss, bits_per_byte;           /* of the latest evaluation, NaN before */
    double best_loss; int best_step;            /* of the checkpoints; NaN and -1 before */
    int good_step;                   /* newest checkpoint that a roll-back may take, -1: none */
    double tokens;
    int lines;                       /* of log.jsonl about this step */
} progress;

extern const progress progress_start;

/* The defaults of a run: the architecture's own, or the usual ones; for labelled data those of fine-tuning. */
const recipe *recipe_find(const arch *a, bool fine_tuning);

/* ---- trainer.json ---------------------------------------------------------------------- */

/* DIR/trainer.json: settings, progress, the identity of the data, and the parameter groups of m (NULL: none), which
 * opening the model reads. */
int trainer_json_write(const char *dir, const settings *s, const progress *p, const char *data, const lithe_model *m, lithe_error *err);
/* data: what trainer_json_write was given, to be freed. */
int trainer_json_read(const char *dir, settings *s, progress *p, char **data, lithe_error *err);


#endif
