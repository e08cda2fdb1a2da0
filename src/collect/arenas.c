/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/arenas.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "collect/visit.h"
#include "heap/segments.h"
#include "heap/walk.h"
#include "model/metrics.h"

enum {
	ROUNDS = 4,	/* times an arena's heaps are listed again because it grew meanwhile */
	ATTEMPTS = 20,	/* reads of a chain of heaps that is being changed */
};

/* The heaps of one arena as they are walked. */
struct heap_list {
	struct gs_heap *data;
	size_t len, cap;
};

/* One arena's walk. */
struct arena_walk {
	struct gs_reading *r;
	struct gs_walker *walker;
	struct gs_residency residency;
	struct gs_page_scan *scan;
	struct gs_ranges *exclude;	/* heaps of thread arenas, segments */
	size_t index;			/* of the arena */
	struct gs_arena_state state;
	/* What a walk of this arena adds; begun anew when it is walked again. */
	struct heap_list heaps;
	struct { struct gs_pin_words *data; size_t len, cap; } pins;
	uint64_t what_if[GS_WHAT_IF_N];
	uint64_t changed_chunks;
	unsigned passes;
	bool swapped_headers;
	bool take_fastlinks;	/* the arena's fastbins are not listed */
	struct gs_fastlinks fastlinks;
};

/* What a refresh needs to look a moving top up again. */
struct refresh {
	struct gs_mem *mem;
	const struct gs_malloc *m;
	gs_addr arena, heap;
};

static bool refresh_heap(void *context, struct gs_extent *extent)
{
	struct refresh *c = context;
	struct gs_arena_state arena;
	struct gs_heap_state heap;

	if (!gs_arena_read(c->mem, c->m, c->arena, &arena) ||
	    !gs_heap_read(c->mem, c->m, c->arena, c->heap, &heap))
		return false;
	extent->end = heap.address + heap.size;
	extent->top = gs_heap_of(c->m, arena.top) == c->heap ? arena.top : 0;
	return true;
}

static bool refresh_segment(void *context, struct gs_extent *extent)
{
	struct refresh *c = context;
	struct gs_arena_state arena;
	gs_addr top_end;

	if (!gs_arena_read(c->mem, c->m, c->arena, &arena))
		return false;
	if (!extent->top || arena.top < extent->first)
		return true;
	/* While top is being changed its size may not fit yet: the next try will tell. */
	if (gs_segment_top(c->mem, c->m, &arena, &top_end)) {
		extent->top = arena.top;
		extent->end = top_end;
	}
	return true;
}

/* Remember what a pin's user memory begins with: what it is can be told later. */
static void keep_pin_words(struct arena_walk *a, const struct gs_pin *pin)
{
	struct gs_reading *r = a->r;
	struct gs_pin_words words = { .arena = a->index, .heap = a->heaps.len };
	unsigned word = r->m->layout.word;
	size_t len = pin->size - word < sizeof(words.bytes) ? pin->size - word :
							      sizeof(words.bytes);

	if (!pin->address || pin->state != GS_CHUNK_LIVE ||
	    !gs_mem_try(r->mem, pin->address + 2u * word, words.bytes, len))
		return;
	words.len = len;
	*gs_vec_push(&a->pins) = words;
}

/* Walk one extent and append it to the heaps. False if it vanished. */
static bool walk_extent(struct arena_walk *a, const struct gs_extent *extent, bool has_arena,
			uint64_t reserved, struct refresh *refresh, struct gs_heap **ret)
{
	struct gs_reading *r = a->r;
	char cells[GS_CELLS_MAX + 1];
	struct gs_visit visit;
	struct gs_walk_result result;

	gs_residency_begin(&a->residency, r->mem, extent->start, extent->end);
	const struct gs_cached_list *fastbins = &r->cached.fastbins[a->index];
	gs_visit_begin(&visit, &r->m->layout, &a->residency, &r->cached.tcache, fastbins,
		       extent->start, extent->end, reserved, cells);
	visit.has_arena = has_arena;
	visit.take_fastlinks = a->take_fastlinks;
	visit.fastlinks = a->fastlinks;
	struct gs_walk_options options = {
		.live = r->live,
		.refresh = extent->is_main ? refresh_segment : refresh_heap,
		.context = refresh,
		.known = { &r->cached.tcache, fastbins },
	};
	struct gs_visitor visitor = { gs_visit_chunks, &visit, sizeof(visit) };
	gs_walk(a->walker, extent, &options, &a->residency, &visitor, &result);
	if (result.passes > a->passes)
		a->passes = result.passes;
	if (result.how == GS_WALK_GONE)
		return false;

	if (extent->is_main)
		reserved = result.end - extent->start;
	gs_residency_set_end(&a->residency, result.end);
	gs_visit_finish(&visit, result.end, reserved);
	a->fastlinks = visit.fastlinks;
	a->changed_chunks += visit.changed_chunks;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		a->what_if[i] += visit.what_if[i];
	keep_pin_words(a, &visit.pin);

	struct gs_heap *heap = gs_vec_push(&a->heaps);
	*heap = (struct gs_heap){
		.address = extent->start,
		.end = result.end,
		.reserved_bytes = reserved,
		.position = GS_POS_SEGMENT,
		.stable = result.how != GS_WALK_LOST && !result.unsettled_bytes,
		.account = visit.account,
		.pin = visit.pin,
		.cell_bytes = UINT64_C(1) << visit.cell_shift,
		.cells = gs_xstrdup(cells),
	};
	a->swapped_headers |= result.swapped_headers;
	*ret = heap;
	return true;
}

/* --- thread arenas --- */

static bool has_heap(const struct heap_list *heaps, gs_addr address)
{
	for (size_t i = heaps->len; i-- > 0;) {
		if (heaps->data[i].address == address)
			return true;
	}
	return false;
}

static void walk_heap(struct arena_walk *a, const struct gs_heap_state *state)
{
	const struct gs_malloc *m = a->r->m;
	bool first = gs_heap_of(m, a->state.address) == state->address;
	bool last = gs_heap_of(m, a->state.top) == state->address;
	struct refresh refresh = { a->r->mem, m, a->state.address, state->address };
	struct gs_extent extent = {
		.start = state->address,
		.first = gs_heap_first_chunk(m, state, first),
		.end = state->address + state->size,
		.top = last ? a->state.top : 0,
	};
	struct gs_heap *heap;

	walk_extent(a, &extent, first, m->layout.heap_max, &refresh, &heap);
}

/* The arena and its chain of heaps as they belong together. */
static bool read_chain(struct arena_walk *a, struct gs_heap_states *ret)
{
	struct gs_reading *r = a->r;
	unsigned attempts = r->live ? ATTEMPTS : 1;

	for (unsigned i = 0; i < attempts; i++) {
		if (gs_arena_read(r->mem, r->m, a->state.address, &a->state) &&
		    gs_heap_chain(r->mem, r->m, &a->state, ret))
			return true;
	}
	return false;
}

/* Walk the heaps that were not walked yet; true if there were any. */
static bool walk_new_heaps(struct arena_walk *a)
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
	return any;
}

static enum gs_position heap_position(size_t i, size_t n)
{
	if (n == 1)
		return GS_POS_ONLY;
	return i == 0 ? GS_POS_FIRST : i == n - 1 ? GS_POS_LAST : GS_POS_INTERIOR;
}

static void walk_thread_arena(struct arena_walk *a)
{
	for (unsigned i = 0; i < ROUNDS && walk_new_heaps(a) && a->r->live; i++)
		;
	for (size_t i = 0; i < a->heaps.len; i++) {
		struct gs_heap *heap = &a->heaps.data[i];
		heap->position = heap_position(i, a->heaps.len);
		heap->idle = heap->position == GS_POS_INTERIOR && !heap->account.live_bytes;
	}
}

/* --- main_arena --- */

static uint64_t mapped_bytes(const struct heap_list *heaps)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < heaps->len; i++)
		sum += heaps->data[i].account.mapped_bytes;
	return sum;
}

static bool top_was_reached(const struct heap_list *heaps, gs_addr top)
{
	for (size_t i = 0; i < heaps->len; i++) {
		if (top >= heaps->data[i].address && top < heaps->data[i].end)
			return true;
	}
	return false;
}

static bool read_top(struct arena_walk *a, gs_addr *ret_end)
{
	struct gs_reading *r = a->r;
	unsigned attempts = r->live ? ATTEMPTS : 1;

	for (unsigned i = 0; i < attempts; i++) {
		if (gs_segment_top(r->mem, r->m, &a->state, ret_end))
			return true;
		if (!gs_arena_read(r->mem, r->m, a->state.address, &a->state))
			return false;
	}
	return false;
}

static void walk_main_arena(struct arena_walk *a)
{
	struct gs_reading *r = a->r;
	struct refresh refresh = { r->mem, r->m, a->state.address, 0 };
	struct gs_segment_search search = {
		.mem = r->mem, .m = r->m, .maps = r->maps, .exclude = a->exclude,
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
		struct gs_heap *heap;
		if (!walk_extent(a, &extent, false, extent.end - extent.start, &refresh, &heap))
			break;
		if (mapped_bytes(&a->heaps) >= a->state.system_mem)
			break;
		bool contiguous = !(a->state.flags & GS_ARENA_NONCONTIGUOUS);
		if (contiguous && top_was_reached(&a->heaps, a->state.top))
			break;
		more = gs_segment_next(&search, heap->end, &extent);
	}
}

/* --- one arena --- */

/* Forget what a walk has added so far. */
static void begin_walk(struct arena_walk *a)
{
	for (size_t i = 0; i < a->heaps.len; i++)
		free(a->heaps.data[i].cells);
	free(a->heaps.data);
	free(a->pins.data);
	a->heaps = (struct heap_list){};
	memset(&a->pins, 0, sizeof(a->pins));
	memset(a->what_if, 0, sizeof(a->what_if));
	a->changed_chunks = 0;
	a->swapped_headers = false;
}

/* Where the arena's memory lies: links within it are plausible. */
static void arena_bounds(struct arena_walk *a, gs_addr *ret_lowest, gs_addr *ret_highest)
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

static void walk_once(struct arena_walk *a)
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
static void walk_arena(struct arena_walk *a)
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

static const char *unsettled_reason(const struct arena_walk *a)
{
	if (a->swapped_headers)
		return "chunk headers are in swap, and are not read from there";
	return a->r->live ? "it kept changing while it was read" :
			    "its chunk headers are not consistent";
}

/* Hand what the walk found to the snapshot. */
static void commit_walk(struct arena_walk *a)
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
	for (size_t i = 0; i < a->heaps.len; i++) {
		const struct gs_heap *heap = &a->heaps.data[i];
		if (heap->stable)
			continue;
		s->capture.unstable_heaps++;
		gs_snapshot_warn(s, "%llu bytes of the heap at 0x%llx could not be made out: %s",
				 (unsigned long long)heap->account.unsettled_bytes,
				 (unsigned long long)heap->address, unsettled_reason(a));
	}
}

/* --- all arenas --- */

static void add_threads(struct gs_reading *r, struct gs_arena *arena)
{
	size_t n = 0;

	for (size_t i = 0; i < r->states.len; i++)
		n += r->states.data[i].arena == arena->address;
	arena->threads = gs_xcalloc(n, sizeof(*arena->threads));
	for (size_t i = 0; i < r->states.len; i++) {
		const struct gs_thread_state *state = &r->states.data[i];
		if (state->arena != arena->address)
			continue;
		struct gs_attached *t = &arena->threads[arena->n_threads++];
		t->tid = state->tid;
		t->tcache_bytes = r->cached.sums[i].bytes;
		t->tcache_chunks = r->cached.sums[i].chunks;
		for (size_t j = 0; j < r->threads->len; j++) {
			if (r->threads->data[j].tid == state->tid)
				t->comm = gs_xstrdup(r->threads->data[j].comm);
		}
		if (!t->comm)
			t->comm = gs_xstrdup("");
	}
}

/*
 * glibc's own sum for the arena. On a running target it may have moved on since the heaps were
 * walked; where nothing of the arena can lie elsewhere it was what the heaps add up to.
 */
static uint64_t system_bytes(struct arena_walk *a, uint64_t mapped)
{
	struct gs_reading *r = a->r;
	struct gs_arena_state now;

	if (!r->live || a->state.system_mem == mapped ||
	    !gs_arena_read(r->mem, r->m, a->state.address, &now))
		return a->state.system_mem;
	bool has_gaps = a->index == 0 && a->heaps.len != 1;
	return mapped && (!has_gaps || now.system_mem < mapped) ? mapped : now.system_mem;
}

static void finish_arena(struct arena_walk *a, struct gs_arena *arena)
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
	a->heaps = (struct heap_list){};
	for (size_t i = 0; i < arena->n_heaps; i++)
		gs_account_add(&arena->account, &arena->heaps[i].account);
	if (arena->system_bytes > arena->account.mapped_bytes)
		arena->unlocated_bytes = arena->system_bytes - arena->account.mapped_bytes;
	gs_account_add(&r->snapshot->totals, &arena->account);
}

/* Returns whether the bins of all arenas look as bins do. */
static bool read_cached(struct gs_reading *r)
{
	cleanup_free_ struct gs_arena_state *arenas = gs_xcalloc(r->ring.len, sizeof(*arenas));
	bool bins_agree = true;

	for (size_t i = 0; i < r->ring.len; i++)
		bins_agree &= gs_arena_read(r->mem, r->m, r->ring.data[i], &arenas[i]) &&
			      arenas[i].bins_agree;
	gs_cached_read(r->mem, r->m, &r->states, r->par.tcache_count, arenas, r->ring.len,
		       &r->cached);
	r->snapshot->capture.changed_chunks += r->cached.dropped;
	return bins_agree;
}

static void exclude_heaps(struct gs_reading *r, struct gs_ranges *exclude)
{
	for (size_t i = 1; i < r->ring.len; i++) {
		struct gs_arena_state arena;
		struct gs_heap_states chain;
		if (!gs_arena_read(r->mem, r->m, r->ring.data[i], &arena) ||
		    !gs_heap_chain(r->mem, r->m, &arena, &chain))
			continue;
		for (size_t j = 0; j < chain.len; j++)
			gs_ranges_add(exclude, chain.data[j].address,
				      chain.data[j].address + r->m->layout.heap_max);
		free(chain.data);
	}
	gs_ranges_sort(exclude);
}

static void walk_arenas(struct gs_reading *r, struct gs_page_scan *scan,
			struct gs_ranges *exclude)
{
	struct gs_snapshot *s = r->snapshot;
	struct arena_walk a = {
		.r = r, .walker = gs_walker_new(r->mem, &r->m->layout),
		.scan = scan, .exclude = exclude,
	};

	s->arenas = gs_xcalloc(r->ring.len, sizeof(*s->arenas));
	for (size_t i = 0; i < r->ring.len; i++) {
		a.index = i;
		if (!gs_arena_read(r->mem, r->m, r->ring.data[i], &a.state)) {
			gs_snapshot_warn(s, "arena %zu could not be read", i);
			a.state = (struct gs_arena_state){ .address = r->ring.data[i] };
		} else if (gs_arena_is_unused(r->m, &a.state)) {
			r->main_is_unused |= i == 0;
		} else {
			walk_arena(&a);
			commit_walk(&a);
		}
		finish_arena(&a, &s->arenas[s->n_arenas]);
		add_threads(r, &s->arenas[s->n_arenas++]);
	}
	gs_residency_fini(&a.residency);
	gs_walker_free(a.walker);
}

static void read_mmapped(struct gs_reading *r, struct gs_page_scan *scan,
			 struct gs_ranges *exclude)
{
	struct gs_snapshot *s = r->snapshot;

	/* main_arena's segments; thread heaps are in already. There is always a main_arena. */
	for (size_t i = 0; i < s->arenas[0].n_heaps; i++)
		gs_ranges_add(exclude, s->arenas[0].heaps[i].address, s->arenas[0].heaps[i].end);
	gs_ranges_sort(exclude);
	bool all = gs_mmapped_find(r->m, &r->par, r->maps, exclude, scan, &r->mmapped);
	s->mmapped.chunks = r->par.n_mmaps;
	s->mmapped.bytes = r->par.mmapped_mem;
	s->mmapped.resident_bytes = all ? r->mmapped.resident_bytes : GS_UNKNOWN;
}

/* mallopt() takes -1 for "never": all ones, which would read as unknown. */
static uint64_t setting(uint64_t value)
{
	return value == UINT64_MAX ? GS_UNLIMITED : value;
}

static void fill_mallopt(struct gs_reading *r)
{
	r->snapshot->mallopt = (struct gs_mallopt){
		.trim_threshold = setting(r->par.trim_threshold),
		.top_pad = setting(r->par.top_pad),
		.mmap_threshold = setting(r->par.mmap_threshold),
		.arena_max = setting(r->par.arena_max),
		.arena_test = setting(r->par.arena_test),
		.tcache_count = r->par.tcache_count,
		.tcache_max_bytes = r->par.tcache_max_bytes,
		.dynamic_threshold = r->par.dynamic_threshold,
	};
}

/* Independent facts that must fit together when everything was found and read right. */
static void count_checks(struct gs_reading *r, bool bins_agree)
{
	struct gs_snapshot *s = r->snapshot;
	bool sums_agree = true, has_memory = false;

	for (size_t i = 0; i < s->n_arenas; i++) {
		has_memory |= s->arenas[i].n_heaps > 0;
		sums_agree &= !s->arenas[i].unlocated_bytes &&
			      gs_account_adds_up(&s->arenas[i].account);
	}
	s->allocator.checks = 1u +			/* the ring of arenas closed */
		(r->ring.len > 1) +			/* heaps point back at their arenas */
		bins_agree +
		(has_memory && sums_agree) +		/* heaps add up to system_mem */
		(has_memory && !s->capture.unstable_heaps) +	/* walks ended as they must */
		(r->states.len > 0) +			/* a thread's TLS names an arena */
		(s->mmapped.resident_bytes != GS_UNKNOWN);	/* counters of mp_ fit */
}

static void warn_incomplete(struct gs_reading *r)
{
	struct gs_snapshot *s = r->snapshot;

	if (r->cached.broken && !r->live)
		gs_snapshot_warn(s, "%llu tcache or fastbin lists are not consistent",
				 (unsigned long long)r->cached.broken);
	for (size_t i = 1; i < s->n_arenas && !r->live; i++) {
		if (s->arenas[i].unlocated_bytes)
			gs_snapshot_warn(s, "arena %u: its heaps do not add up to what glibc "
					    "counts for it", s->arenas[i].index);
	}
}

/* An arena that is just being made may be in the ring before it points back. */
static struct gs_err *read_ring(struct gs_reading *r)
{
	struct gs_err *err = gs_arena_ring(r->mem, r->m, &r->ring);

	for (unsigned i = 1; err && r->live && i < ATTEMPTS; i++) {
		gs_err_free(err);
		err = gs_arena_ring(r->mem, r->m, &r->ring);
	}
	return err;
}

struct gs_err *gs_reading_run(struct gs_reading *r)
{
	struct gs_snapshot *s = r->snapshot;
	struct gs_err *err = gs_par_read(r->mem, r->m, &r->par);

	if (!err)
		err = read_ring(r);
	if (err)
		return err;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		s->what_if[i].granularity_bytes = gs_what_if_sizes[i];
	fill_mallopt(r);
	gs_thread_states_read(r->mem, r->m, r->threads, &r->ring, &r->states);

	struct gs_ranges exclude = {};
	struct gs_page_scan *scan = gs_xzalloc(sizeof(*scan));
	gs_page_scan_init(scan, r->mem, &r->m->layout);
	bool bins_agree = read_cached(r);
	exclude_heaps(r, &exclude);
	walk_arenas(r, scan, &exclude);
	read_mmapped(r, scan, &exclude);
	gs_page_scan_fini(scan);
	free(scan);
	gs_ranges_fini(&exclude);

	count_checks(r, bins_agree);
	warn_incomplete(r);
	return NULL;
}

void gs_reading_fini(struct gs_reading *r)
{
	free(r->ring.data);
	free(r->states.data);
	gs_cached_fini(&r->cached);
	gs_ranges_fini(&r->mmapped.ranges);
	free(r->pins.data);
}
