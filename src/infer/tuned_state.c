/* States a recurrent model was tuned to begin from ("state tuning"): files of
 * torch or safetensors with blocks.N.att.time_state [H, value, key] of RWKV-5, 6
 * or 7, for each layer.  A session that has loaded one begins there instead of
 * with zeros, whenever it begins; the inputs of the token shifts are still zero.
 * Invariant: a session is changed only after every tensor was found right. */
#include "infer/session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 320 };

bool is_tuned_state(const tensor_file *f) { return tensor_file_find(f, "blocks.0.att.time_state") && !tensor_file_find(f, "emb.weight"); }

static const file_tensor *source_of(const tensor_file *f, const session_state *own)
{
    char name[NAME_BYTES];
    size_t n = strlen(own->name), tail = strlen("wkv");
    if (n < tail || strcmp(own->name + n - tail, "wkv")) return NULL;
    snprintf(name, sizeof name, "%.*stime_state", (int)(n - tail), own->name);
    return tensor_file_find(f, name);
}

static int read_state(const tensor_file *f, const session_state *own, real *out, lithe_error *err)
{
    const file_tensor *t = source_of(f, own);
    if (!t) return LITHE_OK;
    float *numbers = xalloc(t->count + 1, sizeof *numbers);
    int status = numbers ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory for a state", f->path);
    if (!status && (t->rank != 3 || t->dims[1] != t->dims[2] || t->count != (size_t)own->width))
        status = fail(err, LITHE_EFORMAT, "%s: %.200s has %zu numbers, this model's heads have %d", f->path, t->name, t->count, own->width);
    if (!status && !file_tensor_floats(t, 0, t->count, numbers)) status = fail(err, LITHE_EFORMAT, "%s: %.200s cannot be read as numbers", f->path, t->name);
    for (size_t i = 0; !status && i < t->count; i++) {
        if (!isfinite(numbers[i])) status = fail(err, LITHE_EFORMAT, "%s: %.200s[%zu] is no finite number", f->path, t->name, i);
        out[i] = (real)numbers[i];
    }
    free(numbers);
    return status;
}

static int check_count(const tensor_file *f, const lithe_session *s, lithe_error *err)
{
    int layers = 0, found = 0;
    for (int i = 0; i < s->state_count; i++) {
        size_t n = strlen(s->states[i].name);
        layers += n > 8 && !strcmp(s->states[i].name + n - 8, ".att.wkv");
        found += source_of(f, &s->states[i]) != NULL;
    }
    if (s->ids || !layers) return fail(err, LITHE_EFORMAT, "%s: holds states to begin from, which %s models do not have", f->path, s->model->arch->name);
    if (found == layers && found == f->count) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: holds %d tensors, %d of them states of this model's %d layers", f->path, f->count, found, layers);
}

int load_tuned_state(lithe_session *s, const tensor_file *f, lithe_error *err)
{
    size_t total = 0;
    int status = check_count(f, s, err);
    for (int i = 0; i < s->state_count; i++) total += s->states[i].bytes;
    real *initial = status ? NULL : xalloc(total + 1, 1), *at = initial;
    if (!status && !initial) status = fail(err, LITHE_ENOMEM, "%s: not enough memory for a state", f->path);
    for (int i = 0; !status && i < s->state_count; i++) {
        status = read_state(f, &s->states[i], at, err);
        at += s->states[i].bytes / sizeof *at;
    }
    if (status) {
        free(initial);
        return status;
    }
    free(s->initial);
    s->initial = initial;
    session_clear(s);
    return LITHE_OK;
}
