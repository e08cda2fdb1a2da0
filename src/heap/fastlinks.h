/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recognise the chunks of long fastbins while walking, without following the lists.
 *
 * A chunk in a fastbin looks in use, but its first user word links to the next chunk of its list.
 * The walk takes every chunk of a fastbin's size whose link could be one as a member and keeps two
 * sums for each bin: over the members' addresses, and over the head and the members' links.
 * If the members are exactly the list, every address is linked to exactly once and the sums are
 * equal; one chunk too many or too few, and they differ.
 */
#ifndef GS_HEAP_FASTLINKS_H
#define GS_HEAP_FASTLINKS_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/arena.h"
#include "heap/layout.h"

/** Plain bytes: part of a visitor's state. */
struct gs_fastlinks {
	gs_addr lowest, highest;	/* of the arena's memory: where a link can point */
	uint64_t largest;		/* chunk size of the largest bin in use; 0: none */
	struct {
		gs_addr head;		/* chunk, 0: empty */
		uint64_t members, links;	/* the two sums */
		uint64_t ends;		/* members whose link is the end of a list */
	} bins[GS_MAX_FASTBINS];
};

/** Begin with the heads of arena, whose memory lies in [lowest, highest). */
void gs_fastlinks_begin(struct gs_fastlinks *links, const struct gs_layout *layout,
			const struct gs_arena_state *arena, gs_addr lowest, gs_addr highest);

/**
 * Is the chunk, which looks in use and has that word as its first user word, a member of a
 * fastbin? If so it is added to the sums.
 */
bool gs_fastlinks_take(struct gs_fastlinks *links, const struct gs_layout *layout, gs_addr chunk,
		       uint64_t size, uint64_t word);

/** Do the sums of all bins say that exactly the lists were taken? */
bool gs_fastlinks_agree(const struct gs_fastlinks *links);

#endif
