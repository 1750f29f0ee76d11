/* Rotary position embedding.  Su et al. 2021, "RoFormer", section 3.2; pairs
 * (i, i + dims/2) of each head as GPT-NeoX and Hugging Face store them.  The
 * rotation is orthogonal up to a factor: its backward is the inverse rotation, by
 * the same factor. */
#include "ops/ops.h"
#include <math.h>

enum { DIMS, HEADS, ROTATED };

static const double PI = 3.14159265358979323846;

/* What a table depends on, besides its width, which is the number of rotated channels of a head. */
enum { BASE, SCALING, FACTOR, LOW, HIGH, ORIGINAL, ATTENTION, EXACT, FACTORS };

/* Llama 3's smooth mix of stretched and unstretched frequencies (reference configuration's low/high_freq_factor). */
static double llama3(double frequency, const double args[TABLE_ARGS])
{
    const double factor = args[FACTOR], low = args[LOW], high = args[HIGH], original = args[ORIGINAL], wavelength = 2 * PI / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    double s = (original / wavelength - low) / (high - low);
    return (1 - s) * frequency / factor + s * frequency;
}

/* YaRN (Peng et al. 2023): pairs that turn often within the original context keep their frequency, those that turn
 * seldom are stretched, and between them is a ramp over the pairs. */
static double yarn(double frequency, int i, int dims, const double args[TABLE_ARGS])
{
    const double per_turn = dims / (2 * log(args[BASE])), turns = args[ORIGINAL] / (2 * PI);
    double first = per_turn * log(turns / args[HIGH]), last = per_turn * log(turns / args[LOW]);
    if (!(args[EXACT] > 0)) { first = floor(first); last = ceil(last); }
    first = fmax(first, 0);
    last = fmin(last, dims - 1);
    if (!(last > first) && !(last < first)) last += 0.001;
    const double ramp = fmin(fmax((i - first) / (last - first), 0), 1);
    return frequency / args[FACTOR] * ramp + frequency * (1 - ramp);
}

static double scaled(double frequency, int i, int dims, const double args[TABLE_ARGS])
{
    switch ((rope_scaling)args[SCALING]) {
    case ROPE_LINEAR: return frequency / args[FACTOR];
    case ROPE_LLAMA3: return llama3(frequency, args);
    case ROPE_YARN:   return yarn(frequency, i, dims, args);
    case ROPE_LONG:   return frequency / args[FACTORS + i];
    default:          return frequency;
    }
}

static void fill_table(exact *table, int rows, int dims, const double args[TABLE_ARGS])
{
    const int half = dims / 2;
    const rope_scaling scaling = (rope_scaling)args[SCALING];
    const double size = scaling == ROPE_YARN || scaling == ROPE_LONG ? args[ATTENTION] : 1;
    for (int i = 0; i < half; i++) {
        double frequency = scaled(pow(args[BASE], -2.0 * i / dims), i, dims, args);
        for (int t = 0; t < rows; t++) {
            table[(size_t)t * (size_t)dims + (size_t)i] = (exact)(size * cos(t * frequency));
            table[(size_t)t * (size_t)dims + (size_t)(half + i)] = (exact)(size * sin(t * frequency));
        }
    }
}

rope_angles rope_table(graph *g, rope_options o)
{
    const rope_angles none = { 0 };
    if (!graph_ok(g) || !o.dims) return none;
    const graph_options *settings = graph_settings(g);
    int positions = settings->mode == GRAPH_DECODE ? settings->context : settings->capacity[ROWS_TOKENS];
    if (!require(g, o.dims > 0 && o.dims % 2 == 0, "rope: %d channels of a head are no pairs", o.dims)) return none;
    const int pairs = o.scaling == ROPE_LONG ? o.dims / 2 : 0;
    if (!require(g, pairs <= ROPE_FACTORS && (!pairs || o.factors), "rope: factors of %d pairs", pairs)) return none;
    double args[TABLE_ARGS] = { [BASE] = o.base, [SCALING] = o.scaling, [FACTOR] = o.factor, [LOW] = o.low, [HIGH] = o.high, [ORIGINAL] = o.original,
                                        [ATTENTION] = o.attention, [EXACT] = o.exact };
    for (int i = 0; i < pairs; i++) args[FACTORS + i] = o.factors[i];
    const exact *table = graph_table(g, fill_table, positions, o.dims, args);
    return table ? (rope_angles){ table, o.dims } : none;
}

static void forward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    k->rope(out_data(n, 0), false, in_data(n, 0), n->data, run_batch(n)->pos, false,
            live_rows(y), n->i[HEADS], n->i[ROTATED], y->width / n->i[HEADS], n->i[DIMS]);
}

static void backward(const node *n, const kernels *k)
{
    const tensor *y = n->out[0];
    bool join;
    real *dx = grad_in(n, 0, &join);
    if (dx) k->rope(dx, join && dx != grad_out(n, 0), grad_out(n, 0), n->data, run_batch(n)->pos, true,
                    live_rows(y), n->i[HEADS], n->i[ROTATED], y->width / n->i[HEADS], n->i[DIMS]);
}

static const op op_rope = { .name = "rope", .forward = forward, .backward = backward, .in_place = true };

tensor *rope_first(graph *g, tensor *x, rope_angles a, int heads, int rotated)
{
    if (!graph_ok(g) || !a.dims) return graph_ok(g) ? x : NULL;
    require(g, heads > 0 && x->width % heads == 0 && a.dims <= x->width / heads, "rope: %d channels of %d heads in a width of %d", a.dims, heads, x->width);
    node *n = append(g, &op_rope, (tensor *[]){ x }, 1);
    if (!n) return NULL;
    n->data = a.table;
    n->i[DIMS] = a.dims;
    n->i[HEADS] = heads;
    n->i[ROTATED] = rotated;
    return output(n, 0, x->space, x->rows, x->width);
}

tensor *rope(graph *g, tensor *x, rope_angles a, int heads) { return rope_first(g, x, a, heads, heads); }
tensor *rope_fused(graph *g, tensor *qkv, rope_angles a, int heads) { return rope_first(g, qkv, a, 3 * heads, 2 * heads); }
