/* lithe bench: how fast a model runs on this machine, beside what the machine can do.
 *
 *   prefill   a prompt of N tokens in one step
 *   decode    a token of each of P sequences in a step, N steps; without choosing them.  With --depth the
 *             sequences have read so many tokens before, and each run reads on from where the one before it ended
 *   sentences for models that do not continue text: all in batches, and one by one
 *
 * A figure is the median of several runs after one that does not count; the weights are read after each run by as many
 * threads that do nothing else, so that a machine whose speed changes changes both. */
#include "bench_report.h"
#include "inputs.h"
#include "lines.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; const char *types, *parallel, *depth, *text, *tokenizer, *config, *cache_type; int prefill, decode, runs, profile, json; } bench_settings;
typedef bench_settings S;

static const option bench_options[] = {
    { "prefill", 'p', COUNT(S, prefill), "N", "512", .help = "tokens of the prompt, at most the model's context; 0: leave it out", .also = "n-prompt,pp", .group = "work", .first = 1 },
    { "decode", 'n', COUNT(S, decode), "N", "128", .help = "tokens that each sequence reads one by one, at most the model's context; 0: leave it out", .also = "n-gen,tg", .first = 1 },
    { "parallel", 0, TEXT(S, parallel), "N,...", "1", .help = "numbers of sequences that decode together, such as 1,8", .also = "np,batch-size", .first = 1 },
    { "depth", 'd', TEXT(S, depth), "N,...", "0", .help = "tokens that each sequence has read before those that it reads one by one, such as 0,1000,10000", .also = "n-depth,position" },
    { "text", 0, FILENAME(S, text), "FILE", .help = "the sentences for models that do not continue text, one a line (default: a few built-in ones)", .also = "file,input" },
    { "runs", 'r', COUNT(S, runs), "N", "5", .help = "number of runs, of which the median is given", .least = 1, .most = MOST_RUNS, .also = "repetitions", .first = 1 },
    { "types", 0, TEXT(S, types), "TYPE,...", "stored", .help = "stored: the model as it is; other types as in lithe quantize, in memory: stored,q8_0,q4_K", .also = "type", .choices = "stored|" QUANTIZED_TYPES, .group = "model", .first = 1 },
    { "cache-type", 0, CHOICE(S, cache_type), "TYPE", .help = "how keys and values are kept (default: f16 if the model is stored in 16 bits or fewer, else f32)", .choices = "f32|f16|q8_0" },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own; only sentences need one" },
    { "config", 0, FILENAME(S, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "profile", 0, FLAG(S, profile), .help = "also the time of each kind of operation", .group = "answers", .first = 1 },
    { "json", 0, FLAG(S, json), .help = "print {schema, model, machine, peak_gflops, peak_gflops_bf16, results: [{type, work, parallel, depth, cache_type, tokens, seconds, tokens_per_second, gb_per_second, read_gb_per_second, gflops, ..., peak_resident_bytes}]}", .first = 1 },
    { 0 }
};

/* A model as one type, and what is done with it. */
typedef struct {
    const S *s;
    const char *path;
    lithe_model *model; lithe_tokenizer *tokenizer;
    lines sentences;
    lithe_engine *engine;
    int32_t *ids;                       /* [prefill or decode, the larger] */
    lithe_engine_input *inputs;         /* [parallel] */
    float *out;                         /* logits [parallel, vocab], or vectors [sentences, width] */
    const char *type;
    report *report;
} bench;

/* ---- one figure -------------------------------------------------------------------------- */

enum { PIECE = 256 };                   /* tokens of a text that are read at once before those that are measured */
typedef int once(bench *b, const figure *f, lithe_error *err);

/* Runs it once for warmth, with what comes before, then as often as was asked for. */
static int measure(bench *b, figure *f, const lithe_engine_options *o, once *run, lithe_error *err)
{
    memory_forget_peak();
    b->engine = lithe_engine_open(b->model, o, err);
    if (b->engine) run(b, f, err);
    for (f->runs = 0; f->runs < b->s->runs && !err->status; f->runs++) {
        double start = lithe_clock();
        run(b, f, err);
        f->seconds[f->runs] = lithe_clock() - start;
        f->read[f->runs] = lithe_read_rate(b->model);
    }
    f->type = b->type;
    f->engine_bytes = lithe_engine_bytes(b->engine);
    f->resident_bytes = memory_peak();
    if (!err->status) report_figure(b->report, f, b->s->profile ? b->engine : NULL);
    lithe_engine_close(b->engine);
    b->engine = NULL;
    return err->status;
}

/* ---- models that continue text --------------------------------------------------------------- */

static int read_prompt(bench *b, const figure *f, lithe_error *err)
{
    lithe_engine_clear(b->engine, 0);
    return lithe_engine_step(b->engine, &(lithe_engine_input){ .ids = b->ids, .n = f->count, .logits = b->out, .wanted = 1 }, 1, err);
}

/* Empties each sequence, which then reads f->depth tokens in pieces. */
static int begin_sequences(bench *b, const figure *f, lithe_error *err)
{
    for (int k = 0; k < f->parallel; k++) {
        lithe_engine_clear(b->engine, k);
        for (size_t read = 0, n; read < f->depth && !err->status; read += n) {
            n = f->depth - read < PIECE ? f->depth - read : PIECE;
            lithe_engine_step(b->engine, &(lithe_engine_input){ .slot = k, .ids = b->ids, .n = n }, 1, err);
        }
    }
    return err->status;
}

static int read_token_by_token(bench *b, const figure *f, lithe_error *err)
{
    size_t vocab = (size_t)lithe_model_vocab(b->model), slots = (size_t)f->parallel;
    if ((!f->depth || lithe_engine_length(b->engine, 0) < f->depth) && begin_sequences(b, f, err)) return err->status;
    for (size_t i = 0; i < f->count / slots && !err->status; i++) {
        for (size_t k = 0; k < slots; k++)
            b->inputs[k] = (lithe_engine_input){ .slot = (int)k, .ids = b->ids + i, .n = 1, .logits = b->out + k * vocab, .wanted = 1 };
        lithe_engine_step(b->engine, b->inputs, slots, err);
    }
    return err->status;
}

static int prefill(bench *b, int tokens, lithe_error *err)
{
    figure f = { .work = "prefill", .unit = "tokens", .count = (size_t)tokens, .parallel = 1, .passes = 1 };
    if (lithe_pass_work(b->model, tokens, 1, &f.pass, err)) return err->status;
    return measure(b, &f, &LITHE_OPTIONS(lithe_engine_options, .context = tokens, .cache_type = b->s->cache_type, .timed = b->s->profile), read_prompt, err);
}

/* The tokens that a sequence reads in all runs. */
static int length_of(int depth, int tokens, int runs) { return depth ? depth + (1 + runs) * tokens : tokens; }

static int decode(bench *b, int tokens, int parallel, int depth, lithe_error *err)
{
    const int length = length_of(depth, tokens, b->s->runs);
    figure f = { .work = "decode", .unit = "tokens", .count = (size_t)tokens * (size_t)parallel, .parallel = parallel, .passes = tokens, .depth = (size_t)depth, .cache = b->s->cache_type };
    if (lithe_pass_work(b->model, parallel, parallel, &f.pass, err)) return err->status;
    return measure(b, &f, &LITHE_OPTIONS(lithe_engine_options, .slots = parallel, .context = length, .cache_type = b->s->cache_type, .timed = b->s->profile), read_token_by_token, err);
}

enum { MOST_PARALLEL = 4096, MOST_DEPTH = 1 << 26, LISTED = 16 };
typedef struct { int value[LISTED], count, most; } counts;

/* The numbers of an option, such as "1,8". */
static int read_counts(const char *name, const char *text, int least, int most, counts *c, lithe_error *err)
{
    *c = (counts){ 0 };
    for (const char *at = text; at; ) {
        char *end;
        long n = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || n < least || n > most || c->count == LISTED)
            return wrong(err, LITHE_EINVAL, "--%s %s: expected at most %d numbers from %d to %d, such as %d,8", name, text, LISTED, least, most, least);
        c->value[c->count++] = (int)n;
        if (n > c->most) c->most = (int)n;
        at = *end ? end + 1 : NULL;
    }
    return LITHE_OK;
}

static int at_most(int wanted, int context, const char *what)
{
    if (!context || wanted <= context) return wanted;
    say("%s of %d tokens: the model's context is %d, which is taken", what, wanted, context);
    return context;
}

static int bench_tokens(bench *b, lithe_error *err)
{
    counts parallel, depth;
    if (read_counts("parallel", b->s->parallel, 1, MOST_PARALLEL, &parallel, err) || read_counts("depth", b->s->depth, 0, MOST_DEPTH, &depth, err)) return err->status;
    int context = lithe_model_recurrent(b->model) ? 0 : lithe_model_context(b->model), vocab = lithe_model_vocab(b->model);
    int prompt = at_most(b->s->prefill, context, "a prompt"), tokens = at_most(b->s->decode, context, "texts"), longest = prompt > tokens ? prompt : tokens;
    if (context && depth.most && length_of(depth.most, tokens, b->s->runs) > context)
        return wrong(err, LITHE_EINVAL, "--depth %d: with %d runs of %d tokens after it, and one that does not count, a text has %d tokens; the model's context is %d",
                     depth.most, b->s->runs, tokens, length_of(depth.most, tokens, b->s->runs), context);
    if (longest < PIECE) longest = PIECE;
    b->ids = allocate((size_t)longest + 1, sizeof *b->ids, err);
    b->inputs = allocate((size_t)parallel.most, sizeof *b->inputs, err);
    b->out = allocate((size_t)parallel.most * (size_t)vocab, sizeof *b->out, err);
    for (int i = 0; i < longest && b->ids; i++) b->ids[i] = (int32_t)(((uint64_t)i * 2654435761u + 1) % (uint64_t)vocab);
    if (prompt && !err->status) prefill(b, prompt, err);
    for (int d = 0; d < depth.count && tokens; d++)
        for (int i = 0; i < parallel.count && !err->status; i++) decode(b, tokens, parallel.value[i], depth.value[d], err);
    return err->status;
}

/* ---- other models of text --------------------------------------------------------------------- */

static const char *const usual_sentences[] = {
    "The meeting was moved to Thursday.", "How do I reset the password of my account?", "A man is playing a guitar on stage.",
    "The film is a charming and often affecting journey through a small town and the people who never left it.", "Yes.",
    "Prices rose by two percent in March, more than economists had expected, as rents and energy became dearer.",
    "Which river flows through the capital of Hungary?", "She put the letter back into the drawer and said nothing about it for many years.",
    "The committee published its report, in which it recommends that the bridge be closed to heavy traffic until the repairs are finished next summer.",
    "Two dogs run along the beach.", "The new model is faster, but it needs more memory.", "What time does the museum open on Sundays?" };
enum { USUAL = sizeof usual_sentences / sizeof *usual_sentences, TIMES = 8 };

static int read_together(bench *b, const figure *f, lithe_error *err)
{
    return lithe_engine_embed(b->engine, b->tokenizer, b->sentences.texts, f->count, NULL, b->out, NULL, err);
}

static int read_one_by_one(bench *b, const figure *f, lithe_error *err)
{
    for (size_t i = 0; i < f->count && !err->status; i++) lithe_engine_embed(b->engine, b->tokenizer, &b->sentences.texts[i], 1, NULL, b->out, NULL, err);
    return err->status;
}

/* Opens the sentences; returns the number of their tokens. */
static size_t open_sentences(bench *b, lithe_error *err)
{
    const char *all[USUAL * TIMES];
    size_t tokens = 0;
    for (size_t i = 0; i < USUAL * TIMES; i++) all[i] = usual_sentences[i % USUAL];
    b->tokenizer = model_tokenizer(b->model, b->path, b->s->tokenizer, err);
    if (b->tokenizer) lines_open(&b->sentences, all, b->s->text ? 0 : USUAL * TIMES, b->s->text, false, err);
    for (size_t i = 0; i < b->sentences.count && !err->status; i++) {
        size_t n = lithe_encode(b->tokenizer, b->sentences.texts[i], strlen(b->sentences.texts[i]), 1, NULL, 0), most = (size_t)lithe_model_context(b->model);
        tokens += n < most ? n : most;
    }
    return tokens;
}

static int bench_sentences(bench *b, lithe_error *err)
{
    const lithe_engine_options whole = LITHE_OPTIONS(lithe_engine_options, .whole = 1, .timed = b->s->profile);
    size_t tokens = open_sentences(b, err), n = b->sentences.count;
    figure together = { .work = "together", .unit = "sentences", .count = n, .parallel = (int)n, .passes = 1 }, single = { .work = "one by one", .unit = "sentences", .count = n, .parallel = 1, .passes = (int)n };
    int width = err->status ? 0 : lithe_embed(b->model, b->tokenizer, NULL, 0, NULL, NULL, NULL, err);
    b->out = width > 0 ? allocate(n * (size_t)width, sizeof *b->out, err) : NULL;
    if (b->out && !lithe_pass_work(b->model, (int)tokens, (int)n, &together.pass, err)) measure(b, &together, &whole, read_together, err);
    if (b->out && !err->status && !lithe_pass_work(b->model, (int)(tokens / n), 1, &single.pass, err)) measure(b, &single, &whole, read_one_by_one, err);
    return err->status;
}

/* ---- types --------------------------------------------------------------------------------------- */

static void bench_close(bench *b)
{
    lines_close(&b->sentences);
    free(b->ids);
    free(b->inputs);
    free(b->out);
    lithe_tokenizer_close(b->tokenizer);
    lithe_model_close(b->model);
}

static int bench_type(const arguments *a, const char *type, report *r, lithe_error *err)
{
    const S *s = a->settings;
    bench b = { .s = s, .path = a->operands[0], .type = type, .report = r, .model = open_model(a->operands[0], s->config, err) };
    if (b.model && lithe_model_images(b.model, NULL, NULL, NULL)) wrong(err, LITHE_ECONFIG, "%s reads images; text models are measured", a->operands[0]);
    if (!err->status && strcmp(type, "stored")) lithe_model_quantize(b.model, type, NULL, NULL, err);
    if (!err->status) report_model(r, b.model);
    bool continues = !err->status && !strcmp(lithe_model_task(b.model), "language") && !lithe_model_encoder(b.model);
    if (!err->status && continues) bench_tokens(&b, err);
    else if (!err->status) bench_sentences(&b, err);
    bench_close(&b);
    return err->status;
}

static int run_bench(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    report r = { 0 };
    char *types = strdup(s->types), *rest = NULL;
    report_begin(&r, a->operands[0], s->json, &err);
    for (char *type = types ? strtok_r(types, ",", &rest) : NULL; type && !err.status; type = strtok_r(NULL, ",", &rest)) bench_type(a, type, &r, &err);
    report_end(&r);
    free(types);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_bench = {
    .name = "bench", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "measure how fast a model runs on this machine",
    .about = "Measures a model that continues text by a prompt that is read at once (prefill) and by tokens that are read one by one (decode), for one sequence or "
             "several together; any other model of text by sentences, all in batches and one by one. Each figure is the median of several runs after one that does "
             "not count. With one thread (--threads 1) the times are those of this process, with several those of the clock.\n\n"
             "GB/s are the weights that a pass is multiplied by, as they are stored, and beside it is the rate at which the same threads read the same weights "
             "and do nothing else: decoding cannot be faster than that. GFLOP/s stand beside the machine's rate of matrix products. Choosing the next token is "
             "not part of it. The memory is the largest amount that was resident during the runs.\n\n"
             "With --depth a sequence first reads so many tokens, and each run reads on from where the one before it ended: what a token costs late in a text. "
             "engine_bytes in the JSON is then the memory of the text so far, with the passes.",
    .examples = "  lithe bench model/\n  lithe bench model.gguf --prefill 512 --decode 128 --parallel 1,8 --types stored,q8_0,q4_K --json\n  lithe bench runs/tale-1 --prefill 0 --decode 64 --depth 0,1000,100000\n  lithe bench encoder/ --text sentences.txt --profile\n",
    .options = bench_options, .bytes = sizeof(S), .run = run_bench,
};
