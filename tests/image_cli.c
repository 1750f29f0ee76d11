/* Images by the program: train, resume, evaluate, classify, grow; and what a
 * person gets wrong. */
#include "base/file.h"
#include "base/writer.h"
#include "base/random.h"
#include "data/image.h"
#include "shell.h"
#include "test.h"
#include <unistd.h>

/* IDX files of 8 x 8 images of four classes, a stroke in each its own row. */
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

static void from_images_to_classes(void)
{
    put_strokes("train", 120);
    put_strokes("t10k", 40);
    TRANSCRIPTS(
        { "$L train set --arch tokenformer_vit --params 25k --steps 90 --batch 16 --lr 5e-3 --augment none --eval-every 0 --out run", 0, "run\n", "images     8 x 8, greyscale, in patches of 2" },
        { "$L eval run --task set --json", 0, "\"examples\":40", "" },
        { "$L eval run --task set", 0, "1.0000 accuracy", "" },
        { "$L train --resume run --steps 94", 0, "run\n", "" },
        { "$L grow run --params 2x --method A --out exact", 0, "largest logit difference 0 ", "" },
        { "$L grow run --params 2x --out big --json | grep -o '\"max_difference\":[^,]*' | awk -F: '{ exit !($2 <= 1e-5) }'", 0, "", "" },
        { "$L eval big --task set", 0, "1.0000 accuracy", "" },
        { "$L train set --from big --steps 2 --batch 8 --augment none --out again", 0, "again\n", "images/s" },
        { "grep -q ViTImageProcessor big/preprocessor_config.json && grep -q '\"3\": \"3\"' big/config.json", 0, "", "" },
        { "$L train set --steps 2 --params 20k --patch 4 --out vit && $L inspect vit", 0, "vit.embeddings.patch_embeddings.projection.weight", "in patches of 4" },
        { "$L plan vit", 0, "", "" },
        { "sed '/id2label/,/}/d; /label2id/,/}/d' vit/config.json > c.json; grep -q '\"num_labels\"' c.json || sed -i '1a \\  \"num_labels\": 4,' c.json; "
          "$L train set --config c.json --steps 2 --out named && grep -q id2label named/config.json", 0, "", "" });
}

static void classes_of_files(void)
{
    if (!strstr(image_formats(), "PNG") || !strstr(image_formats(), "JPEG")) test_skip("this build reads no PNG or no JPEG");
    put_strokes("train", 40);
    TRANSCRIPTS(
        { "$L train set --params 20k --steps 2 --out run", 0, "", "" },
        { "$L classify run $ROOT/tests/golden/images/grey.png $ROOT/tests/golden/images/rgb.jpg", 0, "\t0.", "" },
        { "$L classify run $ROOT/tests/golden/images/grey.png --json --top 4", 0, "\"labels\":[{\"label\":\"", "" },
        { "$L classify run nothing.png", 3, NULL, "nothing.png" },
        { "head -c 300 $ROOT/tests/golden/images/rgb.png > cut.png; $L classify run cut.png", 3, NULL, "cut.png: a damaged PNG file" },
        { "echo hello > text.png; $L classify run text.png", 3, NULL, "neither a PNG nor a JPEG" },
        { "$L classify run $ROOT/tests/golden/images/grey.png --pair two", 2, NULL, "--pair" });
}

static void what_goes_wrong(void)
{
    put_strokes("train", 40);
    TRANSCRIPTS(
        { "$L train set --params 20k --steps 2 --out run", 0, "", "" },
        { "$L generate run hello", 3, NULL, "a vit reads images, not text" },
        { "echo some text > t.txt; $L eval run --text t.txt --tokenizer bytes", 3, NULL, "a vit reads images, not text" },
        { "$L train t.txt --arch vit --out no", 2, NULL, "no set of labelled images" },
        { "$L train set --patch 3 --out no", 2, NULL, "patches of 3 do not divide" },
        { "$L train set --params 3 --out no", 3, NULL, "too few for a vit" },
        { "printf 'xx' > set/t10k-images-idx3-ubyte; $L train set --steps 2 --out no", 3, NULL, "does not begin like an IDX file" },
        { "mkdir -p other/kite && cp $ROOT/tests/golden/images/grey.png other/kite && $L eval run --task other", 3, "", "is of class \"kite\"" });
}

const test tests_image_cli[] = {
    { "images: by the program, from images to classes", from_images_to_classes },
    { "images: by the program, classes of files", classes_of_files },
    { "images: by the program, what goes wrong", what_goes_wrong },
    { 0 }
};
