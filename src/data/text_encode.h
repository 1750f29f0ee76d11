/* Encodes documents in the order they are given and puts their ids into shards; where several processes share the work
 * (lithe_encoder), many texts at a time.
 * Invariant: the ids are those of each document encoded alone and whole. */
#ifndef DATA_TEXT_ENCODE_H
#define DATA_TEXT_ENCODE_H

#include "data/shard.h"
#include "lithe_tools.h"

typedef struct { shard_writer *to; size_t size; bool last; } text_piece;     /* last: its document ends with it */

typedef struct {
    const lithe_tokenizer *t;
    const lithe_encoder *encoder;    /* NULL: this process encodes */
    bool whole;                      /* no cut has ever held */
    char *text; size_t held, capacity;            /* of the pieces that wait */
    text_piece *pieces; int count, room;
    double packed, all;              /* bytes so far, and of all texts (0: unknown), for who watches */
} text_encoder;

int  text_encode(text_encoder *e, shard_writer *to, const char *text, size_t size, lithe_error *err);
int  text_encode_end(text_encoder *e, lithe_error *err);         /* encodes what waits */
void text_encoder_close(text_encoder *e);

/* Encodes n texts, which stand one after the other, as lithe_encode would without special tokens.  *ids is malloc'd and
 * holds counts[i] ids of each. */
int encode_texts(const lithe_tokenizer *t, const char *text, const size_t *sizes, int n, int32_t **ids, size_t *counts, lithe_error *err);

#endif
