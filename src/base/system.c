#include "base/system.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

system_calls os = { open_file, read, write, ftruncate, fsync, mkdir, link, rename, unlinkat, readdir, mmap };
