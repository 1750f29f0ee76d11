/* Helpers of all parts of growing: the methods' names and kinds, numbers of a
 * configuration, sizes of a parameter and its values, the report that a function is not
 * preserved, and the list of parameter groups. */
#include "base/json.h"
#include "grow/grow.h"
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[METHODS] = {
    [METHOD_DUPLICATE] = "duplicate", [METHOD_CLONE] = "clone", [METHOD_CORNER] = "corner", [METHOD_STACK] = "stack",
    [METHOD_INTERPOLATE] = "interpolate", [METHOD_AKI] = "aki",
    [METHOD_A] = "A", [METHOD_B] = "B", [METHOD_C] = "C", [METHOD_D] = "D", [METHOD_E] = "E", [METHOD_F] = "F",
};
const char *method_name(method m) { return names[m]; }

bool of_slots(method m) { return m >= METHOD_A; }
bool repeats_layers(method m) { return m == METHOD_STACK || m == METHOD_INTERPOLATE; }
bool begins_fresh(method m) { return m != METHOD_CLONE && m != METHOD_CORNER && m != METHOD_AKI; }
bool channels_part(method m) { return m != METHOD_CLONE && m != METHOD_CORNER; }

int config_int(const json_t *config, const char *key, int absent)
{
    int value = absent;
    if (key) json_int(config, key, INT_MIN, INT_MAX, &value);
    return value;
}

double config_real(const json_t *config, const char *key, double absent)
{
    const json_t *value = key ? json_object_get(config, key) : NULL;
    return json_is_number(value) ? json_number_value(value) : absent;
}

double root_mean_square(const param *p)
{
    enum { PIECE = 1024 };
    real piece[PIECE];
    double sum = 0;
    for (size_t at = 0, n; at < p->count; at += n) {
        n = p->count - at < PIECE ? p->count - at : PIECE;
        weight_read(&p->weight, at, n, piece);
        for (size_t i = 0; i < n; i++) sum += (double)piece[i] * (double)piece[i];
    }
    return sqrt(sum / (double)p->count);
}

int axis_size(const lithe_model *m, axis_kind kind)
{
    for (int i = 0; i < m->params->count; i++) {
        const param_rule *r = &m->params->items[i]->rule;
        for (int a = 0; a < r->rank; a++)
            if (r->axes[a].kind == kind) return r->dims[a] / (r->axes[a].parts > 1 ? r->axes[a].parts : 1);
    }
    return 0;
}

long layer_of(const arch *a, const char *name, const char **rest)
{
    const char *prefix = a->growth.keys.layer_prefix;
    size_t length = strlen(prefix);
    char *end;
    if (strncmp(name, prefix, length)) return -1;
    long number = strtol(name + length, &end, 10);
    *rest = end;
    return end == name + length ? -1 : number - a->growth.keys.first_layer;
}

void not_preserved(lithe_growth *report, const char *format, ...)
{
    if (!report->preserves) return;
    report->preserves = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(report->says, sizeof report->says, format, args);
    va_end(args);
}

void add_group(group_list *l, param_group p)
{
    if (l->failed) return;
    if (l->count == l->capacity) {
        int capacity = l->capacity ? 2 * l->capacity : 64;
        param_group *more = xrealloc(l->groups, (size_t)capacity, sizeof *more);
        if (!more) { l->failed = true; return; }
        l->groups = more;
        l->capacity = capacity;
    }
    l->groups[l->count++] = p;
}
