/* Activations and gated linear units.  Exact GELU is x Phi(x); the tanh form is
 * its approximation (Hendrycks & Gimpel 2016); centred, it is less 1/(2 sqrt(pi)),
 * its mean under a standard normal x; SiLU is x sigmoid(x); squared ReLU is
 * max(x, 0)^2 (So et al. 2021).  The slope is the derivative at x. */
#include "kernels/ref/ref.h"
#include <math.h>

#define SQRT1_2    0.70710678118654752440      /* 1 / sqrt(2) */
#define SQRT2_PI   0.79788456080286535588      /* sqrt(2 / pi) */
#define SQRT1_2PI  0.39894228040143267794      /* 1 / sqrt(2 pi) */
#define GELU_MEAN  0.28209479177387814347      /* 1 / (2 sqrt(pi)) */
#define TANH_CUBIC 0.044715

static double value_of(activation act, double x)
{
    switch (act) {
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(SQRT2_PI * (x + TANH_CUBIC * x * x * x)));
    case ACT_GELU_ERF:  return 0.5 * x * erfc(-SQRT1_2 * x);
    case ACT_SILU:      return x / (1 + exp(-x));
    case ACT_RELU:      return x < 0 ? 0 : x;
    case ACT_RELU_SQUARED: return x < 0 ? 0 : x * x;
    case ACT_SIGMOID:   return 1 / (1 + exp(-x));
    case ACT_TANH:      return tanh(x);
    case ACT_GELU_CENTRED: return 0.5 * x * erfc(-SQRT1_2 * x) - GELU_MEAN;
    default:            return x;
    }
}

static double slope_of(activation act, double x)
{
    switch (act) {
    case ACT_GELU_TANH: {
        double t = tanh(SQRT2_PI * (x + TANH_CUBIC * x * x * x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT2_PI * (1 + 3 * TANH_CUBIC * x * x);
    }
    case ACT_GELU_ERF: case ACT_GELU_CENTRED:
        return 0.5 * erfc(-SQRT1_2 * x) + x * SQRT1_2PI * exp(-0.5 * x * x);
    case ACT_SILU: {
        double s = 1 / (1 + exp(-x));
        return s * (1 + x * (1 - s));
    }
    case ACT_RELU: return x > 0;
    case ACT_RELU_SQUARED: return x > 0 ? 2 * x : 0;
    case ACT_SIGMOID: {
        double s = 1 / (1 + exp(-x));
        return s * (1 - s);
    }
    case ACT_TANH: {
        double t = tanh(x);
        return 1 - t * t;
    }
    default:       return 1;
    }
}

real act_value(activation act, real x) { return (real)value_of(act, (double)x); }
real act_slope(activation act, real x) { return (real)slope_of(act, (double)x); }

void ref_act(real *y, const real *x, activation act, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = act_value(act, x[i]);
}

void ref_act_backward(real *dx, bool add, const real *dy, const real *x, activation act, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        real d = dy[i] * act_slope(act, x[i]);
        dx[i] = add ? dx[i] + d : d;
    }
}

void ref_glu(real *y, const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    for (int r = 0; r < rows; r++, y += width, gate += stride, up += stride)
        for (int i = 0; i < width; i++) y[i] = act_value(act, gate[i]) * up[i];
}

void ref_glu_backward(real *dgate, bool add_gate, real *dup, bool add_up, const real *dy,
                      const real *gate, const real *up, size_t stride, activation act, int rows, int width)
{
    for (int r = 0; r < rows; r++, dy += width, gate += stride, up += stride, dgate += stride, dup += stride)
        for (int i = 0; i < width; i++) {
            real dg = dy[i] * up[i] * act_slope(act, gate[i]);
            real du = dy[i] * act_value(act, gate[i]);
            dgate[i] = add_gate ? dgate[i] + dg : dg;
            dup[i]   = add_up   ? dup[i] + du : du;
        }
}
