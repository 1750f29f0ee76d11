#include "small.h"
#include "test.h"
#include <stdlib.h>

static void must(const lithe_error *err) { if (err->status) { test_fail(__FILE__, __LINE__, err->text); fflush(stdout); _Exit(1); } }

static const small_case variants[] = {
    { "gpt2", "gpt2", SMALL_GPT2 },
    { "gpt2 with dropout, own head", "gpt2", SMALL_GPT2_DROPOUT },
    { "gpt2, classes", "gpt2", "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3" SMALL_CLASSIFY },
    { "gpt2, a number", "gpt2", "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3" SMALL_REGRESS },
    { "gpt-neo with dropout, own head", "gpt_neo", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_layers\":3,\"num_heads\":3,\"window_size\":4,"
      "\"attention_types\":[[[\"global\",\"local\",\"local\"],1]],\"resid_dropout\":0.1,\"attention_dropout\":0.2,\"tie_word_embeddings\":false,\"initializer_range\":0.3}" },
    { "opt, narrow embedding, norms after sums", "opt", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,"
      "\"ffn_dim\":20,\"word_embed_proj_dim\":8,\"activation_function\":\"gelu\",\"do_layer_norm_before\":false,\"dropout\":0.1}" },
    { "opt, plain norms, no biases, classes", "opt", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,"
      "\"ffn_dim\":20,\"dropout\":0,\"activation_function\":\"gelu\",\"layer_norm_elementwise_affine\":false,\"enable_bias\":false" SMALL_CLASSIFY },
    { "bert with pairs", "bert", SMALL_ENCODER "\"type_vocab_size\":2,\"architectures\":[\"BertForPreTraining\"],\"initializer_range\":0.3}" },
    { "bert with dropout, classes", "bert", SMALL_ENCODER "\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.1,\"classifier_dropout\":0.3" SMALL_CLASSIFY },
    { "bert with dropout, own head", "bert", SMALL_ENCODER "\"hidden_dropout_prob\":0.2,\"hidden_act\":\"gelu_new\",\"tie_word_embeddings\":false}" },
    { "roberta, classes", "roberta", SMALL_ENCODER "\"type_vocab_size\":1,\"hidden_dropout_prob\":0" SMALL_CLASSIFY },
    { "mosaicbert of three heads", "mosaicbert", SMALL_ENCODER "\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.1,\"initializer_range\":0.15}" },
    { "mosaicbert, a number", "mosaicbert", SMALL_ENCODER "\"hidden_dropout_prob\":0" SMALL_REGRESS },
    { "modernbert of near layers", "modernbert", SMALL_ENCODER "\"local_attention\":4,\"global_attn_every_n_layers\":2,\"initializer_range\":0.3}" },
    { "modernbert with biases and dropout, mean of classes", "modernbert", SMALL_ENCODER "\"local_attention\":6,\"norm_bias\":true,\"attention_bias\":true,"
      "\"mlp_bias\":true,\"classifier_bias\":true,\"embedding_dropout\":0.1,\"attention_dropout\":0.2,\"mlp_dropout\":0.1,\"classifier_pooling\":\"mean\"" SMALL_CLASSIFY },
    { "llama", "llama", SMALL_LLAMA },
    { "llama tied, scaled", "llama", SMALL_LLAMA_TIED },
    { "gpt-neox", "gpt_neox", SMALL_GPT_NEOX },
    { "gpt-neox one after the other, with dropout", "gpt_neox", SMALL_GPT_NEOX_SEQUENTIAL },
    { "pangu-pi", "pangu_pi", SMALL_PANGU_PI },
    { "pangu-pi, three branches, two shortcuts, scaled", "pangu_pi", SMALL_PANGU_PI_ALL },
    { "pangu-pi, one number for all channels, activation last", "pangu_pi", SMALL_PANGU_PI_AFTER },
    { "pangu-pi, dense shortcuts", "pangu_pi", SMALL_PANGU_PI_DENSE },
    { "tokenformer", "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") },
    { "tokenformer gelu first", "tokenformer", SMALL_TOKENFORMER("gelu_l2_norm") },
    { "tokenformer softmax", "tokenformer", SMALL_TOKENFORMER("softmax") },
    { "rwkv4", "rwkv4", SMALL_RWKV4 },
    { "rwkv5", "rwkv5", SMALL_RWKV5 },
    { "rwkv6", "rwkv6", SMALL_RWKV6 },
    { "rwkv7", "rwkv7", SMALL_RWKV7 },
    { "hybrid: RWKV-7 over parameter tokens", "hybrid", SMALL_HYBRID ",\"mixer\":\"rwkv7\",\"projection\":\"pattention\",\"feed_forward\":\"pattention\"}" },
    { "hybrid: attention and RWKV-4 in turns, ALiBi, heads shared", "hybrid", SMALL_HYBRID ",\"mixer\":\"rwkv4,attention\",\"position\":\"alibi\",\"num_key_value_heads\":1,\"feed_forward\":\"gated_channel_mix,mlp\",\"attention_bias\":true,\"mlp_bias\":true}" },
    { "hybrid: RWKV-5 and attention in turns, part of a head rotated", "hybrid", SMALL_HYBRID ",\"mixer\":[\"rwkv5\",\"attention\"],\"projection\":\"pattention,linear\",\"rotary_pct\":0.5,\"final_norm\":\"rms_norm\"}" },
    { "hybrid: channel mix with a series", "hybrid", SMALL_HYBRID ",\"mixer\":\"rwkv7\",\"feed_forward\":\"channel_mix,gated_channel_mix\",\"activation\":\"relu2,silu\",\"series\":\"on\",\"siaf_n\":3}" },
    { "hybrid: encoder over parameter tokens", "hybrid", SMALL_HYBRID ",\"encoder\":true,\"projection\":\"pattention\",\"feed_forward\":\"pattention\",\"norm_place\":\"post\",\"position\":\"learned\",\"norm_activation_type\":\"gelu_l2_norm\"}" },
    { "hybrid: GLU with a series beside attention, shortcuts, plain norms", "hybrid", SMALL_HYBRID ",\"use_parallel_residual\":true,\"feed_forward\":\"glu\",\"activation\":\"silu\",\"series\":\"on,off\",\"shortcut\":\"augmented\",\"aug_reduction\":4,\"norm\":\"layer_norm_plain,rms_norm\",\"tie_word_embeddings\":false}" },
};
enum { VARIANTS = sizeof variants / sizeof *variants, MOST_CASES = 200, WIDTH = 32, LAYERS = 2, VOCAB = 23, POSITIONS = 24 };

bool small_chosen(const char *name)
{
    const char *only = getenv("LITHE_TEST_ARCH");
    return !only || !strcmp(only, name);
}

static small_case sized_case(const arch *a)
{
    json_t *config = a->config.sized(WIDTH, LAYERS, VOCAB, POSITIONS);
    /* Which the loss does not show: gradients would not be its own. */
    json_object_set_new(config, "l2_wrap", json_integer(0));
    /* Differences would cross the kink of ReLU; its gradients are compared with PyTorch's. */
    if (!strcmp(a->name, "opt")) json_object_set_new(config, "activation_function", json_string("gelu"));
    small_case c = { a->name, a->name, json_dumps(config, 0) };
    json_decref(config);
    return c;
}

const small_case *small_cases(int *count)
{
    static small_case cases[MOST_CASES];
    static int n;
    bool first = !n;
    for (int i = 0; first && architectures[i]; i++)
        if (small_chosen(architectures[i]->name)) cases[n++] = sized_case(architectures[i]);
    for (int v = 0; first && v < VARIANTS; v++)
        if (small_chosen(variants[v].arch)) cases[n++] = variants[v];
    if (!n) must(&(lithe_error){ LITHE_EINVAL, "LITHE_TEST_ARCH names no architecture" });
    *count = n;
    return cases;
}

/* Initial values of 0.02 make networks that are nearly linear: their gradients would prove little. */
static void widen(params *p)
{
    for (int i = 0; i < p->count; i++) {
        param *q = p->items[i];
        double factor = q->rule.init == INIT_NORMAL && q->rule.std > 0 && q->rule.std < 0.1 ? 0.1 / q->rule.std : 1;
        for (size_t j = 0; j < q->count; j++) q->weight.values[j] *= (real)factor;
        q->weight.version++;
    }
}

void small_perturb(params *p, double deviation, uint64_t seed)
{
    for (int i = 0; i < p->count; i++) {
        param *q = p->items[i];
        for (size_t j = 0; q->rule.init != INIT_NORMAL && j < q->count; j++) q->weight.values[j] += (real)(deviation * random_normal(key_of_name(seed, q->name), j));
        q->weight.version++;
    }
}

small_model small_new(const char *name, const char *config, uint64_t seed)
{
    lithe_error err = { 0 };
    small_model m = { .a = arch_find(name), .p = params_new() };
    json_t *json = json_loads(config, 0, NULL);
    m.config = calloc(1, m.a->config.size);
    arch_configure(m.a, json, m.config, "test", &err);
    must(&err);
    task_read(m.a, json, &m.task, "test", &err);
    arch_declare(m.a, m.config, &m.task, m.p, &err);
    params_close(m.p, &err);
    params_gradients(m.p, &err);
    must(&err);
    params_initialize(m.p, seed);
    widen(m.p);
    small_perturb(m.p, 0.2, seed);
    json_decref(json);
    return m;
}

void small_free(small_model *m)
{
    params_free(m->p);
    free(m->config);
}

static void fill(small_batch *b, int vocab, int tokens, uint64_t seed)
{
    const int start[SMALL_SEQS + 1] = { 0, 9, 9 + tokens, SMALL_ROWS };
    for (int s = 0; s <= SMALL_SEQS; s++) b->start[s] = start[s];
    for (int s = 0; s < SMALL_SEQS; s++)
        for (int r = start[s]; r < start[s + 1]; r++) {
            b->pos[r] = r - start[s];
            b->type[r] = (int)(random_u64(seed + 5, (uint64_t)r) % 2);
            b->ids[r] = (int)(random_u64(seed, (uint64_t)r) % (uint64_t)vocab);
            b->target[r] = (int)(random_u64(seed + 1, (uint64_t)r) % (uint64_t)vocab);
            b->row_key[r] = key_of(key_of(seed, (uint64_t)s), (uint64_t)b->pos[r]);
            b->weight[r] = (real)(0.5 + random_unit(seed + 2, (uint64_t)r));
        }
    for (int s = 0; s < SMALL_SEQS; s++) {
        b->label[s] = (int)(random_u64(seed + 3, (uint64_t)s) % 2);
        b->value[s] = (real)random_normal(seed + 4, (uint64_t)s);
    }
    for (int i = 0; i < SMALL_ROWS * SMALL_PATCH; i++) b->patches[i] = b->pos[i / SMALL_PATCH] >= tokens ? (real)random_normal(seed + 5, (uint64_t)i) : 0;
    b->b = (batch){ .type = b->type, .patches = b->patches, .label = b->label, .value = b->value, .seq_scale = (real)(1.0 / SMALL_SEQS), .rows = SMALL_ROWS, .seqs = SMALL_SEQS, .ids = b->ids, .pos = b->pos, .start = b->start, .target = b->target,
                    .weight = b->weight, .row_key = b->row_key, .scale = (real)(1.0 / SMALL_ROWS) };
}

void small_fill(small_batch *b, int vocab, uint64_t seed) { fill(b, vocab, 1, seed); }

void small_fill_for(small_batch *b, const small_model *m, uint64_t seed)
{
    const int tokens = arch_images(m->a, m->config).tokens;
    fill(b, 23, tokens ? tokens : 1, seed);
}

void small_select(small_batch *b)
{
    for (int i = 0; i < SMALL_SELECTED; i++) b->select[i] = 3 * i + 1;
    b->b.select = b->select;
    b->b.selected = SMALL_SELECTED;
    b->b.scale = (real)(1.0 / SMALL_SELECTED);
}

graph *small_graph(const small_model *m, graph_mode mode, bool recompute, const char *level, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = mode, .capacity = { SMALL_ROWS + 5, SMALL_SEQS + 2, m->selected }, .recompute = recompute, .poison = true };
    graph *g = graph_new(kernels_level(level), m->p, &o);
    *r = arch_build(m->a, m->config, &m->task, g, WANT_LOSS);
    graph_plan(g, &err);
    must(&err);
    return g;
}

double small_loss(graph *g, const results *r, const small_batch *b)
{
    graph_run(g, &b->b);
    double sum = 0, seq_sum = 0;
    const tensor *of_rows = r->loss && r->loss->space != ROWS_SEQS ? r->loss : NULL, *of_seqs = of_rows ? r->seq_loss : r->loss;
    for (int i = 0; of_rows && i < (of_rows->space == ROWS_SELECTED ? b->b.selected : b->b.rows); i++) sum += (double)of_rows->data[i];
    for (int i = 0; of_seqs && i < b->b.seqs; i++) seq_sum += (double)of_seqs->data[i];
    return sum * (double)b->b.scale + seq_sum * (double)b->b.seq_scale;
}
