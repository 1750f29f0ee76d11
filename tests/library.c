/* The library as `make install` leaves it: the programs of docs/library.md are
 * compiled against it without a warning and run, with the shared library and with the
 * static one, from C and from C++; each verb has its manual page; `make uninstall` leaves nothing. */
#include "shell.h"
#include "test.h"
#include <stdlib.h>

#define STRICT "-Wall -Wextra -Wshadow -Wpedantic -Werror" SANITIZE

/* A target of the Makefile with these variables; a make that called the tests is not this one's parent. */
static void make(const char *target)
{
    CHECK_MSG(sh("env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C $ROOT CFLAGS=\"-O2 -g" SANITIZE "\" %s", target) == 0, "%s%s", out, err);
}

/* Into usr/ of the test's own directory. */
static void install(void) { make("install PREFIX=$PWD/usr"); }

static void installed_files(void)
{
    install();
    CHECK_MSG(sh("for v in $(usr/bin/lithe help | sed -n 's/^  \\([a-z-]*\\)  .*/\\1/p'); do test -s usr/share/man/man1/lithe-$v.1 || echo no page for $v; done") == 0 && !*out, "%s%s", out, err);
    CHECK(sh("ls usr/share/man/man1/lithe-train.1 usr/lib/liblithe.so.0 usr/include/lithe.h usr/include/lithe_tools.h usr/include/lithe_eval.h usr/include/lithe_runs.h usr/share/zsh/site-functions/_lithe") == 0);
    TRANSCRIPTS({ "usr/bin/lithe --version", 0, "lithe 0", NULL }, { "usr/bin/lithe train", 2, NULL, "train on what?" });
    make("uninstall PREFIX=$PWD/usr");
    CHECK_MSG(sh("find usr ! -type d") == 0 && !*out, "make uninstall leaves %s%s", out, err);
}

/* The same build goes to other places: lithe.pc says where, and the program finds its library in DESTDIR too. */
static void other_places(void)
{
    make("install DESTDIR=$PWD/tree PREFIX=/opt/lithe LIBDIR=/opt/lithe/lib/multi/arch INCLUDEDIR=/opt/headers");
    TRANSCRIPTS({ "tree/opt/lithe/bin/lithe --version", 0, "lithe 0", NULL });
    CHECK(sh("export PKG_CONFIG_PATH=$PWD/tree/opt/lithe/lib/multi/arch/pkgconfig; pkg-config --modversion lithe; "
             "for v in prefix libdir includedir; do pkg-config --variable=$v lithe; done; pkg-config --libs-only-L lithe; grep -c '^libdir=${prefix}' $PKG_CONFIG_PATH/lithe.pc") == 0);
    CHECK_MSG(!strcmp(out, "0.1.0\n/opt/lithe\n/opt/lithe/lib/multi/arch\n/opt/headers\n-L/opt/lithe/lib/multi/arch \n1\n"), "%s", out);
    make("uninstall DESTDIR=$PWD/tree PREFIX=/opt/lithe LIBDIR=/opt/lithe/lib/multi/arch INCLUDEDIR=/opt/headers");
    CHECK_MSG(sh("find tree ! -type d") == 0 && !*out, "make uninstall leaves %s", out);
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

/* Without the shared library the same flags link the static one, in which only public functions are global. */
static void statically(void)
{
    install();
    extract("docs/library.md");
    CHECK_MSG(sh("nm -g --defined-only usr/lib/liblithe.a | awk 'NF == 3 && $3 !~ /^lithe_/'") == 0 && !*out, "liblithe.a gives %s", out);
    CHECK_MSG(sh("export PKG_CONFIG_PATH=$PWD/usr/lib/pkgconfig; strict='${CC:-cc} -std=c11 " STRICT "'; flags=$(pkg-config --static --cflags --libs lithe); "
                 "eval $strict generate.c $(echo $flags | sed 's/-llithe/-l:liblithe.a/') -o generate && rm usr/lib/liblithe.so* && eval $strict train.c $flags -o train && "
                 "! ldd train generate | grep liblithe") == 0 && !*out && !*err, "%s%s", out, err);
    CHECK_MSG(sh("./train $ROOT/docs/commands.md run") == 0 && !*err && strstr(out, "step 200 of 200: "), "%s%s", out, err);
}

static void headers(void)
{
    CHECK_MSG(sh("for h in $ROOT/include/*.h; do ${CC:-cc} -std=c11 -fsyntax-only " STRICT " -Wstrict-prototypes -x c $h || exit 1; done") == 0 && !*err, "%s", err);
}

static void from_cpp(void)
{
    if (sh("command -v g++")) test_skip("no g++");
    install();
    CHECK_MSG(sh("for h in usr/include/*.h; do for std in 11 17 20; do g++ -std=c++$std -fsyntax-only " STRICT " -x c++ $h || exit 1; done; done") == 0 && !*err, "%s", err);
    CHECK_MSG(sh("cat > t.cc <<'END'\n"
                 "#include <lithe_eval.h>\n#include <lithe_runs.h>\n#include <lithe_serve.h>\n#include <lithe_tools.h>\n#include <cstdio>\n"
                 "int main()\n{\n    lithe_error err = {};\n    lithe_train_options o = {};\n    o.size = sizeof o;\n"
                 "    lithe_tokenizer *t = lithe_tokenizer_open(\"bytes\", &err);\n    std::printf(\"%%s %%d\\n\", lithe_version(), lithe_tokenizer_vocab(t));\n"
                 "    lithe_tokenizer_close(t);\n    return lithe_model_open(\"absent\", nullptr, &err) != nullptr || err.status != LITHE_EIO;\n}\nEND\n"
                 "export PKG_CONFIG_PATH=$PWD/usr/lib/pkgconfig; g++ -std=c++17 " STRICT " t.cc $(pkg-config --cflags --libs lithe) -Wl,-rpath,$PWD/usr/lib -o t && ./t") == 0 && !*err, "%s", err);
    CHECK_MSG(!strcmp(out, "0.1.0 256\n"), "%s", out);
}

const test tests_library[] = {
    { "library: what is installed", installed_files },
    { "library: the programs of docs/library.md", programs },
    { "library: a program is linked statically", statically },
    { "library: it is installed to other places", other_places },
    { "library: headers are C", headers },
    { "library: a program in C++", from_cpp },
    { 0 }
};
