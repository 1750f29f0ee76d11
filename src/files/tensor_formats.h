/* Between tensor_file.c and the files that know one format each.  A parser
 * appends the tensors of one shard to f; data must outlive f, and what names
 * the shard in messages.  Names that are accepted are UTF-8 without control bytes. */
#ifndef FILES_TENSOR_FORMATS_H
#define FILES_TENSOR_FORMATS_H

#include "files/tensor_file.h"
#include <string.h>

enum { MAX_TENSORS = 1000000, MAX_NAME_BYTES = 4096, MAX_HEADER = 100000000 };

bool is_safetensors(const uint8_t *data, size_t size);
bool is_pytorch(const uint8_t *data, size_t size);
bool is_gguf(const uint8_t *data, size_t size);
bool is_rwkvcpp(const uint8_t *data, size_t size);
bool is_llama2c(const uint8_t *data, size_t size);
int  safetensors_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);
int  pytorch_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);
int  gguf_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);
int  rwkvcpp_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);
int  llama2c_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);

int rwkvcpp_write(const char *path, const out_tensor *tensors, int count, lithe_error *err);
dtype gguf_type_for(const out_tensor *t, dtype asked);
dtype rwkvcpp_type(const out_tensor *t, dtype asked);
enum { RWKVCPP_NO_TYPE = UINT8_MAX };
uint32_t rwkvcpp_number(dtype type);           /* of a type as its files number them, or RWKVCPP_NO_TYPE */

/* Appends n zeroed tensors; NULL if memory is out or there are too many. */
file_tensor *append_tensors(tensor_file *f, const char *what, size_t n, lithe_error *err);

/* Makes by_name again, after names were changed. */
int  tensor_file_sort(tensor_file *f, lithe_error *err);

int  check_tensor_name(const char *what, const char *name, size_t length, lithe_error *err);

/* Parses JSON with at most as many values as MAX_TENSORS tensors need: a parsed value takes twenty times its text. */
int check_json_size(const char *what, const char *text, size_t size, lithe_error *err);

/* The number of elements of a shape; false on a negative size or overflow. */
bool shape_count(const int64_t *dims, int rank, size_t *count);

/* Little-endian fields of a file, at any address. */
static inline uint16_t read_u16(const uint8_t *p) { uint16_t x; memcpy(&x, p, sizeof x); return x; }
static inline uint32_t read_u32(const uint8_t *p) { uint32_t x; memcpy(&x, p, sizeof x); return x; }
static inline uint64_t read_u64(const uint8_t *p) { uint64_t x; memcpy(&x, p, sizeof x); return x; }
static inline int32_t  read_i32(const uint8_t *p) { int32_t  x; memcpy(&x, p, sizeof x); return x; }
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read where they lie, in little-endian order");

#endif
