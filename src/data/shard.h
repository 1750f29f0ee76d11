/* A shard holds the token ids of many documents in one file, which is mapped
 * (docs/shards.md).  Ids stand end to end, `open_id` before each document and `close_id` after it
 * when the tokenizer has two such tokens; with one, it is open_id and stands
 * after the last document too.  So a document's own ids, and the end of the
 * text, are all predicted from something. */
#ifndef DATA_SHARD_H
#define DATA_SHARD_H

#include "base/error.h"
#include "base/file.h"
#include "base/writer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARD_VERSION = 1, SHARD_HEADER_BYTES = 128 };

typedef struct {
    int      width;                             /* bytes of an id, 2 or 4 */
    uint64_t tokens, documents, text_bytes;
    int32_t  vocab, open_id, close_id;          /* -1: none */
    uint8_t  ids_hash[16], tokenizer[16];       /* of the ids as stored; of the tokenizer (tokenizer_identity) */
    uint64_t ends_hash;
} shard_header;

/* Reads a header of a file of file_bytes and checks its fields against each other. */
int shard_header_read(shard_header *h, const uint8_t *bytes, size_t available, uint64_t file_bytes, const char *name, lithe_error *err);

typedef struct {
    shard_header header;
    mapping map;
    const uint8_t *ends, *ids;                  /* u64 and u16 or u32, little-endian, in the mapping */
} shard;

/* Maps the file and checks everything: sizes, hashes, the order of the ends, and that ids are below vocab. */
int  shard_open(shard *s, const char *path, lithe_error *err);
void shard_close(shard *s);
/* Copies ids first .. first+n-1; the caller keeps within header.tokens. */
void shard_ids(const shard *s, uint64_t first, size_t n, int32_t *ids);
/* Says where document k ends, its close_id included; the next one begins there. */
uint64_t shard_document_end(const shard *s, uint64_t k);
/* Gives the tokens first .. end-1 of document k, without the delimiters. */
typedef struct { uint64_t first, end; } stretch;
stretch shard_document(const shard *s, uint64_t k);
size_t  shard_read(const shard *s, stretch d, int32_t *ids);    /* copies its ids and returns how many there are */
/* Says how many documents end at or before token i. */
uint64_t shard_documents_before(const shard *s, uint64_t i);
void shard_identity(const shard *s, char hex[33]);              /* the hash of its ids */

/* ---- writing ---- */

typedef struct {
    shard_header header;                        /* from the caller: documents, vocab, open_id, close_id, tokenizer */
    writer file;
    uint64_t *ends, ended;
    void *hash;                                 /* running hash of the ids */
    uint8_t *block;                             /* ids on their way out */
    size_t blocked;
} shard_writer;

int  shard_create(shard_writer *w, const char *path, const shard_header *h, lithe_error *err);
/* One document may come in several parts; the last one says so. */
int  shard_put(shard_writer *w, const int32_t *ids, size_t n, size_t text_bytes, bool last, lithe_error *err);
int  shard_commit(shard_writer *w, lithe_error *err);
void shard_abandon(shard_writer *w);

#endif
