/* The plain table: every slot, on every machine, in float or double. */
#include "kernels/ref/ref.h"

void kernels_ref(kernels *k)
{
    *k = (kernels){
        .name = "ref",
        .gemm = ref_gemm,
        .gemm_pack_bytes = ref_gemm_pack_bytes,
        .gemm_pack = ref_gemm_pack,
        .column_sum = ref_column_sum,
        .gather = ref_gather,
        .scatter = ref_scatter,
        .put_rows = ref_put_rows,
        .copy = ref_copy,
        .sum = ref_sum,
        .act = ref_act,
        .act_backward = ref_act_backward,
        .glu = ref_glu,
        .glu_backward = ref_glu_backward,
        .dropout = ref_dropout,
        .layer_norm = ref_layer_norm,
        .layer_norm_backward = ref_layer_norm_backward,
        .rms_norm = ref_rms_norm,
        .rms_norm_backward = ref_rms_norm_backward,
        .rope = ref_rope,
        .attention = ref_attention,
        .attention_backward = ref_attention_backward,
        .theta = ref_theta,
        .theta_backward = ref_theta_backward,
        .token_shift = ref_token_shift,
        .token_shift_backward = ref_token_shift_backward,
        .wkv4 = ref_wkv4,
        .wkv4_backward = ref_wkv4_backward,
        .cross_entropy = ref_cross_entropy,
        .adamw = ref_adamw,
        .sum_of_squares = ref_sum_of_squares,
    };
}
