/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fake heaps with random contents, and a walk over one that remembers all it was told. */
#ifndef GS_TESTS_UNIT_HEAP_FILL_H
#define GS_TESTS_UNIT_HEAP_FILL_H

#include "heap/walk.h"
#include "heap_image.h"

enum gs_fake_end { GS_FAKE_END_TOP, GS_FAKE_END_FENCE };

/** The next of a sequence of numbers that depends on nothing but where *seed began. */
uint32_t gs_fake_random(uint64_t *seed);

/**
 * Write random chunks of all kinds the layout has up to the heap's end. big: one in that many is
 * a large one, 0: none.
 */
void gs_fake_fill(struct gs_fake_heap *heap, uint64_t *seed, unsigned big, enum gs_fake_end end);

/** Give random stretches of the heap other page states, but not where headers are. */
void gs_fake_release(struct gs_fake_heap *heap, uint64_t *seed);

/** The extent of a heap. */
struct gs_extent gs_fake_extent(const struct gs_fake_heap *heap);

struct gs_fake_seen {
	struct gs_chunk *data;
	size_t len, cap;
	struct gs_walk_result result;
};

/** Walk the extent and remember what the visitor is told. gs_fake_seen_fini(). */
void gs_fake_walk(struct gs_fake *fake, const struct gs_layout *layout,
		  const struct gs_extent *extent, const struct gs_walk_options *options,
		  struct gs_fake_seen *ret);

void gs_fake_seen_fini(struct gs_fake_seen *seen);

/** Do the chunks cover [start, result.end) without gap or overlap? */
bool gs_fake_tiles(const struct gs_fake_seen *seen, gs_addr start);

/** Bytes told of that kind. */
uint64_t gs_fake_sum(const struct gs_fake_seen *seen, enum gs_chunk_kind kind);

/** Was exactly the truth told, chunk by chunk? Pieces of overhead may be cut otherwise. */
bool gs_fake_is_truth(const struct gs_fake_seen *seen, const struct gs_fake_heap *heap);

#endif
