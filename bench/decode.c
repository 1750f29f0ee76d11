/* What writing costs as a text grows: choosing each token is part of it, the models are of one size and need no files,
 * and they take turns.  (`lithe bench --depth` measures one model on disk, at places of a text, without choosing.)
 *
 *     bench-decode [TOKENS [WIDTH [LAYERS [ARCH...]]]]         8192 256 6 gpt2 rwkv7
 *
 * A machine whose speed changes changes it for all.  One CSV row each POINT tokens: the tokens so far and, for each
 * model, the seconds it has taken; then on standard error how well a line fits.  One thread, its own time. */
#include "infer/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
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

int main(int argc, char **argv)
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
