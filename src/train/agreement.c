/* What ranks tell one another about a run: that it is there, what they have, and their shares of the moments. */
#include "base/file.h"
#include "train/encode_ranks.h"
#include "train/trainer.h"

/* Lines of "name value" that are the same in all ranks. */
static void describe(const lithe_trainer *t, char *text, size_t size)
{
    const settings *s = &t->settings;
    const params *p = t->model->params;
    uint64_t weights = hash_bytes(p->values, p->arena_count * sizeof *p->values, 0);
    snprintf(text, size, "version %s\nkernels %s\nstep %d\nsteps %d\nbatch %d\naccumulate %d\nseed %llu\ndata %s\nparameters %zu\nweights %016llx\n",
             lithe_version(), t->kernels->name, t->progress.step, s->schedule.steps, s->batch, s->accumulate, (unsigned long long)s->seed, t->identity,
             params_total(p), (unsigned long long)weights);
}

static int agree(lithe_trainer *t, lithe_error *err)
{
    char text[2048];
    describe(t, text, sizeof text);
    return lithe_ranks_agree(t->ranks, text, err);
}

int trainer_announce(lithe_trainer *t, lithe_error *err)
{
    announcement a = { .kind = RANKS_RUN, .steps = t->settings.schedule.steps, .save_every = t->settings.save_every };
    if (!t->ranks) return LITHE_OK;
    if (ranks_leads(t->ranks)) {
        snprintf(a.run, sizeof a.run, "%s", t->run);
        ranks_alone(t->ranks, false);
        int status = ranks_tell(t->ranks, &a, sizeof a, err);
        if (status) return status;
    }
    return agree(t, err);
}

int trainer_collect(lithe_trainer *t, bool everywhere, lithe_error *err)
{
    const optimizer *o = &t->optimizer;
    size_t n = o->params->arena_count;
    int (*to)(lithe_ranks *r, real *x, size_t count, lithe_error *e) = everywhere ? ranks_spread : ranks_gather;
    int status = failed(err) ? (int)err->status : to(t->ranks, o->m, n, err);
    return status ? status : to(t->ranks, o->v, n, err);
}
