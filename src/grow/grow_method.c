/* The methods of growing: which one is taken, and what a growth by it says about outputs and about copies. */
#include "grow/grow.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* For methods that are about slots or change the outputs: what becomes of the outputs, and what makes the entries that
 * they add differ from one another in training. */
static const struct { const char *says, *symmetry; } methods[METHODS] = {
    [METHOD_DUPLICATE] = { "", "" },
    [METHOD_CLONE]     = { "", "" },
    [METHOD_CORNER]    = { "the old matrices in the corner of fresh ones", "everything new is fresh" },
    [METHOD_STACK]     = { "the stack of layers is repeated on top of itself", "copies of layers stand at other depths" },
    [METHOD_INTERPOLATE] = { "each layer is followed by copies of itself", "copies of layers stand at other depths" },
    [METHOD_AKI]       = { "repeated heads and inner units come from the layer above", "repeated units come from another layer, but those of the last layer stay equal" },
    [METHOD_A] = { "new keys are zero and the old scale is kept in config.json", "the values of new slots begin fresh" },
    [METHOD_B] = { "sign-flipped copies of all keys, new values zero", "new values begin at 0, or fresh with the sum 0 where keys are equal" },
    [METHOD_C] = { "new keys with the old ones' Gram matrix, new values zero", "new keys are random mixtures of the old ones" },
    [METHOD_D] = { "every slot copied, its value shared out", "the shares of a value differ in sign" },
    [METHOD_E] = { "new keys are zero, old values rescaled", "the values of new slots begin fresh" },
    [METHOD_F] = { "fresh slots, as the released code grows", "everything new is fresh" },
};

/* ---- choosing --------------------------------------------------------------------- */

const char *lithe_grow_method(int i) { return i >= 0 && i < METHODS ? method_name((method)i) : NULL; }

/* The method for slots when none is asked for: chosen by measurement (docs/growing.md). */
static method usual_of_slots(const growth *g)
{
    const char *theta = json_string_value(json_object_get(g->before, "norm_activation_type"));
    if (!theta || !strcmp(theta, "l2_norm_gelu")) return METHOD_C;
    return strcmp(theta, "gelu_l2_norm") ? METHOD_D : g->options.portable ? METHOD_E : METHOD_A;
}

static int named_method(const growth *g, const char *name, method *out, lithe_error *err)
{
    int i = 0;
    while (i < METHODS && strcasecmp(name, method_name((method)i))) i++;
    if (i == METHODS)
        return fail(err, LITHE_EINVAL, "%s is no method of growing: A, B, C, D, E, F, duplicate, clone, corner, stack, interpolate, aki", name);
    *out = (method)i;
    if (g->options.portable && *out == METHOD_A && has_slots(g))
        return fail(err, LITHE_EINVAL, "method A keeps a scale that other readers do not know: leave the method out for a portable model, or take C (l2_norm_gelu), D or E (gelu_l2_norm)");
    if (of_slots(*out) && !has_slots(g))
        return fail(err, LITHE_EINVAL, "method %s appends parameter tokens, of which a %s has none; take duplicate, clone, corner, stack, interpolate or aki", name, g->arch->name);
    return LITHE_OK;
}

int choose_method(growth *g, lithe_error *err)
{
    if (g->options.vocabulary) return LITHE_OK;
    if (g->options.method) return named_method(g, g->options.method, &g->method, err);
    g->method = has_slots(g) ? usual_of_slots(g) : METHOD_DUPLICATE;
    return LITHE_OK;
}

/* ---- what grows --------------------------------------------------------------------- */

/* Which kinds of sizes differ between the two configurations. */
typedef struct { bool slots, width, units, depth, parts; } changes;

static bool grows(const growth *g, const char *key, int absent) { return key && config_int(g->config, key, absent) > config_int(g->before, key, absent); }

static changes changes_of(const growth *g)
{
    const arch *a = g->arch;
    int inner = axis_size(g->small, AXIS_INNER), bottleneck = axis_size(g->small, AXIS_BOTTLENECK), heads = config_int(g->before, a->growth.keys.heads, 1);
    changes c = { .width = grows(g, a->growth.keys.width, 1), .depth = grows(g, a->growth.keys.layers, 0), .parts = g->adds };
    c.units = grows(g, a->growth.keys.heads, 1) || grows(g, a->growth.keys.kv_heads, heads) || grows(g, a->growth.keys.inner, inner) || grows(g, a->growth.keys.bottleneck, bottleneck);
    for (const slot_group *s = a->growth.slots; s && s->slots_key; s++) c.slots |= slots_used(g, s) && grows(g, s->slots_key, 0);
    return c;
}

/* A method that has nothing to do here does what the usual one does. */
static bool idle(method m, changes c)
{
    if (of_slots(m)) return !c.slots;
    if (repeats_layers(m)) return !c.depth;
    return m == METHOD_AKI ? !c.units : m == METHOD_CORNER || m == METHOD_CLONE ? !c.units && !c.width : false;
}

/* What the method is about. */
static const char *subject(method m)
{
    if (of_slots(m)) return "parameter tokens";
    if (repeats_layers(m)) return "layers";
    return m == METHOD_AKI ? "heads and inner units" : "width, heads and inner units";
}

int settle_method(growth *g, lithe_error *err)
{
    changes c = changes_of(g);
    const bool wanted = g->options.method && g->method != METHOD_DUPLICATE;
    if (idle(g->method, c) && wanted)
        return fail(err, LITHE_EINVAL, "method %s is for %s, of which this growth adds none: leave the method out", method_name(g->method), subject(g->method));
    if (c.depth && repeats_layers(g->method) && !config_int(g->before, g->arch->growth.keys.layers, 0))
        return fail(err, LITHE_EINVAL, "method %s repeats layers, of which the model has none: leave the method out", method_name(g->method));
    if (idle(g->method, c)) g->method = METHOD_DUPLICATE;
    if (g->method == METHOD_C && !wanted && !g->options.portable && check_gram(g, NULL)) g->method = METHOD_A;
    if (g->method == METHOD_C && check_gram(g, err)) return err ? (int)err->status : LITHE_EINVAL;
    if (g->options.noise > 0 && g->method == METHOD_DUPLICATE && c.units) g->method = METHOD_CLONE;
    if (g->options.noise > 0 && !(g->method == METHOD_CLONE && c.units) && g->method != METHOD_D)
        return fail(err, LITHE_EINVAL, "noise is for repeated heads, inner units and slots (methods clone and D), and this growth repeats none of them");
    return LITHE_OK;
}

/* ---- what is said ---------------------------------------------------------------------- */

/* Appends "; item", or the item alone where the text ends with a colon. */
static void add_item(char *text, size_t size, const char *item)
{
    size_t n = strlen(text);
    if (*item && n < size) snprintf(text + n, size - n, "%s%s", n && text[n - 1] == ':' ? " " : "; ", item);
}

static void say_outputs(const growth *g, changes c, lithe_growth *report)
{
    method m = g->method;
    bool bitwise = m == METHOD_A && !c.width && !c.units && !c.depth, fresh = begins_fresh(m);
    report->preserves = m == METHOD_DUPLICATE || m == METHOD_CLONE || (of_slots(m) && m != METHOD_F);
    snprintf(report->says, sizeof report->says, "%s:", !report->preserves ? "not preserved" : bitwise ? "preserved exactly" : "preserved up to rounding");
    add_item(report->says, sizeof report->says, methods[m].says);
    if (m == METHOD_CORNER) return;
    if (c.units && m != METHOD_AKI) add_item(report->says, sizeof report->says, fresh ? "new heads and inner units are read with weight 0" : "repeated units are divided where they are read");
    if (c.width) add_item(report->says, sizeof report->says, channels_part(m) ? "copies of channels are read by weights that cancel" : "copies of channels are divided where they are read");
    if (c.depth && !repeats_layers(m)) add_item(report->says, sizeof report->says, "new blocks add zero");
    if (c.parts) add_item(report->says, sizeof report->says, "new branches and terms have no effect yet");
}

static void say_symmetry(const growth *g, changes c, lithe_growth *report)
{
    method m = g->method;
    bool noise = g->options.noise > 0, stays = m == METHOD_CLONE && (!noise || c.width);
    snprintf(report->symmetry, sizeof report->symmetry, "%s:", stays ? "not broken" : "broken");
    add_item(report->symmetry, sizeof report->symmetry, methods[m].symmetry);
    if (m == METHOD_CORNER) return;
    if (m == METHOD_CLONE && c.units) add_item(report->symmetry, sizeof report->symmetry, noise ? "noise separates repeated heads and inner units" : "repeated heads and inner units get equal gradients and stay equal, but for dropout");
    else if (c.units && begins_fresh(m)) add_item(report->symmetry, sizeof report->symmetry, "new heads and inner units begin fresh");
    if (c.width) add_item(report->symmetry, sizeof report->symmetry, channels_part(m) ? "fresh weights read the copies of channels" : "copies of channels stay equal; method duplicate breaks them");
    if (c.depth && !repeats_layers(m)) add_item(report->symmetry, sizeof report->symmetry, "new blocks begin fresh");
    if (c.parts) add_item(report->symmetry, sizeof report->symmetry, "new branches and terms begin fresh");
}

void say_method(const growth *g, lithe_growth *report)
{
    changes c = changes_of(g);
    snprintf(report->method, sizeof report->method, "%s", method_name(g->method));
    say_outputs(g, c, report);
    say_symmetry(g, c, report);
    if (g->options.noise > 0) not_preserved(report, "not preserved: the same but for the noise of %g on repeated entries", (double)g->options.noise);
}
