/* The parts of the LLaMA block, for architectures that are built on it.  A configuration struct that
 * begins with a llama takes LLAMA_FIELDS into its table of fields. */
#ifndef ARCH_LLAMA_H
#define ARCH_LLAMA_H

#include "arch/layers.h"
#include "arch/rope_keys.h"

/* What a family of published models changes in the block; nothing: LLaMA itself. */
typedef struct {
    const char *type, *class_name;  /* config.json's model_type and architectures[0] */
    bool head_norms, whole_norms;   /* RMS norms of q and k before they are rotated, of each head or of all together */
    bool norms_before, norms_after; /* of what attention and feed-forward read, and of what they give */
    norm_kind norm;
    bool fused;                     /* q, k and v are rows of one matrix, gate and up of another */
    bool root_embedding;            /* the embedding is multiplied by sqrt(C) */
    bool tanh_gelu;                 /* hidden_act "gelu" means its approximation by tanh */
    /* What keys mean that a file does not have. */
    struct {
        int head_dim, window, full_every, plain_every, tied;
        double rope_theta, local_theta, norm_eps, rotary, attention_multiplier, query_pre_attn_scalar, attention_cap, logits_cap;
    } absent;
    const char *const *keys;        /* of config.json, beside LLaMA's: they are refused in other families */
} llama_family;
/* In the order of FAMILIES. */
extern const llama_family llama_families[];
#define LLAMA_FAMILIES "llama|qwen3|smollm3|olmo2|granite|phi3|gemma|gemma3_text|stablelm|gemma2"

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, max_position_embeddings;
    activation hidden_act;
    int attention_bias, mlp_bias, tie_word_embeddings, lithe_qkv_bias, lithe_rope_type, lithe_window, lithe_window_from, lithe_full_every, lithe_plain_every, lithe_family, lithe_rope_exact;
    double rms_norm_eps, rope_theta, initializer_range, lithe_rope_factor, lithe_rope_low, lithe_rope_high, lithe_rope_original, lithe_rope_attention;
    double partial_rotary_factor, lithe_local_theta, embedding_multiplier, residual_multiplier, attention_multiplier, logits_scaling, query_pre_attn_scalar;
    double attn_logit_softcapping, final_logit_softcapping, lithe_rope_factors[ROPE_FACTORS];
    int lithe_long_context;
} llama;

/* Those of ours (lithe_...) stand inside rope_scaling or rope_parameters of a file, in its model_type, or in what it
 * says of layers and sliding windows; llama_normalize brings them here.
 * lithe_window: a token sees that many tokens, itself among them, in the layers from lithe_window_from on; 0: all
 * before it.  Every lithe_full_every-th layer has no window; the others rotate by lithe_local_theta, where that is
 * not 0.  Every lithe_plain_every-th layer rotates nothing. */
#define LLAMA_FIELDS \
    INT_OF(llama, vocab_size, 32000, VOCABULARY), INT_OF(llama, hidden_size, 4096, WIDTH), INT_OF(llama, intermediate_size, 11008, INNER), \
    INT_OF(llama, num_hidden_layers, 32, LAYERS), INT_OF(llama, num_attention_heads, 32, HEADS), INT_OF(llama, num_key_value_heads, 0, HEADS), \
    INT_OF(llama, head_dim, 0, CHANNELS), ACTIVATION_OF(llama, hidden_act, ACT_SILU), INT_OF(llama, max_position_embeddings, 2048, LENGTH), \
    REAL_OF(llama, rms_norm_eps, 1e-6, EPSILON), REAL_OF(llama, rope_theta, 10000, ROPE_BASE), REAL_OF(llama, initializer_range, 0.02, DEVIATION), \
    BOOL_OF(llama, attention_bias, 0), BOOL_OF(llama, mlp_bias, 0), BOOL_OF(llama, tie_word_embeddings, 0), \
    ROPE_FIELDS_OF(llama), BOOL_OF(llama, lithe_qkv_bias, 0), \
    INT_OF(llama, lithe_window, 0, .least = 0, .most = 1 << 24), INT_OF(llama, lithe_window_from, 0, .least = 0, .most = 1 << 10), \
    INT_OF(llama, lithe_full_every, 0, LAYERS), INT_OF(llama, lithe_plain_every, 0, LAYERS), REAL_OF(llama, lithe_local_theta, 0, ROPE_BASE), \
    CHOICE_OF(llama, lithe_family, LLAMA_FAMILIES), REAL_OF(llama, partial_rotary_factor, 0, .least = 0.01, .most = 1), \
    REAL_OF(llama, embedding_multiplier, 0, FACTOR), REAL_OF(llama, residual_multiplier, 0, FACTOR), REAL_OF(llama, attention_multiplier, 0, FACTOR), \
    REAL_OF(llama, logits_scaling, 0, FACTOR), REAL_OF(llama, query_pre_attn_scalar, 0, FACTOR), \
    REAL_OF(llama, attn_logit_softcapping, 0, FACTOR), REAL_OF(llama, final_logit_softcapping, 0, FACTOR), \
    BOOL_OF(llama, lithe_long_context, 0)
#define FACTOR .least = 1e-6, .most = 1e6              /* 0: absent, and without effect */
extern const known_key llama_others[];

int  llama_normalize(json_t *config, lithe_error *err);
int  llama_publish(json_t *config);  /* writes both spellings of the rotary options and removes what normalize made */
int  llama_check(const void *config, lithe_error *err);
int  llama_context(const void *config);

tensor     *llama_embed(graph *g, const llama *c);
/* Angles of the layers that see everything, and of those with a window. */
typedef struct { rope_angles full, local; } llama_rotation;
llama_rotation llama_angles(graph *g, const llama *c);
/* Within a layer's scope: what attention and feed-forward read of x; x + Attn(h); the gated feed-forward of h, and
 * x + W_down m. */
tensor     *llama_before_attention(graph *g, const llama *c, tensor *x);
tensor     *llama_before_mlp(graph *g, const llama *c, tensor *x);
tensor     *llama_attend(graph *g, const llama *c, tensor *x, tensor *h, llama_rotation angles, int layer);
typedef struct { tensor *gate, *up; } llama_sides;
llama_sides llama_gate_up(graph *g, const llama *c, tensor *h);
tensor     *llama_down(graph *g, const llama *c, tensor *x, tensor *m);
tensor     *llama_final_norm(graph *g, const llama *c, tensor *x);
head        llama_language(graph *g, const void *config, tensor *rows);

uint64_t    llama_layer_kind(const void *config, int layer);
json_t     *llama_sized(int width, int layers, int vocab, int context);

#endif
