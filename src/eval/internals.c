/* What a model computes of one sequence, taken from its operations while they run (ops/observe.h): the weights of
 * attention, the use of parameter tokens, the decay of recurrent states.
 * Invariant: nothing here changes what the model computes. */
#include "infer/engine.h"
#include "lithe_eval.h"
#include "base/arena.h"
#include "ops/observe.h"
#include <math.h>
#include <stdlib.h>

static const size_t MAP_BYTES = (size_t)256 << 20;
static const double DEAD = 1e-3;                            /* of the mean use */

typedef struct { int node, layer; } origin;                 /* where it was computed */
typedef struct { origin at; int head; float *weights; } map;
typedef struct { origin at; const char *name; int slots, dead; double *use; } slot_use;
typedef struct { origin at; int channels; double *half_life; } decay_of_layer;

struct lithe_internals {
    arena memory;
    map *maps; size_t map_count, map_room;
    slot_use *slots; size_t slot_count, slot_room;
    decay_of_layer *decays; size_t decay_count, decay_room;
    int tokens;
    bool wants_maps, full;
    size_t map_bytes;
    const kernels *kernels;
};

/* The array with room for one more, perhaps elsewhere; NULL when memory is out. */
static void *grown(lithe_internals *x, void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room) return items;
    void *more = xrealloc(items, *room ? 2 * *room : 16, size);
    if (more) *room = *room ? 2 * *room : 16;
    else x->full = true;
    return more;
}

/* ---- observers ---------------------------------------------------------------------------- */

static void see_attention(lithe_internals *x, const node *n)
{
    const size_t each = (size_t)x->tokens * (size_t)x->tokens, heads = (size_t)attention_heads(n);
    real *p = xalloc(heads * each + 1, sizeof *p);
    x->map_bytes += heads * each * sizeof(float);
    if (!p || x->map_bytes > MAP_BYTES || !attention_weights(n, x->kernels, p)) x->full = true;
    for (size_t h = 0; h < heads && !x->full; h++) {
        map *maps = grown(x, x->maps, x->map_count, &x->map_room, sizeof *maps);
        if (!maps) break;
        x->maps = maps;
        map *m = &maps[x->map_count++];
        *m = (map){ .at = { n->index, -1 }, .head = (int)h, .weights = arena_alloc(&x->memory, each * sizeof *m->weights) };
        x->full |= !m->weights;
        for (size_t i = 0; m->weights && i < each; i++) m->weights[i] = (float)p[h * each + i];
    }
    free(p);
}

static void count_dead(slot_use *s, int tokens)
{
    double sum = 0;
    for (int j = 0; j < s->slots; j++) sum += s->use[j] /= tokens;
    for (int j = 0; j < s->slots; j++) s->dead += !(s->use[j] > DEAD * sum / s->slots);
}

static void see_pattention(lithe_internals *x, const node *n)
{
    slot_use *list = grown(x, x->slots, x->slot_count, &x->slot_room, sizeof *list);
    if (!list) return;
    x->slots = list;
    slot_use *s = &list[x->slot_count++];
    *s = (slot_use){ .at = { n->index, -1 }, .name = arena_strdup(&x->memory, pattention_name(n)), .slots = pattention_slots(n),
                     .use = arena_alloc(&x->memory, (size_t)pattention_slots(n) * sizeof *s->use) };
    if (!s->name || !s->use || !pattention_use(n, x->kernels, s->use)) x->full = true;
    else count_dead(s, x->tokens);
}

static void see_decay(lithe_internals *x, const node *n)
{
    decay_of_layer *list = grown(x, x->decays, x->decay_count, &x->decay_room, sizeof *list);
    if (!list) return;
    x->decays = list;
    decay_of_layer *d = &list[x->decay_count++];
    *d = (decay_of_layer){ .at = { n->index, -1 }, .channels = decay_channels(n), .half_life = arena_alloc(&x->memory, (size_t)decay_channels(n) * sizeof *d->half_life) };
    if (!d->half_life) { x->full = true; return; }
    decay_rates(n, d->half_life);
    for (int c = 0; c < d->channels; c++) d->half_life[c] = log(2) / d->half_life[c];
}

static void see(void *context, const node *n)
{
    lithe_internals *x = context;
    if (x->full) return;
    if (x->wants_maps && attention_heads(n)) see_attention(x, n);
    if (pattention_slots(n)) see_pattention(x, n);
    if (decay_channels(n)) see_decay(x, n);
}

/* ---- layers -------------------------------------------------------------------------------- */

/* A node belongs to the layer whose place comes next. */
static void find_layer(origin *o, const tapped *taps, int count)
{
    for (int i = 0; i < count && o->layer < 0; i++)
        if (taps[i].layer >= 0 && taps[i].rows->from && taps[i].rows->from->index >= o->node) o->layer = taps[i].layer;
}

static void find_layers(lithe_internals *x, const graph *g)
{
    const tapped *taps;
    int count = graph_taps(g, &taps);
    for (size_t i = 0; i < x->map_count; i++) find_layer(&x->maps[i].at, taps, count);
    for (size_t i = 0; i < x->slot_count; i++) find_layer(&x->slots[i].at, taps, count);
    for (size_t i = 0; i < x->decay_count; i++) find_layer(&x->decays[i].at, taps, count);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_ids(lithe_internals *x, lithe_engine *e, const lithe_model *m, const int32_t *ids, int n, lithe_error *err)
{
    pass *p;
    int status = engine_whole(e, &(whole_pass){ .want = WANT_HIDDEN, .rows = n, .seqs = 1, .taps = true }, &p, err);
    if (status) return status;
    batch_begin(&p->batch);
    batch_add(&p->batch, &(batch_sequence){ .n = n, .ids = ids });
    graph_observe(p->g, see, x);
    status = pass_answer(p, m, err);
    graph_observe(p->g, NULL, NULL);
    find_layers(x, p->g);
    if (status || !x->full) return status;
    return fail(err, LITHE_ENOMEM, x->map_bytes > MAP_BYTES ? "the attention of %d tokens takes more than 256 MB: read fewer" : "not enough memory for what happens over %d tokens", n);
}

lithe_internals *lithe_internals_open(lithe_model *m, const int32_t *ids, size_t n, int maps, lithe_error *err)
{
    if (!m) { fail(err, LITHE_EINVAL, "there is no model"); return NULL; }
    int longest = lithe_model_context(m);
    if (failed(err)) return NULL;
    if (arch_images(m->arch, m->config).side) { fail(err, LITHE_EINVAL, "a %s reads images, not text", m->arch->name); return NULL; }
    if (!n || n > (size_t)longest) { fail(err, LITHE_EINVAL, "%zu ids: the model takes 1 to %d", n, longest); return NULL; }
    if (check_ids(m, ids, n, err)) return NULL;
    lithe_internals *x = xalloc(1, sizeof *x);
    lithe_engine *e = x ? engine_of_whole(m, err) : NULL;
    if (x) x->tokens = (int)n, x->wants_maps = maps != 0, x->kernels = kernels_default();
    int status = e ? read_ids(x, e, m, ids, (int)n, err) : fail(err, LITHE_ENOMEM, "not enough memory to look into a model");
    lithe_engine_close(e);
    if (!status) return x;
    lithe_internals_close(x);
    return NULL;
}

void lithe_internals_close(lithe_internals *x)
{
    if (!x) return;
    arena_free(&x->memory);
    free(x->maps);
    free(x->slots);
    free(x->decays);
    free(x);
}

/* ---- items ------------------------------------------------------------------------------------ */

int lithe_internals_map(const lithe_internals *x, size_t i, lithe_attention_map *out)
{
    if (!x || i >= x->map_count) return 0;
    const map *m = &x->maps[i];
    *out = (lithe_attention_map){ m->at.layer, m->head, x->tokens, m->weights };
    return 1;
}

int lithe_internals_slots(const lithe_internals *x, size_t i, lithe_slot_use *out)
{
    if (!x || i >= x->slot_count) return 0;
    const slot_use *s = &x->slots[i];
    *out = (lithe_slot_use){ s->name, s->at.layer, s->slots, s->dead, s->use };
    return 1;
}

int lithe_internals_decay(const lithe_internals *x, size_t i, lithe_decay *out)
{
    if (!x || i >= x->decay_count) return 0;
    const decay_of_layer *d = &x->decays[i];
    *out = (lithe_decay){ d->at.layer, d->channels, d->half_life };
    return 1;
}
