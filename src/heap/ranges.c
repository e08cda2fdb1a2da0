/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/ranges.h"

#include <stdlib.h>

#include "base/vec.h"

void gs_ranges_add(struct gs_ranges *ranges, gs_addr start, gs_addr end)
{
	*gs_vec_push(ranges) = (struct gs_range){ start, end };
}

static int compare(const void *a, const void *b)
{
	const struct gs_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void gs_ranges_sort(struct gs_ranges *ranges)
{
	if (ranges->len)
		qsort(ranges->data, ranges->len, sizeof(*ranges->data), compare);
}

gs_addr gs_ranges_find(const struct gs_ranges *ranges, gs_addr addr)
{
	size_t lo = 0, hi = ranges->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (ranges->data[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || ranges->data[lo - 1].end <= addr)
		return 0;
	return ranges->data[lo - 1].end;
}

void gs_ranges_fini(struct gs_ranges *ranges)
{
	free(ranges->data);
	*ranges = (struct gs_ranges){};
}
