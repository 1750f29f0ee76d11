/* A vocabulary maps token ids to bytes and bytes to token ids; id_sink receives ids. */
#ifndef TEXT_PIECES_H
#define TEXT_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECES_ID_LIMIT (1 << 22)   /* larger ids are treated as damage, because a table is as long as the largest id */

typedef struct { uint32_t start, length; } piece;

typedef struct pieces {                    /* zero is an empty vocabulary */
    char *bytes;
    piece *at;                             /* [capacity]; start UINT32_MAX: no token has this id */
    int32_t *slots;                        /* [mask + 1], open addressing: id + 1, or 0 */
    size_t used, room;
    int n, capacity;                       /* n: largest id + 1 */
    uint32_t mask, filled;
} pieces;

enum { PIECES_OK, PIECES_MEMORY, PIECES_ID_RANGE, PIECES_ID_TAKEN, PIECES_TEXT_TAKEN };

/* Adds a token.  A piece that is not findable has an id and bytes, but
 * pieces_find does not return it, and its bytes may be those of another piece. */
int     pieces_add(pieces *p, int64_t id, const char *bytes, size_t len, bool findable);
int32_t pieces_find(const pieces *p, const char *bytes, size_t len);           /* -1: none */
void    pieces_free(pieces *p);

static inline bool pieces_has(const pieces *p, int64_t id) { return id >= 0 && id < p->n && p->at[id].start != UINT32_MAX; }
static inline const char *pieces_bytes(const pieces *p, int32_t id, size_t *len)
{
    *len = p->at[id].length;
    return p->bytes + p->at[id].start;
}

/* Receives ids: n counts all of them, the first cap are written.  ends (or NULL) [cap] receives where each piece
 * ends in its word. */
typedef struct { int32_t *ids; size_t n, cap, *ends; } id_sink;

static inline void id_put_to(id_sink *s, int32_t id, size_t end)
{
    if (s->n < s->cap) s->ids[s->n] = id;
    if (s->n < s->cap && s->ends) s->ends[s->n] = end;
    s->n++;
}
static inline void id_put(id_sink *s, int32_t id) { id_put_to(s, id, 0); }

#endif
