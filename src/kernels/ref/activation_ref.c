/* Activations and gated linear units. */
#include "kernels/ref/ref.h"

static real value(activation act, real x) { return (real)act_value(act, (double)x); }
static real slope(activation act, real x) { return (real)act_slope(act, (double)x); }

void ref_act(real *y, const real *x, activation act, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = value(act, x[i]);
}

void ref_act_backward(real *dx, bool add, const real *dy, const real *x, activation act, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        real d = dy[i] * slope(act, x[i]);
        dx[i] = add ? dx[i] + d : d;
    }
}

void ref_glu(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    for (int r = 0; r < rows; r++, y += width, gate += stride, up += stride)
        for (int i = 0; i < width; i++) y[i] = value(act, gate[i]) * up[i];
}

void ref_glu_backward(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                      const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    for (int r = 0; r < rows; r++, dy += width, gate += stride, up += stride, dgate += stride, dup += stride)
        for (int i = 0; i < width; i++) {
            real dg = dy[i] * up[i] * slope(act, gate[i]);
            real du = dy[i] * value(act, gate[i]);
            dgate[i] = add_gate ? dgate[i] + dg : dg;
            dup[i]   = add_up   ? dup[i] + du : du;
        }
}
