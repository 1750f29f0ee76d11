/* Small runs (tests/train_runs.h). */
#include "train_runs.h"
#include "base/random.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

const char tiny[] = "{\"n_layer\": 2, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                           "\"resid_pdrop\": 0.1, \"embd_pdrop\": 0.1, \"attn_pdrop\": 0.1}";
const char still[] = "{\"n_layer\": 2, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                            "\"resid_pdrop\": 0, \"embd_pdrop\": 0, \"attn_pdrop\": 0}";

/* ---- scaffolding ---------------------------------------------------------------- */

/* Words of a small vocabulary in no order, with some structure to learn. */
const char *text_file(void)
{
    static const char *const words[] = { "the ", "cat ", "sat ", "on ", "a ", "mat", ". ", "and ", "then ", "dog", ", ", "ran " };
    const char *path = in_dir("text.txt");
    FILE *f = fopen(path, "w");
    for (uint64_t i = 0; f && i < 3000; i++) fputs(words[random_u64(7, i) % 12], f);
    if (f) fclose(f);
    return path;
}


void close_fixture(fixture *f)
{
    lithe_trainer_close(f->trainer);
    lithe_dataset_close(f->data);
    lithe_model_close(f->model);
    lithe_model_close(f->base);
    lithe_tokenizer_close(f->tokens);
}

/* A run of a small model on the text, its data under `name`.data. */
fixture begin_as(const char *arch_name, const char *name, const char *config, const lithe_train_options *o)
{
    fixture f = { 0 };
    char data[128];
    const char *path = text_file();
    snprintf(data, sizeof data, "%s.data", name);
    f.tokens = lithe_tokenizer_open("bytes", &f.err);
    f.data = lithe_dataset_open(&path, 1, in_dir(data), f.tokens, NULL, &f.err);
    f.model = lithe_model_new(arch_name, config, 1, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, o, in_dir(name), &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    return f;
}

fixture begin(const char *name, const char *config, const lithe_train_options *o) { return begin_as("gpt2", name, config, o); }

/* Runs to the end; the training loss of the last step. */
double run_out(lithe_trainer *t, lithe_error *err)
{
    lithe_event e = { 0 };
    double loss = NAN;
    while (lithe_trainer_next(t, &e, err) > 0) if (e.kind == LITHE_STEPPED) loss = e.loss;
    CHECK(err->status || e.kind == LITHE_FINISHED);
    return loss;
}

lithe_event run_evaluated(lithe_trainer *t, lithe_error *err)
{
    lithe_event e = { 0 }, last = { 0 };
    while (lithe_trainer_next(t, &e, err) > 0) if (e.kind == LITHE_EVALUATED) last = e;
    CHECK_MSG(!err->status, "%s", err->text);
    return last;
}

double whole_run(const char *name, const char *config, const lithe_train_options *o)
{
    fixture f = begin(name, config, o);
    double loss = run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    return loss;
}

bool same_file(const char *a, const char *b, const char *name)
{
    lithe_error err = { 0 };
    mapping x, y;
    char *p = path_join(a, name), *q = path_join(b, name);
    bool same = !file_map(&x, p, &err) && !file_map(&y, q, &err);
    if (same) {
        same = x.size == y.size && !memcmp(x.data, y.data, x.size);
        file_unmap(&x);
        file_unmap(&y);
    }
    free(p);
    free(q);
    return same;
}

bool same_checkpoint(const char *run_a, const char *run_b, int at)
{
    static const char *const files[] = { "model.safetensors", "optimizer.safetensors", "trainer.json", "config.json", "manifest.json" };
    char *a = checkpoint_path(run_a, at), *b = checkpoint_path(run_b, at);
    bool same = true;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bool equal = same_file(a, b, files[i]);
        CHECK_MSG(equal, "%s of %s and %s", files[i], a, b);
        same &= equal;
    }
    free(a);
    free(b);
    return same;
}

const char slots[] = "{\"num_layers\": 2, \"hidden_size\": 32, \"num_attention_heads\": 2, \"max_position_embeddings\": 32, "
                            "\"qkv_slot_num\": 16, \"proj_slot_num\": 16, \"ffn_slot_num\": 32, \"vocab_size\": 256}";

lithe_error refused(const char *run, const lithe_train_options *o)
{
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(run, o, &err);
    CHECK(!t && err.status);
    lithe_trainer_close(t);
    return err;
}
