/* Computes the identity of a tokenizer (data/tokenizer_identity.h). */
#include "data/tokenizer_identity.h"
#include "base/file.h"
#include "base/random.h"
#include <stdio.h>
#include <string.h>

static const char trial[] =
    "The quick brown fox doesn't jump over 13 lazy dogs; \"Why not?\" she'd ask, twice -- 3.14159 times.\n\n\tint main(void) { return 0; }\n"
    "  Caf\xc3\xa9 na\xc3\xafve \xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0 \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80.";

void tokenizer_identity(const lithe_tokenizer *t, uint8_t hash[16])
{
    char piece[256];
    int32_t ids[sizeof trial + 64], head[3] = { lithe_tokenizer_vocab(t), lithe_tokenizer_bos(t), lithe_tokenizer_eos(t) };
    size_t n = lithe_encode(t, trial, sizeof trial - 1, 0, ids, sizeof ids / sizeof *ids);
    uint64_t h[2] = { hash_bytes(head, sizeof head, 1), hash_bytes(head, sizeof head, 2) };
    for (int i = 0; i < 2; i++) h[i] = hash_bytes(ids, (n < sizeof ids / sizeof *ids ? n : sizeof ids / sizeof *ids) * sizeof *ids, h[i]);
    for (int32_t id = 0; id < head[0]; id++) {
        size_t length = lithe_decode(t, &id, 1, piece, sizeof piece), kept = length < sizeof piece ? length : sizeof piece;
        for (int i = 0; i < 2; i++) h[i] = key_of(hash_bytes(piece, kept, h[i]), length);
    }
    memcpy(hash, h, 16);
}

void tokenizer_hex(const lithe_tokenizer *t, char hex[33])
{
    uint8_t hash[16];
    tokenizer_identity(t, hash);
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

bool tokenizer_takes_bytes(const lithe_tokenizer *t)
{
    const char odd[] = "\x80\xff";
    int32_t ids[16];
    char back[16];
    size_t n = lithe_encode(t, odd, 2, 0, ids, 16);
    return n <= 16 && lithe_decode(t, ids, n, back, sizeof back) == 2 && !memcmp(back, odd, 2);
}
