/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose a segment is, where several copies of malloc have segments outside the brk area. */
#ifndef GS_HEAP_SEGMENT_OWNER_H
#define GS_HEAP_SEGMENT_OWNER_H

#include <stdbool.h>

#include "heap/arena.h"
#include "heap/ranges.h"
#include "heap/walk.h"
#include "proc/mem.h"

/**
 * Does the segment extent belong to another copy of malloc than m? The lists that its binned
 * chunks are in lead to the arena that owns them. images: of all copies, sorted. False also if
 * nothing in it is binned, or no list could be followed to its end.
 */
bool gs_segment_is_rivals(struct gs_mem *mem, const struct gs_malloc *m,
			  const struct gs_ranges *images, const struct gs_extent *extent);

#endif
