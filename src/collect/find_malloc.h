/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a process's malloc is and how it is laid out: by structure always, by symbols where
 * there are any, by debug information where no table knows the layout. What two ways both tell
 * must agree.
 */
#ifndef GS_COLLECT_FIND_MALLOC_H
#define GS_COLLECT_FIND_MALLOC_H

#include <stdbool.h>

#include "base/err.h"
#include "elf/module.h"
#include "heap/arena.h"
#include "model/snapshot.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/target.h"

struct gs_find_options {
	bool no_debuginfo;	/* structure and tables only */
	bool verify;		/* read the debug information too, and compare every offset */
};

/**
 * Find the malloc of libc. Fills *ret and snapshot->allocator; disagreements become warnings of
 * the snapshot. target may be NULL (cores): then no debug file is looked for below its root.
 * Errors: GS_ERR_NO_SYMBOLS where neither way leads to a malloc that can be read; the hint says
 * what would help.
 */
struct gs_err *gs_find_malloc(struct gs_target *target, const struct gs_module *libc,
			      const struct gs_maps *maps, struct gs_mem *mem,
			      const struct gs_threads *threads,
			      const struct gs_find_options *options,
			      struct gs_snapshot *snapshot, struct gs_malloc *ret);

#endif
