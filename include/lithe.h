/* lithe.h - train, grow, evaluate and run language and image models.
 *
 *   tokenizer   text <-> token ids
 *   dataset     token ids on disk, read in batches
 *   model       an architecture, its configuration, its parameters
 *   trainer     trains a model on a dataset, in a run directory
 *   session     reads and continues one sequence with a model
 *   engine      reads and continues many sequences at once with a model (lithe_tools.h)
 *
 * What x_open or x_new returns, x_close releases; closing NULL does nothing.
 * A call that can fail takes a lithe_error last (NULL if you do not need it) and
 * returns NULL or a negative lithe_status.  The first failure sticks: a call that is
 * given an error that holds a failure, or a NULL handle, does nothing and fails, so a
 * chain of calls is checked once, at its end.  Options are copied, and zero in any field
 * except their size means its default: LITHE_OPTIONS(lithe_train_options, .steps = 100)
 * in C, or a variable o with .size = sizeof o.  A model must outlive its trainers, sessions
 * and engines.  A handle belongs to one thread at a time.  The library never prints and never exits. */
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
    X(LITHE_EMISMATCH,-9, "a comparison did not hold")           \
    X(LITHE_ECANCELLED,-10, "was interrupted")

typedef enum {
#define X(name, value, text) name = value,
    LITHE_STATUS(X)
#undef X
} lithe_status;

typedef struct {
    lithe_status status;
    char text[508];          /* one line, e.g. "model.safetensors: h.3.ln_1.weight is [1024], expected [768]" */
} lithe_error;

/* Options of a type, with their size, so that fields can be added at the end later. */
#define LITHE_OPTIONS(type, ...) (type){ .size = sizeof(type), __VA_ARGS__ }

typedef struct lithe_tokenizer lithe_tokenizer;
typedef struct lithe_dataset   lithe_dataset;
typedef struct lithe_model     lithe_model;
typedef struct lithe_trainer   lithe_trainer;
typedef struct lithe_ranks     lithe_ranks;
typedef struct lithe_session   lithe_session;
typedef struct lithe_engine    lithe_engine;

/* ---- machine ------------------------------------------------------------- */

const char *lithe_version(void);                                 /* "0.1.0" */

/* Sets the number of threads of all later calls; 0 restores the default (LITHE_NUM_THREADS, OMP_NUM_THREADS, affinity
 * mask, cgroup quota). */
void lithe_threads(int n);

/* ---- text ---------------------------------------------------------------- */

/* Opens a tokenizer.  path is a tokenizer.json; a SentencePiece .model; a vocab.txt of BERT; an RWKV vocabulary
 * (rwkv_vocab_v20230424.txt); a llama2.c tokenizer file; a folder that holds one of these, or vocab.json and
 * merges.txt (also named encoder.json and vocab.bpe); or the word "bytes" for the 256 bytes themselves. */
lithe_tokenizer *lithe_tokenizer_open(const char *path, lithe_error *err);
void             lithe_tokenizer_close(lithe_tokenizer *t);

int     lithe_tokenizer_vocab(const lithe_tokenizer *t);        /* largest id + 1 */
int32_t lithe_tokenizer_bos(const lithe_tokenizer *t);          /* the begin-of-text token, -1 if there is none */
/* The end-of-text token, also between documents; -1 if there is none. */
int32_t lithe_tokenizer_eos(const lithe_tokenizer *t);

/* Both return the full length of the result, like snprintf, and write at most cap of it; a call with cap 0 gives the
 * length.  Invalid UTF-8 is allowed if the vocabulary has bytes, and becomes U+FFFD otherwise.  With special, the
 * special tokens of the tokenizer's post-processor are added. */
size_t lithe_encode(const lithe_tokenizer *t, const char *text, size_t len, int special, int32_t *ids, size_t cap);
size_t lithe_decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, char *text, size_t cap);

/* ---- models -------------------------------------------------------------- */

/* Makes a model with initial parameters.  config_json has the keys of config.json, NULL means defaults.  The values of
 * a parameter depend on the seed and its name only. */
lithe_model *lithe_model_new(const char *arch, const char *config_json, uint64_t seed, lithe_error *err);

/* Opens a model.  path is a MODEL directory (config.json and model.safetensors, possibly sharded, or
 * pytorch_model.bin), a RUN directory (its newest complete checkpoint), or a single file that describes itself
 * (llama2.c and rwkv.cpp .bin, RWKV .pth). config is a config.json for a single file that does not, else NULL. The
 * files of a checkpoint are compared with the hashes in its manifest. They stay mapped while the model is open, and its
 * parameters are used as they are stored there (only what the file has in another order is copied); training widens
 * them to fp32. */
lithe_model *lithe_model_open(const char *path, const char *config, lithe_error *err);

/* Which checkpoint of the RUN that was opened is damaged, how, and which older one is used; NULL if none is;
 * borrowed. */
const char  *lithe_model_notice(const lithe_model *m);

/* Writes a MODEL directory: config.json, model.safetensors, and the tokenizer if one is given.  dtype is "f32", "bf16"
 * or "f16"; NULL means f32; "stored" is each parameter as m has it, blocks too, in a model.gguf.  A directory that is
 * not empty is refused. */
int          lithe_model_save(const lithe_model *m, const char *dir, const char *dtype, const lithe_tokenizer *t, lithe_error *err);

void         lithe_model_close(lithe_model *m);                 /* after the trainers and sessions that borrow it */

const char  *lithe_model_arch(const lithe_model *m);
char        *lithe_model_config(const lithe_model *m);          /* config.json text, malloc'd */
size_t       lithe_model_params(const lithe_model *m);          /* stored parameters */
int          lithe_model_vocab(const lithe_model *m);
int          lithe_model_context(const lithe_model *m);
/* The path of the tokenizer inside or beside the model, NULL if there is none; borrowed. */
const char  *lithe_model_tokenizer(const lithe_model *m);

/* ---- data ---------------------------------------------------------------- */

/* A dataset has documents from files (.txt, .jsonl with a `text` field; .gz, .zst), directories and "-" (stdin), as
 * token shards under dir.  With a task it is one labelled table: .csv, .jsonl, else tab-separated (.gz, .zst too); a
 * column is a name or a number from 1, and is found by its name or content if NULL.  With the task "images" it is
 * labelled images: IDX files, CIFAR's .bin files, folders named after their classes, a .tar of these. */
typedef struct {
    size_t size;               /* sizeof(lithe_data_options) */
    const char *valid;         /* a file or directory held out for validation; NULL: a split of the documents */
    double valid_share;        /* share of the split; 0.05 */
    uint64_t seed;
    int reset_attention;       /* documents packed in one window do not attend to each other */
    const char *task;          /* "classify", "regress", "images"; NULL: text */
    const char *text_column, *pair_column, *label_column;      /* pair_column "": none */
    const char *const *labels; /* names of the classes; NULL: those of the table */
    int label_count;
    /* The size of the images; by default the larger side of the first ones (at most 224), colour if one has it. */
    int image_side, image_channels;
    const char *image_filter;              /* the filter for resizing, by PIL's name; "bilinear" */
    int image_resize, image_shortest;      /* as lithe_model_image_resize gives them (lithe_tools.h); 0: image_side */
    const struct lithe_encoder *encoder;   /* who encodes (lithe_ranks_encoder, lithe_tools.h); NULL: this process */
} lithe_data_options;

/* Reads n sources, makes their files in dir (NULL: a temporary directory, gone when it closes) and opens them.  Images
 * need no tokenizer. */
lithe_dataset *lithe_dataset_open(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t,
                                  const lithe_data_options *o, lithe_error *err);
void           lithe_dataset_close(lithe_dataset *d);

/* ---- training ------------------------------------------------------------ */

/* Zero means the value of the architecture's paper (schedule, lr, decay, betas, masks), for labelled data the usual
 * value for fine-tuning, and otherwise the value given here. */
typedef struct {
    size_t size;               /* sizeof(lithe_train_options) */
    int    ctx;                /* largest number of tokens in a window or example; the model's context, at most 1024 */
    int    batch;              /* windows in a step, over all accumulated parts; 8; 16 examples; 64 images */
    int    accumulate;         /* number of parts a step is split into; 1 */
    double lr, min_lr;         /* by the architecture and its width; lr/10 */
    const char *schedule;      /* "cosine", "constant", "linear", "wsd", "inverse-sqrt"; cosine */
    int    warmup;             /* steps; 2 % */
    double weight_decay, beta1, beta2, eps, clip;      /* 0.1, 0.9, 0.95, 1e-8, 1.0 (negative: off) */
    int    steps;              /* or 0 with: */
    double tokens, seconds;    /* budgets; all 0: one epoch */
    double epochs;             /* passes over the data; labelled tables: 3 if no other budget is given */
    /* "adamw", "decoupled-adamw" (it decays all parameters, by the share of lr in the peak lr, not by lr), "muon" (for
     * the matrices of the layers, AdamW for the rest) */
    const char *optimizer;
    const char *mask;          /* masked tokens: "each" independently, an exact "count", that count in whole "words" */
    double mask_rate;          /* share of the tokens that is predicted; evaluations always mask 15 % */
    /* Shares of those that stay unchanged and that become a random token: 0.1 each; negative: none. */
    double mask_keep, mask_random;
    int    static_masking;  /* the same masks in every epoch */
    const char *augment;    /* augmentation of images: "none", "photos", "digits"; by their size and colour */
    const char *packing;    /* for masked tokens: "pieces" of documents, or blocks of whole "sentences" (RoBERTa's) */
    const char *dtype;      /* "f32", "bf16"; f32 */
    int    eval_every, save_every;     /* steps; a tenth of the run */
    int    eval_windows;       /* validation windows at each evaluation; 64; labelled data: all examples */
    uint64_t seed;
    int    recompute;          /* recompute activations in the backward pass instead of keeping them */
    const char *sample;        /* prompt of the text that is written at each evaluation; NULL: none */
    /* "STEP:WHAT[,STEP:WHAT]": grow during the run; WHAT is "3M", "2x", "KEY=N,KEY=N", "to=ARCH[,KEY=VALUE]" or
     * "vocabulary=TOKENIZER" (as lithe grow has them) */
    const char *grow_at;
    const char *grow_method;
    const char *moments;    /* moments of the checkpoint the model comes from: "reset" or "carry"; reset */
    const char *from;       /* the directory of that checkpoint, for carry */
    const char *command;    /* written to command.txt */
    int    bptt;            /* of recurrent models: windows of a sequence, through all of which the gradient goes; 1 */
    lithe_ranks *ranks;     /* the processes that train together (lithe_tools.h), borrowed; NULL: this one alone */
    /* Other options of these growths, as in lithe_grow_options: "noise=0.01,portable,freeze_old,old_lr=0.1,rewarm=50,
     * where=top,seed=3"; the seed is the run's where none is given. */
    const char *grow_with;
    const char *wire;       /* "bf16": how gradients travel between ranks; NULL: "f32" */
    int    steps_most;      /* with seconds: never more steps than these; 0: any number */
    /* Shares of the steps, instead of warmup, eval_every and save_every; 0: these. */
    double warmup_share, eval_share, save_share;
    int    cautious_decay;  /* muon: no decay of a weight that its update makes larger */
} lithe_train_options;

typedef enum { LITHE_STEPPED, LITHE_EVALUATED, LITHE_SAVED, LITHE_SKIPPED, LITHE_ROLLED_BACK, LITHE_GREW, LITHE_FINISHED } lithe_event_kind;

/* Metrics of an evaluation, NaN if the task does not have them.  accuracy is that of masked tokens or of classes. */
typedef struct { double accuracy, f1, matthews, pearson, spearman, next_accuracy; } lithe_metrics;

/* What lithe_trainer_next did. */
typedef struct {
    lithe_event_kind kind;
    int    step, steps;
    double loss, grad_norm, lr;         /* of the step */
    double valid_loss, bits_per_byte;   /* of the latest evaluation, NaN before the first; bits of next tokens only */
    lithe_metrics metrics;              /* of the latest evaluation of this process */
    double tokens, seconds;             /* of this step */
    double total_tokens, flops;         /* so far in this run; of this step */
    const char *text;                   /* sample, path of the checkpoint, or reason; borrowed until the next call */
    const struct lithe_growth *growth;  /* for LITHE_GREW (lithe_tools.h), else NULL; borrowed until the next call */
    double waited;                      /* seconds of the step that this rank has waited for others */
} lithe_event;

/* Begins a run in the directory `run`, which must not exist or be empty; it appears complete, by rename.  The trainer
 * borrows m and d, and also t, which is needed for samples and for a tokenizer in the checkpoints. */
lithe_trainer *lithe_trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *t,
                                  const lithe_train_options *o, const char *run, lithe_error *err);
/* Continues a run; the trainer owns its model, data and tokenizer.  Of o only steps (larger) and save_every may differ
 * from those at the start of the run (0: unchanged). */
lithe_trainer *lithe_trainer_resume(const char *run, const lithe_train_options *o, lithe_error *err);
/* Does the next event and describes it in *out; returns 1 while there is more, 0 after LITHE_FINISHED. */
int            lithe_trainer_next(lithe_trainer *t, lithe_event *out, lithe_error *err);
int            lithe_trainer_save(lithe_trainer *t, lithe_error *err);        /* writes a checkpoint now */
const char    *lithe_trainer_model_dir(const lithe_trainer *t);               /* RUN */
lithe_model   *lithe_trainer_model(lithe_trainer *t);                /* borrowed; a growth inside the run replaces it */
void           lithe_trainer_close(lithe_trainer *t);

/* ---- inference ----------------------------------------------------------- */

/* context is the number of ids that the session can hold, at most the model's context; 0 means the model's context,
 * and for a recurrent model (RWKV) any number, in constant memory. */
lithe_session *lithe_session_open(lithe_model *m, int context, lithe_error *err);
void           lithe_session_close(lithe_session *s);
int            lithe_session_context(const lithe_session *s);                         /* 0: any number */

/* Makes these ids the text of the session.  The longest prefix that it already has read is kept, and the rest is
 * computed.  A recurrent state cannot be shortened: it is extended, restored from the mark, or computed from the
 * start.  LITHE_EFULL names both lengths. */
int            lithe_session_sync(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err);
int            lithe_session_push(lithe_session *s, int32_t id, lithe_error *err);    /* reads one id more, O(1) */
/* Reads n ids more. */
int            lithe_session_extend(lithe_session *s, const int32_t *ids, size_t n, lithe_error *err);
size_t         lithe_session_length(const lithe_session *s);
const float   *lithe_session_logits(const lithe_session *s);      /* (vocab), borrowed until the next sync or push */

typedef struct {
    size_t size;               /* sizeof(lithe_sampling) */
    float temperature;         /* 0: greedy */
    float top_p, min_p;        /* 0: off */
    float repetition;          /* penalty for ids that already occurred (Keskar et al. 2019); 0 or 1: off */
    int top_k;                 /* 0: off */
    uint64_t seed;
} lithe_sampling;
/* Samples the next id; -1 on failure: nothing was read yet, or a logit is not finite. */
int32_t        lithe_session_sample(lithe_session *s, const lithe_sampling *o, lithe_error *err);

/* Generates a stream of text: give(context, bytes, n) receives whole UTF-8 sequences only, and never a part of a stop
 * string.  Generation ends at max_tokens, a stop string, the end-of-text token, or a non-zero return of give.  The
 * session then has read the text; after a stop string, up to before the token that completed it.  *reason is "length",
 * "stop", "eos", "full", "cancelled" (by give), or NULL if the call fails. */
typedef struct {
    size_t size;               /* sizeof(lithe_generation) */
    const lithe_sampling *sampling;        /* NULL: greedy */
    int max_tokens;            /* 0: until something else ends the text; a recurrent model may never end */
    const char *const *stop; int stops;
    int ignore_eos;
    int go_on;              /* the prompt (which may be empty) continues what the session has read; 0: it replaces it */
    const int32_t *ends; int end_count;    /* further tokens that end the text, as the end-of-text token does */
} lithe_generation;
int lithe_generate(lithe_session *s, const lithe_tokenizer *t, const int32_t *prompt, size_t n, const lithe_generation *o,
                   int (*give)(void *context, const char *text, size_t n), void *context, const char **reason, lithe_error *err);

#ifdef __cplusplus
}
#endif
#endif
