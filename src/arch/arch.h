/* An architecture: its configuration, its equations, its files and how it grows.
 * Adding one is one file and one line in registry.c. */
#ifndef ARCH_H
#define ARCH_H

#include "base/keys.h"
#include "base/name_pattern.h"
#include "graph/graph.h"
#include <jansson.h>

/* One key of config.json and the member of the configuration struct it fills:
 * an int, a double, an int (0 or 1), an int, ints.  A null in config.json is an absent key. */
typedef enum { FIELD_INT, FIELD_REAL, FIELD_BOOL, FIELD_CHOICE, FIELD_CHOICES, FIELD_REALS } field_kind;
typedef struct {
    const char *key;
    field_kind kind;
    size_t offset;
    double value;                    /* default; NAN: the key must be there.  A default outside the bounds means an
                                        absent key and is not written back */
    double least, most;              /* inclusive bounds; both 0: none */
    const char *choices;             /* FIELD_CHOICE: "a|b|c", stored as its place there; NULL: an activation.  Another
                                        value is refused by name.  FIELD_CHOICES: up to `most` of them ("a,c,a") in an
                                        array of so many ints, -1 after the last; absent: none.  FIELD_REALS: a list
                                        of at most so many numbers above 0 (doubles), 0 after the last; read only */
} field;
enum { MOST_CHOICES = 64 };

/* A head: logits x = hidden . weight' (+ bias), or x = hidden without a weight; with a cap, cap tanh(x / cap). */
typedef struct { tensor *hidden, *weight, *bias; double cap; } head;

/* What is predicted from the last layer.  In config.json the end of architectures[0] names it, as in Hugging Face's
 * class names; num_labels or id2label give the number of labels, and problem_type or a single label means
 * regression.  sigmoid: what is said of a label is its own probability, as transformers' pipelines give it for several
 * labels at once (problem_type multi_label_classification) and for a single one without a problem_type. */
typedef enum {
    TASK_LANGUAGE,       /* the next token, or masked ones: ...ForCausalLM, ...LMHeadModel, ...ForMaskedLM */
    TASK_PRETRAIN,       /* masked tokens and whether the second sentence follows the first: ...ForPreTraining */
    /* A class or number for a sequence: ...ForSequenceClassification, ...ForImageClassification,
     * ...ForNextSentencePrediction, ...ForMultipleChoice. */
    TASK_SEQUENCE,
    TASK_TOKENS,         /* a class for each token: ...ForTokenClassification */
    TASK_SPAN,           /* where an answer begins and ends: ...ForQuestionAnswering */
    TASK_BODY            /* hidden states alone: an encoder's ...Model */
} task_kind;
/* Of TASK_SEQUENCE, heads of their own: whether the second of two texts comes after the first, a score of a text
 * beside its choice, and the mean of the class token's and the distillation token's logits. */
typedef enum { FORM_CLASSES, FORM_NEXT, FORM_CHOICE, FORM_TEACHER } head_form;
typedef struct { task_kind kind; int labels; bool regression, sigmoid; head_form form; } task;

/* The images that a model reads: side x side pixels in square patches, with so many tokens before them. */
typedef struct { int side, patch, channels, tokens; } image_shape;

/* The default hyper-parameters of an architecture: those of its paper, where the paper gives them. */
typedef struct {
    /* Peak learning rate; the last one as a share of it; the share of the steps over which it rises. */
    double lr, floor, warmup;
    int lr_width;                    /* the width at which lr is right, in inverse proportion at others; 0: at any */
    const char *schedule;            /* a name of --schedule */
    double beta1, beta2, eps, weight_decay, clip;        /* of AdamW; clip 0: none */
    bool decoupled;                  /* the decay is not multiplied by the learning rate */
    const char *mask;                /* for encoders: a name of --mask */
    double mask_rate;                /* the share of the tokens */
    bool sentences;                  /* encoders read blocks of whole sentences */
} recipe;

/* The Pattention layers that share a number of slots: the key of that number, the key of the squared scale that a grown
 * model keeps, and the beginnings of the layers' tensor names (within the layer). */
typedef struct { const char *slots_key, *tau2_key; const char *const *names; } slot_group;

/* A list of names, which ends with NULL. */
#define NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }
/* A list of pairs of names, theirs and ours, which ends with NULLs. */
#define NAME_PAIRS(...) (const name_pair[]){ __VA_ARGS__, { 0 } }

/* An architecture: its name, how its config.json is read, its equations, its files, and how it grows.  A part that it
 * does not need is NULL.  A `config` argument is the struct that arch_read filled. */
typedef struct arch {
    const char *name;               /* config.json's model_type */
    const char *class_name;         /* config.json's architectures[0] of a model of the architecture's own task */
    const char *stem;               /* of other tasks: the "GPT2" of GPT2ForSequenceClassification */
    const char *summary;            /* one line and its paper, for --arch help */
    const char *vocabulary;         /* the kind of vocabulary to learn for it: "wordpiece", "roberta"; NULL: "bpe" */
    const recipe *recipe;           /* NULL: the usual one (train/recipe.c) */
    bool for_text;                  /* the first choice for a new model of a text, where no other is named */

    struct {                             /* config.json to a struct and back */
        size_t size;                     /* of the struct */
        const field *fields;             /* ends with a NULL key */
        /* Keys of published files that are no fields (arch/known_keys.c has the common ones). */
        const known_key *others;
        const char *const *divides;      /* pairs of keys: the first divides the second where neither is absent */
        /* Checks other rules between fields; fails with one line. */
        int  (*check)(const void *config, lithe_error *err);
        /* Renames foreign or newer keys to ours, before the fields are read. */
        int  (*normalize)(json_t *config, lithe_error *err);
        /* The reverse for a config.json that is to be written: adds keys that other programs read (GPT-2's n_ctx) and
         * removes keys that normalize made.  Negative when memory is out. */
        int  (*publish)(json_t *config);
        /* Returns the keys of a model of this width, depth, vocabulary and context (in tokens); heads have 32 to 64
         * channels. */
        json_t *(*sized)(int width, int layers, int vocab, int context);
        /* Whether a config.json that names another model_type is one of this architecture. */
        bool (*claims)(const json_t *config);
        /* Other model_types whose files it opens, each before its class; normalize refuses what differs.  families:
         * their equations are their own, so that model_type and class must be one's. */
        const char *const *aliases;
        bool families;
    } config;

    struct {
        /* (tokens, width): the hidden states of the last layer. */
        tensor *(*build)(graph *g, const void *config);
        /* The language model's head on the rows it reads; NULL: there is none. */
        head (*language)(graph *g, const void *config, tensor *rows);
        /* The head of the other tasks, on one row for each sequence (TASK_SEQUENCE, the pair of TASK_PRETRAIN) or on
         * all tokens; NULL: only a matrix score.weight (labels, width). */
        head (*classify)(graph *g, const void *config, tensor *rows, const task *t);
        bool forms;                                      /* classify knows or refuses each form of heads */
        /* The same on all rows of a model whose classes come from several of them; NULL: none. */
        head (*classify_all)(graph *g, const void *config, tensor *x, const task *t);
        double (*l2_wrap)(const void *config);           /* the factor of ops.h's l2_wrap of the loss; NULL: 0 */
        bool (*encoder)(const void *config);             /* bidirectional: masked tokens are predicted; NULL: causal */
        /* Which row stands for a sequence; NULL: the first of an encoder, else the last. */
        pooling (*pool)(const void *config);
        int  (*context)(const void *config);             /* the longest sequence; NULL: max_position_embeddings */
        image_shape (*image)(const void *config);        /* what a model of images reads; NULL: it reads tokens */
    } equations;

    struct {                             /* names of tensors in published files */
        const char *prefix;              /* a prefix that is written before the names, such as "bert." */
        /* Patterns of the names that published files may have in place of ours (base/name_pattern.h): { "bert.@", "@" }
         * takes a prefix away, ours NULL is no parameter (a buffer). */
        const name_pair *names;
        /* Beginnings of the names of heads' tensors: they have no prefix, and a file may hold the heads of other
         * tasks. */
        const char *const *heads;
        const char *tied_head, *tied_to; /* a head of its own; the embedding that a tied head reads */
        /* A directory is written under the names of the table that is recognised by this tensor; NULL: under ours. */
        const char *written_as;
        const char *known_by;        /* a tensor by which a file without a configuration is recognised; NULL: tied_to */
    } files;

    struct {
        /* The keys of width, heads, inner size, bottleneck and depth, and how names give the layer ("h.", then
         * first_layer + l; numbers after the last layer move with the depth). */
        struct { const char *width, *heads, *kv_heads, *inner, *bottleneck, *layers, *layer_prefix; int first_layer; } keys;
        const char *const *inner_keys;   /* keys of `sized` that set inner sizes only; --params scales them together */
        const slot_group *slots;         /* groups of Pattention layers; ends with a NULL key */
        /* Keys of parts that a growth adds without effect (branches, terms of a series); NULL: none. */
        const char *const *additions;
        const struct arch *over;  /* the architecture that it is without its additions, from which `grow --to` starts */
        /* Each returns the reason why growing changes outputs, or NULL: why a block whose matrices write zeros is not
         * the identity (a norm after the sum), why repeated heads do not compute what they did, why additions at their
         * initial values have an effect. */
        const char *(*block_changes)(const void *config);
        const char *(*heads_change)(const void *config);
        const char *(*additions_change)(const void *config);
        /* Two layers with the same number compute alike where their values are the same: it stands for windows,
         * positions and mixers, where these depend on which layer it is.  NULL: all layers are of one kind. */
        uint64_t (*layer_kind)(const void *config, int layer);
        /* The key of a list as long as there are layers, which other keys imply; NULL: none. */
        const char *layer_list;
    } growth;
} arch;

extern const arch *const architectures[];                 /* ends with NULL */
const arch *arch_find(const char *name);                  /* by name, alias or class_name; NULL when there is none */
const arch *arch_for_text(void);
const arch *arch_usual(bool images);                      /* the default: the first that reads images, or text */
bool arch_alias(const arch *a, const char *name);         /* whether name is among its aliases */

/* Reads config into a zeroed struct of arch->config.size: a copy is normalized, then defaults, bounds, check.
 * what: the file, for messages. */
int arch_configure(const arch *a, const json_t *config, void *out, const char *what, lithe_error *err);
/* The two halves of arch_configure, for callers that keep the JSON. */
int arch_normalize(const arch *a, json_t *config, const char *what, lithe_error *err);
int arch_read(const arch *a, const json_t *normalized, void *out, const char *what, lithe_error *err);
/* The reverse: writes every field's value, model_type and the keys of other programs into json, whose other keys stay.
 * Negative when memory runs out. */
int arch_publish(const arch *a, const void *config, json_t *json);

/* The supported family that is nearest to a model_type that is not, and why it is not; NULL: it is unknown. */
const char *arch_nearest(const char *type, const char **why);
/* Refuses a config.json whose architectures contradict its model_type, which a is of, or name no task. */
int arch_check_class(const arch *a, const json_t *config, const char *what, lithe_error *err);

/* Refuses a key of a normalized config.json that is not known and could change the results. */
int arch_check_keys(const arch *a, const json_t *normalized, const char *what, lithe_error *err);

bool arch_encoder(const arch *a, const void *config);
bool arch_reads_images(const arch *a);                          /* else it reads text */
image_shape arch_images(const arch *a, const void *config);     /* of a model that reads images; zero: it reads text */
int  arch_context(const arch *a, const void *config);
int  arch_vocab(const arch *a, const void *config);       /* vocab_size; 0: it reads no tokens */
int  arch_int(const arch *a, const void *config, const char *key);        /* an integer field; 0 where there is none */
task arch_task(const arch *a);          /* the architecture's own task: language modelling, or a class of sequences */
/* Reads the task from a config.json; a task that a does not have is refused. */
int  task_read(const arch *a, const json_t *config, task *out, const char *what, lithe_error *err);
/* The reverse: writes architectures, num_labels and problem_type.  Negative when memory runs out. */
int  task_publish(const arch *a, const task *t, json_t *config);
bool arch_is_class(const char *alias);  /* it is a class among the aliases, no model_type */
/* The class of the language models, or own task's, of a model_type (NULL: a's). */
const char *arch_class(const arch *a, const char *type);
/* Whether a class name ends as a task's does; length: of what comes before.  And the endings, for messages. */
bool task_stem(const char *class_name, size_t *length);
extern const char *const task_endings;
bool arch_head_tensor(const arch *a, const char *name);   /* whether it belongs to a head, and so has no prefix */
/* "language", "pretrain", "classify", "regress", "choice", "tokens", "span", "body" */
const char *task_name(const task *t);

/* Declares every parameter of the configuration in p (open).  t NULL: arch_task. */
int arch_declare(const arch *a, const void *config, const task *t, params *p, lithe_error *err);

/* What a graph computes: of language models loss (head rows, 1) and logits (head rows, vocab); of a class or number
 * for each sequence loss (seqs, 1) and logits (seqs, labels), the second pair of TASK_PRETRAIN; of tokens and spans
 * loss (tokens, 1) and logits (tokens, labels).  Losses are not yet scaled.  correct, beside the loss of a language
 * model that is scored: 1 where the target was the likeliest.  hidden (tokens, width): the last layer's. */
typedef struct { tensor *loss, *logits, *correct, *seq_loss, *seq_logits, *hidden; } results;
typedef enum { WANT_LOSS, WANT_LOGITS, WANT_HIDDEN } want;
/* Builds a's equations and the head of the task into g, without planning it. t NULL: arch_task. */
results arch_build(const arch *a, const void *config, const task *t, graph *g, want w);

#endif
