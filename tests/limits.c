/* What need not end, or is larger than what holds it, is refused within a bound that the message names. */
#include "shell.h"
#include "test.h"

#define TRAIN "timeout 20 $L train "
#define RUN " --tokenizer bytes --ctx 16 --batch 2 --steps 1 -q --out "

/* Texts, sets of images and logs that are a hole of 1 TB, which takes no room on the disk. */
static void holes(void)
{
    CHECK(sh("for f in hole.txt hole.jsonl hole.csv hole-images-idx3-ubyte; do truncate -s 1T $f; done; cp hole-images-idx3-ubyte hole-labels-idx1-ubyte; seq 2000 > t.txt; $L train t.txt --params 20k" RUN "run; truncate -s 1T run/log.jsonl") == 0);
    TRANSCRIPTS(
        { TRAIN "hole.txt" RUN "a", 3, NULL, "hole.txt: is 1099511627776 bytes, but only 0 of them are stored" },
        { TRAIN "hole.jsonl" RUN "a", 3, NULL, "hole.jsonl: is 1099511627776 bytes, but only 0" },
        { TRAIN "hole.csv --task classify --arch bert" RUN "a", 3, NULL, "hole.csv: is 1099511627776 bytes, but only 0" },
        { TRAIN "hole-images-idx3-ubyte --arch vit --steps 1 --out a", 3, NULL, "hole-images-idx3-ubyte: is 1099511627776 bytes, but only 0" },
        { "timeout 20 $L train-tokenizer hole.txt --vocab 300 --out t.json", 3, NULL, "hole.txt: is 1099511627776 bytes" },
        { "timeout 20 $L eval run --text hole.txt", 3, NULL, "hole.txt: is 1099511627776 bytes" },
        { TRAIN "--resume run", 3, NULL, "run/log.jsonl: is 1099511627776 bytes, at most 1073741824" },
        { "timeout 20 $L report run --out r.html", 3, NULL, "run/log.jsonl: is 1099511627776 bytes, at most 1073741824" });
}

/* Devices that do not end, where a file or a stream is read. */
static void endless_devices(void)
{
    CHECK(sh("seq 2000 > t.txt; $L train t.txt --params 20k" RUN "run") == 0);
    TRANSCRIPTS(
        { TRAIN "/dev/zero" RUN "a", 2, NULL, "/dev/zero: is not a regular file" },
        { TRAIN "t.txt --config /dev/zero" RUN "a", 3, NULL, "/dev/zero: does not end within 16 MB" },
        { "timeout 20 $L serve run --port 0 --api-key-file /dev/zero", 3, NULL, "/dev/zero: does not end within 16 MB" },
        { "timeout 20 $L tokenize /dev/zero", 2, NULL, "/dev/zero: is not a regular file" },
        { "timeout 20 $L inspect /dev/zero", 2, NULL, "/dev/zero: is not a regular file" });
}

/* The temporary file of standard input takes half of what is free. */
static void endless_input(void)
{
    static const char mounted[] = "mkdir -p small; unshare -m sh -c 'mount -t tmpfs -o size=4m tmpfs small && %s'";
    if (sh(mounted, ":")) test_skip("a small file system is mounted, which needs root");
    CHECK(sh(mounted, "yes | TMPDIR=$PWD/small " TRAIN "- " RUN "a; r=$?; ls -A small; exit $r") == 4 && !*out);
    CHECK(strstr(err, "standard input: does not end within 2 MB, half of what is free in") != NULL);
}

static void links_and_one_class(void)
{
    CHECK(sh("mkdir d; seq 2000 > d/a.txt; for i in 1 2 3 4 5; do ln -s . d/x$i; done; " TRAIN "d --params 20k" RUN "run") == 0);
    CHECK(sh("mkdir -p f/cat; cp $ROOT/tests/golden/images/grey.png f/cat/; for i in 1 2 3; do ln -s .. f/cat/x$i; done; ls f/cat/grey.png") == 0);
    TRANSCRIPTS({ TRAIN "f --arch vit --steps 1 --out a", 2, NULL, "the images are of one class, \"cat\"; a classifier needs at least 2" });
}

const test tests_limits[] = {
    { "limits: holes", holes },
    { "limits: devices that do not end", endless_devices },
    { "limits: input that does not end", endless_input },
    { "limits: links that loop, images of one class", links_and_one_class },
    { 0 }
};
