/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks of heaps that hold still: well-formed ones, corrupt ones, and those partly in swap. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_fill.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_64 UINT64_C(0x7f2a40000000)
#define HEAP_32 UINT64_C(0xf6500000)
#define SEGMENT_64 UINT64_C(0x55d0ca1f7000)
#define SEGMENT_32 UINT64_C(0x0804d000)

static const struct gs_walk_options quiet;

static gs_addr heap_address(const struct gs_layout *l)
{
	return l->word == 8 ? HEAP_64 : HEAP_32;
}

static gs_addr segment_address(const struct gs_layout *l)
{
	return l->word == 8 ? SEGMENT_64 : SEGMENT_32;
}

static uint64_t large(const struct gs_layout *l)
{
	return l->word == 8 ? 4 * MIB : MIB;
}

static void begin_heap(struct gs_fake_heap *h, struct gs_fake *fake, const struct gs_layout *l,
		       uint64_t size, bool first)
{
	gs_addr at = heap_address(l);
	gs_addr arena = first ? at + l->heap.sizeof_ : at - l->heap_max + l->heap.sizeof_;

	gs_fake_heap_init(h, fake, l, at, size, arena, first ? 0 : at - l->heap_max);
}

/* Walk it quietly: all must be told, once, as it is. */
static void assert_exact(struct gs_fake_heap *h, enum gs_walk_end how)
{
	struct gs_extent extent = gs_fake_extent(h);
	struct gs_fake_seen seen;

	gs_fake_walk(h->fake, h->layout, &extent, &quiet, &seen);
	assert_true(gs_fake_tiles(&seen, h->start));
	assert_true(gs_fake_is_truth(&seen, h));
	assert_int_equal(seen.result.how, how);
	assert_int_equal(seen.result.passes, 1);
	assert_int_equal(seen.result.unsettled_bytes, 0);
	assert_false(seen.result.swapped_headers);
	assert_true(seen.result.end == h->end);
	gs_fake_seen_fini(&seen);
	gs_fake_heap_fini(h);
}

/* Every layout, dense and with large chunks, parts of it released, ended as a heap may. */
static void thread_heaps_are_exact(void **state)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 8; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 8].layout;
		bool first = i & 1, has_top = i & 2, big = i & 4;
		struct gs_fake *fake = gs_fake_new();
		struct gs_fake_heap h;

		begin_heap(&h, fake, l, large(l), first);
		gs_fake_fill(&h, &seed, big ? 40 : 0,
			     has_top ? GS_FAKE_END_TOP : GS_FAKE_END_FENCE);
		gs_fake_release(&h, &seed);
		assert_exact(&h, has_top ? GS_WALK_TOP : GS_WALK_FENCE);
		gs_fake_free(fake);
	}
}

static void segments_are_exact(void **state)
{
	uint64_t seed = 2;

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 4; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 4].layout;
		bool has_top = i & 1, big = i & 2;
		struct gs_fake *fake = gs_fake_new();
		struct gs_fake_heap h;

		gs_fake_segment_init(&h, fake, l, segment_address(l), large(l));
		gs_fake_fill(&h, &seed, big ? 40 : 0,
			     has_top ? GS_FAKE_END_TOP : GS_FAKE_END_FENCE);
		gs_fake_release(&h, &seed);
		assert_exact(&h, has_top ? GS_WALK_TOP : GS_WALK_FENCE);
		gs_fake_free(fake);
	}
}

/* The fenceposts are below their neighbours' flags: after a chunk in a bin PREV_INUSE is 0. */
static void a_binned_chunk_below_the_fence(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 2; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 2].layout;
		struct gs_fake *fake = gs_fake_new();
		struct gs_fake_heap h;

		if (i & 1)
			begin_heap(&h, fake, l, 16 * GS_FAKE_PAGE, true);
		else
			gs_fake_segment_init(&h, fake, l, segment_address(l), 16 * GS_FAKE_PAGE);
		gs_fake_chunk(&h, 64, GS_FAKE_LIVE);
		gs_fake_chunk(&h, gs_fake_room(&h), GS_FAKE_BINNED);
		gs_fake_fence(&h);
		assert_exact(&h, GS_WALK_FENCE);
		gs_fake_free(fake);
	}
}

/* An old top that was too small to be freed stays between the last chunk and the fence. */
static void a_remnant_below_the_fence(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 2; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 2].layout;
		for (uint64_t size = 0; size < l->min_size; size += l->align) {
			struct gs_fake *fake = gs_fake_new();
			struct gs_fake_heap h;

			if (i & 1)
				begin_heap(&h, fake, l, 16 * GS_FAKE_PAGE, false);
			else
				gs_fake_segment_init(&h, fake, l, segment_address(l),
						     16 * GS_FAKE_PAGE);
			gs_fake_chunk(&h, gs_fake_room(&h) - size, GS_FAKE_LIVE);
			gs_fake_fence_small(&h, size);
			assert_exact(&h, GS_WALK_FENCE);
			gs_fake_free(fake);
		}
	}
}

static void a_heap_that_is_all_top(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_fake *fake = gs_fake_new();
		struct gs_fake_heap h;

		begin_heap(&h, fake, l, 33 * GS_FAKE_PAGE, true);
		gs_fake_top(&h);
		gs_fake_release(&h, &(uint64_t){ 3 });
		assert_exact(&h, GS_WALK_TOP);
		gs_fake_free(fake);
	}
}

/* A segment of the brk area begins where malloc's first sbrk() did: not always at a page. */
static void a_segment_that_begins_within_a_page(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_fake *fake = gs_fake_new();
	struct gs_fake_heap h;
	uint64_t seed = 4;

	gs_fake_add(fake, SEGMENT_64, 64 * GS_FAKE_PAGE);
	gs_fake_segment_begin(&h, fake, l, SEGMENT_64 + 0x9c8, 64 * GS_FAKE_PAGE - 0x9c8);
	gs_fake_fill(&h, &seed, 0, GS_FAKE_END_TOP);
	assert_exact(&h, GS_WALK_TOP);
	gs_fake_free(fake);
}

/* The interior of large chunks is not read: a page a header, at most. */
static void large_chunks_are_jumped_over(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_fake *fake = gs_fake_new();
	struct gs_fake_heap h;

	gs_fake_segment_init(&h, fake, l, SEGMENT_64, 32 * MIB);
	for (unsigned i = 0; i < 16; i++)
		gs_fake_chunk(&h, MIB + 48, i % 2 ? GS_FAKE_BINNED : GS_FAKE_LIVE);
	gs_fake_chunk(&h, 32, GS_FAKE_LIVE);
	gs_fake_top(&h);
	assert_exact(&h, GS_WALK_TOP);
	assert_true(fake->mem.bytes_read <= 20 * GS_FAKE_PAGE);
	gs_fake_free(fake);
}

/* --- corrupt --- */

/* A small heap of live chunks of 64 bytes with one cached chunk in the middle. */
struct damaged {
	struct gs_fake *fake;
	struct gs_fake_heap heap;
	gs_addr chunks[1000];
	struct gs_cached cached;
	struct gs_cached_list known;
	struct gs_walk_options options;
};

enum { CACHED = 600 };	/* chunk of that index is known */

static void begin_damaged(struct damaged *d, const struct gs_layout *l, bool is_main)
{
	*d = (struct damaged){ .fake = gs_fake_new() };
	if (is_main)
		gs_fake_segment_init(&d->heap, d->fake, l, segment_address(l), 20 * GS_FAKE_PAGE);
	else
		begin_heap(&d->heap, d->fake, l, 20 * GS_FAKE_PAGE, true);
	for (unsigned i = 0; i < 1000; i++)
		d->chunks[i] = gs_fake_chunk(&d->heap, 64, i == CACHED ? GS_FAKE_TCACHE :
								   GS_FAKE_LIVE);
	gs_fake_top(&d->heap);
	d->cached = (struct gs_cached){ d->chunks[CACHED], 64, 7 };
	d->known = (struct gs_cached_list){ &d->cached, 1, 1 };
	d->options.known[0] = &d->known;
}

static void end_damaged(struct damaged *d)
{
	gs_fake_heap_fini(&d->heap);
	gs_fake_free(d->fake);
}

static void walk_damaged(struct damaged *d, struct gs_fake_seen *seen)
{
	struct gs_extent extent = gs_fake_extent(&d->heap);

	gs_fake_walk(d->fake, d->heap.layout, &extent, &d->options, seen);
	assert_true(gs_fake_tiles(seen, d->heap.start));
	assert_true(gs_fake_sum(seen, GS_KIND_UNSETTLED) == seen->result.unsettled_bytes);
}

/* Size words that no chunk can have, here and near the end of what a word can hold. */
static const uint64_t bad_words[] = {
	0, 1, 8, 9, 16 | GS_IS_MMAPPED, 64 | 1 | GS_IS_MMAPPED, 24 | 1, 40 | 1, 1000 | 1,
	0x7ffffff1, 0xfffffff1, 0xffffffff, UINT64_C(0x7ffffffffffffff1), UINT64_MAX - 6,
	UINT64_MAX - 14, UINT64_MAX, UINT64_C(0xffff80d5bfff0001), 20 * GS_FAKE_PAGE | 1,
};

/* What cannot be is named, and all behind the next known chunk is told as it is. */
static void a_bad_size_loses_only_up_to_the_next_known_chunk(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		for (unsigned j = 0; j < sizeof(bad_words) / sizeof(bad_words[0]); j++) {
			const struct gs_layout *l = &gs_fake_layouts[i].layout;
			struct damaged d;
			struct gs_fake_seen seen;

			/* 24, 40 and 1000 are sizes where chunks are aligned to 8. */
			if (l->align == 8 && bad_words[j] > 9 && bad_words[j] < 1024 &&
			    !(bad_words[j] & GS_IS_MMAPPED))
				continue;
			begin_damaged(&d, l, false);
			gs_fake_put(d.fake, l, d.chunks[300] + l->word, bad_words[j]);
			walk_damaged(&d, &seen);
			assert_int_equal(seen.result.how, GS_WALK_TOP);
			assert_int_equal(seen.result.passes, 1);
			/* The chunk below the bad header has no known end either. */
			assert_int_equal(seen.result.unsettled_bytes, 64 * (CACHED - 300 + 1));
			assert_true(gs_fake_sum(&seen, GS_KIND_TOP) ==
				    d.heap.end - d.heap.top);
			assert_true(seen.result.end == d.heap.end);
			assert_true(d.fake->mem.bytes_read <= 3 * 20 * GS_FAKE_PAGE);
			gs_fake_seen_fini(&seen);
			end_damaged(&d);
		}
	}
}

/* In main_arena chunks of 2W are fenceposts, at the end of a page only. */
static void a_fencepost_out_of_place(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct damaged d;
	struct gs_fake_seen seen;

	begin_damaged(&d, l, true);
	gs_fake_put(d.fake, l, d.chunks[300] + 8, 0x11);
	gs_fake_put(d.fake, l, d.chunks[300] + 24, 0x11);
	walk_damaged(&d, &seen);
	assert_int_equal(seen.result.how, GS_WALK_TOP);
	assert_true(seen.result.unsettled_bytes >= 64 * (CACHED - 300));
	assert_true(seen.result.unsettled_bytes <= 64 * (CACHED - 300 + 1));
	gs_fake_seen_fini(&seen);
	end_damaged(&d);
}

/* A chunk that is free has its size where it ends; flags must be of the right arena. */
static void flags_and_prev_size_are_checked(void **state)
{
	static const struct { bool is_main; uint64_t raw, prev_size; bool ok; } cases[] = {
		{ false, 64 | 4, 64, true },	/* the chunk below is free */
		{ false, 64 | 4, 48, false },
		{ false, 64 | 4, 0, false },
		{ false, 64 | 4 | 1, 48, true },	/* in use: prev_size is its user's */
		{ false, 64 | 1, 48, true },	/* in a bin: no arena flag */
		{ true, 64 | 1, 48, true },
		{ true, 64 | 4 | 1, 48, false },
		{ true, 64 | 2 | 1, 48, false },
		{ true, 64, UINT64_MAX, false },
	};
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct damaged d;
		struct gs_fake_seen seen;

		begin_damaged(&d, l, cases[i].is_main);
		gs_fake_put(d.fake, l, d.chunks[300], cases[i].prev_size);
		gs_fake_put(d.fake, l, d.chunks[300] + 8, cases[i].raw);
		walk_damaged(&d, &seen);
		assert_int_equal(seen.result.unsettled_bytes == 0, cases[i].ok);
		gs_fake_seen_fini(&seen);
		end_damaged(&d);
	}
}

/* Nothing is known behind the damage but the top: that is still found. */
static void the_top_is_known_too(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct damaged d;
	struct gs_fake_seen seen;

	begin_damaged(&d, l, false);
	d.known.len = 0;
	gs_fake_put(d.fake, l, d.chunks[999] + 8, 3);
	walk_damaged(&d, &seen);
	assert_int_equal(seen.result.how, GS_WALK_TOP);
	assert_int_equal(seen.result.unsettled_bytes, 128);
	gs_fake_seen_fini(&seen);
	end_damaged(&d);
}

/* A top that cannot be, or is no chunk's address: the walk is lost there, and ends. */
static void a_bad_top_ends_the_walk(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		gs_addr heap = heap_address(l);
		const gs_addr tops[] = {
			1, heap, heap + 1, heap + 16, heap + 5 * GS_FAKE_PAGE - 1,
			heap + 5 * GS_FAKE_PAGE - 8, heap + 5 * GS_FAKE_PAGE - 4,
			heap + 5 * GS_FAKE_PAGE, heap + 19 * GS_FAKE_PAGE + 4088,
			heap + 20 * GS_FAKE_PAGE - 1, heap + 20 * GS_FAKE_PAGE,
			heap + 21 * GS_FAKE_PAGE, UINT64_MAX - 15, UINT64_MAX,
		};
		for (unsigned j = 0; j < sizeof(tops) / sizeof(tops[0]); j++) {
			struct damaged d;
			struct gs_fake_seen seen;

			begin_damaged(&d, l, false);
			d.heap.top = tops[j];
			d.options.live = j % 2;
			walk_damaged(&d, &seen);
			assert_int_equal(seen.result.how, GS_WALK_LOST);
			assert_true(seen.result.unsettled_bytes > 0);
			assert_true(seen.result.end == d.heap.end);
			gs_fake_seen_fini(&seen);
			end_damaged(&d);
		}
	}
}

/* --- swap and released pages --- */

/*
 * A page of headers is in swap, or gone: it is not read (the memory would abort), what is in it
 * is named, and the walk goes on from a known chunk.
 */
static void headers_that_are_not_in_memory(void **state)
{
	static const enum gs_page states[] = { GS_PAGE_SWAPPED, GS_PAGE_NONE };
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < 4; i++) {
		struct damaged d;
		struct gs_fake_seen seen;

		begin_damaged(&d, l, false);
		d.options.live = i / 2;
		gs_addr page = (d.chunks[300] / GS_FAKE_PAGE + 1) * GS_FAKE_PAGE;
		gs_fake_set_pages(d.fake, page, page + 1, states[i % 2]);
		walk_damaged(&d, &seen);
		assert_int_equal(seen.result.how, GS_WALK_TOP);
		assert_int_equal(seen.result.swapped_headers, states[i % 2] == GS_PAGE_SWAPPED);
		assert_true(seen.result.unsettled_bytes >= d.chunks[CACHED] - page);
		assert_true(seen.result.unsettled_bytes <= d.chunks[CACHED] - page + 64);
		gs_fake_seen_fini(&seen);
		end_damaged(&d);
	}
}

static void a_heap_wholly_in_swap(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct damaged d;
	struct gs_fake_seen seen;

	begin_damaged(&d, l, false);
	gs_fake_set_pages(d.fake, d.heap.start, d.heap.end, GS_PAGE_SWAPPED);
	walk_damaged(&d, &seen);
	assert_int_equal(seen.result.how, GS_WALK_LOST);
	assert_true(seen.result.swapped_headers);
	assert_true(seen.result.unsettled_bytes == d.heap.end - d.heap.first);
	assert_int_equal(d.fake->reads, 0);
	gs_fake_seen_fini(&seen);
	end_damaged(&d);
}

/* --- probes --- */

static bool probe(struct gs_fake_heap *h)
{
	struct gs_extent extent = gs_fake_extent(h);
	struct gs_residency residency = {};
	struct gs_walker *walker = gs_walker_new(&h->fake->mem, h->layout);

	gs_residency_begin(&residency, &h->fake->mem, extent.start, extent.end);
	bool ok = gs_walk_probe(walker, &extent, &residency);
	gs_residency_fini(&residency);
	gs_walker_free(walker);
	return ok;
}

static void a_probe_knows_a_segment(void **state)
{
	uint64_t seed = 5;

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 2; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 2].layout;
		struct gs_fake *fake = gs_fake_new();
		struct gs_fake_heap h;

		gs_fake_segment_init(&h, fake, l, segment_address(l), MIB);
		gs_fake_fill(&h, &seed, 0, i % 2 ? GS_FAKE_END_TOP : GS_FAKE_END_FENCE);
		assert_true(probe(&h));
		gs_addr second = h.first + (gs_fake_get(fake, l, h.first + l->word) & ~UINT64_C(7));
		gs_fake_put(fake, l, second + l->word, 0);
		fake->mem.bytes_read = 0;
		assert_false(probe(&h));
		assert_true(fake->mem.bytes_read <= GS_FAKE_PAGE);
		gs_fake_set_pages(fake, h.start, h.end, GS_PAGE_NONE);
		assert_false(probe(&h));
		gs_fake_heap_fini(&h);
		gs_fake_free(fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread_heaps_are_exact),
		cmocka_unit_test(segments_are_exact),
		cmocka_unit_test(a_binned_chunk_below_the_fence),
		cmocka_unit_test(a_remnant_below_the_fence),
		cmocka_unit_test(a_heap_that_is_all_top),
		cmocka_unit_test(a_segment_that_begins_within_a_page),
		cmocka_unit_test(large_chunks_are_jumped_over),
		cmocka_unit_test(a_bad_size_loses_only_up_to_the_next_known_chunk),
		cmocka_unit_test(a_fencepost_out_of_place),
		cmocka_unit_test(flags_and_prev_size_are_checked),
		cmocka_unit_test(the_top_is_known_too),
		cmocka_unit_test(a_bad_top_ends_the_walk),
		cmocka_unit_test(headers_that_are_not_in_memory),
		cmocka_unit_test(a_heap_wholly_in_swap),
		cmocka_unit_test(a_probe_knows_a_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
