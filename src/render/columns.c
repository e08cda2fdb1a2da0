/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/columns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fmt.h"
#include "base/xalloc.h"
#include "model/metrics.h"

static uint64_t get_address(const struct gs_row *row)
{
	return row->arena ? row->arena->address : GS_UNKNOWN;
}

static uint64_t get_threads(const struct gs_row *row)
{
	return row->threads;
}

static uint64_t get_heaps(const struct gs_row *row)
{
	return row->heaps;
}

static uint64_t get_system(const struct gs_row *row)
{
	return row->system_bytes;
}

static uint64_t get_unlocated(const struct gs_row *row)
{
	return row->unlocated_bytes;
}

#define ACCOUNT_GETTER(field)                                                                      \
	static uint64_t get_##field(const struct gs_row *row)                                      \
	{                                                                                          \
		return row->account.field;                                                         \
	}

ACCOUNT_GETTER(mapped_bytes)
ACCOUNT_GETTER(resident_bytes)
ACCOUNT_GETTER(swapped_bytes)
ACCOUNT_GETTER(live_bytes)
ACCOUNT_GETTER(tcache_bytes)
ACCOUNT_GETTER(fastbin_bytes)
ACCOUNT_GETTER(bin_bytes)
ACCOUNT_GETTER(top_bytes)
ACCOUNT_GETTER(overhead_bytes)
ACCOUNT_GETTER(stalled_bytes)
ACCOUNT_GETTER(reclaimable_bytes)
ACCOUNT_GETTER(returned_bytes)

static uint64_t get_free(const struct gs_row *row)
{
	return gs_account_free(&row->account);
}

static uint64_t get_stalled_pct(const struct gs_row *row)
{
	const struct gs_account *account = &row->account;

	if (account->stalled_bytes == GS_UNKNOWN || account->resident_bytes == GS_UNKNOWN)
		return GS_UNKNOWN;
	return gs_fmt_percent(account->stalled_bytes, account->resident_bytes);
}

static bool has_tcache(const struct gs_snapshot *snapshot)
{
	return snapshot->allocator.has_tcache;
}

static bool has_fastbins(const struct gs_snapshot *snapshot)
{
	return snapshot->allocator.has_fastbins;
}

const struct gs_column gs_columns[GS_COLUMN_N] = {
	[GS_COLUMN_ARENA] = { "arena", "ARENA", "main, or the number of a thread arena",
		GS_TYPE_NAME, NULL, NULL, true },
	[GS_COLUMN_ADDRESS] = { "address", "ADDRESS", "address of its malloc_state",
		GS_TYPE_ADDRESS, get_address, NULL, false },
	[GS_COLUMN_THREADS] = { "threads", "THR", "threads attached to it",
		GS_TYPE_COUNT, get_threads, NULL, true },
	[GS_COLUMN_HEAPS] = { "heaps", "HEAPS", "heaps, of the main arena segments",
		GS_TYPE_COUNT, get_heaps, NULL, true },
	[GS_COLUMN_SYSTEM] = { "system", "SYSTEM", "what glibc says it got from the kernel",
		GS_TYPE_SIZE, get_system, NULL, false },
	[GS_COLUMN_MAPPED] = { "mapped", "MAPPED", "bytes of its heaps",
		GS_TYPE_SIZE, get_mapped_bytes, NULL, true },
	[GS_COLUMN_RESIDENT] = { "resident", "RES", "of these in memory",
		GS_TYPE_SIZE, get_resident_bytes, NULL, true },
	[GS_COLUMN_SWAPPED] = { "swapped", "SWAPPED", "of these in swap",
		GS_TYPE_SIZE, get_swapped_bytes, NULL, false },
	[GS_COLUMN_LIVE] = { "live", "LIVE", "in blocks the program holds",
		GS_TYPE_SIZE, get_live_bytes, NULL, true },
	[GS_COLUMN_FREE] = { "free", "FREE", "freed, resident or not: the next four",
		GS_TYPE_SIZE, get_free, NULL, false },
	[GS_COLUMN_TCACHE] = { "tcache", "IN-TCACHE", "freed, in the caches of threads",
		GS_TYPE_SIZE, get_tcache_bytes, has_tcache, false },
	[GS_COLUMN_FASTBIN] = { "fastbin", "IN-FAST", "freed, in fastbins",
		GS_TYPE_SIZE, get_fastbin_bytes, has_fastbins, false },
	[GS_COLUMN_BINS] = { "bins", "IN-BINS", "freed, in the other bins",
		GS_TYPE_SIZE, get_bin_bytes, NULL, false },
	[GS_COLUMN_TOP] = { "top", "TOP", "in the top chunk",
		GS_TYPE_SIZE, get_top_bytes, NULL, false },
	[GS_COLUMN_OVERHEAD] = { "overhead", "OVERHEAD", "malloc's own bookkeeping",
		GS_TYPE_SIZE, get_overhead_bytes, NULL, false },
	[GS_COLUMN_STALLED] = { "stalled", "STALLED", "free and resident: held for nothing",
		GS_TYPE_SIZE, get_stalled_bytes, NULL, true },
	[GS_COLUMN_STALLED_PCT] = { "stalled-pct", "ST%", "stalled in percent of resident",
		GS_TYPE_PERCENT, get_stalled_pct, NULL, true },
	[GS_COLUMN_RECLAIMABLE] = { "reclaimable", "RECLAIM",
		"stalled in whole pages of binned and top chunks",
		GS_TYPE_SIZE, get_reclaimable_bytes, NULL, true },
	[GS_COLUMN_RETURNED] = { "returned", "RETURNED", "free, and back with the kernel",
		GS_TYPE_SIZE, get_returned_bytes, NULL, false },
	[GS_COLUMN_UNLOCATED] = { "unlocated", "UNLOCATED", "system less mapped: not found",
		GS_TYPE_SIZE, get_unlocated, NULL, false },
};

bool gs_column_is_right(enum gs_column_id id)
{
	return gs_columns[id].type != GS_TYPE_NAME && gs_columns[id].type != GS_TYPE_ADDRESS;
}

char *gs_column_text(enum gs_column_id id, const struct gs_row *row, bool exact)
{
	const struct gs_column *column = &gs_columns[id];
	char buf[GS_FMT_LEN];

	if (column->type == GS_TYPE_NAME)
		return gs_xstrdup(row->name);
	if (column->exists && !column->exists(row->snapshot))
		return gs_xstrdup("-");
	uint64_t value = column->get(row);
	if (value == GS_UNKNOWN)
		return gs_xstrdup("?");
	if (column->type == GS_TYPE_ADDRESS)
		return gs_xstrdup(gs_fmt_addr(buf, value));
	if (column->type == GS_TYPE_SIZE && !exact)
		return gs_xstrdup(gs_fmt_size(buf, value));
	return gs_xasprintf("%" PRIu64, value);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t total;

	if (a == GS_UNKNOWN || b == GS_UNKNOWN || __builtin_add_overflow(a, b, &total))
		return GS_UNKNOWN;
	return total;
}

void gs_row_init_sum(struct gs_row *row, const struct gs_snapshot *snapshot)
{
	*row = (struct gs_row){ .snapshot = snapshot };
}

void gs_row_add(struct gs_row *row, const struct gs_arena *arena)
{
	uint64_t threads = arena->attached_threads;

	/* glibc before 2.23 keeps no count: then the threads found are all we know. */
	if (threads == GS_UNKNOWN && arena->n_threads)
		threads = arena->n_threads;
	row->threads = sum(row->threads, threads);
	row->heaps = sum(row->heaps, arena->n_heaps);
	row->system_bytes = sum(row->system_bytes, arena->system_bytes);
	row->unlocated_bytes = sum(row->unlocated_bytes, arena->unlocated_bytes);
	gs_account_add(&row->account, &arena->account);
}

void gs_row_init(struct gs_row *row, const struct gs_snapshot *snapshot,
		 const struct gs_arena *arena)
{
	gs_row_init_sum(row, snapshot);
	row->arena = arena;
	gs_arena_name(row->name, arena);
	gs_row_add(row, arena);
}

char *gs_arena_name(char *buf, const struct gs_arena *arena)
{
	if (arena->index == 0)
		snprintf(buf, 32, "main");
	else
		snprintf(buf, 32, "#%u", arena->index);
	return buf;
}

/* Where residency is not known, what is free at all decides. */
static uint64_t badness(const struct gs_arena *arena)
{
	if (arena->account.stalled_bytes != GS_UNKNOWN)
		return arena->account.stalled_bytes;
	return gs_account_free(&arena->account);
}

static int worst_first(const void *a, const void *b)
{
	const struct gs_arena *one = *(const struct gs_arena *const *)a;
	const struct gs_arena *two = *(const struct gs_arena *const *)b;
	uint64_t bad1 = badness(one), bad2 = badness(two);

	if (bad1 != bad2)
		return bad1 > bad2 ? -1 : 1;
	return one->index < two->index ? -1 : one->index > two->index;
}

const struct gs_arena **gs_arenas_worst(const struct gs_snapshot *snapshot, int index,
					size_t *ret_n)
{
	const struct gs_arena **arenas = gs_xcalloc(snapshot->n_arenas, sizeof(*arenas));
	size_t n = 0;

	for (size_t i = 0; i < snapshot->n_arenas; i++) {
		if (index == -1 || snapshot->arenas[i].index == (unsigned)index)
			arenas[n++] = &snapshot->arenas[i];
	}
	qsort(arenas, n, sizeof(*arenas), worst_first);
	*ret_n = n;
	return arenas;
}
