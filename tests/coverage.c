/* What cannot be forgotten: each architecture, kernel, operation, option, verb,
 * reader and public function has the tests and the documents it needs, or a test
 * here fails by its name.  These read the project itself. */
#include "model/model.h"
#include "small.h"
#include "test.h"
#include "tree.h"
#include <jansson.h>
#include <stdlib.h>
#include <sys/wait.h>

/* The text of every file of `dir` with one of the endings, comments of C blanked. */
static char *texts_of(const char *dir, const char *endings, const char *without)
{
    tree t = { 0 };
    tree_walk(&t, test_file(dir), endings, without);
    if (!t.count) test_skip("no source tree");
    char *all = tree_texts(&t);
    blank_comments(all);
    tree_leave(&t);
    return all;
}

/* The word that begins at text, of characters out of `letters`. */
static const char *word_at(const char *text, const char *letters, char word[64])
{
    snprintf(word, 64, "%.*s", (int)strspn(text, letters), text);
    return word;
}
#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static bool mentions(const char *text, const char *format, const char *name)
{
    char phrase[200];
    snprintf(phrase, sizeof phrase, format, name);
    return strstr(text, phrase) != NULL;
}

/* ---- architectures ------------------------------------------------------------------------- */

/* Parts of the others, in combinations that nobody published. */
static bool has_authors(const arch *a) { return strncmp(a->name, "hybrid", 6) != 0; }

/* The architecture of a folder of tests/golden with results of its authors' code, NULL when it has none. */
static const arch *golden_arch(const char *folder)
{
    lithe_error err = { 0 };
    char path[4400];
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    if (!path_exists(path)) return NULL;
    snprintf(path, sizeof path, "%s/config.json", folder);
    json_t *config = json_load_file(path, 0, NULL);
    const arch *a = config ? config_arch(config, path, &err) : NULL;
    CHECK_MSG(a, "%s: no architecture: %s", path, err.text);
    json_decref(config);
    return a;
}

static void architectures_have_goldens(void)
{
    tree t = { 0 };
    char *tests = texts_of("tests", ".c", "fuzz"), *page = tree_text(test_file("tests/golden/README.md"));
    bool seen[100] = { false };
    tree_walk(&t, test_file("tests/golden"), ".safetensors .bin .pth", "ops");
    for (int f = 0; f < t.count; f++) {
        char *folder = path_parent(t.path[f]);
        const char *name = path_base(folder);
        const arch *a = golden_arch(folder);
        CHECK_MSG(mentions(page, "`%s`", name) || mentions(page, "`%s/`", name), "tests/golden/README.md does not say where %s comes from", name);
        CHECK_MSG(mentions(tests, "\"%s\"", name) || mentions(tests, "\"%s/", name) || mentions(tests, "golden/%s/", name), "no test reads tests/golden/%s", name);
        for (int i = 0; architectures[i]; i++) seen[i] |= architectures[i] == a;
        free(folder);
    }
    for (int i = 0; architectures[i]; i++)
        CHECK_MSG(seen[i] || !has_authors(architectures[i]), "%s has no folder in tests/golden with results of its authors' code", architectures[i]->name);
    tree_leave(&t);
    free(tests);
    free(page);
}

/* Sections of a page that have name in their title: "## bert, roberta". */
static int sections_of(const char *page, const char *name)
{
    int found = 0;
    for (const char *at = page; (at = strstr(at, "\n## ")); ) {
        char title[200];
        at += 4;
        snprintf(title, sizeof title, "%.*s", (int)strcspn(at, "\n"), at);
        found += find_word(title, name) != NULL;
    }
    return found;
}

static void architectures_are_documented(void)
{
    char *page = tree_text(test_file("docs/configuration.md"));
    for (int i = 0; architectures[i]; i++) {
        const arch *a = architectures[i];
        int sections = sections_of(page, a->name);
        CHECK_MSG(sections == 1, "docs/configuration.md has %d sections for %s", sections, a->name);
        for (const field *f = a->config.fields; f->key; f++)    /* lithe_...: what normalize makes of several keys */
            CHECK_MSG(mentions(page, "`%s`", f->key) || !strncmp(f->key, "lithe_", 6), "docs/configuration.md has no line for %s of %s", f->key, a->name);
    }
    free(page);
}

/* ---- kernels and operations ---------------------------------------------------------------- */

/* The tests that run kernels at every level. */
static char *kernel_tests(void)
{
    tree all = { 0 }, t = { 0 };
    tree_walk(&all, test_file("tests"), ".c", "fuzz");
    for (int f = 0; f < all.count; f++) {
        char *text = tree_text(all.path[f]);
        if (strstr(text, "#include \"kernels_check.h\"") || !strcmp(path_base(all.path[f]), "gemm.c")) t.path[t.count++] = all.path[f];
        free(text);
    }
    if (!t.count) test_skip("no source tree");
    char *texts = tree_texts(&t);
    blank_comments(texts);
    tree_leave(&all);
    return texts;
}

static void kernels_are_tested(void)
{
    char *tests = kernel_tests(), *header = tree_text(test_file("src/kernels/kernels.h")), slot[64], call[80];
    size_t slots = 0;
    for (const char *at = strstr(header, "typedef struct kernels {"); at && (at = strstr(at, "(*")); at += 2) {
        snprintf(call, sizeof call, "->%s(", word_at(at + 2, LETTERS, slot));
        CHECK_MSG(strstr(tests, call), "no test calls the kernel %s at every level", slot);
        slots++;
    }
    /* All but its name. */
    CHECK_MSG(slots == sizeof(kernels) / sizeof(void (*)(void)) - 1, "%zu slots were found in kernels.h", slots);
    free(tests);
    free(header);
}

/* The operations of the training graphs that gradients.c checks, each between blanks. */
static char *checked_operations(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    char *names = calloc(1, 1 << 20);
    for (int i = 0; i < 2 * count; i++) {
        results r;
        small_model m = small_new(cases[i / 2].arch, cases[i / 2].config, 1);
        m.selected = i % 2 ? SMALL_SELECTED : 0;
        graph *g = small_graph(&m, GRAPH_TRAIN, false, "ref", &r);
        const step *steps;
        int n = graph_steps(g, &steps);
        for (int s = 0; s < n; s++)
            if (steps[s].node && !mentions(names, "\"%s\"", steps[s].node->op->name)) sprintf(names + strlen(names), "\"%s\"", steps[s].node->op->name);
        graph_close(g);
        small_free(&m);
    }
    return names;
}

static void operations_have_gradients(void)
{
    tree t = { 0 };
    char *checked = checked_operations();
    tree_walk(&t, test_file("src/ops"), ".c", NULL);
    if (!t.count) test_skip("no source tree");
    for (int f = 0; f < t.count; f++) {
        char *text = tree_text(t.path[f]), name[64];
        for (const char *at = text; (at = strstr(at, "const op op_")); at++) {
            const char *end = strchr(at, ';'), *said = strstr(at, ".name = \""), *back = strstr(at, "backward");
            CHECK_MSG(said && said < end, "%s: an operation without a name", t.path[f]);
            if (back && back < end) CHECK_MSG(mentions(checked, "\"%s\"", word_at(said + 9, LETTERS, name)), "%s: no graph of small.c has %s, so nothing checks its gradient", path_base(t.path[f]), name);
        }
        free(text);
    }
    tree_leave(&t);
    free(checked);
}

/* ---- what comes from outside --------------------------------------------------------------- */

/* Files that map others but read nothing of their own. */
static const struct { const char *file, *because; } no_readers[] = {
    { "src/data/text_data.c", "hashes sources" }, { "src/data/table_data.c", "hashes tables, which table_read reads" },
    { "src/data/table_prepare.c", "hashes tables that it wrote" }, { "src/model/manifest.c", "hashes files" },
    { "src/data/stdin_file.c", "keeps standard input for corpus.c" }, { "src/train/encode_ranks.c", "sends a tokenizer that it wrote" },
    { "src/data/image_records.c", "is what image_set_open calls" }, { "src/data/image_sources.c", "is what image_set_open calls" },
    { "src/text/tokenizer_open.c", "hands bytes to tokenizer_from_..., each of which is looked for below" }, { "src/train/log.c", "cuts lines that it wrote" }, { "src/report/run_files.c", "is what lithe_run_open calls" },
};

static bool is_no_reader(const char *path)
{
    for (size_t i = 0; i < sizeof no_readers / sizeof *no_readers; i++)
        if (!strcmp(path + strlen(path) - strlen(no_readers[i].file), no_readers[i].file)) return true;
    return false;
}

/* Whether a fuzzer names a function that the object of this source defines. */
static bool is_fuzzed(const char *path, const char *fuzzers)
{
    symbols s = { 0 };
    char object[400];
    const char *name = strstr(path, "/src/") + 5;
    snprintf(object, sizeof object, "build/%.*s.o", (int)strlen(name) - 2, name);
    if (!symbols_add(&s, test_file(object), "")) test_skip("no object %s, or none of ELF", object);
    bool found = false;
    for (size_t i = 0; i < s.givens; i++) found |= find_word(fuzzers, s.given[i].name) != NULL;
    symbols_leave(&s);
    return found;
}

static void readers_are_fuzzed(void)
{
    tree t = { 0 };
    char *fuzzers = texts_of("tests/fuzz", ".c", "corpus"), *tokenizers = tree_text(test_file("src/text/tokenizer.h")), name[64];
    int readers = 0;
    tree_walk(&t, test_file("src"), ".c", "base");
    for (int f = 0; f < t.count; f++) {
        char *text = tree_text(t.path[f]);
        if ((find_word(text, "file_map") || find_word(text, "file_read")) && !is_no_reader(t.path[f]))
            readers++, CHECK_MSG(is_fuzzed(t.path[f], fuzzers), "no fuzzer in tests/fuzz calls %s, which reads files", path_base(t.path[f]));
        free(text);
    }
    for (const char *at = tokenizers; (at = strstr(at, "tokenizer_from_")); at++)
        CHECK_MSG(find_word(fuzzers, word_at(at, LETTERS, name)), "no fuzzer in tests/fuzz calls %s", name);
    CHECK_MSG(readers > 5, "%d readers were found", readers);
    tree_leave(&t);
    free(fuzzers);
    free(tokenizers);
}

/* A fuzzer does not discover a format by itself. */
static void formats_have_seeds(void)
{
    tree t = { 0 };
    char *table = tree_text(test_file("src/files/tensor_file.c")), *seen = calloc(1, 1 << 16), name[64];
    int formats = 0;
    tree_walk(&t, test_file("tests/fuzz/corpus"), "", NULL);
    for (int f = 0; f < t.count; f++) {
        mapping m;
        tensor_file *file = file_map(&m, t.path[f], NULL) ? NULL : tensor_file_parse(m.data, m.size, "seed", NULL);
        if (file) sprintf(seen + strlen(seen), "\"%s\" ", file->format);
        tensor_file_close(file);
    }
    for (const char *at = strstr(table, "FORMATS[] = {"), *end = at ? strstr(at, "};") : NULL; at && (at = strstr(at, "\n    { \"")) && at < end; at += 8) {
        CHECK_MSG(mentions(seen, "\"%s\"", word_at(at + 8, LETTERS ".", name)), "no file of tests/fuzz/corpus opens as %s", name);
        formats++;
    }
    CHECK_MSG(formats > 3, "%d formats were found", formats);
    tree_leave(&t);
    free(table);
    free(seen);
}

/* ---- the command ------------------------------------------------------------------------------ */

/* The option that a line of a table in cli/ begins, { "lr", 0, REAL(...; NULL when it is no such line. */
static const char *option_of(const char *line, char name[64])
{
    static const char *const kinds[] = { "FLAG(", "TEXT(", "FILENAME(", "CHOICE(", "COUNT(", "SIZE(", "REAL(", "TIME(", "AMOUNT(", "SEED(", "LIST(" };
    size_t end = strcspn(line, "\n");
    if (strncmp(line, "    { \"", 7)) return NULL;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const char *kind = strstr(line, kinds[k]);
        if (kind && kind < line + end) return word_at(line + 7, LETTERS "-", name);
    }
    return NULL;
}

static void options_are_documented(void)
{
    char *program = texts_of("cli", ".c", NULL), *page = tree_text(test_file("docs/commands.md")), name[64];
    int options = 0;
    for (const char *line = program; line; line = strchr(line, '\n'), line += line != NULL) {
        if (!option_of(line, name)) continue;
        CHECK_MSG(mentions(page, "| `--%s` |", name) || mentions(page, "| `--%s ", name) || mentions(page, ", --%s` |", name) || mentions(page, ", --%s ", name),
                  "docs/commands.md has no line for --%s", name);
        options++;
    }
    CHECK_MSG(options > 100, "%d options were found in cli/", options);
    free(program);
    free(page);
}

static void verbs_are_documented(void)
{
    char *program = texts_of("cli", ".c", NULL), *page = tree_text(test_file("docs/commands.md")), *readme = tree_text(test_file("README.md")), name[64];
    int verbs = 0;
    for (const char *at = program; (at = strstr(at, "const verb verb_")); at++) {
        const char *said = strstr(at, ".name = \""), *end = strchr(at, ';');
        if (!said || said > end) continue;
        word_at(said + 9, LETTERS "-", name);
        CHECK_MSG(mentions(page, "\n## lithe %s\n", name), "docs/commands.md has no section for %s", name);
        CHECK_MSG(mentions(readme, "`%s`", name), "README.md does not name the verb %s", name);
        verbs++;
    }
    CHECK_MSG(verbs > 15, "%d verbs were found in cli/", verbs);
    free(program);
    free(page);
    free(readme);
}

static void pages_are_listed(void)
{
    tree t = { 0 };
    char *index = tree_text(test_file("docs/README.md"));
    tree_walk(&t, test_file("docs"), ".md", NULL);
    for (int f = 0; f < t.count; f++) {
        const char *name = path_base(t.path[f]);
        CHECK_MSG(!strcmp(name, "README.md") || mentions(index, "](%s)", name), "docs/README.md does not list %s", name);
    }
    CHECK(t.count > 5);
    tree_leave(&t);
    free(index);
}

/* ---- the library ------------------------------------------------------------------------------- */

/* A declaration's paragraph, which ends at an empty line, holds a comment. */
static bool is_explained(const char *header, const char *at)
{
    const char *begin = at, *end = strstr(at, "\n\n");
    while (begin > header && strncmp(begin - 1, "\n\n", 2)) begin--;
    const char *comment = strstr(begin, "/*");
    return comment && (!end || comment < end);
}

/* What the objects of the tests give and ask for. */
static symbols tested_functions(void)
{
    tree t = { 0 };
    symbols s = { 0 };
    tree_walk(&t, test_file("tests"), ".c", "fuzz");
    for (int f = 0; f < t.count; f++) {
        const char *name = path_base(t.path[f]);
        char object[200];
        snprintf(object, sizeof object, "build/tests.d/%.*s.o", (int)strlen(name) - 2, name);
        if (path_exists(test_file(object)) && !symbols_add(&s, test_file(object), "")) test_skip("the objects are not ELF of 64 bits");
    }
    if (!s.askeds) test_skip("no objects of tests in build/tests.d");
    symbols_sort(&s);
    tree_leave(&t);
    return s;
}

static void public_functions_are_tested(void)
{
    static const char *const headers[] = { "include/lithe.h", "include/lithe_tools.h", "include/lithe_eval.h", "include/lithe_serve.h", "include/lithe_runs.h" };
    symbols tested = tested_functions();
    char name[64];
    for (int h = 0; h < 3; h++) {
        int functions = 0;
        char *header = tree_text(test_file(headers[h])), *code = strdup(header);
        blank_comments(code);
        for (const char *at = code; (at = strstr(at, "lithe_")); at += strlen(name)) {
            word_at(at, LETTERS, name);
            if (at[strlen(name)] != '(' || (at > code && strchr(LETTERS, at[-1]))) continue;
            CHECK_MSG(symbols_asked(&tested, name), "no test calls %s", name);
            CHECK_MSG(is_explained(header, header + (at - code)), "%s: no comment says what %s does", headers[h], name);
            functions++;
        }
        CHECK_MSG(functions > (h < 2 ? 20 : 5), "%d functions were found in %s", functions, headers[h]);
        free(header);
        free(code);
    }
    symbols_leave(&tested);
}

/* ---- the tests themselves ----------------------------------------------------------------------- */

/* A list that main.c does not name is never run. */
static void lists_are_run(void)
{
    symbols s = tested_functions();
    int lists = 0;
    for (size_t i = 0; i < s.givens; i++) {
        if (strncmp(s.given[i].name, "tests_", 6)) continue;
        CHECK_MSG(symbols_asked(&s, s.given[i].name), "no runner names the list %s", s.given[i].name);
        lists++;
    }
    CHECK_MSG(lists > 20, "%d lists were found", lists);
    symbols_leave(&s);
}

static void nothing_to_run_fails(void)
{
    static const char *const runners[] = { "build/tests", "build/tests-double" };
    char command[9000], line[200] = "";
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "'%s' 'no such test'", test_file(runners[i]));
        FILE *f = popen(command, "r");
        bool said = f && fgets(line, sizeof line, f);
        int status = f ? pclose(f) : -1;
        CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s ends with status %d when its filter matches nothing", runners[i], status);
        CHECK_MSG(said && !strcmp(line, "0 passed, 0 failed, 0 skipped: no test has \"no such test\" in its name\n"), "%s says: %s", runners[i], line);
    }
}

const test tests_coverage[] = {
    { "coverage: architectures have golden models", architectures_have_goldens },
    { "coverage: architectures are documented", architectures_are_documented },
    { "coverage: kernels are tested", kernels_are_tested },
    { "coverage: operations have their gradients checked", operations_have_gradients },
    { "coverage: readers are fuzzed", readers_are_fuzzed },
    { "coverage: formats have seeds", formats_have_seeds },
    { "coverage: options are documented", options_are_documented },
    { "coverage: verbs are documented", verbs_are_documented },
    { "coverage: pages are listed", pages_are_listed },
    { "coverage: public functions are tested and explained", public_functions_are_tested },
    { "coverage: every list is run", lists_are_run },
    { "coverage: a filter that matches nothing fails", nothing_to_run_fails },
    { 0 }
};
