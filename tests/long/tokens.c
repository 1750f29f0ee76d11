/* A million tokens from a small recurrent model: memory must not grow, and a
 * token must not cost more at the end than in the beginning.
 *   tokens ARCH [TOKENS]      (make check-long)
 * Prints what was measured; exits 1 when memory grows by over a MiB after the
 * first thousand tokens, or a token of the last tenth takes over 10 % more than
 * one of the first, or the state or the logits are not finite in the end. */
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SETTLED = 1000, PARTS = 10, PIECE = 500 };

/* Bytes of memory this process holds now. */
static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return pages * 4096;
}

/* Of this process alone, so that neighbours on the machine count little. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* fastest: seconds of the quickest PIECE tokens in each tenth, which neighbours disturb least and a slowing down spares none of */
typedef struct { size_t written, wanted; long settled; double before, fastest[PARTS]; } progress;

static void measure(progress *p)
{
    if (++p->written == SETTLED) p->settled = resident();
    if (p->written % PIECE) return;
    double now = seconds(), *fastest = &p->fastest[(p->written - 1) * PARTS / p->wanted];
    if (*fastest <= 0 || now - p->before < *fastest) *fastest = now - p->before;
    p->before = now;
}

static int write_tokens(lithe_session *s, progress *p, lithe_error *err)
{
    const lithe_sampling o = { .temperature = 1, .repetition = 1.1f, .seed = 3 };
    int status = lithe_session_push(s, 1, err);
    for (p->before = seconds(); !status && p->written < p->wanted; measure(p)) status = lithe_session_push(s, lithe_session_sample(s, &o), err);
    return status;
}

static int judge(const char *name, const progress *p, const lithe_session *s)
{
    long more = resident() - p->settled;
    double first = p->fastest[0] / PIECE, last = p->fastest[PARTS - 1] / PIECE, change = last / first - 1;
    const float *logits = lithe_session_logits(s);
    int finite = logits != NULL;
    for (int i = 0; finite && i < s->vocab; i++) finite = isfinite(logits[i]);
    for (int i = 0; i < s->state_count; i++)
        for (int k = 0; k < s->states[i].width; k++) finite = finite && isfinite(s->states[i].data[k]);
    printf("%s: %zu tokens, memory grew by %ld kB, a token took %.2f us in the first tenth, %.2f us in the last (%+.1f %%)%s\n", name, p->written,
           more / 1024, 1e6 * first, 1e6 * last, 100 * change, finite ? "" : ", not finite");
    return more <= 1 << 20 && change <= 0.1 && finite ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const char sizes[] = "{\"vocab_size\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"head_size\":16,\"head_dim\":16,\"intermediate_size\":64,"
        "\"decay_low_rank_dim\":8,\"a_low_rank_dim\":8,\"v_low_rank_dim\":8,\"gate_low_rank_dim\":8,\"time_mix_extra_dim\":8,\"time_decay_extra_dim\":8}";
    lithe_error err = { 0 };
    progress p = { .wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000 };
    const char *name = argc > 1 ? argv[1] : "rwkv7";
    if (p.wanted < (size_t)PARTS * SETTLED) { fprintf(stderr, "at least %d tokens\n", PARTS * SETTLED); return 2; }
    lithe_threads(1);
    lithe_model *m = lithe_model_new(name, sizes, 1, &err);
    for (size_t i = 0; m && i < m->params->arena_count; i++) m->params->data[i] += (real)(0.05 * sin((double)i));          /* fresh weights are half zeros */
    lithe_session *s = lithe_session_open(m, 0, &err);
    int status = s ? write_tokens(s, &p, &err) : LITHE_EINVAL;
    if (status) fprintf(stderr, "%s\n", err.text);
    int code = status ? 1 : judge(name, &p, s);
    lithe_session_close(s);
    lithe_model_close(m);
    return code;
}
