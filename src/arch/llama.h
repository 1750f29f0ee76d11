/* The parts of the LLaMA block, for architectures that are built on it.  A configuration struct that
 * begins with a llama takes LLAMA_FIELDS into its table of fields. */
#ifndef ARCH_LLAMA_H
#define ARCH_LLAMA_H

#include "arch/layers.h"
#include "arch/rope_keys.h"

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, max_position_embeddings;
    activation hidden_act;
    int attention_bias, mlp_bias, tie_word_embeddings, lithe_qkv_bias, lithe_rope_type, lithe_window, lithe_window_from;
    double rms_norm_eps, rope_theta, initializer_range, lithe_rope_factor, lithe_rope_low, lithe_rope_high, lithe_rope_original;
} llama;

/* The last ones stand inside rope_scaling or rope_parameters of a file, in its model_type, or in what it says of
 * sliding windows; llama_normalize brings them here.  lithe_window: a token sees that many tokens, itself among them,
 * in the layers from lithe_window_from on; 0: all before it. */
#define LLAMA_FIELDS \
    INT_OF(llama, vocab_size, 32000, VOCABULARY), INT_OF(llama, hidden_size, 4096, WIDTH), INT_OF(llama, intermediate_size, 11008, INNER), \
    INT_OF(llama, num_hidden_layers, 32, LAYERS), INT_OF(llama, num_attention_heads, 32, HEADS), INT_OF(llama, num_key_value_heads, 0, HEADS), \
    INT_OF(llama, head_dim, 0, CHANNELS), ACTIVATION_OF(llama, hidden_act, ACT_SILU), INT_OF(llama, max_position_embeddings, 2048, LENGTH), \
    REAL_OF(llama, rms_norm_eps, 1e-6, EPSILON), REAL_OF(llama, rope_theta, 10000, ROPE_BASE), REAL_OF(llama, initializer_range, 0.02, DEVIATION), \
    BOOL_OF(llama, attention_bias, 0), BOOL_OF(llama, mlp_bias, 0), BOOL_OF(llama, tie_word_embeddings, 0), \
    ROPE_FIELDS_OF(llama), BOOL_OF(llama, lithe_qkv_bias, 0), \
    INT_OF(llama, lithe_window, 0, .least = 0, .most = 1 << 24), INT_OF(llama, lithe_window_from, 0, .least = 0, .most = 1 << 10)
extern const known_key llama_others[];

int  llama_normalize(json_t *config, lithe_error *err);
int  llama_publish(json_t *config);  /* writes both spellings of the rotary options and removes what normalize made */
int  llama_check(const void *config, lithe_error *err);

tensor     *llama_embed(graph *g, const llama *c);
rope_angles llama_angles(graph *g, const llama *c);
/* Within a layer's scope: RMS(x); x + Attn(h); the gated feed-forward's two sides, and x + W_down m. */
tensor     *llama_norm(graph *g, const llama *c, tensor *x, const char *name);
tensor     *llama_attend(graph *g, const llama *c, tensor *x, tensor *h, rope_angles angles, int layer);
typedef struct { tensor *gate, *up; } llama_sides;
llama_sides llama_gate_up(graph *g, const llama *c, tensor *h);
tensor     *llama_down(graph *g, const llama *c, tensor *x, tensor *m);
tensor     *llama_final_norm(graph *g, const llama *c, tensor *x);
head        llama_language(graph *g, const void *config, tensor *rows);

json_t     *llama_sized(int width, int layers, int vocab, int context);

#endif
