/* Sessions; the sampler, text that streams, states and scores have files of their own. */
#include "infer/infer.h"
#include "infer_tests.h"
#include "small.h"
#include "test.h"
#include <stdlib.h>

/* ---- sessions ------------------------------------------------------------------------ */

static lithe_model *small_model_of(const char *name, const char *config, uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, seed, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.3, seed);
    return m;
}

static bool stands_after(lithe_session *s, lithe_model *m, const int32_t *ids, size_t n)
{
    lithe_error err = { 0 };
    size_t vocab = (size_t)lithe_model_vocab(m);
    float *all = malloc(n * vocab * sizeof *all);
    bool same = !lithe_logits(m, ids, n, all, &err) && lithe_session_length(s) == n && lithe_session_logits(s)
             && max_difference(lithe_session_logits(s), all + (n - 1) * vocab, vocab) < 1e-5;
    free(all);
    return same;
}

static void sync_and_push(void)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6, 7, 8 }, b[] = { 1, 2, 3, 9, 9 }, c[] = { 7, 2, 3 };
    static const char *const configs[][2] = { { "gpt2", SMALL_GPT2 }, { "llama", SMALL_LLAMA }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") }, { "rwkv4", SMALL_RWKV4 }, { "rwkv6", SMALL_RWKV6 }, { "rwkv7", SMALL_RWKV7 } };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        lithe_error err = { 0 };
        lithe_model *m = small_model_of(configs[i][0], configs[i][1], 3);
        lithe_session *s = lithe_session_open(m, 0, &err);
        CHECK(lithe_session_length(s) == 0 && !lithe_session_logits(s) && lithe_session_sample(s, &LITHE_OPTIONS(lithe_sampling), NULL) == -1);
        CHECK(!lithe_session_sync(s, a, 5, &err) && stands_after(s, m, a, 5));
        CHECK(!lithe_session_sync(s, a, 8, &err) && stands_after(s, m, a, 8));      /* longer */
        CHECK(!lithe_session_sync(s, a, 8, &err) && stands_after(s, m, a, 8));      /* the same */
        CHECK(!lithe_session_sync(s, a, 3, &err) && stands_after(s, m, a, 3));      /* shorter */
        CHECK(!lithe_session_sync(s, b, 5, &err) && stands_after(s, m, b, 5));      /* different from the fourth on */
        CHECK(!lithe_session_sync(s, c, 3, &err) && stands_after(s, m, c, 3));      /* from the first */
        CHECK(!lithe_session_sync(s, NULL, 0, &err) && lithe_session_length(s) == 0);
        CHECK(!lithe_session_logits(s) && lithe_session_sample(s, &LITHE_OPTIONS(lithe_sampling), NULL) == -1);
        for (size_t n = 0; n < 8; n++) CHECK(!lithe_session_push(s, a[n], &err) && stands_after(s, m, a, n + 1));
        CHECK(!lithe_session_sync(s, a, 6, &err) && !lithe_session_push(s, 7, &err) && stands_after(s, m, a, 7));
        CHECK_MSG(!err.status, "%s", err.text);
        lithe_session_close(s);
        lithe_model_close(m);
    }
}

/* What was read is not read again: parameters changed in between show in new positions only. */
static void a_known_prefix_is_kept(void)
{
    static const int32_t a[] = { 1, 2, 3, 4, 5, 6 };
    lithe_error err = { 0 };
    lithe_model *m = small_model_of("gpt2", SMALL_GPT2, 3);
    lithe_session *kept = lithe_session_open(m, 0, &err), *fresh = lithe_session_open(m, 0, &err);
    CHECK(!lithe_session_sync(kept, a, 5, &err));
    for (size_t i = 0; i < m->params->arena_count; i++) m->params->values[i] *= (real)1.1;
    params_edit(m->params);
    CHECK(!lithe_session_sync(kept, a, 6, &err) && !lithe_session_sync(fresh, a, 6, &err));
    CHECK(max_difference(lithe_session_logits(kept), lithe_session_logits(fresh), 23) > 1e-3);
    CHECK(!lithe_session_sync(kept, a + 1, 1, &err) && !lithe_session_sync(kept, a, 6, &err));
    CHECK(max_difference(lithe_session_logits(kept), lithe_session_logits(fresh), 23) < 1e-5);
    lithe_session_close(kept);
    lithe_session_close(fresh);
    lithe_model_close(m);
}

static void sessions_refuse(void)
{
    int32_t ids[30] = { 1, 2, 3 };
    lithe_error err = { 0 };
    lithe_model *m = small_model_of("llama", SMALL_LLAMA, 3);
    lithe_session *s = lithe_session_open(m, 10, &err);
    CHECK(!lithe_session_sync(s, ids, 3, &err));

    CHECK(lithe_session_sync(s, ids, 11, &err) == LITHE_EFULL);
    CHECK_MSG(strstr(err.text, "11") && strstr(err.text, "10") && !strchr(err.text, '\n'), "%s", err.text);
    CHECK(lithe_session_push(s, 4, &err) == LITHE_EFULL && lithe_session_length(s) == 3);      /* the failure sticks */
    err = (lithe_error){ 0 };
    CHECK(stands_after(s, m, ids, 3));

    int32_t bad[] = { 1, 2, 23 };
    CHECK(lithe_session_sync(s, bad, 3, &err) == LITHE_EINVAL && strstr(err.text, "token 23 at place 2") && strstr(err.text, "23"));
    err = (lithe_error){ 0 };
    CHECK(lithe_session_push(s, -1, &err) == LITHE_EINVAL && strstr(err.text, "token -1"));
    err = (lithe_error){ 0 };
    CHECK(stands_after(s, m, ids, 3));

    CHECK(!lithe_session_sync(s, ids, 10, &err) && stands_after(s, m, ids, 10));
    CHECK(lithe_session_push(s, 1, &err) == LITHE_EFULL && strstr(err.text, "10") && lithe_session_length(s) == 10);
    err = (lithe_error){ 0 };
    CHECK(lithe_session_push(s, 1, NULL) == LITHE_EFULL && stands_after(s, m, ids, 10));

    CHECK(!lithe_session_open(m, 25, &err) && err.status == LITHE_EINVAL && strstr(err.text, "25") && strstr(err.text, "24"));
    CHECK(!lithe_session_open(m, 0, &err) && strstr(err.text, "25"));                           /* the failure sticks */
    CHECK(!lithe_session_open(NULL, 0, NULL) && lithe_session_sync(NULL, ids, 1, NULL) && lithe_session_push(NULL, 1, NULL));
    CHECK(!lithe_session_length(NULL) && !lithe_session_logits(NULL) && lithe_session_sample(NULL, &LITHE_OPTIONS(lithe_sampling), NULL) == -1);
    lithe_session_close(NULL);
    lithe_session_close(s);
    lithe_model_close(m);
}

const test tests_infer[] = {
    { "infer: sync and push", sync_and_push },
    { "infer: a known prefix is kept", a_known_prefix_is_kept },
    { "infer: sessions refuse", sessions_refuse },
    { "infer: sessions without end", sessions_without_end },
    { "infer: endless prefixes are kept", endless_prefixes_are_kept },
    { "infer: states on disk", states_on_disk },
    { "infer: states of other models", states_of_others },
    { "infer: states to begin from", states_to_begin_from },
    { "infer: states to begin from, refused", states_to_begin_from_refused },
    { "infer: states that lie", states_that_lie },
    { "infer: states damaged", states_damaged },
    { "infer: what may be shown", what_may_be_shown },
    { "infer: text streams in whole characters", text_streams },
    { "infer: ids become text", ids_become_text },
    { "infer: stop strings", stop_strings },
    { "infer: ends of text", ends_of_text },
    { "infer: ends of text that the files give", ends_by_files },
    { "infer: sampling that the files give", sampling_by_files },
    { "infer: scores in windows", scores_in_windows },
    { "infer: scoring refuses", scoring_refuses },
    { "infer: sliding windows", sliding_windows },
    { "infer: two models compared", two_models_compared },
    { "infer: logits in a file", logits_in_a_file },
    { 0 }
};
