/* The activations.  A new one needs a line here, its value and slope in
 * activation.c, and the same for a vector in vector/vec_math.h; if one of these is
 * missing, the compiler names it. */
#ifndef KERNELS_ACTIVATION_H
#define KERNELS_ACTIVATION_H

#include <stddef.h>

/* EACH(constant, functions, name in configuration files, other spellings there) */
#define ACTIVATIONS(EACH)                                                          \
    EACH(NONE,         identity,     "linear",   "")                               \
    EACH(GELU_TANH,    gelu_tanh,    "gelu_new", "gelu_pytorch_tanh|gelu_fast")    \
    EACH(GELU_ERF,     gelu_erf,     "gelu",     "")                               \
    EACH(SILU,         silu,         "silu",     "swish")                          \
    EACH(RELU,         relu,         "relu",     "")                               \
    EACH(RELU_SQUARED, relu_squared, "relu2",    "sqrelu")                         \
    EACH(SIGMOID,      sigmoid,      "sigmoid",  "")                               \
    EACH(TANH,         tanh,         "tanh",     "")                               \
    EACH(GELU_CENTRED, gelu_centred, "gelu0",    "")

#define CONSTANT(constant, functions, name, others) ACT_##constant,
typedef enum { ACTIVATIONS(CONSTANT) ACT_COUNT } activation;
#undef CONSTANT

extern const char *const activation_names;                          /* "a|b|c" */
const char *activation_name(activation act);
int         activation_find(const char *name, size_t length);  /* by its name or another spelling; -1: there is none */

/* The value at one number, in double, with which the activations of kernels are compared. */
double act_value(activation act, double x);
double act_slope(activation act, double x);                          /* the derivative */

#endif
