/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks with a mapping of their own (M_MMAP_THRESHOLD). They are in no list of glibc's. */
#ifndef GS_HEAP_MMAPPED_H
#define GS_HEAP_MMAPPED_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/arena.h"
#include "heap/page_scan.h"
#include "heap/ranges.h"
#include "proc/maps.h"
#include "proc/mem.h"

struct gs_mmapped {
	uint64_t chunks, bytes;		/* located; bytes of their mappings */
	uint64_t resident_bytes;
	struct gs_ranges ranges;	/* their mappings, by address */
};

/**
 * Length of the mapping of an mmapped chunk whose header could be the four words at the start
 * of a page; 0 if it is none. room: bytes of the mapping from that page on.
 */
uint64_t gs_mmapped_length(const struct gs_layout *layout, const char *words, uint64_t room,
			   size_t page_size);

/**
 * Look for the chunks in all anonymous writable mappings, leaving out the ranges of exclude
 * (sorted). True if what was found is exactly what the two counters of mp_ say. The caller frees
 * ret->ranges with gs_ranges_fini().
 */
bool gs_mmapped_find(const struct gs_malloc *m, const struct gs_par *par,
		     const struct gs_maps *maps, const struct gs_ranges *exclude,
		     struct gs_page_scan *scan, struct gs_mmapped *ret);

#endif
