/* The slots that this width replaces in the table. */
#include "kernels/vector/vector.h"

void LEVEL(kernels)(kernels *k)
{
    k->name = VW == 16 ? "avx512" : VW == 8 ? "avx2" : "neon";
    k->gemm = LEVEL(gemm);
    k->column_sum = LEVEL(column_sum);
    k->gather = LEVEL(gather);
    k->widen = LEVEL(widen);
    k->scatter = LEVEL(scatter);
    k->put_rows = LEVEL(put_rows);
    k->copy = LEVEL(copy);
    k->sum = LEVEL(sum);
    k->act = LEVEL(act);
    k->act_backward = LEVEL(act_backward);
    k->glu = LEVEL(glu);
    k->glu_backward = LEVEL(glu_backward);
    k->series = LEVEL(series);
    k->series_backward = LEVEL(series_backward);
    k->scale = LEVEL(scale);
    k->lerp = LEVEL(lerp);
    k->lerp_backward = LEVEL(lerp_backward);
    k->dropout = LEVEL(dropout);
    k->layer_norm = LEVEL(layer_norm);
    k->layer_norm_backward = LEVEL(layer_norm_backward);
    k->rms_norm = LEVEL(rms_norm);
    k->rms_norm_backward = LEVEL(rms_norm_backward);
    k->rope = LEVEL(rope);
    k->attention = LEVEL(attention);
    k->attention_backward = LEVEL(attention_backward);
    k->theta = LEVEL(theta);
    k->theta_backward = LEVEL(theta_backward);
    k->token_shift = LEVEL(token_shift);
    k->token_shift_backward = LEVEL(token_shift_backward);
    k->wkv4 = LEVEL(wkv4);
    k->wkv4_backward = LEVEL(wkv4_backward);
    k->wkv6 = LEVEL(wkv6);
    k->wkv6_backward = LEVEL(wkv6_backward);
    k->wkv7_keys = LEVEL(wkv7_keys);
    k->wkv7_keys_backward = LEVEL(wkv7_keys_backward);
    k->wkv7 = LEVEL(wkv7);
    k->wkv7_backward = LEVEL(wkv7_backward);
    k->wkv7_read = LEVEL(wkv7_read);
    k->wkv7_read_backward = LEVEL(wkv7_read_backward);
    k->cross_entropy = LEVEL(cross_entropy);
    k->largest = LEVEL(largest);
    k->adamw = LEVEL(adamw);
    k->sum_of_squares = LEVEL(sum_of_squares);
}
