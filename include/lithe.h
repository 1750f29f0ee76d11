/* lithe.h - train, grow, evaluate and run small language models.
 *
 *   tokenizer   text <-> token ids
 *   dataset     token ids on disk, read in batches
 *   model       an architecture, its configuration, its parameters
 *   trainer     a model being fitted to a dataset, in a run directory
 *   session     a model reading and continuing one sequence
 *
 * What x_open or x_new returns, x_close releases; closing NULL does nothing.
 * A call that can fail takes a lithe_error last (NULL if you do not care) and
 * returns NULL or a negative lithe_status.  The first failure sticks: given an
 * error that holds one, or a NULL handle, a call does nothing and fails, so a
 * chain is checked once, at its end.  Options are copied, and zero in any field
 * means its default.  A model outlives its trainers and sessions.  One handle
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

typedef struct lithe_tokenizer lithe_tokenizer;
typedef struct lithe_dataset   lithe_dataset;
typedef struct lithe_model     lithe_model;
typedef struct lithe_trainer   lithe_trainer;
typedef struct lithe_session   lithe_session;

/* ---- machine ------------------------------------------------------------- */

const char *lithe_version(void);

/* Number of threads every later call may use; 0 restores the default
 * (LITHE_NUM_THREADS, OMP_NUM_THREADS, affinity mask, cgroup quota). */
void lithe_threads(int n);

/* ---- text ---------------------------------------------------------------- */

/* path: a tokenizer.json; a folder holding one, or vocab.json + merges.txt
 * (also named encoder.json + vocab.bpe); a llama2.c tokenizer file; the word
 * "bytes" for the 256 bytes themselves. */
lithe_tokenizer *lithe_tokenizer_open(const char *path, lithe_error *err);
void             lithe_tokenizer_close(lithe_tokenizer *t);

/* A byte-level BPE vocabulary of exactly `vocab` tokens (256 bytes, merges,
 * <|endoftext|>) learned from text; the same bytes for the same text. */
lithe_tokenizer *lithe_tokenizer_train(const char *text, size_t len, int vocab, lithe_error *err);
int              lithe_tokenizer_save(const lithe_tokenizer *t, const char *path, lithe_error *err);  /* tokenizer.json */

int     lithe_tokenizer_vocab(const lithe_tokenizer *t);        /* largest id + 1 */
int32_t lithe_tokenizer_bos(const lithe_tokenizer *t);          /* -1 when there is none */
int32_t lithe_tokenizer_eos(const lithe_tokenizer *t);          /* end of text, also between documents; -1 when there is none */

/* Both return the full length of the result, like snprintf, and write at most
 * cap of it: call with cap 0 to measure.  Invalid UTF-8 is legal where the
 * vocabulary holds bytes and becomes U+FFFD elsewhere.  With special, the
 * begin/end tokens of the tokenizer's post-processor are added. */
size_t lithe_encode(const lithe_tokenizer *t, const char *text, size_t len, int special, int32_t *ids, size_t cap);
size_t lithe_decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, char *text, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
