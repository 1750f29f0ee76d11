/* lithe train: makes data, a tokenizer, a model and a trainer from the options.
 *
 * `lithe train FILE` chooses by itself what lithe_choose_for_text has for the text and the machine: architecture, size
 * of the vocabulary, which is learned from the first 8 MB, parameters, context, batch; and it trains for five minutes,
 * or until it has read the text so many times as is good for it.  All else is the library's default (lithe.h). */
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "quantity.h"
#include "processes.h"
#include "run_name.h"
#include "suggest.h"
#include "training.h"
#include "verbs.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const double params_images = 400e3, run_seconds = 300, passes_of_others = 20;
enum { SAMPLED = 8000000, BYTES = 256, VOCAB_LEAST = 16, STEPS_LEAST = 100, NEVER = 1 << 30, LABELS_MOST = 4096 };

typedef struct {
    common common;
    const char *arch, *from, *resume, *config, *out, *tokenizer, *valid, *packing, *schedule, *dtype, *wire, *sample, *grow_at, *grow_method, *grow_where, *moments, *mpi;
    const char *task, *text_column, *pair_column, *label_column, *optimizer, *mask, *augment;
    double params, lr, min_lr, weight_decay, beta1, beta2, eps, clip, tokens, time, epochs, mask_rate, mask_keep, mask_random, grow_noise, grow_old_lr;
    amount warmup, eval_every, save_every;
    int vocab, ctx, batch, accumulate, bptt, steps, eval_windows, recompute, reset_attention, static_masking, next_sentence, patch, lowercase, grow_portable, grow_freeze_old, grow_rewarm, json;
    uint64_t seed;
} train_settings;
typedef train_settings S;

static void usual_archs(const char *option_name, char *text, size_t size)
{
    lithe_text_choice c;
    (void)option_name;
    lithe_choose_for_text(NULL, "", 0, 0, 0, &c);
    snprintf(text, size, "default %s; with --task %s; for images %s", c.arch, lithe_arch_usual(false), lithe_arch_usual(true));
}

static void by_choice(const char *option_name, char *text, size_t size)
{
    snprintf(text, size, "default by the %s", strcmp(option_name, "batch") ? "text and the machine, docs/defaults.md" : "kind of data, docs/defaults.md");
}

static void by_arch(const char *option_name, char *text, size_t size)
{
    char values[400];
    lithe_train_defaults(option_name, values, sizeof values);
    snprintf(text, size, "default %s", values);
}

static const option train_options[] = {
    { "arch", 'a', TEXT(S, arch), "NAME", .help = "architecture of a new model; --arch help lists them", .note = usual_archs, .named = lithe_arch_name, .also = "architecture,model", .group = "model", .first = 1 },
    { "params", 'p', SIZE(S, params), "N", .help = "number of parameters of a new model, reached within 5 %", .note = by_choice, .least = 1,
      .also = "size,parameters", .first = 1 },
    { "config", 'c', FILENAME(S, config), "FILE", .help = "config.json of a new model, instead of --params" },
    { "from", 0, FILENAME(S, from), "MODEL", .help = "start a new run from the weights of this model", .also = "init,base,model", .first = 1 },
    { "moments", 0, CHOICE(S, moments), "HOW", .help = "what becomes of the optimizer's moments of a RUN given as --from (default reset)", .choices = "carry|reset" },
    { "task", 0, CHOICE(S, task), "TASK", .help = "DATA is a labelled table: add a new head to the model and learn the classes or numbers", .choices = "classify|regress", .group = "labelled tables", .first = 1 },
    { "text-column", 0, TEXT(S, text_column), "NAME|N", .help = "with --task: the column of the text (default: found by its name or content)" },
    { "pair-column", 0, TEXT(S, pair_column), "NAME|N", .help = "with --task: the column of the second text of a pair; --no-pair-column: there is none" },
    { "label-column", 0, TEXT(S, label_column), "NAME|N", .help = "with --task: the column of the label" },
    { "resume", 'r', FILENAME(S, resume), "RUN", .help = "continue this run; only --steps (more), --save-every and --threads may be given with it",
      .also = "continue", .group = "runs", .first = 1 },
    { "out", 'o', FILENAME(S, out), "RUN", .help = "directory of the run (default runs/NAME-N)", .also = "output,run", .first = 1 },
    { "tokenizer", 0, TEXT(S, tokenizer), "PATH",
      .help = "a tokenizer.json, .model, vocab.txt, RWKV or llama2.c vocabulary, a folder that holds one, or the word bytes", .group = "text" },
    { "lowercase", 0, FLAG(S, lowercase), .help = "the vocab.txt given as --tokenizer is uncased: lower the letters and drop accents; --no-lowercase: it is cased" },
    { "vocab", 0, COUNT(S, vocab), "N", .help = "learn a vocabulary of N tokens from the text first: byte-level BPE, or the kind the architecture was published with",
      .least = 257, .most = 1 << 24, .also = "vocab-size" },
    { "valid", 0, TEXT(S, valid), "FILE|5%", .help = "the validation text, or the share of the documents to hold out (default 5%)", .also = "validation,valid-share", .first = 1 },
    { "ctx", 0, COUNT(S, ctx), "N", .help = "tokens in a training window, and the context of a new model (default 256)", .least = 2, .also = "context,block-size,seq-len", .group = "length and size of steps" },
    { "batch", 'b', COUNT(S, batch), "N", .help = "windows, examples or images in a step (default 8 windows, 16 examples, 64 images)", .least = 1, .also = "batch-size" },
    { "accumulate", 0, COUNT(S, accumulate), "N", .help = "split each step into N parts and add up their gradients, which saves memory (default 1)", .least = 1,
      .also = "grad-accum,gradient-accumulation" },
    { "bptt", 0, COUNT(S, bptt), "N", .help = "of recurrent architectures (RWKV): sequences of N windows, carrying state and gradient from one window to the next (default 1)", .least = 1,
      .most = 1 << 16, .also = "tbptt,windows" },
    { "steps", 'n', COUNT(S, steps), "N", .help = "number of steps (default: those of five minutes, or of so many passes over the text as are good for it)", .least = 1, .also = "max-steps,iters,iterations", .first = 1 },
    { "tokens", 0, SIZE(S, tokens), "N", .help = "tokens to train on, instead of --steps", .least = 1 },
    { "epochs", 0, REAL(S, epochs), "X", .help = "passes over the data, instead of --steps (default 3 for tables)" },
    { "time", 0, TIME(S, time), "2h30m", .help = "how long to train, instead of --steps", .least = 1e-3, .also = "seconds,minutes", .first = 1 },
    { "lr", 0, REAL(S, lr), "X", .help = "peak learning rate; --from a model a tenth of it", .note = by_arch, .also = "learning-rate", .group = "optimizer", .first = 1 },
    { "min-lr", 0, REAL(S, min_lr), "X", .help = "learning rate at the end", .note = by_arch },
    { "schedule", 0, CHOICE(S, schedule), "NAME", .help = "learning-rate schedule", .note = by_arch,
      .choices = "cosine|constant|linear|wsd|inverse-sqrt" },
    { "warmup", 0, AMOUNT(S, warmup), "N|2%", .help = "steps, or share of them, over which the learning rate rises", .note = by_arch,
      .choices = "%", .also = "warmup-steps" },
    { "optimizer", 0, CHOICE(S, optimizer), "NAME", .help = "decoupled-adamw decays weights independently of the peak learning rate", .note = by_arch,
      .choices = "adamw|decoupled-adamw" },
    { "weight-decay", 0, REAL(S, weight_decay), "X", .help = "weight decay", .note = by_arch },
    { "beta1", 0, REAL(S, beta1), "X", .help = "AdamW's beta1", .note = by_arch, .most = 0.9999999 },
    { "beta2", 0, REAL(S, beta2), "X", .help = "AdamW's beta2", .note = by_arch, .most = 0.9999999 },
    { "eps", 0, REAL(S, eps), "X", .help = "AdamW's epsilon", .note = by_arch, .most = 1 },
    { "clip", 0, REAL(S, clip), "X", .help = "clip the norm of the gradient to X; 0 or --no-clip: do not clip", .note = by_arch, .also = "grad-clip,max-grad-norm" },
    { "mask", 0, CHOICE(S, mask), "HOW", .help = "how encoders choose tokens to mask: each independently, an exact count, or that count in whole words", .note = by_arch,
      .choices = "each|count|words", .group = "encoders" },
    { "mask-rate", 0, REAL(S, mask_rate), "P", .help = "share of the tokens that is predicted; evaluations mask 0.15", .note = by_arch, .most = 0.999 },
    { "mask-keep", 0, REAL(S, mask_keep), "P", .help = "share of the chosen tokens that stays as it is (default 0.1)", .most = 1 },
    { "mask-random", 0, REAL(S, mask_random), "P", .help = "share of the chosen tokens that becomes a random token (default 0.1); the rest becomes the mask token", .most = 1 },
    { "packing", 0, CHOICE(S, packing), "HOW", .help = "what encoders read: pieces of documents, or blocks of whole sentences across documents", .note = by_arch,
      .choices = "pieces|sentences" },
    { "next-sentence", 0, FLAG(S, next_sentence), .help = "encoders also learn whether a second stretch of sentences follows the first, as in BERT" },
    { "static-masking", 0, FLAG(S, static_masking), .help = "use the same masks in every epoch" },
    { "augment", 0, CHOICE(S, augment), "HOW", .help = "data augmentation of images (default digits for small greyscale images, photos for others)", .choices = "none|photos|digits",
      .also = "augmentation", .group = "images" },
    { "patch", 0, COUNT(S, patch), "N", .help = "side of a patch in pixels, of a new image model (default: about an eighth of the image's side)", .least = 1, .also = "patch-size" },
    { "dtype", 0, CHOICE(S, dtype), "TYPE", .help = "type of the matrix products (default f32; bf16 for a new model of a text, on a processor that has its products in hardware)", .choices = "f32|bf16", .also = "precision", .group = "memory and speed" },
    { "recompute", 0, FLAG(S, recompute), .help = "recompute activations in the backward pass instead of keeping them: less memory, more time", .also = "checkpointing" },
    { "reset-attention", 0, FLAG(S, reset_attention), .help = "documents packed into one window do not attend to each other" },
    { "eval-every", 0, AMOUNT(S, eval_every), "N|10%", .help = "steps, or share of them, between evaluations (default 10%); 0: none", .choices = "%", .also = "eval-interval", .group = "evaluations and checkpoints" },
    { "eval-windows", 0, COUNT(S, eval_windows), "N", .help = "validation windows in an evaluation (default 64)", .least = 1 },
    { "save-every", 0, AMOUNT(S, save_every), "N|10%", .help = "steps, or share of them, between checkpoints (default 10%); 0: only the last one", .choices = "%",
      .also = "checkpoint-every,save-interval" },
    { "sample", 0, TEXT(S, sample), "PROMPT", "\n", .help = "write a short text from this prompt at each evaluation" },
    { "grow-at", 0, TEXT(S, grow_at), "STEP:N,...", .help = "grow during the run: at step STEP to N parameters, to 2x as many, to sizes KEY=N[,KEY=N], into another architecture to=ARCH[,KEY=VALUE], or by a larger vocabulary vocabulary=TOKENIZER", .group = "growing in the run" },
    { "grow-method", 0, TEXT(S, grow_method), "NAME", .help = "with --grow-at: the method, as in lithe grow --method", .choices = METHODS_OF_GROWING },
    { "grow-noise", 0, REAL(S, grow_noise), "X", .help = "with --grow-at: relative noise on repeated units, as in lithe grow --noise (default 0)", .most = 1 },
    { "grow-portable", 0, FLAG(S, grow_portable), .help = "with --grow-at: choose a method whose result opens in every reader" },
    { "grow-freeze-old", 0, FLAG(S, grow_freeze_old), .help = "with --grow-at: keep the old values fixed, as in lithe grow --freeze-old" },
    { "grow-old-lr", 0, REAL(S, grow_old_lr), "X", .help = "with --grow-at: learning-rate factor of the old values (default 1)", .most = 1000 },
    { "grow-rewarm", 0, COUNT(S, grow_rewarm), "N", .help = "with --grow-at: steps over which the learning rate of the new values rises (default 0: at once)" },
    { "grow-where", 0, CHOICE(S, grow_where), "PLACE", .help = "with --grow-at: where new layers go (default top)", .choices = "top|bottom|spread" },
    { "seed", 's', SEED(S, seed), "N", "0", .help = "seed of the new model's weights, of the validation split and of the order of the data", .group = "reproducibility and processes" },
    { "mpi", 0, CHOICE(S, mpi), "WHEN", "auto", .help = "train in all processes of mpirun together; auto: if it started several", .choices = "auto|on|off" },
    { "wire", 0, CHOICE(S, wire), "TYPE", "f32", .help = "type in which gradients travel between the processes of mpirun", .choices = "f32|bf16" },
    { "json", 0, FLAG(S, json), .help = "print each event as a line of JSON" },
    { 0 }
};

/* The parts of a run, and what was chosen for it. */
typedef struct {
    const arguments *a;
    const S *s;
    const char *arch;                   /* of a new model */
    char *text;                         /* the beginning of the data, SAMPLED bytes at most */
    size_t text_size;
    lithe_tokenizer *tokenizer;
    lithe_dataset *data;
    lithe_model *model;
    lithe_text_choice choice;           /* what suits the text; of images all 0 */
    char *command, out[4096], tokenizer_says[200];
    bool images;                        /* the data are images, not text */
    lithe_train_options options;
    lithe_ranks *ranks;                 /* NULL: one process */
    char grow_with[160];                /* of the options */
    lithe_error err;                    /* of inputs */
} making;

/* ---- tokenizer, data, model ---------------------------------------------------- */

static lithe_tokenizer *learn_tokenizer(making *k, int vocab)
{
    const char *kind = lithe_arch_vocabulary(k->arch);
    bool wordpiece = !strcmp(kind, "wordpiece");
    snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%s of %d tokens, learned from %zu bytes", wordpiece ? "WordPiece, lower case," : "byte-level BPE", vocab, k->text_size);
    return lithe_tokenizer_learn(k->text, k->text_size, vocab, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kind, .lowercase = wordpiece), &k->err);
}

/* Learns as many tokens as suit the text; fewer, or none but the bytes, where it has pairs for no more. */
static lithe_tokenizer *learn_what_there_is(making *k)
{
    lithe_tokenizer *t = NULL;
    const bool masks = strcmp(lithe_arch_vocabulary(k->arch), "bpe") != 0;      /* encoders need a mask token */
    const int least = masks ? VOCAB_LEAST : BYTES;
    for (int vocab = k->choice.vocab; !t && vocab > least && k->err.status != LITHE_ECANCELLED; vocab -= vocab / 4) {
        k->err = (lithe_error){ 0 };
        t = learn_tokenizer(k, vocab);
    }
    if (!t && !masks && k->err.status != LITHE_ECANCELLED) {
        k->err = (lithe_error){ 0 };
        snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "bytes");
        t = lithe_tokenizer_open("bytes", &k->err);
    }
    return t;
}

static lithe_tokenizer *choose_tokenizer(making *k)
{
    const S *s = k->s;
    const char *path = s->tokenizer ? s->tokenizer : lithe_model_tokenizer(k->model);
    const lithe_tokenizer_options o = { .size = sizeof o, .lowercase = letters(k->a, s->lowercase) };
    if (s->vocab) return learn_tokenizer(k, s->vocab);
    if (k->model) {
        snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%.190s", path ? path : "");
        return model_tokenizer_with(k->model, s->from, s->tokenizer, &o, &k->err);
    }
    if (!path) return learn_what_there_is(k);
    snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%.190s", path);
    return lithe_tokenizer_open_with(path, &o, &k->err);
}

/* "classify" or "regress" if that is the task of the model, else NULL. */
static const char *labelled_task(const lithe_model *m)
{
    const char *task = lithe_model_task(m);
    return task && (!strcmp(task, "classify") || !strcmp(task, "regress")) ? task : NULL;
}

/* The data must use the classes of the model. */
static void keep_labels(const lithe_model *m, const char **names, lithe_data_options *o)
{
    while (o->label_count < LABELS_MOST && lithe_model_label(m, o->label_count)) {
        names[o->label_count] = lithe_model_label(m, o->label_count);
        o->label_count++;
    }
    if (o->label_count) o->labels = names;
}

static lithe_dataset *open_data(making *k)
{
    const char *pair = k->s->pair_column ? k->s->pair_column : option_origin(k->a, "pair-column") == ORIGIN_DEFAULT ? NULL : "";
    lithe_data_options o = { .size = sizeof o, .seed = k->s->seed, .reset_attention = k->s->reset_attention, .task = k->s->task,
                             .text_column = k->s->text_column, .pair_column = pair, .label_column = k->s->label_column };
    double share;
    char unit = 0;
    const char *valid = k->s->valid, *names[LABELS_MOST];
    if (k->s->from && !k->s->task && (o.task = labelled_task(k->model)) && !strcmp(o.task, "classify")) keep_labels(k->model, names, &o);
    if (k->images) {
        o.task = "images";
        o.image_filter = lithe_model_image_filter(k->model);
        o.image_resize = lithe_model_image_resize(k->model, &o.image_shortest);
        lithe_model_images(k->model, &o.image_side, NULL, &o.image_channels);
    }
    if (valid && !quantity_amount(valid, '%', &share, &unit) && unit) o.valid_share = share / 100;
    else o.valid = valid;
    if (unit && !(share > 0 && share < 100)) wrong(&k->err, LITHE_EINVAL, "--valid %s: a share lies between 0%% and 100%%", valid);
    const lithe_encoder together = lithe_ranks_encoder(k->ranks);
    if (together.processes > 1) o.encoder = &together;
    return lithe_dataset_open(k->a->operands, k->a->count, NULL, k->tokenizer, &o, &k->err);
}

/* The library calls a configuration config.json; what is wrong in it is said of the file that was given. */
static lithe_model *model_of_config(making *k, const char *config)
{
    static const char name[] = "config.json";
    lithe_error each = { 0 };
    lithe_model *m = lithe_model_new(k->s->arch, config, k->s->seed, &each);
    const bool named = !strncmp(each.text, name, sizeof name - 1);
    if (!m) wrong(&k->err, each.status, "%s%s", named ? k->s->config : "", named ? each.text + sizeof name - 1 : each.text);
    return m;
}

/* The configuration of the size that is asked for; where the architecture was not, and has no model of it, of the usual
 * one. */
static char *sized_config(making *k)
{
    const S *s = k->s;
    const double params = s->params > 0 ? s->params : k->choice.params;
    const int vocab = lithe_tokenizer_vocab(k->tokenizer), ctx = s->ctx ? s->ctx : k->choice.ctx;
    lithe_error none = { 0 };
    char *config = lithe_model_size(k->arch, params, vocab, ctx, s->arch ? &k->err : &none);
    if (config || s->arch) return config;
    k->arch = lithe_arch_usual(false);
    return lithe_model_size(k->arch, params, vocab, ctx, &k->err);
}

static lithe_model *fresh_model(making *k)
{
    const S *s = k->s;
    size_t size = 0;
    char *config = s->config ? read_text(s->config, SMALL_TEXT, &size, &k->err) : k->err.status ? NULL : sized_config(k);
    lithe_model *m = !config ? NULL : s->config ? model_of_config(k, config) : lithe_model_new(k->arch, config, s->seed, &k->err);
    free(config);
    if (!m || lithe_tokenizer_vocab(k->tokenizer) <= lithe_model_vocab(m)) return m;
    wrong(&k->err, LITHE_ECONFIG, "%s: a vocabulary of %d is too small for the tokenizer's %d tokens", s->config, lithe_model_vocab(m),
          lithe_tokenizer_vocab(k->tokenizer));
    lithe_model_close(m);
    return NULL;
}

/* With images either the configuration gives their size, or the images determine the configuration. */
static lithe_model *configured_model(making *k)
{
    size_t size = 0;
    char *config = read_text(k->s->config, SMALL_TEXT, &size, &k->err);
    lithe_model *m = config ? model_of_config(k, config) : NULL;
    free(config);
    return m;
}

static lithe_model *fresh_image_model(making *k)
{
    char *config = lithe_model_size_images(k->arch, k->s->params > 0 ? k->s->params : params_images, k->data, k->s->patch, &k->err);
    lithe_model *m = config ? lithe_model_new(k->arch, config, k->s->seed, &k->err) : NULL;
    free(config);
    return m;
}

/* Returns the model with a head for the labels of the data. */
static lithe_model *under_head(making *k, lithe_model *body)
{
    const char *names[LABELS_MOST];
    int n = lithe_dataset_labels(k->data);
    if (n > LABELS_MOST) wrong(&k->err, LITHE_EFORMAT, "%s: %d classes, at most %d", k->a->operands[0], n, LABELS_MOST);
    for (int i = 0; i < n && i < LABELS_MOST; i++) names[i] = lithe_dataset_label(k->data, i);
    lithe_model *m = lithe_model_with_head(body, k->s->task, names, n, k->s->seed, &k->err);
    lithe_model_close(body);
    return m;
}

/* The model with a head that predicts whether one text follows another. */
static lithe_model *with_pairs(making *k, lithe_model *body)
{
    const char *task = lithe_model_task(body);
    if (task && !strcmp(task, "pretrain")) return body;
    lithe_model *m = lithe_model_with_head(body, "pretrain", NULL, 0, k->s->seed, &k->err);
    lithe_model_close(body);
    return m;
}

/* ---- how long ------------------------------------------------------------------ */

static int batch_of(const making *k)
{
    return k->s->batch ? k->s->batch : k->choice.batch && !lithe_dataset_examples(k->data, 0) ? k->choice.batch : lithe_dataset_batch(k->data);
}

/* The steps of as many passes over the data as are good for it. */
static int steps_of_passes(const making *k, double step_tokens)
{
    double tokens = k->images ? (double)lithe_dataset_examples(k->data, 0) * lithe_model_context(k->model) : (double)lithe_dataset_tokens(k->data, 0);
    double passes = k->choice.passes > 0 ? k->choice.passes : passes_of_others;
    return (int)fmin(NEVER, fmax(STEPS_LEAST, ceil(passes * tokens / step_tokens)));
}

/* The steps that an amount means, where it is no share of all steps; 0: the default. */
static int steps_of(const arguments *a, const char *name, amount x, int none)
{
    if (option_origin(a, name) == ORIGIN_DEFAULT) return 0;
    if (!(x.value > 0)) return none;
    return x.unit ? 0 : x.value < 1 ? 1 : x.value > NEVER ? NEVER : (int)x.value;
}

static double share_of(amount x) { return x.unit ? x.value / 100 : 0; }

/* Zero means the library's default, so a zero that the user asked for becomes a negative number. */
static double or_off(const arguments *a, const char *name, double x)
{
    return option_origin(a, name) != ORIGIN_DEFAULT && !(x > 0) ? -1 : x;
}

/* The options of growths as one text, as in lithe_train_options; NULL when none is given. */
static const char *growing_options(making *k)
{
    const S *s = k->s;
    size_t n = 0, size = sizeof k->grow_with;
    char *text = k->grow_with;
    if (s->grow_noise > 0) n += (size_t)snprintf(text + n, size - n, "noise=%.9g,", s->grow_noise);
    if (s->grow_old_lr > 0) n += (size_t)snprintf(text + n, size - n, "old_lr=%.9g,", s->grow_old_lr);
    if (s->grow_rewarm) n += (size_t)snprintf(text + n, size - n, "rewarm=%d,", s->grow_rewarm);
    if (s->grow_where) n += (size_t)snprintf(text + n, size - n, "where=%s,", s->grow_where);
    n += (size_t)snprintf(text + n, size - n, "%s%s", s->grow_portable ? "portable," : "", s->grow_freeze_old ? "freeze_old," : "");
    return n ? text : NULL;
}

static const char *dtype_of(const making *k)
{
    return k->s->dtype ? k->s->dtype : k->choice.dtype && !k->s->task ? k->choice.dtype : "f32";
}

static int fill_options(making *k)
{
    const S *s = k->s;
    const arguments *a = k->a;
    int ctx = s->ctx ? s->ctx : lithe_model_context(k->model) < 1024 ? lithe_model_context(k->model) : 1024;
    double step_tokens = (double)batch_of(k) * ctx * (s->bptt ? s->bptt : 1);
    size_t examples = lithe_dataset_examples(k->data, 0);
    bool lasting = s->tokens > 0 || s->time > 0 || s->epochs > 0 || (examples && !k->images);
    const bool usual = !s->steps && !lasting;
    k->options = LITHE_OPTIONS(lithe_train_options,
        .ctx = s->ctx, .batch = batch_of(k), .accumulate = s->accumulate, .lr = s->lr > 0 || !s->task || s->from ? s->lr : 1e-3, .min_lr = or_off(a, "min-lr", s->min_lr),
        .schedule = s->schedule, .weight_decay = or_off(a, "weight-decay", s->weight_decay), .beta1 = s->beta1, .beta2 = s->beta2, .eps = s->eps,
        .clip = or_off(a, "clip", s->clip), .steps = s->steps, .tokens = s->tokens, .seconds = usual ? run_seconds : s->time, .steps_most = usual ? steps_of_passes(k, step_tokens) : 0, .epochs = s->epochs, .dtype = dtype_of(k), .wire = s->wire, .optimizer = s->optimizer, .mask = s->mask, .augment = s->augment,
        .mask_rate = s->mask_rate, .mask_keep = or_off(a, "mask-keep", s->mask_keep), .mask_random = or_off(a, "mask-random", s->mask_random),
        .static_masking = s->static_masking, .packing = s->packing,
        .warmup = steps_of(a, "warmup", s->warmup, -1), .eval_windows = s->eval_windows,
        .eval_every = steps_of(a, "eval-every", s->eval_every, NEVER), .save_every = steps_of(a, "save-every", s->save_every, NEVER),
        .warmup_share = share_of(s->warmup), .eval_share = share_of(s->eval_every), .save_share = share_of(s->save_every),
        .seed = s->seed, .recompute = s->recompute, .bptt = s->bptt, .sample = s->sample, .grow_at = s->grow_at, .grow_method = s->grow_method, .grow_with = growing_options(k),
        .moments = s->moments, .from = s->from, .command = k->command, .ranks = k->ranks);
    const struct { const char *name; double share; } shares[] = { { "warmup", k->options.warmup_share }, { "eval-every", k->options.eval_share }, { "save-every", k->options.save_share } };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (shares[i].share > 1) wrong(&k->err, LITHE_EINVAL, "--%s %g%%: a share of the steps is at most 100%%", shares[i].name, 100 * shares[i].share);
    return k->err.status;
}

/* ---- what is said ------------------------------------------------------------------ */

static const char *classes_text(const making *k, char *text, size_t cap)
{
    int n = lithe_dataset_labels(k->data);
    if (n) snprintf(text, cap, ", %d classes", n);
    else snprintf(text, cap, ", numbers");
    return text;
}

/* "NAME (EXAMPLES), ..." of as many classes as have room. */
static void say_classes(const lithe_dataset *d)
{
    char text[400];
    size_t n = 0;
    const int classes = lithe_dataset_labels(d);
    for (int i = 0; i < classes && n < sizeof text; i++) {
        const char *name = lithe_dataset_label(d, i);
        if (strlen(name) + 40 > sizeof text - n) { snprintf(text + n, sizeof text - n, ", and %d more", classes - i); break; }
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s (%zu)", i ? ", " : "", name, lithe_dataset_label_examples(d, i));
    }
    if (classes && lithe_dataset_label_examples(d, 0)) say("classes    %s", text);
}

/* Under wsd new parts learn best where the rate is still high, before the last fifth of the steps. */
static void say_growth(const lithe_train_options *o)
{
    const char *rest = o->grow_at;
    const int falls = o->steps - o->steps / 5;
    for (char *end; rest && *rest && o->schedule && !strcmp(o->schedule, "wsd") && o->steps; rest += strcspn(rest, ",") + (rest[strcspn(rest, ",")] == ',')) {
        long step = strtol(rest, &end, 10);
        if (end > rest && *end == ':' && step > falls) say("growth     at step %ld: wsd lowers the rate from step %d on, before which new parts learn at the full one", step, falls);
    }
}

static void say_choices(const making *k)
{
    char text[3][32];
    const lithe_train_options *o = &k->options;
    int ctx = o->ctx ? o->ctx : lithe_model_context(k->model) < 1024 ? lithe_model_context(k->model) : 1024;
    size_t examples = lithe_dataset_examples(k->data, 0);
    if (examples) say("data       %s: %zu %s to train on, %zu to validate%s", k->a->operands[0], examples, lithe_dataset_pairs(k->data) ? "pairs" : "examples",
                      lithe_dataset_examples(k->data, 1), classes_text(k, text[2], sizeof text[2]));
    else say("data       %s%s: %s bytes, %s tokens to train on, %s to validate", k->a->operands[0], k->a->count > 1 ? " and others" : "",
        size_text((double)(lithe_dataset_bytes(k->data, 0) + lithe_dataset_bytes(k->data, 1)), text[0]),
        size_text((double)lithe_dataset_tokens(k->data, 0), text[1]), size_text((double)lithe_dataset_tokens(k->data, 1), text[2]));
    if (lithe_dataset_columns(k->data)) say("columns    %s", lithe_dataset_columns(k->data));
    if (lithe_dataset_left_out(k->data)) say("left out   %s", lithe_dataset_left_out(k->data));
    say_classes(k->data);
    int side = 0, patch = 0, channels = 0;
    if (lithe_model_images(k->model, &side, &patch, &channels)) say("images     %d x %d, %s, in patches of %d", side, side, channels == 1 ? "greyscale" : "colour", patch);
    else say("tokenizer  %s", k->tokenizer_says);
    say("model      %s, %s parameters, context %d%s%s", lithe_model_arch(k->model), size_text((double)lithe_model_params(k->model), text[0]),
        lithe_model_context(k->model), k->s->from ? ", from " : "", k->s->from ? k->s->from : "");
    char length[64], duration[24];
    if (o->steps) snprintf(length, sizeof length, "%d steps", o->steps);
    else if (!(o->tokens > 0) && !(o->seconds > 0)) snprintf(length, sizeof length, "%g epochs", o->epochs > 0 ? o->epochs : lithe_dataset_epochs(k->data));
    else if (o->tokens > 0) snprintf(length, sizeof length, "%s tokens", size_text(o->tokens, text[0]));
    else if (o->steps_most) snprintf(length, sizeof length, "%s, at most %d steps", time_text(o->seconds, duration), o->steps_most);
    else snprintf(length, sizeof length, "%s", time_text(o->seconds, duration));
    if (examples) say("length     %s of %d examples", length, batch_of(k));
    else if (o->bptt > 1) say("length     %s of %d x %d windows of %d tokens", length, batch_of(k), o->bptt, ctx);
    else say("length     %s of %d x %d tokens", length, batch_of(k), ctx);
    say_growth(o);
    say("run        %s", k->out);
}

/* ---- the verb ---------------------------------------------------------------------- */

static void making_close(making *k)
{
    lithe_dataset_close(k->data);
    lithe_model_close(k->model);
    lithe_tokenizer_close(k->tokenizer);
    free(k->text);
    free(k->command);
}

static int make_image_parts(making *k)
{
    const S *s = k->s;
    if (!k->model && s->config && !k->err.status) k->model = configured_model(k);
    if (!k->err.status) k->data = open_data(k);
    if (!k->err.status && !k->model) k->model = fresh_image_model(k);
    if (!k->err.status && s->task) k->model = under_head(k, k->model);
    return k->err.status ? (int)k->err.status : fill_options(k);
}

/* A table is no text: its labels are learned, or else a person says that its signs are. */
static void refuse_tables(making *k)
{
    static const char *const endings[] = { ".tsv", ".csv", ".tsv.gz", ".csv.gz", ".tsv.zst", ".csv.zst" };
    for (int i = 0; i < k->a->count; i++)
        for (size_t j = 0; j < sizeof endings / sizeof *endings; j++) {
            const char *path = k->a->operands[i];
            const size_t n = strlen(path), m = strlen(endings[j]);
            if (n > m && !strcasecmp(path + n - m, endings[j]))
                wrong(&k->err, LITHE_EINVAL, "%s: is a table: --task classify learns its classes, --task regress its numbers; to read it as text: lithe train - < %s", path, path);
        }
}

/* What suits a text; the models of tables are small, and of the usual architecture. */
static void choose_for_text(making *k)
{
    const double bytes = (double)k->text_size;
    lithe_choose_for_text(k->s->arch ? k->s->arch : k->s->task ? lithe_arch_usual(false) : NULL, k->text, k->text_size, bytes, lithe_peak("f32"), &k->choice);
    k->arch = k->choice.arch;
    if (!k->s->task || strcmp(lithe_arch_vocabulary(k->arch), "bpe")) return;
    k->choice.vocab = bytes < 2e6 ? BYTES : 4096;
    k->choice.params = fmin(3e6, fmax(100e3, bytes));
}

static int make_parts(making *k)
{
    const S *s = k->s;
    if (s->from && !k->err.status) k->model = open_model(s->from, NULL, &k->err);
    k->images = k->model ? lithe_model_images(k->model, NULL, NULL, NULL) : s->arch ? lithe_arch_images(s->arch) : lithe_images_known(k->a->operands[0]);
    k->arch = s->arch ? s->arch : lithe_arch_usual(k->images);
    if (k->images) return make_image_parts(k);
    if (!k->err.status && !s->task && !(k->model && labelled_task(k->model))) refuse_tables(k);
    if (!s->from && !k->err.status) k->text = lithe_text_read(k->a->operands, k->a->count, SAMPLED, &k->text_size, &k->err);
    if (k->text) choose_for_text(k);
    if (!k->err.status) k->tokenizer = choose_tokenizer(k);
    if (!k->err.status) k->data = open_data(k);
    if (!k->err.status && !k->model) k->model = fresh_model(k);
    if (!k->err.status && s->task) k->model = under_head(k, k->model);
    else if (!k->err.status && s->next_sentence) k->model = with_pairs(k, k->model);
    return k->err.status ? (int)k->err.status : fill_options(k);
}

static int train_new(const arguments *a, lithe_ranks *ranks)
{
    making k = { .a = a, .s = a->settings, .command = command_text(a->words), .ranks = ranks };
    lithe_error err = { 0 };
    int code = EXIT_DONE;
    interrupt_catch(false);                             /* so that temporary files are removed */
    must_be_new(k.s->out, true, &k.err);
    if (k.err.status || make_parts(&k)) code = failed_input(&k.err);
    else if (interrupted()) code = interrupted();
    else {
        choose_run(k.s->out, a->operands[0], k.out, sizeof k.out);
        say_choices(&k);
        lithe_trainer *t = lithe_trainer_open(k.model, k.data, k.tokenizer, &k.options, k.out, &err);
        code = t ? train_to_the_end(t, ranks, k.options.dtype, k.s->json) : failed_output(&err);
        lithe_trainer_close(t);
    }
    making_close(&k);
    return code;
}

static int train_resumed(const arguments *a, lithe_ranks *ranks)
{
    static const char *const allowed[] = { "mpi", "resume", "steps", "save-every", "json", "help", "quiet", "threads" };
    const S *s = a->settings;
    const option *o;
    if (a->count) return usage("--resume takes no DATA, the run has its own: leave out '%s' (--from starts a new run from a model)", a->operands[0]);
    for (int i = 0; (o = option_at(a->verb, i)); i++) {
        bool may = a->origins[i] != ORIGIN_FLAG;
        for (size_t j = 0; j < sizeof allowed / sizeof *allowed; j++) may |= !strcmp(o->name, allowed[j]);
        if (!may) return usage("--resume continues the same run: --%s cannot be given (--from starts a new run from a model)", o->name);
    }
    lithe_error err = { 0 };
    lithe_train_options options = { .size = sizeof options, .steps = s->steps, .save_every = s->save_every.unit ? (int)ceil(s->steps * share_of(s->save_every)) : steps_of(a, "save-every", s->save_every, NEVER),
                                    .ranks = ranks };
    if (s->save_every.unit && !s->steps) return usage("--save-every %g%% needs --steps", s->save_every.value);
    struct stat at;
    if (stat(s->resume, &at)) wrong(&err, LITHE_EIO, "%s: cannot open, %s", s->resume, strerror(errno));
    lithe_trainer *t = lithe_trainer_resume(s->resume, &options, &err);
    int code = t ? train_to_the_end(t, ranks, NULL, s->json) : failed_input(&err);
    lithe_trainer_close(t);
    return code;
}

/* A rank above 0 takes part in what rank 0 begins. */
static int train_joined(const arguments *a, lithe_ranks *ranks)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_join(ranks, &err);
    int code = t ? train_to_the_end(t, ranks, s->dtype, s->json) : failed_input(&err);
    lithe_trainer_close(t);
    return code;
}

static int train_in_ranks(const arguments *a, bool resumed)
{
    const S *s = a->settings;
    lithe_ranks *ranks;
    int code;
    if (!ranks_begin(&ranks, a, s->mpi, &code)) return ranks_end(ranks, code);
    if (lithe_ranks_rank(ranks)) code = train_joined(a, ranks);
    else code = resumed ? train_resumed(a, ranks) : train_new(a, ranks);
    return ranks_end(ranks, code);
}

/* Whether a name is none of an architecture, and several begin with it, which are listed. */
static bool begins_several(const char *name, char *list, size_t cap)
{
    size_t n = 0;
    int count = 0;
    *list = 0;
    for (int i = 0; lithe_arch_name(i); i++) {
        const char *each = lithe_arch_name(i);
        if (!strcmp(each, name)) return false;
        if (strncmp(each, name, strlen(name))) continue;
        if (n < cap) n += (size_t)snprintf(list + n, cap - n, "%s %s", count ? "," : "", each);
        count++;
    }
    return count > 1;
}

static bool known_arch(const char *name)
{
    int i = 0;
    while (lithe_arch_name(i) && strcmp(lithe_arch_name(i), name)) i++;
    return lithe_arch_name(i) != NULL;
}

/* The first option that says how to grow; NULL: none is given. */
static const char *growth_option_given(const arguments *a)
{
    static const char *const names[] = { "grow-method", "grow-noise", "grow-portable", "grow-freeze-old", "grow-old-lr", "grow-rewarm", "grow-where" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (option_origin(a, names[i]) != ORIGIN_DEFAULT) return names[i];
    return NULL;
}

static int train(const arguments *a)
{
    const S *s = a->settings;
    char several[160];
    if (s->arch && !strcmp(s->arch, "help")) {
        for (int i = 0; output_leads() && lithe_arch_name(i); i++) printf("%-14s %s\n", lithe_arch_name(i), lithe_arch_summary(i));
        return EXIT_DONE;
    }
    if (s->resume && option_origin(a, "resume") >= option_origin(a, "from")) return train_in_ranks(a, true);
    if (!a->count) return usage("train on what? lithe train DATA... (files, directories, or - for standard input)");
    if (s->from && (s->arch || s->config || s->params > 0 || s->vocab))
        return usage("--from takes the model as it is: leave out --arch, --config, --params and --vocab (lithe grow makes it larger)");
    if (s->config && s->params > 0) return usage("--config and --params both size the model: give one of them");
    if ((s->steps > 0) + (s->tokens > 0) + (s->time > 0) + (s->epochs > 0) > 1) return usage("--steps, --tokens, --time and --epochs all say how long to train: give one of them");
    if (s->task && a->count != 1) return usage("--task %s takes one table; --valid names another one", s->task);
    if (s->task && s->next_sentence) return usage("--next-sentence is learned from text, --task from a table: give one of them");
    if (s->arch && begins_several(s->arch, several, sizeof several)) return usage("--arch %s could be%s: name one of them", s->arch, several);
    if (s->arch && !known_arch(s->arch)) return usage("%s is not a known architecture%s --arch help lists them", s->arch, meant_or(meant_of(s->arch, lithe_arch_name)).text);
    if (s->vocab && s->tokenizer) return usage("--vocab learns a vocabulary and --tokenizer %s has one: give one of them", s->tokenizer);
    if (option_origin(a, "lr") != ORIGIN_DEFAULT && !(s->lr > 0)) return usage("--lr 0 changes nothing: give a rate above 0");
    if (!s->grow_at && growth_option_given(a)) return usage("--%s says how to grow: say when and to what size, --grow-at STEP:2x", growth_option_given(a));
    if (s->grow_method && unknown_method(s->grow_method)) return EXIT_USAGE;
    if (option_origin(a, "grow-old-lr") != ORIGIN_DEFAULT && !(s->grow_old_lr > 0)) return usage("--grow-old-lr 0 is --grow-freeze-old: give that, or a factor above 0");
    if (s->moments && !s->from) return usage("--moments %s needs --from RUN", s->moments);
    return train_in_ranks(a, false);
}

const verb verb_train = {
    .name = "train", .operands = "DATA...", .least = 0, .most = -1,
    .summary = "train a model on text, tables or images, or continue training one",
    .about = "Trains a new model (--arch, --params or --config), starts a new run from the weights of a model (--from), or continues a run (--resume). "
             "DATA are text files (.txt, or .jsonl with a text field; .gz and .zst of these), directories of them, or standard input (-). Without "
             "further options it chooses architecture, tokenizer, size, learning rate and length by the text and the machine, for five minutes, and prints its choices (docs/defaults.md).\n\n"
             "Encoders learn to predict masked tokens (--arch help says which architectures are encoders, and which read images). With --task, DATA is one labelled table "
             "(.csv, .jsonl, else tab-separated; .gz and .zst of these), and a new head on the model learns its classes or numbers.\n\n"
             "Image models learn to classify images: DATA are IDX files (MNIST's), CIFAR's .bin files, folders named after "
             "their classes, a .tar of these, or a directory of one of these kinds, of which the training part is used (docs/image-shards.md).\n\n"
             "The directory of the run holds a checkpoint every --save-every steps, each a complete model, and log.jsonl; at the end it is a model "
             "itself. Ctrl-C finishes the current step, writes a checkpoint and exits 130; --resume continues from there, bit for bit.\n\n"
             "mpirun -n N lithe train ... trains in N processes, on one machine or several (docs/scaling.md).",
    .examples = "  lithe train my.txt\n"
                "  lithe train novels/ --arch tokenformer --params 3M --time 10m --out runs/novels\n"
                "  lithe train --resume runs/novels --steps 20k\n"
                "  lithe train letters.txt --from runs/novels --lr 1e-4\n"
                "  lithe train reviews.csv --task classify --from runs/encoder --valid held-out.csv --epochs 3\n"
                "  lithe train mnist/ --arch tokenformer_vit --epochs 5\n",
    .options = train_options, .bytes = sizeof(S), .run = train,
};
