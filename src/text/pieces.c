/* The two tables of the vocabulary; linear probing over slots that are at most half full. */
#include "text/pieces.h"
#include "base/arena.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

static bool same(const pieces *p, int32_t id, const char *bytes, size_t len)
{
    return p->at[id].length == len && !memcmp(p->bytes + p->at[id].start, bytes, len);
}

static uint32_t slot_of(const pieces *p, const char *bytes, size_t len)
{
    uint32_t s = (uint32_t)hash_bytes(bytes, len, 0) & p->mask;
    while (p->slots[s] && !same(p, p->slots[s] - 1, bytes, len)) s = (s + 1) & p->mask;
    return s;
}

static bool grow_slots(pieces *p)
{
    if (p->slots && p->filled * 2 < p->mask) return true;
    uint32_t size = p->slots ? (p->mask + 1) * 2 : 1024, old = p->slots ? p->mask + 1 : 0;
    int32_t *before = p->slots, *slots = xalloc(size, sizeof *slots);
    if (!slots) return false;
    p->slots = slots;
    p->mask = size - 1;
    for (uint32_t i = 0; i < old; i++)
        if (before[i]) {
            const piece *a = &p->at[before[i] - 1];
            p->slots[slot_of(p, p->bytes + a->start, a->length)] = before[i];
        }
    free(before);
    return true;
}

static bool grow_ids(pieces *p, int n)
{
    if (n <= p->capacity) return true;
    int capacity = p->capacity ? p->capacity : 512;
    while (capacity < n) capacity *= 2;
    piece *at = xrealloc(p->at, (size_t)capacity, sizeof *at);
    if (!at) return false;
    memset(at + p->capacity, 0xff, (size_t)(capacity - p->capacity) * sizeof *at);
    p->at = at;
    p->capacity = capacity;
    return true;
}

static bool grow_bytes(pieces *p, size_t len)
{
    if (p->bytes && len <= p->room - p->used) return true;
    size_t room = p->room ? p->room : 4096;
    while (room - p->used < len) room *= 2;
    char *bytes = xrealloc(p->bytes, room, 1);
    if (!bytes) return false;
    p->bytes = bytes;
    p->room = room;
    return true;
}

int pieces_add(pieces *p, int64_t id, const char *bytes, size_t len, bool findable)
{
    if (id < 0 || id >= PIECES_ID_LIMIT) return PIECES_ID_RANGE;
    if (pieces_has(p, id)) return PIECES_ID_TAKEN;
    if (len >= UINT32_MAX - p->used) return PIECES_MEMORY;
    if (!grow_ids(p, (int)id + 1) || !grow_bytes(p, len) || !grow_slots(p)) return PIECES_MEMORY;
    uint32_t s = slot_of(p, bytes, len);
    if (findable && p->slots[s]) return PIECES_TEXT_TAKEN;
    if (len) memcpy(p->bytes + p->used, bytes, len);
    p->at[id] = (piece){ (uint32_t)p->used, (uint32_t)len };
    p->used += len;
    if ((int)id >= p->n) p->n = (int)id + 1;
    if (findable) {
        p->slots[s] = (int32_t)id + 1;
        p->filled++;
    }
    return PIECES_OK;
}

int32_t pieces_find(const pieces *p, const char *bytes, size_t len)
{
    return p->slots ? p->slots[slot_of(p, bytes, len)] - 1 : -1;
}

void pieces_free(pieces *p)
{
    free(p->bytes);
    free(p->at);
    free(p->slots);
    *p = (pieces){ 0 };
}
