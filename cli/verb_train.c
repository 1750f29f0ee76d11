/* lithe train: begins a new run (new_run.h), or continues one. */
#include "inputs.h"
#include "interrupt.h"
#include "new_run.h"
#include "output.h"
#include "processes.h"
#include "run_name.h"
#include "suggest.h"
#include "training.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    { "optimizer", 0, CHOICE(S, optimizer), "NAME", .help = "decoupled-adamw decays weights independently of the peak learning rate; muon trains the matrices of the layers by orthogonalised momentum, the rest by AdamW (docs/optimizers.md)", .note = by_arch,
      .choices = "adamw|decoupled-adamw|muon" },
    { "cautious-decay", 0, FLAG(S, cautious_decay), .help = "with --optimizer muon: no decay of a weight that its update makes larger" },
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
    { "grow-seed", 0, SEED(S, grow_seed), "N", .help = "with --grow-at: seed of new values and of noise (default: that of --seed)" },
    { "seed", 's', SEED(S, seed), "N", "0", .help = "seed of the new model's weights, of the validation split and of the order of the data", .group = "reproducibility and processes" },
    { "mpi", 0, CHOICE(S, mpi), "WHEN", "auto", .help = "train in all processes of mpirun together; auto: if it started several", .choices = "auto|on|off" },
    { "wire", 0, CHOICE(S, wire), "TYPE", "f32", .help = "type in which gradients travel between the processes of mpirun", .choices = "f32|bf16" },
    { "json", 0, FLAG(S, json), .help = "print each event as a line of JSON" },
    { 0 }
};

static int train_new(const arguments *a, lithe_ranks *ranks)
{
    new_run k = { .a = a, .s = a->settings, .command = command_text(a->words), .ranks = ranks };
    lithe_error err = { 0 };
    int code = EXIT_DONE;
    interrupt_catch(false);                             /* so that temporary files are removed */
    must_be_new(k.s->out, true, &k.err);
    if (k.err.status || new_run_make(&k)) code = failed_input(&k.err);
    else if (interrupted()) code = interrupted();
    else {
        choose_run(k.s->out, a->operands[0], k.out, sizeof k.out);
        new_run_say(&k);
        lithe_trainer *t = lithe_trainer_open(k.model, k.data, k.tokenizer, &k.options, k.out, &err);
        code = t ? train_to_the_end(t, ranks, k.options.dtype, k.s->json) : failed_output(&err);
        lithe_trainer_close(t);
    }
    new_run_close(&k);
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
    must_be_there(s->resume, &err);
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
    static const char *const names[] = { "grow-method", "grow-noise", "grow-portable", "grow-freeze-old", "grow-old-lr", "grow-rewarm", "grow-where", "grow-seed" };
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
    if (s->lr > 0 && option_origin(a, "min-lr") != ORIGIN_DEFAULT && s->min_lr > s->lr) return usage("--min-lr %g is where the rate ends that begins at --lr %g: give a lower one", s->min_lr, s->lr);
    if (s->steps && !s->warmup.unit && s->warmup.value > s->steps) return usage("--warmup %g does not end in %d steps", s->warmup.value, s->steps);
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

