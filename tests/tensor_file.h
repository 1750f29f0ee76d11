/* Shared by the tests of files of tensors. */
#ifndef TENSOR_FILE_TESTS_H
#define TENSOR_FILE_TESTS_H

#include "files/tensor_file.h"
#include "test.h"

/* Opens a copy of data that ends where its allocation ends and begins `shift` bytes after an aligned address;
 * *keep is to be freed after closing. */
tensor_file *parse_copy(const void *data, size_t size, size_t shift, void **keep, lithe_error *err);

/* Checks that data are refused with a line that starts with NAME and holds `why`; NULL: that they are accepted. */
void check_parse(const char *label, const void *data, size_t size, const char *why);

/* Thousands of damaged versions of data, parsed and read through: nothing must crash.  Returns how many opened. */
int mutate(const void *data, size_t size, int rounds, uint64_t seed);

/* Parsed and, if it opens, read through. */
bool opens(const void *data, size_t size, size_t shift);

/* NAME in this test's directory; good for four calls. */

void writer_bytes(void);
void writer_round_trips(void);
void writer_refuses(void);
void writer_header_limit(void);
void llama_places(void);
void llama_refused(void);
void llama_published(void);
void gguf_places(void);
void gguf_values(void);
void gguf_head_refused(void);
void gguf_keys_refused(void);
void gguf_tensors_refused(void);
void gguf_types_listed(void);
void gguf_mutations(void);
void gguf_listed(void);
void rwkvcpp_places(void);
void rwkvcpp_five(void);
void rwkvcpp_six(void);
void rwkvcpp_seven(void);
void rwkvcpp_blocks(void);
void rwkvcpp_quantized(void);
void rwkvcpp_refused(void);
void sixteen_bits_to_float(void);
void float_to_sixteen_bits(void);
void every_type_to_float(void);
void transposed_floats(void);
void pytorch_accepted(void);
void pytorch_published(void);
void pytorch_refused(void);
void pytorch_zip_refused(void);
void pytorch_views(void);
void pytorch_wrapped(void);
void pytorch_bombs(void);
void pytorch_mutations(void);
void zip_beyond_32_bits(void);

#endif
