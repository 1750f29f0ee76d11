#include "base/system.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int open_file(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static int open_in(int dir, const char *name, int flags, mode_t mode) { return openat(dir, name, flags, mode); }
static char *follow_links(const char *path, char *to) { return realpath(path, to); }

system_calls os = { .open = open_file, .openat = open_in, .read = read, .write = write, .lseek = lseek, .ftruncate = ftruncate, .fsync = fsync, .flock = flock,
                    .stat = fstatat, .mkdir = mkdir, .link = link, .rename = rename, .unlinkat = unlinkat, .realpath = follow_links, .readdir = readdir, .mmap = mmap };
