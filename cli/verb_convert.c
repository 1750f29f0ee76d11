/* lithe convert, plan, doctor: a model in another format, the memory and operations
 * of a configuration, and the kernels of this machine. */
#include "inputs.h"
#include "interrupt.h"
#include "model_out.h"
#include "output.h"
#include "quantity.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* ---- convert ---------------------------------------------------------------- */

typedef struct { common common; const char *dtype, *config, *tokenizer; int lowercase, json; } convert_settings;

static const option convert_options[] = {
    { "dtype", 0, CHOICE(convert_settings, dtype), "TYPE", "f32", .help = "type of the stored weights; stored: as SRC has them, in blocks too (in a directory as model.gguf)", .choices = "f32|bf16|f16|stored", .also = "type,precision" },
    { "config", 0, FILENAME(convert_settings, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "tokenizer", 0, FILENAME(convert_settings, tokenizer), "PATH", .help = "the tokenizer to write with the model (default: the model's own, if it has one)" },
    { "lowercase", 0, FLAG(convert_settings, lowercase), .help = "the vocab.txt given as --tokenizer is uncased; the model that is written says so; --no-lowercase: it is cased" },
    { "json", 0, FLAG(convert_settings, json), .help = "print {schema, architecture, parameters, dtype, path}" },
    { 0 }
};

static bool is_gguf(const char *path)
{
    const char *end = strrchr(path, '.');
    return end && !strcmp(end, ".gguf");
}

static int convert(const arguments *a)
{
    const convert_settings *s = a->settings;
    lithe_error err = { 0 }, unwritten = { 0 };
    const char *from = a->operands[0], *to = a->operands[1];
    char text[16];
    interrupt_catch(false);                             /* so that unfinished files are removed */
    lithe_model *m = must_be_new(to, !names_a_file(to), &err) ? NULL : open_model(from, s->config, &err);
    lithe_tokenizer *t = NULL;
    if (m && (s->tokenizer || lithe_model_tokenizer(m))) 
        t = model_tokenizer_with(m, from, s->tokenizer, &LITHE_OPTIONS(lithe_tokenizer_options, .lowercase = letters(a, s->lowercase)), &err);
    if (m) lithe_model_finite(m, &err);
    int status = err.status ? err.status : write_model(m, to, s->dtype, t, &unwritten);
    if (!status) {
        say("%s: %s, %s parameters, %s, %s", to, lithe_model_arch(m), size_text((double)lithe_model_params(m), text), s->dtype ? s->dtype : "f32",
            names_a_file(to) && !is_gguf(to) ? "weights only" : t ? "with its tokenizer" : "without a tokenizer");
        if (s->json) {
            emitter e = emit_begin(stdout, "convert");
            emit_text(&e, "architecture", lithe_model_arch(m));
            emit_count(&e, "parameters", (long long)lithe_model_params(m));
            emit_text(&e, "dtype", s->dtype ? s->dtype : "f32");
            emit_text(&e, "path", to);
            emit_end(&e);
        }
    }
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : unwritten.status ? failed_output(&unwritten) : EXIT_DONE;
}

const verb verb_convert = {
    .name = "convert", .operands = "SRC DST", .least = 2, .most = 2,
    .summary = "write a model as config.json and model.safetensors, or its weights as one file",
    .about = "Opens SRC, any MODEL this program reads (safetensors, sharded or not, pytorch_model.bin, GGUF, RWKV .pth, llama2.c and rwkv.cpp "
             ".bin, a RUN), and writes it to the new directory DST as config.json, model.safetensors and tokenizer.json.\n\n"
             "A DST that ends with .pth or .safetensors is one new file of weights under the names of the architecture's authors; .pth is "
             "what torch.load reads. RWKV opens from such a file by itself, other models with their config.json beside it. A DST that ends with "
             ".bin is a file for rwkv.cpp, of RWKV alone.\n\n"
             "A DST that ends with .gguf is one new file that is a MODEL by itself, with configuration, tokenizer and chat template: in llama.cpp's names where "
             "it knows the architecture, else in ours. --dtype stored keeps the type of each weight, blocks as they are.",
    .examples = "  lithe convert stories260K.bin stories/ --tokenizer tok512.bin\n  lithe convert runs/tale-1 small/ --dtype bf16\n"
                "  lithe convert runs/goose goose.pth --dtype bf16\n  lithe convert runs/tale-1 tale.gguf --dtype f16\n",
    .options = convert_options, .bytes = sizeof(convert_settings), .run = convert,
};

/* ---- plan ------------------------------------------------------------------- */

typedef struct { common common; int batch, ctx, recompute, ops, json, ranks, parallel; const char *dtype, *optimizer; } plan_settings;

static const option plan_options[] = {
    { "batch", 'b', COUNT(plan_settings, batch), "N", "8", .help = "windows in a step, or in one of the parts it is split into", .least = 1, .most = 1 << 20, .also = "batch-size", .group = "training", .first = 1 },
    { "ctx", 0, COUNT(plan_settings, ctx), "N", .help = "tokens in a window (default: the context of the model, at most 1024)", .least = 1, .also = "context", .first = 1 },
    { "dtype", 0, CHOICE(plan_settings, dtype), "TYPE", "f32", .help = "type of the matrix products", .choices = "f32|bf16", .first = 1 },
    { "optimizer", 0, CHOICE(plan_settings, optimizer), "NAME", "adamw", .help = "what trains it: the memory of its moments, and what muon computes besides", .choices = "adamw|decoupled-adamw|muon" },
    { "recompute", 0, FLAG(plan_settings, recompute), .help = "recompute activations in the backward pass instead of keeping them", .first = 1 },
    { "ranks", 0, COUNT(plan_settings, ranks), "N", "1", .help = "machines like this one that train together: the memory of each, and the time of a step", .least = 1, .most = 1 << 16, .first = 1 },
    { "parallel", 0, COUNT(plan_settings, parallel), "N", "1", .help = "texts that are written together: the memory of decoding them", .least = 1, .most = 4096, .also = "np", .group = "decoding", .first = 1 },
    { "ops", 0, FLAG(plan_settings, ops), NULL, "1", .help = "print a line for each operation: shape, offset, bytes, flops", .group = "answers", .first = 1 },
    { "json", 0, FLAG(plan_settings, json), .help = "print it as JSON", .first = 1 },
    { 0 }
};

/* Prints the library's text and frees it, or prints the error. */
static int print_text(char *text, const lithe_error *err)
{
    if (!text) return failed_input(err);
    size_t n = strlen(text);
    fwrite(text, 1, n, stdout);
    if (n && text[n - 1] != '\n') putchar('\n');
    free(text);
    return EXIT_DONE;
}

static int plan(const arguments *a)
{
    const plan_settings *s = a->settings;
    lithe_error err = { 0 };
    return print_text(lithe_plan(a->operands[0], &LITHE_OPTIONS(lithe_plan_options, .batch = s->batch, .ctx = s->ctx, .recompute = s->recompute,
                                                                .dtype = s->dtype, .optimizer = s->optimizer, .ops = s->ops, .json = s->json, .ranks = s->ranks, .parallel = s->parallel), &err), &err);
}

const verb verb_plan = {
    .name = "plan", .operands = "CONFIG", .least = 1, .most = 1,
    .summary = "print the memory and operations that a configuration needs",
    .about = "Prints the operations of a config.json (or of a MODEL) with their place in memory and their cost, and the memory that training, "
             "scoring and generating need in all. Nothing is allocated or run. With --ranks, the memory of each and the time of a step on networks of 1, 10 and 100 Gbit/s (docs/scaling.md).",
    .examples = "  lithe plan config.json --batch 16 --ctx 512 --no-ops\n  lithe plan gpt2/ --batch 64 --ranks 8 --no-ops\n"
                "  lithe plan gpt2/ --parallel 16 --no-ops\n",
    .options = plan_options, .bytes = sizeof(plan_settings), .run = plan,
};

/* ---- doctor ----------------------------------------------------------------- */

typedef struct { common common; int json; } doctor_settings;

static const option doctor_options[] = {
    { "json", 0, FLAG(doctor_settings, json), .help = "print it as JSON" },
    { 0 }
};

static int doctor(const arguments *a)
{
    const doctor_settings *s = a->settings;
    const lithe_error err = { LITHE_ENOMEM, "out of memory" };
    return print_text(lithe_doctor(s->json), &err);
}

const verb verb_doctor = {
    .name = "doctor", .operands = "", .most = 0,
    .summary = "print what this machine has and which kernels run on it",
    .options = doctor_options, .bytes = sizeof(doctor_settings), .run = doctor,
};
