/* The defaults of runs.  Where a paper says how its architecture was trained,
 * its optimizer, schedule, decay and masks are taken; learning rates are those of
 * the small models and batches of one machine, except where the paper's is for
 * such too.
 *
 *   bert         Devlin et al. 2019: Adam 0.9/0.999, decay 0.01, linear to 0; masks counted, 15 %
 *   roberta      Liu et al. 2019: 0.9/0.98; masks drawn anew, each token by itself, 15 %; whole sentences
 *   mosaicbert   Portes et al. 2023: decoupled decay, linear to 2 % of the peak, 30 % masks
 *   modernbert   Warner et al. 2024: warm-up, constant, decay; 30 % masks
 *   vit          from scratch as in He et al. 2022 (which TokenFormer follows): 0.9/0.95, cosine to nearly 0, warm-up 5 %
 *   labels       fine-tuning as MosaicBERT's on GLUE: linear to 0, warm-up 6 % */
#include "train/train.h"
#include <string.h>

#define MASKS(kind, rate) { kind, rate, 0.1, 0.1, false }

static const recipe recipes[] = {
    { "bert", 1e-3, 0, 0.01, SCHEDULE_LINEAR, { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.01, .clip = 1 }, MASKS(MASK_COUNT, 0.15), false },
    { "roberta", 1e-3, 0, 0.06, SCHEDULE_LINEAR, { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1 }, MASKS(MASK_EACH, 0.15), true },
    { "mosaicbert", 5e-4, 0.02, 0.06, SCHEDULE_LINEAR, { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 1e-5, .decoupled = true }, MASKS(MASK_EACH, 0.3), false },
    { "modernbert", 8e-4, 0, 0.02, SCHEDULE_WSD, { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1 }, MASKS(MASK_EACH, 0.3), false },
    { "vit", 1e-3, 0.01, 0.05, SCHEDULE_COSINE, { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05, .clip = 1 }, MASKS(MASK_EACH, 0.15), false },
    { "tokenformer_vit", 1e-3, 0.01, 0.05, SCHEDULE_COSINE, { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05, .clip = 1 }, MASKS(MASK_EACH, 0.15), false },
    { NULL, 1e-3, 0.1, 0.02, SCHEDULE_COSINE, { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1 }, MASKS(MASK_EACH, 0.15), false },
};

static const recipe labels =
    { NULL, 5e-5, 0, 0.06, SCHEDULE_LINEAR, { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 0.01, .clip = 1 }, MASKS(MASK_EACH, 0.15), false };

const recipe *recipe_find(const char *name, bool fine_tuning)
{
    const recipe *r = recipes;
    if (fine_tuning) return &labels;
    while (r->arch && strcmp(r->arch, name)) r++;
    return r;
}
