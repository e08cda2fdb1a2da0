/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/segment_owner.h"

enum {
	CHUNKS_MAX = 1 << 16,	/* looked at for binned ones */
	LISTS_MAX = 16,		/* followed */
	STEPS_MAX = 1024,	/* elements of one list */
};

enum owner { UNKNOWN, OURS, RIVALS };

/* Size of the chunk at addr, 0 if it is none: a fencepost ends the segment. */
static uint64_t chunk_size(struct gs_mem *mem, const struct gs_layout *l, gs_addr addr,
			   bool *ret_prev_in_use)
{
	char word[8] = {};

	if (!gs_mem_try(mem, addr + l->word, word, l->word))
		return 0;
	uint64_t raw = gs_layout_word(l, word, 0);
	uint64_t size = raw & ~(uint64_t)GS_SIZE_BITS;
	*ret_prev_in_use = raw & GS_PREV_INUSE;
	return size < l->min_size ? 0 : size;
}

/* Follow the list of a binned chunk, by fd, to its head: in whose image does that lie? */
static enum owner follow(struct gs_mem *mem, const struct gs_malloc *m,
			 const struct gs_ranges *images, gs_addr chunk)
{
	const struct gs_layout *l = &m->layout;
	char word[8] = {};

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		if (chunk >= m->image_start && chunk < m->image_end)
			return OURS;
		if (gs_ranges_find(images, chunk))
			return RIVALS;
		if (chunk % l->word || !gs_mem_try(mem, chunk + 2u * l->word, word, l->word))
			return UNKNOWN;
		chunk = gs_layout_word(l, word, 0);
	}
	return UNKNOWN;
}

bool gs_segment_is_rivals(struct gs_mem *mem, const struct gs_malloc *m,
			  const struct gs_ranges *images, const struct gs_extent *extent)
{
	gs_addr at = extent->first;
	unsigned lists = 0;

	for (unsigned i = 0; i < CHUNKS_MAX && lists < LISTS_MAX && at < extent->end; i++) {
		bool prev_in_use;
		uint64_t size = chunk_size(mem, &m->layout, at, &prev_in_use);
		gs_addr next;
		if (!size || __builtin_add_overflow(at, size, &next) || next >= extent->end ||
		    !chunk_size(mem, &m->layout, next, &prev_in_use))
			break;
		enum owner owner = prev_in_use ? UNKNOWN : follow(mem, m, images, at);
		if (owner != UNKNOWN)
			return owner == RIVALS;
		lists += !prev_in_use;
		at = next;
	}
	return false;
}
