/* The rooms as the source tree keeps them: includes and symbols point down, file
 * names are unique, the library exports what its headers declare and knows no
 * terminal. */
#include "base/system.h"
#include "test.h"
#include "tree.h"
#include <stdlib.h>

/* Each room and those it stands on directly; it reaches what they reach. */
static const struct { const char *name, *on; } rooms[] = {
    { "base", "" }, { "text", "base" }, { "kernels", "base" }, { "graph", "kernels" }, { "ops", "graph" }, { "arch", "ops" }, { "files", "kernels" },
    { "model", "arch files text" }, { "grow", "model" }, { "data", "text graph" }, { "infer", "model text" }, { "train", "grow data" }, { "eval", "infer data" }, { "report", "eval" },
    { "serve", "infer text" }, { "driver", "train infer" },
};
enum { ROOMS = sizeof rooms / sizeof *rooms };

/* Two seams carry all variety: what a room may not name though it stands on it. */
static const struct { const char *room, *file, *why; } hidden[] = {
    { "arch", "base/threads.", "parallelism is the kernels'" }, { "ops", "base/threads.", "parallelism is the kernels'" },
    { "infer", "base/threads.", "parallelism is the kernels'" }, { "serve", "base/threads.", "parallelism is the kernels'" },
    { "serve", "graph/", "a server knows no tensors" },
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

static const char *const public_headers[] = { "lithe.h", "lithe_tools.h", "lithe_eval.h", "lithe_serve.h", "lithe_runs.h", NULL };

/* What is wrong with a file of `room` ("cli" for the program) that includes `file` or asks for a symbol of it, NULL
 * when nothing is. */
static const char *fault(const char *room, const char *file)
{
    char to[64];
    const char *slash = strchr(file, '/');
    for (int i = 0; public_headers[i]; i++) if (!strcmp(file, public_headers[i])) return NULL;
    if (!strcmp(room, "cli")) return slash ? "the program sees lithe.h only" : NULL;
    if (!slash || (size_t)(slash - file) >= sizeof to) return "a header is named by its room";
    snprintf(to, sizeof to, "%.*s", (int)(slash - file), file);
    if (!is_room(to)) return "no such room";
    if (!reaches(room, to)) return "points up";
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (!strcmp(hidden[i].room, room) && !strncmp(file, hidden[i].file, strlen(hidden[i].file))) return hidden[i].why;
    return NULL;
}

static void the_rule_itself(void)
{
    CHECK(!fault("graph", "kernels/kernels.h") && !fault("infer", "base/file.h") && !fault("train", "data/data.h") && !fault("cli", "output.h") && !fault("ops", "lithe.h"));
    CHECK(fault("base", "text/bpe.h") && fault("kernels", "graph/graph.h") && fault("data", "model/model.h") && fault("infer", "data/data.h") && fault("text", "kernels/kernels.h"));
    CHECK(fault("model", "infer/infer.h") && fault("cli", "base/file.h") && fault("arch", "base/threads.h") && fault("serve", "graph/graph.h") && fault("ops", "ops.h") && fault("ops", "../ops/ops.h"));
    CHECK(!fault("infer", "kernels/kernels.c") && !fault("kernels", "base/threads.c") && fault("infer", "base/threads.c") && fault("train", "infer/generate.c"));
}

/* ---- the tree ------------------------------------------------------------------------ */

#define SOURCES ".c .h"

static void check_includes(const char *path, const char *room)
{
    char *text = tree_text(path);
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
        tree_walk(&t, dir, SOURCES, NULL);
        for (int f = 0; f < t.count; f++) check_includes(t.path[f], rooms[i].name);
        files += t.count;
        tree_leave(&t);
        free(dir);
    }
    tree_walk(&t, src, SOURCES, NULL);
    CHECK_MSG(files == t.count, "%d files of src/ lie in no room", t.count - files);
    tree_leave(&t);
    tree_walk(&t, test_file("cli"), SOURCES, NULL);
    for (int f = 0; f < t.count; f++) check_includes(t.path[f], "cli");
    CHECK(files > 50 && t.count > 0);
    tree_leave(&t);
    free(src);
}

/* ---- what was built of it ------------------------------------------------------------------ */

static void room_of(const char *file, char room[64]) { snprintf(room, 64, "%.*s", (int)strcspn(file, "/"), file); }

/* The objects of a source file: one, or one for each width of vectors. */
static bool add_objects(symbols *s, const char *source)
{
    static const char *const folders[] = { "build", "build/neon", "build/avx2", "build/avx512" };
    bool found = false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char name[400];
        snprintf(name, sizeof name, "%s/%.*s.o", folders[i], (int)strlen(source) - 2, source);
        if (path_exists(test_file(name))) found |= symbols_add(s, test_file(name), source);
    }
    return found;
}

/* The symbols of all objects, sorted; they stay. */
static const symbols *built_symbols(void)
{
    static tree t;
    static symbols s;
    static char *src;
    int objects = 0;
    src = strdup(test_file("src"));
    tree_walk(&t, src, ".c", NULL);
    if (!t.count || !path_exists(test_file("build/liblithe.so.0"))) test_skip("no source tree, or nothing built");
    for (int f = 0; f < t.count; f++) objects += add_objects(&s, t.path[f] + strlen(src) + 1);
    if (!objects) test_skip("the objects are not ELF of 64 bits");
    symbols_sort(&s);
    CHECK_MSG(objects > 100 && s.givens > 500, "%d objects give %zu symbols", objects, s.givens);
    return &s;
}

/* Symbol i that is asked for, who gives it, and the rooms of both; false where the file itself gives it, or nobody
 * does. */
typedef struct { const symbol *asked, *given; char from[64], to[64]; } call;

static bool call_at(const symbols *s, size_t i, call *c)
{
    *c = (call){ .asked = &s->asked[i], .given = symbols_given(s, s->asked[i].name) };
    if (!c->given || !strcmp(c->given->where, c->asked->where)) return false;
    room_of(c->asked->where, c->from);
    room_of(c->given->where, c->to);
    return true;
}

/* Headers do not say everything: what lithe.h declares can be called from any room. */
static void symbols_point_down(void)
{
    const symbols *s = built_symbols();
    call c;
    for (size_t i = 0; i < s->askeds; i++) {
        const char *why = call_at(s, i, &c) ? fault(c.from, c.given->where) : NULL;
        CHECK_MSG(!why, "%s -> %s: %s asks for %s of %s: %s", c.from, c.to, c.asked->where, c.asked->name, c.given->where, why);
    }
}

/* ---- the table of the system's calls ------------------------------------------------------------- */

/* Calls that can lose data or change a result when they fail, so tests must be able to fail them (base/system.h), and
 * where they may be made all the same. */
static const char tabled[] = "open openat creat fopen freopen fopencookie tmpfile opendir scandir read pread readv write pwrite writev lseek ftruncate truncate fallocate posix_fallocate "
                             "fsync fdatasync sync msync flock lockf stat lstat fstat fstatat statx access faccessat mkdir mkdirat mkdtemp mkstemp link linkat symlink rename renameat "
                             "renameat2 unlink unlinkat remove rmdir readlink realpath readdir mmap mremap statvfs fstatvfs popen system copy_file_range sendfile";
static const struct { const char *file, *call, *why; } untabled[] = {
    { "base/system.c", NULL, "the table" },
    { "base/writer.c", "fopencookie", "a stream whose bytes go through the table" },
    { "base/mapped_file.c", "mmap", "a handler of a signal puts zeros where nothing can be read" },
    { "data/stdin_file.c", "fstatvfs", "where it fails, the disk itself is the bound" },
};

/* "open" of "open64", "__open_2" and "__open64_2", "read" of "__read_chk". */
static void plain_name(const char *asked, char name[64])
{
    static const char *const ends[] = { "_chk", "_2", "64" };
    snprintf(name, 64, "%s", asked + (strncmp(asked, "__", 2) ? 0 : 2));
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(name), k = strlen(ends[i]);
        if (n > k && !strcmp(name + n - k, ends[i])) name[n - k] = 0;
    }
}

static bool goes_round(const char *file, const char *asked)
{
    char name[64];
    plain_name(asked, name);
    if (!word_in(tabled, name)) return false;
    for (size_t i = 0; i < sizeof untabled / sizeof *untabled; i++)
        if (!strcmp(file, untabled[i].file) && (!untabled[i].call || !strcmp(name, untabled[i].call))) return false;
    return true;
}

static void files_go_through_the_table(void)
{
    CHECK(goes_round("model/open.c", "open") && goes_round("model/open.c", "__open64_2") && goes_round("base/file.c", "__read_chk") && goes_round("base/mapped_file.c", "stat"));
    CHECK(!goes_round("base/system.c", "open") && !goes_round("base/mapped_file.c", "mmap") && !goes_round("base/file.c", "file_read") && !goes_round("base/file.c", "fwrite"));
    const symbols *s = built_symbols();
    int tables = 0;
    for (size_t i = 0; i < s->askeds; i++) {
        CHECK_MSG(!goes_round(s->asked[i].where, s->asked[i].name), "%s calls %s itself: what can lose data goes through os of base/system.h", s->asked[i].where, s->asked[i].name);
        tables += !strcmp(s->asked[i].where, "base/system.c") && goes_round("", s->asked[i].name);
    }
    CHECK_MSG(tables == sizeof os / sizeof(void (*)(void)), "%d calls are in the table of %zu", tables, sizeof os / sizeof(void (*)(void)));
}

/* What a verb writes keeps the reason of its first failed write (cli/output_file.h). */
static bool writes_by_stdio(const char *line)
{
    const char *opened = strstr(line, "fopen(");
    return opened && (strstr(opened, ", \"w") || strstr(opened, ", \"a")) && !strstr(opened, "\"/proc/");
}

static void the_program_writes_in_one_place(void)
{
    tree t = { 0 };
    CHECK(writes_by_stdio("    f = out ? fopen(path, \"w\") : stdout;") && writes_by_stdio("fopen(x, \"ab\")") && !writes_by_stdio("fopen(x, \"rb\")"));
    tree_walk(&t, test_file("cli"), ".c", NULL);
    if (!t.count) test_skip("no source tree");
    for (int f = 0; f < t.count; f++) {
        char *text = tree_text(t.path[f]), *rest = NULL;
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) CHECK_MSG(!writes_by_stdio(line), "%s: %s", t.path[f], line);
        free(text);
    }
    tree_leave(&t);
}

/* ---- circles ---------------------------------------------------------------------------------- */

/* Rooms whose files still call each other in circles. */
static const char circular[] = "data files text";

enum { ROOM_FILES = 100 };
typedef struct { const char *file[ROOM_FILES]; bool calls[ROOM_FILES][ROOM_FILES], done[ROOM_FILES]; int count; } room_calls;

static int file_of(room_calls *r, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->file[i], name)) return i;
    CHECK(r->count < ROOM_FILES);
    if (r->count == ROOM_FILES) return 0;
    r->file[r->count] = name;
    return r->count++;
}

static void read_calls(room_calls *r, const symbols *s, const char *room)
{
    call c;
    *r = (room_calls){ .count = 0 };
    for (size_t i = 0; i < s->askeds; i++)
        if (call_at(s, i, &c) && !strcmp(c.from, room) && !strcmp(c.to, room)) r->calls[file_of(r, c.asked->where)][file_of(r, c.given->where)] = true;
}

/* A file that calls none of those left is at the end of no circle; true while there is one. */
static bool take_away(room_calls *r)
{
    for (int i = 0; i < r->count; i++) {
        bool calls = r->done[i];
        for (int j = 0; j < r->count && !calls; j++) calls = r->calls[i][j] && !r->done[j];
        if (!calls) return r->done[i] = true;
    }
    return false;
}

static void files_call_one_way(void)
{
    const symbols *s = built_symbols();
    int calls = 0;
    for (int i = 0; i < ROOMS; i++) {
        room_calls r;
        read_calls(&r, s, rooms[i].name);
        while (take_away(&r)) calls++;
        if (word_in(circular, rooms[i].name)) continue;
        for (int f = 0; f < r.count; f++) CHECK_MSG(r.done[f], "%s calls files that lead back to it", r.file[f]);
    }
    CHECK(calls > 50);
}

static int by_base(const void *a, const void *b) { return strcmp(path_base(*(char *const *)a), path_base(*(char *const *)b)); }

static void check_unique(tree *t)
{
    qsort(t->path, (size_t)t->count, sizeof *t->path, by_base);
    for (int i = 1; i < t->count; i++) CHECK_MSG(strcmp(path_base(t->path[i - 1]), path_base(t->path[i])), "%s and %s", t->path[i - 1], t->path[i]);
    tree_leave(t);
}

static void names_are_unique(void)
{
    tree t = { 0 };
    tree_walk(&t, test_file("src"), SOURCES, NULL);
    tree_walk(&t, test_file("cli"), SOURCES, NULL);
    tree_walk(&t, test_file("include"), SOURCES, NULL);
    if (!t.count) test_skip("no source tree");
    check_unique(&t);
    tree_walk(&t, test_file("tests"), SOURCES, "fuzz");                 /* a fuzzer is called as the format it feeds */
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
    blank_comments(text);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    for (const char *at = text; (at = strstr(at, "lithe_")); ) {
        size_t length = strspn(at, letters);
        bool whole = at == text || !strchr(letters, at[-1]);
        if (whole && at[length] == '(') add_name(n, at, length);
        at += length;
    }
}

static void exports_are_declared(void)
{
    static const char *const unwanted[] = { "printf", "__printf_chk", "vprintf", "puts", "putchar", "perror", "exit", "_exit", "quick_exit", "stdout", "stderr", "stdin" };
    names declared = { 0 };
    symbols library = { 0 };
    if (!path_exists(test_file("build/liblithe.so.0"))) test_skip("no build/liblithe.so.0");
    if (!symbols_add(&library, test_file("build/liblithe.so.0"), "")) test_skip("the library is not ELF of 64 bits");
    symbols_sort(&library);
    char *texts[8] = { NULL };
    for (int i = 0; public_headers[i]; i++) {
        char path[64];
        snprintf(path, sizeof path, "include/%s", public_headers[i]);
        declared_names(&declared, texts[i] = tree_text(test_file(path)));
    }
    CHECK(declared.count > 50 && library.askeds > 10);
    for (int i = 0; i < declared.count; i++) CHECK_MSG(symbols_given(&library, declared.name[i]), "%s is declared, not exported", declared.name[i]);
    for (size_t i = 0; i < library.givens; i++) CHECK_MSG(has(&declared, library.given[i].name), "%s is exported, not declared", library.given[i].name);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++) CHECK_MSG(!symbols_asked(&library, unwanted[i]), "the library uses %s: it never prints and never exits", unwanted[i]);
    symbols_leave(&library);
    for (int i = 0; public_headers[i]; i++) free(texts[i]);
}

const test tests_rooms[] = {
    { "rooms: the rule itself", the_rule_itself },
    { "rooms: includes point down", includes_point_down },
    { "rooms: symbols point down", symbols_point_down },
    { "rooms: files go through the table", files_go_through_the_table },
    { "rooms: the program writes in one place", the_program_writes_in_one_place },
    { "rooms: files of a room call one way", files_call_one_way },
    { "rooms: file names are unique", names_are_unique },
    { "rooms: exports are what is declared", exports_are_declared },
    { 0 }
};
