/* Names of LLaMA's tensors beside Hugging Face's: InternLM2's,
 * and Meta's, which are used in Meta's checkpoints, in those of
 * llama2.c's trainer and, given by our reader since the file has no names, in
 * llama2.c's version 0 .bin.  RoPE pairs are adjacent rows there:
 *   ours[j] = theirs[2j],  ours[j + hd/2] = theirs[2j + 1]   in each head of hd rows. */
#include "files/naming.h"

static const naming_rule META[] = {
    NAMED("_orig_mod.@", "@"),
    NAMED("tok_embeddings.weight", "model.embed_tokens.weight"), NAMED("norm.weight", "model.norm.weight"), NAMED("output.weight", "lm_head.weight"),
    NAMED("layers.*.attention_norm.weight", "model.layers.*.input_layernorm.weight"),
    NAMED("layers.*.ffn_norm.weight", "model.layers.*.post_attention_layernorm.weight"),
    { "layers.*.attention.wq.weight", "model.layers.*.self_attn.q_proj.weight", { .pairs = true } },
    { "layers.*.attention.wk.weight", "model.layers.*.self_attn.k_proj.weight", { .pairs = true } },
    NAMED("layers.*.attention.wv.weight", "model.layers.*.self_attn.v_proj.weight"),
    NAMED("layers.*.attention.wo.weight", "model.layers.*.self_attn.o_proj.weight"),
    NAMED("layers.*.feed_forward.w1.weight", "model.layers.*.mlp.gate_proj.weight"),
    NAMED("layers.*.feed_forward.w2.weight", "model.layers.*.mlp.down_proj.weight"),
    NAMED("layers.*.feed_forward.w3.weight", "model.layers.*.mlp.up_proj.weight"),
    NAMED("rope.freqs", NULL),
    { 0 }
};

/* InternLM2's: q, k and v are rows of one matrix, those of each group together. */
#define GROUPED(ours, i) { "layers.*.attention.wqkv.@", "model.layers.*.self_attn." ours ".@", { .part = i, .parts = 3, .grouped = true } }
static const naming_rule INTERN[] = {
    NAMED("model.@", "@"),
    NAMED("tok_embeddings.weight", "model.embed_tokens.weight"), NAMED("norm.weight", "model.norm.weight"), NAMED("output.weight", "lm_head.weight"),
    NAMED("layers.*.attention_norm.weight", "model.layers.*.input_layernorm.weight"),
    NAMED("layers.*.ffn_norm.weight", "model.layers.*.post_attention_layernorm.weight"),
    GROUPED("q_proj", 0), GROUPED("k_proj", 1), GROUPED("v_proj", 2),
    NAMED("layers.*.attention.wo.@", "model.layers.*.self_attn.o_proj.@"),
    NAMED("layers.*.feed_forward.w1.weight", "model.layers.*.mlp.gate_proj.weight"),
    NAMED("layers.*.feed_forward.w2.weight", "model.layers.*.mlp.down_proj.weight"),
    NAMED("layers.*.feed_forward.w3.weight", "model.layers.*.mlp.up_proj.weight"),
    NAMED("@rotary_emb.inv_freq", NULL),
    { 0 }
};

const naming names_internlm2 = { .mark = "@layers.0.attention.wqkv.weight", .rules = INTERN };

const naming names_llama_meta = { .mark = "@layers.0.attention.wq.weight", .rules = META };
