#include "infer/engine.h"
#include "base/sized.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The rows of a pass over slots, and how many of them can have logits, with and without scores; results depend on
 * none of these. */
enum { CHUNK = 128, LOGITS = 16, SCORED = 64, MOST_SLOTS = 1 << 12 };

typedef struct {
    size_t length;                   /* ids read */
    bool given;                      /* at length 0: it begins from its states as they are, not from zeros */
    bool scores;                     /* the engine's `last` has its logits after the last id */
    const lithe_engine_input *input; /* during a step: its input, */
    size_t taken;                    /* and how much of that was read */
} slot;

struct lithe_engine {
    lithe_model *model;
    int vocab, context, slots;       /* context 0: no limit */
    int width;                       /* of hidden states; 0: nobody has asked yet */
    bool timed;
    pass pass;
    tensor *const *states; int state_count;
    slot *slot;                      /* (slots) */
    real *last;                      /* (slots, vocab) logits after the last id, of an engine that scores; else NULL */
    struct { whole_pass planned; pass pass; } whole[3];         /* by what is wanted */
};

/* ---- opening ------------------------------------------------------------------------ */

static int choose_cache(stored_type *type, const lithe_model *m, const char *name, lithe_error *err)
{
    static const stored_type types[] = { STORED_REAL, STORED_F16, STORED_Q8_0 };
    size_t bytes = 0;
    for (int i = 0; i < m->params->count; i++) bytes += stored_bytes(weight_stored(&m->params->items[i]->weight).type, m->params->items[i]->count);
    *type = default_cache(bytes, params_total(m->params));
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (!strcmp(name, stored_formats[*type = types[i]].name)) return LITHE_OK;
    return !name ? LITHE_OK : fail(err, LITHE_EINVAL, "keys and values as \"%s\": f32, f16 and q8_0 are possible", name);
}

static bool only_recurrent(const graph *g)
{
    tensor *const *states;
    int count = graph_states(g, &states);
    for (int i = 0; i < count; i++) if (!states[i]->recurrent) return false;
    return count > 0;
}

int lithe_model_recurrent(const lithe_model *m)
{
    const graph_options o = { .mode = GRAPH_DECODE, .slots = 1, .context = 1, .capacity = { 1, 1, 1 } };
    pass p;
    if (!m || must_continue_text(m, NULL) || pass_plan(&p, m, &o, WANT_HIDDEN, NULL)) return 0;
    bool endless = only_recurrent(p.g);
    pass_close(&p);
    return endless;
}

static int open_slots(lithe_engine *e, const lithe_engine_options *o, lithe_error *err)
{
    int longest = lithe_model_context(e->model), held = o->context && o->context < longest ? o->context : longest;
    e->slots = o->slots ? o->slots : 1;
    if (e->slots < 1 || e->slots > MOST_SLOTS) return fail(err, LITHE_EINVAL, "an engine of %d slots: 1 to %d are possible", e->slots, MOST_SLOTS);
    if (must_continue_text(e->model, err)) return LITHE_EINVAL;
    if (o->context < 0) return fail(err, LITHE_EINVAL, "a context of %d: the model has %d positions", o->context, longest);
    stored_type cache;
    int logits = o->scores ? SCORED : LOGITS;
    if (choose_cache(&cache, e->model, o->cache_type, err)) return err ? (int)err->status : LITHE_EINVAL;
    graph_options g = { .mode = GRAPH_DECODE, .timed = e->timed, .slots = e->slots, .context = held, .cache = cache, .capacity = {
        [ROWS_TOKENS] = e->slots > CHUNK ? e->slots : CHUNK, [ROWS_SEQS] = e->slots, [ROWS_SELECTED] = e->slots > logits ? e->slots : logits } };
    int status = pass_open(&e->pass, e->model, &g, WANT_LOGITS, err);
    if (status) return status;
    e->state_count = graph_states(e->pass.g, &e->states);
    bool endless = only_recurrent(e->pass.g);
    if (!endless && o->context > longest) return fail(err, LITHE_EINVAL, "a context of %d: the model has %d positions", o->context, longest);
    e->context = endless ? o->context : held;
    e->slot = xalloc((size_t)e->slots, sizeof *e->slot);
    if (o->scores) e->last = xalloc((size_t)e->slots, (size_t)e->vocab * sizeof *e->last);
    return e->slot && (e->last || !o->scores) ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for an engine of %d slots", e->slots);
}

lithe_engine *lithe_engine_open(lithe_model *m, const lithe_engine_options *o, lithe_error *err)
{
    lithe_engine_options options;
    if (!m) { fail(err, LITHE_EINVAL, "there is no model"); return NULL; }
    if (failed(err) || options_read(&options, sizeof options, o, "lithe_engine_options", err)) return NULL;
    lithe_engine *e = xalloc(1, sizeof *e);
    if (!e) { fail(err, LITHE_ENOMEM, "not enough memory for an engine"); return NULL; }
    e->model = m;
    e->vocab = lithe_model_vocab(m);
    e->timed = options.timed;
    if (options.whole || !open_slots(e, &options, err)) return e;
    lithe_engine_close(e);
    return NULL;
}

lithe_engine *engine_of_whole(lithe_model *m, lithe_error *err) { return lithe_engine_open(m, &LITHE_OPTIONS(lithe_engine_options, .whole = 1), err); }

void lithe_engine_close(lithe_engine *e)
{
    if (!e) return;
    pass_close(&e->pass);
    for (size_t i = 0; i < sizeof e->whole / sizeof *e->whole; i++) pass_close(&e->whole[i].pass);
    free(e->slot);
    free(e->last);
    free(e);
}

/* ---- whole sequences ------------------------------------------------------------------- */

static bool holds(const whole_pass *planned, const whole_pass *o)
{
    return planned->rows >= o->rows && planned->seqs >= o->seqs && planned->selected >= o->selected && !planned->selected == !o->selected && planned->taps == o->taps;
}

/* A second plan has room for more than it was asked for, so that there will be few of them. */
static int room_for(int wanted, int planned)
{
    int twice = planned <= ROWS_AT_ONCE / 2 ? 2 * planned : planned;
    return wanted > twice ? wanted : twice;
}

int engine_whole(lithe_engine *e, const whole_pass *o, pass **out, lithe_error *err)
{
    whole_pass *planned = &e->whole[o->want].planned, next = *o;
    pass *p = *out = &e->whole[o->want].pass;
    if (failed(err)) return err->status;
    if (p->g && holds(planned, o)) return LITHE_OK;
    if (p->g && planned->taps == o->taps && !planned->selected == !o->selected)
        next = (whole_pass){ o->want, room_for(o->rows, planned->rows), room_for(o->seqs, planned->seqs), room_for(o->selected, planned->selected), o->taps };
    pass_close(p);
    *planned = next;
    graph_options g = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = next.rows, [ROWS_SEQS] = next.seqs, [ROWS_SELECTED] = next.selected }, .taps = o->taps, .timed = e->timed };
    return pass_open(p, e->model, &g, o->want, err);
}

int engine_width(lithe_engine *e)
{
    graph_options one = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = 1, [ROWS_SEQS] = 1 } };
    pass p;
    if (!e->width && !pass_plan(&p, e->model, &one, WANT_HIDDEN, NULL)) {
        e->width = p.r.hidden->width;
        pass_close(&p);
    }
    return e->width;
}

/* ---- reading -------------------------------------------------------------------------- */

static bool has_slot(const lithe_engine *e, int i) { return e && i >= 0 && i < e->slots; }

static int check_input(const lithe_engine *e, const lithe_engine_input *in, lithe_error *err)
{
    if (!e->slots) return fail(err, LITHE_EINVAL, "the engine reads whole sequences: it has no slots");
    if (!has_slot(e, in->slot)) return fail(err, LITHE_EINVAL, "slot %d: the engine has slots 0 to %d", in->slot, e->slots - 1);
    const slot *s = &e->slot[in->slot];
    if (s->input) return fail(err, LITHE_EINVAL, "slot %d stands twice in a step", in->slot);
    if (in->wanted > in->n || (in->wanted && !in->logits)) return fail(err, LITHE_EINVAL, "slot %d: logits of %zu tokens are wanted, %zu are read", in->slot, in->wanted, in->n);
    if (in->nll && !e->last) return fail(err, LITHE_EINVAL, "slot %d: nll is wanted of an engine that was opened without scores", in->slot);
    if (e->context && in->n > (size_t)e->context - s->length)
        return fail(err, LITHE_EFULL, "slot %d: %zu more tokens: the context of %d tokens holds %zu already", in->slot, in->n, e->context, s->length);
    return check_ids(e->model, in->ids, in->n, err) ? LITHE_EINVAL : LITHE_OK;
}

/* The number of the step's ids before the first whose logits are computed: because they are wanted, because they score
 * the id after it, or because they will score the first id of the next step. */
static size_t before_logits(const lithe_engine *e, const slot *s)
{
    const lithe_engine_input *in = s->input;
    return in->nll ? 0 : in->n - (in->wanted || !e->last || !in->n ? in->wanted : 1);
}

/* The number of remaining ids that go into this pass. */
static size_t piece_of(const lithe_engine *e, const slot *s)
{
    const batch_builder *b = &e->pass.batch;
    size_t left = s->input->n - s->taken, rows = (size_t)(b->capacity.rows - b->rows), most = (size_t)(b->capacity.selected - b->selected), before = before_logits(e, s);
    if (before > s->taken) most += before - s->taken;
    if (left > rows) left = rows;
    return left > most ? most : left;
}

/* Positions are the places of keys; a recurrent state uses them only to recognise its first id. */
static int position(const lithe_engine *e, const slot *s)
{
    if (!s->length) return s->given;
    return e->context || s->length < INT_MAX / 2 ? (int)s->length : INT_MAX / 2;
}

static void add_piece(lithe_engine *e, const slot *s, size_t n)
{
    batch_builder *b = &e->pass.batch;
    size_t before = before_logits(e, s);
    batch_add(b, &(batch_sequence){ .n = (int)n, .ids = s->input->ids + s->taken, .position = position(e, s), .slot = s->input->slot });
    for (size_t i = before > s->taken ? before - s->taken : 0; i < n; i++) batch_select(b, (int)i, 0, 1);
}

static float nll_of(const lithe_engine *e, real *logits, int id)
{
    exact loss;
    kernels_default()->cross_entropy(logits, &loss, &id, NULL, false, 1, 1, e->vocab);
    return (float)loss;
}

static real *last_logits(const lithe_engine *e, int i) { return e->last + (size_t)i * (size_t)e->vocab; }

/* Gives the logits after id number `at` of the step to all that wait for them. */
static void take_logits(lithe_engine *e, slot *s, size_t at, real *logits)
{
    const lithe_engine_input *in = s->input;
    size_t vocab = (size_t)e->vocab;
    float *to = at + in->wanted >= in->n ? in->logits + (at + in->wanted - in->n) * vocab : NULL;
    for (size_t k = 0; to && k < vocab; k++) to[k] = (float)logits[k];
    if (in->nll && at + 1 < in->n) in->nll[at + 1] = nll_of(e, logits, in->ids[at + 1]);
    if (e->last && at + 1 == in->n) memcpy(last_logits(e, in->slot), logits, vocab * sizeof *logits);
}

/* Takes the logits of sequence i of the batch, which begin at row `row`; returns the number of rows. */
static int take_piece(lithe_engine *e, int i, int row)
{
    const batch_builder *b = &e->pass.batch;
    slot *s = &e->slot[b->slot[i]];
    size_t end = s->taken + (size_t)(b->start[i + 1] - b->start[i]), before = before_logits(e, s), at = s->taken > before ? s->taken : before;
    int first = row;
    for (; at < end; at++, row++) take_logits(e, s, at, e->pass.r.logits->data + (size_t)row * (size_t)e->vocab);
    s->length += end - s->taken;
    s->taken = end;
    s->scores = e->last && end == s->input->n;
    return row - first;
}

/* Begins a slot's part of a step; its first id is scored by the logits of the step before. */
static void begin_input(lithe_engine *e, const lithe_engine_input *in)
{
    slot *s = &e->slot[in->slot];
    s->input = in;
    s->taken = 0;
    if (in->nll && in->n) in->nll[0] = !s->length ? 0 : s->scores ? nll_of(e, last_logits(e, in->slot), in->ids[0]) : NAN;
}

/* One pass over the remaining ids; *done is set if there were none. */
static int run_pass(lithe_engine *e, const lithe_engine_input *inputs, size_t count, bool *done, lithe_error *err)
{
    batch_builder *b = &e->pass.batch;
    batch_begin(b);
    for (size_t i = 0; i < count; i++) {
        const slot *s = &e->slot[inputs[i].slot];
        size_t n = piece_of(e, s);
        if (n) add_piece(e, s, n);
    }
    if ((*done = !b->rows)) return LITHE_OK;
    int status = pass_answer(&e->pass, e->model, err);
    for (int i = 0, row = 0; i < b->seqs && !status; i++) row += take_piece(e, i, row);
    return status;
}

int lithe_engine_step(lithe_engine *e, const lithe_engine_input *inputs, size_t count, lithe_error *err)
{
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    if (count && !inputs) return fail(err, LITHE_EINVAL, "there is no array of the %zu inputs", count);
    int status = LITHE_OK;
    size_t checked = 0;
    for (; checked < count && !status; checked++) {
        status = check_input(e, &inputs[checked], err);
        if (status) break;
        e->slot[inputs[checked].slot].input = &inputs[checked];
    }
    for (size_t i = 0; i < count && !status; i++) begin_input(e, &inputs[i]);
    for (bool done = false; !status && !done; ) status = run_pass(e, inputs, count, &done, err);
    for (size_t i = 0; i < checked; i++) e->slot[inputs[i].slot].input = NULL;
    return status;
}

/* ---- slots ------------------------------------------------------------------------------ */

int    lithe_engine_slots(const lithe_engine *e)              { return e ? e->slots : 0; }
int    lithe_engine_context(const lithe_engine *e)            { return e ? e->context : 0; }
size_t lithe_engine_bytes(const lithe_engine *e)
{
    if (!e || !e->pass.g) return 0;
    plan_summary s = graph_summary(e->pass.g);
    return s.state_bytes + s.arena_bytes + s.packed_bytes + (e->last ? (size_t)e->slots * (size_t)e->vocab * sizeof *e->last : 0);
}

size_t lithe_engine_length(const lithe_engine *e, int i)      { return has_slot(e, i) ? e->slot[i].length : 0; }

const lithe_model *engine_model(const lithe_engine *e) { return e->model; }
const graph *engine_graph(const lithe_engine *e, int i)
{
    return i == 0 ? e->pass.g : i <= (int)(sizeof e->whole / sizeof *e->whole) ? e->whole[i - 1].pass.g : NULL;
}

int  engine_rows(const lithe_engine *e) { return e->pass.batch.capacity.rows; }
bool engine_recurrent(const lithe_engine *e) { return graph_recurrent(e->pass.g); }
int  engine_states(const lithe_engine *e) { return e->state_count; }

slot_state engine_state(const lithe_engine *e, int i, int at)
{
    const tensor *t = e->states[i];
    size_t rows = (size_t)(t->rows / e->slots);
    return (slot_state){ t->name, t->width, t->recurrent, t->type, (char *)t->data + stored_bytes(t->type, (size_t)at * rows * (size_t)t->width) };
}

void engine_place(lithe_engine *e, int i, size_t n) { e->slot[i] = (slot){ .length = n }; }

void lithe_engine_clear(lithe_engine *e, int i)
{
    if (has_slot(e, i)) engine_place(e, i, 0);
}

static size_t bytes_of(const slot_state *x, size_t length) { return stored_bytes(x->type, (x->recurrent ? 1 : length) * (size_t)x->width); }

int lithe_engine_fork(lithe_engine *e, int from, int to, lithe_error *err)
{
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    if (!has_slot(e, from) || !has_slot(e, to)) return fail(err, LITHE_EINVAL, "slot %d into slot %d: the engine has slots 0 to %d", from, to, e->slots - 1);
    for (int i = 0; i < e->state_count && from != to; i++) {
        slot_state x = engine_state(e, i, from), y = engine_state(e, i, to);
        memcpy(y.data, x.data, bytes_of(&x, e->slot[from].length));
    }
    e->slot[to] = e->slot[from];
    if (e->slot[from].scores && from != to) memcpy(last_logits(e, to), last_logits(e, from), (size_t)e->vocab * sizeof *e->last);
    return LITHE_OK;
}

/* ---- snapshots ---------------------------------------------------------------------------- */

static size_t snapshot_bytes(const lithe_engine *e, size_t length)
{
    size_t bytes = 0;
    for (int i = 0; i < e->state_count; i++) {
        slot_state x = engine_state(e, i, 0);
        bytes += bytes_of(&x, length);
    }
    return bytes + (e->last ? (size_t)e->vocab * sizeof *e->last : 0);
}

slot_snapshot *snapshot_new(const lithe_engine *e, size_t length)
{
    slot_snapshot *x = xalloc(sizeof *x + snapshot_bytes(e, length), 1);
    if (x) x->length = length;
    return x;
}

slot_snapshot *engine_snapshot(const lithe_engine *e, int at)
{
    const slot *s = &e->slot[at];
    slot_snapshot *x = snapshot_new(e, s->length);
    if (!x) return NULL;
    x->given = s->given;
    char *to = x->data;
    for (int i = 0; i < e->state_count; i++) {
        slot_state from = engine_state(e, i, at);
        size_t bytes = bytes_of(&from, s->length);
        memcpy(to, from.data, bytes);
        to += bytes;
    }
    if ((x->scores = s->scores)) memcpy(to, last_logits(e, at), (size_t)e->vocab * sizeof *e->last);
    return x;
}

void engine_restore(lithe_engine *e, int at, const slot_snapshot *x)
{
    const char *from = x->data;
    for (int i = 0; i < e->state_count; i++) {
        slot_state to = engine_state(e, i, at);
        size_t bytes = bytes_of(&to, x->length);
        memcpy(to.data, from, bytes);
        from += bytes;
    }
    if (x->scores) memcpy(last_logits(e, at), from, (size_t)e->vocab * sizeof *e->last);
    e->slot[at] = (slot){ .length = x->length, .given = x->given, .scores = x->scores };
}
