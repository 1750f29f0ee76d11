/* The plain kernels, by name: they define each slot in C.  A faster level may
 * call one where it has nothing better. */
#ifndef KERNELS_REF_H
#define KERNELS_REF_H

#include "kernels/kernels.h"

void   ref_gemm(const gemm_args *g);
void   ref_gemm_blocks(const gemm_args *g);
void   ref_finish(const gemm_args *g, int m, int n, real y);         /* what follows the sum y of products at (m, n) */
size_t ref_gemm_pack_bytes(compute_type type, int K, int N);
void   ref_gemm_pack(void *packed, compute_type type, stored b, size_t ldb, bool tb, int K, int N);
void   ref_column_sum(real *y, bool add, const real *x, size_t ldx, int rows, int width);

void ref_gather(real *y, bool add, stored table, const int *index, int rows, int width);
void ref_widen(real *y, stored x, size_t n);
/* To f32, f16, or blocks of a type that is written. */
void ref_narrow(void *y, stored_type type, const real *x, size_t n);
real ref_number(stored x, size_t i);                         /* the i-th number of x */
void ref_pool(real *y, const real *x, const int *start, pooling how, int seqs, int width);
void ref_pool_backward(real *dx, bool add, const real *dy, const int *start, pooling how, int seqs, int width);
void ref_largest(exact *value, int *index, const real *x, int rows, int width);
void ref_correct(exact *right, const real *logits, const int *target, const real *weight, int rows, int vocab);
void ref_squared_error(exact *loss, real *dx, bool add, const real *x, const real *value, real scale, int rows);
void ref_scatter(real *dtable, bool add, const real *dy, const int *index, int rows, int width, int table_rows);
void ref_put_rows(void *dst, stored_type type, size_t dst_stride, const int *index, const real *src, size_t src_stride, int rows, int width);

void ref_copy(real *y, bool add, const real *x, size_t n);
void ref_sum(real *y, const real *a, const real *b, size_t n);
void ref_act(real *y, const real *x, activation act, size_t n);
void ref_act_backward(real *dx, bool add, const real *dy, const real *x, activation act, size_t n);
void ref_glu(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width);
void ref_glu_backward(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                      const real *gate, const real *up, size_t stride, activation act, int rows, int width);
void ref_series(const series_args *a);
void ref_series_backward(const series_args *a);
void ref_scale(real *y, bool add, const real *x, real factor, size_t n);
void ref_lerp(real *y, const real *a, const real *b, const real *m, size_t n);
void ref_lerp_backward(real *da, bool add_a, real *db, bool add_b, real *dm, bool add_m, const real *dy,
                       const real *a, const real *b, const real *m, size_t n);
void ref_dropout(real *y, bool add, const real *x, real p, const uint64_t *row_key, uint64_t layer_key, int rows, int width);

void ref_layer_norm(real *y, exact *mean, exact *rstd, const real *x, const real *w, const real *b, real eps, int rows, int width);
void ref_layer_norm_backward(real *dx, bool add, real *dw, real *db, bool add_param, const real *dy, const real *x,
                             const real *w, const exact *mean, const exact *rstd, int rows, int width);
void ref_rms_norm(real *y, exact *rstd, const real *x, const real *w, real eps, int rows, int width);
void ref_rms_norm_backward(real *dx, bool add, real *dw, bool add_param, const real *dy, const real *x,
                           const real *w, const exact *rstd, int rows, int width);

void ref_rope(real *y, bool add, const real *x, const exact *table, const int *pos, bool inverse,
              int rows, int heads, int rotated, int head_dim, int rotary);
void ref_attention(const attention_args *a);
void ref_attention_backward(const attention_args *a);

void ref_theta(real *s, exact *stat, const real *a, theta_kind kind, real tau2, int rows, int n);
void ref_theta_backward(real *da, const real *ds, const real *a, const exact *stat, theta_kind kind, real tau2, int rows, int n);
void ref_token_shift(const token_shift_args *a);
void ref_token_shift_backward(const token_shift_args *a);
void ref_wkv4(const wkv4_args *a);
void ref_wkv4_backward(const wkv4_args *a);
void ref_wkv6(const wkv6_args *a);
void ref_wkv6_backward(const wkv6_args *a);
void ref_wkv7_keys(const wkv7_keys_args *a);
void ref_wkv7_keys_backward(const wkv7_keys_args *a);
void ref_wkv7(const wkv7_args *a);
void ref_wkv7_backward(const wkv7_args *a);
void ref_wkv7_read(const wkv7_read_args *a);
void ref_wkv7_read_backward(const wkv7_read_args *a);
void ref_cross_entropy(real *logits, exact *loss, const int *target, const real *weight, bool backward, real scale,
                       int rows, int vocab);

void   ref_adamw(real *w, real *m, real *v, const real *g, size_t n, const adamw_args *a);
double ref_sum_of_squares(const real *x, size_t n);

#endif
