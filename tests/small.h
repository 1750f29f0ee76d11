/* Tiny models and ragged batches for the tests of graph, ops and arch. */
#ifndef TEST_SMALL_H
#define TEST_SMALL_H

#include "arch/arch.h"
#include "base/random.h"

#define SMALL_GPT2 "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":3,\"n_head\":3,\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0,\"initializer_range\":0.3}"
#define SMALL_GPT2_DROPOUT "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"activation_function\":\"gelu\",\"resid_pdrop\":0.2,\"embd_pdrop\":0.1,\"attn_pdrop\":0.3,\"initializer_range\":0.3,\"tie_word_embeddings\":false}"
#define SMALL_ENCODER "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,"
#define SMALL_CLASSIFY ",\"architectures\":[\"ForSequenceClassification\"],\"num_labels\":2}"
#define SMALL_REGRESS ",\"architectures\":[\"ForSequenceClassification\"],\"num_labels\":1}"
#define SMALL_LLAMA "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"attention_bias\":true,\"mlp_bias\":true}"
#define SMALL_LLAMA_TIED "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"head_dim\":8,\"intermediate_size\":20,\"initializer_range\":0.3,\"tie_word_embeddings\":true,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2.0}}"
#define SMALL_GPT_NEOX "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"rotary_pct\":0.5}"
#define SMALL_GPT_NEOX_SEQUENTIAL "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,\"initializer_range\":0.3,\"rotary_pct\":1.0,\"use_parallel_residual\":false,\"attention_bias\":false,\"tie_word_embeddings\":true,\"hidden_dropout\":0.2,\"attention_dropout\":0.1,\"hidden_act\":\"gelu_new\"}"
#define SMALL_TOKENFORMER(theta) "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":12,\"proj_slot_num\":10,\"ffn_slot_num\":70,\"init_method_std\":0.3,\"norm_activation_type\":\"" theta "\"}"

/* Bottlenecks of no whole eights; and everything that can be said otherwise. */
#define SMALL_PANGU_PI "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"aug_width\":5}"
#define SMALL_PANGU_PI_ALL "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"tie_word_embeddings\":true,\"siaf_n\":3,\"siaf_gain\":true,\"siaf_act\":\"silu,tanh,gelu\",\"aug_branches\":2,\"aug_width\":3,\"aug_act\":\"gelu0\",\"aug_ffn\":true,\"aug_scale\":0.75}"
#define SMALL_PANGU_PI_AFTER "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"siaf_param\":\"scalar\",\"siaf_gain\":true,\"aug_width\":6,\"aug_act\":\"tanh\",\"aug_act_pos\":\"after\",\"aug_input\":\"raw\",\"aug_init\":\"small\"}"
#define SMALL_PANGU_PI_DENSE "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3,\"aug_kind\":\"dense\",\"aug_ffn\":true,\"siaf_act\":\"gelu_pytorch_tanh,silu\"}"

#define SMALL_RWKV4 "{\"l2_wrap\":0,\"vocab_size\":23,\"context_length\":24,\"hidden_size\":12,\"num_hidden_layers\":3,\"intermediate_size\":20}"
#define SMALL_RWKV5 "{\"l2_wrap\":0,\"vocab_size\":23,\"context_length\":24,\"hidden_size\":12,\"head_size\":4,\"num_hidden_layers\":3,\"intermediate_size\":20}"
#define SMALL_RWKV6 "{\"l2_wrap\":0,\"vocab_size\":23,\"context_length\":24,\"hidden_size\":12,\"head_size\":4,\"num_hidden_layers\":3,\"intermediate_size\":20,\"time_mix_extra_dim\":3,\"time_decay_extra_dim\":5}"
#define SMALL_RWKV7 "{\"l2_wrap\":0,\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"head_dim\":4,\"num_hidden_layers\":3,\"intermediate_size\":20,\"decay_low_rank_dim\":3,\"a_low_rank_dim\":5,\"v_low_rank_dim\":2,\"gate_low_rank_dim\":6}"

typedef struct {
    const arch *a;
    void *config;
    task task;
    params *p;
    int selected;               /* rows that the head sees of each batch (SMALL_SELECTED); 0: all */
} small_model;

#define SMALL_HYBRID "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":8,\"intermediate_size\":20,\"qkv_slot_num\":12,\"proj_slot_num\":10,\"ffn_slot_num\":30,\"initializer_range\":0.3"

/* Every architecture of the registry, as small as its `sized` makes it sensibly, then the variants listed in small.c:
 * what joins the registry joins the tests that go through these. */
typedef struct { const char *name, *arch, *config; } small_case;
const small_case *small_cases(int *count);
/* Whether it is in them: all are, unless LITHE_TEST_ARCH names one. */
bool small_chosen(const char *name);

/* Moves what does not begin with random numbers (biases, norms, zeros), or its gradients prove little. */
void        small_perturb(params *p, double deviation, uint64_t seed);
small_model small_new(const char *name, const char *config, uint64_t seed);
void        small_free(small_model *m);

/* A ragged batch of random ids, and patches of 4 x 4 coloured pixels, over three sequences. */
enum { SMALL_ROWS = 17, SMALL_SEQS = 3, SMALL_SELECTED = 5, SMALL_PATCH = 3 * 4 * 4 };
typedef struct { int ids[SMALL_ROWS], pos[SMALL_ROWS], start[SMALL_SEQS + 1], target[SMALL_ROWS], type[SMALL_ROWS]; uint64_t row_key[SMALL_ROWS]; int select[SMALL_SELECTED]; real weight[SMALL_ROWS]; int label[SMALL_SEQS]; real value[SMALL_SEQS], patches[SMALL_ROWS * SMALL_PATCH]; batch b; } small_batch;
void small_fill(small_batch *b, int vocab, uint64_t seed);
/* The same for one of small_cases: no sequence is shorter than the tokens before an image's patches. */
void small_fill_for(small_batch *b, const small_model *m, uint64_t seed);

/* A planned training (or scoring) graph for that batch. */
graph *small_graph(const small_model *m, graph_mode mode, bool recompute, const char *level, results *r);
/* The head then sees SMALL_SELECTED rows of the batch, in a graph of a model that says so. */
void small_select(small_batch *b);
/* Runs it: the loss, or losses, scaled. */
double small_loss(graph *g, const results *r, const small_batch *b);

#endif
