/* lithe_tools.h - functions for tools, in addition to lithe.h: architectures and model sizes, learning vocabularies,
 * scoring, states of sessions, engines, encoders and classifiers, growing and its report, the tensors of files, plans,
 * the machine.  The conventions are those of lithe.h. */
#ifndef LITHE_TOOLS_H
#define LITHE_TOOLS_H

#include "lithe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors -------------------------------------------------------------- */

/* Fails when something went wrong on this thread that no call has reported, such as an allocation by a call that has
 * no err: what the thread made since its last error may be incomplete. */
int lithe_check_pending(lithe_error *err);

/* Models and datasets are read where their files are mapped.  When such a file is cut by others, reading it is a
 * SIGBUS, which ends the process.  From this call on, a handler of SIGBUS lets the reader go on instead, and the call
 * that reads fails with LITHE_EFORMAT and names the file; so it does anyway, without a handler, where a file was
 * overwritten.  A SIGBUS that came from elsewhere goes to the handler that was installed before. */
int lithe_guard_files(lithe_error *err);

/* ---- long work ----------------------------------------------------------- */

/* Whom this thread tells about work that may take long: reading and packing text, learning a vocabulary, checking the
 * hashes of files, scoring and classifying texts and images, quantizing, growing, comparing and writing models.  tell
 * receives what is being done ("learning a vocabulary") and `done` of `all` of it (all 0: nobody knows), up to some
 * thousand times a second; if it returns other than 0 the work ends with LITHE_ECANCELLED, and no file of it stays.
 * NULL: nobody. */
void lithe_on_progress(int (*tell)(void *context, const char *what, double done, double all), void *context);

/* ---- architectures ------------------------------------------------------- */

/* Names and one-line descriptions (with the paper) of the architectures; NULL after the last. */
const char *lithe_arch_name(int i);
const char *lithe_arch_summary(int i);
int         lithe_arch_images(const char *name);                /* 1: it reads images, not text */
const char *lithe_arch_usual(int images);                       /* the default architecture for text, or for images */
/* The architecture that this one extends (lithe_grow_options, `to`); NULL: none. */
const char *lithe_arch_over(const char *name);
const char *lithe_grow_method(int i);                           /* names of methods of growing; NULL after the last */
/* The kind of vocabulary to learn for it (lithe_tokenizer_learn): "wordpiece" or "roberta" for encoders, else "bpe". */
const char *lithe_arch_vocabulary(const char *name);
/* The same for a model; of a qwen2 or qwen3 it is "qwen2". */
const char *lithe_model_vocabulary(const lithe_model *m);

/* The default of a training option that depends on the architecture, for people to read ("lr": "0.001; mosaicbert:
 * 0.0005; ...", the usual value and the architectures whose value differs); empty if it does not depend on it. */
void        lithe_train_defaults(const char *option, char *text, size_t size);

/* What a new model of a text takes by default (docs/defaults.md): by the kind of the text, its bytes, and the machine's
 * speed, `rate` multiplications and additions a second in matrix products (lithe_peak).  sample is the beginning of the
 * text, bytes all of it; arch NULL chooses the architecture too, else the rest suits that one. */
typedef struct {
    const char *kind;          /* of the text: "words", "characters" (such as Chinese) or "code" */
    const char *arch;
    int    vocab;              /* tokens of a vocabulary to learn; 256: the bytes */
    double params;
    int    ctx, batch;
    double passes;             /* over the text, at most */
    double weight_decay;       /* for so many passes; 0: the architecture's */
    const char *dtype;         /* of the matrix products: "bf16" on a processor that has them (AMX), else "f32" */
} lithe_text_choice;
void        lithe_choose_for_text(const char *arch, const char *sample, size_t n, double bytes, double rate, lithe_text_choice *out);

/* The text of a config.json (malloc'd, free it) for a model of `arch` with `params` stored parameters within 5 %, a
 * vocabulary and a context. */
char        *lithe_model_size(const char *arch, double params, int vocab, int context, lithe_error *err);

/* The same for an architecture that reads images, for those of d: their size, channels and classes.  patch is in
 * pixels; 0 means by the size. */
char        *lithe_model_size_images(const char *arch, double params, const lithe_dataset *d, int patch, lithe_error *err);

/* The same body with a new head for "classify" (`labels` classes with these names), "regress" or, for an encoder,
 * "pretrain": masked tokens, whose head is kept, and the next sentence (names NULL, labels 0).  Other heads are
 * dropped. */
lithe_model *lithe_model_with_head(const lithe_model *m, const char *task, const char *const *names, int labels, uint64_t seed, lithe_error *err);

/* ---- tokenizers ---------------------------------------------------------- */

typedef struct {
    size_t size;               /* sizeof(lithe_tokenizer_options) */
    /* A vocab.txt is 1: uncased, without accents; -1: cased; 0: as its tokenizer_config.json says, else uncased. */
    int lowercase;
    const char *kind;  /* the vocabulary to learn: "bpe" (NULL), "qwen2", "roberta", "wordpiece" (1: uncased) */
} lithe_tokenizer_options;
lithe_tokenizer *lithe_tokenizer_open_with(const char *path, const lithe_tokenizer_options *o, lithe_error *err);

/* Writes a tokenizer.json; for an RWKV vocabulary or a .model, that file. */
int              lithe_tokenizer_save(const lithe_tokenizer *t, const char *path, lithe_error *err);

/* Learns a byte-level BPE vocabulary of exactly `vocab` tokens (256 bytes, merges, <|endoftext|>) from text; the same
 * text gives the same file. */
lithe_tokenizer *lithe_tokenizer_train(const char *text, size_t len, int vocab, lithe_error *err);
/* The same for another kind of vocabulary: byte-level BPE of words that Qwen2's pattern cuts, byte-level BPE with
 * RoBERTa's five special tokens first, or BERT's WordPiece with [PAD] [UNK] [CLS] [SEP] [MASK] first. */
lithe_tokenizer *lithe_tokenizer_learn(const char *text, size_t len, int vocab, const lithe_tokenizer_options *o, lithe_error *err);
const char      *lithe_tokenizer_file(const lithe_tokenizer *t);         /* the name of its file in a model directory */
char            *lithe_tokenizer_find(const char *dir); /* path (malloc'd) of the tokenizer in a folder, NULL: none */

/* The token of a role: "bos", "eos", "cls", "sep", "pad", "mask" or "unk"; -1 if there is none.  BERT's bos and eos
 * are its cls and sep, RoBERTa's the reverse. */
int32_t lithe_tokenizer_special(const lithe_tokenizer *t, const char *role);
/* It has no text of its own and is never masked or drawn. */
int     lithe_tokenizer_is_special(const lithe_tokenizer *t, int32_t id);
/* Whether id continues the word of the token before it: in WordPiece with ##, else by not beginning with white
 * space. */
int     lithe_tokenizer_continues(const lithe_tokenizer *t, int32_t id);

/* Where in a text a token was found, as bytes text[begin .. end) that are whole characters, and in which of the words
 * that the tokenizer cuts texts into, from 0.  They may be none (a token for a space that was added), and overlap. */
typedef struct { size_t begin, end; int32_t word; } lithe_span;
/* lithe_encode without special tokens, that also gives the place of each token: as Hugging Face's tokenizers do. */
size_t lithe_encode_spans(const lithe_tokenizer *t, const char *text, size_t len, int32_t *ids, lithe_span *spans, size_t cap);

/* Encodes one text (b NULL) or a pair with the special tokens around them, such as [CLS] a [SEP] b [SEP].  types (or
 * NULL) receives 0 for the ids of the first text, and 1 for the second if the tokenizer distinguishes them.  Texts are
 * truncated at their ends to `limit` ids in all (0: no limit), the longer one first, like Hugging Face's
 * "longest_first". */
size_t lithe_encode_pair(const lithe_tokenizer *t, const char *a, size_t a_len, const char *b, size_t b_len, size_t limit,
                         int32_t *ids, int32_t *types, size_t cap);
/* The template by which a conversation becomes a text, in Jinja, as the model's files have it; NULL: they have none. */
const char *lithe_tokenizer_chat_template(const lithe_tokenizer *t);
/* The same for texts that are ids already. */
size_t lithe_join(const lithe_tokenizer *t, const int32_t *a, size_t a_n, const int32_t *b, size_t b_n, size_t limit,
                  int32_t *ids, int32_t *types, size_t cap);

/* ---- chat templates ------------------------------------------------------ */

/* A template writes a conversation as the text that a model was trained on (docs/chat.md).  It is opened once, knows
 * the special tokens of t, does not need t any more, and is rendered by any number of threads. */
typedef struct lithe_template lithe_template;

/* source is the name of one of the model's own templates, of a built-in one (lithe_template_name), or a file with a
 * template (.jinja, or .json with chat_template in it).  NULL: the model's own; without one, "world" for an RWKV
 * vocabulary, else "plain".  What a template asks for and this library does not know is LITHE_EFORMAT, by its line. */
lithe_template *lithe_template_open(const lithe_tokenizer *t, const char *source, lithe_error *err);
/* The same from the text of a template; `name` stands in messages. */
lithe_template *lithe_template_parse(const lithe_tokenizer *t, const char *text, size_t n, const char *name, lithe_error *err);
void            lithe_template_close(lithe_template *p);
const char     *lithe_template_text(const lithe_template *p);              /* in Jinja; borrowed */
const char     *lithe_template_name(int i);                                /* the built-in ones; NULL after the last */

typedef struct {
    size_t size;               /* sizeof(lithe_template_options) */
    const char *tools;         /* a JSON list of functions that the model may call; NULL: none */
    const char *variables;     /* a JSON object of further variables, e.g. {"enable_thinking": false}; NULL: none */
    int no_reply;              /* 1: the text ends after the last message; 0: with the start of the assistant's reply */
    int64_t now;               /* seconds since 1970, for templates that write the date; 0: the present */
} lithe_template_options;

/* A rendered conversation: a text of n bytes, ended by NUL.  user[i] is 1 where byte i was written by a user (it comes
 * from the messages, tools or variables), reply[i] where a template says that an assistant writes it
 * ({% generation %}); either is NULL if no byte has it. */
typedef struct { char *text; unsigned char *user, *reply; size_t n; } lithe_rendered;

/* Renders messages, a JSON list such as [{"role": "user", "content": "Hi"}] of `bytes` bytes, into *out, for
 * lithe_rendered_free.  Messages may have further keys, which templates read (tool_calls, reasoning_content); a content
 * may be a list of {"type": "text", "text": ...}.  LITHE_EINVAL if the template raises an exception, meets what it
 * cannot use, or exceeds its bounds in time (of the order of a second), memory or depth. */
int  lithe_template_render(const lithe_template *p, const char *messages, size_t bytes, const lithe_template_options *o,
                           lithe_rendered *out, lithe_error *err);
void lithe_rendered_free(lithe_rendered *r);
/* The ids of a rendered conversation, as lithe_encode gives them, except that bytes of users never become a special
 * token, and no special tokens are added: the template has written them. */
size_t lithe_encode_rendered(const lithe_tokenizer *t, const lithe_rendered *r, int32_t *ids, size_t cap);
/* What the template writes after a reply: the special token there (-1: none), else *text, to be used as a stop string
 * (NULL: nothing; borrowed). */
int32_t lithe_template_end(const lithe_template *p, const char **text);

/* ---- data ---------------------------------------------------------------- */

size_t         lithe_dataset_tokens(const lithe_dataset *d, int valid);
size_t         lithe_dataset_bytes(const lithe_dataset *d, int valid);   /* bytes of the original text; 0 for a table */
size_t         lithe_dataset_examples(const lithe_dataset *d, int valid);  /* rows of a table; 0 for text */
int            lithe_dataset_labels(const lithe_dataset *d);         /* number of classes; 0 for text and for numbers */
const char    *lithe_dataset_label(const lithe_dataset *d, int i);         /* borrowed; NULL after the last */
size_t         lithe_dataset_label_examples(const lithe_dataset *d, int i);  /* examples of class i to learn from */
/* For a person to read, borrowed: which columns of a table were chosen (NULL: it is no table), and which files of a
 * set of images were left out (NULL: none). */
const char    *lithe_dataset_columns(const lithe_dataset *d);
const char    *lithe_dataset_left_out(const lithe_dataset *d);
int            lithe_dataset_pairs(const lithe_dataset *d);                /* whether its examples are pairs of texts */
/* What a run on it usually takes where its options are 0: windows or examples in a step, and passes over the data. */
int            lithe_dataset_batch(const lithe_dataset *d);
double         lithe_dataset_epochs(const lithe_dataset *d);
/* Returns 1 for images, and gives their side and channels; 0 for other data.  Either pointer may be NULL. */
int            lithe_dataset_images(const lithe_dataset *d, int *side, int *channels);
/* Whether a path looks like labelled images, by its name or by the files in the directory. */
int            lithe_images_known(const char *path);
/* Tokens of the longest example of a table, with special tokens; 0 for text. */
int            lithe_dataset_longest(const lithe_dataset *d);

/* The rows of a table to classify, whose columns are those of o, or are found as in training; a label is not needed. */
typedef struct lithe_table lithe_table;
typedef struct { const char *text, *pair, *label; } lithe_table_row;      /* borrowed; pair and label NULL: none */
lithe_table    *lithe_table_open(const char *path, const lithe_data_options *o, lithe_error *err);
size_t          lithe_table_count(const lithe_table *t);
lithe_table_row lithe_table_row_at(const lithe_table *t, size_t i);        /* all NULL past the end */
const char     *lithe_table_columns(const lithe_table *t);                 /* which columns were chosen; borrowed */
void            lithe_table_close(lithe_table *t);

/* The documents of such sources, joined by empty lines until they reach limit bytes, the last one cut at a line: the
 * text from which a tokenizer is learned.  It is malloc'd and ends with NUL; standard input can be read again by
 * lithe_dataset_open. */
char *lithe_text_read(const char *const *paths, int n, size_t limit, size_t *len, lithe_error *err);
/* Of one file, or of standard input (-), whatever its name, unpacked; what is no text is refused.  All of it; or its
 * rows: lines, empty ones too, or of .jsonl the `text` of each object, *n texts one after the other, each ended by NUL.
 * They are malloc'd and end with NUL. */
char *lithe_text_file(const char *path, size_t *len, lithe_error *err);
char *lithe_text_rows(const char *path, size_t *n, lithe_error *err);

/* ---- models and files ---------------------------------------------------- */

/* Whether each id of the tokenizer is in the model's vocabulary; LITHE_ECONFIG, with both numbers, if not.  Training,
 * generating, classifying, embedding, filling in and saving ask this too. */
int          lithe_model_fits(const lithe_model *m, const lithe_tokenizer *t, lithe_error *err);

/* What the model predicts: "language" (next or masked tokens), "pretrain" (masked tokens and the next sentence),
 * "classify" and "regress" (for each sequence), "choice" (a score of a text and a choice), "tokens" (a class for each
 * token), "span" (question answering), "body" (hidden states only). */
const char  *lithe_model_task(const lithe_model *m);
int          lithe_model_encoder(const lithe_model *m);         /* 1: it is bidirectional and predicts masked tokens */
/* Number of classes for "classify" and "tokens", 1 for "regress", else 0. */
int          lithe_model_labels(const lithe_model *m);
const char  *lithe_model_label(const lithe_model *m, int i);    /* name of a class, NULL if it has none; borrowed */

/* Returns 1 for a model that reads images, and gives their size; 0 for one that reads text.  Pointers may be NULL. */
int          lithe_model_images(const lithe_model *m, int *side, int *patch, int *channels);
/* The filter with which images are resized for it; NULL for text. */
const char  *lithe_model_image_filter(const lithe_model *m);
/* The side to which images are resized before their middle is cut out, with *shortest their shorter side; 0: nothing is
 * cut off. */
int          lithe_model_image_resize(const lithe_model *m, int *shortest);

/* Quantizes an opened model in memory: its matrices go to blocks of integers with common scales, in one of ggml's
 * types, "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_K", "q4_K_M", "q5_K" or "q6_K"; norms, biases, positions, low-rank
 * branches and small tables stay as they are (docs/quantized.md). */
typedef struct {
    size_t size;               /* sizeof(lithe_quantize_options) */
    const char *vocabulary;    /* type of embedding and head; "keep": as they are; NULL: q8_0 for q8_0, else q6_K */
} lithe_quantize_options;
typedef struct {
    size_t bytes_before, bytes_after;          /* of all parameters */
    int quantized, in_other_types, kept;       /* parameters in blocks; of these, in another type; others */
} lithe_quantized;
int          lithe_model_quantize(lithe_model *m, const char *type, const lithe_quantize_options *o, lithe_quantized *report, lithe_error *err);

/* Writes the parameters to one new file, under the authors' names: PATH.pth like torch.save, PATH.safetensors, or, for
 * RWKV only, PATH.bin for rwkv.cpp.  RWKV opens from each of them without a config.json.  PATH.gguf holds the
 * configuration too, and opens by itself; t (or NULL) is the tokenizer that it gets.  dtype is f32 (NULL), bf16, f16 or
 * "stored": each as m has it, blocks as they are. */
int          lithe_model_export_with(const lithe_model *m, const char *path, const char *dtype, const lithe_tokenizer *t, lithe_error *err);
/* The same without a tokenizer. */
int          lithe_model_export(const lithe_model *m, const char *path, const char *dtype, lithe_error *err);

/* Writes `logits` [n, vocab] (F32) as a safetensors file. */
int lithe_logits_save(lithe_model *m, const int32_t *ids, size_t n, const char *path, lithe_error *err);

/* The tensors of any model file or directory, whether its architecture is known or not. */
typedef struct { const char *name, *dtype; int rank; int64_t dims[8]; size_t bytes; const char *file; } lithe_tensor_info;
typedef struct lithe_listing lithe_listing;
lithe_listing           *lithe_listing_open(const char *path, lithe_error *err);
size_t                   lithe_listing_count(const lithe_listing *l);
const lithe_tensor_info *lithe_listing_tensor(const lithe_listing *l, size_t i);      /* borrowed; NULL past the end */
/* "safetensors", "pytorch", "gguf", "rwkv.cpp", "llama2.c" */
const char              *lithe_listing_format(const lithe_listing *l);
const char              *lithe_listing_arch(const lithe_listing *l);                  /* NULL when not known */
/* What the file says about itself beside its tensors, in the order of the keys: the i-th, with its type ("string",
 * "u32", "array of f32") and its value as JSON, or NULL where it is an array of more than 64 elements or has no form in
 * JSON.  count: elements of an array, else 1.  Returns 1, or 0 past the last. */
typedef struct { const char *key, *type, *value; size_t count; } lithe_key_info;
int                      lithe_listing_key(lithe_listing *l, size_t i, lithe_key_info *out);
/* The number of NaN or infinite values in tensor i; negative if its type cannot be read as numbers. */
long long                lithe_listing_bad_values(const lithe_listing *l, size_t i);
void                     lithe_listing_close(lithe_listing *l);

/* The parameters of an open model, under the names of its published checkpoints: the i-th in the order of names, or by
 * name.  dtype is how its values are stored ("f32", "f16", "bf16", "q8_0", ...), bytes what they take; file is NULL.
 * Returns 1, or 0 if there is no such parameter. */
int lithe_model_parameter(const lithe_model *m, size_t i, lithe_tensor_info *out);
int lithe_model_parameter_named(const lithe_model *m, const char *name, lithe_tensor_info *out);
/* n of its values from number `first` on, in row-major order, as floats however they are stored. */
int lithe_model_values(const lithe_model *m, const char *name, size_t first, size_t n, float *out, lithe_error *err);
/* Fails with LITHE_EFORMAT, and names the first one in the order of names, if a value of m is NaN or infinite. */
int lithe_model_finite(const lithe_model *m, lithe_error *err);
/* Which checkpoint of the RUN that was opened has a validation loss so low that the newest one's, which is used, is 1 %
 * above it; NULL if none has; borrowed. */
const char *lithe_model_better(const lithe_model *m);
/* Fails with LITHE_EFORMAT if a file that m is read from was cut or overwritten since it was opened: results would be
 * of another model.  Whatever computes with m asks this by itself. */
int lithe_model_intact(const lithe_model *m, lithe_error *err);

/* ---- growing ------------------------------------------------------------- */

/* A larger model that starts from what m has learned. */
typedef struct {
    size_t size;               /* sizeof(lithe_grow_options) */
    double params;             /* wanted number of stored parameters; or 0 with: */
    double factor;             /* a multiple of the present number; or 0 with: */
    const char *set;           /* "qkv_slot_num=96,ffn_slot_num=384": keys of config.json */
    /* An architecture that extends m's (lithe_arch_over), or "hybrid" or "hybrid_vit", which have names for the parts
     * of many; with the same sizes.  set: keys of what is added. */
    const char *to;
    /* For slots "A".."F" (NULL: C, or what the form of Pattention allows); for other sizes "duplicate" (NULL), "clone",
     * "corner", "stack", "interpolate", "aki" */
    const char *method;
    int   portable;     /* choose a method whose result opens in any reader of the published format (scale sqrt(n)) */
    float noise;        /* repeat heads and inner units with this relative noise on incoming weights (clone); 0: none */
    uint64_t seed;
    /* Keep the old values fixed in later training; of a growth by slots alone, the old slots. */
    int   freeze_old;
    float old_lr;              /* learning-rate factor of the same values; 0 means 1 */
    int   rewarm;              /* the learning rate of new values rises over so many updates; 0: at once */
    const char *where;         /* where new layers go: "top" (NULL), "bottom", "spread" */
    /* Instead of a size: a tokenizer that extends m's own.  A new token begins as the mean of the tokens that m's own
     * splits its text into, in the embedding and in the head; the logits of old ids do not change. */
    const lithe_tokenizer *vocabulary, *tokenizer;      /* tokenizer: m's own */
} lithe_grow_options;

typedef struct lithe_growth {
    char method[32];
    int  preserves;            /* 1: outputs are preserved (up to rounding); 0: not, for the reason in `says` */
    char says[256];            /* when and what is preserved */
    char symmetry[256];        /* whether copies part in training ("broken: ..."), and by what */
    char moves[512];           /* what was changed: "ffn_slot_num 256 -> 512; ..." */
    size_t params_before, params_after;
    double max_logit, max_difference, divergence;      /* filled by lithe_compare */
    double same_top;                                   /* the same: the share of rows whose largest outputs are one */
    double rms_before, rms_after;                      /* the same: root mean square of what leaves the last layer */
} lithe_growth;

/* The grown model that o describes; report (or NULL) says how it was grown and what is preserved. */
lithe_model *lithe_model_grow(const lithe_model *m, const lithe_grow_options *o, lithe_growth *report, lithe_error *err);

/* lithe_model_save of `large`, which lithe_model_grow made of m under o.  AdamW's moments beside m, if m is of a run,
 * are mapped as the parameters were and saved as dir/optimizer.safetensors, where a run that begins from dir
 * with moments "carry" finds them; those of new entries are zero.  t: the tokenizer of large. */
int lithe_grow_save(const lithe_model *m, const lithe_grow_options *o, const lithe_model *large, const char *dir,
                    const char *dtype, const lithe_tokenizer *t, lithe_error *err);

/* Measures the largest |logit| of a and the largest |logit difference| between a and b over ids, and the mean over the
 * rows of the Kullback-Leibler divergence of b's probabilities from a's (in nats), and the share of rows where the
 * same one is largest (both NaN if there are no probabilities).
 * The logits are those of the task: tokens, classes, spans, a number; without a head they are hidden states.  Image
 * models are compared on noise, and ids may be NULL.  If b has more tokens, those of a are compared. */
int lithe_compare(lithe_model *a, lithe_model *b, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err);

/* Whether max_difference, of lithe_compare, keeps what the method says: outputs that are preserved differ by rounding
 * at most, 1e-4 of the largest. */
int lithe_growth_kept(const lithe_growth *report);

/* ---- a run once more ------------------------------------------------------ */

/* Opens the newest complete checkpoint of a run before a step, to go through that step again: the events of
 * lithe_trainer_next are those of the run, bit for bit, and nothing is written. */
lithe_trainer *lithe_trainer_replay(const char *run, int step, lithe_error *err);
int lithe_trainer_pairs(const lithe_trainer *t);            /* whether its examples are pairs of texts */

/* ---- many processes --------------------------------------------------------- */

/* Ranks are the processes of one mpirun that train one run together, on machines that see the same files.  Rank 0 calls
 * lithe_trainer_open or lithe_trainer_resume with the ranks in its options, and every other one lithe_trainer_join;
 * then all of them call lithe_trainer_next, which does the same event in all.  Rank 0 writes the run. */

/* The number of processes that mpirun started, 0 without it; *rank (or NULL) receives this one's number. */
int          lithe_ranks_launched(int *rank);
/* Connects the processes.  LITHE_EDEVICE if liblithe_mpi.so is not beside the library, as where MPI is absent. */
lithe_ranks *lithe_ranks_open(lithe_error *err);
void         lithe_ranks_close(lithe_ranks *r);
void         lithe_ranks_abort(lithe_ranks *r, int code);      /* ends all processes; mpirun exits with the code */
int          lithe_ranks_rank(const lithe_ranks *r);
int          lithe_ranks_count(const lithe_ranks *r);
int          lithe_ranks_local(const lithe_ranks *r);          /* how many of them are on this machine */
const char  *lithe_ranks_host(const lithe_ranks *r, int rank);         /* the name of that rank's machine */
/* Whether training failed in all of them at the same step and for the same reason, which rank 0's error says. */
int          lithe_ranks_failed_alike(const lithe_ranks *r);
/* Whether any of the ranks says yes; all of them must ask. */
int          lithe_ranks_any(lithe_ranks *r, int yes, lithe_error *err);
/* all[i], one for each rank, receives what rank i gives; all of them must ask. */
int          lithe_ranks_each(lithe_ranks *r, double x, double *all, lithe_error *err);
/* Fails in rank 0 if the text of another rank differs: texts are lines such as "seed 7", and the error names the rank
 * and the first line that differs.  All of them must ask. */
int          lithe_ranks_agree(lithe_ranks *r, const char *text, lithe_error *err);

/* Who encodes the texts of a corpus: n of them, one after the other, as lithe_encode would without special tokens; *ids
 * is malloc'd and holds counts[i] ids of each.  It is given enough texts at a time for so many processes. */
typedef struct lithe_encoder {
    int (*encode)(void *context, const lithe_tokenizer *t, const char *text, const size_t *sizes, int n, int32_t **ids, size_t *counts, lithe_error *err);
    void *context;
    int processes;
} lithe_encoder;
/* All ranks together: for lithe_dataset_open in rank 0, while the others wait in lithe_trainer_join. */
lithe_encoder  lithe_ranks_encoder(lithe_ranks *r);

/* Waits until rank 0 has opened or resumed a run, and takes part in it.  Fails in rank 0 if version, kernels, data,
 * settings or weights are not the same everywhere. */
lithe_trainer *lithe_trainer_join(lithe_ranks *r, lithe_error *err);

/* ---- inference ----------------------------------------------------------- */

/* One pass over n ids (n <= context); out receives n rows of vocab logits. */
int lithe_logits(lithe_model *m, const int32_t *ids, size_t n, float *out, lithe_error *err);

/* The negative log-likelihood in nats of ids[1..n-1], each given the tokens before it in windows of `ctx` tokens (0:
 * the model's context) that advance by `stride` (0: ctx); each token is scored once, in the first window that has it.
 * nll receives (n-1) values, or is NULL; *total receives the sum. */
int lithe_engine_score(lithe_engine *e, const int32_t *ids, size_t n, int ctx, int stride, float *nll, double *total, lithe_error *err);
int lithe_score(lithe_model *m, const int32_t *ids, size_t n, int ctx, int stride, float *nll, double *total, lithe_error *err);

/* Lays the sampling that generation_config.json beside m asks for over *o, as transformers would: its temperature,
 * top_k, top_p, min_p where do_sample is true, greedy where it is false, and its repetition_penalty.  Returns 1 if it
 * says how to choose, 0 if it does not or there is none.  A setting that cannot be honoured is LITHE_ECONFIG. */
int            lithe_sampling_read(const lithe_model *m, lithe_sampling *o, lithe_error *err);

/* lithe_session_open with options. */
typedef struct {
    size_t size;               /* sizeof(lithe_session_options) */
    int context;               /* as in lithe_session_open */
    const char *cache_type;    /* how keys and values are kept: "f32", "f16" or "q8_0" (in blocks of 32, so heads are
                                * whole blocks); NULL: as f16 if most of the model is stored in 16 bits or fewer.
                                * Recurrent states are always f32. */
} lithe_session_options;
lithe_session *lithe_session_open_with(lithe_model *m, const lithe_session_options *o, lithe_error *err);

/* Keeps a copy of the present recurrent state for later syncs, in place of the previous copy; other models need
 * none. */
int            lithe_session_mark(lithe_session *s, lithe_error *err);

/* Save the state of a session to a file (docs/state-file.md), and load it into a session of the same model, which then
 * continues bit for bit as the first one would have.  t may be NULL; if it is given both times, it must be the same
 * tokenizer.  A file that does not fit is refused, and the session stays as it was.  Loading also takes tuned initial
 * states of RWKV (blocks.N.att.time_state): the session is then at the beginning of a text, and starts from these
 * states whenever it restarts. */
int            lithe_session_save(const lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err);
int            lithe_session_load(lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err);

/* ---- many sequences at once ------------------------------------------------ */

/* 1: the model keeps recurrent states only, so it reads texts of any length in constant memory. */
int           lithe_model_recurrent(const lithe_model *m);

/* An engine has `slots` sequences, numbered from 0, each empty at first and of its own length.  The results of a
 * sequence do not depend on the others, bit for bit.  After opening, a step allocates nothing. */
typedef struct {
    size_t size;               /* sizeof(lithe_engine_options) */
    int slots;                 /* 1 */
    int context;               /* number of ids that each slot can hold, as in lithe_session_open */
    const char *cache_type;    /* as in lithe_session_options */
    int scores;                /* 1: steps can score the ids that they read; each slot then keeps a row of logits */
    int whole;                 /* 1: it has no slots, for any model: it embeds, classifies and scores whole texts */
    int timed;                 /* 1: it measures the time of operations (lithe_engine_profile) */
} lithe_engine_options;
lithe_engine *lithe_engine_open(lithe_model *m, const lithe_engine_options *o, lithe_error *err);
void          lithe_engine_close(lithe_engine *e);
int           lithe_engine_slots(const lithe_engine *e);
int           lithe_engine_context(const lithe_engine *e);                  /* 0: any number */
size_t        lithe_engine_length(const lithe_engine *e, int slot);         /* ids that the slot has read */
size_t        lithe_engine_bytes(const lithe_engine *e);    /* memory of its slots and their passes, beside the model */

/* The ids that one slot reads in a step: n ids (n 0: none).  The logits after each of the last `wanted` of them,
 * (wanted, vocab), are written to `logits`, which is the caller's memory. */
typedef struct {
    int slot;
    const int32_t *ids; size_t n;
    float *logits; size_t wanted;
    /* (n), or NULL: minus the log-probability of each id, in nats, given all ids of the slot before it, those of
     * earlier steps too; 0 for the first id of a slot.  For engines with `scores`. */
    float *nll;
} lithe_engine_input;
/* Reads all inputs, each for another slot, as one ragged batch (in parts if they are long).  All of them are checked
 * before any is read: an id outside the vocabulary or a slot twice is LITHE_EINVAL, a context that is too small
 * LITHE_EFULL. */
int           lithe_engine_step(lithe_engine *e, const lithe_engine_input *inputs, size_t count, lithe_error *err);
void          lithe_engine_clear(lithe_engine *e, int slot);                /* empties the slot */
/* Slot `to` becomes a copy of `from`. */
int           lithe_engine_fork(lithe_engine *e, int from, int to, lithe_error *err);

/* The time that an engine opened with `timed` has spent in one kind of operation, and how often it ran it: kind i, the
 * slowest first.  Returns 1, or 0 past the last. */
typedef struct { const char *op; double seconds; size_t runs; } lithe_op_time;
int           lithe_engine_profile(const lithe_engine *e, size_t i, lithe_op_time *out);

/* ---- many texts --------------------------------------------------------------- */

/* A prompt to continue, as lithe_generate would (`how` NULL: greedily, until something else ends it). */
typedef struct { const int32_t *ids; size_t n; const lithe_generation *how; } lithe_continuation;
/* A piece of the text number `index`, as lithe_generate gives it.  The last one of a text has its reason and the number
 * of tokens that were written, and may be empty; before it, reason is NULL. */
typedef struct { size_t index; const char *text; size_t n; const char *reason; size_t tokens; } lithe_piece;
/* Continues `count` prompts, as many together as the engine has slots, which are emptied; a text that ends is replaced
 * by the next prompt at once.  Each text is, bit for bit, the one that its prompt gets alone in a session of the same
 * context and cache type, with the same options.  What all prompts begin with is read once.  Pieces of different texts
 * come as they are written; a non-zero return of give ends the call. */
int lithe_generate_batch(lithe_engine *e, const lithe_tokenizer *t, const lithe_continuation *texts, size_t count,
                         int (*give)(void *context, const lithe_piece *piece), void *context, lithe_error *err);

/* A file of prompts has a JSON object on each line: `prompt`, and if wanted max_tokens, temperature, top_k, top_p,
 * min_p, repeat_penalty, seed, stop (a string or an array of them) and ignore_eos, in place of those of `usual`
 * (NULL: zeros); id and metadata are the caller's.  Another key, or a value that does not fit, is LITHE_EFORMAT with
 * `name` and the line.  usual and its arrays are borrowed as long as the prompts are. */
typedef struct {
    const char *text; size_t size;         /* the prompt */
    const char *id;                        /* as JSON; NULL: it has none */
    lithe_generation how;
    size_t line;
} lithe_prompt;
typedef struct lithe_prompts lithe_prompts;
lithe_prompts      *lithe_prompts_read(const char *text, size_t size, const char *name, const lithe_generation *usual, lithe_error *err);
size_t              lithe_prompts_count(const lithe_prompts *p);
const lithe_prompt *lithe_prompts_at(const lithe_prompts *p, size_t i);        /* borrowed; NULL past the end */
void                lithe_prompts_close(lithe_prompts *p);

/* ---- encoders and classifiers ---------------------------------------------- */

/* Texts longer than the model's context are truncated; *cut (or NULL) receives their number.  Each of these functions
 * reads with an engine, which a caller keeps who reads texts as they come: it is prepared once.  The one without an
 * engine opens one for its call, and gives the same results. */

/* out receives (n, labels) probabilities for "classify", or (n) numbers for "regress", of n texts, or of pairs where
 * pairs and its entry are not NULL.  Returns the number of values for a text. */
int lithe_engine_classify(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                          float *out, size_t *cut, lithe_error *err);
int lithe_classify(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                   float *out, size_t *cut, lithe_error *err);

/* The likeliest class of each token of a text, special tokens left out ("tokens").  out receives up to cap of them;
 * returns the number of all.  The token is text[begin .. end). */
typedef struct { int32_t id; int label; float probability; size_t begin, end; } lithe_token_class;
int lithe_classify_tokens(lithe_model *m, const lithe_tokenizer *t, const char *text, lithe_token_class *out, size_t cap, lithe_error *err);

/* The likeliest answer in a passage ("span"), passage[begin .. end): whole words of at most 15 tokens, with the sum of
 * the probabilities of the likeliest tokens that make it up, as Hugging Face's question-answering pipeline has it. */
typedef struct { size_t begin, end; float probability; } lithe_found;
int lithe_answer(lithe_model *m, const lithe_tokenizer *t, const char *question, const char *passage, lithe_found *answer, lithe_error *err);

/* out receives (n, width) vectors of n texts.  Returns the width; out NULL only asks for it. */
typedef struct {
    size_t size;               /* sizeof(lithe_embedding) */
    /* Over the tokens of the last layer: "mean", "cls" (the first token), "last", "max", "mean_sqrt_len_tokens" (the
     * sum by the root of their number), "weightedmean" (by 1, 2, 3 ...), or several with commas, side by side; "" is
     * "mean". */
    char pooling[80];
    int normalize;             /* scale vectors to length 1 */
    int max_length;            /* in tokens; 0: the model's context */
    int lowercase;             /* texts are read in lower case, whatever the tokenizer does */
    char prompt[256];          /* read before each text; "" for none */
} lithe_embedding;
/* The embedding options that the files beside m give: those of sentence-transformers, else the mean, or for a causal
 * model the last token; max_length is at most the tokenizer's model_max_length.  A setting that cannot be honoured is
 * LITHE_ECONFIG.  lithe_embed uses these for o NULL. */
int lithe_embedding_read(const lithe_model *m, lithe_embedding *o, lithe_error *err);
int lithe_engine_embed(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o,
                       float *out, size_t *cut, lithe_error *err);
int lithe_embed(lithe_model *m, const lithe_tokenizer *t, const char *const *texts, size_t n, const lithe_embedding *o,
                float *out, size_t *cut, lithe_error *err);
/* The same of texts that are ids already: text i is ids[start[i]..start[i+1]-1], without special tokens, which are
 * added, and without the prompt. */
int lithe_engine_embed_ids(lithe_engine *e, const lithe_tokenizer *t, const int32_t *ids, const size_t *start, size_t n,
                           const lithe_embedding *o, float *out, size_t *cut, lithe_error *err);

/* out receives the `top` likeliest tokens at each mask token of the text, likeliest first: (masks, top), with id -1
 * after the end of the vocabulary.  Returns the number of masks; out NULL only asks for it. */
typedef struct { int32_t id; float probability; } lithe_candidate;
int lithe_engine_fill(lithe_engine *e, const lithe_tokenizer *t, const char *text, int top, lithe_candidate *out, lithe_error *err);
int lithe_fill(lithe_model *m, const lithe_tokenizer *t, const char *text, int top, lithe_candidate *out, lithe_error *err);

/* out receives (n, labels) probabilities for n images in PNG or JPEG files.  Returns the number of values for an
 * image. */
int lithe_classify_images(lithe_model *m, const char *const *paths, size_t n, float *out, lithe_error *err);

/* Images, folders of them, archives and lists (docs/image-shards.md): what training reads, in the same order, with or
 * without classes.  The name of an image and what was left out (NULL: nothing) are borrowed. */
typedef struct lithe_image_set lithe_image_set;
lithe_image_set *lithe_image_set_open(const char *const *paths, int n, lithe_error *err);
void             lithe_image_set_close(lithe_image_set *s);
size_t           lithe_image_set_count(const lithe_image_set *s);
const char      *lithe_image_set_name(const lithe_image_set *s, size_t i);
const char      *lithe_image_set_left_out(lithe_image_set *s, lithe_error *err);
/* lithe_classify_images of n images of the set, from number `first` on. */
int              lithe_classify_image_set(lithe_model *m, const lithe_image_set *s, size_t first, size_t n, float *out, lithe_error *err);

/* ---- plans and machines -------------------------------------------------- */

typedef struct {
    size_t size;               /* sizeof(lithe_plan_options) */
    int batch, ctx;            /* windows in a step: 8; tokens in a window: the model's context, at most 1024 */
    int recompute;             /* as in lithe_train_options */
    const char *dtype;         /* "f32", "bf16"; f32 */
    int ops;                   /* with a line for each op: step, op, shape, offset, bytes, flops */
    int json;
    int ranks;                 /* machines like this one that train together; 1 */
    int parallel;              /* texts that are written together; 1 */
    const char *optimizer;     /* "adamw", "decoupled-adamw", "muon": its memory, and what muon computes; adamw */
} lithe_plan_options;
/* The plan of a configuration as text (malloc'd): the memory that training, scoring and decoding need and their
 * operations; for several ranks the memory of each, and the time of a step by the model of docs/scaling.md, for which
 * this machine's peak is measured.  config is a config.json or a MODEL, whose parameters count as its files store
 * them where nothing trains. */
char *lithe_plan(const char *config, const lithe_plan_options *o, lithe_error *err);

/* The machine as text (malloc'd): CPU, levels of kernels, threads, memory, libraries, absent optional parts. */
char *lithe_doctor(int json);

/* Seconds since some moment: those of this process's own time where it has one thread, else of the clock. */
double lithe_clock(void);

/* The matrix-product rate of this machine in FLOP/s, for fp32 or bf16 and all threads, measured in about 0.1 s the
 * first time; 0 when there is no memory to measure it. */
double lithe_peak(const char *dtype);

/* The rate in bytes/s at which all threads read the weights of m from memory, and do nothing else; measured anew. */
double lithe_read_rate(const lithe_model *m);

/* What a pass over `rows` tokens of `seqs` sequences takes: the bytes of the weights that it multiplies by, as they are
 * stored, and floating-point operations. */
typedef struct { double bytes, flops; } lithe_work;
int lithe_pass_work(const lithe_model *m, int rows, int seqs, lithe_work *out, lithe_error *err);

#ifdef __cplusplus
}
#endif
#endif
