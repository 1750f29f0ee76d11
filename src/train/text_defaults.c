/* What a new model of a text takes by default (docs/defaults.md): a small table, from the runs of studies/first-hour.
 * Its rows are for one or two quiet cores with AMX; where a machine is slower or faster, the size of the model follows
 * the square root of its speed, in powers of two, so that two measurements agree. */
#include "lithe_tools.h"
#include "arch/arch.h"
#include "kernels/kernels.h"
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* The row of a kind and size: of texts with up to so many bytes.  A text that is read several times is learned by heart
 * unless the weights decay faster (0: as usual).  Small texts leave time over: a machine that is `spare` times as slow
 * has the same model. */
typedef struct { const char *kind; double bytes; int vocab; double params, passes, decay, spare; } row;

static const row table[] = {
    { "words",      600e3,    1024, 2e6, 4, 1, 8 },
    { "words",      6e6,      1024, 2e6, 6, 1, 1 },
    { "words",      INFINITY, 4096, 2e6, 8, 0, 1 },
    { "characters", 600e3,    1024, 2e6, 4, 1, 8 },
    { "characters", 6e6,      2048, 2e6, 6, 1, 1 },
    { "characters", INFINITY, 4096, 2e6, 8, 0, 1 },
    { "code",       600e3,    1024, 2e6, 4, 1, 8 },
    { "code",       6e6,      1024, 2e6, 6, 1, 1 },
    { "code",       INFINITY, 2048, 1e6, 8, 0, 1 },
};
static const int windows = 4, context = 256;

/* Of the machine of the table: its rate in f32, between that of one core and that of two, and how much faster models
 * train in bf16 where that is in hardware. */
static const double usual_rate = 2.1e11, in_hardware = 2;
static const double params_least = 300e3;
/* Encoders read each text many times, each time under other masks, and have a vocabulary of words. */
static const int encoder_batch = 8;
static const double encoder_passes = 20, encoder_params_least = 100e3, encoder_params_most = 3e6;

/* ---- the kind of a text ------------------------------------------------------------------- */

static bool is_sign(int c) { return c && strchr("{}()[]<>=;_#/\\*&|$+@", c); }

/* By its bytes: characters are those of scripts that have thousands of them, three bytes each; code has many signs. */
static const char *kind_of(const char *text, size_t n)
{
    size_t plain = 0, signs = 0, leads = 0, ideographs = 0;
    for (size_t i = 0; i < n; i++) {
        const int c = (unsigned char)text[i];
        if (c < 0x80) { plain++; signs += is_sign(c); }
        if (c >= 0xc0) { leads++; ideographs += c >= 0xe3 && c <= 0xed; }
    }
    if (4 * ideographs > leads + plain) return "characters";
    return 25 * signs > n ? "code" : "words";
}

/* ---- the choice ----------------------------------------------------------------------------- */

static const row *row_for(const char *kind, double bytes)
{
    const row *r = table;
    while (strcmp(r->kind, kind) || bytes > r->bytes) r++;
    return r;
}

/* The factor on a row's parameters. */
static double size_for(const row *r, double rate, bool amx)
{
    const double speed = rate * (amx ? in_hardware : 1) / (usual_rate * in_hardware);
    const double most = r->spare > 1 ? 0 : 2;
    return rate > 0 ? exp2(fmin(most, fmax(-2, rint(0.5 * log2(speed * r->spare))))) : 1;
}

void lithe_choose_for_text(const char *name, const char *sample, size_t n, double bytes, double rate, lithe_text_choice *out)
{
    const arch *a = name ? arch_find(name) : arch_for_text();
    const char *kind = kind_of(sample, n);
    const row *r = row_for(kind, bytes);
    const bool amx = !strcmp(kernels_default()->name, "amx");
    *out = (lithe_text_choice){
        .kind = kind, .arch = a ? a->name : name, .vocab = r->vocab, .params = fmax(params_least, r->params * size_for(r, rate, amx)),
        .ctx = context, .batch = windows, .passes = r->passes, .weight_decay = r->decay, .dtype = amx ? "bf16" : "f32",
    };
    if (!a || !a->vocabulary) return;
    out->params = fmin(encoder_params_most, fmax(encoder_params_least, bytes));
    out->vocab = bytes < 2e6 ? 1024 : 4096;
    out->batch = encoder_batch;
    out->passes = encoder_passes;
    out->weight_decay = 0;
    out->dtype = "f32";
}
