#include "run_process.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4400 };

/* A lock may outlive its process, whose number is then another's: only who has the log open is the trainer.  Of a
 * process of another user that is not to be seen, and its number must do. */
static bool has_open(long pid, const char *log)
{
    char folder[64], path[400];
    struct stat wanted, open;
    bool found = false;
    snprintf(folder, sizeof folder, "/proc/%ld/fd", pid);
    DIR *dir = stat(log, &wanted) ? NULL : opendir(folder);
    if (!dir && errno == EACCES) return true;
    for (struct dirent *e; dir && !found && (e = readdir(dir)); ) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        found = !stat(path, &open) && open.st_dev == wanted.st_dev && open.st_ino == wanted.st_ino;
    }
    if (dir) closedir(dir);
    return found;
}

static void read_memory(run_process *p)
{
    char path[64], line[200];
    double kilobytes;
    snprintf(path, sizeof path, "/proc/%ld/status", p->pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmRSS: %lf", &kilobytes) == 1) p->resident = 1024 * kilobytes;
        if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1) p->peak = 1024 * kilobytes;
    }
    if (f) fclose(f);
}

run_process run_process_of(const char *run)
{
    run_process p = { .state = RUN_LEFT };
    char path[PATH_ROOM], here[65] = "";
    snprintf(path, sizeof path, "%s/lock", run);
    FILE *f = fopen(path, "r");
    bool named = f && fscanf(f, "process %ld on %64s", &p.pid, p.host) == 2 && p.pid > 0;
    if (f) fclose(f);
    if (!named) return p;
    gethostname(here, sizeof here - 1);
    if (strcmp(here, p.host)) { p.state = RUN_ELSEWHERE; return p; }
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    if (!has_open(p.pid, path)) return p;
    p.state = RUN_HERE;
    read_memory(&p);
    return p;
}
