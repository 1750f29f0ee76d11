/* The names of RWKV's tensors.  Ours are those of the authors' .pth files,
 * "blocks.0.att.key.weight", with a prefix if a trainer wrapped
 * the model.  Hugging Face's "rwkv" has "rwkv.blocks.0.attention.key.weight",
 * flash-linear-attention's "rwkv7" has "model.layers.0.attn.k_proj.weight" and
 * transposed low-rank matrices.  rwkv.cpp keeps the authors' names and
 * stores what its kernels need:
 *   4   time_decay is -exp(ours)
 *   5   time_decay is exp(-exp(ours)), time_first exp(ours); heads have a third dimension
 *   6   time_maa_w1, time_decay_w1, _w2 are (out,in), time_maa_w2 likewise for each of five
 *   7   six mixes are one x_rwkvag, matrices of low rank are (out,in) */
#include "files/naming.h"
#include "files/rwkv_files.h"
#include <math.h>

/* Programs differ in dimensions of size one. */
#define LOOSELY(theirs, ours) { theirs, ours, { .shape = SHAPE_ANY } }
#define LOOSE(name)           LOOSELY(name, name)

static const naming_rule AUTHORS[] = {
    NAMED("_forward_module.@", "@"), NAMED("module.@", "@"), NAMED("model.@", "@"), NAMED("rwkv.@", "@"),
    LOOSE("blocks.*.att.@"), LOOSE("blocks.*.ffn.@"),
    { 0 }
};

static const naming_rule HUGGING_FACE[] = {
    NAMED("rwkv.embeddings.@", "emb.@"), NAMED("rwkv.ln_out.@", "ln_out.@"), NAMED("head.@", "head.@"),
    NAMED("rwkv.blocks.*.pre_ln.@", "blocks.*.ln0.@"),
    LOOSELY("rwkv.blocks.*.attention.time_mix_key", "blocks.*.att.time_mix_k"),
    LOOSELY("rwkv.blocks.*.attention.time_mix_value", "blocks.*.att.time_mix_v"),
    LOOSELY("rwkv.blocks.*.attention.time_mix_receptance", "blocks.*.att.time_mix_r"),
    LOOSELY("rwkv.blocks.*.attention.time_mix_gate", "blocks.*.att.time_mix_g"),
    LOOSELY("rwkv.blocks.*.attention.@", "blocks.*.att.@"),
    LOOSELY("rwkv.blocks.*.feed_forward.time_mix_key", "blocks.*.ffn.time_mix_k"),
    LOOSELY("rwkv.blocks.*.feed_forward.time_mix_receptance", "blocks.*.ffn.time_mix_r"),
    LOOSELY("rwkv.blocks.*.feed_forward.@", "blocks.*.ffn.@"),
    NAMED("rwkv.blocks.*.@", "blocks.*.@"),
    { 0 }
};

#define FLAT(theirs, ours)   { theirs, ours, { .shape = SHAPE_FLAT } }
#define TRANSPOSED(theirs, ours) { theirs, ours, { .transposed = true } }
#define LOW_RANK(x) TRANSPOSED("model.layers.*.attn." x "_lora.lora.0.weight", "blocks.*.att." x "1"), \
                    TRANSPOSED("model.layers.*.attn." x "_lora.lora.2.weight", "blocks.*.att." x "2"), \
                    FLAT("model.layers.*.attn." x "_lora.lora.2.bias", "blocks.*.att." x "0")

#define FLASH_NAMES \
    NAMED("model.embeddings.@", "emb.@"), NAMED("model.norm.@", "ln_out.@"), NAMED("lm_head.@", "head.@"), \
    NAMED("model.layers.*.pre_norm.@", "blocks.*.ln0.@"), NAMED("model.layers.*.attn_norm.@", "blocks.*.ln1.@"), \
    NAMED("model.layers.*.ffn_norm.@", "blocks.*.ln2.@"), NAMED("model.layers.*.attn.g_norm.@", "blocks.*.att.ln_x.@"), \
    NAMED("model.layers.*.attn.r_proj.@", "blocks.*.att.receptance.@"), NAMED("model.layers.*.attn.k_proj.@", "blocks.*.att.key.@"), \
    NAMED("model.layers.*.attn.v_proj.@", "blocks.*.att.value.@"), NAMED("model.layers.*.attn.o_proj.@", "blocks.*.att.output.@"), \
    LOW_RANK("w"), LOW_RANK("a"), LOW_RANK("v"), LOW_RANK("g"), \
    FLAT("model.layers.*.attn.k_k", "blocks.*.att.k_k"), FLAT("model.layers.*.attn.k_a", "blocks.*.att.k_a"), \
    FLAT("model.layers.*.ffn.x_k", "blocks.*.ffn.x_k"), \
    LOOSELY("model.layers.*.attn.@", "blocks.*.att.@"), LOOSELY("model.layers.*.ffn.@", "blocks.*.ffn.@")

/* Its first layout keeps the six mixes of a layer as one tensor (6, C). */
#define FLASH_MIX(x, i) { "model.layers.*.attn.x_x", "blocks.*.att.x_" x, { .shape = SHAPE_ANY, .part = i, .parts = 6 } }
static const naming_rule FLASH_FIRST[] = {
    FLASH_MIX("r", 0), FLASH_MIX("w", 1), FLASH_MIX("k", 2), FLASH_MIX("v", 3), FLASH_MIX("a", 4), FLASH_MIX("g", 5),
    FLASH_NAMES, { 0 }
};
static const naming_rule FLASH[] = { FLASH_NAMES, { 0 } };

/* ---- rwkv.cpp ------------------------------------------------------------------------ */

static double four_ours(double x)    { return log(fmax(-x, 1e-45)); }
static double four_theirs(double x)  { return -exp(x); }
static double five_ours(double x)    { return log(fmax(-log(fmin(fmax(x, 1e-45), 1 - 1e-10)), 1e-45)); }
static double five_theirs(double x)  { return exp(-exp(x)); }
static double first_ours(double x)   { return log(fmax(x, 1e-45)); }

static const value_rule FOUR_DECAY = { four_ours, four_theirs, -INFINITY, 0, "-exp(...), which is negative" };
static const value_rule FIVE_DECAY = { five_ours, five_theirs, 0, 1, "exp(-exp(...)), which lies between 0 and 1" };
static const value_rule FIVE_FIRST = { first_ours, exp, 0, INFINITY, "exp(...), which is positive" };

#define SAME(name, ...)  { name, name, { __VA_ARGS__ } }
#define VECTORS(stem)    SAME("blocks.*.att." stem "@", .shape = SHAPE_FLAT), SAME("blocks.*.ffn." stem "@", .shape = SHAPE_FLAT)

static const naming_rule RUNTIME_4[] = {
    SAME("blocks.*.att.time_decay", .shape = SHAPE_FLAT, .values = &FOUR_DECAY),
    VECTORS("time_"),
    LOOSE("blocks.*.att.@"), LOOSE("blocks.*.ffn.@"),
    { 0 }
};

static const naming_rule RUNTIME_5[] = {
    SAME("blocks.*.att.time_decay", .shape = SHAPE_HEADS, .values = &FIVE_DECAY),
    SAME("blocks.*.att.time_first", .shape = SHAPE_HEADS, .values = &FIVE_FIRST),
    SAME("blocks.*.att.time_faaaa", .shape = SHAPE_HEADS),
    VECTORS("time_"),
    LOOSE("blocks.*.att.@"), LOOSE("blocks.*.ffn.@"),
    { 0 }
};

static const naming_rule RUNTIME_6[] = {
    SAME("blocks.*.att.time_decay", .shape = SHAPE_HEADS, .like = "blocks.*.att.time_faaaa"),
    SAME("blocks.*.att.time_faaaa", .shape = SHAPE_HEADS),
    SAME("blocks.*.att.time_maa_w1", .transposed = true), SAME("blocks.*.att.time_maa_w2", .transposed = true),
    SAME("blocks.*.att.time_decay_w1", .transposed = true), SAME("blocks.*.att.time_decay_w2", .transposed = true),
    VECTORS("time_"),
    LOOSE("blocks.*.att.@"), LOOSE("blocks.*.ffn.@"),
    { 0 }
};

#define MIX(x, i)    { "blocks.*.att.x_rwkvag", "blocks.*.att.x_" x, { .shape = SHAPE_ANY, .part = i, .parts = 6 } }
#define TRANSPOSED_7(x)  SAME("blocks.*.att." x "1", .transposed = true), SAME("blocks.*.att." x "2", .transposed = true)

static const naming_rule RUNTIME_7[] = {
    MIX("r", 0), MIX("w", 1), MIX("k", 2), MIX("v", 3), MIX("a", 4), MIX("g", 5),
    TRANSPOSED_7("w"), TRANSPOSED_7("a"), TRANSPOSED_7("v"), TRANSPOSED_7("g"),
    LOOSE("blocks.*.att.@"), LOOSE("blocks.*.ffn.@"),
    { 0 }
};

/* ---- tables --------------------------------------------------------------------------- */

#define RUNTIME(n, mark_name) const naming names_rwkvcpp_##n = { .format = "rwkv.cpp", .mark = mark_name, .rules = RUNTIME_##n, .config = rwkv_config }
RUNTIME(7, "blocks.0.att.r_k");
RUNTIME(6, "blocks.0.att.time_maa_x");
RUNTIME(5, "blocks.0.att.ln_x.weight");
RUNTIME(4, "blocks.0.ln0.weight");
const naming names_rwkv_hf = { .mark = "rwkv.embeddings.weight", .rules = HUGGING_FACE, .kept = &names_rwkv_hf, .config = rwkv_config };
const naming names_rwkv_flash = { .mark = "model.layers.0.attn.r_k", .rules = FLASH, .kept = &names_rwkv_flash, .config = rwkv_config };
const naming names_rwkv_flash_first = { .mark = "model.layers.0.attn.x_x", .rules = FLASH_FIRST, .kept = &names_rwkv_flash, .config = rwkv_config };
const naming names_rwkv = { .mark = "@blocks.0.ln0.weight", .rules = AUTHORS, .config = rwkv_config };
