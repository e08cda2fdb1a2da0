/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/fastlinks.h"

/* Spread an address over 64 bits, so that sums of different addresses do not agree by chance. */
static inline uint64_t spread(gs_addr addr)
{
	addr *= UINT64_C(0xd6e8feb86659fd93);
	addr ^= addr >> 32;
	return addr * UINT64_C(0xd6e8feb86659fd93);
}

void gs_fastlinks_begin(struct gs_fastlinks *links, const struct gs_layout *layout,
			const struct gs_arena_state *arena, gs_addr lowest, gs_addr highest)
{
	*links = (struct gs_fastlinks){ .lowest = lowest, .highest = highest };
	for (unsigned i = 0; i < layout->arena.n_fastbins; i++) {
		gs_addr head = arena->fastbins[i];
		if (!head)
			continue;
		links->bins[i].head = head;
		links->bins[i].links = spread(head);
		links->largest = gs_layout_fastbin_size(layout, i);
	}
}

bool gs_fastlinks_take(struct gs_fastlinks *links, const struct gs_layout *layout, gs_addr chunk,
		       uint64_t size, uint64_t word)
{
	gs_addr next = gs_layout_reveal(layout, chunk + 2u * layout->word, word);
	bool is_end = !next;
	bool is_chunk = (next >= links->lowest) & (next < links->highest) &
			!((next + 2u * layout->word) & (layout->align - 1u));

	/* Each of these alone is close to random for a branch predictor; together they are rare. */
	if (!((size <= links->largest) & (is_end | is_chunk)))
		return false;
	uint64_t i = size / (2u * layout->word) - 2;
	if (!links->bins[i].head)
		return false;
	links->bins[i].members += spread(chunk);
	if (is_end)
		links->bins[i].ends++;
	else
		links->bins[i].links += spread(next);
	return true;
}

bool gs_fastlinks_agree(const struct gs_fastlinks *links)
{
	for (unsigned i = 0; i < GS_MAX_FASTBINS; i++) {
		if (links->bins[i].head && (links->bins[i].ends != 1 ||
					    links->bins[i].members != links->bins[i].links))
			return false;
	}
	return true;
}
