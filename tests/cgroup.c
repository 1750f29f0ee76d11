/* The control groups that bound this process, in a directory that stands for /proc and /sys. */
#include "base/cgroup.h"
#include "base/kernel_file.h"
#include "base/system.h"
#include "data_files.h"
#include "shell.h"
#include "test.h"

enum { MB = 1 << 20 };

static system_calls usual;

static int open_below(const char *path, int flags, mode_t mode)
{
    char below[600];
    snprintf(below, sizeof below, "%s%s", in_dir("root"), path);
    return usual.open(!strncmp(path, "/proc/self/", 11) || !strncmp(path, "/sys/", 5) ? below : path, flags, mode);
}

static double megabytes(double bytes) { return bytes / MB; }

/* Of what a shell command puts into ./proc/self and ./sys/fs/cgroup; 0: none, the machine's own. */
static void check_memory(const char *named, double limit, double available, const char *make)
{
    CHECK(sh("rm -rf root; mkdir -p root/proc/self root/sys/fs/cgroup; cd root; %s", make) == 0);
    const double machine = memory_limit(), free = memory_available();
    usual = os;
    os.open = open_below;
    const double found = memory_limit(), left = memory_available();
    os = usual;
    CHECK_MSG(limit > 0 ? megabytes(found) == limit : found == machine, "%s: %g MB, expected %g", named, megabytes(found), limit);
    CHECK_MSG(available > 0 ? megabytes(left) == available : left > free / 2, "%s: %g MB left, expected %g", named, megabytes(left), available);
}

/* group DIR LIMIT USED of version 2, in MB; "max" has none. */
#define V2 "group() { D=\"$1\"; mkdir -p \"$D\"; [ $2 = max ] && echo max > \"$D\"/memory.max || echo $(($2 << 20)) > \"$D\"/memory.max; echo $(($3 << 20)) > \"$D\"/memory.current; " \
           "printf 'anon 1\\ninactive_file 0\\nactive_file 0\\n' > \"$D\"/memory.stat; }; C=sys/fs/cgroup; "
#define V1 "group() { D=\"$1\"; mkdir -p \"$D\"; echo $(($2 << 20)) > \"$D\"/memory.limit_in_bytes; echo $(($3 << 20)) > \"$D\"/memory.usage_in_bytes; echo ${4:-1} > \"$D\"/memory.use_hierarchy; " \
           "printf 'cache 1\\ntotal_inactive_file 0\\ntotal_active_file 0\\n' > $1/memory.stat; }; C=sys/fs/cgroup/memory; NONE=8796093022207; "
#define SELF "> proc/self/cgroup echo "
#define MOUNTED ">> proc/self/mountinfo printf '%s\\n' "

static void version_two(void)
{
    check_memory("no group", 0, 0, ":");
    check_memory("the root", 0, 0, V2 SELF "0::/");
    check_memory("nothing bounded", 0, 0, V2 SELF "0::/a/b; group $C/a/b max 9; group $C/a max 9");
    check_memory("its own", 300, 200, V2 SELF "0::/a/b/c; group $C/a/b/c 300 100; group $C/a/b max 100; group $C/a 500 100");
    check_memory("its grandparent", 200, 30, V2 SELF "0::/a/b/c; group $C/a/b/c 300 100; group $C/a/b max 100; group $C/a 200 170");
    check_memory("two that bound", 200, 50, V2 SELF "0::/a/b; group $C/a/b 300 250; group $C/a 200 0");
    check_memory("pages of files", 300, 260, V2 SELF "0::/a; group $C/a 300 100; printf 'anon 1\\ninactive_file 41943040\\nactive_file 20971520\\n' > $C/a/memory.stat");
    check_memory("high", 150, 50, V2 SELF "0::/a; group $C/a 300 100; echo 157286400 > $C/a/memory.high");
    check_memory("high without max", 150, 50, V2 SELF "0::/a; group $C/a max 100; echo 157286400 > $C/a/memory.high");
    check_memory("no bound of high", 300, 200, V2 SELF "0::/a; group $C/a 300 100; echo max > $C/a/memory.high");
    check_memory("no use is known", 300, 300, V2 SELF "0::/a; group $C/a 300 100; rm $C/a/memory.current");
    check_memory("another place", 300, 200, V2 SELF "0::/a; group sys/else/a 300 100; " MOUNTED "'30 23 0:26 / /sys/else rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate'");
    check_memory("outside of what is seen", 300, 200, V2 SELF "0::/../../other; group $C 300 100");
    check_memory("lines of no group", 300, 200, V2 "group $C/a 300 100; printf '\\nnone\\n0:\\n%09000d\\n0::/a' 7 > proc/self/cgroup");
}

static void version_one(void)
{
    check_memory("no bound", 0, 0, V1 SELF "4:memory:/a; group $C/a $NONE 9; group $C $NONE 9");
    check_memory("its own", 300, 200, V1 "printf '9:name=systemd:/x\\n5:cpu,cpuacct:/x\\n4:memory:/a/b\\n' > proc/self/cgroup; group $C/a/b 300 100; group $C/a 400 100; group $C $NONE 9");
    check_memory("its parent", 300, 200, V1 SELF "4:memory:/a/b; group $C/a/b 400 100; group $C/a 300 100; group $C $NONE 9");
    check_memory("a parent that does not bound", 400, 300, V1 SELF "4:memory:/a/b; group $C/a/b 400 100; group $C/a 300 100 0; group $C $NONE 9 0");
    check_memory("of several controllers", 300, 200, V1 SELF "4:hugetlb,memory:/a; group $C/a 300 100");
    check_memory("another group's", 0, 0, V1 SELF "4:memory_of:/a; group $C/a 300 100");
    /* in a container without a name space of groups: its own group is what is mounted */
    check_memory("below a mounted group", 300, 200, V1 SELF "4:memory:/docker/a1/b; group $C/b 300 100; group $C 400 100; " MOUNTED "'33 24 0:28 /docker/a1 /sys/fs/cgroup/memory ro,nosuid master:11 - cgroup cgroup rw,memory'");
    check_memory("a mounted group", 400, 300, V1 SELF "4:memory:/docker/a1; group $C 400 100; " MOUNTED "'33 24 0:28 /docker/a1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory'");
    check_memory("not below a mounted group", 400, 300, V1 SELF "4:memory:/docker/a12; group $C 400 100; group ${C}2 1 1; " MOUNTED "'33 24 0:28 /docker/a1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory'");
    check_memory("mounted twice", 300, 200, V1 SELF "4:memory:/a; group sys/x/a 300 100; group sys/b 100 1; " MOUNTED "'33 24 0:28 /b /sys/b rw - cgroup cgroup rw,memory'; " MOUNTED "'34 24 0:28 / /sys/x rw - cgroup cgroup rw,memory'");
    check_memory("a name with a blank", 300, 200, V1 SELF "4:memory:/a; group 'sys/a b/a' 300 100; " MOUNTED "'33 24 0:28 / /sys/a\\040b rw - cgroup cgroup rw,memory'");
    check_memory("beside version 2", 300, 200, V1 "printf '0::/a\\n4:memory:/a\\n' > proc/self/cgroup; group $C/a 300 100; " MOUNTED "'25 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw'");
}

static void lines(void)
{
    char line[16], expected[5000];
    kernel_file f;
    CHECK(!kernel_first_line(in_dir("none"), line, sizeof line) && !*line);
    put_text_file("empty", "");
    CHECK(!kernel_first_line(in_dir("empty"), line, sizeof line) && !*line);
    CHECK(sh("printf 'a\\n\\n%%05000d\\n%%04095d\\nlast' 1 2 > lines") == 0);
    kernel_open(&f, in_dir("lines"));
    CHECK(!strcmp(kernel_line(&f), "a") && !strcmp(kernel_line(&f), ""));
    for (int i = 1; i < 3; i++) {
        snprintf(expected, sizeof expected, "%0*d", i == 1 ? 4999 : 4095, i == 1 ? 0 : 2);
        const char *found = kernel_line(&f);
        CHECK_MSG(strlen(found) == sizeof f.text - 1 && !strncmp(found, expected, sizeof f.text - 1), "line %d has %zu bytes", i, strlen(found));
    }
    CHECK(!strcmp(kernel_line(&f), "last") && !kernel_line(&f) && !kernel_line(&f));
    kernel_close(&f);
    CHECK(kernel_first_line(in_dir("lines"), line, sizeof line) && !strcmp(line, "a"));
}

const test tests_cgroup[] = {
    { "cgroup: limits of memory, version 2", version_two },
    { "cgroup: limits of memory, version 1", version_one },
    { "cgroup: lines of the kernel's files", lines },
    { 0 }
};
