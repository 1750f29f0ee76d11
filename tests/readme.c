/* What README says a person can type is typed: its commands are taken out of it and run in their order, on small files
 * of the names that they have, and made small themselves. */
#include "tree.h"
#include "shell.h"
#include "test.h"
#include <stdlib.h>
#include <unistd.h>

#define MPIRUN "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe"

/* Every file and folder that a command of README names. */
static const char make_files[] =
    "i=0; while [ $i -lt 400 ]; do echo \"the $((i % 7)) ships of $((i % 11)) kings sail north, and number $i returns.\"; i=$((i+1)); done > my.txt; "
    "mkdir -p novels digits/one digits/two; cp my.txt novels/a.txt; sed 's/north/south/' my.txt > novels/b.txt; head -c 4000 my.txt > held-out.txt; "
    "{ printf 'text\\tlabel\\n'; for i in $(seq 60); do printf 'a good and fine film %s\\tup\\na bad and poor film %s\\tdown\\n' $i $i; done; } > reviews.tsv; cp reviews.tsv held-out.tsv; printf 'id,text\\n1,a good film\\n2,a bad film\\n' > new.csv; "
    "for i in 1 2 3 4 5 6 7 8; do cp $ROOT/tests/golden/images/grey.png digits/one/$i.png; "
    "cp $ROOT/tests/golden/images/rgb.png digits/two/$i.png; done; cp digits/one/1.png photo.png; "
    "for a in gpt2 llama; do $L train my.txt --arch $a --params 60k --ctx 64 --steps 2 --threads 1 -q --no-sample --out made-$a >made && mkdir $a && cp -r made-$a/ckpt-2/. $a || exit 1; done";

/* Numbers that make a command long, and what stands for them. */
static const char *const smaller[][2] = {
    { "--params 3M", "--params 60k" }, { "--time 10m", "--steps 4" }, { "--steps 20k", "--steps 6" }, { "--ctx 256", "--ctx 32" }, { "--ctx 512", "--ctx 32" },
    { "mpirun -n", MPIRUN " -n" },
};

static void replace(char *text, size_t size, const char *from, const char *to)
{
    char *at = strstr(text, from), rest[2000];
    if (!at) return;
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
}

static void append(char *text, size_t size, const char *more) { snprintf(text + strlen(text), size - strlen(text), " %s", more); }

/* A command as it is run here: `lithe` is the program, and what says nothing of its length or size is small. */
static void make_small(char *text, size_t size)
{
    for (size_t i = 0; i < sizeof smaller / sizeof *smaller; i++) replace(text, size, smaller[i][0], smaller[i][1]);
    const bool trains = strstr(text, "lithe train ") != NULL, from = strstr(text, "--from") != NULL, resumes = strstr(text, "--resume") != NULL;
    if (trains && !resumes && !strstr(text, "--steps")) append(text, size, "--steps 4");
    if (trains && !resumes && !from && !strstr(text, "--params")) append(text, size, "--params 60k");
    if (trains && !resumes && !from && !strstr(text, "--task") && !strstr(text, "--ctx") && !strstr(text, "digits")) append(text, size, "--ctx 64");
    if (trains && !resumes) append(text, size, strstr(text, "--batch") ? "--eval-windows 2" : "--eval-windows 2 --batch 4");
    if (strstr(text, "lithe generate")) append(text, size, "--max-tokens 8");
    replace(text, size, "lithe ", "$L ");
}

static void commands_are_typed(void)
{
    if (access(test_file("README.md"), R_OK)) test_skip("no source tree");
    CHECK_MSG(sh("%s", make_files) == 0, "%s%s", out, err);
    char *text = tree_text(test_file("README.md"));
    int run = 0, makes = 0;
    const bool mpi = sh("command -v mpirun") == 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char command[2400];
        makes += !strncmp(line, "    make ", 9);
        if (strncmp(line, "    lithe ", 10) && strncmp(line, "    mpirun ", 11)) continue;
        line[strcspn(line, "#")] = 0;
        snprintf(command, sizeof command, "%s", line + 4);
        if (!strncmp(command, "mpirun", 6) && !mpi) continue;
        make_small(command, sizeof command);
        CHECK_MSG(sh("LITHE_NUM_THREADS=1; export LITHE_NUM_THREADS; %s", command) == 0, "%s\n  as %s: %s%s", line, command, out, err);
        run++;
    }
    free(text);
    CHECK_MSG(run > 20 && makes >= 2, "%d commands of README were run, and %d of make", run, makes);
}

/* Within the first screen a newcomer finds what can be done at once. */
static void first_screen(void)
{
    enum { LINES = 40 };
    static const char *const shown[] = { "    make run", "    make test", "    lithe train my.txt\n", "    lithe generate gpt2/", "    lithe classify runs/reviews --table new.csv", "    lithe classify runs/digits photo.png" };
    if (access(test_file("README.md"), R_OK)) test_skip("no source tree");
    char *text = tree_text(test_file("README.md")), *end = text;
    for (int i = 0; i < LINES && end; i++) { end = strchr(end, '\n'); if (end) end++; }
    CHECK(end);
    if (end) *end = 0;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) CHECK_MSG(strstr(text, shown[i]), "not within the first %d lines of README: %s", LINES, shown[i]);
    free(text);
}

const test tests_readme[] = {
    { "readme: its commands are typed", commands_are_typed },
    { "readme: the first screen", first_screen },
    { 0 },
};
