/* Every fuzzer as an ordinary test: on nothing, and on its seeds in tests/fuzz/corpus/NAME,
 * among which are the inputs that once did harm.  The Makefile lists the fuzzers, FUZZERS,
 * and gives the entry of each the name fuzz_NAME. */
#include "base/file.h"
#include "test.h"
#include "tree.h"
#include <stdint.h>
#include <stdlib.h>

typedef int fuzzer(const uint8_t *data, size_t size);

static void run_on_seeds(const char *name, fuzzer *run)
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
        run(m.data, m.size);
        file_unmap(&m);
    }
    if (in_memory) dir_remove(memory, NULL);
    tree_leave(&t);
}

#define X(name) \
    fuzzer fuzz_##name; \
    static void run_##name(void) { run_on_seeds(#name, fuzz_##name); }
FUZZERS
#undef X

#define X(name) { "fuzz: " #name, run_##name },
const test tests_fuzz_seeds[] = { FUZZERS { 0 } };
#undef X
