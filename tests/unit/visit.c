/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is made of a walk, against sums that are computed byte by byte from what was written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collect/visit.h"
#include "heap_fill.h"
#include "model/metrics.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_64 UINT64_C(0x7f2a40000000)
#define HEAP_32 UINT64_C(0xf6500000)
#define SEGMENT_64 UINT64_C(0x55d0ca1f7000)

/* A heap visited. */
struct visited {
	struct gs_fake *fake;
	struct gs_fake_heap heap;
	struct gs_cached_list cached[2];
	struct gs_walk_result result;
	struct gs_visit visit;
	char cells[GS_CELLS_MAX + 1];
};

enum { TID = 4711 };

static void begin(struct visited *v, const struct gs_layout *l, uint64_t size, bool first)
{
	gs_addr at = l->word == 8 ? HEAP_64 : HEAP_32;
	gs_addr arena = first ? at + l->heap.sizeof_ : at - l->heap_max + l->heap.sizeof_;

	*v = (struct visited){ .fake = gs_fake_new() };
	gs_fake_heap_init(&v->heap, v->fake, l, at, size, arena, first ? 0 : at - l->heap_max);
}

/* Walk the heap, with the lists as they are. */
static void visit(struct visited *v, uint64_t reserved, const struct gs_walk_options *options)
{
	const struct gs_layout *l = v->heap.layout;
	struct gs_extent extent = gs_fake_extent(&v->heap);
	struct gs_walker *walker = gs_walker_new(&v->fake->mem, l);
	struct gs_residency residency = {};
	struct gs_visitor visitor = { gs_visit_chunks, &v->visit, sizeof(v->visit) };

	if (!v->cached[0].data)
		gs_fake_cached(&v->heap, GS_FAKE_TCACHE, TID, &v->cached[0]);
	if (!v->cached[1].data)
		gs_fake_cached(&v->heap, GS_FAKE_FASTBIN, 0, &v->cached[1]);
	gs_residency_begin(&residency, &v->fake->mem, extent.start, extent.end);
	gs_visit_begin(&v->visit, l, &residency, &v->cached[0], &v->cached[1], extent.start,
		       extent.end, reserved, v->cells);
	v->visit.has_arena = v->heap.arena >= extent.start;
	gs_walk(walker, &extent, options, &residency, &visitor, &v->result);
	gs_visit_finish(&v->visit, v->result.end, reserved);
	v->visit.residency = NULL;
	gs_residency_fini(&residency);
	gs_walker_free(walker);
}

static void end(struct visited *v)
{
	free(v->cached[0].data);
	free(v->cached[1].data);
	gs_fake_heap_fini(&v->heap);
	gs_fake_free(v->fake);
}

static const struct gs_walk_options quiet;

/* --- sums --- */

/* The pin by going through all that was written. */
static struct gs_pin real_pin(const struct gs_fake_heap *h)
{
	struct gs_pin pin = {};
	uint64_t free_bytes = 0;

	for (size_t i = 0; i < h->truth.len; i++) {
		const struct gs_fake_chunk *c = &h->truth.data[i];
		if (c->kind <= GS_FAKE_FASTBIN)
			pin = (struct gs_pin){
				.address = c->addr, .size = c->size, .below_bytes = free_bytes,
				.state = c->kind == GS_FAKE_LIVE ? GS_CHUNK_LIVE :
					 c->kind == GS_FAKE_TCACHE ? GS_CHUNK_TCACHE :
								     GS_CHUNK_FASTBIN,
				.tid = c->kind == GS_FAKE_TCACHE ? TID : 0,
			};
		else if (c->kind != GS_FAKE_OVERHEAD)
			pin.above_bytes += c->size;
		if (c->kind != GS_FAKE_LIVE && c->kind != GS_FAKE_OVERHEAD)
			free_bytes += c->size;
	}
	return pin.below_bytes ? pin : (struct gs_pin){};
}

static void assert_exact(struct visited *v)
{
	struct gs_account real = gs_fake_account(&v->heap);
	struct gs_pin pin = real_pin(&v->heap);

	assert_memory_equal(&v->visit.account, &real, sizeof(real));
	assert_true(gs_account_adds_up(&v->visit.account));
	assert_true(v->visit.pin.address == pin.address);
	assert_true(v->visit.pin.size == pin.size);
	assert_int_equal(v->visit.pin.state, pin.state);
	assert_int_equal(v->visit.pin.tid, pin.tid);
	assert_true(v->visit.pin.below_bytes == pin.below_bytes);
	assert_true(v->visit.pin.above_bytes == pin.above_bytes);
	for (unsigned i = 0; i < GS_WHAT_IF_N; i++)
		assert_true(v->visit.what_if[i] ==
			    gs_fake_what_if(&v->heap, gs_what_if_sizes[i], v->visit.has_arena));
	assert_int_equal(v->visit.changed_chunks, 0);
}

static void heaps_are_exact(void **state)
{
	uint64_t seed = 11;

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 8; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 8].layout;
		bool first = i & 1, has_top = i & 2, big = i & 4;
		struct visited v;

		begin(&v, l, l->word == 8 ? 12 * MIB : MIB, first);
		gs_fake_fill(&v.heap, &seed, big ? 8 : 0,
			     has_top ? GS_FAKE_END_TOP : GS_FAKE_END_FENCE);
		gs_fake_release(&v.heap, &seed);
		visit(&v, l->heap_max, &quiet);
		assert_exact(&v);
		end(&v);
	}
}

/* No header, no malloc_state; begins anywhere in a page. */
static void segments_are_exact(void **state)
{
	static const uint64_t offsets[] = { 0, 16, 0x7f0, 0x800, 0xfd0 };
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");
	uint64_t seed = 12;

	for (unsigned i = 0; i < 40; i++) {
		uint64_t offset = offsets[i / 4 % 5];
		struct visited v = { .fake = gs_fake_new() };

		gs_fake_add(v.fake, SEGMENT_64, 4 * MIB);
		gs_fake_segment_begin(&v.heap, v.fake, l, SEGMENT_64 + offset, 4 * MIB - offset);
		if (i >= 20)
			gs_fake_chunk(&v.heap, 2 * GS_FAKE_PAGE - offset, GS_FAKE_BINNED);
		gs_fake_fill(&v.heap, &seed, i & 1 ? 8 : 0,
			     i & 2 ? GS_FAKE_END_TOP : GS_FAKE_END_FENCE);
		gs_fake_release(&v.heap, &seed);
		visit(&v, 4 * MIB - offset, &quiet);
		assert_exact(&v);
		end(&v);
	}
}

/* A short gap at the edge of a segment that begins within a page: nothing else keeps that page. */
static void what_if_at_the_edge(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");
	struct visited v = { .fake = gs_fake_new() };

	gs_fake_add(v.fake, SEGMENT_64, 16 * GS_FAKE_PAGE);
	gs_fake_segment_begin(&v.heap, v.fake, l, SEGMENT_64 + 0x800, 16 * GS_FAKE_PAGE - 0x800);
	gs_fake_chunk(&v.heap, 0x900, GS_FAKE_BINNED);
	gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_fake_top(&v.heap);
	visit(&v, 16 * GS_FAKE_PAGE - 0x800, &quiet);
	assert_true(v.visit.what_if[0] == 14 * GS_FAKE_PAGE + 0x800);
	assert_exact(&v);
	end(&v);
}

/* By hand: what is free, where it is, and in what state. */
static void an_account_by_hand(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct visited v;

	begin(&v, l, 16 * GS_FAKE_PAGE, false);
	gs_fake_chunk(&v.heap, 0x1000 - 0x30, GS_FAKE_LIVE);
	gs_addr hole = gs_fake_chunk(&v.heap, 0x5000, GS_FAKE_BINNED);
	gs_addr pin = gs_fake_chunk(&v.heap, 0x50, GS_FAKE_TCACHE);
	gs_fake_top(&v.heap);
	gs_fake_set_pages(v.fake, hole + 0x2000, hole + 0x3000, GS_PAGE_NONE);
	gs_fake_set_pages(v.fake, hole + 0x3000, hole + 0x4000, GS_PAGE_SWAPPED);
	gs_fake_set_pages(v.fake, hole + 0x4000, hole + 0x5000, GS_PAGE_ZERO);
	visit(&v, l->heap_max, &quiet);

	const struct gs_account *a = &v.visit.account;
	assert_int_equal(a->mapped_bytes, 0x10000);
	assert_int_equal(a->resident_bytes, 0xd000);
	assert_int_equal(a->swapped_bytes, 0x1000);
	assert_int_equal(a->live_bytes, 0x1000 - 0x30);
	assert_int_equal(a->overhead_bytes, 0x30);
	assert_int_equal(a->bin_bytes, 0x5000);
	assert_int_equal(a->tcache_bytes, 0x50);
	assert_int_equal(a->top_bytes, 0x10000 - 0x6050);
	assert_int_equal(a->stalled_bytes, 0x2000 + 0x10000 - 0x6000);
	assert_int_equal(a->stalled_swapped_bytes, 0x1000);
	assert_int_equal(a->returned_bytes, 0x2000);
	/* The hole's first page holds its header, top's first page top's. */
	assert_int_equal(a->reclaimable_bin_bytes, 0x1000);
	assert_int_equal(a->reclaimable_top_bytes, 0x9000);
	assert_true(v.visit.pin.address == pin);
	assert_int_equal(v.visit.pin.state, GS_CHUNK_TCACHE);
	assert_int_equal(v.visit.pin.tid, TID);
	assert_int_equal(v.visit.pin.below_bytes, 0x5000);
	assert_int_equal(v.visit.pin.above_bytes, 0x10000 - 0x6050);
	end(&v);
}

static void nothing_free_below_is_no_pin(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct visited v;

	begin(&v, l, 16 * GS_FAKE_PAGE, true);
	gs_fake_chunk(&v.heap, 64, GS_FAKE_TCACHE);
	gs_fake_top(&v.heap);
	visit(&v, l->heap_max, &quiet);
	assert_true(v.visit.pin.address == 0);
	assert_exact(&v);
	end(&v);
}

/* --- lists that are not as the walk finds them --- */

static void stale_lists_are_counted(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct visited v;

	begin(&v, l, 16 * GS_FAKE_PAGE, true);
	gs_addr a = gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_addr b = gs_fake_chunk(&v.heap, 96, GS_FAKE_LIVE);
	gs_addr c = gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_addr d = gs_fake_chunk(&v.heap, 64, GS_FAKE_BINNED);
	gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_fake_top(&v.heap);
	/* Below the heap; as it is; of another size; within one; free for good; behind the heap. */
	struct gs_cached tcache[] = {
		{ v.heap.start - 64, 64, TID }, { a, 64, TID }, { b, 64, TID }, { b + 32, 32, TID },
		{ d, 64, TID }, { v.heap.end, 64, TID },
	};
	struct gs_cached fastbin[] = { { a, 64, 0 }, { c, 64, 0 } };
	struct gs_cached_list lists[2] = { { tcache, 6, 6 }, { fastbin, 2, 2 } };
	v.cached[0] = lists[0];
	v.cached[1] = lists[1];
	visit(&v, l->heap_max, &quiet);
	v.cached[0].data = v.cached[1].data = NULL;
	/* The other list's a, b, within b, and d. */
	assert_int_equal(v.visit.changed_chunks, 4);
	assert_int_equal(v.visit.account.tcache_chunks, 1);
	assert_int_equal(v.visit.account.fastbin_chunks, 1);
	assert_int_equal(v.visit.account.live_chunks, 2);
	assert_true(gs_account_adds_up(&v.visit.account));
	end(&v);
}

/* --- re-reading --- */

/* The header of the chunk is bad at the first reads. */
static void heal(struct gs_fake *fake)
{
	struct visited *v = fake->context;
	gs_addr bad = v->heap.truth.data[v->heap.truth.len / 2].addr;
	static uint64_t good;

	if (fake->step++ == 0) {
		good = gs_fake_get(fake, v->heap.layout, bad + 8);
		gs_fake_put(fake, v->heap.layout, bad + 8, 0x123);
	}
	if (fake->step == 9)
		gs_fake_put(fake, v->heap.layout, bad + 8, good);
}

/* All sums are undone when a stretch is read again. */
static void torn_heaps_are_exact(void **state)
{
	const struct gs_walk_options live = { .live = true };
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (uint64_t i = 1; i < 20; i++) {
		uint64_t seed = i;
		struct visited v;

		begin(&v, l, 50 * GS_FAKE_PAGE, true);
		gs_fake_fill(&v.heap, &seed, 0, GS_FAKE_END_TOP);
		v.fake->context = &v;
		v.fake->before_read = heal;
		visit(&v, l->heap_max, &live);
		assert_true(v.result.passes > 1);
		assert_int_equal(v.result.unsettled_bytes, 0);
		assert_exact(&v);
		end(&v);
	}
}

/* What could not be walked is live: never promised to anyone. */
static void unsettled_bytes_are_live(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct visited v;

	begin(&v, l, 16 * GS_FAKE_PAGE, true);
	gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_addr bad = gs_fake_chunk(&v.heap, 0x3000, GS_FAKE_BINNED);
	gs_fake_chunk(&v.heap, 64, GS_FAKE_LIVE);
	gs_fake_top(&v.heap);
	gs_fake_put(v.fake, l, bad + 8, 8);
	visit(&v, l->heap_max, &quiet);
	uint64_t lost = v.heap.top - v.heap.first;
	assert_true(v.visit.account.unsettled_bytes == lost);
	assert_true(v.visit.account.live_bytes == lost);
	assert_int_equal(v.visit.account.live_chunks, 0);
	assert_int_equal(v.visit.account.bin_bytes, 0);
	assert_true(gs_account_adds_up(&v.visit.account));
	end(&v);
}

/* --- the map --- */

/* One cell a page: 256 of them are reserved. Each chunk is whole pages, but for its edges. */
static void a_map_by_hand(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct visited v;

	begin(&v, l, 12 * GS_FAKE_PAGE, false);
	gs_fake_chunk(&v.heap, 2 * GS_FAKE_PAGE - 0x30, GS_FAKE_LIVE);	/* 0, 1 */
	gs_addr hole = gs_fake_chunk(&v.heap, 3 * GS_FAKE_PAGE, GS_FAKE_BINNED);	/* 2 to 4 */
	gs_fake_chunk(&v.heap, GS_FAKE_PAGE / 2, GS_FAKE_LIVE);	/* 5 */
	gs_fake_chunk(&v.heap, GS_FAKE_PAGE + GS_FAKE_PAGE / 2, GS_FAKE_BINNED);	/* 5, 6 */
	gs_fake_chunk(&v.heap, GS_FAKE_PAGE, GS_FAKE_LIVE);		/* 7 */
	gs_fake_top(&v.heap);						/* 8 to 11 */
	gs_fake_set_pages(v.fake, hole + GS_FAKE_PAGE, hole + 2 * GS_FAKE_PAGE, GS_PAGE_NONE);
	gs_fake_set_pages(v.fake, v.heap.end - GS_FAKE_PAGE, v.heap.end, GS_PAGE_NONE);
	visit(&v, 256 * GS_FAKE_PAGE, &quiet);
	assert_int_equal(v.visit.cell_shift, 12);
	assert_int_equal(strlen(v.cells), 256);
	assert_memory_equal(v.cells, "LLSRSXSLTTTR", 12);
	assert_int_equal(strspn(v.cells + 12, "-"), 244);
	end(&v);
}

/* At most 256 cells, of a power of two bytes, at least a page; none for what is not reserved. */
static void cells_cover_what_is_reserved(void **state)
{
	static const uint64_t pages[] = { 2, 3, 255, 256, 257, 511, 512, 513, 10000, 16384 };
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		uint64_t reserved = pages[i] * GS_FAKE_PAGE;
		struct visited v;

		begin(&v, l, 2 * GS_FAKE_PAGE, true);
		gs_fake_top(&v.heap);
		visit(&v, reserved, &quiet);
		uint64_t cell = UINT64_C(1) << v.visit.cell_shift;
		assert_true(cell >= GS_FAKE_PAGE);
		assert_true(cell == GS_FAKE_PAGE || reserved > 128 * cell);
		assert_int_equal(strlen(v.cells), (reserved + cell - 1) / cell);
		assert_true(strlen(v.cells) <= 256);
		assert_int_equal(v.cells[0], 'T');
		end(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heaps_are_exact),
		cmocka_unit_test(segments_are_exact),
		cmocka_unit_test(what_if_at_the_edge),
		cmocka_unit_test(an_account_by_hand),
		cmocka_unit_test(nothing_free_below_is_no_pin),
		cmocka_unit_test(stale_lists_are_counted),
		cmocka_unit_test(torn_heaps_are_exact),
		cmocka_unit_test(unsettled_bytes_are_live),
		cmocka_unit_test(a_map_by_hand),
		cmocka_unit_test(cells_cover_what_is_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
