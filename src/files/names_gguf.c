/* The names of tensors in GGUF files, which are those of llama.cpp, and what its
 * converter makes of the authors' tensors:
 *   llama        RoPE pairs of a head are adjacent rows of q and k, as in Meta's files
 *   gpt2         matrices are (out,in)
 *   gptneox      q, k and v of all heads lie one after the other
 *   rwkv6, 7     matrices of low rank are (out,in), five or six mixes are one tensor
 *   rwkv6        output and value matrices may be divided by 2^(layer / rescale_every_n_layers)
 * What llama.cpp has no name for keeps ours, after "lithe.". */
#include "files/gguf_config.h"
#include "files/naming.h"

/* ---- decoders ----------------------------------------------------------------------------- */

#define LLAMA_RULES(pairs_) \
    NAMED("token_embd.@", "model.embed_tokens.@"), NAMED("output_norm.@", "model.norm.@"), NAMED("output.@", "lm_head.@"), \
    NAMED("blk.*.attn_norm.@", "model.layers.*.input_layernorm.@"), NAMED("blk.*.ffn_norm.@", "model.layers.*.post_attention_layernorm.@"), \
    { "blk.*.attn_q.@", "model.layers.*.self_attn.q_proj.@", { .pairs = pairs_ } }, { "blk.*.attn_k.@", "model.layers.*.self_attn.k_proj.@", { .pairs = pairs_ } }, \
    NAMED("blk.*.attn_v.@", "model.layers.*.self_attn.v_proj.@"), NAMED("blk.*.attn_output.@", "model.layers.*.self_attn.o_proj.@"), \
    NAMED("blk.*.ffn_gate.@", "model.layers.*.mlp.gate_proj.@"), NAMED("blk.*.ffn_up.@", "model.layers.*.mlp.up_proj.@"), \
    NAMED("blk.*.ffn_down.@", "model.layers.*.mlp.down_proj.@"), \
    NAMED("rope_freqs.weight", NULL), NAMED("blk.*.attn_rot_embd", NULL), NAMED("lithe.score.weight", "score.weight"), { 0 }

static const naming_rule LLAMA[] = { LLAMA_RULES(true) };
static const naming_rule QWEN2[] = { LLAMA_RULES(false) };

static const naming_rule QWEN3[] = {
    NAMED("blk.*.attn_q_norm.@", "model.layers.*.self_attn.q_norm.@"), NAMED("blk.*.attn_k_norm.@", "model.layers.*.self_attn.k_norm.@"), LLAMA_RULES(false)
};

#define TURNED(theirs, ours) { theirs, ours, { .transposed = true } }

static const naming_rule GPT2[] = {
    NAMED("token_embd.@", "wte.@"), NAMED("position_embd.@", "wpe.@"), NAMED("output_norm.@", "ln_f.@"), NAMED("output.@", "lm_head.@"),
    NAMED("blk.*.attn_norm.@", "h.*.ln_1.@"), NAMED("blk.*.ffn_norm.@", "h.*.ln_2.@"),
    TURNED("blk.*.attn_qkv.@", "h.*.attn.c_attn.@"), TURNED("blk.*.attn_output.@", "h.*.attn.c_proj.@"),
    TURNED("blk.*.ffn_up.@", "h.*.mlp.c_fc.@"), TURNED("blk.*.ffn_down.@", "h.*.mlp.c_proj.@"),
    NAMED("lithe.score.weight", "score.weight"),
    { 0 }
};

#define NEOX "gpt_neox.layers.*."
static const naming_rule GPTNEOX[] = {
    NAMED("token_embd.@", "gpt_neox.embed_in.@"), NAMED("output_norm.@", "gpt_neox.final_layer_norm.@"), NAMED("output.@", "embed_out.@"),
    NAMED("blk.*.attn_norm.@", NEOX "input_layernorm.@"), NAMED("blk.*.ffn_norm.@", NEOX "post_attention_layernorm.@"),
    { "blk.*.attn_qkv.@", NEOX "attention.query_key_value.@", { .parted = true } }, NAMED("blk.*.attn_output.@", NEOX "attention.dense.@"),
    NAMED("blk.*.ffn_up.@", NEOX "mlp.dense_h_to_4h.@"), NAMED("blk.*.ffn_down.@", NEOX "mlp.dense_4h_to_h.@"),
    NAMED("lithe.score.weight", "score.weight"),
    { 0 }
};

/* ---- encoders ----------------------------------------------------------------------------- */

#define BERT_LAYER "encoder.layer.*."
#define PART(theirs, ours, i) { theirs, ours, { .part = i, .parts = 3 } }
static const naming_rule BERT[] = {
    NAMED("token_embd.@", "embeddings.word_embeddings.@"), NAMED("position_embd.@", "embeddings.position_embeddings.@"),
    NAMED("token_types.@", "embeddings.token_type_embeddings.@"), NAMED("token_embd_norm.@", "embeddings.LayerNorm.@"),
    NAMED("blk.*.attn_q.@", BERT_LAYER "attention.self.query.@"), NAMED("blk.*.attn_k.@", BERT_LAYER "attention.self.key.@"),
    NAMED("blk.*.attn_v.@", BERT_LAYER "attention.self.value.@"),
    PART("blk.*.attn_qkv.@", BERT_LAYER "attention.self.query.@", 0), PART("blk.*.attn_qkv.@", BERT_LAYER "attention.self.key.@", 1),
    PART("blk.*.attn_qkv.@", BERT_LAYER "attention.self.value.@", 2),
    NAMED("blk.*.attn_output.@", BERT_LAYER "attention.output.dense.@"), NAMED("blk.*.attn_output_norm.@", BERT_LAYER "attention.output.LayerNorm.@"),
    NAMED("blk.*.ffn_up.@", BERT_LAYER "intermediate.dense.@"), NAMED("blk.*.ffn_down.@", BERT_LAYER "output.dense.@"),
    NAMED("blk.*.layer_output_norm.@", BERT_LAYER "output.LayerNorm.@"),
    NAMED("cls.output.@", "classifier.@"), NAMED("cls.weight", "pooler.dense.weight"), NAMED("cls.bias", "pooler.dense.bias"),
    NAMED("lithe.cls.@", "cls.@"), NAMED("lithe.qa_outputs.@", "qa_outputs.@"),
    { 0 }
};

static const naming_rule MODERN_BERT[] = {
    NAMED("token_embd.@", "embeddings.tok_embeddings.@"), NAMED("token_embd_norm.@", "embeddings.norm.@"), NAMED("output_norm.@", "final_norm.@"),
    NAMED("blk.*.attn_norm.@", "layers.*.attn_norm.@"), NAMED("blk.*.ffn_norm.@", "layers.*.mlp_norm.@"),
    NAMED("blk.*.attn_qkv.@", "layers.*.attn.Wqkv.@"), NAMED("blk.*.attn_output.@", "layers.*.attn.Wo.@"),
    NAMED("blk.*.ffn_up.@", "layers.*.mlp.Wi.@"), NAMED("blk.*.ffn_down.@", "layers.*.mlp.Wo.@"),
    NAMED("cls.output.@", "classifier.@"), NAMED("cls.norm.@", "head.norm.@"), NAMED("cls.weight", "head.dense.weight"), NAMED("cls.bias", "head.dense.bias"),
    NAMED("lithe.decoder.@", "decoder.@"),
    { 0 }
};

/* ---- RWKV --------------------------------------------------------------------------------- */

#define RWKV_RULES \
    NAMED("token_embd.@", "emb.@"), NAMED("token_embd_norm.@", "blocks.0.ln0.@"), NAMED("output_norm.@", "ln_out.@"), NAMED("output.@", "head.@"), \
    NAMED("blk.*.attn_norm.@", "blocks.*.ln1.@"), NAMED("blk.*.attn_norm_2.@", "blocks.*.ln2.@"), NAMED("blk.*.time_mix_ln.@", "blocks.*.att.ln_x.@"), \
    NAMED("blk.*.time_mix_key.@", "blocks.*.att.key.@"), NAMED("blk.*.time_mix_value.@", "blocks.*.att.value.@"), \
    NAMED("blk.*.time_mix_receptance.@", "blocks.*.att.receptance.@"), NAMED("blk.*.channel_mix_key.@", "blocks.*.ffn.key.@")

#define FLAT(theirs, ours)       { "blk.*." theirs ".weight", "blocks.*." ours, { .shape = SHAPE_FLAT } }
#define LOW_RANK(theirs, ours)   TURNED("blk.*." theirs ".weight", "blocks.*." ours)
#define MIX(ours, i, n)          { "blk.*.time_mix_lerp_fused.weight", "blocks.*.att." ours, { .shape = SHAPE_STACKED, .part = i, .parts = n } }
#define RESCALED(theirs, ours)   { "blk.*." theirs ".weight", "blocks.*." ours ".weight", { .rescaled = true } }

static const naming_rule RWKV6[] = {
    RWKV_RULES,
    NAMED("blk.*.time_mix_gate.@", "blocks.*.att.gate.@"), NAMED("blk.*.channel_mix_receptance.@", "blocks.*.ffn.receptance.@"),
    RESCALED("time_mix_output", "att.output"), RESCALED("channel_mix_value", "ffn.value"),
    MIX("time_maa_w", 0, 5), MIX("time_maa_k", 1, 5), MIX("time_maa_v", 2, 5), MIX("time_maa_r", 3, 5), MIX("time_maa_g", 4, 5),
    FLAT("time_mix_lerp_w", "att.time_maa_w"), FLAT("time_mix_lerp_k", "att.time_maa_k"), FLAT("time_mix_lerp_v", "att.time_maa_v"),
    FLAT("time_mix_lerp_r", "att.time_maa_r"), FLAT("time_mix_lerp_g", "att.time_maa_g"),
    FLAT("time_mix_lerp_x", "att.time_maa_x"), LOW_RANK("time_mix_w1", "att.time_maa_w1"), LOW_RANK("time_mix_w2", "att.time_maa_w2"),
    FLAT("time_mix_decay", "att.time_decay"), LOW_RANK("time_mix_decay_w1", "att.time_decay_w1"), LOW_RANK("time_mix_decay_w2", "att.time_decay_w2"),
    { "blk.*.time_mix_first.weight", "blocks.*.att.time_faaaa", { .shape = SHAPE_ANY } },
    FLAT("channel_mix_lerp_k", "ffn.time_maa_k"), FLAT("channel_mix_lerp_r", "ffn.time_maa_r"),
    { 0 }
};

#define RANKS(x) FLAT("time_mix_" x "0", "att." x "0"), LOW_RANK("time_mix_" x "1", "att." x "1"), LOW_RANK("time_mix_" x "2", "att." x "2")
static const naming_rule RWKV7[] = {
    RWKV_RULES,
    NAMED("blk.*.time_mix_output.@", "blocks.*.att.output.@"), NAMED("blk.*.channel_mix_value.@", "blocks.*.ffn.value.@"),
    MIX("x_r", 0, 6), MIX("x_w", 1, 6), MIX("x_k", 2, 6), MIX("x_v", 3, 6), MIX("x_a", 4, 6), MIX("x_g", 5, 6),
    RANKS("w"), RANKS("a"), RANKS("v"), LOW_RANK("time_mix_g1", "att.g1"), LOW_RANK("time_mix_g2", "att.g2"),
    FLAT("time_mix_k_k", "att.k_k"), FLAT("time_mix_k_a", "att.k_a"), FLAT("time_mix_r_k", "att.r_k"), FLAT("channel_mix_lerp_k", "ffn.x_k"),
    { 0 }
};

/* ---- tables ------------------------------------------------------------------------------- */

/* Blocks lie along the slots of Pattention's values. */
static const naming_rule OWN[] = { TURNED("@value_param_tokens", "@value_param_tokens"), { 0 } };

#define GGUF(name_, architecture_, rules_) const naming names_gguf_##name_ = { .format = "gguf", .architecture = architecture_, .rules = rules_, .config = gguf_config }
GGUF(llama, "llama", LLAMA);
GGUF(qwen2, "qwen2", QWEN2);
GGUF(qwen3, "qwen3", QWEN3);
GGUF(gpt2, "gpt2", GPT2);
GGUF(gptneox, "gptneox", GPTNEOX);
GGUF(bert, "bert", BERT);
GGUF(modern_bert, "modern-bert", MODERN_BERT);
GGUF(rwkv6, "rwkv6", RWKV6);
GGUF(rwkv7, "rwkv7", RWKV7);
const naming names_gguf = { .format = "gguf", .rules = OWN, .config = gguf_config };
