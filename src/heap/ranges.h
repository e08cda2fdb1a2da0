/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of address ranges, to know what a search need not look at. */
#ifndef GS_HEAP_RANGES_H
#define GS_HEAP_RANGES_H

#include <stddef.h>

#include "base/err.h"

struct gs_range {
	gs_addr start, end;	/* [start, end) */
};

struct gs_ranges {
	struct gs_range *data;	/* sorted once gs_ranges_sort() was called */
	size_t len, cap;
};

void gs_ranges_add(struct gs_ranges *ranges, gs_addr start, gs_addr end);

/** Sort by start. To be called after the last add and before the first find. */
void gs_ranges_sort(struct gs_ranges *ranges);

/** The end of the range that holds addr, 0 if none does. The ranges must not overlap. */
gs_addr gs_ranges_find(const struct gs_ranges *ranges, gs_addr addr);

void gs_ranges_fini(struct gs_ranges *ranges);

#endif
