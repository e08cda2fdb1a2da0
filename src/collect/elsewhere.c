/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/elsewhere.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

enum { SHOWN = 5 };
#define SMALLEST (UINT64_C(1) << 20)	/* smaller ones explain nothing */

struct share {
	const char *name;
	uint64_t mapped, resident;
};

static uint64_t overlap(gs_addr a, gs_addr a_end, gs_addr b, gs_addr b_end)
{
	gs_addr lo = a > b ? a : b, hi = a_end < b_end ? a_end : b_end;

	return lo < hi ? hi - lo : 0;
}

/* Bytes of [start, end) that malloc holds, resident ones as far as known. */
static uint64_t malloc_resident(const struct gs_snapshot *s, const struct gs_ranges *mmapped,
				gs_addr start, gs_addr end, uint64_t *ret_mapped)
{
	uint64_t resident = 0;

	*ret_mapped = 0;
	for (size_t i = 0; i < s->n_arenas; i++) {
		for (size_t j = 0; j < s->arenas[i].n_heaps; j++) {
			const struct gs_heap *heap = &s->arenas[i].heaps[j];
			uint64_t part = overlap(start, end, heap->address, heap->end);
			*ret_mapped += part;
			/* A heap lies in one mapping, or in neighbours of one kind. */
			if (part)
				resident += heap->account.resident_bytes < part ?
						    heap->account.resident_bytes : part;
		}
	}
	for (size_t i = 0; i < mmapped->len; i++) {
		uint64_t part = overlap(start, end, mmapped->data[i].start, mmapped->data[i].end);
		*ret_mapped += part;
		resident += part;
	}
	return resident;
}

static void add_share(struct share *shares, size_t *n, const char *name, uint64_t mapped,
		      uint64_t resident)
{
	for (size_t i = 0; i < *n; i++) {
		if (!strcmp(shares[i].name, name)) {
			shares[i].mapped += mapped;
			shares[i].resident += resident;
			return;
		}
	}
	shares[(*n)++] = (struct share){ name, mapped, resident };
}

static int compare(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return (x->resident < y->resident) - (x->resident > y->resident);
}

void gs_elsewhere_fill(struct gs_snapshot *s, const struct gs_smaps *smaps,
		       const struct gs_ranges *mmapped)
{
	cleanup_free_ struct share *shares = gs_xcalloc(smaps->len, sizeof(*shares));
	size_t n = 0;

	for (size_t i = 0; i < smaps->len; i++) {
		const struct gs_smap *map = &smaps->data[i];
		uint64_t mapped, resident = 0;
		if (map->rss_bytes < SMALLEST)
			continue;
		resident = malloc_resident(s, mmapped, map->start, map->end, &mapped);
		if (resident + SMALLEST > map->rss_bytes)
			continue;
		uint64_t size = map->end - map->start;
		add_share(shares, &n, map->name[0] ? map->name : "anonymous",
			  size > mapped ? size - mapped : 0, map->rss_bytes - resident);
	}
	if (n)
		qsort(shares, n, sizeof(*shares), compare);
	s->n_not_malloc = n < SHOWN ? n : SHOWN;
	s->not_malloc = gs_xcalloc(s->n_not_malloc, sizeof(*s->not_malloc));
	for (size_t i = 0; i < s->n_not_malloc; i++) {
		s->not_malloc[i].name = gs_xstrdup(shares[i].name);
		s->not_malloc[i].mapped_bytes = shares[i].mapped;
		s->not_malloc[i].resident_bytes = shares[i].resident;
	}
}
