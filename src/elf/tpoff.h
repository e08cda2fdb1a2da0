/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a module's thread-local storage lies, as its own relocations tell: the dynamic linker has
 * written how far each variable is from the thread pointer (R_*_TPOFF, System V ABI supplements).
 */
#ifndef GS_ELF_TPOFF_H
#define GS_ELF_TPOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/module.h"
#include "proc/mem.h"

/** Variables remembered; libc has some 20. */
enum { GS_TPOFF_MAX = 64 };

struct gs_tpoff {
	uint64_t block;		/* added to the thread pointer (mod 2^64): the module's TLS block */
	size_t n;
	uint64_t offsets[GS_TPOFF_MAX];	/* of variables in the block */
};

/**
 * Read the relocations of module. False if it has none, if they are not in memory, or if they do
 * not lead to one and the same block.
 */
bool gs_tpoff_read(struct gs_module *module, struct gs_mem *mem, struct gs_tpoff *ret);

/** Is there a variable at offset in the block? */
bool gs_tpoff_has(const struct gs_tpoff *tpoff, uint64_t offset);

#endif
