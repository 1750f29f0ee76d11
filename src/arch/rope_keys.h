/* How config.json says that rotary positions are scaled: rope_scaling {type | rope_type, factor, ...} in older files,
 * rope_parameters {rope_type, rope_theta, ...} in newer ones. */
#ifndef ARCH_ROPE_KEYS_H
#define ARCH_ROPE_KEYS_H

#include "arch/fields.h"
#include "ops/ops.h"

/* The struct S has an int lithe_rope_type (rope_scaling of ops.h) and an int lithe_rope_exact, a double
 * lithe_rope_factors[ROPE_FACTORS] and a double for each of the others. */
#define ROPE_FIELDS_OF(S) \
    CHOICE_OF(S, lithe_rope_type, "default|linear|llama3|yarn|dynamic|longrope"), REAL_OF(S, lithe_rope_factor, 1, .least = 1e-3, .most = 1e6), \
    REAL_OF(S, lithe_rope_low, 1, .least = 1e-6, .most = 1e6), REAL_OF(S, lithe_rope_high, 4, .least = 1e-6, .most = 1e6), \
    REAL_OF(S, lithe_rope_original, 8192, .least = 1, .most = 1e9), REAL_OF(S, lithe_rope_attention, 1, .least = 1e-3, .most = 1e3), \
    BOOL_OF(S, lithe_rope_exact, 0), REALS_OF(S, lithe_rope_factors, ROPE_FACTORS)
/* What such a struct says of it; dims and base are left to the caller. */
#define ROPE_OPTIONS_OF(c) .scaling = (rope_scaling)(c)->lithe_rope_type, .factor = (c)->lithe_rope_factor, .low = (c)->lithe_rope_low, .high = (c)->lithe_rope_high, \
    .original = (c)->lithe_rope_original, .attention = (c)->lithe_rope_attention, .exact = (c)->lithe_rope_exact, .factors = (c)->lithe_rope_factors

/* Brings the keys of those objects to the ones above and to `base`, the key of the angles' base, and refuses others;
 * and writes both objects again, where `more` (borrowed, or NULL) joins rope_parameters.  Publishing fails (negative)
 * when memory is out. */
int  rope_normalize(json_t *config, const char *base, lithe_error *err);
/* Refuses an object that says more than the base of plain rotation. */
int  rope_check_plain(const json_t *keys, const char *what, lithe_error *err);
int  rope_publish(json_t *config, const char *base, const json_t *more);

/* LongRoPE has factors for texts up to the original length and others for longer ones: `lithe_long_context` true in
 * config.json asks for the latter.  The longest text, of one of max. */
int  rope_context(rope_scaling scaling, double original, bool beyond, int most);
/* Refuses factors that are not one for each of the pairs. */
int  rope_check_factors(rope_scaling scaling, const double *factors, int channels, lithe_error *err);

/* config[ours] = from[theirs], where that is neither absent nor null. */
void bring_key(json_t *config, const char *ours, const json_t *from, const char *theirs);

#endif
