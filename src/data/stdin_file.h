/* Standard input can be read once, and is needed more often: all of it goes to a file without a name. */
#ifndef DATA_STDIN_FILE_H
#define DATA_STDIN_FILE_H

#include "base/mapped_file.h"

/* Maps it, as often as asked for.  It may take half of what is free for temporary files, since it need not end. */
int stdin_map(mapping *m, lithe_error *err);

#endif
