/* Matrix products with B in blocks, stored (N,K): the definition that every level keeps to the bit.
 *
 * A row of A is rounded to 8 bits, block by block, as long as B's: with `most` the largest |x| of the block,
 *   scale_a = most / 127,  q_a[i] = x[i] * (127 / most) to the nearest even integer.
 * Blocks below 2^-100 are zeros.  With B's block taken apart (blocks.h), integer sums over it are exact,
 *   I = sum over runs of factor sum(q q_a),  S = sum over runs of share sum(q_a),
 * and C's element is a chain over the blocks, ascending from zero, in fp32:
 *   c = fma(I, scale scale_a, c), then where the type has a base  c = fma(S, base scale_a, c).
 * So it depends neither on the width of registers nor on the rows beside it. */
#include "base/threads.h"
#include "kernels/blocks.h"
#include "kernels/half.h"
#include "kernels/ref/ref.h"
#include <assert.h>
#include <math.h>

typedef struct { float scale; int8_t q[MOST_BLOCK]; } rounded;          /* a block of a row of A */
_Static_assert(sizeof(rounded) * (LONGEST_IN_BLOCKS / 32) <= THREAD_SCRATCH_BYTES, "scratch");

static void round_block(const real *x, int n, rounded *out)
{
    uint32_t bits = 0;                                                  /* of the largest; a NaN is above everything */
    for (int i = 0; i < n; i++) {
        uint32_t b = bits_of_float((float)x[i]) & 0x7fffffff;
        bits = b > bits ? b : bits;
    }
    float most = float_of_bits(bits);
    bool finite = bits < 0x7f800000, zero = most < 0x1p-100f;
    out->scale = zero ? 0 : most / 127;
    float steps = finite && !zero ? 127 / most : 0;
    for (int i = 0; i < n; i++) out->q[i] = steps > 0 ? (int8_t)lrintf((float)x[i] * steps) : 0;
}

static float add_block(float c, const rounded *a, const block_parts *b, const stored_format *f, bool has_base)
{
    int I = 0, S = 0;
    for (int r = 0; r < f->block / f->run; r++) {
        int products = 0, sum = 0;
        for (int i = r * f->run; i < (r + 1) * f->run; i++) products += b->q[i] * a->q[i], sum += a->q[i];
        I += b->factor[r] * products;
        S += b->share[r] * sum;
    }
    c = fmaf((float)I, b->scale * a->scale, c);
    return has_base ? fmaf((float)S, b->base * a->scale, c) : c;
}

static void row_of_blocks(void *context, int m)
{
    const gemm_args *g = context;
    const stored_format *f = &stored_formats[g->b.type];
    rounded *a = thread_scratch();
    block_parts b;
    int blocks = g->K / f->block;
    for (int k = 0; k < blocks; k++) round_block(g->a + (size_t)m * g->lda + (size_t)(k * f->block), f->block, &a[k]);
    for (int n = 0; n < g->N; n++) {
        const uint8_t *column = (const uint8_t *)g->b.data + (size_t)n * stored_bytes(g->b.type, g->ldb);
        float c = 0;
        for (int k = 0; k < blocks; k++) {
            f->parts(column + (size_t)k * f->bytes, &b);
            c = add_block(c, &a[k], &b, f, f->has_base);
        }
        ref_finish(g, m, n, (real)c);
    }
}

void ref_gemm_blocks(const gemm_args *g)
{
    gemm_args copy = *g;
    assert(g->tb && !g->ta && g->K <= LONGEST_IN_BLOCKS && g->K % stored_formats[g->b.type].block == 0);
    parallel_for(g->M, row_of_blocks, &copy);
}
