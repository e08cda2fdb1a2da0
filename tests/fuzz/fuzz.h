/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a fuzz target defines. Its driver is libFuzzer (--enable-fuzzing) or replay.c. */
#ifndef GS_TESTS_FUZZ_H
#define GS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** Try one input: returns 0; anything wrong aborts or is seen by a sanitizer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
