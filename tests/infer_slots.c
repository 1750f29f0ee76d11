/* Many sequences decoded in one graph: each has a slot of the states, and gets
 * the logits it has alone, bit for bit, whichever slots they have, in whatever
 * order and company they stand, and whatever lies in the slots of others. */
#include "infer/infer.h"
#include "infer_tests.h"
#include "base/random.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { VOCAB = 23, SEQS = 8, SLOTS = 11, CONTEXT = 24, STEPS = 9, ROWS = 64 };

static int id_of(int seq, int at) { return (int)(random_u64(40 + (uint64_t)seq, (uint64_t)at) % VOCAB); }

/* Sequence s reads 1 + s tokens first, then one at a time, and pauses every third step. */
static int tokens_of(int seq, int turn) { return turn == 0 ? 1 + seq : (seq + turn) % 3 != 0; }

typedef struct { pass p; int length[SEQS]; } decoder;

static void open_decoder(decoder *d, const lithe_model *m)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = GRAPH_DECODE, .capacity = { ROWS, SEQS, SEQS }, .slots = SLOTS, .context = CONTEXT };
    tensor *const *states;
    *d = (decoder){ 0 };
    CHECK_MSG(!pass_open(&d->p, m, &o, WANT_LOGITS, &err), "%s", err.text);
    for (int i = graph_states(d->p.g, &states) - 1; i >= 0; i--)                /* nothing that lies there is ever looked at */
        for (int k = 0; k < states[i]->rows * states[i]->width; k++) states[i]->data[k] = NAN;
}

/* Those of order[0 .. count-1] that have tokens in this turn read them; the logits of sequence s go to out[s]. */
static void run_turn(decoder *d, int turn, const int *order, int count, const int *slot_of, real out[SEQS][VOCAB])
{
    int ids[ROWS], pos[ROWS], start[SEQS + 1] = { 0 }, slot[SEQS], last[SEQS], who[SEQS], rows = 0, seqs = 0;
    for (int i = 0; i < count; i++) {
        int s = order[i], n = tokens_of(s, turn);
        if (!n) continue;
        for (int k = 0; k < n; k++, rows++, d->length[s]++) { ids[rows] = id_of(s, d->length[s]); pos[rows] = d->length[s]; }
        slot[seqs] = slot_of[s];
        last[seqs] = rows - 1;
        who[seqs++] = s;
        start[seqs] = rows;
    }
    if (!seqs) return;
    graph_run(d->p.g, &(batch){ .rows = rows, .seqs = seqs, .selected = seqs, .ids = ids, .pos = pos, .start = start, .slot = slot, .select = last });
    for (int i = 0; i < seqs; i++) memcpy(out[who[i]], d->p.r.logits->data + i * VOCAB, sizeof out[0]);
}

static void alone(const lithe_model *m, real out[STEPS][SEQS][VOCAB])
{
    static const int first_slot[SEQS];
    for (int s = 0; s < SEQS; s++) {
        decoder d;
        open_decoder(&d, m);
        for (int turn = 0; turn < STEPS; turn++) run_turn(&d, turn, &s, 1, first_slot, out[turn]);
        pass_close(&d.p);
    }
}

static void together(const lithe_model *m, uint64_t seed, real expected[STEPS][SEQS][VOCAB])
{
    static real found[SEQS][VOCAB];
    int order[SEQS], slot_of[SEQS];
    decoder d;
    open_decoder(&d, m);
    for (int s = 0; s < SEQS; s++) slot_of[s] = (int)permuted((uint64_t)s, SLOTS, seed);
    for (int turn = 0; turn < STEPS; turn++) {
        for (int s = 0; s < SEQS; s++) order[s] = (int)permuted((uint64_t)s, SEQS, seed + 100 + (uint64_t)turn);
        run_turn(&d, turn, order, SEQS, slot_of, found);
        for (int s = 0; s < SEQS; s++)
            CHECK_MSG(!tokens_of(s, turn) || !memcmp(found[s], expected[turn][s], sizeof found[s]), "%s: sequence %d in slot %d has other logits in turn %d",
                      m->arch->name, s, slot_of[s], turn);
    }
    pass_close(&d.p);
}

void slots_do_not_meet(void)
{
    static real expected[STEPS][SEQS][VOCAB];
    int count, tried = 0;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 3, &err);
        if (m && !must_continue_text(m, NULL)) {
            small_perturb(m->params, 0.3, 3);
            alone(m, expected);
            for (uint64_t seed = 1; seed <= 3; seed++) together(m, seed, expected);
            for (int s = 0; s < SEQS; s++) CHECK_MSG(isfinite((double)expected[0][s][0]) && isfinite((double)expected[STEPS - 2][s][0]), "%s: sequence %d", cases[i].name, s);
            tried++;
        }
        lithe_model_close(m);
    }
    CHECK_MSG(tried > 10, "%d of %d models continue a text", tried, count);
}
