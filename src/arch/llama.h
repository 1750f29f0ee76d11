/* The LLaMA block in parts, for what is built on it.  A configuration struct that
 * begins with a llama takes LLAMA_FIELDS into its table of fields. */
#ifndef ARCH_LLAMA_H
#define ARCH_LLAMA_H

#include "arch/layers.h"
#include <stddef.h>

typedef struct {
    int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim;
    activation hidden_act;
    int max_position_embeddings, attention_bias, mlp_bias, qkv_bias, tie_word_embeddings, rope_type;
    double rms_norm_eps, rope_theta, rope_factor, rope_low, rope_high, rope_original, initializer_range;
} llama;

#define LLAMA_AT(member) offsetof(llama, member)
#define LLAMA_FIELDS \
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = LLAMA_AT(vocab_size),          .value = 32000, .least = 1, .most = 1 << 24 }, \
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = LLAMA_AT(hidden_size),         .value = 4096,  .least = 1, .most = 1 << 16 }, \
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = LLAMA_AT(intermediate_size),   .value = 11008, .least = 1, .most = 1 << 20 }, \
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = LLAMA_AT(num_hidden_layers),   .value = 32,    .least = 1, .most = 1024 }, \
    { .key = "num_attention_heads",     .kind = FIELD_INT,  .offset = LLAMA_AT(num_attention_heads), .value = 32,    .least = 1, .most = 1 << 14 }, \
    { .key = "num_key_value_heads",     .kind = FIELD_INT,  .offset = LLAMA_AT(num_key_value_heads), .value = 0,     .least = 1, .most = 1 << 14 }, \
    { .key = "head_dim",                .kind = FIELD_INT,  .offset = LLAMA_AT(head_dim),            .value = 0,     .least = 1, .most = 1 << 12 }, \
    { .key = "hidden_act",              .kind = FIELD_CHOICE, .offset = LLAMA_AT(hidden_act),        .value = ACT_SILU }, \
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = LLAMA_AT(max_position_embeddings), .value = 2048, .least = 1, .most = 1 << 24 }, \
    { .key = "rms_norm_eps",            .kind = FIELD_REAL, .offset = LLAMA_AT(rms_norm_eps),        .value = 1e-6,  .least = 0, .most = 1 }, \
    { .key = "rope_theta",              .kind = FIELD_REAL, .offset = LLAMA_AT(rope_theta),          .value = 10000, .least = 1, .most = 1e12 }, \
    { .key = "initializer_range",       .kind = FIELD_REAL, .offset = LLAMA_AT(initializer_range),   .value = 0.02,  .least = 0, .most = 10 }, \
    { .key = "attention_bias",          .kind = FIELD_BOOL, .offset = LLAMA_AT(attention_bias),      .value = 0 }, \
    { .key = "mlp_bias",                .kind = FIELD_BOOL, .offset = LLAMA_AT(mlp_bias),            .value = 0 }, \
    { .key = "tie_word_embeddings",     .kind = FIELD_BOOL, .offset = LLAMA_AT(tie_word_embeddings), .value = 0 }, \
    /* Inside rope_scaling or rope_parameters in a file; normalize() brings them here. */ \
    { .key = "lithe_rope_type",         .kind = FIELD_CHOICE, .offset = LLAMA_AT(rope_type),         .value = 0,     .choices = "default|linear|llama3" }, \
    { .key = "lithe_rope_factor",       .kind = FIELD_REAL, .offset = LLAMA_AT(rope_factor),         .value = 1,     .least = 1e-3, .most = 1e6 }, \
    { .key = "lithe_rope_low",          .kind = FIELD_REAL, .offset = LLAMA_AT(rope_low),            .value = 1,     .least = 1e-6, .most = 1e6 }, \
    { .key = "lithe_rope_high",         .kind = FIELD_REAL, .offset = LLAMA_AT(rope_high),           .value = 4,     .least = 1e-6, .most = 1e6 }, \
    { .key = "lithe_rope_original",     .kind = FIELD_REAL, .offset = LLAMA_AT(rope_original),       .value = 8192,  .least = 1, .most = 1e9 }, \
    { .key = "lithe_qkv_bias",          .kind = FIELD_BOOL, .offset = LLAMA_AT(qkv_bias),            .value = 0 },

int  llama_normalize(json_t *config, lithe_error *err);
int  llama_publish(json_t *config);                          /* both spellings of the rotary options; takes out what normalize made */
int  llama_check(const void *config, lithe_error *err);

tensor *llama_embed(graph *g, const llama *c);
const exact *llama_turns(graph *g, const llama *c);
/* Within a layer's scope: x + Attn(h); and the two sides of the gated feed-forward, and x + W_down m. */
tensor *llama_attend(graph *g, const llama *c, tensor *h, tensor *x, const exact *turns);
typedef struct { tensor *gate, *up; } llama_sides;
llama_sides llama_spread(graph *g, const llama *c, tensor *h);
tensor *llama_gather(graph *g, const llama *c, tensor *m, tensor *x);
tensor *llama_final(graph *g, const llama *c, tensor *x);
head    llama_language(graph *g, const void *config, tensor *rows);

int     llama_context(const void *config);
int     llama_vocab(const void *config);
json_t *llama_sized(int width, int layers, int vocab, int context);

#endif
