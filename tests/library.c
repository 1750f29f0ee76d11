/* The library as `make install` leaves it: the programs of docs/library.md are
 * compiled against it without a warning and run, the headers are C and C++, each
 * verb has its manual page. */
#include "shell.h"
#include "test.h"
#include <stdlib.h>

#define STRICT "-Wall -Wextra -Wshadow -Wpedantic -Werror" SANITIZE

/* Into usr/ of the test's own directory; a make that called the tests is not this one's parent. */
static void install(void)
{
    CHECK_MSG(sh("env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C $ROOT install PREFIX=$PWD/usr") == 0, "%s%s", out, err);
}

static void installed_files(void)
{
    install();
    CHECK_MSG(sh("for v in $(usr/bin/lithe help | sed -n 's/^  \\([a-z-]*\\)  .*/\\1/p'); do test -s usr/share/man/man1/lithe-$v.1 || echo no page for $v; done") == 0 && !*out, "%s%s", out, err);
    CHECK(sh("ls usr/share/man/man1/lithe-train.1 usr/lib/liblithe.so.0 usr/include/lithe.h usr/include/lithe_tools.h usr/include/lithe_runs.h usr/share/zsh/site-functions/_lithe") == 0);
    TRANSCRIPTS({ "usr/bin/lithe --version", 0, "lithe 0", NULL }, { "usr/bin/lithe train", 2, NULL, "train on what?" });
}

/* The blocks of C of a page, each to the file that its first line names: "train.c: ...". */
static void extract(const char *page)
{
    CHECK(sh("awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside { if ($0 ~ /^\\/\\* [a-z_]+\\.c: /) { file = $2; sub(\":\", \"\", file) } print > file }' $ROOT/%s && ls *.c", page) == 0);
}

static void programs(void)
{
    install();
    extract("docs/library.md");
    CHECK_MSG(!strcmp(out, "generate.c\ntrain.c\n"), "docs/library.md has %s", out);
    CHECK_MSG(sh("export PKG_CONFIG_PATH=$PWD/usr/lib/pkgconfig; for p in train generate; do ${CC:-cc} -std=c11 " STRICT
                 " $p.c $(pkg-config --cflags --libs lithe) -Wl,-rpath,$PWD/usr/lib -o $p || exit 1; done") == 0 && !*out && !*err, "%s%s", out, err);
    CHECK_MSG(sh("./train $ROOT/docs/commands.md run") == 0 && !*err, "%s", err);
    const char *last = strstr(out, "step 200 of 200: ");
    double first = 0, end = 0;
    CHECK_MSG(sscanf(out, "step 0 of 200: %lf", &first) == 1 && last && sscanf(last, "step 200 of 200: %lf", &end) == 1 && end < 0.8 * first, "%s", out);
    CHECK_MSG(sh("./generate run 'The option'") == 0 && strlen(out) > 20 && strstr(out, "\n(ended: ") && !*err, "%s%s", out, err);
    TRANSCRIPTS(
        { "./train nothing other", 1, NULL, "train: nothing: cannot open, no such file" }, { "./generate nothing text", 1, NULL, "generate: nothing: cannot open, no such file" },
        { "./train", 2, NULL, "usage" }, { "test ! -e other", 0, NULL, NULL }, { "usr/bin/lithe train --resume run", 0, "", "run" },
        { "usr/bin/lithe eval run --text $ROOT/README.md", 0, "bits per byte", NULL });
}

/* Each alone, and from C++ with a structure of options. */
static void headers(void)
{
    CHECK_MSG(sh("for h in lithe.h lithe_tools.h lithe_runs.h; do ${CC:-cc} -std=c11 -fsyntax-only " STRICT " -Wstrict-prototypes -x c $ROOT/include/$h || exit 1; done") == 0 && !*err, "%s", err);
    if (sh("command -v g++")) test_skip("no g++");
    CHECK_MSG(sh("printf '#include <lithe_tools.h>\\nint main() { lithe_train_options o = {}; o.size = sizeof o; lithe_error e = {}; return lithe_model_open(\"\", nullptr, &e) != nullptr; }\\n' > t.cc && "
                 "g++ -std=c++11 -fsyntax-only " STRICT " -I$ROOT/include t.cc") == 0 && !*err, "%s", err);
}

const test tests_library[] = {
    { "library: what is installed", installed_files },
    { "library: the programs of docs/library.md", programs },
    { "library: headers are C and C++", headers },
    { 0 }
};
