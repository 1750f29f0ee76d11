/* Pictures by the program: train, resume, evaluate, classify, grow; and what a
 * person gets wrong. */
#include "base/file.h"
#include "base/random.h"
#include "data/image.h"
#include "test.h"
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char out[1 << 16], err[1 << 16];

static void read_back(const char *name, char *text, size_t cap)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, cap - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
}

/* Runs a shell command in the test's directory, $L the program, $P the folder of golden pictures. */
static int sh(const char *command)
{
    char line[4000];
    if (access(test_file("build/lithe"), X_OK)) test_skip("build/lithe is not built");
    setenv("L", test_file("build/lithe"), 1);
    setenv("P", test_file("tests/golden/images"), 1);
    snprintf(line, sizeof line, "cd '%s' && { %s\n} > out 2> err < /dev/null", test_dir(), command);
    fflush(stdout);
    int status = system(line);
    read_back("out", out, sizeof out);
    read_back("err", err, sizeof err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

typedef struct { const char *command; int code; const char *out, *err; } transcript;     /* what must be in them; NULL: whatever */

static void check(const transcript *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int code = sh(t[i].command);
        CHECK_MSG(code == t[i].code, "%s: exit code %d, expected %d; %.300s", t[i].command, code, t[i].code, err);
        CHECK_MSG(!t[i].out || strstr(out, t[i].out), "%s: stdout is \"%.300s\"", t[i].command, out);
        CHECK_MSG(!t[i].err || strstr(err, t[i].err), "%s: stderr is \"%.300s\"", t[i].command, err);
    }
}

/* IDX files of 8 x 8 pictures of four classes, a stroke in each its own row. */
static void put_strokes(const char *part, int count)
{
    char path[600];
    lithe_error e = { 0 };
    static uint8_t bytes[16 + 200 * 64];
    memcpy(bytes, (uint8_t[]){ 0, 0, 8, 3, 0, 0, 0, (uint8_t)count, 0, 0, 0, 8, 0, 0, 0, 8 }, 16);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 64; k++) bytes[16 + i * 64 + k] = (uint8_t)((k / 8 / 2 == i % 4 ? 180 : 20) + (int)(random_u64((uint64_t)i, (uint64_t)k) % 60));
    snprintf(path, sizeof path, "%s/set", test_dir());
    CHECK(!dir_make(path, &e));
    snprintf(path, sizeof path, "%s/set/%s-images-idx3-ubyte", test_dir(), part);
    CHECK(!file_write(path, bytes, 16 + (size_t)count * 64, &e));
    bytes[3] = 1;
    for (int i = 0; i < count; i++) bytes[8 + i] = (uint8_t)(i % 4);
    snprintf(path, sizeof path, "%s/set/%s-labels-idx1-ubyte", test_dir(), part);
    CHECK_MSG(!file_write(path, bytes, 8 + (size_t)count, &e), "%s", e.text);
}

static void from_pictures_to_classes(void)
{
    static const transcript steps[] = {
        { "$L train set --arch tokenformer_vit --params 25k --steps 90 --batch 16 --lr 5e-3 --augment none --eval-every 0 --out run", 0, "run\n", "pictures   8 x 8, grey, in patches of 2" },
        { "$L eval run --task set --json", 0, "\"examples\":40", NULL },
        { "$L eval run --task set", 0, "1.0000 accuracy", NULL },
        { "$L train --resume run --steps 94", 0, "run\n", NULL },
        { "$L grow run --params 2x --out big", 0, "largest logit difference 0 ", NULL },
        { "$L eval big --task set", 0, "1.0000 accuracy", NULL },
        { "$L train set --from big --steps 2 --batch 8 --augment none --out again", 0, "again\n", "from big" },
        { "grep -q ViTImageProcessor big/preprocessor_config.json && grep -q '\"3\": \"3\"' big/config.json", 0, NULL, NULL },
        { "$L train set --steps 2 --params 20k --patch 4 --out vit && $L inspect vit", 0, "vit.embeddings.patch_embeddings.projection.weight", "in patches of 4" },
        { "$L plan vit", 0, NULL, NULL },
        { "sed '/id2label/,/}/d; /label2id/,/}/d' vit/config.json > c.json; grep -q '\"num_labels\"' c.json || sed -i '1a \\  \"num_labels\": 4,' c.json; "
          "$L train set --config c.json --steps 2 --out named && grep -q id2label named/config.json", 0, NULL, NULL },
    };
    put_strokes("train", 120);
    put_strokes("t10k", 40);
    check(steps, sizeof steps / sizeof *steps);
}

static void classes_of_files(void)
{
    if (!strstr(image_formats(), "PNG") || !strstr(image_formats(), "JPEG")) test_skip("this build reads no PNG or no JPEG");
    static const transcript steps[] = {
        { "$L train set --params 20k --steps 2 --out run", 0, NULL, NULL },
        { "$L classify run $P/grey.png $P/rgb.jpg", 0, "\t0.", NULL },
        { "$L classify run $P/grey.png --json --top 4", 0, "\"labels\":[{\"label\":\"", NULL },
        { "$L classify run nothing.png", 3, "", "nothing.png" },
        { "head -c 300 $P/rgb.png > cut.png; $L classify run cut.png", 3, "", "cut.png: a damaged PNG file" },
        { "echo hello > text.png; $L classify run text.png", 3, "", "neither a PNG nor a JPEG" },
        { "$L classify run $P/grey.png --pair two", 2, "", "--pair" },
    };
    put_strokes("train", 40);
    check(steps, sizeof steps / sizeof *steps);
}

static void what_goes_wrong(void)
{
    static const transcript steps[] = {
        { "$L train set --params 20k --steps 2 --out run", 0, NULL, NULL },
        { "$L generate run hello", 2, "", "has no tokenizer" },
        { "echo some text > t.txt; $L eval run --text t.txt --tokenizer bytes", 3, "", "the vocabulary of run is 0" },
        { "$L train t.txt --arch vit --out no", 2, "", "no set of labelled pictures" },
        { "$L train set --patch 3 --out no", 2, "", "patches of 3 do not divide" },
        { "$L train set --params 3 --out no", 3, "", "too few for a vit" },
        { "printf 'xx' > set/t10k-images-idx3-ubyte; $L train set --steps 2 --out no", 3, "", "does not begin like an IDX file" },
        { "mkdir -p other/kite && cp $P/grey.png other/kite && $L eval run --task other", 3, "", "is of class \"kite\"" },
    };
    put_strokes("train", 40);
    check(steps, sizeof steps / sizeof *steps);
}

const test tests_image_cli[] = {
    { "pictures: by the program, from pictures to classes", from_pictures_to_classes },
    { "pictures: by the program, classes of files", classes_of_files },
    { "pictures: by the program, what goes wrong", what_goes_wrong },
    { 0 }
};
