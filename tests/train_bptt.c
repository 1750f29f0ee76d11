/* Training through windows of a text: the gradient of N windows of C tokens is that
 * of one window of N C tokens, a run is the same run however it is split or stopped,
 * and what lies further back than a window is learned so and not otherwise. */
#include "base/random.h"
#include "base/writer.h"
#include "base/threads.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

static const struct { const char *arch, *config; } recurrent[] = {
    { "rwkv4", "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64}" },
    { "rwkv5", "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64,\"head_size\":16}" },
    { "rwkv6", "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64,\"head_size\":16}" },
    { "rwkv7", "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64,\"head_dim\":16}" },
};
enum { RECURRENT = sizeof recurrent / sizeof *recurrent };

static lithe_train_options windows(int ctx, int count)
{
    return LITHE_OPTIONS(lithe_train_options, .ctx = ctx, .bptt = count, .batch = 4, .steps = 6, .lr = 3e-3, .eval_every = 3, .save_every = 3, .seed = 5);
}

/* ---- the same as without windows ------------------------------------------------------------- */

static void windows_are_the_whole(void)
{
    for (int i = 0; i < RECURRENT; i++) {
        lithe_train_options whole = windows(48, 0), parts = windows(12, 4);
        fixture a = begin_as(recurrent[i].arch, "whole", recurrent[i].config, &whole), b = begin_as(recurrent[i].arch, "parts", recurrent[i].config, &parts);
        lithe_event x = { 0 }, y = { 0 };
        while (lithe_trainer_next(a.trainer, &x, &a.err) > 0 && lithe_trainer_next(b.trainer, &y, &b.err) > 0) {
            CHECK_MSG(x.kind == y.kind && x.step == y.step && x.tokens == y.tokens, "%s: %d, %d at %d, %d", recurrent[i].arch, x.kind, y.kind, x.step, y.step);
            if (x.kind == LITHE_STEPPED)
                CHECK_MSG(fabs(x.loss - y.loss) < 1e-5 && fabs(x.grad_norm - y.grad_norm) < 1e-4 * x.grad_norm, "%s: %.9g and %.9g, norms %.9g and %.9g", recurrent[i].arch, x.loss, y.loss, x.grad_norm, y.grad_norm);
            if (x.kind == LITHE_EVALUATED) CHECK_MSG(fabs(x.valid_loss - y.valid_loss) < 1e-5, "%s: %.9g and %.9g", recurrent[i].arch, x.valid_loss, y.valid_loss);
        }
        CHECK_MSG(!a.err.status && !b.err.status && y.step == 6, "%s%s", a.err.text, b.err.text);
        close_fixture(&a);
        close_fixture(&b);
        CHECK(!dir_remove(in_dir("whole"), NULL) && !dir_remove(in_dir("parts"), NULL));
        CHECK(!dir_remove(in_dir("whole.data"), NULL) && !dir_remove(in_dir("parts.data"), NULL));
    }
}

/* ---- the same run ----------------------------------------------------------------------------- */

static void run_of(const char *name, const lithe_train_options *o, int stop)
{
    fixture f = begin_as(recurrent[3].arch, name, recurrent[3].config, o);
    lithe_event e = { 0 };
    while (!(stop && e.step == stop) && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    if (stop) CHECK(!lithe_trainer_save(f.trainer, &f.err));
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
}

static void is_the_same_run(void)
{
    const lithe_train_options o = windows(12, 4);
    lithe_threads(1);
    run_of("one", &o, 0);
    lithe_threads(3);
    run_of("three", &o, 0);
    run_of("stopped", &o, 4);
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(in_dir("stopped"), NULL, &err);
    CHECK_MSG(t && t->settings.bptt == 4, "%s", err.text);
    run_out(t, &err);
    lithe_trainer_close(t);
    CHECK(same_checkpoint(in_dir("one"), in_dir("three"), 6) && same_checkpoint(in_dir("one"), in_dir("stopped"), 6));
}

static void accumulates(void)
{
    lithe_train_options o = windows(12, 4);
    fixture a = begin_as("rwkv6", "whole", recurrent[2].config, &o);
    o.accumulate = 3;                                        /* parts of 1, 1 and 2 sequences */
    fixture b = begin_as("rwkv6", "parts", recurrent[2].config, &o);
    lithe_event x = { 0 }, y = { 0 };
    while (lithe_trainer_next(a.trainer, &x, &a.err) > 0 && lithe_trainer_next(b.trainer, &y, &b.err) > 0)
        if (x.kind == LITHE_STEPPED) CHECK_MSG(fabs(x.loss - y.loss) < 1e-5 && fabs(x.grad_norm - y.grad_norm) < 1e-4 * x.grad_norm, "%.9g and %.9g", x.loss, y.loss);
    CHECK(!a.err.status && !b.err.status && x.kind == LITHE_FINISHED);
    close_fixture(&a);
    close_fixture(&b);
}

static void refuses(void)
{
    static const struct { const char *arch, *config; lithe_train_options o; int reset; const char *says; } wrong[] = {
        { "gpt2", still, { .ctx = 8, .bptt = 2 }, 0, "a gpt2 has keys and values of attention" },
        { "rwkv4", NULL, { .ctx = 8, .bptt = 2, .recompute = 1 }, 0, "recompute" },
        { "rwkv4", NULL, { .ctx = 8, .bptt = 2 }, 1, "reset_attention" },
        { "rwkv4", NULL, { .ctx = 8, .bptt = -1 }, 0, "bptt is -1" },
        { "rwkv4", NULL, { .ctx = 64, .bptt = 1 << 20 }, 0, "more than 1048576 tokens" },
        { "rwkv4", NULL, { .ctx = 64, .bptt = 1 << 14 }, 0, "give more text or a smaller context" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lithe_error err = { 0 };
        const char *path = text_file();
        lithe_train_options o = wrong[i].o;
        o.size = sizeof o;
        lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
        lithe_dataset *d = lithe_dataset_open(&path, 1, NULL, t, &LITHE_OPTIONS(lithe_data_options, .reset_attention = wrong[i].reset), &err);
        lithe_model *m = lithe_model_new(wrong[i].arch, wrong[i].config ? wrong[i].config : recurrent[0].config, 1, &err);
        CHECK_MSG(!err.status && !lithe_trainer_open(m, d, t, &o, in_dir("run"), &err), "%s", err.text);
        CHECK_MSG(strstr(err.text, wrong[i].says), "%s", err.text);
        lithe_model_close(m);
        lithe_dataset_close(d);
        lithe_tokenizer_close(t);
    }
}

/* ---- that it helps ------------------------------------------------------------------------------ */

/* A letter, a pause longer than a window, a question, the letter again. */
enum { LETTERS = 4, BLOCK = 10, WINDOW = 4, WINDOWS = 8, BLOCKS_SCORED = 6, SCORED = BLOCKS_SCORED * BLOCK };
static const char one_layer[] = "{\"vocab_size\":256,\"context_length\":64,\"hidden_size\":32,\"num_hidden_layers\":1,\"intermediate_size\":64,\"head_size\":32}";

static char letter(uint64_t block) { return (char)('A' + random_u64(3, block) % LETTERS); }

static size_t write_blocks(char *text, uint64_t first, uint64_t count)
{
    for (uint64_t b = 0; b < count; b++) {
        char *at = text + b * BLOCK;
        memset(at, '.', BLOCK);
        at[0] = at[BLOCK - 1] = letter(first + b);
        at[BLOCK - 2] = '?';
    }
    return count * BLOCK;
}

/* Mean loss of the letters that answer, in texts that begin with a block. */
static double answers(lithe_model *m)
{
    enum { TEXTS = 64 };
    char text[SCORED];
    int32_t ids[SCORED];
    float nll[SCORED];
    double sum = 0, total;
    lithe_error err = { 0 };
    for (uint64_t i = 0; i < TEXTS; i++) {
        write_blocks(text, 100000 + BLOCKS_SCORED * i, BLOCKS_SCORED);
        for (int k = 0; k < SCORED; k++) ids[k] = text[k];
        CHECK_MSG(!lithe_score(m, ids, SCORED, 0, 0, nll, &total, &err), "%s", err.text);
        for (int b = 1; b <= BLOCKS_SCORED; b++) sum += (double)nll[b * BLOCK - 2];
    }
    return sum / (TEXTS * BLOCKS_SCORED);
}

static double trained(const char *name, int count, int sequences)
{
    enum { BLOCKS = 4000 };
    static char text[BLOCKS * BLOCK];
    lithe_error err = { 0 };
    const char *path = in_dir("blocks.txt");
    CHECK(!file_write(path, text, write_blocks(text, 0, BLOCKS), &err));
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_dataset *d = lithe_dataset_open(&path, 1, NULL, t, NULL, &err);
    lithe_model *m = lithe_model_new("rwkv6", one_layer, 1, &err);
    const lithe_train_options o = { .size = sizeof o, .ctx = WINDOW, .bptt = count, .batch = sequences, .steps = 250, .lr = 1e-2, .seed = 7 };
    lithe_trainer *trainer = lithe_trainer_open(m, d, t, &o, in_dir(name), &err);
    CHECK_MSG(trainer, "%s", err.text);
    run_out(trainer, &err);
    double loss = answers(m);
    lithe_trainer_close(trainer);
    lithe_model_close(m);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
    return loss;
}

/* As many tokens in a step with as without.  What a window holds says nothing of the letter: log 4 = 1.39 is the best
 * there. */
static void helps_over_a_distance(void)
{
    double with = trained("with", WINDOWS, 16), without = trained("without", 1, 16 * WINDOWS);
    test_say("the letter asked for: %.3f nats with %d windows of %d tokens, %.3f without", with, WINDOWS, WINDOW, without);
    CHECK(with < 0.15 && without > 1.3);
}

const test tests_train_bptt[] = {
    { "train: windows are the whole", windows_are_the_whole },
    { "train: a run through windows is the same run", is_the_same_run },
    { "train: windows in parts of a step", accumulates },
    { "train: windows are refused where nothing is carried", refuses },
    { "train: windows help over a distance", helps_over_a_distance },
    { 0 }
};
