/* Files that are installed beside the library. */
#ifndef BASE_BESIDE_H
#define BASE_BESIDE_H

/* What knows MPI (train/transport.h); lithe was built without Open MPI where it is absent. */
#define TRANSPORT_FILE "liblithe_mpi.so"

/* The path of a file in the directory of this library, or of the program that holds it, or in lithe/ below, where
 * `make install` puts it; free() it.  NULL: no memory. */
char *path_beside_library(const char *name);

#endif
