/* RWKV-7's time mix.  Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic
 * State Evolution": keys from the projections, a scan with a matrix for each
 * head under the delta rule, and the read-out.  Backward recomputes everything
 * from the inputs. */
#include "ops/carry.h"
#include "ops/ops.h"

/* ---- keys ---- */

enum { K, RATE, K_K, K_A };
enum { KEY, REMOVAL, WRITTEN };

static wkv7_keys_args keys_arguments(const node *n)
{
    return (wkv7_keys_args){ .rows = live_rows(n->out[0]), .width = n->out[0]->width, .N = n->i[0],
                             .k = in_data(n, K), .a = in_data(n, RATE), .k_k = in_data(n, K_K), .k_a = in_data(n, K_A) };
}

static void keys_forward(const node *n, const kernels *k)
{
    wkv7_keys_args a = keys_arguments(n);
    a.key = out_data(n, KEY);
    a.removal = out_data(n, REMOVAL);
    a.written = out_data(n, WRITTEN);
    k->wkv7_keys(&a);
}

static void keys_backward(const node *n, const kernels *k)
{
    wkv7_keys_args a = keys_arguments(n);
    a.dkey = grad_out(n, KEY);
    a.dremoval = grad_out(n, REMOVAL);
    a.dwritten = grad_out(n, WRITTEN);
    a.dk = grad_in(n, K, &a.add_dk);
    a.da = grad_in(n, RATE, &a.add_da);
    a.dk_k = grad_in(n, K_K, &a.add_dk_k);
    a.dk_a = grad_in(n, K_A, &a.add_dk_a);
    k->wkv7_keys_backward(&a);
}

static const op op_keys = { .name = "wkv7_keys", .forward = keys_forward, .backward = keys_backward, .reads = IN(K) | IN(RATE) };

wkv7_key_set wkv7_keys(graph *g, wkv7_keys_inputs in)
{
    if (!graph_ok(g)) return (wkv7_key_set){ 0 };
    const tensor *k = in.k;
    require(g, in.N > 0 && k->width % in.N == 0, "wkv7_keys: heads of %d do not divide %d channels", in.N, k->width);
    require(g, in.rate->width == k->width && in.k_k->width == k->width && in.k_a->width == k->width, "wkv7_keys: %d channels of keys, %d rates", k->width, in.rate->width);
    node *n = append(g, &op_keys, (tensor *[]){ in.k, in.rate, in.k_k, in.k_a }, 4);
    if (!n) return (wkv7_key_set){ 0 };
    n->i[0] = in.N;
    tensor *out[3];
    for (int i = 0; i < 3; i++) out[i] = output(n, i, k->space, k->rows, k->width);
    return (wkv7_key_set){ out[0], out[1], out[2] };
}

/* ---- the scan ---- */

enum { R, DECAY, SCAN_KEY, V, SCAN_REMOVAL, SCAN_WRITTEN, STATE };

static wkv7_args scan_arguments(const node *n)
{
    const batch *b = run_batch(n);
    return (wkv7_args){ .seqs = b->seqs, .width = n->out[0]->width, .N = n->i[0], .start = b->start, .r = in_data(n, R), .decay = in_data(n, DECAY),
                        .key = in_data(n, SCAN_KEY), .v = in_data(n, V), .removal = in_data(n, SCAN_REMOVAL), .written = in_data(n, SCAN_WRITTEN),
                        .work = work_data(n) };
}

static void scan_forward(const node *n, const kernels *k)
{
    wkv7_args a = scan_arguments(n);
    a.y = out_data(n, 0);
    carry_begin(n, k, n->in[STATE]);
    if (n->in[STATE]) {
        a.state = n->in[STATE]->data;
        a.from = carried_from(n);
        a.to = run_batch(n)->slot;
    }
    k->wkv7(&a);
}

static void scan_backward(const node *n, const kernels *k)
{
    wkv7_args a = scan_arguments(n);
    a.dy = grad_out(n, 0);
    a.dr = grad_in(n, R, &a.add_dr);
    a.ddecay = grad_in(n, DECAY, &a.add_ddecay);
    a.dkey = grad_in(n, SCAN_KEY, &a.add_dkey);
    a.dv = grad_in(n, V, &a.add_dv);
    a.dremoval = grad_in(n, SCAN_REMOVAL, &a.add_dremoval);
    a.dwritten = grad_in(n, SCAN_WRITTEN, &a.add_dwritten);
    a.begin = save_data(n, CARRY_BEGIN);
    a.d_end = carry_end(n, k, n->in[STATE]);
    a.d_begin = carry_first(n);
    k->wkv7_backward(&a);
    carry_out(n, k, n->in[STATE], false);
}

static double scan_flops(const node *n) { return 9.0 * capacity_rows(n->out[0]) * n->out[0]->width * n->i[0]; }

static const op op_scan = { .name = "wkv7", .forward = scan_forward, .backward = scan_backward, .flops = scan_flops,
                            .reads = IN(R) | IN(DECAY) | IN(SCAN_KEY) | IN(V) | IN(SCAN_REMOVAL) | IN(SCAN_WRITTEN) | CARRY_READS };

tensor *wkv7(graph *g, const char *name, wkv7_inputs in)
{
    if (!graph_ok(g)) return NULL;
    const int C = in.r->width;
    require(g, in.decay->width == C && in.key->width == C && in.v->width == C && in.removal->width == C && in.written->width == C, "wkv7: not all inputs are %d wide", C);
    return matrix_scan(g, &op_scan, name, (tensor *[]){ in.r, in.decay, in.key, in.v, in.removal, in.written }, STATE, in.N);
}

/* ---- reading out ---- */

enum { Y, READ_R, READ_KEY, READ_V, W, B, BONUS };

static wkv7_read_args read_arguments(const node *n)
{
    return (wkv7_read_args){ .rows = live_rows(n->out[0]), .width = n->out[0]->width, .N = n->i[0], .eps = n->f[0], .y = in_data(n, Y), .r = in_data(n, READ_R),
                             .key = in_data(n, READ_KEY), .v = in_data(n, READ_V), .w = in_data(n, W), .b = in_data(n, B), .bonus = in_data(n, BONUS) };
}

static void read_forward(const node *n, const kernels *k)
{
    wkv7_read_args a = read_arguments(n);
    a.out = out_data(n, 0);
    k->wkv7_read(&a);
}

static void read_backward(const node *n, const kernels *k)
{
    wkv7_read_args a = read_arguments(n);
    a.dout = grad_out(n, 0);
    a.dy = grad_in(n, Y, &a.add_dy);
    a.dr = grad_in(n, READ_R, &a.add_dr);
    a.dkey = grad_in(n, READ_KEY, &a.add_dkey);
    a.dv = grad_in(n, READ_V, &a.add_dv);
    a.dw = grad_in(n, W, &a.add_dw);
    a.db = grad_in(n, B, &a.add_db);
    a.dbonus = grad_in(n, BONUS, &a.add_dbonus);
    k->wkv7_read_backward(&a);
}

static const op op_read = { .name = "wkv7_read", .forward = read_forward, .backward = read_backward,
                            .reads = IN(Y) | IN(READ_R) | IN(READ_KEY) | IN(READ_V) };

tensor *wkv7_read(graph *g, wkv7_read_inputs in)
{
    if (!graph_ok(g)) return NULL;
    const int C = in.y->width;
    require(g, in.N > 0 && C % in.N == 0, "wkv7_read: heads of %d do not divide %d channels", in.N, C);
    require(g, in.r->width == C && in.key->width == C && in.v->width == C && in.w->width == C && in.b->width == C, "wkv7_read: not all inputs are %d wide", C);
    require(g, in.bonus->rows * in.bonus->width == C, "wkv7_read: %d bonuses for %d channels", in.bonus->rows * in.bonus->width, C);
    node *n = append(g, &op_read, (tensor *[]){ in.y, in.r, in.key, in.v, in.w, in.b, in.bonus }, 7);
    if (!n) return NULL;
    n->i[0] = in.N;
    n->f[0] = (real)in.eps;
    return output(n, 0, in.y->space, in.y->rows, C);
}
