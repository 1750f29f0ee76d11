/* The vector kernels, by name: LEVEL(gemm) is gemm_neon, gemm_avx2 or gemm_avx512.  The slot of the
 * same name in kernels.h defines each of them. */
#ifndef VECTOR_VECTOR_H
#define VECTOR_VECTOR_H

#include "kernels/vector/vec.h"

void LEVEL(gemm)(const gemm_args *g);
void LEVEL(gemm_blocks)(const gemm_args *g);                 /* with B in blocks */
void LEVEL(column_sum)(real *y, bool add, const real *x, size_t ldx, int rows, int width);

void LEVEL(gather)(real *y, bool add, stored table, const int *index, int rows, int width);
void LEVEL(widen)(real *y, stored x, size_t n);
void LEVEL(scatter)(real *dtable, bool add, const real *dy, const int *index, int rows, int width, int table_rows);
void LEVEL(put_rows)(void *dst, stored_type type, size_t dst_stride, const int *index, const real *src, size_t src_stride, int rows, int width);

void LEVEL(copy)(real *y, bool add, const real *x, size_t n);
void LEVEL(sum)(real *y, const real *a, const real *b, size_t n);
void LEVEL(act)(real *y, const real *x, activation act, size_t n);
void LEVEL(act_backward)(real *dx, bool add, const real *dy, const real *x, activation act, size_t n);
void LEVEL(glu)(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width);
void LEVEL(glu_backward)(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                         const real *gate, const real *up, size_t stride, activation act, int rows, int width);
void LEVEL(series)(const series_args *a);
void LEVEL(series_backward)(const series_args *a);
void LEVEL(scale)(real *y, bool add, const real *x, real factor, size_t n);
void LEVEL(lerp)(real *y, const real *a, const real *b, const real *m, size_t n);
void LEVEL(lerp_backward)(real *da, bool add_a, real *db, bool add_b, real *dm, bool add_m, const real *dy,
                          const real *a, const real *b, const real *m, size_t n);
void LEVEL(dropout)(real *y, bool add, const real *x, real p, const uint64_t *row_key, uint64_t layer_key, int rows, int width);

void LEVEL(layer_norm)(real *y, exact *mean, exact *rstd, const real *x, const real *w, const real *b, real eps, int rows, int width);
void LEVEL(layer_norm_backward)(real *dx, bool add, real *dw, real *db, bool add_param, const real *dy, const real *x,
                                const real *w, const exact *mean, const exact *rstd, int rows, int width);
void LEVEL(rms_norm)(real *y, exact *rstd, const real *x, const real *w, real eps, int rows, int width);
void LEVEL(rms_norm_backward)(real *dx, bool add, real *dw, bool add_param, const real *dy, const real *x,
                              const real *w, const exact *rstd, int rows, int width);
void LEVEL(rope)(real *y, bool add, const real *x, const exact *table, const int *pos, bool inverse,
                 int rows, int heads, int rotated, int head_dim, int rotary);

void LEVEL(attention)(const attention_args *a);
void LEVEL(attention_backward)(const attention_args *a);
void LEVEL(theta)(real *s, exact *stat, const real *a, theta_kind kind, real tau2, int rows, int n);
void LEVEL(theta_backward)(real *da, const real *ds, const real *a, const exact *stat, theta_kind kind, real tau2, int rows, int n);
void LEVEL(token_shift)(const token_shift_args *a);
void LEVEL(token_shift_backward)(const token_shift_args *a);
void LEVEL(wkv4)(const wkv4_args *a);
void LEVEL(wkv4_backward)(const wkv4_args *a);
void LEVEL(wkv6)(const wkv6_args *a);
void LEVEL(wkv6_backward)(const wkv6_args *a);
void LEVEL(wkv7_keys)(const wkv7_keys_args *a);
void LEVEL(wkv7_keys_backward)(const wkv7_keys_args *a);
void LEVEL(wkv7)(const wkv7_args *a);
void LEVEL(wkv7_backward)(const wkv7_args *a);
void LEVEL(wkv7_read)(const wkv7_read_args *a);
void LEVEL(wkv7_read_backward)(const wkv7_read_args *a);
void LEVEL(largest)(exact *value, int *index, const real *x, int rows, int width);
void LEVEL(cross_entropy)(real *logits, exact *loss, const int *target, const real *weight, bool backward, real scale,
                          int rows, int vocab);

void   LEVEL(adamw)(real *w, real *m, real *v, const real *g, size_t n, const adamw_args *a);
double LEVEL(sum_of_squares)(const real *x, size_t n);

#endif
