/* docs/extending.md as code: its operation and its architecture are joined to the
 * library, and pass what every architecture of the registry passes. */
#include "shell.h"
#include "test.h"
#include <stdlib.h>

/* Blocks of C go where the line before them says: "`src/ops/x.c`:" is a file, "In `src/ops/ops.h`:" lines for one that
 * is there. */
static void extract(void)
{
    CHECK_MSG(sh("mkdir -p src/ops src/arch && awk '"
                 "/^(In )?`src\\/[a-z_]+\\/[a-z_0-9]+\\.[ch]`:$/ { split($0, part, \"`\"); file = part[2] (/^In / ? \".lines\" : \"\"); next } "
                 "/^```c$/ { inside = 1; next } /^```$/ { inside = 0; file = \"\" } inside && file { print > file }' $ROOT/docs/extending.md && "
                 "ls src/*/*.c src/*/*.lines") == 0, "%s", err);
    CHECK_MSG(!strcmp(out, "src/arch/qwen3_example.c\nsrc/arch/registry.c.lines\nsrc/ops/head_rms_norm.c\nsrc/ops/ops.h.lines\n"), "docs/extending.md has %s", out);
}

static void examples_are_whole(void)
{
    extract();
    CHECK_MSG(sh("sed '/^tensor \\*rms_norm(/r src/ops/ops.h.lines' $ROOT/src/ops/ops.h > src/ops/ops.h && "
                 "sed '/^ *EACH(llama)/r src/arch/registry.c.lines' $ROOT/src/arch/registry.c > src/arch/registry.c && "
                 "ln -s $ROOT/docs $ROOT/tests . && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C $ROOT examples EXAMPLE=$PWD CFLAGS=\"-O2 -g" SANITIZE "\"") == 0, "%s%s", out, err);
    setenv("LITHE_TEST_ARCH", "qwen3_example", 1);
    CHECK_MSG(sh("build/tests suite: && build/tests gradients. && build/tests plans:") == 0, "%s%s", out, err);
    CHECK_MSG(strstr(out, "suite: a run that is interrupted goes on") && strstr(out, "gradients.in double") && !strstr(out, "\n0 passed"), "%s", out);
}

/* Files that the page names, but for those of the reader's own and of the examples. */
static void files_are_there(void)
{
    CHECK(sh("grep -oE '`(src|tests|tools|cli|docs)/[A-Za-z0-9_./]+`' $ROOT/docs/extending.md | tr -d '`' | grep -vE 'NAME|qwen3|head_rms_norm' | sort -u > names; "
             "test $(wc -l < names) -gt 10 && while read name; do test -e $ROOT/$name || echo $name; done < names") == 0);
    CHECK_MSG(!*out, "docs/extending.md names what is not there: %s", out);
}

const test tests_extending[] = {
    { "extending: the files that the page names", files_are_there },
    { "extending: the examples of docs/extending.md", examples_are_whole },
    { 0 }
};
