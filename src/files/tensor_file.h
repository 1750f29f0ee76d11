/* A file of named tensors, whatever its format: safetensors, PyTorch pickles, GGUF,
 * rwkv.cpp and llama2.c files.  The data stay in the mapped file; nothing is
 * converted here. */
#ifndef FILES_TENSOR_FILE_H
#define FILES_TENSOR_FILE_H

#include "base/arena.h"
#include "base/file.h"
#include "kernels/half.h"
#include <jansson.h>

typedef enum { DT_BOOL, DT_U8, DT_I8, DT_I16, DT_U16, DT_I32, DT_U32, DT_I64, DT_U64,
               DT_F16, DT_BF16, DT_F32, DT_F64, DT_OTHER,
               DT_Q4_0, DT_Q4_1, DT_Q5_0, DT_Q5_1, DT_Q8_0,                    /* ggml's blocks (kernels/blocks.h) */
               DT_Q2_K, DT_Q3_K, DT_Q4_K, DT_Q5_K, DT_Q6_K, DT_COUNT } dtype;

const char *dtype_name(dtype t);            /* safetensors' and ggml's spelling: "F32", "Q4_K" */
size_t      dtype_bytes(dtype t);           /* of an element; 0 in blocks, and for DT_OTHER, which can only be listed */
int         dtype_block(dtype t);           /* elements that are stored together; a row is whole blocks */
/* Of count elements; false: no whole blocks, too many, or DT_OTHER. */
bool        dtype_size(dtype t, size_t count, size_t *bytes);

enum { MAX_RANK = 8, MAX_SHARDS = 64 };

/* An order of elements other than that in memory: sizes and steps (in elements), with the last index changing
 * fastest.  The product of the sizes is that of the tensor.  rank 0: row-major order. */
typedef struct { int rank; int64_t dims[MAX_RANK], step[MAX_RANK]; } element_order;

/* A matrix whose columns lie one after the other. */
static inline bool is_transposed(const element_order *o) { return o->rank == 2 && o->step[0] == 1 && o->step[1] == o->dims[0]; }

typedef struct {
    const char *name;
    const char *stored;             /* the name in the file, if naming_apply gave it another; else NULL */
    const char *copy_of;            /* the parameter's name, when the file has another tensor for it already; or NULL */
    bool ignored;                   /* it is no parameter and may be present or absent */
    const struct naming_form *form; /* how it stores a parameter (naming.h); NULL: as we do */
    dtype type;
    const char *type_name;                     /* as the file spells it */
    int rank;
    int64_t dims[MAX_RANK];                    /* row-major, last contiguous */
    size_t count, bytes;                       /* elements; bytes in the file */
    const void *data;                          /* little-endian, may be unaligned */
    element_order order;                       /* of the elements in data */
    int exponent;                              /* its numbers are those of data times 2^exponent */
} file_tensor;

typedef struct tensor_file {
    const char *path;
    const char *format;                        /* "safetensors", "pytorch", "gguf", "rwkv.cpp", "llama2.c" */
    int count;
    file_tensor *tensors;                      /* in file order */
    const file_tensor **by_name;               /* the same, sorted by name: no name twice */
    json_t *metadata;                          /* string -> string, or NULL */
    json_t *config;                            /* the configuration in the file itself, or NULL */
    struct gguf_keys *keys;                    /* of GGUF, its keys and their values; else NULL */
    int rescale;                               /* layers after which RWKV-6's matrices are halved; 0: never */
    const struct naming *names;                /* the names before naming_apply_file; NULL: ours */
    mapping maps[MAX_SHARDS]; int map_count;   /* the mapped shards */
    arena memory;
} tensor_file;

/* Opens by content: safetensors (or an index.json naming shards), a PyTorch
 * zip pickle, GGUF, an rwkv.cpp or a llama2.c version 0 .bin.  Hostile input ends in one line. */
tensor_file *tensor_file_open(const char *path, lithe_error *err);
void         tensor_file_close(tensor_file *f);
int          tensor_file_intact(const tensor_file *f, lithe_error *err);       /* mapping_intact of all its shards */
const file_tensor *tensor_file_find(const tensor_file *f, const char *name);

/* The same from memory, which the caller owns and which must outlive the result.
 * name is used for the path in messages; an index, which names other files, is refused. */
tensor_file *tensor_file_parse(const void *data, size_t size, const char *name, lithe_error *err);

/* Elements first..first+n-1 (row-major order of dims) converted to float; F64 is rounded, integers are
 * converted; DT_OTHER and DT_BOOL are refused by returning false, and so is a range outside the tensor. */
bool file_tensor_floats(const file_tensor *t, size_t first, size_t n, float *out);
/* The same elements in their stored type, whole blocks; false also if they are a function of the stored numbers, or
 * their order does not keep blocks whole. */
bool file_tensor_elements(const file_tensor *t, size_t first, size_t n, void *out);
/* Whether data are the elements in row-major order, so that they can be used in place. */
bool file_tensor_as_is(const file_tensor *t);
/* The reverse of file_tensor_floats, into data, for F32, BF16 and F16; false if a finite number is out of range for
 * F16. */
bool file_tensor_put(const file_tensor *t, size_t first, size_t n, const float *in);

/* The reverse of file_tensor_elements in blocks, whole ones; false if their order does not keep blocks whole. */
bool file_tensor_put_blocks(const file_tensor *t, size_t first, size_t n, const void *in);

typedef struct { const char *name; dtype type; int rank; int64_t dims[MAX_RANK]; const void *data; } out_tensor;

/* A way to write one file of tensors, chosen by the ending of its name: under the names of a format (naming.h),
 * which has names for some architectures only, or under ours. */
typedef struct {
    const char *ending, *format, *architectures;                    /* format NULL: our names, for all architectures */
    /* The type of a stored tensor; DT_OTHER: the format does not have the wanted type. */
    dtype (*type)(const out_tensor *t, dtype asked);
    /* NULL: gguf_write, which takes keys too. */
    int (*write)(const char *path, const out_tensor *tensors, int count, lithe_error *err);
} tensor_writer;
/* Tells a person that `done` of `all` tensors of a file are written; fails when the writing is to end. */
int tell_writing(size_t done, size_t all, lithe_error *err);
const tensor_writer *tensor_writer_of(const char *path, lithe_error *err);

/* safetensors: tensors sorted by descending dtype alignment then name.  metadata: NULL for {"format":"pt"}. */
int safetensors_write(const char *path, const out_tensor *tensors, int count, const json_t *metadata, lithe_error *err);
/* The bytes of such a file, to be freed; name is used for the path in messages. */
char *safetensors_bytes(const char *name, const out_tensor *tensors, int count, const json_t *metadata, size_t *size, lithe_error *err);

/* A file for torch.load: an OrderedDict in the given order; F32, BF16 and F16. */
int pytorch_write(const char *path, const out_tensor *tensors, int count, lithe_error *err);


#endif
