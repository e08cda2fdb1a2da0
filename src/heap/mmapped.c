/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/mmapped.h"

/*
 * A chunk of a mapping of its own starts where its user pointer is aligned: at the page start,
 * or 8 bytes behind it where words are 4 bytes and the alignment is 16 (i386 since 2.26).
 * prev_size is what lies before it, the size word says the rest and has only IS_MMAPPED set.
 * memalign() moves the chunk up but leaves the first header as it was (malloc.c, _int_memalign).
 * Since 2.43 the size leaves two words at the end out, and bit 0 of prev_size marks huge pages.
 */
uint64_t gs_mmapped_length(const struct gs_layout *l, const char *words, uint64_t room,
			   size_t page_size)
{
	size_t at = (size_t)(gs_layout_align_chunk(l, 0));
	uint64_t prev_size = gs_layout_word(l, words, at) & ~(uint64_t)(l->mmapped_trailer ? 1 : 0);
	uint64_t raw = gs_layout_word(l, words, at + l->word);
	uint64_t length = (raw & ~(uint64_t)GS_SIZE_BITS) + at;

	if ((raw & GS_SIZE_BITS) != GS_IS_MMAPPED || prev_size != at)
		return 0;
	if (l->mmapped_trailer)
		length += 2u * l->word;
	return length % page_size || length > room ? 0 : length;
}

static void find_in_map(const struct gs_malloc *m, const struct gs_map *map,
			const struct gs_ranges *exclude, struct gs_page_scan *scan,
			struct gs_mmapped *found)
{
	size_t page_size = scan->mem->page_size;
	const char *words;
	gs_addr page;

	gs_page_scan_begin(scan, map->start, map->end);
	while (gs_page_scan_next(scan, &page, &words)) {
		gs_addr excluded = gs_ranges_find(exclude, page);
		if (excluded) {
			gs_page_scan_skip_to(scan, excluded);
			continue;
		}
		uint64_t length = gs_mmapped_length(&m->layout, words, map->end - page, page_size);
		if (!length)
			continue;
		uint64_t resident, swapped;
		gs_residency_bytes(&scan->residency, page, page + length, &resident, &swapped);
		gs_ranges_add(&found->ranges, page, page + length);
		found->chunks++;
		found->bytes += length;
		found->resident_bytes += resident;
		gs_page_scan_skip_to(scan, page + length);
	}
}

bool gs_mmapped_find(const struct gs_malloc *m, const struct gs_par *par,
		     const struct gs_maps *maps, const struct gs_ranges *exclude,
		     struct gs_page_scan *scan, struct gs_mmapped *ret)
{
	*ret = (struct gs_mmapped){};
	for (size_t i = 0; i < maps->len && par->n_mmaps; i++) {
		if (gs_map_is_anon_rw(&maps->data[i]))
			find_in_map(m, &maps->data[i], exclude, scan, ret);
	}
	return ret->chunks == par->n_mmaps && ret->bytes == par->mmapped_mem;
}
