/* Weights: the questions that are asked of one, and every architecture in every
 * stored form, mapped from its file, against itself with master values. */
#include "base/file.h"
#include "base/writer.h"
#include "base/random.h"
#include "kernels/blocks.h"
#include "small.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

/* ---- one weight --------------------------------------------------------------------------- */

/* A set of one parameter (5, 7), stored as f16 in memory that is lent. */
static int given_back, changed;
static void give_back(void *lender) { given_back += lender == &given_back; }
static int  intact(const void *lender, lithe_error *err) { return lender == &given_back && changed ? fail(err, LITHE_EFORMAT, "lent: was changed") : LITHE_OK; }
static const lending lent_here = { intact, give_back };

static params *lent(const uint16_t *halves, bool plain)
{
    lithe_error err = { 0 };
    params *p = params_new();
    param *q = params_declare(p, "w", &(param_rule){ .rank = 2, .dims = { 5, 7 } });
    q->plain = plain;
    CHECK(!params_close(p, &err));
    weight_store(&q->weight, (stored){ .type = STORED_F16, .data = halves }, NULL, 0);
    params_borrow(p, &given_back, &lent_here);
    CHECK(!params_plain(p, &err));
    return p;
}

static void questions(void)
{
    lithe_error err = { 0 };
    uint16_t halves[36];
    real values[35], some[4];
    for (int i = 0; i < 35; i++) halves[i] = f16_from_float((float)i / 8 - 2);
    for (int plain = 0; plain < 2; plain++) {
        given_back = 0;
        params *p = lent(halves, plain);
        struct weight *w = &p->items[0]->weight;
        CHECK(!p->values && (w->values != NULL) == plain && weight_stored(w).type == (plain ? STORED_REAL : STORED_F16));
        weight_read(w, 3, 4, some);
        for (int i = 0; i < 4; i++) CHECK(some[i] == (real)(3 + i) / 8 - 2);
        uint64_t version = w->version;
        /* Widened is not changed. */
        CHECK(!params_masters(p, &err) && given_back == 1 && w->values == p->values && w->version == version);
        weight_read(w, 0, 35, values);
        for (int i = 0; i < 35; i++) CHECK(values[i] == (real)i / 8 - 2);
        real *edited = weight_edit(w);
        CHECK(edited == p->values && w->version == version + 1 && weight_stored(w).data == edited);
        edited[34] = 9;
        /* Masters are made once. */
        CHECK(!params_gradients(p, &err) && !params_masters(p, &err) && p->values[34] == 9 && p->grad);
        params_free(p);
        CHECK(given_back == 1);
    }
    changed = 1;                                             /* and its values are not made of what it is no longer */
    params *gone = lent(halves, false);
    CHECK(params_intact(gone, NULL) == LITHE_EFORMAT && params_masters(gone, &err) == LITHE_EFORMAT && given_back == 2);
    changed = 0;
    CHECK(!params_intact(gone, NULL));
    params_free(gone);
    params_free(lent(halves, false));
    CHECK(given_back == 3);                                  /* a set that goes gives back what it borrowed */
}

/* A matrix in blocks, and stored transposed: any numbers of it, from any number on. */
static void blocks_of_one(void)
{
    enum { ROWS = 512, COLUMNS = 96, COUNT = ROWS * COLUMNS };
    float *x = malloc(COUNT * sizeof *x), *turned = malloc(COUNT * sizeof *x);
    real *y = malloc(COUNT * sizeof *y);
    uint8_t *bytes = malloc(COUNT * sizeof *x);
    for (int i = 0; i < COUNT; i++) x[i] = (float)random_normal(5, (uint64_t)i);
    for (int r = 0; r < ROWS; r++) for (int c = 0; c < COLUMNS; c++) turned[c * ROWS + r] = x[r * COLUMNS + c];
    for (stored_type type = STORED_Q4_0; type < STORED_TYPES; type++)
        for (int transposed = 0; transposed < 2 && stored_formats[type].quantize; transposed++) {
            if (!transposed && COLUMNS % stored_formats[type].block) continue;
            struct weight w = { .version = 1 };
            quantize(type, transposed ? turned : x, COUNT, bytes);
            weight_store(&w, (stored){ .type = type, .data = bytes, .rows = transposed ? ROWS : 0, .columns = transposed ? COLUMNS : 0 }, NULL, 0);
            real *all = weight_copy(&w, COUNT);
            double error = 0;
            for (int i = 0; i < COUNT; i++) error = fmax(error, fabs((double)(all[i] - (real)x[i])));
            CHECK_MSG(error < 0.5, "%s%s: off by %g", stored_formats[type].name, transposed ? " transposed" : "", error);
            for (size_t first = 0; first < COUNT; first += 4001)
                for (size_t n = 1; first + n <= COUNT && n < 700; n += 1 + n) {
                    weight_read(&w, first, n, y);
                    CHECK(!memcmp(y, all + first, n * sizeof *y));
                }
            free(all);
            weight_free(&w);
        }
    free(bytes), free(y), free(turned), free(x);
}

/* ---- every architecture in every form --------------------------------------------------------- */

static const char *const levels[] = { KERNEL_LEVELS(KERNEL_NAME, ) };

typedef struct { real values[1 << 15]; int count; } found;

static void take(found *f, const tensor *t)
{
    if (!t) return;
    size_t n = (size_t)capacity_rows(t) * (size_t)t->width;
    if ((size_t)f->count + n > sizeof f->values / sizeof *f->values) abort();
    memcpy(f->values + f->count, t->data, n * sizeof(real));
    f->count += (int)n;
}

static graph *planned(const lithe_model *m, const kernels *k, const graph_options *o, want w, results *r)
{
    lithe_error err = { 0 };
    graph *g = graph_new(k, m->params, o);
    *r = arch_build(m->arch, m->config, &m->task, g, w);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    return g;
}

/* Whatever the model gives for a batch, and where it continues text, its logits token by token. */
static void look(const lithe_model *m, const kernels *k, found *f)
{
    const graph_options whole = { .mode = GRAPH_SCORE, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 }, .poison = true };
    const graph_options steps = { .mode = GRAPH_DECODE, .capacity = { 1, 1, 0 }, .slots = 1, .context = SMALL_ROWS, .poison = true };
    bool has_loss = m->task.kind != TASK_BODY && m->task.kind != TASK_SPAN, decodes = m->task.kind == TASK_LANGUAGE && !lithe_model_encoder(m);
    small_batch b;
    results r;
    small_fill(&b, 23, 9);
    f->count = 0;
    for (want w = has_loss ? WANT_LOSS : WANT_LOGITS; w <= WANT_HIDDEN; w++) {
        graph *g = planned(m, k, &whole, w, &r);
        graph_run(g, &b.b);
        take(f, r.loss), take(f, r.logits), take(f, r.seq_loss), take(f, r.seq_logits);
        if (w == WANT_HIDDEN) take(f, r.hidden);
        graph_close(g);
    }
    if (!decodes) return;
    graph *g = planned(m, k, &steps, WANT_LOGITS, &r);
    for (int i = 0; i < b.start[1]; i++) {
        graph_run(g, &(batch){ .rows = 1, .seqs = 1, .ids = b.ids + i, .pos = b.pos + i, .start = (const int[]){ 0, 1 }, .slot = (const int[]){ 0 } });
        memcpy(f->values + f->count, r.logits->data, (size_t)r.logits->width * sizeof(real));
        f->count += r.logits->width;
    }
    graph_close(g);
}

/* On tiles fp32 products with weights in bf16 are summed in another order than those with floats. */
static bool other_order(const kernels *k, const char *type) { return !strcmp(k->name, "amx") && !strcmp(type, "bf16"); }

static bool equal(const found *a, const found *b, bool order_differs)
{
    size_t n = (size_t)a->count;
    if (!n || a->count != b->count) return false;
    return order_differs ? relative_error(a->values, b->values, n) <= 1e-5 : !memcmp(a->values, b->values, n * sizeof(real));
}

/* Stored as `type`, a model gives the bytes it gives with those values as master values. */
static void one_form(const small_case *c, const char *type, const char *dir)
{
    static found stored_results, master_results;
    lithe_error err = { 0 };
    lithe_model *fresh = lithe_model_new(c->arch, c->config, 3, &err);
    if (fresh) small_perturb(fresh->params, 0.1, 3);
    if (fresh) lithe_model_save(fresh, dir, type, NULL, &err);
    lithe_model *m = lithe_model_open(dir, NULL, &err), *masters = open_values(dir, NULL, &err);
    CHECK_MSG(m && masters, "%s: %s", c->name, err.text);
    for (int l = 0; m && masters && l < (int)(sizeof levels / sizeof *levels); l++) {
        const kernels *k = kernels_level(levels[l]);
        if (!k) continue;
        look(m, k, &stored_results);
        look(masters, k, &master_results);
        CHECK_MSG(equal(&stored_results, &master_results, other_order(k, type)), "%s stored as %s at %s: other results than with its values widened", c->name, type, levels[l]);
    }
    int forms = 0;
    for (int i = 0; m && i < m->params->count; i++) {
        const param *p = m->params->items[i];
        bool is_form = weight_stored(&p->weight).type == (!strcmp(type, "f16") ? STORED_F16 : !strcmp(type, "bf16") ? STORED_BF16 : STORED_REAL);
        bool reordered = p->rule.by_head && p->rule.heads > 1;          /* other rows in files: copied in their type */
        CHECK_MSG(p->plain || (is_form && !p->weight.values && !p->weight.own == !reordered), "%s: %s is not where the file has it", c->name, p->name);
        forms += !p->plain;
    }
    CHECK_MSG(m && forms > 0 && !m->params->values, "%s: nothing is stored as the file has it", c->name);
    lithe_model_close(masters);
    lithe_model_close(m);
    lithe_model_close(fresh);
}

static void every_form(const char *type)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        char dir[400];
        snprintf(dir, sizeof dir, "%s/%d", test_dir(), i);
        one_form(&cases[i], type, dir);
    }
}
static void as_f32(void) { every_form("f32"); }
static void as_f16(void) { every_form("f16"); }
static void as_bf16(void) { every_form("bf16"); }

/* ---- files that are not as a kernel wants them ------------------------------------------------------ */

static void same_logits(const char *dir, const lithe_model *expected, const char *what, const char *type)
{
    static found a, b;
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(dir, NULL, &err);
    CHECK_MSG(m, "%s: %s", what, err.text);
    for (size_t l = 0; m && l < sizeof levels / sizeof *levels; l++) {
        const kernels *k = kernels_level(levels[l]);
        if (!k) continue;
        look(m, k, &a);
        look(expected, k, &b);
        CHECK_MSG(equal(&a, &b, other_order(k, type)), "%s: other results at %s", what, levels[l]);
    }
    lithe_model_close(m);
}

/* One more space after the header of a safetensors file: all its tensors move to odd addresses. */
static void move_by_one(const char *path)
{
    lithe_error err = { 0 };
    size_t size = 0;
    char *bytes = file_read(path, 1 << 24, &size, &err), *moved = malloc(size + 1);
    uint64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    memcpy(moved, bytes, sizeof header + header);
    moved[sizeof header + header] = ' ';
    memcpy(moved + sizeof header + header + 1, bytes + sizeof header + header, size - sizeof header - header);
    header++;
    memcpy(moved, &header, sizeof header);
    CHECK_MSG(!file_write(path, moved, size + 1, &err), "%s", err.text);
    free(bytes);
    free(moved);
}

static void odd_addresses(void)
{
    static const char *const types[] = { "f32", "f16", "bf16" };
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        char path[400];
        lithe_model *m = lithe_model_new("gpt2", SMALL_GPT2, 3, &err), *straight;
        CHECK_MSG(m && !lithe_model_save(m, in_dir(types[i]), types[i], NULL, &err), "%s", err.text);
        straight = open_values(in_dir(types[i]), NULL, &err);
        snprintf(path, sizeof path, "%s/model.safetensors", types[i]);
        move_by_one(in_dir(path));
        CHECK_MSG(straight, "%s", err.text);
        if (straight) same_logits(in_dir(types[i]), straight, types[i], types[i]);
        lithe_model_close(straight);
        lithe_model_close(m);
    }
}

/* Numbers of a type that no kernel takes are floats in memory of the model's own. */
static void doubles(void)
{
    enum { MOST = 64 };
    lithe_error err = { 0 };
    out_tensor tensors[MOST];
    lithe_model *m = lithe_model_new("llama", SMALL_LLAMA, 3, &err);
    CHECK_MSG(m && m->params->count <= MOST && !lithe_model_save(m, in_dir("double"), NULL, NULL, &err), "%s", err.text);
    for (int i = 0; m && i < m->params->count; i++) {
        const param *p = m->params->items[i];
        double *x = malloc(p->count * sizeof *x);
        for (size_t j = 0; j < p->count; j++) x[j] = (double)p->weight.values[j];
        tensors[i] = (out_tensor){ .name = p->name, .type = DT_F64, .rank = p->rule.rank, .data = x };
        for (int d = 0; d < p->rule.rank; d++) tensors[i].dims[d] = p->rule.dims[d];
    }
    if (m) CHECK_MSG(!safetensors_write(in_dir("double/model.safetensors"), tensors, m->params->count, NULL, &err), "%s", err.text);
    if (m) same_logits(in_dir("double"), m, "doubles", "f32");
    for (int i = 0; m && i < m->params->count; i++) free((void *)(uintptr_t)tensors[i].data);
    lithe_model_close(m);
}

/* A model is trained, grown and saved from a file in another type as from its widened self; a save in that type keeps
 * its bytes. */
static void growing_and_saving_from_a_stored_form(void)
{
    lithe_error err = { 0 };
    lithe_model *fresh = lithe_model_new("llama", SMALL_LLAMA, 3, &err);
    CHECK_MSG(fresh && !lithe_model_save(fresh, in_dir("bf16"), "bf16", NULL, &err), "%s", err.text);
    lithe_model *m = lithe_model_open(in_dir("bf16"), NULL, &err), *masters = open_values(in_dir("bf16"), NULL, &err);
    lithe_model *grown[2] = { lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .factor = 2), NULL, &err),
                              lithe_model_grow(masters, &LITHE_OPTIONS(lithe_grow_options, .factor = 2), NULL, &err) };
    CHECK_MSG(m && !m->params->values && same_parameters(m, masters) && same_parameters(grown[0], grown[1]), "%s", err.text);
    CHECK_MSG(!lithe_model_save(m, in_dir("again"), "bf16", NULL, &err) && !lithe_model_save(masters, in_dir("narrowed"), "bf16", NULL, &err), "%s", err.text);
    size_t sizes[2] = { 0 };
    char *a = file_read(in_dir("again/model.safetensors"), 1 << 24, &sizes[0], &err), *b = file_read(in_dir("narrowed/model.safetensors"), 1 << 24, &sizes[1], &err);
    CHECK(a && b && sizes[0] == sizes[1] && !memcmp(a, b, sizes[0]));
    free(a);
    free(b);
    for (int i = 0; i < 2; i++) lithe_model_close(grown[i]);
    lithe_model_close(masters);
    lithe_model_close(m);
    lithe_model_close(fresh);
}

const test tests_weights[] = {
    { "weights: what is asked of one", questions }, { "weights: in blocks, and stored transposed", blocks_of_one },
    { "weights: every architecture from f32", as_f32 }, { "weights: every architecture from f16", as_f16 },
    { "weights: every architecture from bf16", as_bf16 },
    { "weights: odd addresses", odd_addresses }, { "weights: doubles", doubles },
    { "weights: growing and saving from a stored form", growing_and_saving_from_a_stored_form },
    { 0 }
};
