/* Who trains a run at this moment, as its file `lock` says and the system knows. */
#ifndef CLI_RUN_PROCESS_H
#define CLI_RUN_PROCESS_H

typedef enum {
    RUN_LEFT,           /* nobody */
    RUN_ELSEWHERE,      /* a process on another machine, `host` */
    RUN_HERE            /* process `pid` of this one, of which the bytes of memory are known */
} run_state;
typedef struct { run_state state; long pid; char host[65]; double resident, peak; } run_process;

run_process run_process_of(const char *run);

#endif
