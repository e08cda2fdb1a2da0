/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is made of the chunks of one heap while they are walked: accounts, the pin, the map's
 * cells and the what-if sums, all in the one pass.
 */
#ifndef GS_COLLECT_VISIT_H
#define GS_COLLECT_VISIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/cached.h"
#include "heap/fastlinks.h"
#include "heap/layout.h"
#include "heap/walk.h"
#include "model/snapshot.h"
#include "proc/residency.h"

/** Most cells of a heap's map. */
enum { GS_CELLS_MAX = 256 };

/** Bytes of each kind in the cell that is being filled. */
struct gs_cell {
	uint64_t live, stalled, returned, top;
};

/**
 * The state of a visit; what the walker copies at checkpoints. The members of the first group
 * do not change during a walk.
 */
struct gs_visit {
	const struct gs_layout *layout;
	struct gs_residency *residency;
	const struct gs_cached_list *cached[2];	/* those of tcaches, those of fastbins */
	gs_addr start, end;		/* of the heap; end as known when the walk began */
	bool has_arena;			/* its header holds a malloc_state, which stays */
	bool take_fastlinks;		/* fastbin chunks are told by their links, not listed */
	unsigned cell_shift;
	char *cells;			/* GS_CELLS_MAX + 1 letters */

	struct gs_account account;
	struct gs_fastlinks fastlinks;	/* goes on from heap to heap of an arena */
	size_t cursor[2];		/* next cached chunk to be met, in either list */
	gs_addr next_cached;		/* below it there is none in either list */
	uint64_t changed_chunks;	/* cached chunks not met as they were listed */
	struct gs_pin pin;		/* last chunk in use so far; owner is not set here */
	uint64_t free_bytes;		/* so far */
	gs_addr occupied_end;		/* end of the last chunk that cannot be given back */
	uint64_t what_if[GS_WHAT_IF_N];
	gs_addr page;			/* page looked at last, and its state */
	enum gs_page page_state;
	size_t cell_index;
	gs_addr cell_end;		/* of the cell that is being filled; 0 at first */
	struct gs_cell cell;
};

/** The block sizes of the what-if sums, bytes. */
extern const uint64_t gs_what_if_sizes[GS_WHAT_IF_N];

/** Begin a visit of [start, end), whose map shows reserved bytes from start on. */
void gs_visit_begin(struct gs_visit *visit, const struct gs_layout *layout,
		    struct gs_residency *residency, const struct gs_cached_list *tcache,
		    const struct gs_cached_list *fastbins, gs_addr start, gs_addr end,
		    uint64_t reserved, char *cells);

/** For struct gs_visitor: state is a struct gs_visit. */
void gs_visit_chunks(void *state, const struct gs_chunk *chunks, size_t n);

/** The walk ended at end: complete the account, the pin, the sums and the cells. */
void gs_visit_finish(struct gs_visit *visit, gs_addr end, uint64_t reserved);

#endif
