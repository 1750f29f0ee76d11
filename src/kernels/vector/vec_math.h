/* Elementary functions on registers, good to about 1e-7 relative.  The
 * polynomials are minimax fits in relative error, summed in pairs (Estrin), since the
 * length of a chain is what bounds their speed.  An activation is computed
 * here and nowhere else at these levels, so that a matrix product's epilogue and
 * the elementwise kernel give the same bytes. */
#ifndef VECTOR_VEC_MATH_H
#define VECTOR_VEC_MATH_H

#include "kernels/vector/vec.h"

/* 2^n e^r with |r| <= ln(2)/2, e^r = 1 + r + r^2 q(r) to 3e-9.  0 below -104,
 * infinity above 88.8, NaN for NaN. */
INLINE vec vexp(vec x)
{
    x = vmin(vset1(105.0f), vmax(vset1(-105.0f), x));
    vec whole = vset1(12582912.0f);                         /* 1.5 2^23: adding it rounds to a whole number */
    vec n = vsub(vfma(x, vset1(1.44269504f), whole), whole);
    vec r = vfnma(n, vset1(0.693145752f), x);               /* ln(2) in two parts, the first exact times n */
    r = vfnma(n, vset1(1.42860677e-6f), r);
    vec r2 = vmul(r, r);
    vec q = vfma(vset1(0.1666652113199234f), r, vset1(0.4999999403953552f));
    vec high = vfma(vset1(0.001381459878757596f), r2, vfma(vset1(0.008368716575205326f), r, vset1(0.04166838899254799f)));
    q = vfma(high, r2, q);
    return vscale2(vadd(vfma(q, r2, r), vset1(1.0f)), n);
}

/* Both from e = exp(-|x|), which neither overflows nor cancels: s, and its slope s (1 - s). */
INLINE vec vsigmoid(vec x)
{
    vec e = vexp(vneg(vabs(x))), d = vdiv(vset1(1.0f), vadd(vset1(1.0f), e));
    return vmul(d, vselect(vless(x, vzero()), e, vset1(1.0f)));
}

INLINE vec vsigmoid_slope(vec x)
{
    vec e = vexp(vneg(vabs(x))), d = vdiv(vset1(1.0f), vadd(vset1(1.0f), e));
    return vmul(vmul(e, d), d);
}

/* (1 - e) / (1 + e), e = exp(-2|x|), with the sign of x; near 0, where that cancels, x - x^3/3 + 2x^5/15 -
 * 17x^7/315. */
INLINE vec vtanh(vec x)
{
    vec e = vexp(vmul(vset1(-2.0f), vabs(x))), far = vdiv(vsub(vset1(1.0f), e), vadd(vset1(1.0f), e));
    vec x2 = vmul(x, x), p = vfma(vset1(-0.053968254f), x2, vset1(0.13333333f));
    vec near = vmul(x, vfma(vfma(p, x2, vset1(-0.33333333f)), x2, vset1(1.0f)));
    return vselect(vless(vabs(x), vset1(0.125f)), near, vselect(vless(x, vzero()), vneg(far), far));
}

INLINE vec vnormal_density(vec x) { return vmul(vset1(0.398942280f), vexp(vmul(vset1(-0.5f), vmul(x, x)))); }

/* The upper tail 1 - Phi(|x|), Phi(x) = (1 + erf(x / sqrt 2)) / 2.  It is exp(-x^2/2) w P(w)
 * with w = 1 / (1 + 0.3 |x|), P fitted to 3.5e-9, so that it is good relative to itself. */
INLINE vec vnormal_tail(vec x)
{
    vec w = vdiv(vset1(1.0f), vfma(vset1(0.3f), vabs(x), vset1(1.0f)));
    vec w2 = vmul(w, w), w4 = vmul(w2, w2);
    vec low = vfma(vfma(vset1(0.0784255986198346f), w, vset1(0.11022731969505911f)), w2, vfma(vset1(0.11957284173982427f), w, vset1(0.119686634062666f)));
    vec high = vfma(vfma(vset1(-0.22806743874569774f), w, vset1(0.19158158866325017f)), w2, vfma(vset1(-0.07924724678151307f), w, vset1(0.09605777690092457f)));
    vec top = vfma(vset1(-0.020612824159882654f), w, vset1(0.1123757482817785f));
    vec p = vfma(vfma(top, w4, high), w4, low);
    return vmul(vmul(p, w), vexp(vmul(vset1(-0.5f), vmul(x, x))));
}

INLINE vec vnormal_cdf(vec x)
{
    vec tail = vnormal_tail(x);
    return vselect(vless(x, vzero()), tail, vsub(vset1(1.0f), tail));
}

/* The tanh form of GELU is x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3). */
INLINE vec vgelu_tanh_gate(vec x)
{
    vec x2 = vmul(x, x);
    return vsigmoid(vmul(x, vfma(x2, vset1(0.0713548162726f), vset1(1.59576912161f))));
}

/* ---- activations: value and slope of each ------------------------------------ */

INLINE vec videntity_value(vec x) { return x; }
INLINE vec videntity_slope(vec x) { (void)x; return vset1(1.0f); }

INLINE vec vgelu_tanh_value(vec x) { return vmul(x, vgelu_tanh_gate(x)); }
INLINE vec vgelu_tanh_slope(vec x)
{
    x = vmin(vset1(20.0f), vmax(vset1(-20.0f), x));         /* beyond, the slope is 0 or 1, and x^2 may overflow */
    vec x2 = vmul(x, x);
    vec u = vmul(x, vfma(x2, vset1(0.0713548162726f), vset1(1.59576912161f)));
    vec du = vfma(x2, vset1(0.2140644488178f), vset1(1.59576912161f));
    return vfma(vmul(x, du), vsigmoid_slope(u), vsigmoid(u));
}

/* x Phi(x), rounded once where x > 0 */
INLINE vec vgelu_erf_value(vec x) { return vfnma(vabs(x), vnormal_tail(x), vmax(vzero(), x)); }
INLINE vec vgelu_erf_slope(vec x) { return vfma(x, vnormal_density(x), vnormal_cdf(x)); }

/* less its mean, 1/(2 sqrt(pi)) */
INLINE vec vgelu_centred_value(vec x) { return vsub(vgelu_erf_value(x), vset1(0.282094792f)); }
INLINE vec vgelu_centred_slope(vec x) { return vgelu_erf_slope(x); }

INLINE vec vsilu_value(vec x) { return vmul(x, vsigmoid(x)); }
INLINE vec vsilu_slope(vec x) { return vfma(x, vsigmoid_slope(x), vsigmoid(x)); }

INLINE vec vrelu_value(vec x) { return vmax(vzero(), x); }
INLINE vec vrelu_slope(vec x) { return vselect(vless(vzero(), x), vset1(1.0f), vzero()); }

INLINE vec vrelu_squared_value(vec x) { return vmul(vmax(vzero(), x), x); }
INLINE vec vrelu_squared_slope(vec x) { return vadd(vmax(vzero(), x), vmax(vzero(), x)); }

INLINE vec vsigmoid_value(vec x) { return vsigmoid(x); }

INLINE vec vtanh_value(vec x) { return vtanh(x); }
INLINE vec vtanh_slope(vec x) { return vmul(vset1(4.0f), vsigmoid_slope(vadd(x, x))); }

#define VALUE(constant, functions, name, others) case ACT_##constant: return v##functions##_value(x);
#define SLOPE(constant, functions, name, others) case ACT_##constant: return v##functions##_slope(x);

INLINE vec vact(activation act, vec x)
{
    switch (act) { ACTIVATIONS(VALUE) case ACT_COUNT: break; }
    __builtin_unreachable();
}

INLINE vec vact_slope(activation act, vec x)
{
    switch (act) { ACTIVATIONS(SLOPE) case ACT_COUNT: break; }
    __builtin_unreachable();
}

#undef VALUE
#undef SLOPE

#endif
