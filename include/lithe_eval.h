/* lithe_eval.h - how good a model is: on labelled tables and images, on texts, on the tasks of benchmarks; and how
 * different the features of its tokens are, and what it computes of a text.  The conventions are those of lithe.h. */
#ifndef LITHE_EVAL_H
#define LITHE_EVAL_H

#include "lithe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- labelled sets and texts ---------------------------------------------- */

/* Evaluates a classifier or a regression model on a labelled table (lithe_data_options has its columns); an image
 * model, with t NULL, on a set of images (its test part, else its validation part, else all of it). */
typedef struct {
    double loss; lithe_metrics metrics;
    size_t examples, cut;
    char notice[1200];        /* which columns of the table were read, or which images were left out; "": nothing */
} lithe_evaluation;
int lithe_evaluate(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, lithe_error *err);

/* The same, with the confusion matrix of a classifier: (labels, labels), the examples of each class, row by row,
 * counted by the class that was predicted. */
int lithe_evaluate_classes(lithe_model *m, const lithe_tokenizer *t, const char *path, const lithe_data_options *o, lithe_evaluation *out, size_t *confusion, lithe_error *err);
/* The scores of class i in it; a quotient 0/0 is 0, as in scikit-learn. */
typedef struct { double precision, recall, f1; size_t examples; } lithe_class_score;
lithe_class_score lithe_score_class(const size_t *confusion, int labels, int i);

/* How likely a text is, after the context before it, if it has one: the log-likelihood of its tokens, in nats, as
 * lm-evaluation-harness computes it (docs/tasks.md), and whether each is the likeliest at its place (greedy; -1: not
 * known, of a text longer than the model's context).  By an encoder each token is predicted from all others. */
typedef struct { double loglikelihood; size_t tokens; int greedy; } lithe_likelihood;
/* Of n texts after their contexts; a context may be NULL or "", contexts NULL means that there are none.  *cut (or
 * NULL) receives how many contexts were too long and lost their beginning. */
int lithe_likelihoods(lithe_model *m, const lithe_tokenizer *t, const char *const *contexts, const char *const *texts, size_t n,
                      lithe_likelihood *out, size_t *cut, lithe_error *err);

/* Scores a file of WikiText by the words that it has, whatever the tokenizer, as papers and lm-evaluation-harness do
 * (docs/tasks.md): perplexities of words are exp(nll / words). */
typedef struct { double nll; size_t tokens, words, bytes, pages; } lithe_wikitext;
int lithe_score_wikitext(lithe_model *m, const lithe_tokenizer *t, const char *text, size_t size, lithe_wikitext *out, lithe_error *err);

/* Measures how well an encoder predicts ids, a text without special tokens.  The text is split into pieces of ctx
 * tokens (0: the model's context), including the special tokens around each, in which a share `rate` of the tokens is
 * masked as in pre-training (80 % of these become the mask token, 10 % a random token, 10 % stay; Devlin et al. 2019),
 * the same ones for the same seed.  loss is in nats a masked token, metrics.accuracy is set, examples is the number of
 * masked tokens.  LITHE_EFORMAT if none was masked. */
int lithe_score_masked(lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, size_t n, int ctx, double rate, uint64_t seed,
                       lithe_evaluation *out, lithe_error *err);

/* ---- tasks ------------------------------------------------------------------ */

/* A task is a benchmark of a language model: items with several choices of which one is right, or with one
 * continuation (docs/tasks.md).  Its file says how the records of a data file become texts; the library holds
 * "hellaswag", "lambada" and others, and `task` is the name of one of these or the path of a file.  The log-likelihood
 * of each choice after its context is computed as in lm-evaluation-harness; by an encoder, each token is predicted from
 * all others. */
typedef struct {
    size_t number, of;         /* of the items so far, and of those in the files so far */
    const char *path; long line;               /* where its record begins; all pointers are borrowed */
    const char *context;       /* of the right choice, with the shots */
    int choices, answer, chosen, chosen_norm;  /* -1: several are equally likely, which counts as wrong */
    const char *const *texts;  /* (choices), and for each: */
    const double *nll;         /* negative log-likelihood in nats, */
    const size_t *bytes, *tokens;
    int correct, correct_norm;
} lithe_task_item;
typedef struct {
    size_t size;               /* sizeof(lithe_task_options) */
    const char *data;          /* a file, or a directory with several; packed (.gz, .zst) ones too */
    int limit;                 /* of each file, only the first items; 0: all */
    int shots;                 /* number of solved items before each */
    const char *shots_from;    /* their file; NULL: the one that the task names, else the data without the item */
    uint64_t seed;             /* of the intervals */
    int (*item)(void *context, const lithe_task_item *item);   /* or NULL; a non-zero return ends the run */
    void *context;
    /* A directory for scores, by what they depend on: another run with the same model, task and data takes them from
     * there.  NULL: none. */
    const char *cache;
} lithe_task_options;
typedef struct {
    size_t examples, cut;      /* cut: items whose context was too long and lost its beginning */
    size_t cached;             /* items whose scores were there already */
    double accuracy;           /* share of items whose right choice is likelier than each other one; of single
                                * continuations, those whose ids are each the likeliest */
    double accuracy_norm;      /* the same with log-likelihoods divided by the bytes of the choice */
    double interval[2], interval_norm[2];      /* in which they lie with 95 % (bootstrap over the items) */
    double perplexity;         /* of the right choice as a whole: exp of its mean negative log-likelihood */
} lithe_task_result;
int lithe_task_run(lithe_model *m, const lithe_tokenizer *t, const char *task, const lithe_task_options *o, lithe_task_result *out, lithe_error *err);
/* Names of the tasks that the library holds; NULL after the last. */
const char *lithe_task_name(int i);
/* Returns 1 if name is that of a held task or the path of a task file. */
int         lithe_task_known(const char *name);

/* ---- diversity of features --------------------------------------------------- */

/* Measures how different the features of tokens are, at each place of m that its architecture names, over sequences of
 * `ctx` tokens cut from ids end to end (an incomplete last one is not read).  The measures are means over the
 * sequences, with their standard deviation; the last five are over all tokens together. */
typedef struct {
    size_t size;               /* sizeof(lithe_diversity_options) */
    int ctx;                   /* 0: the model's context, at most 256 */
    int skip;    /* number of first tokens of a sequence to leave out, which are often outliers; 0: 4, negative: none */
    size_t tokens;             /* largest number of tokens to read; 0: 16384 */
} lithe_diversity_options;
typedef struct { double mean, deviation; } lithe_measure;
typedef struct {
    const char *place;         /* "embed", "post_mix", "post_ffn", "final_norm" */
    int layer;                 /* -1 outside the layers */
    int width, sequences, tokens;
    int few_tokens; /* 1: there are fewer than five tokens for each channel, so the last five values are too small */
    /* H are the features of a sequence, R = H minus their mean.  dm: |R| / sqrt(tokens), not normalised; rel: |R| /
     * |H|, which does not depend on the scale; rel_comp: the same in sqrt(|.|_1 |.|_inf); rank1: sqrt(1 - s1^2 /
     * |H|^2), where s1 is the largest singular value; cos: mean cosine of two tokens; stable_rank: |H|^2 / s1^2. */
    lithe_measure dm, rel, rel_comp, rank1, cos, stable_rank;
    double deff80, deff90;     /* number of principal components that hold 0.8, 0.9 of the variance */
    /* Participation ratio; exp of the entropy of the spectrum; share of the first three components. */
    double pr, erank, pc3;
} lithe_diversity_row;
typedef struct lithe_diversity lithe_diversity;
lithe_diversity           *lithe_diversity_open(lithe_model *m, const int32_t *ids, size_t n, const lithe_diversity_options *o, lithe_error *err);
size_t                     lithe_diversity_count(const lithe_diversity *d);
const lithe_diversity_row *lithe_diversity_at(const lithe_diversity *d, size_t i);     /* borrowed; in running order */
void                       lithe_diversity_close(lithe_diversity *d);

/* ---- what happens inside a model ------------------------------------------- */

/* What m computes while it reads ids, one sequence of at most its context, without special tokens of its own: the
 * weights of attention (with `maps`, for which ids are few: n * n numbers for each head), the use of parameter tokens
 * (TokenFormer), the decay of states (RWKV).  A model has those of its parts. */
typedef struct lithe_internals lithe_internals;
lithe_internals *lithe_internals_open(lithe_model *m, const int32_t *ids, size_t n, int maps, lithe_error *err);
void             lithe_internals_close(lithe_internals *x);

/* One head's attention: weights (tokens, tokens), a row for each query, which sums to 1, a column for each key, 0
 * where the query does not see it.  Layers and heads are counted from 0.  These three give item number i, in running
 * order, and return 1, or 0 past the last; arrays are borrowed. */
typedef struct { int layer, head, tokens; const float *weights; } lithe_attention_map;
int lithe_internals_map(const lithe_internals *x, size_t i, lithe_attention_map *out);

/* The parameter tokens of one Pattention: use (slots) is the mean over the tokens of |weight of the slot| * |its
 * value|, the length of what it adds to the output.  A slot is dead if its use is below a thousandth of the mean of
 * all.  name is that of the keys' parameter. */
typedef struct { const char *name; int layer, slots, dead; const double *use; } lithe_slot_use;
int lithe_internals_slots(const lithe_internals *x, size_t i, lithe_slot_use *out);

/* The decay of a layer's states: half_life (channels) is the number of tokens after which a channel has kept one half,
 * at the mean rate over these tokens, ln 2 / mean(-ln w).  What RWKV-7 removes from its states besides is not in
 * it. */
typedef struct { int layer, channels; const double *half_life; } lithe_decay;
int lithe_internals_decay(const lithe_internals *x, size_t i, lithe_decay *out);

#ifdef __cplusplus
}
#endif
#endif
