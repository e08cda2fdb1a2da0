/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The link map: in which order the dynamic linker of a target searches its modules. */
#ifndef GS_ELF_LINKMAP_H
#define GS_ELF_LINKMAP_H

#include <stddef.h>

#include "elf/module.h"

/**
 * The modules of the program's own namespace in link order, read from mem where it is present.
 * Returns an array of *ret_len modules (the caller frees the array); empty or cut short if the
 * link map cannot be read.
 */
struct gs_module **gs_linkmap_read(const struct gs_modules *modules, struct gs_mem *mem,
				   size_t *ret_len);

#endif
