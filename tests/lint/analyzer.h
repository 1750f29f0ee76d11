/* What an analyzer that sees one file at a time does not know: fail() returns the status that it is given, which is a
 * failure. */
#include "base/error.h"
#define fail(err, status, ...) (fail(err, status, __VA_ARGS__), (int)(status))
