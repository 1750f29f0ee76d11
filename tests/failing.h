/* Makes one call of this process fail: an allocation of the library, or a call of the system that goes through
 * base/system.h.  The Makefile links the tests so that allocations come here. */
#ifndef TEST_FAILING_H
#define TEST_FAILING_H

#define CALLS(X) X(memory, ENOMEM) X(open, EMFILE) X(read, EIO) X(write, ENOSPC) X(lseek, EIO) X(ftruncate, EIO) X(fsync, EIO) X(flock, ENOLCK) \
    X(stat, EIO) X(mkdir, EACCES) X(link, EXDEV) X(rename, EIO) X(unlinkat, EIO) X(realpath, EIO) X(readdir, EIO) X(mmap, ENOMEM)
#define X(name, reason) CALL_##name,
enum { CALLS(X) CALL_COUNT, NO_CALL = -1, MOST_POINTS = 20000 };
#undef X
extern const char *const call_names[CALL_COUNT];

/* From here on calls go through this file, and fsync, which would take long, does nothing. */
void failing_open(void);
void failing_close(void);

/* Lets the calls of a kind be counted until failing_end, and fail call `which`, from 0; NO_CALL: none. */
void failing_begin(int call, int which);
void failing_end(void);
int  failing_seen(void);                                /* the calls of that kind */

/* Of the calls that were counted last, those that are worth failing, in points[]: of allocations one for each list of
 * callers, of calls of the system each.  Returns how many, which are at most `most`, evenly thinned; with LITHE_FAULTS
 * all of them. */
int  failing_points(int points[MOST_POINTS], int most);

#endif
