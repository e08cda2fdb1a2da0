/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/arena_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "heap/segments.h"
#include "model/metrics.h"

enum { ROUNDS = 4 };	/* times an arena's heaps are listed again because it grew meanwhile */

/* --- thread arenas --- */

static bool has_heap(const struct gs_heap_list *heaps, gs_addr address)
{
	for (size_t i = heaps->len; i-- > 0;) {
		if (heaps->data[i].address == address)
			return true;
	}
	return false;
}

static void walk_heap(struct gs_arena_walk *a, const struct gs_heap_state *state)
{
	const struct gs_malloc *m = a->r->m;
	bool first = gs_heap_of(m, a->state.address) == state->address;
	bool last = gs_heap_of(m, a->state.top) == state->address;
	struct gs_extent extent = {
		.start = state->address,
		.first = gs_heap_first_chunk(m, state, first),
		.end = state->address + state->size,
		.top = last ? a->state.top : 0,
	};

	gs_arena_walk_extent(a, &extent, first, m->layout.heap_max);
}

/* The arena and its chain of heaps as they belong together. */
static bool read_chain(struct gs_arena_walk *a, struct gs_heap_states *ret)
{
	struct gs_reading *r = a->r;
	unsigned attempts = r->live ? GS_READ_ATTEMPTS : 1;

	for (unsigned i = 0; i < attempts; i++) {
		if (gs_arena_read(r->mem, r->m, a->state.address, &a->state) &&
		    gs_heap_chain(r->mem, r->m, &a->state, ret))
			return true;
	}
	return false;
}

/* Walk the heaps that were not walked yet; true if there were any. */
static bool walk_new_heaps(struct gs_arena_walk *a)
{
	struct gs_heap_states chain;
	bool any = false;

	if (!read_chain(a, &chain)) {
		gs_snapshot_warn(a->r->snapshot, "arena %zu: its heaps could not be listed",
				 a->index);
		return false;
	}
	for (size_t i = 0; i < chain.len; i++) {
		if (has_heap(&a->heaps, chain.data[i].address))
			continue;
		walk_heap(a, &chain.data[i]);
		any = true;
	}
	free(chain.data);
	a->has_gap = chain.has_gap;
	return any;
}

static enum gs_position heap_position(const struct gs_arena_walk *a, size_t i)
{
	size_t n = a->heaps.len;

	if (n == 1 && !a->has_gap)
		return GS_POS_ONLY;
	return i == 0 ? GS_POS_FIRST : i == n - 1 ? GS_POS_LAST : GS_POS_INTERIOR;
}

static void walk_thread_arena(struct gs_arena_walk *a)
{
	for (unsigned i = 0; i < ROUNDS && walk_new_heaps(a) && a->r->live; i++)
		;
	for (size_t i = 0; i < a->heaps.len; i++) {
		struct gs_heap *heap = &a->heaps.data[i];
		heap->position = heap_position(a, i);
		heap->idle = heap->position == GS_POS_INTERIOR && !heap->account.live_bytes;
	}
}

/* --- main_arena --- */

static uint64_t mapped_bytes(const struct gs_heap_list *heaps)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < heaps->len; i++)
		sum += heaps->data[i].account.mapped_bytes;
	return sum;
}

static bool top_was_reached(const struct gs_heap_list *heaps, gs_addr top)
{
	for (size_t i = 0; i < heaps->len; i++) {
		if (top >= heaps->data[i].address && top < heaps->data[i].end)
			return true;
	}
	return false;
}

/*
 * Where a top chunk must end whose header is in swap: where glibc's sum says if the arena is
 * contiguous, else with the mapping.
 */
static bool end_of_swapped_top(struct gs_arena_walk *a, gs_addr *ret_end)
{
	const struct gs_map *map = gs_maps_find(a->r->maps, a->state.top);
	gs_addr end;

	if (!map)
		return false;
	*ret_end = map->end;
	if (a->state.flags & GS_ARENA_NONCONTIGUOUS ||
	    __builtin_add_overflow(a->r->par.sbrk_base, a->state.system_mem, &end))
		return true;
	if (end > a->state.top && end < map->end)
		*ret_end = end;
	return true;
}

static bool read_top(struct gs_arena_walk *a, gs_addr *ret_end)
{
	struct gs_reading *r = a->r;
	unsigned attempts = r->live ? GS_READ_ATTEMPTS : 1;
	uint64_t refusals = r->mem->swap_refusals;

	for (unsigned i = 0; i < attempts; i++) {
		if (gs_segment_top(r->mem, r->m, &a->state, ret_end))
			return true;
		if (r->mem->swap_refusals > refusals)
			return end_of_swapped_top(a, ret_end);
		if (!gs_arena_read(r->mem, r->m, a->state.address, &a->state))
			return false;
	}
	return false;
}

static void walk_main_arena(struct gs_arena_walk *a)
{
	struct gs_reading *r = a->r;
	struct gs_segment_search search = {
		.mem = r->mem, .m = r->m, .maps = r->maps, .exclude = a->exclude,
		.images = r->images, .no_brk = r->taken != NULL,
		.walker = a->walker, .scan = a->scan, .sbrk_base = r->par.sbrk_base,
	};
	struct gs_extent extent;

	if (!read_top(a, &search.top_end)) {
		gs_snapshot_warn(r->snapshot, "main_arena: its top chunk could not be read");
		return;
	}
	search.arena = a->state;
	bool more = gs_segment_first(&search, &extent);
	while (more && a->heaps.len < GS_MAX_HEAPS) {
		struct gs_heap *heap = gs_arena_walk_extent(a, &extent, false,
							    extent.end - extent.start);
		if (!heap)
			break;
		if (mapped_bytes(&a->heaps) >= a->state.system_mem)
			break;
		bool contiguous = !(a->state.flags & GS_ARENA_NONCONTIGUOUS);
		if (contiguous && top_was_reached(&a->heaps, a->state.top))
			break;
		more = gs_segment_next(&search, heap->end, &extent);
	}
	a->has_gap = a->state.flags & GS_ARENA_NONCONTIGUOUS &&
		     mapped_bytes(&a->heaps) < a->state.system_mem && a->scan->passed_swapped;
}

/* --- one arena --- */

/* Forget what a walk has added so far. */
static void begin_walk(struct gs_arena_walk *a)
{
	for (size_t i = 0; i < a->heaps.len; i++)
		free(a->heaps.data[i].cells);
	free(a->heaps.data);
	free(a->pins.data);
	a->heaps = (struct gs_heap_list){};
	memset(&a->pins, 0, sizeof(a->pins));
	memset(a->what_if, 0, sizeof(a->what_if));
	a->changed_chunks = 0;
	a->has_gap = false;
}

/* Where the arena's memory lies: links within it are plausible. */
static void arena_bounds(struct gs_arena_walk *a, gs_addr *ret_lowest, gs_addr *ret_highest)
{
	struct gs_reading *r = a->r;
	struct gs_heap_states chain;

	*ret_lowest = r->par.sbrk_base;
	*ret_highest = r->par.sbrk_base + a->state.system_mem;
	if (a->state.flags & GS_ARENA_NONCONTIGUOUS)
		*ret_highest = GS_NO_ADDR;
	if (a->index == 0 || !gs_heap_chain(r->mem, r->m, &a->state, &chain))
		return;
	*ret_lowest = GS_NO_ADDR;
	*ret_highest = 0;
	for (size_t i = 0; i < chain.len; i++) {
		gs_addr start = chain.data[i].address;
		if (start < *ret_lowest)
			*ret_lowest = start;
		if (start + r->m->layout.heap_max > *ret_highest)
			*ret_highest = start + r->m->layout.heap_max;
	}
	free(chain.data);
}

static void walk_once(struct gs_arena_walk *a)
{
	begin_walk(a);
	if (a->take_fastlinks) {
		gs_addr lowest, highest;
		arena_bounds(a, &lowest, &highest);
		gs_fastlinks_begin(&a->fastlinks, &a->r->m->layout, &a->state, lowest, highest);
	}
	if (a->index == 0)
		walk_main_arena(a);
	else
		walk_thread_arena(a);
}

/* Links that are not mangled are too easily mistaken: then long lists are followed at once. */
static void walk_arena(struct gs_arena_walk *a)
{
	struct gs_reading *r = a->r;
	bool has_long = r->cached.has_long[a->index];

	a->take_fastlinks = has_long && r->m->layout.safe_linking;
	if (has_long && !a->take_fastlinks)
		gs_cached_read_fastbins(r->mem, r->m, &a->state, a->index, &r->cached);
	walk_once(a);
	if (!a->take_fastlinks || gs_fastlinks_agree(&a->fastlinks))
		return;
	/* Somebody allocated meanwhile, or something else looks like links: ask the lists. */
	a->take_fastlinks = false;
	if (gs_arena_read(r->mem, r->m, a->state.address, &a->state))
		gs_cached_read_fastbins(r->mem, r->m, &a->state, a->index, &r->cached);
	walk_once(a);
}

static void warn_unsettled(struct gs_reading *r, const struct gs_heap *heap)
{
	unsigned long long bytes = heap->account.unsettled_bytes, address = heap->address;

	if (heap->swapped_headers)
		gs_reading_warn_swap(r, "%llu bytes of the heap at 0x%llx could not be made out: "
					"chunk headers are in swap, and are not read from there",
				     bytes, address);
	else
		gs_snapshot_warn(r->snapshot, "%llu bytes of the heap at 0x%llx could not be made "
					      "out: %s", bytes, address,
				 r->live ? "it kept changing while it was read" :
					   "its chunk headers are not consistent");
}

/* Hand what the walk found to the snapshot. */
static void commit_walk(struct gs_arena_walk *a)
{
	struct gs_snapshot *s = a->r->snapshot;

	if (a->passes > s->capture.passes)
		s->capture.passes = a->passes;
	s->capture.changed_chunks += a->changed_chunks;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		s->what_if[i].releasable_bytes += a->what_if[i];
	for (size_t i = 0; i < a->pins.len; i++)
		*gs_vec_push(&a->r->pins) = a->pins.data[i];
	free(a->pins.data);
	memset(&a->pins, 0, sizeof(a->pins));
	if (a->has_gap)
		gs_reading_warn_swap(a->r, "arena %zu: some of its memory is not known: what "
					   "leads to it is in swap, and is not read from there",
				     a->index);
	for (size_t i = 0; i < a->heaps.len; i++) {
		const struct gs_heap *heap = &a->heaps.data[i];
		if (heap->stable)
			continue;
		s->capture.unstable_heaps++;
		warn_unsettled(a->r, heap);
	}
}

/*
 * glibc's own sum for the arena. On a running target it may have moved on since the heaps were
 * walked; where nothing of the arena can lie elsewhere it was what the heaps add up to.
 */
static uint64_t system_bytes(struct gs_arena_walk *a, uint64_t mapped)
{
	struct gs_reading *r = a->r;
	struct gs_arena_state now;

	if (!r->live || a->state.system_mem == mapped ||
	    !gs_arena_read(r->mem, r->m, a->state.address, &now))
		return a->state.system_mem;
	bool has_gaps = a->has_gap || (a->index == 0 && (a->heaps.len != 1 ||
				      a->state.flags & GS_ARENA_NONCONTIGUOUS));
	return mapped && (!has_gaps || now.system_mem < mapped) ? mapped : now.system_mem;
}

static void finish_arena(struct gs_arena_walk *a, struct gs_arena *arena)
{
	struct gs_reading *r = a->r;
	uint64_t system = system_bytes(a, mapped_bytes(&a->heaps));

	*arena = (struct gs_arena){
		.index = (unsigned)a->index,
		.address = a->state.address,
		.system_bytes = system,
		.max_system_bytes = a->state.max_system_mem > system ? a->state.max_system_mem :
								       system,
		.attached_threads = a->state.attached_threads,
		.heaps = a->heaps.data,
		.n_heaps = a->heaps.len,
	};
	a->heaps = (struct gs_heap_list){};
	for (size_t i = 0; i < arena->n_heaps; i++)
		gs_account_add(&arena->account, &arena->heaps[i].account);
	if (arena->system_bytes > arena->account.mapped_bytes)
		arena->unlocated_bytes = arena->system_bytes - arena->account.mapped_bytes;
	if (arena->unlocated_bytes && a->index && !a->has_gap && !r->live)
		gs_snapshot_warn(r->snapshot, "arena %zu: its heaps do not add up to what glibc "
					      "counts for it", a->index);
	gs_account_add(&r->snapshot->totals, &arena->account);
}

void gs_arena_walk_run(struct gs_arena_walk *a, struct gs_arena *ret)
{
	struct gs_reading *r = a->r;

	uint64_t refusals = r->mem->swap_refusals;

	a->has_gap = false;
	if (!gs_arena_read(r->mem, r->m, r->ring.data[a->index], &a->state)) {
		if (r->mem->swap_refusals > refusals)
			gs_reading_warn_swap(r, "arena %zu is in swap, and is not read from there: "
						"of it and of older ones nothing is known",
					     a->index);
		else
			gs_snapshot_warn(r->snapshot, "arena %zu could not be read", a->index);
		a->state = (struct gs_arena_state){ .address = r->ring.data[a->index] };
	} else if (!gs_arena_is_unused(r->m, &a->state)) {
		walk_arena(a);
		commit_walk(a);
	}
	finish_arena(a, ret);
}

void gs_arena_walk_fini(struct gs_arena_walk *a)
{
	gs_residency_fini(&a->residency);
}
