/* lithe.h - train, grow, evaluate and run small language models.
 *
 *   tokenizer   text <-> token ids
 *   dataset     token ids on disk, read in batches
 *   model       an architecture, its configuration, its parameters
 *   trainer     a model being fitted to a dataset, in a run directory
 *   session     a model reading and continuing one sequence
 *   engine      a model reading and continuing many sequences at once
 *
 * What x_open or x_new returns, x_close releases; closing NULL does nothing.
 * A call that can fail takes a lithe_error last (NULL if you do not care) and
 * returns NULL or a negative lithe_status.  The first failure sticks: given an
 * error that holds one, or a NULL handle, a call does nothing and fails, so a
 * chain is checked once, at its end.  Options are copied, and zero in any field
 * but their size means its default: LITHE_OPTIONS(lithe_train_options, .steps = 100)
 * in C, or a variable o with .size = sizeof o.  A model outlives its trainers, sessions and engines.  One handle
 * belongs to one thread at a time.  The library never prints and never exits. */
#ifndef LITHE_H
#define LITHE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LITHE_STATUS(X)                                          \
    X(LITHE_OK,        0, "success")                             \
    X(LITHE_EINVAL,   -1, "invalid argument")                    \
    X(LITHE_EIO,      -2, "cannot read or write")                \
    X(LITHE_EFORMAT,  -3, "file is damaged or of another kind")  \
    X(LITHE_ECONFIG,  -4, "configuration does not make a model") \
    X(LITHE_ENOMEM,   -5, "not enough memory or disk")           \
    X(LITHE_EDEVICE,  -6, "device cannot run this model")        \
    X(LITHE_EFULL,    -7, "context is full")                     \
    X(LITHE_EDIVERGED,-8, "training diverged")                   \
    X(LITHE_EMISMATCH,-9, "a comparison did not hold")

typedef enum {
#define X(name, value, text) name = value,
    LITHE_STATUS(X)
#undef X
} lithe_status;

typedef struct {
    lithe_status status;
    char text[508];          /* one line, e.g. "model.safetensors: h.3.ln_1.weight is [1024], expected [768]" */
} lithe_error;

/* Options of a type, with their size: fields may be added at their end later. */
#define LITHE_OPTIONS(type, ...) (type){ .size = sizeof(type), __VA_ARGS__ }

typedef struct lithe_tokenizer lithe_tokenizer;
typedef struct lithe_dataset   lithe_dataset;
typedef struct lithe_model     lithe_model;
typedef struct lithe_trainer   lithe_trainer;
typedef struct lithe_session   lithe_session;
typedef struct lithe_engine    lithe_engine;

/* ---- machine ------------------------------------------------------------- */

const char *lithe_version(void);                                 /* "0.1.0" */

/* Number of threads every later call may use; 0 restores the default
 * (LITHE_NUM_THREADS, OMP_NUM_THREADS, affinity mask, cgroup quota). */
void lithe_threads(int n);

/* ---- text ---------------------------------------------------------------- */

/* path: a tokenizer.json; a SentencePiece .model; a vocab.txt of BERT; an RWKV
 * vocabulary (rwkv_vocab_v20230424.txt); a llama2.c tokenizer file; a folder
 * holding one of these, or vocab.json + merges.txt (also named encoder.json +
 * vocab.bpe); the word "bytes" for the 256 bytes themselves. */
lithe_tokenizer *lithe_tokenizer_open(const char *path, lithe_error *err);
void             lithe_tokenizer_close(lithe_tokenizer *t);

typedef struct {
    size_t size;               /* sizeof(lithe_tokenizer_options) */
    int lowercase;             /* of a vocab.txt: 1 lower case, without accents; -1 cased; 0 as the tokenizer_config.json beside it says, else cased */
    const char *kind;          /* of vocabulary to learn: "bpe" (NULL), "roberta" or "wordpiece" (lowercase 1: of lower-case text) */
} lithe_tokenizer_options;
lithe_tokenizer *lithe_tokenizer_open_with(const char *path, const lithe_tokenizer_options *o, lithe_error *err);

/* A tokenizer.json; of an RWKV vocabulary or a .model, that file. */
int              lithe_tokenizer_save(const lithe_tokenizer *t, const char *path, lithe_error *err);
int     lithe_tokenizer_vocab(const lithe_tokenizer *t);        /* largest id + 1 */
int32_t lithe_tokenizer_bos(const lithe_tokenizer *t);          /* -1 when there is none */
int32_t lithe_tokenizer_eos(const lithe_tokenizer *t);          /* end of text, also between documents; -1 when there is none */

/* Both return the full length of the result, like snprintf, and write at most
 * cap of it: call with cap 0 to measure.  Invalid UTF-8 is legal where the
 * vocabulary holds bytes and becomes U+FFFD elsewhere.  With special, the
 * begin/end tokens of the tokenizer's post-processor are added. */
size_t lithe_encode(const lithe_tokenizer *t, const char *text, size_t len, int special, int32_t *ids, size_t cap);
size_t lithe_decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, char *text, size_t cap);

/* One text (b NULL) or two with what the tokenizer puts around them: [CLS] a [SEP]
 * b [SEP].  types (or NULL): 0 for the ids of the first, 1 of the second where the
 * tokenizer tells them apart.  Texts are cut at their ends to `limit` ids in all
 * (0: none), the longer one first, as Hugging Face's "longest_first" does. */
size_t lithe_encode_pair(const lithe_tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t limit,
                         int32_t *ids, int32_t *types, size_t cap);
/* ---- models -------------------------------------------------------------- */

/* Fresh parameters.  config_json: the keys of config.json, NULL for defaults.
 * The value of each parameter depends on seed and its name only. */
lithe_model *lithe_model_new(const char *arch, const char *config_json, uint64_t seed, lithe_error *err);

/* path: a MODEL directory (config.json + model.safetensors, sharded, or
 * pytorch_model.bin), a RUN directory (its newest complete checkpoint), or a
 * lone file that says enough about itself (llama2.c and rwkv.cpp .bin).  config: a
 * config.json for a lone file that does not, else NULL. */
lithe_model *lithe_model_open(const char *path, const char *config, lithe_error *err);

/* Writes a MODEL directory: config.json, model.safetensors, and the tokenizer
 * when one is given.  dtype: "f32", "bf16", "f16"; NULL: f32.  A directory that
 * is not empty is refused. */
int          lithe_model_save(const lithe_model *m, const char *dir, const char *dtype, const lithe_tokenizer *t, lithe_error *err);

void         lithe_model_close(lithe_model *m);                 /* after the trainers and sessions that borrow it */

const char  *lithe_model_arch(const lithe_model *m);
char        *lithe_model_config(const lithe_model *m);          /* config.json text, malloc'd */
size_t       lithe_model_params(const lithe_model *m);          /* stored parameters */
int          lithe_model_vocab(const lithe_model *m);
int          lithe_model_context(const lithe_model *m);
/* What it predicts: "language" (next or masked tokens), "pretrain" (masked tokens and the next sentence), "classify",
 * "regress" (each sequence), "tokens" (each token's class), "span" (question answering), "body" (hidden states alone). */
const char  *lithe_model_task(const lithe_model *m);
int          lithe_model_encoder(const lithe_model *m);         /* 1: looks both ways, predicts masked tokens */
int          lithe_model_labels(const lithe_model *m);          /* classes of "classify" and "tokens", 1 of "regress", else 0 */
const char  *lithe_model_label(const lithe_model *m, int i);    /* a class's name, NULL when it has none; borrowed */
/* Where its tokenizer lies (inside or beside the model), NULL when there is none; borrowed. */
const char  *lithe_model_tokenizer(const lithe_model *m);

/* ---- data ---------------------------------------------------------------- */

/* Documents from files (.txt, .jsonl with a `text` field; .gz, .zst),
 * directories and "-" (stdin), as token shards under dir.  With a task, one
 * table of labelled text instead: .csv, .jsonl, else fields between tabs (.gz,
 * .zst too); a column is a name or a number from 1, chosen where it is NULL.  With
 * the task "images" labelled pictures: IDX files, CIFAR's .bin files, folders
 * named after their classes, a .tar of these. */
typedef struct {
    size_t size;               /* sizeof(lithe_data_options) */
    const char *valid;         /* a file or directory held out for validation; NULL: a split of the documents */
    double valid_share;        /* of the split; 0.05 */
    uint64_t seed;
    int reset_attention;       /* documents packed in one window do not see each other */
    const char *task;          /* "classify", "regress", "images"; NULL: text */
    const char *text_column, *pair_column, *label_column;      /* pair_column "": none */
    const char *const *labels; /* names of the classes there are; NULL: those of the table */
    int label_count;
    int image_side, image_channels;        /* what pictures are made to; the first ones' larger side (at most 224), colour if one has it */
    const char *image_filter;              /* by which they are resized, as PIL names them; "bilinear" */
} lithe_data_options;

lithe_dataset *lithe_dataset_open(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t,
                                  const lithe_data_options *o, lithe_error *err);
void           lithe_dataset_close(lithe_dataset *d);
/* ---- training ------------------------------------------------------------ */

/* Zeros mean what the architecture's paper did (schedule, lr, decay, betas,
 * masks), for labelled data what fine-tuning is done with, else the values here. */
typedef struct {
    size_t size;               /* sizeof(lithe_train_options) */
    int    ctx;                /* tokens in a window or example at most; the model's context, at most 1024 */
    int    batch;              /* windows in a step, over all accumulated parts; 8, of labelled data 16 examples */
    int    accumulate;         /* parts a step is split into; 1 */
    double lr, min_lr;         /* 1e-3; lr/10 */
    const char *schedule;      /* "cosine", "constant", "linear", "wsd", "inverse-sqrt"; cosine */
    int    warmup;             /* steps; 2 % */
    double weight_decay, beta1, beta2, eps, clip;      /* 0.1, 0.9, 0.95, 1e-8, 1.0 (negative: off) */
    int    steps;              /* or 0 with: */
    double tokens, seconds;    /* budgets; all 0: one epoch */
    double epochs;             /* of labelled data, 3 when no other budget is given; or of text */
    const char *optimizer;     /* "adamw", "decoupled-adamw" (decay not times lr but its share of the highest, of all parameters) */
    const char *mask;          /* masked tokens: "each" by itself, an exact "count", that count in whole "words" */
    double mask_rate;          /* share that is predicted; evaluations always mask 15 % */
    double mask_keep, mask_random;     /* of those, left as they are and replaced by a random token: 0.1 each; negative: none */
    int    static_masking;     /* the same masks in every epoch */
    const char *augment;       /* how pictures are varied: "none", "photos", "digits"; by their kind */
    const char *packing;       /* of masked tokens: "pieces" of documents, blocks of whole "sentences" (RoBERTa's) */
    const char *dtype;         /* "f32", "bf16"; f32 */
    int    eval_every, save_every;     /* steps; a tenth of the run */
    int    eval_windows;       /* of the validation split at each evaluation; 64, of labelled data all */
    uint64_t seed;
    int    recompute;          /* keep no layer's activations, run them again */
    const char *sample;        /* prompt of the text written at each evaluation; NULL: none */
    const char *grow_at;       /* "STEP:PARAMS[,STEP:PARAMS]": grow inside the run, PARAMS as a number or "2x" */
    const char *grow_method;
    const char *moments;       /* from another run's checkpoint: "reset" or "carry"; reset */
    const char *from;          /* that checkpoint's directory, for carry */
    const char *command;       /* written to command.txt */
} lithe_train_options;

typedef enum { LITHE_STEPPED, LITHE_EVALUATED, LITHE_SAVED, LITHE_SKIPPED, LITHE_ROLLED_BACK, LITHE_GREW, LITHE_FINISHED } lithe_event_kind;

/* Figures of an evaluation; NaN where the task has none.  accuracy: of masked tokens or of classes. */
typedef struct { double accuracy, f1, matthews, pearson, spearman, next_accuracy; } lithe_metrics;

/* What lithe_trainer_next did. */
typedef struct {
    lithe_event_kind kind;
    int    step, steps;
    double loss, grad_norm, lr;             /* of the step */
    double valid_loss, bits_per_byte;       /* of the latest evaluation, NaN before the first; bits of next tokens only */
    lithe_metrics metrics;                  /* of the latest evaluation of this process */
    double tokens, seconds;                 /* of this step */
    double total_tokens, flops;             /* so far in this run; of this step */
    const char *text;                       /* sample, path of the checkpoint, reason; borrowed until the next call */
    const struct lithe_growth *growth;      /* of LITHE_GREW (lithe_tools.h), else NULL; borrowed until the next call */
} lithe_event;

/* A new run in the directory `run`, which must not exist or be empty; it
 * appears complete, by rename.  The trainer borrows m and d, and t when samples
 * or a tokenizer in the checkpoints are wanted. */
lithe_trainer *lithe_trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t,
                                  const lithe_train_options *o, const char *run, lithe_error *err);
/* The same run, continued: owns its model, data and tokenizer.  Of o only
 * steps (larger), save_every may differ from what the run was started with (0: as it was). */
lithe_trainer *lithe_trainer_resume(const char *run, const lithe_train_options *o, lithe_error *err);
/* Does the next thing and says what: 1 while there is more, 0 after LITHE_FINISHED. */
int            lithe_trainer_next(lithe_trainer *t, lithe_event *out, lithe_error *err);
int            lithe_trainer_save(lithe_trainer *t, lithe_error *err);        /* a checkpoint now */
const char    *lithe_trainer_model_dir(const lithe_trainer *t);               /* RUN */
lithe_model   *lithe_trainer_model(lithe_trainer *t);                         /* borrowed; a growth inside the run replaces it */
void           lithe_trainer_close(lithe_trainer *t);

/* ---- inference ----------------------------------------------------------- */

/* One pass over n ids (n <= context): n rows of vocab logits. */
int lithe_logits(lithe_model *m, const int32_t *ids, size_t n, float *out, lithe_error *err);

/* Negative log-likelihood in nats of ids[1..n-1] given what stands before them
 * within windows of `ctx` tokens (0: the model's context) that advance by
 * `stride` (0: ctx); each token is scored once, with the most context its
 * window gives.  nll: (n-1) values, or NULL.  Returns the sum in *total. */
int lithe_score(lithe_model *m, const int32_t *ids, size_t n, int ctx, int stride, float *nll, double *total, lithe_error *err);

/* context: ids the session can hold, at most the model's; 0: as many as the
 * model's, and of a recurrent model (RWKV) any number, in constant memory. */
lithe_session *lithe_session_open(lithe_model *m, int context, lithe_error *err);
void           lithe_session_close(lithe_session *s);
int            lithe_session_context(const lithe_session *s);                         /* 0: any number */

/* Makes the session stand after exactly these ids.  The longest prefix it
 * already holds is kept; the rest is computed.  A recurrent model cannot be cut
 * back: it goes on, returns to its mark, or begins anew.  LITHE_EFULL names both lengths. */
int            lithe_session_sync(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err);
/* Keeps a copy of where a recurrent model stands, in place of the one before, for later syncs; others need none. */
int            lithe_session_mark(lithe_session *s, lithe_error *err);
int            lithe_session_push(lithe_session *s, int32_t id, lithe_error *err);    /* one more, O(1) */
int            lithe_session_extend(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err);         /* n more */
size_t         lithe_session_length(const lithe_session *s);
const float   *lithe_session_logits(const lithe_session *s);      /* (vocab), borrowed until the next sync or push */

typedef struct {
    size_t size;               /* sizeof(lithe_sampling) */
    float temperature;         /* 0: greedy */
    float top_p, min_p;        /* 0: off */
    float repetition;          /* penalty of ids that stand before (Keskar et al. 2019); 0 or 1: off */
    int top_k;                 /* 0: off */
    uint64_t seed;
} lithe_sampling;
/* The next id, -1 on failure: nothing was read yet, or the logits are not numbers. */
int32_t        lithe_session_sample(lithe_session *s, const lithe_sampling *o, lithe_error *err);

/* Where a session stands, as a file (docs/state-file.md), and back into a session
 * of the same model: what follows is bit for bit what would have followed.  t may
 * be NULL; given both times, it must be the same tokenizer.  A file that does
 * not fit is refused, and the session stays as it was.  Loading takes files of
 * states too that RWKV was tuned to begin from (blocks.N.att.time_state): the
 * session then stands after nothing, and begins there whenever it begins. */
int            lithe_session_save(const lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err);
int            lithe_session_load(lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err);

/* Text that streams: give(context, bytes, n) gets whole UTF-8 sequences only,
 * and never a part of a stop string.  Ends at max_tokens, a stop string, eos,
 * or a non-zero return of give.  The session is left after the text; after a
 * stop string, before the token that completed it.  *reason: "length", "stop",
 * "eos", "full", "cancelled" (give said so), or NULL when it fails. */
typedef struct {
    size_t size;               /* sizeof(lithe_generation) */
    const lithe_sampling *sampling;        /* NULL: greedy */
    int max_tokens;
    const char *const *stop; int stops;
    int ignore_eos;
    int go_on;                 /* prompt (which may be empty) goes on from where the session stands; 0: it is all that stands before */
} lithe_generation;
int lithe_generate(lithe_session *s, const lithe_tokenizer *t, const int32_t *prompt, size_t n, const lithe_generation *o,
                   int (*give)(void *context, const char *text, size_t n), void *context, const char **reason, lithe_error *err);

/* ---- many sequences at once ------------------------------------------------ */

/* An engine holds `slots` sequences, numbered from 0, each empty at first and at
 * its own length.  What a sequence gives does not depend on the others, bit for
 * bit.  After opening, a step allocates nothing. */
typedef struct {
    size_t size;               /* sizeof(lithe_engine_options) */
    int slots;                 /* 1 */
    int context;               /* ids each slot can hold, as of a session */
} lithe_engine_options;
lithe_engine *lithe_engine_open(lithe_model *m, const lithe_engine_options *o, lithe_error *err);
void          lithe_engine_close(lithe_engine *e);
int           lithe_engine_slots(const lithe_engine *e);
int           lithe_engine_context(const lithe_engine *e);                  /* 0: any number */
size_t        lithe_engine_length(const lithe_engine *e, int slot);         /* ids that the slot has read */

/* What one slot reads in a step: n ids (n 0: none).  The logits after each of the last `wanted` of them, (wanted, vocab),
 * are written to `logits`, the caller's memory. */
typedef struct {
    int slot;
    const int32_t *ids; size_t n;
    float *logits; size_t wanted;
} lithe_engine_input;
/* All inputs, each of another slot, as one ragged batch (in parts where they are long).  Everything is checked before
 * anything is read: an id outside the vocabulary, a slot twice (LITHE_EINVAL), a context too small (LITHE_EFULL). */
int           lithe_engine_step(lithe_engine *e, const lithe_engine_input *inputs, size_t count, lithe_error *err);
void          lithe_engine_clear(lithe_engine *e, int slot);                /* it begins anew */
int           lithe_engine_fork(lithe_engine *e, int from, int to, lithe_error *err);      /* slot `to` stands where `from` does */

/* ---- what encoders and classifiers give ----------------------------------- */

/* Texts longer than the model's context lose their ends; *cut (or NULL) counts them. */

/* (n, labels) probabilities of "classify", or (n) numbers of "regress", of n texts,
 * or pairs of texts where pairs and its entry are not NULL.  Returns how many for a text. */
int lithe_classify(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                   float *out, size_t *cut, lithe_error *err);

/* (n, labels) probabilities of pictures in PNG or JPEG files.  Returns how many for a picture. */
int lithe_classify_images(lithe_model *m, const char *const *paths, size_t n, float *out, lithe_error *err);

/* (n, width) vectors of n texts; returns the width, which out NULL asks for. */
typedef struct {
    size_t size;               /* sizeof(lithe_embedding) */
    const char *pooling;       /* of the last layer's rows: "mean", "cls" (the first), "last" */
    int normalize;             /* to length 1 */
    int max_length;            /* tokens; 0: the model's context */
} lithe_embedding;
int lithe_embed(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o,
                float *out, size_t *cut, lithe_error *err);
/* The `top` likeliest tokens at each mask token of the text, likeliest first:
 * (masks, top), id -1 past the vocabulary.  Returns how many masks there are,
 * which out NULL asks for. */
typedef struct { int32_t id; float probability; } lithe_candidate;
int lithe_fill(lithe_model *m, const lithe_tokenizer *t, const char *text, int top, lithe_candidate *out, lithe_error *err);

#ifdef __cplusplus
}
#endif
#endif
