/* Sets of labelled images: IDX, CIFAR records, class folders and archives,
 * their parts and classes, and files that lie. */
#include "data/image_set.h"
#include "base/file.h"
#include "base/writer.h"
#include "test.h"
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *name, const void *bytes, size_t size)
{
    lithe_error err = { 0 };
    char *parent = path_parent(in_dir(name));
    CHECK_MSG(!dir_make(parent, &err) && !file_write(in_dir(name), bytes, size, &err), "%s", err.text);
    free(parent);
}

/* An IDX file of `count` images of 2 x 3 (rank 3), or of labels i mod 7 (rank 1). */
static void put_idx(const char *name, int rank, int count)
{
    uint8_t bytes[1000] = { 0, 0, 8, (uint8_t)rank, 0, 0, 0, (uint8_t)count, 0, 0, 0, 2, 0, 0, 0, 3 };
    size_t header = 4 + 4 * (size_t)rank, n = (size_t)count * (rank == 3 ? 6 : 1);
    for (size_t i = 0; i < n; i++) bytes[header + i] = (uint8_t)(rank == 3 ? i : i % 7);
    put(name, bytes, header + n);
}

static int read_item(const image_set *s, size_t i, image *out, lithe_error *err)
{
    const image_item item = image_set_item(s, i);
    return image_item_read(&item, out, err);
}

static image_set *open_one(const char *path, lithe_error *err)
{
    *err = (lithe_error){ 0 };
    return image_set_open(&path, 1, err);
}

static void refused(const char *path, lithe_status status, const char *part)
{
    lithe_error err = { 0 };
    image_set *s = open_one(path, &err);
    CHECK_MSG(!s && err.status == status && strstr(err.text, part), "%s: %d %s", path, err.status, err.text);
    image_set_close(s);
}

static void idx_files(void)
{
    lithe_error err = { 0 };
    image i;
    put_idx("m/train-images-idx3-ubyte", 3, 20);
    put_idx("m/train-labels-idx1-ubyte", 1, 20);
    put_idx("m/t10k-images-idx3-ubyte", 3, 5);
    put_idx("m/t10k-labels-idx1-ubyte", 1, 5);
    image_set *s = open_one(in_dir("m"), &err);
    CHECK_MSG(s, "%s", err.text);
    if (!s) return;
    CHECK(image_set_count(s) == 25 && image_set_classes(s) == 7 && !strcmp(image_set_class(s, 6), "6") && image_set_known(in_dir("m")));
    CHECK(!image_set_keep(s, PART_VALID) && image_set_keep(s, PART_TRAIN) && image_set_count(s) == 20);
    CHECK(image_set_item(s, 9).label == 2);
    CHECK(!read_item(s, 9, &i, &err) && i.width == 3 && i.height == 2 && i.channels == 1 && i.pixels[5] == 59);
    image_free(&i);
    image_set_close(s);
    put_idx("few/train-images-idx3-ubyte", 3, 20);
    refused(in_dir("few"), LITHE_EFORMAT, "no file of labels");
    put_idx("few/train-labels-idx1-ubyte", 1, 19);
    refused(in_dir("few"), LITHE_EFORMAT, "19 labels for the 20 images");
    refused(in_dir("few/train-labels-idx1-ubyte"), LITHE_EINVAL, "holds labels");
    put("bad/a-images-idx3-ubyte", "\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
    refused(in_dir("bad"), LITHE_EFORMAT, "samples");
    put("wide/a-images-idx3-ubyte", "\0\0\x08\x03\0\0\0\0\xff\xff\xff\xff\0\0\0\0", 16);
    refused(in_dir("wide"), LITHE_EFORMAT, "pixels");
    put("signed/a-images-idx3-ubyte", "\0\0\x09\x03", 4);
    refused(in_dir("signed"), LITHE_EFORMAT, "does not begin");
}

static void cifar_records(void)
{
    lithe_error err = { 0 };
    image i;
    static uint8_t ten[2 * 3073], hundred[3 * 3074];
    ten[0] = 9;
    ten[1] = 200;                       /* red of the first pixel; green and blue lie planes later */
    ten[1 + 1024] = 100;
    ten[1 + 2048] = 50;
    put("data_batch_1.bin", ten, sizeof ten);
    image_set *s = open_one(in_dir("data_batch_1.bin"), &err);
    CHECK_MSG(s && image_set_count(s) == 2 && image_set_classes(s) == 2, "%s", err.text);
    CHECK(s && !strcmp(image_set_item(s, 0).class_name, "truck") && image_set_item(s, 0).label == 1 && !strcmp(image_set_class(s, 0), "airplane"));
    CHECK(s && !read_item(s, 0, &i, &err) && i.pixels[0] == 200 && i.pixels[1] == 100 && i.pixels[2] == 50 && !i.pixels[3]);
    image_free(&i);
    image_set_close(s);
    for (int k = 0; k < 3; k++) { hundred[3074 * k] = 19; hundred[3074 * k + 1] = (uint8_t)(90 + k); }
    put("h/train.bin", hundred, sizeof hundred);
    s = open_one(in_dir("h"), &err);
    CHECK_MSG(s && image_set_count(s) == 3 && image_set_classes(s) == 3 && !strcmp(image_set_class(s, 2), "92"), "%s", err.text);
    image_set_close(s);
    char names[2000] = "";
    for (int k = 0; k < 100; k++) sprintf(names + strlen(names), "kind%02d\n", k);
    put("h/fine_label_names.txt", names, strlen(names));
    s = open_one(in_dir("h"), &err);
    CHECK_MSG(s && !strcmp(image_set_class(s, 0), "kind90"), "%s", err.text);
    image_set_close(s);
    put("short.bin", ten, 3072);
    refused(in_dir("short.bin"), LITHE_EFORMAT, "no records");
    ten[0] = 10;
    put("high.bin", ten, sizeof ten);
    refused(in_dir("high.bin"), LITHE_EFORMAT, "no records");
}

/* f/train/{cat,dog}/N.png, f/test/dog/0.png, all the same image. */
static void put_folders(void)
{
    static const char *const names[] = { "f/train/dog/10.png", "f/train/dog/2.PNG", "f/train/cat/1.png", "f/test/dog/0.png" };
    size_t size;
    lithe_error err = { 0 };
    char *bytes = file_read(test_file("tests/golden/images/grey.png"), 1 << 20, &size, &err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) put(names[i], bytes, size);
    put("f/train/dog/notes.txt", "x", 1);
    free(bytes);
}

static void check_folders(const char *path)
{
    lithe_error err = { 0 };
    image_set *s = open_one(path, &err);
    CHECK_MSG(s, "%s", err.text);
    if (!s) return;
    CHECK(image_set_known(path) && image_set_count(s) == 4 && image_set_classes(s) == 2 && !strcmp(image_set_class(s, 0), "cat"));
    CHECK(image_set_keep(s, PART_TRAIN) && image_set_count(s) == 3);
    int dogs = 0;
    for (size_t k = 0; k < 3; k++) {
        image i;
        dogs += image_set_item(s, k).label;
        if (strstr(image_formats(), "PNG")) CHECK_MSG(!read_item(s, k, &i, &err) && i.width == 37, "%s", err.text);
        image_free(&i);
    }
    CHECK(dogs == 2);
    image_set_close(s);
}

static void class_folders(void)
{
    put_folders();
    check_folders(in_dir("f"));
    put("loose/1.png", "x", 1);
    refused(in_dir("loose"), LITHE_EFORMAT, "folder named after its class");
    put("none/readme.txt", "x", 1);
    refused(in_dir("none"), LITHE_EINVAL, "holds no images");
    refused(in_dir("nowhere"), LITHE_EIO, "nowhere");
    put("text.csv", "a,b", 3);
    refused(in_dir("text.csv"), LITHE_EINVAL, "no set");
    put("two/a.bin", "x", 1);
    put("two/b.tar", "x", 1);
    refused(in_dir("two"), LITHE_EINVAL, "different kinds");
}

static void archives(void)
{
    char command[3000];
    static const char *const options[] = { "--format=ustar -cf %s/u.tar", "--format=gnu -czf %s/g.tar.gz", "--format=posix -czf %s/p.tgz" };
    static const char *const names[] = { "u.tar", "g.tar.gz", "p.tgz" };
    put_folders();
    for (int i = 0; i < 3; i++) {
        int n = snprintf(command, sizeof command, "tar -C %s ", test_dir());
        n += snprintf(command + n, sizeof command - (size_t)n, options[i], test_dir());
        snprintf(command + n, sizeof command - (size_t)n, " f");
        CHECK_MSG(!system(command), "fails: %s", command);
        check_folders(in_dir(names[i]));
    }
    char folder[150];                                            /* names that do not fit a header's 100 bytes */
    memset(folder, 'n', sizeof folder - 1);
    folder[sizeof folder - 1] = 0;
    snprintf(command, sizeof command, "cd %s && mkdir -p long/%s/cat && cp f/train/cat/1.png long/%s/cat && tar --format=gnu -cf lg.tar long && tar --format=posix -cf lp.tar long",
             test_dir(), folder, folder);
    CHECK(!system(command));
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        image_set *s = open_one(in_dir(i ? "lg.tar" : "lp.tar"), &err);
        CHECK_MSG(s && image_set_count(s) == 1 && !strcmp(image_set_class(s, 0), "cat") && strstr(image_set_item(s, 0).name, folder), "%s", err.text);
        image_set_close(s);
    }
    size_t size;
    lithe_error err = { 0 };
    char *bytes = file_read(in_dir("u.tar"), 1 << 20, &size, &err);
    put("cut.tar", bytes, 2100);
    put("begun.tar", bytes, 1700);
    bytes[0] ^= 1;
    put("sum.tar", bytes, size);
    free(bytes);
    refused(in_dir("cut.tar"), LITHE_EFORMAT, "middle of a file");
    refused(in_dir("begun.tar"), LITHE_EFORMAT, "middle of a header");
    refused(in_dir("sum.tar"), LITHE_EFORMAT, "sum of a header");
}

static void classes_by_name(void)
{
    lithe_error err = { 0 };
    char *bird = (char[]){ "bird" }, *dog = (char[]){ "dog" }, *cat = (char[]){ "cat" };
    const label_names known = { (char *[]){ bird, dog, cat }, 3 }, fewer = { (char *[]){ bird, dog }, 2 };
    put_folders();
    image_set *s = open_one(in_dir("f"), &err);
    CHECK_MSG(s, "%s", err.text);
    if (!s) return;
    CHECK(image_set_relabel(s, &fewer, &err) == LITHE_EFORMAT && strstr(err.text, "\"cat\"") && strstr(err.text, "none of the 2"));
    err = (lithe_error){ 0 };
    CHECK_MSG(!image_set_relabel(s, &known, &err) && image_set_classes(s) == 3, "%s", err.text);
    for (size_t i = 0; i < image_set_count(s); i++)
        CHECK(image_set_item(s, i).label == (strcmp(image_set_item(s, i).class_name, "cat") ? 1 : 2));
    image_set_close(s);
    s = open_one(in_dir("f"), &err);                    /* cats are in the training part alone: nobody asks for them */
    CHECK(s && image_set_keep(s, PART_TEST) && !image_set_relabel(s, &fewer, &err) && image_set_count(s) == 1 && image_set_item(s, 0).label == 1);
    image_set_close(s);
}

/* An image costs its bytes, not a record of ours besides. */
static void many_small_images(void)
{
    enum { IMAGES = 3 << 20 };
    lithe_error err = { 0 };
    uint8_t *bytes = calloc(16 + IMAGES, 1);
    memcpy(bytes, (uint8_t[]){ 0, 0, 8, 3, 0, IMAGES >> 16, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1 }, 16);
    put("one-images-idx3-ubyte", bytes, 16 + IMAGES);
    bytes[3] = 1;
    memset(bytes + 8, 0, 8);
    bytes[8 + IMAGES - 1] = 7;
    put("one-labels-idx1-ubyte", bytes, 8 + IMAGES);
    free(bytes);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    image_set *s = open_one(in_dir("one-images-idx3-ubyte"), &err);
    CHECK_MSG(s && image_set_count(s) == IMAGES && image_set_classes(s) == 2 && image_set_item(s, IMAGES - 1).label == 1, "%s", err.text);
    CHECK_MSG(mallinfo2().uordblks + mallinfo2().hblkhd < before + (1 << 20), "%zu bytes taken", mallinfo2().uordblks + mallinfo2().hblkhd - before);
    image_set_close(s);
}

/* Links to directories lead back or elsewhere: they are passed over, in looking as in reading.  So is what a folder
 * hides. */
static void links_and_hidden_names(void)
{
    lithe_error err = { 0 };
    char command[3000];
    put("text/a.txt", "text", 4);
    CHECK(!symlink(".", in_dir("text/x")) && !symlink(".", in_dir("text/y")) && !symlink("..", in_dir("text/z")));
    CHECK(!image_set_known(in_dir("text")));
    put_folders();
    CHECK(!symlink("../..", in_dir("f/train/back")));
    check_folders(in_dir("f"));
    put("f/train/.ipynb_checkpoints/1.png", "x", 1);
    put("f/train/dog/._1.png", "x", 1);
    put("f/train/__MACOSX/dog/1.png", "x", 1);
    check_folders(in_dir("f"));
    snprintf(command, sizeof command, "tar -C %s --exclude=back -cf %s/hidden.tar f", test_dir(), test_dir());
    CHECK_MSG(!system(command), "fails: %s", command);
    check_folders(in_dir("hidden.tar"));
    CHECK(!err.status);
}

static void check_left_out(const char *path, const char *expected)
{
    lithe_error err = { 0 };
    char shown[2048];
    image_set *s = open_one(path, &err);
    const char *said = s ? image_set_left_out(s, &err) : err.text;
    snprintf(shown, sizeof shown, "%s", said ? said : "nothing");
    for (char *at; (at = strstr(shown, test_dir())); ) memmove(at, at + strlen(test_dir()), strlen(at + strlen(test_dir())) + 1);
    CHECK_MSG(!strcmp(shown, expected), "%s, expected %s", shown, expected);
    image_set_close(s);
}

/* A link to a file is that file, in a folder as in an archive of it, where one may lead to another file of it. */
static void links_to_files(void)
{
    lithe_error err = { 0 };
    char command[3000], folder[150];
    memset(folder, 'n', sizeof folder - 1);
    folder[sizeof folder - 1] = 0;
    put_folders();
    snprintf(command, sizeof command, "cd %s/f/train && ln -s 1.png cat/soft.png && ln cat/1.png dog/hard.png && mkdir -p %s/wolf && ln cat/1.png %s/wolf/1.png && ln -s ../%s/wolf/1.png dog/far.png && "
             "ln -s nowhere.png cat/broken.png && cd ../.. && tar --format=gnu -cf lg.tar f && tar --format=posix -cf ./lp.tar ./f", test_dir(), folder, folder, folder);
    CHECK_MSG(!system(command), "fails: %s", command);
    const char *const paths[] = { in_dir("f"), in_dir("lg.tar"), in_dir("lp.tar") };
    size_t counts[3] = { 0 }, per_class[3][8] = { { 0 } };
    for (int i = 0; i < 3; i++) {
        image_set *s = open_one(paths[i], &err);
        CHECK_MSG(s, "%s: %s", paths[i], err.text);
        counts[i] = s ? image_set_count(s) : 0;
        for (size_t k = 0; k < counts[i]; k++) per_class[i][image_set_item(s, k).label]++;
        const char *said = s ? image_set_left_out(s, &err) : NULL;
        CHECK_MSG(said && strstr(said, "1 links") && strstr(said, "broken.png"), "%s: %s", paths[i], said ? said : "nothing");
        image_set_close(s);
    }
    CHECK_MSG(counts[0] && counts[1] == counts[0] && counts[2] == counts[0] && !memcmp(per_class[0], per_class[1], sizeof *per_class) && !memcmp(per_class[0], per_class[2], sizeof *per_class),
              "%zu images, in archives %zu and %zu", counts[0], counts[1], counts[2]);
}

/* What a set leaves out is counted and named, in a folder as in an archive of it. */
static void left_out(void)
{
    char command[3000];
    put_folders();
    check_left_out(in_dir("f"), "1 of a format that is not read (/f/train/dog/notes.txt)");
    put("f/train/dog/9.bmp", "x", 1);
    put("f/train/wolf/1.webp", "x", 1);
    put("f/train/dog/._1.png", "x", 1);
    CHECK(!symlink("../..", in_dir("f/train/back")));
    check_left_out(in_dir("f"), "3 of a format that is not read (/f/train/dog/9.bmp, ...), 1 hidden (/f/train/dog/._1.png), 1 links (/f/train/back)");
    snprintf(command, sizeof command, "cd %s && tar --sort=name -cf left.tar f", test_dir());
    CHECK(system(command) == 0);
    check_left_out(in_dir("left.tar"), "3 of a format that is not read (/left.tar/f/train/dog/9.bmp, ...), 1 hidden (/left.tar/f/train/dog/._1.png), 1 links (/left.tar/f/train/back)");
}

/* The published sets, as far as they lie here: counts, and the first records' labels. */
static void published_sets(void)
{
    static const struct { const char *path; image_part part; size_t count; const char *first; } sets[] = {
        { "images/mnist", PART_TRAIN, 60000, "5" }, { "images/mnist", PART_TEST, 10000, "7" },
        { "images/cifar10/test-500.bin.gz", PART_NONE, 500, NULL }, { "images/cifar10/test-2000-jpg.tar.gz", PART_TEST, 2000, "airplane" },
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        lithe_error err = { 0 };
        image_set *s = open_one(test_data(sets[i].path), &err);
        CHECK_MSG(s, "%s", err.text);
        if (!s) continue;
        if (sets[i].part) CHECK(image_set_keep(s, sets[i].part));
        CHECK_MSG(image_set_count(s) == sets[i].count && image_set_classes(s) == 10, "%s: %zu", sets[i].path, image_set_count(s));
        CHECK(!sets[i].first || !strcmp(image_set_item(s, 0).class_name, sets[i].first));
        image_set_close(s);
    }
}

static void put_list(const char *name, const char *text) { put(name, text, strlen(text)); }

/* A list names its files, from its own folder on or from the root, and their classes, or their folders do. */
static void lists(void)
{
    lithe_error err = { 0 };
    size_t size;
    char *bytes = file_read(test_file("tests/golden/images/grey.png"), 1 << 20, &size, NULL), text[1500], here[4096];
    put("l/cat/1.png", bytes, size);
    put("l/mat/2.png", bytes, size);
    free(bytes);
    put_list("l/said.txt", "cat/1.png\tfirst\r\n\nmat/2.png\tsecond\ncat/1.png\tsecond");
    image_set *s = open_one(in_dir("l/said.txt"), &err);
    CHECK_MSG(s && image_set_count(s) == 3 && image_set_classes(s) == 2 && !strcmp(image_set_class(s, 0), "first"), "%s", err.text);
    image_set_close(s);
    snprintf(text, sizeof text, "%s\nmat/2.png\n", in_dir("l/cat/1.png"));
    put_list("l/folders.lst", text);
    s = open_one(in_dir("l/folders.lst"), &err);
    CHECK_MSG(s && image_set_count(s) == 2 && image_set_classes(s) == 2 && !strcmp(image_set_class(s, 1), "mat"), "%s", err.text);
    image_set_close(s);
    CHECK(getcwd(here, sizeof here) && !chdir(in_dir("l")));
    s = open_one("said.txt", &err);
    CHECK_MSG(s && image_set_count(s) == 3, "%s", err.text);
    image_set_close(s);
    CHECK(!chdir(here));
    put_list("l/absent.list", "cat/1.png\tfirst\n\nabsent.png\tsecond\n");
    refused(in_dir("l/absent.list"), LITHE_EIO, "absent.list: line 3: there is no file ");
    put_list("l/folder.txt", "cat/1.png\ncat\n");
    refused(in_dir("l/folder.txt"), LITHE_EIO, "folder.txt: line 2: there is no file ");
    snprintf(text, sizeof text, "cat/1.png\t%01000d\n", 1);
    put_list("l/long.txt", text);
    refused(in_dir("l/long.txt"), LITHE_EFORMAT, "the name of a class of 1000 bytes");
    put_list("l/none.txt", "a text that names no image\n");
    refused(in_dir("l/none.txt"), LITHE_EINVAL, "is no set of labelled images");
}

/* A pipe may be named as a list is: it is not waited for.  Where it is, the alarm ends the test. */
static void pipes(void)
{
    lithe_error err = { 0 };
    CHECK(!mkfifo(in_dir("pipe.txt"), 0600));
    alarm(20);
    CHECK(!image_set_known(in_dir("pipe.txt")));
    image_set *s = image_set_open((const char *[]){ in_dir("pipe.txt") }, 1, &err);
    alarm(0);
    CHECK(!s && err.status && strstr(err.text, "pipe.txt"));
    image_set_close(s);
}

const test tests_image_sets[] = {
    { "images: pipes are not waited for", pipes },
    { "images: IDX files", idx_files },
    { "images: CIFAR records", cifar_records },
    { "images: class folders", class_folders },
    { "images: archives", archives },
    { "images: classes by name", classes_by_name },
    { "images: many small images", many_small_images },
    { "images: links and hidden names", links_and_hidden_names },
    { "images: links to files", links_to_files },
    { "images: what is left out is said", left_out },
    { "images: lists of files", lists },
    { "images: published sets", published_sets },
    { 0 }
};
