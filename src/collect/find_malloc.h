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

/** What a search works with. Borrowed. */
struct gs_find {
	/* For debug files below its root; may be NULL. */
	struct gs_target *target;
	const struct gs_maps *maps;
	struct gs_mem *mem;
	const struct gs_threads *threads;
	bool no_debuginfo;	/* structure and tables only */
	bool verify;		/* read the debug information too, and compare every offset */
	const char *version;	/* for a copy of malloc without a banner, or NULL */
};

/**
 * Find the malloc of libc. Fills *ret and snapshot->allocator; disagreements become warnings of
 * the snapshot. Errors: GS_ERR_NO_SYMBOLS where neither way leads to a malloc that can be read;
 * the hint says what would help.
 */
struct gs_err *gs_find_malloc(const struct gs_find *where, struct gs_module *libc,
			      struct gs_snapshot *snapshot, struct gs_malloc *ret);

#endif
