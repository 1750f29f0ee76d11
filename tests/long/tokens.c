/* A million tokens from a small recurrent model: memory must not grow, and a
 * token must not cost more at the end than in the beginning.
 *   tokens ARCH [TOKENS]      (make check-long)
 * While the session writes its last tenth, a second one of the same model
 * writes its first tenth, piece by piece in turn: a machine whose speed changes
 * changes it for both.  Prints what was measured; exits 1 when memory grows by
 * over a MiB after the first thousand tokens, or a token of the last tenth
 * differs by over 10 % from one of the first, or the state or the logits are
 * not finite in the end. */
#include "infer/engine.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SETTLED = 1000, PARTS = 10, PIECE = 500 };

/* One of the two that write: its session, and the seconds of each timed piece. */
typedef struct { lithe_session *session; double *seconds; size_t pieces; } speaker;

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

static int write_tokens(lithe_session *s, size_t count, lithe_error *err)
{
    const lithe_sampling o = { .size = sizeof o, .temperature = 1, .repetition = 1.1f, .seed = 3 };
    int status = 0;
    for (size_t i = 0; !status && i < count; i++) status = lithe_session_push(s, lithe_session_sample(s, &o, err), err);
    return status;
}

static int write_piece(speaker *w, lithe_error *err)
{
    double before = seconds();
    int status = write_tokens(w->session, PIECE, err);
    w->seconds[w->pieces++] = seconds() - before;
    return status;
}

/* Both settle, the old one goes on to its last tenth, then they take turns.  settled: bytes held after the first
 * thousand tokens. */
static int write_both(speaker *old, speaker *fresh, size_t wanted, long *settled, lithe_error *err)
{
    int status = lithe_session_push(old->session, 1, err);
    if (!status) status = lithe_session_push(fresh->session, 1, err);
    if (!status) status = write_tokens(old->session, SETTLED, err);
    if (!status) status = write_tokens(fresh->session, SETTLED, err);
    *settled = resident();
    if (!status) status = write_tokens(old->session, wanted - wanted / PARTS - SETTLED, err);
    for (size_t i = 0; !status && i < wanted / PARTS / PIECE; i++) {
        status = write_piece(i % 2 ? old : fresh, err);
        if (!status) status = write_piece(i % 2 ? fresh : old, err);
    }
    return status;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds a token: the middle one of the pieces. */
static double a_token(speaker *w)
{
    qsort(w->seconds, w->pieces, sizeof *w->seconds, ascending);
    return w->seconds[w->pieces / 2] / PIECE;
}

static int is_finite(const lithe_session *s)
{
    const float *logits = lithe_session_logits(s);
    int finite = logits != NULL;
    for (int i = 0; finite && i < s->vocab; i++) finite = isfinite(logits[i]);
    for (int i = 0; i < engine_states(s->engine); i++) {
        const slot_state x = engine_state(s->engine, i, 0);
        for (int k = 0; x.recurrent && k < x.width; k++) finite = finite && isfinite(((const real *)x.data)[k]);
    }
    return finite;
}

static int judge(const char *name, speaker *old, speaker *fresh, size_t wanted, long settled)
{
    long more = resident() - settled;
    double first = a_token(fresh), last = a_token(old), change = last / first - 1;
    int finite = is_finite(old->session);
    printf("%s: %zu tokens, memory grew by %ld kB, a token took %.2f us in the first tenth, %.2f us in the last (%+.1f %%)%s\n", name, wanted,
           more / 1024, 1e6 * first, 1e6 * last, 100 * change, finite ? "" : ", not finite");
    return more <= 1 << 20 && fabs(change) <= 0.1 && finite ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct { const char *arch, *sizes; } heads[] = {
        { "rwkv4", "" }, { "rwkv5", ",\"head_size\":16" }, { "rwkv6", ",\"head_size\":16,\"time_mix_extra_dim\":8,\"time_decay_extra_dim\":8" },
        { "rwkv7", ",\"head_dim\":16,\"decay_low_rank_dim\":8,\"a_low_rank_dim\":8,\"v_low_rank_dim\":8,\"gate_low_rank_dim\":8" },
    };
    char sizes[400];
    lithe_error err = { 0 };
    size_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    const char *name = argc > 1 ? argv[1] : "rwkv7";
    if (wanted < (size_t)PARTS * SETTLED) { fprintf(stderr, "at least %d tokens\n", PARTS * SETTLED); return 2; }
    const char *more = "";
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) if (!strcmp(heads[i].arch, name)) more = heads[i].sizes;
    snprintf(sizes, sizeof sizes, "{\"vocab_size\":64,\"hidden_size\":32,\"num_hidden_layers\":2,\"intermediate_size\":64%s}", more);
    lithe_threads(1);
    lithe_model *m = lithe_model_new(name, sizes, 1, &err);
    /* Fresh weights are half zeros. */
    for (size_t i = 0; m && i < m->params->arena_count; i++) m->params->values[i] += (real)(0.05 * sin((double)i));
    size_t pieces = wanted / PARTS / PIECE;
    speaker old = { lithe_session_open(m, 0, &err), calloc(pieces, sizeof(double)), 0 };
    speaker fresh = { lithe_session_open(m, 0, &err), calloc(pieces, sizeof(double)), 0 };
    long settled = 0;
    int ready = old.session && fresh.session && old.seconds && fresh.seconds;
    int status = ready ? write_both(&old, &fresh, wanted, &settled, &err) : LITHE_EINVAL;
    if (status) fprintf(stderr, "%s\n", err.text);
    int code = status ? 1 : judge(name, &old, &fresh, wanted, settled);
    lithe_session_close(old.session);
    lithe_session_close(fresh.session);
    free(old.seconds);
    free(fresh.seconds);
    lithe_model_close(m);
    return code;
}
