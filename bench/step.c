/* The time of a training step: forward, backward and AdamW of a fresh model on
 * random ids, as the peers in bench/README.md are timed.  One CSV row.
 *
 *     bench-step [ARCH [DTYPE [BATCH [CTX [STEPS [THREADS]]]]]]          gpt2 f32 4 256 5 0
 *
 * The sizes are those of GPT-2 small (-1m: of a million parameters), for tokenformer its slots at three quarters
 * (12 d^2 weights in a layer, as GPT-2), vocabulary 50257, no dropout.  The median of
 * STEPS after one that is not counted; parts: graph, norm of the gradient, AdamW. */
#include "base/random.h"
#include "timing.h"
#include "train/trainer.h"
#include <math.h>

static const struct { const char *arch, *config; } models[] = {
    { "gpt2", "{\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0}" },
    { "llama", "{\"vocab_size\":50257,\"hidden_size\":768,\"intermediate_size\":2048,\"num_hidden_layers\":12,\"num_attention_heads\":12,"
               "\"max_position_embeddings\":1024,\"tie_word_embeddings\":true}" },
    { "pangu_pi", "{\"vocab_size\":50257,\"hidden_size\":768,\"intermediate_size\":2048,\"num_hidden_layers\":12,\"num_attention_heads\":12,"
               "\"max_position_embeddings\":1024,\"tie_word_embeddings\":true}" },
    { "tokenformer", "{\"vocab_size\":50257,\"qkv_slot_num\":576,\"proj_slot_num\":576,\"ffn_slot_num\":2304,\"max_position_embeddings\":1024}" },
    { "rwkv4", "{\"vocab_size\":50257}" }, { "rwkv5", "{\"vocab_size\":50257}" }, { "rwkv6", "{\"vocab_size\":50257}" }, { "rwkv7", "{\"vocab_size\":50257}" },
    { "gpt2-1m", "{\"vocab_size\":512,\"n_embd\":128,\"n_layer\":4,\"n_head\":2,\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0}" },
    { "rwkv7-1m", "{\"vocab_size\":512,\"hidden_size\":128,\"num_hidden_layers\":4,\"decay_low_rank_dim\":32,\"a_low_rank_dim\":32,\"gate_low_rank_dim\":32}" },
};

static void stop(const lithe_error *err)
{
    fprintf(stderr, "bench-step: %s\n", err->text);
    exit(1);
}

static lithe_model *fresh(const char *name, lithe_error *err)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(models[i].arch, name)) {
            char kind[32];
            snprintf(kind, sizeof kind, "%.*s", (int)strcspn(name, "-"), name);
            return lithe_model_new(kind, models[i].config, 1, err);
        }
    fail(err, LITHE_EINVAL, "%s is not timed here: gpt2, llama, pangu_pi, tokenformer, rwkv4 to rwkv7, gpt2-1m, rwkv7-1m", name);
    return NULL;
}

/* Random ids and targets in windows of ctx. */
static void add_windows(batch_builder *b, int windows, int ctx, int vocab)
{
    int *ids = xalloc((size_t)ctx, sizeof *ids);
    for (int w = 0; w < windows; w++) {
        uint64_t first = (uint64_t)w * (uint64_t)ctx;
        for (int i = 0; i < ctx; i++) ids[i] = (int)(random_u64(1, first + (uint64_t)i) % (uint64_t)vocab);
        batch_add(b, &(batch_sequence){ .n = ctx, .ids = ids });
        for (int i = 0; i < ctx; i++) batch_select(b, i, (int)(random_u64(2, first + (uint64_t)i) % (uint64_t)vocab), 1);
    }
    batch_scale(b, 1.0 / (windows * ctx), 1, false);
    free(ids);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "gpt2", *type = argc > 2 ? argv[2] : "f32";
    int windows = argc > 3 ? atoi(argv[3]) : 4, ctx = argc > 4 ? atoi(argv[4]) : 256, steps = argc > 5 ? atoi(argv[5]) : 5;
    lithe_error err = { 0 };
    if (windows < 1 || ctx < 1 || steps < 1) { fail(&err, LITHE_EINVAL, "batch, ctx and steps are at least 1"); stop(&err); }
    lithe_threads(argc > 6 ? atoi(argv[6]) : 0);

    lithe_model *m = fresh(name, &err);
    optimizer o;
    if (!m || optimizer_open(&o, m, &(optimizer_settings){ .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1 }, &err)) stop(&err);
    const kernels *k = kernels_default();
    const int rows = windows * ctx;
    pass p;
    if (pass_open(&p, m, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { rows, windows, 0 },
                                           .compute = strcmp(type, "bf16") ? COMPUTE_F32 : COMPUTE_BF16 }, WANT_LOSS, &err)) stop(&err);
    batch_begin(&p.batch);
    add_windows(&p.batch, windows, ctx, lithe_model_vocab(m));

    double *times = xalloc((size_t)steps, sizeof *times), *parts[3];
    for (int i = 0; i < 3; i++) parts[i] = xalloc((size_t)steps, sizeof *parts[i]);
    for (int s = -1; s < steps; s++) {
        double at[4] = { wall_seconds() };
        if (pass_run(&p, &err)) stop(&err);
        at[1] = wall_seconds();
        double norm = sqrt(optimizer_squares(&o, k));
        at[2] = wall_seconds();
        optimizer_step(&o, k, 3e-4, norm);
        at[3] = wall_seconds();
        if (s < 0) continue;
        times[s] = at[3] - at[0];
        for (int i = 0; i < 3; i++) parts[i][s] = at[i + 1] - at[i];
    }
    double flops = 6 * (double)params_total(m->params) * rows, middle = median(times, steps);
    printf("commit,cpu,level,threads,arch,dtype,batch,ctx,steps,seconds,least,graph,norm,adamw,tokens_per_second,gflops_of_6nt\n");
    printf("%s,%s,%s,%d,%s,%s,%d,%d,%d,%.3f,%.3f,%.3f,%.3f,%.3f,%.1f,%.1f\n", COMMIT, cpu_name(), k->name, threads_count(), name, type, windows, ctx, steps,
           middle, times[0], median(parts[0], steps), median(parts[1], steps), median(parts[2], steps), rows / middle, flops / middle * 1e-9);
    pass_close(&p);
    optimizer_close(&o);
    lithe_model_close(m);
    return 0;
}
