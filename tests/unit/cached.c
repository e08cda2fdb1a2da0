/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lists of cached chunks: those of every layout, and those that lead nowhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_image.h"

enum { PAGES = 200, TID = 77, COUNT = 16 };

/* A segment that holds a tcache and chunks. */
struct lists {
	struct gs_fake *fake;
	struct gs_malloc m;
	struct gs_fake_heap heap;
	struct gs_arena_state arenas[2];
	struct gs_thread_state thread;
	struct gs_thread_states threads;
	struct gs_cached_set set;
};

static void begin(struct lists *t, const struct gs_layout *l)
{
	gs_addr at = l->word == 8 ? UINT64_C(0x55d0ca1f7000) : UINT64_C(0x0804d000);

	*t = (struct lists){ .fake = gs_fake_new(), .m.layout = *l };
	gs_fake_segment_init(&t->heap, t->fake, l, at, PAGES * GS_FAKE_PAGE);
	t->arenas[0].system_mem = t->arenas[1].system_mem = PAGES * GS_FAKE_PAGE;
	if (!l->has_tcache)
		return;
	gs_addr tcache = gs_fake_chunk(&t->heap, 0x300, GS_FAKE_LIVE) + 2u * l->word;
	gs_fake_tcache(t->fake, l, tcache, COUNT);
	t->thread = (struct gs_thread_state){ .tid = TID, .tcache = tcache };
	t->threads = (struct gs_thread_states){ .data = &t->thread, .len = 1 };
}

static void read_lists(struct lists *t)
{
	t->fake->reads = 0;
	gs_cached_read(&t->fake->mem, &t->m, &t->threads, COUNT, t->arenas, 2, &t->set);
}

static void end(struct lists *t)
{
	gs_cached_fini(&t->set);
	gs_fake_heap_fini(&t->heap);
	gs_fake_free(t->fake);
}

/* n chunks of that size, in an order that is not that of their addresses. */
static void make_chunks(struct lists *t, uint64_t size, unsigned n, enum gs_fake_kind kind,
			gs_addr *ret)
{
	for (unsigned i = 0; i < n; i++) {
		gs_addr chunk = gs_fake_chunk(&t->heap, size, kind);
		gs_fake_chunk(&t->heap, 64, GS_FAKE_LIVE);
		ret[i % 2 ? i / 2 : n - 1 - i / 2] = chunk;
	}
}

/* Put n new chunks of that size into bin i of the tcache; the counter says count. */
static void fill_bin(struct lists *t, unsigned i, uint64_t size, unsigned n, unsigned count,
		     gs_addr *chunks)
{
	make_chunks(t, size, n, GS_FAKE_TCACHE, chunks);
	gs_addr head = gs_fake_link(t->fake, &t->m.layout, chunks, n, true);
	gs_fake_tcache_bin(t->fake, &t->m.layout, t->thread.tcache, i, head, count, COUNT);
}

static void fill_fastbin(struct lists *t, unsigned arena, unsigned i, unsigned n, gs_addr *chunks)
{
	make_chunks(t, gs_layout_fastbin_size(&t->m.layout, i), n, GS_FAKE_FASTBIN, chunks);
	t->arenas[arena].fastbins[i] = gs_fake_link(t->fake, &t->m.layout, chunks, n, false);
}

static void assert_truth(const struct lists *t, const struct gs_cached_list *list,
			 enum gs_fake_kind kind)
{
	struct gs_cached_list real;

	gs_fake_cached(&t->heap, kind, TID, &real);
	assert_int_equal(list->len, real.len);
	for (size_t i = 0; i < real.len; i++) {
		assert_true(list->data[i].addr == real.data[i].addr);
		assert_int_equal(list->data[i].size, real.data[i].size);
		assert_int_equal(list->data[i].tid, real.data[i].tid);
	}
	free(real.data);
}

static void all_lists_of_every_layout(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		uint64_t bytes = 0, n_chunks = 0;
		gs_addr chunks[COUNT];
		struct lists t;

		begin(&t, l);
		for (unsigned bin = 0; bin < l->tcache.n_small_bins; bin += 7) {
			unsigned n = 1 + bin % 7;
			uint64_t size = l->min_size + bin * l->align;
			fill_bin(&t, bin, size, n, n, chunks);
			bytes += n * size;
			n_chunks += n;
		}
		/* i386 with 16-byte alignment has no chunks for every other fastbin. */
		unsigned step = l->align / (2 * l->word);
		for (unsigned bin = 0; bin < l->arena.n_fastbins; bin += step)
			fill_fastbin(&t, 1, bin, 5, chunks);
		read_lists(&t);
		assert_int_equal(t.set.broken, 0);
		assert_int_equal(t.set.dropped, 0);
		assert_truth(&t, &t.set.tcache, GS_FAKE_TCACHE);
		assert_truth(&t, &t.set.fastbins[1], GS_FAKE_FASTBIN);
		assert_int_equal(t.set.fastbins[0].len, 0);
		if (l->has_tcache) {
			assert_int_equal(t.set.sums[0].bytes, bytes);
			assert_int_equal(t.set.sums[0].chunks, n_chunks);
		}
		end(&t);
	}
}

/* Bins above the 64 small ones hold chunks of several sizes (2.42). */
static void large_bins_hold_any_size(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.43 x86-64");
	struct lists t;

	begin(&t, l);
	gs_addr chunks[2] = {
		gs_fake_chunk(&t.heap, 0x4400, GS_FAKE_TCACHE),
		gs_fake_chunk(&t.heap, 0x4500, GS_FAKE_TCACHE),
	};
	gs_addr head = gs_fake_link(t.fake, l, chunks, 2, true);
	gs_fake_tcache_bin(t.fake, l, t.thread.tcache, 70, head, 2, COUNT);
	read_lists(&t);
	assert_int_equal(t.set.broken, 0);
	assert_truth(&t, &t.set.tcache, GS_FAKE_TCACHE);
	end(&t);
}

/* The counter is what ends a list of a tcache. */
static void counters_and_lists_that_differ(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	gs_addr chunks[7];
	struct lists t;

	begin(&t, l);
	fill_bin(&t, 3, 80, 7, 4, chunks);	/* longer than counted */
	read_lists(&t);
	assert_int_equal(t.set.broken, 0);
	assert_int_equal(t.set.tcache.len, 4);
	for (unsigned i = 0; i < 7; i++) {
		size_t at = gs_cached_find(&t.set.tcache, chunks[i]);
		bool found = at < t.set.tcache.len && t.set.tcache.data[at].addr == chunks[i];
		assert_int_equal(found, i < 4);
	}
	gs_cached_fini(&t.set);
	fill_bin(&t, 3, 80, 3, 7, chunks);	/* shorter */
	read_lists(&t);
	assert_int_equal(t.set.broken, 1);
	assert_int_equal(t.set.tcache.len, 3);
	end(&t);
}

/* A list of five whose third element is not as it has to be. */
static void broken_lists_end(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");
	const struct { bool size; uint64_t value; } cases[] = {
		{ true, 0 }, { true, 96 | 1 }, { true, 80 | 2 | 1 }, { true, UINT64_MAX },
		{ true, UINT64_C(0x100000050) | 1 },
		{ false, 1 }, { false, 8 }, { false, 0x4141414141414141 },
		{ false, UINT64_MAX - 15 }, { false, UINT64_MAX },
		{ false, UINT64_C(0x7ffffffffff0) },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
		bool fastbin = i & 1;
		gs_addr chunks[5];
		struct lists t;

		begin(&t, l);
		if (fastbin)
			fill_fastbin(&t, 0, 3, 5, chunks);
		else
			fill_bin(&t, 3, 80, 5, 5, chunks);
		gs_fake_put(t.fake, l, chunks[2] + (cases[i / 2].size ? 8 : 16),
			    cases[i / 2].value);
		read_lists(&t);
		assert_int_equal(t.set.broken, 1);
		const struct gs_cached_list *list = fastbin ? &t.set.fastbins[0] : &t.set.tcache;
		assert_int_equal(list->len, cases[i / 2].size ? 2 : 3);
		end(&t);
	}
}

/* Circles of every length, from any element back to any other. */
static void circles_end(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned last = 0; last < 12; last++) {
		for (unsigned back = 0; back <= last; back++) {
			gs_addr chunks[12];
			struct lists t;

			begin(&t, l);
			fill_fastbin(&t, 0, 2, 12, chunks);
			gs_addr where = chunks[last] + 16;
			gs_fake_put(t.fake, l, where, where >> 12 ^ chunks[back]);
			read_lists(&t);
			assert_int_equal(t.set.broken, 1);
			assert_int_equal(t.set.fastbins[0].len, last + 1);
			assert_true(t.fake->reads <= 100);
			end(&t);
		}
	}
}

static void a_tcache_in_a_circle(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");
	gs_addr chunks[5];
	struct lists t;

	begin(&t, l);
	fill_bin(&t, 3, 80, 5, 0xffff, chunks);
	gs_fake_put(t.fake, l, chunks[4] + 16, chunks[1] + 16);
	read_lists(&t);
	assert_int_equal(t.set.broken, 1);
	assert_int_equal(t.set.tcache.len, 5);
	assert_true(t.set.dropped > 0);
	assert_true(t.fake->reads <= 100);
	end(&t);
}

/* Two lists share their end: each chunk is counted once, and it is said. */
static void chunks_met_twice(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");
	gs_addr a[4], b[4];
	struct lists t;

	begin(&t, l);
	fill_fastbin(&t, 0, 2, 4, a);
	fill_fastbin(&t, 0, 2, 4, b);
	t.arenas[0].fastbins[2] = a[0];
	t.thread.tcache = 0;
	gs_fake_put(t.fake, l, a[3] + 16, b[1]);
	struct gs_arena_state other = t.arenas[0];
	t.arenas[0].fastbins[2] = a[0];
	read_lists(&t);
	assert_int_equal(t.set.fastbins[0].len, 7);
	assert_int_equal(t.set.dropped, 0);
	gs_cached_fini(&t.set);
	/* The same list as the tcaches of two threads. */
	struct gs_thread_state twice[2] = { { .tid = 1 }, { .tid = 2 } };
	gs_addr tcache = t.heap.first + 16;
	gs_fake_tcache(t.fake, l, tcache, COUNT);
	gs_addr head = gs_fake_link(t.fake, l, a, 4, true);
	gs_fake_tcache_bin(t.fake, l, tcache, 2, head, 4, COUNT);
	twice[0].tcache = twice[1].tcache = tcache;
	t.threads = (struct gs_thread_states){ .data = twice, .len = 2 };
	other.fastbins[2] = 0;
	t.arenas[0] = other;
	read_lists(&t);
	assert_int_equal(t.set.tcache.len, 4);
	assert_int_equal(t.set.dropped, 4);
	end(&t);
}

/* Neither a list nor a tcache is followed into swap. */
static void pages_in_swap_are_left_alone(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	gs_addr chunks[7];
	struct lists t;

	begin(&t, l);
	fill_bin(&t, 3, 80, 3, 3, chunks);
	gs_fake_chunk(&t.heap, 2 * GS_FAKE_PAGE, GS_FAKE_LIVE);
	gs_addr far = gs_fake_chunk(&t.heap, 80, GS_FAKE_TCACHE);
	gs_fake_put(t.fake, l, chunks[1] + 16, (chunks[1] + 16) >> 12 ^ (far + 16));
	gs_fake_set_pages(t.fake, far, far + 1, GS_PAGE_SWAPPED);
	read_lists(&t);
	assert_int_equal(t.set.broken, 1);
	assert_true(t.set.in_swap);
	assert_int_equal(t.set.tcache.len, 2);
	gs_cached_fini(&t.set);
	gs_fake_set_pages(t.fake, t.thread.tcache, t.thread.tcache + 1, GS_PAGE_SWAPPED);
	read_lists(&t);
	assert_int_equal(t.set.broken, 1);
	assert_true(t.set.in_swap);
	assert_int_equal(t.set.tcache.len, 0);
	end(&t);
}

/* A fastbin that is longer than is worth following is left to the walk, unless it is asked for. */
static void long_fastbins(void **state)
{
	static const struct { unsigned n; bool is_long; } cases[] = {
		{ GS_FASTBIN_SHORT - 1, false }, { GS_FASTBIN_SHORT, false },
		{ GS_FASTBIN_SHORT + 1, true }, { GS_FASTBIN_SHORT * 2, true },
	};
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < 4; i++) {
		gs_addr *chunks = calloc(cases[i].n, sizeof(*chunks));
		struct lists t;

		begin(&t, l);
		fill_fastbin(&t, 1, 0, cases[i].n, chunks);
		fill_fastbin(&t, 1, 2, 3, chunks);
		read_lists(&t);
		assert_int_equal(t.set.has_long[1], cases[i].is_long);
		assert_false(t.set.has_long[0]);
		assert_int_equal(t.set.fastbins[1].len, cases[i].is_long ? 0 : cases[i].n + 3);
		gs_cached_read_fastbins(&t.fake->mem, &t.m, &t.arenas[1], 1, &t.set);
		assert_truth(&t, &t.set.fastbins[1], GS_FAKE_FASTBIN);
		assert_int_equal(t.set.broken, 0);
		free(chunks);
		end(&t);
	}
}

/* More elements than the arena has memory for: that is no list. */
static void a_list_longer_than_its_arena(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	gs_addr chunks[10];
	struct lists t;

	begin(&t, l);
	fill_fastbin(&t, 0, 0, 10, chunks);
	t.arenas[0].system_mem = 5 * l->min_size;
	read_lists(&t);
	gs_cached_read_fastbins(&t.fake->mem, &t.m, &t.arenas[0], 0, &t.set);
	assert_int_equal(t.set.broken, 1);
	assert_int_equal(t.set.fastbins[0].len, 5);
	end(&t);
}

static void find_is_exact(void **state)
{
	struct gs_cached data[] = { { 16, 32, 0 }, { 64, 32, 0 }, { 128, 32, 0 } };
	const struct gs_cached_list list = { data, 3, 3 }, empty = {};

	assert_int_equal(gs_cached_find(&list, 0), 0);
	assert_int_equal(gs_cached_find(&list, 16), 0);
	assert_int_equal(gs_cached_find(&list, 17), 1);
	assert_int_equal(gs_cached_find(&list, 128), 2);
	assert_int_equal(gs_cached_find(&list, UINT64_MAX), 3);
	assert_int_equal(gs_cached_find(&empty, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_lists_of_every_layout),
		cmocka_unit_test(large_bins_hold_any_size),
		cmocka_unit_test(counters_and_lists_that_differ),
		cmocka_unit_test(broken_lists_end),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(a_tcache_in_a_circle),
		cmocka_unit_test(chunks_met_twice),
		cmocka_unit_test(pages_in_swap_are_left_alone),
		cmocka_unit_test(long_fastbins),
		cmocka_unit_test(a_list_longer_than_its_arena),
		cmocka_unit_test(find_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
