/* The loop around a trainer. */
#include "training.h"
#include "interrupt.h"
#include "meter.h"
#include "output.h"
#include "watch.h"
#include <math.h>
#include <string.h>

static int stop_training(lithe_trainer *t, meter *m, const lithe_event *e, lithe_error *err)
{
    int code = interrupted() ? interrupted() : 143;     /* the signal came to another rank */
    meter_close(m);
    if (lithe_trainer_save(t, err)) return failed_output(err);
    say("interrupted at step %d of %d; continue with: lithe train --resume %s", e->step, e->steps, lithe_trainer_model_dir(t));
    return code;
}

static void conclude(lithe_trainer *t, const lithe_event *e, bool json)
{
    const char *run = lithe_trainer_model_dir(t);
    const lithe_model *m = lithe_trainer_model(t);
    const char *task = lithe_model_task(m);
    char figures[160];
    bool labels = task && (!strcmp(task, "classify") || !strcmp(task, "regress"));
    if (isfinite(e->valid_loss)) say("%s: %d steps, validation loss %.4f%s", run, e->step, e->valid_loss, figures_text(e, figures, sizeof figures));
    else say("%s: %d steps", run, e->step);
    const char *input = lithe_model_images(m, NULL, NULL, NULL) ? " IMAGE.png" : lithe_trainer_pairs(t) ? " TEXT --pair TEXT" : " TEXT";
    say("try: lithe %s %s%s", labels ? "classify" : lithe_model_encoder(m) ? "fill" : "generate", run,
        labels ? input : lithe_model_encoder(m) ? " \"a text with [MASK] or <mask> in it\"" : "");
    if (!json) puts(run);
}

/* Whether a signal asks one of the ranks for something. */
static bool any(lithe_ranks *r, int asked, lithe_error *err) { return r ? lithe_ranks_any(r, asked, err) > 0 : asked; }

int train_to_the_end(lithe_trainer *t, lithe_ranks *ranks, const char *dtype, bool json)
{
    lithe_error err = { 0 };
    lithe_event e = { 0 };
    meter m;
    int more = 1;
    bool leads = !ranks || !lithe_ranks_rank(ranks);
    interrupt_catch(false);
    unwatch_library();                                  /* a signal ends the run between two steps */
    meter_open(&m, leads ? meter_choose(json) : METER_NONE, lithe_trainer_model(t), dtype, lithe_ranks_count(ranks));
    while (more > 0 && e.kind != LITHE_FINISHED) {
        if ((more = lithe_trainer_next(t, &e, &err)) < 0) break;
        if (leads) meter_event(&m, &e);
        if (e.kind == LITHE_FINISHED) break;
        if (any(ranks, interrupted() != 0, &err)) return stop_training(t, &m, &e, &err);
        if (any(ranks, checkpoint_wanted(), &err) && lithe_trainer_save(t, &err)) break;
        if (err.status) break;
    }
    meter_close(&m);
    if (!leads && err.status && lithe_ranks_failed_alike(ranks)) return exit_code(&err);      /* rank 0 says it */
    if (err.status || more < 0) return failed_output(&err);
    if (leads) conclude(t, &e, json);
    return EXIT_DONE;
}
