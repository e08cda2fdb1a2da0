/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walk the chunks of one heap or one segment of main_arena from first to last, in one pass over
 * the pages that hold chunk headers, on a target that may be running.
 *
 * Only pages that are in memory are read. Every header is validated; where one does not fit, the
 * stretch is read again from a checkpoint (the chunk list may have changed while it was copied);
 * what stays open after a bounded number of tries is reported as unsettled.
 */
#ifndef GS_HEAP_WALK_H
#define GS_HEAP_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/cached.h"
#include "heap/layout.h"
#include "proc/mem.h"
#include "proc/residency.h"

enum gs_chunk_kind {
	GS_KIND_INUSE,		/* live, or cached: a walk cannot tell */
	GS_KIND_BINNED,		/* free, in the unsorted, a small or a large bin */
	GS_KIND_TOP,
	GS_KIND_OVERHEAD,	/* headers, malloc_state, fenceposts, alignment */
	GS_KIND_UNSETTLED,	/* bytes whose chunks could not be made out */
};

/** A chunk, or another stretch of a heap: [addr, addr + size). */
struct gs_chunk {
	gs_addr addr;
	uint64_t size;
	uint64_t link;	/* first user word of a chunk, 0 if it was not in memory */
	enum gs_chunk_kind kind;
};

/**
 * Who is told of the chunks: in address order, without gaps, from extent.start to the end.
 * state is plain bytes: the walker copies it at checkpoints and puts it back when a stretch is
 * read again, so whatever chunks() derives must be in it (or only depend on it).
 */
struct gs_visitor {
	void (*chunks)(void *state, const struct gs_chunk *chunks, size_t n);
	void *state;
	size_t state_size;
};

/** What to walk. */
struct gs_extent {
	gs_addr start;	/* of the memory; [start, first) is overhead */
	gs_addr first;	/* first chunk */
	gs_addr end;	/* nothing of it lies at or above; with top: the end of the top chunk */
	gs_addr top;	/* the arena's top chunk if it is in here, else 0 */
	bool is_main;	/* a segment of main_arena, else a heap of a thread arena */
};

/** Settings of a walk. */
struct gs_walk_options {
	bool live;		/* the target runs: read torn stretches again */
	/**
	 * Look top and end up again, as they move on a running target. False if the extent is
	 * no longer there. NULL: nothing moves.
	 */
	bool (*refresh)(void *context, struct gs_extent *extent);
	void *context;
	/* Chunks known from lists, to go on from; either may be NULL. */
	const struct gs_cached_list *known[2];
};

enum gs_walk_end {
	GS_WALK_TOP,		/* ended with the top chunk */
	GS_WALK_FENCE,		/* ended with fenceposts */
	GS_WALK_LOST,		/* the end was not reached: see unsettled_bytes */
	GS_WALK_GONE,		/* the extent vanished: forget what the visitor was told */
};

struct gs_walk_result {
	enum gs_walk_end how;
	gs_addr end;			/* where the extent really ended */
	unsigned passes;		/* 1, plus how often a stretch was read again */
	uint64_t unsettled_bytes;
	bool swapped_headers;		/* headers in swap were left unread */
};

/** Reusable buffers of walks. */
struct gs_walker;

struct gs_walker *gs_walker_new(struct gs_mem *mem, const struct gs_layout *layout);

void gs_walker_free(struct gs_walker *walker);

/**
 * Walk extent. residency must have been begun over it (gs_residency_begin); the visitor may
 * query it for what it was told of.
 */
void gs_walk(struct gs_walker *walker, const struct gs_extent *extent,
	     const struct gs_walk_options *options, struct gs_residency *residency,
	     const struct gs_visitor *visitor, struct gs_walk_result *ret);

/**
 * Would a chunk list that starts at extent->first come to an end as a segment of main_arena
 * does: on top, or on the two fenceposts of a closed segment? Reads only what is needed; the
 * first bad header says no.
 */
bool gs_walk_probe(struct gs_walker *walker, const struct gs_extent *extent,
		   struct gs_residency *residency);

#endif
