/* Tuned initial states of a recurrent model ("state tuning"): files of
 * torch or safetensors with blocks.N.att.time_state [H, value, key] of RWKV-5, 6
 * or 7, for each layer.  A session that has loaded one starts from it instead of
 * from zeros, whenever it restarts; the inputs of the token shifts still start at zero.
 * Invariant: a session is changed only after every tensor was found correct. */
#include "infer/session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 320 };

bool is_tuned_state(const tensor_file *f) { return tensor_file_find(f, "blocks.0.att.time_state") && !tensor_file_find(f, "emb.weight"); }

static const file_tensor *source_of(const tensor_file *f, const slot_state *own)
{
    char name[NAME_BYTES];
    size_t n = strlen(own->name), tail = strlen("wkv");
    if (n < tail || strcmp(own->name + n - tail, "wkv")) return NULL;
    snprintf(name, sizeof name, "%.*stime_state", (int)(n - tail), own->name);
    return tensor_file_find(f, name);
}

static int read_state(const tensor_file *f, const slot_state *own, real *out, lithe_error *err)
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
    for (int i = 0; i < engine_states(s->engine); i++) {
        slot_state own = engine_state(s->engine, i, 0);
        size_t n = strlen(own.name);
        layers += n > 8 && !strcmp(own.name + n - 8, ".att.wkv");
        found += source_of(f, &own) != NULL;
    }
    if (s->ids || !layers) return fail(err, LITHE_EFORMAT, "%s: holds states to begin from, which %s models do not have", f->path, engine_model(s->engine)->arch->name);
    if (found == layers && found == f->count) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: holds %d tensors, %d of them states of this model's %d layers", f->path, f->count, found, layers);
}

int load_tuned_state(lithe_session *s, const tensor_file *f, lithe_error *err)
{
    int status = check_count(f, s, err);
    if (status) return status;
    slot_snapshot *initial = snapshot_new(s->engine, 0);
    if (!initial) return fail(err, LITHE_ENOMEM, "%s: not enough memory for a state", f->path);
    initial->given = true;
    real *at = (real *)(void *)initial->data;
    for (int i = 0; !status && i < engine_states(s->engine); i++) {
        slot_state own = engine_state(s->engine, i, 0);
        status = read_state(f, &own, at, err);
        at += own.width;
    }
    if (status) {
        free(initial);
        return status;
    }
    free(s->initial);
    s->initial = initial;
    session_forget_mark(s);
    session_clear(s);
    return LITHE_OK;
}
