/* The series activation: a sum of activations of one number, each with a scale,
 * a bias and a gain of its own for each channel, times a partner where it gates. */
#include "kernels/ref/ref.h"

typedef struct { real value, slope, gain; } branch;

/* Branch i of channel c at u. */
static branch branch_at(const series_args *a, int i, int c, real u)
{
    size_t at = (size_t)i * (size_t)a->width + (size_t)c;
    real z = a->scale[at] * u + a->bias[at];
    return (branch){ (real)act_value(a->act[i], (double)z), (real)act_slope(a->act[i], (double)z), a->gain ? a->gain[at] : 1 };
}

void ref_series(const series_args *a)
{
    for (int r = 0; r < a->rows; r++)
        for (int c = 0; c < a->width; c++) {
            size_t at = (size_t)r * (size_t)a->width + (size_t)c;
            real sum = 0;
            for (int i = 0; i < a->n; i++) {
                branch b = branch_at(a, i, c, a->u[at]);
                /* One branch of scale 1 is the activation, bit for bit. */
                sum = i ? sum + b.gain * b.value : b.gain * b.value;
            }
            a->y[at] = a->v ? sum * a->v[at] : sum;
        }
}

static void put(real *d, bool add, size_t at, real value)
{
    if (d) d[at] = add ? d[at] + value : value;
}

/* Channel c of du and dv. */
static void input_gradients(const series_args *a, int c)
{
    for (int r = 0; r < a->rows; r++) {
        size_t at = (size_t)r * (size_t)a->width + (size_t)c;
        real value = 0, slope = 0;
        for (int i = 0; i < a->n; i++) {
            branch b = branch_at(a, i, c, a->u[at]);
            real rise = b.gain * a->scale[(size_t)i * (size_t)a->width + (size_t)c] * b.slope;
            value = i ? value + b.gain * b.value : b.gain * b.value;
            slope = i ? slope + rise : rise;
        }
        put(a->du, a->add_du, at, a->dy[at] * (a->v ? a->v[at] : 1) * slope);
        put(a->dv, a->add_dv, at, a->dy[at] * value);
    }
}

/* Sums over the rows: channel c of branch i. */
static void branch_gradients(const series_args *a, int i, int c)
{
    exact scale = 0, bias = 0, gain = 0;
    for (int r = 0; r < a->rows; r++) {
        size_t at = (size_t)r * (size_t)a->width + (size_t)c;
        real q = a->dy[at] * (a->v ? a->v[at] : 1);
        branch b = branch_at(a, i, c, a->u[at]);
        scale += q * b.gain * b.slope * a->u[at];
        bias += q * b.gain * b.slope;
        gain += q * b.value;
    }
    size_t at = (size_t)i * (size_t)a->width + (size_t)c;
    put(a->dscale, a->add_dscale, at, (real)scale);
    put(a->dbias, a->add_dbias, at, (real)bias);
    put(a->dgain, a->add_dgain, at, (real)gain);
}

void ref_series_backward(const series_args *a)
{
    for (int c = 0; c < a->width; c++) {
        input_gradients(a, c);
        for (int i = 0; i < a->n; i++) branch_gradients(a, i, c);
    }
}
