/* What a token costs.
 *
 *     bench-decode MODEL [TOKENS [THREADS]]                    128 1
 *
 * One CSV row: the tokens a second of a model on disk, the bytes of the weights that a token multiplies by, and the
 * rate at which they are read, beside the rate at which the same threads read as many bytes of memory and do
 * nothing else.  Both are measured in turns, and `share` is their ratio.  One thread is measured in its own time,
 * several by the clock.
 *
 *     bench-decode [TOKENS [WIDTH [LAYERS [ARCH...]]]]         8192 256 6 gpt2 rwkv7
 *
 * As a text grows: models of one width and depth write in turns, so that a machine whose speed changes changes it for
 * all.  One CSV row each POINT tokens: the tokens so far and, for each model, the seconds it has
 * taken; then on standard error how well a line fits.  One thread, its own time. */
#include "base/arena.h"
#include "infer/session.h"
#include "model/pass.h"
#include "timing.h"
#include <math.h>

enum { MODELS = 4, PIECE = 64, POINT = 256, VOCAB = 4096 };

typedef struct { const char *name; lithe_model *model; lithe_session *session; double total, *at; } decoder;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int begin(decoder *s, const char *name, int width, int layers, int tokens, lithe_error *err)
{
    const arch *a = arch_find(name);
    json_t *config = a ? a->config.sized(width, layers, VOCAB, tokens + 1) : NULL;
    char *text = config ? json_dumps(config, 0) : NULL;
    *s = (decoder){ .name = name, .at = calloc((size_t)(tokens / POINT) + 1, sizeof(double)) };
    if (text) s->model = lithe_model_new(name, text, 1, err);
    if (s->model) s->session = lithe_session_open(s->model, tokens + 1, err);
    free(text);
    json_decref(config);
    return s->session && s->at ? lithe_session_push(s->session, 1, err) : -1;
}

static int write_piece(decoder *s, lithe_error *err)
{
    const lithe_sampling o = { .size = sizeof o, .temperature = 1, .seed = 3 };
    int status = 0;
    double start = seconds();
    for (int i = 0; i < PIECE && !status; i++) status = lithe_session_push(s->session, lithe_session_sample(s->session, &o, err), err);
    s->total += seconds() - start;
    return status;
}

/* R^2 of a line through n points (i, y[i]). */
static double r_squared(const double *y, int n)
{
    double sx = 0, sy = 0, xx = 0, xy = 0, yy = 0;
    for (int i = 0; i < n; i++) sx += i, sy += y[i];
    for (int i = 0; i < n; i++) {
        double dx = i - sx / n, dy = y[i] - sy / n;
        xx += dx * dx, xy += dx * dy, yy += dy * dy;
    }
    return xy * xy / (xx * yy);
}

static int growing_text(int argc, char **argv)
{
    static const char *const usual[] = { "gpt2", "rwkv7" };
    int tokens = argc > 1 ? atoi(argv[1]) : 8192, width = argc > 2 ? atoi(argv[2]) : 256, layers = argc > 3 ? atoi(argv[3]) : 6;
    int models = argc > 4 ? argc - 4 : 2, points = 0;
    decoder s[MODELS];
    lithe_error err = { 0 };
    if (models > MODELS || tokens < 4 * POINT) { fprintf(stderr, "at most %d models, at least %d tokens\n", MODELS, 4 * POINT); return 2; }
    lithe_threads(1);
    printf("tokens");
    for (int i = 0; i < models; i++) {
        const char *name = argc > 4 ? argv[4 + i] : usual[i];
        if (begin(&s[i], name, width, layers, tokens, &err)) { fprintf(stderr, "%s: %s\n", name, err.text); return 1; }
        printf(",%s", name);
    }
    printf("\n");
    for (int n = PIECE; n <= tokens; n += PIECE) {
        for (int i = 0; i < models; i++)
            if (write_piece(&s[i], &err)) { fprintf(stderr, "%s: %s\n", s[i].name, err.text); return 1; }
        if (n % POINT) continue;
        printf("%d", n);
        for (int i = 0; i < models; i++) printf(",%.4f", s[i].at[points] = s[i].total);
        printf("\n");
        points++;
    }
    for (int i = 0; i < models; i++)
        fprintf(stderr, "%s: %zu parameters, a line fits with R^2 %.6f; the last quarter of the tokens took %.2f times the first\n", s[i].name,
                s[i].model->params->arena_count, r_squared(s[i].at, points),
                (s[i].at[points - 1] - s[i].at[points - 1 - points / 4]) / s[i].at[points / 4 - 1]);
    for (int i = 0; i < models; i++) {
        lithe_session_close(s[i].session);
        lithe_model_close(s[i].model);
        free(s[i].at);
    }
    return 0;
}

/* ---- a model on disk ---------------------------------------------------------------- */

enum { TURNS = 9, READ_PIECE = 1 << 20 };

/* Bytes of the weights that a token is multiplied by, as they are stored. */
static size_t bytes_read(const lithe_model *m, lithe_error *err)
{
    pass p;
    const step *steps;
    size_t bytes = 0;
    graph_options o = { .mode = GRAPH_DECODE, .slots = 1, .context = 8, .capacity = { [ROWS_TOKENS] = 1, [ROWS_SEQS] = 1, [ROWS_SELECTED] = 1 } };
    if (pass_plan(&p, m, &o, WANT_LOGITS, err)) return 0;
    for (int i = 0, count = graph_steps(p.g, &steps); i < count; i++) {
        const node *n = steps[i].node;
        for (int j = 0; j < MAX_IN && n->op->flops; j++)
            if (n->in[j] && n->in[j]->param && (n->op->weights & IN(j)))
                bytes += stored_bytes(weight_stored(&n->in[j]->param->weight).type, n->in[j]->param->count);
    }
    pass_close(&p);
    return bytes;
}

static void read_piece(void *memory, int piece)
{
    const uint64_t *p = memory;
    uint64_t sums[8] = { 0 };
    p += (size_t)piece * (READ_PIECE / sizeof *p);
    for (size_t i = 0; i < READ_PIECE / sizeof *p; i += 8)
        for (size_t j = 0; j < 8; j++) sums[j] ^= p[i + j];
    for (int j = 0; j < 8; j++) __asm__ volatile("" : : "r"(sums[j]));
}

static int decode_model(const char *path, int tokens, int threads)
{
    const int turn_tokens = tokens / TURNS + 1;
    lithe_error err = { 0 };
    threads_set(threads);
    double (*const now)(void) = threads == 1 ? seconds : wall_seconds, token[TURNS], reading[TURNS];
    lithe_model *m = lithe_model_open(path, NULL, &err);
    lithe_session *s = m ? lithe_session_open(m, turn_tokens * TURNS + 1, &err) : NULL;
    size_t bytes = s ? bytes_read(m, &err) : 0, pieces = bytes / READ_PIECE + 1;
    void *memory = bytes ? big_alloc(pieces * READ_PIECE) : NULL;
    if (memory) {
        memset(memory, 1, pieces * READ_PIECE);
        lithe_session_push(s, 1, &err);
    }
    for (int turn = 0; turn < TURNS && memory && !err.status; turn++) {
        double start = now();
        for (int i = 0; i < turn_tokens; i++) lithe_session_push(s, 1 + i, &err);
        token[turn] = (now() - start) / turn_tokens;
        start = now();
        parallel_for((int)pieces, read_piece, memory);
        reading[turn] = (now() - start) * (double)bytes / (double)(pieces * READ_PIECE);
    }
    if (err.status || !memory) { fprintf(stderr, "%s: %s\n", path, err.status ? err.text : "not enough memory"); return 1; }
    double each = median(token, TURNS), floor = median(reading, TURNS);
    printf("commit,cpu,level,threads,model,tokens/s,MB/token,GB/s,GB/s of reading,share\n%s,%s,%s,%d,%s,%.2f,%.1f,%.2f,%.2f,%.3f\n", COMMIT, cpu_name(),
           kernels_default()->name, threads, path, 1 / each, (double)bytes * 1e-6, (double)bytes * 1e-9 / each, (double)bytes * 1e-9 / floor, floor / each);
    big_free(memory, pieces * READ_PIECE);
    lithe_session_close(s);
    lithe_model_close(m);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || strspn(argv[1], "0123456789") == strlen(argv[1])) return growing_text(argc, argv);
    return decode_model(argv[1], argc > 2 ? atoi(argv[2]) : 128, argc > 3 ? atoi(argv[3]) : 1);
}
