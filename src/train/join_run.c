/* How other ranks take part in a run.  Rank 0 starts or resumes it as a single process would; then the others resume it
 * from its newest checkpoint, which gives them the same state bit for bit. */
#include "base/file.h"
#include "base/sized.h"
#include "train/encode_ranks.h"
#include "train/trainer.h"
#include <math.h>

lithe_trainer *trainer_join(lithe_ranks *r, const trainer_hooks *hooks, lithe_error *err)
{
    announcement a;
    if (!r) { fail(err, LITHE_EINVAL, "there are no ranks to join"); return NULL; }
    if (ranks_leads(r)) { fail(err, LITHE_EINVAL, "rank 0 opens the run, the others join it"); return NULL; }
    ranks_patience(r, 0, INFINITY);                         /* rank 0 reads the data first */
    if (encode_for_rank_0(r, &a, err)) return NULL;
    ranks_patience(r, 0, 0);
    a.run[sizeof a.run - 1] = 0;
    if (!path_is_dir(a.run)) {
        fail(err, LITHE_EIO, "%s: rank 0 has this run, but this machine does not see it: all need its directory under the same path (NFS or the like)", a.run);
        return NULL;
    }
    return trainer_resume(a.run, &LITHE_OPTIONS(lithe_train_options, .steps = a.steps, .save_every = a.save_every, .ranks = r), hooks, err);
}
