/* lithe_tools.h - what programs around a model ask for beside lithe.h: the
 * architectures and their sizes, vocabularies to learn, growing and its report,
 * what lies in files, how diverse features are, evaluations, plans, the machine.
 * The conventions are those of lithe.h. */
#ifndef LITHE_TOOLS_H
#define LITHE_TOOLS_H

#include "lithe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- architectures ------------------------------------------------------- */

/* Names and one-line descriptions (with the paper) of the architectures; NULL
 * past the last. */
const char *lithe_arch_name(int i);
const char *lithe_arch_summary(int i);
int         lithe_arch_images(const char *name);                /* 1: it reads images, not text */
const char *lithe_arch_usual(int images);                       /* where none is named */
const char *lithe_arch_over(const char *name);                  /* the architecture that it adds to (lithe_grow's `to`); NULL: none */
/* The kind of vocabulary to learn for it (lithe_tokenizer_learn): "wordpiece" or "roberta" of encoders, else "bpe". */
const char *lithe_arch_vocabulary(const char *name);

/* The default of an option of training that depends on the architecture, for people to read ("lr": "0.001; mosaicbert:
 * 0.0005; ...", the usual value and whose differ); empty where it does not. */
void        lithe_train_defaults(const char *option, char *text, size_t size);

/* config.json text (malloc'd, free it) of a model of `arch` with `params`
 * stored parameters within 5 %, for a vocabulary and a context. */
char        *lithe_model_size(const char *arch, double params, int vocab, int context, lithe_error *err);

/* The same of an architecture that reads pictures, for those of d: their size,
 * channels and classes.  patch: pixels; 0: by the size. */
char        *lithe_model_size_images(const char *arch, double params, const lithe_dataset *d, int patch, lithe_error *err);

/* The same body under a fresh head for "classify" (labels classes, with these
 * names), "regress" or, of an encoder, "pretrain": masked tokens, whose head it
 * keeps, and the next sentence (names NULL, labels 0).  Other heads are left out. */
lithe_model *lithe_model_with_head(const lithe_model *m, const char *task, const char *const *names, int labels, uint64_t seed, lithe_error *err);

/* ---- tokenizers ---------------------------------------------------------- */

/* A byte-level BPE vocabulary of exactly `vocab` tokens (256 bytes, merges,
 * <|endoftext|>) learned from text; the same bytes for the same text. */
lithe_tokenizer *lithe_tokenizer_train(const char *text, size_t len, int vocab, lithe_error *err);
/* The same of another kind: byte-level BPE with RoBERTa's five special tokens
 * first, or BERT's WordPiece with [PAD] [UNK] [CLS] [SEP] [MASK] first. */
lithe_tokenizer *lithe_tokenizer_learn(const char *text, size_t len, int vocab, const lithe_tokenizer_options *o, lithe_error *err);
const char      *lithe_tokenizer_file(const lithe_tokenizer *t);                /* the name under which it is looked for in a folder */
char            *lithe_tokenizer_find(const char *dir);                         /* path (malloc'd) of the tokenizer in a folder, NULL: none */


/* The token of a role: "bos", "eos", "cls", "sep", "pad", "mask" or "unk"; -1 when
 * there is none.  BERT's bos and eos are its cls and sep, RoBERTa's the reverse. */
int32_t lithe_tokenizer_special(const lithe_tokenizer *t, const char *role);
int     lithe_tokenizer_is_special(const lithe_tokenizer *t, int32_t id);      /* stands for no text of its own: never masked, never drawn */
/* Whether id goes on with the word of the token before it: ## of WordPiece; else what does not begin with white space. */
int     lithe_tokenizer_continues(const lithe_tokenizer *t, int32_t id);

/* The same around ids that are there already. */
size_t lithe_join(const lithe_tokenizer *t, const int32_t *a, size_t a_n, const int32_t *b, size_t b_n, size_t limit,
                  int32_t *ids, int32_t *types, size_t cap);

/* ---- data ---------------------------------------------------------------- */

size_t         lithe_dataset_tokens(const lithe_dataset *d, int valid);
size_t         lithe_dataset_bytes(const lithe_dataset *d, int valid);     /* of the original text; 0 of a table */
size_t         lithe_dataset_examples(const lithe_dataset *d, int valid);  /* of a table; 0 of text */
int            lithe_dataset_labels(const lithe_dataset *d);               /* classes of a table; 0 of text and of numbers */
const char    *lithe_dataset_label(const lithe_dataset *d, int i);         /* borrowed; NULL past the last */
int            lithe_dataset_pairs(const lithe_dataset *d);                /* whether its examples have two texts */
/* Side and channels of pictures; 0 where the data are none.  Either pointer may be NULL. */
int            lithe_dataset_images(const lithe_dataset *d, int *side, int *channels);
/* Whether a path looks like labelled pictures: by its name, or what the directory holds. */
int            lithe_images_known(const char *path);
int            lithe_dataset_longest(const lithe_dataset *d);              /* tokens of the longest example of a table, special ones too; 0 of text */

/* The documents of the same sources joined by empty lines until they reach
 * limit bytes, the last cut at a line: what a tokenizer is learned from.
 * malloc'd, NUL behind it; standard input can be read again by
 * lithe_dataset_open. */
char *lithe_text_read(const char *const *paths, int n, size_t limit, size_t *len, lithe_error *err);

/* ---- models and files ---------------------------------------------------- */

/* What a model of pictures reads; 0 of one that reads text.  Pointers may be NULL. */
int          lithe_model_images(const lithe_model *m, int *side, int *patch, int *channels);
const char  *lithe_model_image_filter(const lithe_model *m);    /* by which it has pictures resized; NULL of text */

/* Writes the parameters alone to one new file, under the authors' names: PATH.pth as
 * torch.save does, PATH.safetensors, or, RWKV alone, PATH.bin for rwkv.cpp.  RWKV opens from each by itself. */
int          lithe_model_export(const lithe_model *m, const char *path, const char *dtype, lithe_error *err);

/* Writes `logits` [n, vocab] (F32) as a safetensors file. */
int lithe_logits_save(lithe_model *m, const int32_t *ids, size_t n, const char *path, lithe_error *err);

/* The tensors of any model file or directory, known architecture or not. */
typedef struct { const char *name, *dtype; int rank; int64_t dims[8]; size_t bytes; const char *file; } lithe_tensor_info;
typedef struct lithe_listing lithe_listing;
lithe_listing           *lithe_listing_open(const char *path, lithe_error *err);
size_t                   lithe_listing_count(const lithe_listing *l);
const lithe_tensor_info *lithe_listing_tensor(const lithe_listing *l, size_t i);      /* borrowed; NULL past the end */
const char              *lithe_listing_format(const lithe_listing *l);                /* "safetensors", "pytorch", "rwkv.cpp", "llama2.c" */
const char              *lithe_listing_arch(const lithe_listing *l);                  /* NULL when not known */
/* NaN or infinite values in tensor i; negative when its type cannot be read as numbers. */
long long                lithe_listing_bad_values(const lithe_listing *l, size_t i);
void                     lithe_listing_close(lithe_listing *l);

/* ---- growing ------------------------------------------------------------- */

/* A larger model that starts from what m has learned. */
typedef struct {
    size_t size;               /* sizeof(lithe_grow_options) */
    double params;             /* wanted stored parameters; or 0 with: */
    double factor;             /* times the present ones; or 0 with: */
    const char *set;           /* "qkv_slot_num=96,ffn_slot_num=384": keys of config.json */
    const char *to;            /* the same sizes as an architecture that adds to m's (lithe_arch_over); set: keys of what it adds */
    const char *method;        /* TokenFormer "A".."F" (NULL: A, with softmax D); others "duplicate" (NULL), "corner", "stack", "interpolate", "aki" */
    int   portable;            /* choose a method whose result any plain sqrt(n) reader opens */
    float noise;               /* relative noise on copied incoming weights; 0: none */
    uint64_t seed;
    int   freeze_old;          /* old slots keep their values in later training */
    float old_lr;              /* learning-rate factor of old slots; 0 means 1 */
} lithe_grow_options;

typedef struct lithe_growth {
    char method[32];
    int  preserves;            /* 1: outputs preserved exactly (up to rounding); 0: not, `says` tells why */
    char says[256];            /* when and what is preserved */
    char moves[512];           /* what was changed: "ffn_slot_num 256 -> 512; ..." */
    size_t params_before, params_after;
    double max_logit, max_difference, divergence;      /* filled by lithe_compare */
} lithe_growth;

/* The model that o asks for; report (or NULL) says how it was grown and what is preserved. */
lithe_model *lithe_model_grow(const lithe_model *m, const lithe_grow_options *o, lithe_growth *report, lithe_error *err);

/* AdamW's moments beside m (a checkpoint of a run) through the map of
 * lithe_model_grow(m, o): written to dir/optimizer.safetensors, where a run
 * started with moments "carry" from dir finds them; entries of new slots and
 * blocks are zero.  1 when written, 0 when there are none beside m. */
int lithe_grow_moments(const lithe_model *m, const lithe_grow_options *o, const char *dir, lithe_error *err);

/* m with the vocabulary of `to`, whose first ids are those of `from`, m's
 * tokenizer: a new token begins as the mean of the pieces that `from` cuts its
 * text into, in the embedding and in the head.  Logits of old ids stay. */
lithe_model *lithe_model_extend(const lithe_model *m, const lithe_tokenizer *from, const lithe_tokenizer *to, lithe_growth *report, lithe_error *err);

/* Largest |logit| of a and largest |logit difference| between a and b over ids,
 * and the mean over the rows of the divergence of b's probabilities from a's
 * (Kullback-Leibler, in nats; NaN where there are none).  The logits are those of
 * the task: tokens, classes, spans, a number; without a head, hidden states.
 * Models of pictures are compared on noise, and ids may be NULL.  Where b has
 * more tokens, those of a are compared. */
int lithe_compare(lithe_model *a, lithe_model *b, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err);

/* ---- how good a model is -------------------------------------------------- */

/* How good such a model is on a labelled table (lithe_data_options: its columns);
 * of a model that reads pictures, t NULL, on a set of them (its test part, else its valid part, else all). */
typedef struct { double loss; lithe_metrics metrics; size_t examples, cut; } lithe_evaluation;
int lithe_evaluate(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, lithe_error *err);

/* How well an encoder predicts ids, a text without special tokens: pieces of ctx tokens (0: the model's context), special
 * ones around each included, in which a share `rate` of the tokens is masked as in pre-training (of these 80 % become the mask,
 * 10 % a random token, 10 % stay; Devlin et al. 2019), the same ones for the same seed.  loss: nats a masked token;
 * metrics.accuracy; examples: masked tokens.  LITHE_EFORMAT when none was masked. */
int lithe_score_masked(lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, uint64_t seed,
                       lithe_evaluation *out, lithe_error *err);

/* What the files of sentence-transformers beside m say, else the mean, of a causal model the last row; what o NULL means. */
int lithe_embedding_read(const lithe_model *m, lithe_embedding *o, lithe_error *err);

/* How different the features of tokens are, at each place of m that its
 * architecture names, over sequences of `ctx` tokens cut from ids end to end
 * (what is left over is not read).  Means over the sequences, with their
 * standard deviation; the last five over all tokens together. */
typedef struct {
    size_t size;               /* sizeof(lithe_diversity_options) */
    int ctx;                   /* 0: the model's context, at most 256 */
    int skip;                  /* first tokens of a sequence left out, which often stand far from all others; 0: 4, negative: none */
    size_t tokens;             /* read at most so many; 0: 16384 */
} lithe_diversity_options;
typedef struct { double mean, deviation; } lithe_measure;
typedef struct {
    const char *place;         /* "embed", "post_mix", "post_ffn", "final_norm" */
    int layer;                 /* -1 outside the layers */
    int width, sequences, tokens;
    int few_tokens;            /* fewer than five for each channel: the last five values are too small */
    /* H: a sequence's features, R: less their mean.  dm: |R| / sqrt(tokens), raw; rel: |R| / |H|, which growing features
     * do not raise; rel_comp: the same in sqrt(|.|_1 |.|_inf); rank1: sqrt(1 - s1^2 / |H|^2), s1 the largest singular
     * value; cos: mean cosine of two tokens; stable_rank: |H|^2 / s1^2. */
    lithe_measure dm, rel, rel_comp, rank1, cos, stable_rank;
    double deff80, deff90;     /* principal components that hold 0.8, 0.9 of the variance */
    double pr, erank, pc3;     /* participation ratio; exp of the spectrum's entropy; share of the first three */
} lithe_diversity_row;
typedef struct lithe_diversity lithe_diversity;
lithe_diversity           *lithe_diversity_open(lithe_model *m, const int32_t *ids, size_t n, const lithe_diversity_options *o, lithe_error *err);
size_t                     lithe_diversity_count(const lithe_diversity *d);
const lithe_diversity_row *lithe_diversity_at(const lithe_diversity *d, size_t i);     /* borrowed; in running order */
void                       lithe_diversity_close(lithe_diversity *d);

/* ---- plans and machines -------------------------------------------------- */

/* Text (malloc'd): the plan of a configuration, one line an op (step, op,
 * shape, offset, bytes, flops) when ops is non-zero, and the memory that
 * training, scoring and decoding need.  config: a config.json or MODEL. */
char *lithe_plan(const char *config, int batch, int ctx, int recompute, const char *dtype, int ops, int json, lithe_error *err);

/* Text (malloc'd): CPU, levels of kernels, threads, memory, libraries, what is optional and absent. */
char *lithe_doctor(int json);

/* Measured fp32 (or bf16) matrix-product rate of this machine in FLOP/s, all threads; about 0.1 s the first time. */
double lithe_peak(const char *dtype);

#ifdef __cplusplus
}
#endif
#endif
