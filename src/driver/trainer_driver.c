/* The public trainer.  Training does not know inference, so the hooks that need it
 * are given to the trainer here. */
#include "train/trainer.h"
#include <string.h>

enum { SAMPLE_TOKENS = 96, PROMPT_TOKENS = 512 };

static int sample_text(lithe_model *m, const lithe_tokenizer *t, const char *prompt, uint64_t seed, text_sink *give, void *context, lithe_error *err)
{
    const char *reason;
    int32_t ids[PROMPT_TOKENS];
    size_t n = lithe_encode(t, prompt, strlen(prompt), 0, ids, PROMPT_TOKENS);
    if (n > PROMPT_TOKENS) n = PROMPT_TOKENS;
    if (!n && lithe_tokenizer_eos(t) >= 0) ids[n++] = lithe_tokenizer_eos(t);
    if (!n) return LITHE_OK;
    const lithe_generation how = { .size = sizeof how, .max_tokens = SAMPLE_TOKENS,
                                   .sampling = &LITHE_OPTIONS(lithe_sampling, .temperature = 0.8f, .top_p = 0.95f, .seed = seed) };
    lithe_session *s = lithe_session_open(m, 0, err);
    int status = lithe_generate(s, t, ids, n, &how, give, context, &reason, err);
    lithe_session_close(s);
    return status < 0 ? status : LITHE_OK;
}

static const trainer_hooks hooks = { .sample = sample_text };

lithe_trainer *lithe_trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t, const lithe_train_options *o, const char *run, lithe_error *err)
{
    return trainer_open(m, d, t, o, run, &hooks, err);
}

lithe_trainer *lithe_trainer_join(lithe_ranks *r, lithe_error *err) { return trainer_join(r, &hooks, err); }

lithe_trainer *lithe_trainer_resume(const char *run, const lithe_train_options *o, lithe_error *err) { return trainer_resume(run, o, &hooks, err); }
