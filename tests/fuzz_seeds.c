/* Every fuzzer as an ordinary test: on nothing, and on its seeds in tests/fuzz/corpus/NAME,
 * among which are the inputs that once did harm; those that are quick also on seeds that
 * are cut, or in which one byte is another.  The Makefile lists the fuzzers, FUZZERS, and
 * gives the entry of each the name fuzz_NAME. */
#include "base/file.h"
#include "test.h"
#include "tree.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int fuzzer(const uint8_t *data, size_t size);

/* Calls `look` for each seed of a fuzzer, with their number. */
static void each_seed(const char *name, fuzzer *run, void (*look)(fuzzer *run, const uint8_t *data, size_t size, int seeds))
{
    char folder[300];
    tree t = { 0 };
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name);
    tree_walk(&t, test_file(folder), "", NULL);
    CHECK_MSG(t.count > 0, "there is no seed in %s", folder);
    char memory[] = "/dev/shm/lithe-test-XXXXXX";
    bool in_memory = mkdtemp(memory) != NULL;
    setenv("LITHE_FUZZ_DIR", in_memory ? memory : test_dir(), 1);
    run((const uint8_t *)"", 0);
    for (int i = 0; i < t.count; i++) {
        mapping m;
        CHECK(!file_map(&m, t.path[i], NULL));
        look(run, m.data, m.size, t.count);
        file_unmap(&m);
    }
    if (in_memory) dir_remove(memory, NULL);
    tree_leave(&t);
}

static void as_it_is(fuzzer *run, const uint8_t *data, size_t size, int seeds) { (void)seeds; run(data, size); }

/* On a copy, beyond whose end lies nothing else. */
static void run_on_copy(fuzzer *run, const uint8_t *data, size_t size, size_t at, uint8_t byte)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    if (at < size) copy[at] = byte;
    run(copy, size);
    free(copy);
}

static size_t places;                                   /* in all seeds of a fuzzer together */

static void cut_and_changed(fuzzer *run, const uint8_t *data, size_t size, int seeds)
{
    size_t stride = size / (places / (size_t)seeds + 1) + 1;
    for (size_t at = 0; at < size; at += stride) {
        const uint8_t others[] = { 0, 0xff, data[at] ^ 1, data[at] ^ 0x80 };
        run_on_copy(run, data, at, at, 0);
        for (size_t i = 0; i < sizeof others; i++) run_on_copy(run, data, size, at, others[i]);
    }
}

#define X(name) \
    fuzzer fuzz_##name; \
    static void run_##name(void) { each_seed(#name, fuzz_##name, as_it_is); }
FUZZERS
#undef X

#define QUICK X(costs, 500) X(documents, 2000) X(gguf, 1000) X(image, 1000) X(image_set, 300) X(image_shard, 4000) X(pickle, 4000) X(rwkv, 2000) X(safetensors, 4000) \
              X(shard, 2000) X(state, 1000) X(table, 1000) X(task, 300) X(template, 1000) X(tokenizer, 500)
#define X(name, n) static void change_##name(void) { places = n; each_seed(#name, fuzz_##name, cut_and_changed); }
QUICK
#undef X

#define X(name) { "fuzz: " #name, run_##name },
const test tests_fuzz_seeds[] = { FUZZERS
#undef X
#define X(name, n) { "fuzz: " #name ", cut and changed", change_##name },
    QUICK { 0 }
};
#undef X
