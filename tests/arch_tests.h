/* The parts of the list in arch.c that have a file of their own. */
#ifndef TEST_ARCH_TESTS_H
#define TEST_ARCH_TESTS_H

#include "golden.h"

DECLARE_LEVELS(decoding_is_the_full_pass)             /* arch_equal.c */
DECLARE_LEVELS(rows_do_not_see_neighbours)
DECLARE_LEVELS(threads_do_not_matter)
DECLARE_LEVELS(parts_are_the_step)
DECLARE_LEVELS(published_checkpoints)                 /* arch_published.c */
DECLARE_LEVELS(published_rwkv)

#endif
