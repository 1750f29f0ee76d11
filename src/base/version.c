/* The library's version, in one place. */
#include "lithe.h"

const char *lithe_version(void) { return "0.1.0"; }
