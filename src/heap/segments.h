/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The segments of main_arena. glibc keeps no list of them: the first begins at mp_.sbrk_base, the
 * current one holds top; what lies between is found by looking for chunk lists that end as a
 * closed segment must.
 */
#ifndef GS_HEAP_SEGMENTS_H
#define GS_HEAP_SEGMENTS_H

#include <stdbool.h>

#include "heap/arena.h"
#include "heap/page_scan.h"
#include "heap/ranges.h"
#include "heap/walk.h"
#include "proc/maps.h"

struct gs_segment_search {
	struct gs_mem *mem;
	const struct gs_malloc *m;
	const struct gs_maps *maps;
	const struct gs_ranges *exclude;	/* heaps of thread arenas, sorted */
	const struct gs_ranges *images;	/* of all copies of malloc, sorted; NULL: there is one */
	bool no_brk;	/* the copy of another link-map namespace: all its memory is mmapped */
	struct gs_walker *walker;
	struct gs_page_scan *scan;
	struct gs_arena_state arena;		/* main_arena */
	gs_addr top_end;			/* end of its top chunk */
	gs_addr sbrk_base;
	gs_addr brk_done;			/* end of the last segment there, 0: not yet */
	size_t map;				/* mapping that is being searched */
	gs_addr from;				/* go on in it at this address */
	uint64_t tried;				/* bytes read for what was no segment */
};

/**
 * Read main_arena's top chunk. False if it cannot be read or has no sane size; then no segment
 * can be walked.
 */
bool gs_segment_top(struct gs_mem *mem, const struct gs_malloc *m,
		    const struct gs_arena_state *arena, gs_addr *ret_end);

/** The first segment. False if there is none. All members up to sbrk_base have been set. */
bool gs_segment_first(struct gs_segment_search *search, struct gs_extent *ret);

/**
 * The next segment behind the one that ended at after; segments outside the brk area come in
 * address order. False when no more can be found.
 */
bool gs_segment_next(struct gs_segment_search *search, gs_addr after, struct gs_extent *ret);

#endif
