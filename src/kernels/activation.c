/* The value and the slope of each activation.  Exact GELU is x Phi(x); the tanh form is
 * its approximation (Hendrycks & Gimpel 2016); centred GELU is GELU minus 1/(2 sqrt(pi)),
 * its mean under a standard normal x; SiLU is x sigmoid(x); squared ReLU is
 * max(x, 0)^2 (So et al. 2021). */
#include "kernels/activation.h"
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SQRT1_2    0.70710678118654752440      /* 1 / sqrt(2) */
#define SQRT2_PI   0.79788456080286535588      /* sqrt(2 / pi) */
#define SQRT1_2PI  0.39894228040143267794      /* 1 / sqrt(2 pi) */
#define GELU_MEAN  0.28209479177387814347      /* 1 / (2 sqrt(pi)) */
#define TANH_CUBIC 0.044715

static double identity_value(double x) { return x; }
static double identity_slope(double x) { (void)x; return 1; }

static double gelu_tanh_value(double x) { return 0.5 * x * (1 + tanh(SQRT2_PI * (x + TANH_CUBIC * x * x * x))); }
static double gelu_tanh_slope(double x)
{
    double t = tanh(SQRT2_PI * (x + TANH_CUBIC * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT2_PI * (1 + 3 * TANH_CUBIC * x * x);
}

static double gelu_erf_value(double x) { return 0.5 * x * erfc(-SQRT1_2 * x); }
static double gelu_erf_slope(double x) { return 0.5 * erfc(-SQRT1_2 * x) + x * SQRT1_2PI * exp(-0.5 * x * x); }

static double gelu_centred_value(double x) { return gelu_erf_value(x) - GELU_MEAN; }
static double gelu_centred_slope(double x) { return gelu_erf_slope(x); }

static double sigmoid_value(double x) { return 1 / (1 + exp(-x)); }
static double sigmoid_slope(double x) { double s = sigmoid_value(x); return s * (1 - s); }

static double silu_value(double x) { return x / (1 + exp(-x)); }
static double silu_slope(double x) { double s = sigmoid_value(x); return s * (1 + x * (1 - s)); }

static double relu_value(double x) { return x < 0 ? 0 : x; }
static double relu_slope(double x) { return x > 0; }

static double relu_squared_value(double x) { return x < 0 ? 0 : x * x; }
static double relu_squared_slope(double x) { return x > 0 ? 2 * x : 0; }

static double tanh_value(double x) { return tanh(x); }
static double tanh_slope(double x) { double t = tanh(x); return 1 - t * t; }

#define ROW(constant, functions, name, others) { functions##_value, functions##_slope, name, others },
static const struct { double (*value)(double), (*slope)(double); const char *name, *others; } activations[ACT_COUNT] = { ACTIVATIONS(ROW) };

double act_value(activation act, double x) { return activations[act].value(x); }
double act_slope(activation act, double x) { return activations[act].slope(x); }

#define BAR_NAME(constant, functions, name, others) "|" name
static const char barred[] = ACTIVATIONS(BAR_NAME);
const char *const activation_names = barred + 1;
const char *activation_name(activation act) { return activations[act].name; }

static bool among(const char *words, const char *word, size_t length)
{
    for (size_t n; *words; words += n + (words[n] == '|')) {
        n = strcspn(words, "|");
        if (n == length && !memcmp(words, word, n)) return true;
    }
    return false;
}

int activation_find(const char *name, size_t length)
{
    for (int i = 0; i < ACT_COUNT; i++)
        if (among(activations[i].name, name, length) || among(activations[i].others, name, length)) return i;
    return -1;
}
