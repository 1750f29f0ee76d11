/* The rooms as the source tree keeps them: includes point down, file names are
 * unique, the library exports what lithe.h declares and knows no terminal. */
#include "base/file.h"
#include "test.h"
#include <dirent.h>
#include <elf.h>
#include <stdlib.h>

/* Each room and those it stands on directly; it reaches what they reach. */
static const struct { const char *name, *on; } rooms[] = {
    { "base", "" }, { "text", "base" }, { "kernels", "base" }, { "graph", "kernels" }, { "ops", "graph" }, { "arch", "ops" }, { "files", "kernels" },
    { "model", "arch files text" }, { "grow", "model" }, { "data", "text graph" }, { "infer", "model text" }, { "train", "grow data" }, { "eval", "infer data" },
    { "serve", "infer text" },
};
enum { ROOMS = sizeof rooms / sizeof *rooms };

/* Two seams carry all variety: what a room may not name though it stands on it. */
static const struct { const char *room, *header, *why; } hidden[] = {
    { "arch", "base/threads.h", "parallelism is the kernels'" }, { "ops", "base/threads.h", "parallelism is the kernels'" },
    { "infer", "base/threads.h", "parallelism is the kernels'" }, { "serve", "graph/", "a server knows no tensors" }, { "serve", "base/threads.h", "parallelism is the kernels'" },
    { "text", "kernels/", "text is no arithmetic" },
};

static bool word_in(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ')) return true;
    return false;
}

static bool reaches(const char *from, const char *to)
{
    if (!strcmp(from, to)) return true;
    for (int i = 0; i < ROOMS; i++)
        if (!strcmp(rooms[i].name, from))
            for (int j = 0; j < ROOMS; j++)
                if (word_in(rooms[i].on, rooms[j].name) && reaches(rooms[j].name, to)) return true;
    return false;
}

static bool is_room(const char *name)
{
    for (int i = 0; i < ROOMS; i++)
        if (!strcmp(rooms[i].name, name)) return true;
    return false;
}

/* What is wrong with a file of `room` ("cli" for the program) that includes `header`, NULL when nothing is. */
static const char *fault(const char *room, const char *header)
{
    char to[64];
    const char *slash = strchr(header, '/');
    if (!strcmp(header, "lithe.h") || !strcmp(header, "lithe_tools.h")) return NULL;
    if (!strcmp(room, "cli")) return slash ? "the program sees lithe.h only" : NULL;
    if (!slash || (size_t)(slash - header) >= sizeof to) return "a header is named by its room";
    snprintf(to, sizeof to, "%.*s", (int)(slash - header), header);
    if (!is_room(to)) return "no such room";
    if (!reaches(room, to)) return "points up";
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (!strcmp(hidden[i].room, room) && !strncmp(header, hidden[i].header, strlen(hidden[i].header))) return hidden[i].why;
    return NULL;
}

static void the_rule_itself(void)
{
    CHECK(!fault("graph", "kernels/kernels.h") && !fault("infer", "base/file.h") && !fault("train", "data/data.h") && !fault("cli", "output.h") && !fault("ops", "lithe.h"));
    CHECK(fault("base", "text/bpe.h") && fault("kernels", "graph/graph.h") && fault("data", "model/model.h") && fault("infer", "data/data.h") && fault("text", "kernels/kernels.h"));
    CHECK(fault("model", "infer/infer.h") && fault("cli", "base/file.h") && fault("arch", "base/threads.h") && fault("serve", "graph/graph.h") && fault("ops", "ops.h") && fault("ops", "../ops/ops.h"));
}

/* ---- the tree ------------------------------------------------------------------------ */

enum { MOST_FILES = 1000 };
typedef struct { char *path[MOST_FILES]; int count; } tree;

/* Every .c and .h under dir, except in folders called `without`. */
static void walk(tree *t, const char *dir, const char *without)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d)); ) {
        const char *dot = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || (without && !strcmp(e->d_name, without))) continue;
        char *path = path_join(dir, e->d_name);
        if (path_is_dir(path)) walk(t, path, without);
        bool source = dot && (!strcmp(dot, ".c") || !strcmp(dot, ".h")) && !path_is_dir(path) && t->count < MOST_FILES;
        if (source) t->path[t->count++] = path; else free(path);
    }
    if (d) closedir(d);
}

static void leave(tree *t) { while (t->count) free(t->path[--t->count]); }

static void check_includes(const char *path, const char *room)
{
    lithe_error err = { 0 };
    size_t size;
    char *text = file_read(path, 1 << 22, &size, &err);
    CHECK_MSG(text, "%s", err.text);
    for (char *line = text; line && *line; ) {
        char *end = strchr(line, '\n'), header[256];
        if (end) *end = 0;
        if (sscanf(line, " # include \"%255[^\"]\"", header) == 1) {
            const char *why = fault(room, header);
            CHECK_MSG(!why, "%s includes %s: %s", path, header, why);
        }
        line = end ? end + 1 : NULL;
    }
    free(text);
}

static void includes_point_down(void)
{
    int files = 0;
    tree t = { 0 };
    char *src = strdup(test_file("src"));
    if (!path_is_dir(src)) test_skip("no source tree");
    for (int i = 0; i < ROOMS; i++) {
        char *dir = path_join(src, rooms[i].name);
        walk(&t, dir, NULL);
        for (int f = 0; f < t.count; f++) check_includes(t.path[f], rooms[i].name);
        files += t.count;
        leave(&t);
        free(dir);
    }
    walk(&t, src, NULL);
    CHECK_MSG(files == t.count, "%d files of src/ lie in no room", t.count - files);
    leave(&t);
    walk(&t, test_file("cli"), NULL);
    for (int f = 0; f < t.count; f++) check_includes(t.path[f], "cli");
    CHECK(files > 50 && t.count > 0);
    leave(&t);
    free(src);
}

static int by_base(const void *a, const void *b) { return strcmp(path_base(*(char *const *)a), path_base(*(char *const *)b)); }

static void check_unique(tree *t)
{
    qsort(t->path, (size_t)t->count, sizeof *t->path, by_base);
    for (int i = 1; i < t->count; i++) CHECK_MSG(strcmp(path_base(t->path[i - 1]), path_base(t->path[i])), "%s and %s", t->path[i - 1], t->path[i]);
    leave(t);
}

static void names_are_unique(void)
{
    tree t = { 0 };
    walk(&t, test_file("src"), NULL);
    walk(&t, test_file("cli"), NULL);
    walk(&t, test_file("include"), NULL);
    if (!t.count) test_skip("no source tree");
    check_unique(&t);
    walk(&t, test_file("tests"), "fuzz");                    /* a fuzzer is called as the format it feeds */
    check_unique(&t);
}

/* ---- the library ------------------------------------------------------------------------ */

/* Names of lithe.h that are called: lithe_ and a parenthesis, outside comments. */
typedef struct { char name[300][64]; int count; } names;

static void add_name(names *n, const char *text, size_t length)
{
    CHECK(length < 64 && n->count < 300);
    if (length >= 64 || n->count >= 300) return;
    snprintf(n->name[n->count], 64, "%.*s", (int)length, text);
    for (int i = 0; i < n->count; i++)
        if (!strcmp(n->name[i], n->name[n->count])) return;
    n->count++;
}

static bool has(const names *n, const char *name)
{
    for (int i = 0; i < n->count; i++)
        if (!strcmp(n->name[i], name)) return true;
    return false;
}

static void declared_names(names *n, char *text)
{
    for (char *open; (open = strstr(text, "/*")); ) {        /* comments become spaces */
        char *close = strstr(open, "*/");
        if (!close) break;
        memset(open, ' ', (size_t)(close + 2 - open));
    }
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    for (const char *at = text; (at = strstr(at, "lithe_")); ) {
        size_t length = strspn(at, letters);
        bool whole = at == text || !strchr(letters, at[-1]);
        if (whole && at[length] == '(') add_name(n, at, length);
        at += length;
    }
}

/* Dynamic symbols of an ELF file of this machine: those it gives and those it asks for. */
static bool dynamic_symbols(const mapping *m, names *given, names *asked)
{
    const Elf64_Ehdr *h = (const void *)m->data;
    if (m->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64) return false;
    if (h->e_shoff > m->size || (size_t)h->e_shnum * sizeof(Elf64_Shdr) > m->size - h->e_shoff) return false;
    const Elf64_Shdr *sections = (const void *)(m->data + h->e_shoff);
    for (int i = 0; i < h->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM || sections[i].sh_link >= h->e_shnum) continue;
        const Elf64_Sym *symbols = (const void *)(m->data + sections[i].sh_offset);
        const char *strings = (const char *)m->data + sections[sections[i].sh_link].sh_offset;
        for (size_t s = 1; s < sections[i].sh_size / sizeof *symbols; s++) {
            const char *name = strings + symbols[s].st_name;
            int type = ELF64_ST_TYPE(symbols[s].st_info);
            if (symbols[s].st_shndx == SHN_UNDEF) add_name(asked, name, strlen(name));
            else if (type == STT_FUNC || type == STT_OBJECT) {
                if (symbols[s].st_shndx != SHN_ABS) add_name(given, name, strlen(name));        /* not the version itself */
            }
        }
        return true;
    }
    return false;
}

static void exports_are_declared(void)
{
    static const char *const unwanted[] = { "printf", "__printf_chk", "vprintf", "puts", "putchar", "perror", "exit", "_exit", "quick_exit", "stdout", "stderr", "stdin" };
    lithe_error err = { 0 };
    names declared = { 0 }, given = { 0 }, asked = { 0 };
    mapping m;
    size_t size;
    char *header = file_read(test_file("include/lithe.h"), 1 << 20, &size, &err), *tools = file_read(test_file("include/lithe_tools.h"), 1 << 20, &size, &err);
    if (!header || !tools) test_skip("no lithe.h");
    if (!path_exists(test_file("build/liblithe.so.0"))) test_skip("no build/liblithe.so.0");
    CHECK_MSG(!file_map(&m, test_file("build/liblithe.so.0"), &err), "%s", err.text);
    declared_names(&declared, header);
    declared_names(&declared, tools);
    CHECK(dynamic_symbols(&m, &given, &asked) && declared.count > 50 && asked.count > 10);
    for (int i = 0; i < declared.count; i++) CHECK_MSG(has(&given, declared.name[i]), "%s is declared, not exported", declared.name[i]);
    for (int i = 0; i < given.count; i++) CHECK_MSG(has(&declared, given.name[i]), "%s is exported, not declared", given.name[i]);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++) CHECK_MSG(!has(&asked, unwanted[i]), "the library uses %s: it never prints and never exits", unwanted[i]);
    file_unmap(&m);
    free(header);
    free(tools);
}

const test tests_rooms[] = {
    { "rooms: the rule itself", the_rule_itself },
    { "rooms: includes point down", includes_point_down },
    { "rooms: file names are unique", names_are_unique },
    { "rooms: exports are what is declared", exports_are_declared },
    { 0 }
};
