/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/metrics.h"

#include <stddef.h>

#define FIELD(name) offsetof(struct gs_account, name)

static const size_t account_fields[] = {
	FIELD(mapped_bytes), FIELD(resident_bytes), FIELD(swapped_bytes),
	FIELD(live_bytes), FIELD(live_chunks), FIELD(overhead_bytes),
	FIELD(tcache_bytes), FIELD(tcache_chunks),
	FIELD(fastbin_bytes), FIELD(fastbin_chunks),
	FIELD(bin_bytes), FIELD(bin_chunks), FIELD(top_bytes),
	FIELD(stalled_bytes), FIELD(stalled_swapped_bytes),
	FIELD(reclaimable_bytes), FIELD(returned_bytes), FIELD(unsettled_bytes),
	FIELD(stalled_tcache_bytes), FIELD(stalled_fastbin_bytes),
	FIELD(stalled_bin_bytes), FIELD(stalled_top_bytes),
	FIELD(reclaimable_bin_bytes), FIELD(reclaimable_top_bytes),
};

/* A field that account_fields does not name would silently stay unsummed. */
_Static_assert(sizeof(account_fields) / sizeof(account_fields[0]) ==
	       sizeof(struct gs_account) / sizeof(uint64_t), "every field is listed");

/* Unknown if either is, or if the sum does not fit: then it cannot be a size. */
static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t total;

	if (a == GS_UNKNOWN || b == GS_UNKNOWN || __builtin_add_overflow(a, b, &total))
		return GS_UNKNOWN;
	return total;
}

void gs_account_add(struct gs_account *to, const struct gs_account *from)
{
	for (size_t i = 0; i < sizeof(account_fields) / sizeof(account_fields[0]); i++) {
		uint64_t *a = (void *)((char *)to + account_fields[i]);
		const uint64_t *b = (const void *)((const char *)from + account_fields[i]);

		*a = sum(*a, *b);
	}
}

void gs_account_forget_residency(struct gs_account *a)
{
	a->resident_bytes = a->swapped_bytes = GS_UNKNOWN;
	a->stalled_bytes = a->stalled_swapped_bytes = GS_UNKNOWN;
	a->reclaimable_bytes = a->returned_bytes = GS_UNKNOWN;
	a->stalled_tcache_bytes = a->stalled_fastbin_bytes = GS_UNKNOWN;
	a->stalled_bin_bytes = a->stalled_top_bytes = GS_UNKNOWN;
	a->reclaimable_bin_bytes = a->reclaimable_top_bytes = GS_UNKNOWN;
}

uint64_t gs_account_cached(const struct gs_account *account)
{
	return sum(account->tcache_bytes, account->fastbin_bytes);
}

uint64_t gs_account_free(const struct gs_account *account)
{
	return sum(gs_account_cached(account), sum(account->bin_bytes, account->top_bytes));
}

/* Do the parts make the whole? What is unknown cannot disagree. */
static bool agrees(uint64_t whole, uint64_t parts)
{
	return whole == GS_UNKNOWN || parts == GS_UNKNOWN || whole == parts;
}

bool gs_account_adds_up(const struct gs_account *a)
{
	uint64_t unusable = sum(a->live_bytes, a->overhead_bytes);
	uint64_t free_bytes = gs_account_free(a);
	uint64_t cached = sum(a->stalled_tcache_bytes, a->stalled_fastbin_bytes);

	return a->mapped_bytes == sum(unusable, free_bytes) &&
	       agrees(free_bytes, sum(sum(a->stalled_bytes, a->stalled_swapped_bytes),
				      a->returned_bytes)) &&
	       agrees(a->stalled_bytes, sum(sum(cached, a->stalled_bin_bytes),
					    a->stalled_top_bytes)) &&
	       agrees(a->reclaimable_bytes, sum(a->reclaimable_bin_bytes,
						a->reclaimable_top_bytes));
}

uint64_t gs_snapshot_not_malloc(const struct gs_snapshot *snapshot)
{
	uint64_t rss = snapshot->target.rss_bytes;
	uint64_t mmapped = snapshot->mmapped.resident_bytes;

	if (mmapped == GS_UNKNOWN)
		mmapped = snapshot->mmapped.bytes;
	uint64_t malloced = sum(snapshot->totals.resident_bytes, mmapped);
	if (rss == GS_UNKNOWN || malloced == GS_UNKNOWN)
		return GS_UNKNOWN;
	return rss > malloced ? rss - malloced : 0;
}
