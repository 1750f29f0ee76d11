/* How an architecture file writes its table of fields: one line for each key of
 * config.json, which is called as the member of the struct CONFIG that it fills.
 *
 *     #define CONFIG gpt2
 *     static const field fields[] = { INT(n_layer, 12, LAYERS), REAL(attn_pdrop, 0.1, RATE), ..., { 0 } }; */
#ifndef ARCH_FIELDS_H
#define ARCH_FIELDS_H

#include "arch/arch.h"
#include <stddef.h>

/* Of the struct S, for a struct that begins with it too.  What follows the preset are bounds. */
#define FIELD_OF(S, member, ...)           { .key = #member, .offset = offsetof(S, member), __VA_ARGS__ }
#define INT_OF(S, member, preset, ...)     FIELD_OF(S, member, .kind = FIELD_INT, .value = preset, __VA_ARGS__)
#define REAL_OF(S, member, preset, ...)    FIELD_OF(S, member, .kind = FIELD_REAL, .value = preset, __VA_ARGS__)
#define BOOL_OF(S, member, preset)         FIELD_OF(S, member, .kind = FIELD_BOOL, .value = preset)
/* the first is the preset */
#define CHOICE_OF(S, member, words)        FIELD_OF(S, member, .kind = FIELD_CHOICE, .choices = words)
#define ACTIVATION_OF(S, member, preset)   FIELD_OF(S, member, .kind = FIELD_CHOICE, .value = preset)

#define REALS_OF(S, member, most_)         FIELD_OF(S, member, .kind = FIELD_REALS, .most = most_)

#define INT(member, preset, ...)           INT_OF(CONFIG, member, preset, __VA_ARGS__)
#define REAL(member, preset, ...)          REAL_OF(CONFIG, member, preset, __VA_ARGS__)
#define BOOL(member, preset)               BOOL_OF(CONFIG, member, preset)
#define CHOICE(member, words)              CHOICE_OF(CONFIG, member, words)
#define ACTIVATION(member, preset)         ACTIVATION_OF(CONFIG, member, preset)
#define CHOICES(member, most_, words)      FIELD_OF(CONFIG, member, .kind = FIELD_CHOICES, .most = most_, .choices = words)
#define ACTIVATIONS_UP_TO(member, most_)   FIELD_OF(CONFIG, member, .kind = FIELD_CHOICES, .most = most_)

/* In the order of theta_kind. */
#define THETA_CHOICES "l2_norm_gelu|gelu_l2_norm|softmax"

/* Bounds. */
#define VOCABULARY .least = 1, .most = 1 << 24
#define LENGTH     .least = 1, .most = 1 << 24         /* of a sequence */
#define POSITIONS  .least = 1, .most = 1 << 20         /* rows of a table of positions */
#define WIDTH      .least = 1, .most = 1 << 16
#define INNER      .least = 1, .most = 1 << 20         /* of a feed-forward; slots */
#define LAYERS     .least = 0, .most = 1024            /* without any, the head reads the embedding */
#define ENCODER_LAYERS .least = 1, .most = 1024
#define HEADS      .least = 1, .most = 1 << 14
#define CHANNELS   .least = 1, .most = 4096            /* of a head */
#define PIXELS     .least = 1, .most = 4096
#define RATE       .least = 0, .most = 0.99            /* of dropout */
#define EPSILON    .least = 0, .most = 1
#define DEVIATION  .least = 0, .most = 10              /* of initial values */
#define ROPE_BASE  .least = 1, .most = 1e12
#define TAU2       .least = 1, .most = 1 << 24         /* 0: the number of slots */

#endif
