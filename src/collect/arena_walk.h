/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One arena, walked into a snapshot: its heaps or segments, one after the other. */
#ifndef GS_COLLECT_ARENA_WALK_H
#define GS_COLLECT_ARENA_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collect/reading.h"
#include "heap/arena.h"
#include "heap/fastlinks.h"
#include "heap/page_scan.h"
#include "heap/ranges.h"
#include "heap/walk.h"
#include "model/snapshot.h"
#include "proc/residency.h"

/** The heaps of one arena as they are walked. */
struct gs_heap_list {
	struct gs_heap *data;
	size_t len, cap;
};

/** One arena's walk. The first part is the caller's, and serves for all arenas. */
struct gs_arena_walk {
	struct gs_reading *r;
	struct gs_walker *walker;
	struct gs_page_scan *scan;
	const struct gs_ranges *exclude;	/* heaps of thread arenas, sorted */
	size_t index;				/* of the arena in the ring */
	struct gs_arena_state state;

	struct gs_residency residency;		/* reused from heap to heap */
	/* What a walk of this arena adds; begun anew when it is walked again. */
	struct gs_heap_list heaps;
	struct { struct gs_pin_words *data; size_t len, cap; } pins;
	uint64_t what_if[GS_WHAT_IF_N];
	uint64_t changed_chunks;
	unsigned passes;
	bool has_gap;		/* memory of it was not found because of what is in swap */
	bool take_fastlinks;	/* the arena's fastbins are not listed */
	struct gs_fastlinks fastlinks;
};

/**
 * Walk one extent and append it to walk->heaps. has_arena: its header holds the malloc_state.
 * reserved: bytes of address space from its start on. Returns the heap (valid until the next
 * call), or NULL if it vanished.
 */
struct gs_heap *gs_arena_walk_extent(struct gs_arena_walk *walk, const struct gs_extent *extent,
				     bool has_arena, uint64_t reserved);

/**
 * Walk the arena that walk->index and walk->state name, and write it to *ret; counters, pins and
 * warnings go to the snapshot and the reading.
 */
void gs_arena_walk_run(struct gs_arena_walk *walk, struct gs_arena *ret);

/** Release the walk's own memory. */
void gs_arena_walk_fini(struct gs_arena_walk *walk);

#endif
