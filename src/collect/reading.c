/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/reading.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "collect/arena_walk.h"
#include "collect/visit.h"
#include "heap/page_scan.h"
#include "heap/walk.h"
#include "model/metrics.h"

void gs_reading_warn_swap(struct gs_reading *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	gs_snapshot_vwarn(r->snapshot, fmt, ap);
	va_end(ap);
	r->swap_warnings++;
}

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
			const struct gs_thread *thread = &r->threads->data[j];
			if (thread->tid == state->tid && thread->comm[0])
				t->comm = gs_xstrdup(thread->comm);
		}
	}
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
	for (size_t i = 0; r->taken && i < r->taken->len; i++)
		gs_ranges_add(exclude, r->taken->data[i].start, r->taken->data[i].end);
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
			const struct gs_ranges *exclude)
{
	struct gs_snapshot *s = r->snapshot;
	struct gs_arena_walk walk = {
		.r = r, .walker = gs_walker_new(r->mem, &r->m->layout),
		.scan = scan, .exclude = exclude,
	};

	s->arenas = gs_xcalloc(r->ring.len, sizeof(*s->arenas));
	for (; walk.index < r->ring.len; walk.index++) {
		gs_arena_walk_run(&walk, &s->arenas[s->n_arenas]);
		add_threads(r, &s->arenas[s->n_arenas++]);
	}
	gs_arena_walk_fini(&walk);
	gs_walker_free(walk.walker);
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
	r->checks = bins_agree +
		(has_memory && sums_agree) +		/* heaps add up to system_mem */
		(has_memory && !s->capture.unstable_heaps) +	/* walks ended as they must */
		(r->states.len > 0) +			/* a thread's TLS names an arena */
		(s->mmapped.resident_bytes != GS_UNKNOWN);	/* counters of mp_ fit */
}

static void warn_incomplete(struct gs_reading *r)
{
	struct gs_snapshot *s = r->snapshot;

	if (r->cached.in_swap)
		gs_reading_warn_swap(r, "tcache or fastbin lists that lead into swap: %llu; cached "
					"chunks from there on are counted as live",
				     (unsigned long long)r->cached.broken);
	else if (r->cached.broken && !r->live)
		gs_snapshot_warn(s, "%llu tcache or fastbin lists are not consistent",
				 (unsigned long long)r->cached.broken);
}

/* refusals: reads of what is in swap before those of the threads' memory. */
static void warn_threads(struct gs_reading *r, uint64_t refusals)
{
	size_t unknown = r->threads->len;

	if (r->mem->swap_refusals == refusals)
		return;
	for (size_t i = 0; i < r->states.len; i++)
		unknown -= r->states.data[i].arena != 0;
	if (unknown)
		gs_reading_warn_swap(r, "the caches and arenas of %zu of %zu threads are not "
					"known: what leads to them is in swap, and is not read "
					"from there",
				     unknown, r->threads->len);
}

/* An arena that is just being made may be in the ring before it points back. */
static struct gs_err *read_ring(struct gs_reading *r)
{
	struct gs_err *err = gs_arena_ring(r->mem, r->m, &r->ring);

	for (unsigned i = 1; err && r->live && i < GS_READ_ATTEMPTS; i++) {
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
	uint64_t refusals = r->mem->swap_refusals;
	struct gs_tls_list tls;
	gs_tls_list_read(r->mem, r->m->machine, r->m->layout.word, r->threads, r->maps, &tls);
	gs_thread_states_read(r->mem, r->m, &tls, &r->ring, &r->states);
	r->unknown_threads = r->threads->len - tls.len;
	gs_tls_list_fini(&tls);
	warn_threads(r, refusals);

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
	*r = (struct gs_reading){};
}
