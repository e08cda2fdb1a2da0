/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arenas, the ring of them, their heaps and mp_, as they are and as an attacker writes them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_image.h"

#define LIBC_64 UINT64_C(0x7f0000000000)
#define LIBC_32 UINT64_C(0xf7c00000)

enum { HEAPS = 5, HEAP_SIZE = 33 * GS_FAKE_PAGE };

/* main_arena, mp_, and thread arenas whose heaps lie side by side. */
struct world {
	struct gs_fake *fake;
	struct gs_malloc m;
	gs_addr base;		/* of the first heap */
};

static void begin(struct world *w, const struct gs_layout *l)
{
	gs_addr libc = l->word == 8 ? LIBC_64 : LIBC_32;

	*w = (struct world){
		.fake = gs_fake_new(),
		.m = { .layout = *l, .main_arena = libc + 0x40, .mp = libc + 0x2000,
		       .image_start = libc, .image_end = libc + 4 * GS_FAKE_PAGE },
		.base = l->word == 8 ? UINT64_C(0x7e0000000000) : UINT64_C(0xf0000000),
	};
	gs_fake_add(w->fake, libc, 4 * GS_FAKE_PAGE);
	gs_fake_arena(w->fake, l, w->m.main_arena, 0, w->m.main_arena, 0);
}

static void end(struct world *w)
{
	gs_fake_free(w->fake);
}

static gs_addr heap_at(const struct world *w, unsigned i)
{
	return w->base + i * w->m.layout.heap_max;
}

/* An arena of n heaps, from heap number first on. Returns its address. */
static gs_addr add_arena(struct world *w, unsigned first, unsigned n, gs_addr next)
{
	const struct gs_layout *l = &w->m.layout;
	gs_addr arena = heap_at(w, first) + l->heap.sizeof_;

	for (unsigned i = first; i < first + n; i++) {
		struct gs_fake_heap h;
		gs_fake_heap_init(&h, w->fake, l, heap_at(w, i), HEAP_SIZE, arena,
				  i > first ? heap_at(w, i - 1) : 0);
		if (i == first + n - 1)
			gs_fake_top(&h);
		gs_fake_put(w->fake, l, arena + l->arena.top, h.top);
		gs_fake_heap_fini(&h);
	}
	gs_fake_put(w->fake, l, arena + l->arena.next, next);
	gs_fake_put(w->fake, l, arena + l->arena.system_mem, n * HEAP_SIZE);
	return arena;
}

static void set_next(struct world *w, gs_addr arena, gs_addr next)
{
	gs_fake_put(w->fake, &w->m.layout, arena + w->m.layout.arena.next, next);
}

/* --- one arena --- */

static void members_are_read(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_arena_state arena;
		struct world w;

		begin(&w, l);
		gs_addr at = add_arena(&w, 0, 1, w.m.main_arena);
		gs_fake_put(w.fake, l, at + l->arena.max_system_mem, 0x123000);
		*gs_fake_at(w.fake, at + l->arena.flags) = 2;
		for (unsigned j = 0; j < l->arena.n_fastbins; j++)
			gs_fake_put(w.fake, l, at + l->arena.fastbins + j * l->word, 0x1000 + j);
		if (l->arena.attached_threads != GS_NO_MEMBER)
			gs_fake_put(w.fake, l, at + l->arena.attached_threads, 3);
		assert_true(gs_arena_read(&w.fake->mem, &w.m, at, &arena));
		assert_true(arena.address == at);
		assert_int_equal(arena.flags, GS_ARENA_NONCONTIGUOUS);
		assert_true(arena.next == w.m.main_arena);
		assert_int_equal(arena.system_mem, HEAP_SIZE);
		assert_int_equal(arena.max_system_mem, 0x123000);
		assert_true(arena.attached_threads ==
			    (l->arena.attached_threads == GS_NO_MEMBER ? UINT64_MAX : 3));
		assert_true(arena.bins_agree);
		assert_false(gs_arena_is_unused(&w.m, &arena));
		for (unsigned j = 0; j < l->arena.n_fastbins; j++)
			assert_int_equal(arena.fastbins[j], 0x1000 + j);
		/* Not even one of its pages may be read unless it is in memory. */
		gs_fake_set_pages(w.fake, at, at + 1, GS_PAGE_SWAPPED);
		assert_false(gs_arena_read(&w.fake->mem, &w.m, at, &arena));
		end(&w);
	}
}

static void unused_arenas_are_known(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.43 x86-64");
	struct gs_arena_state arena;
	struct world w;

	begin(&w, l);
	assert_true(gs_arena_read(&w.fake->mem, &w.m, w.m.main_arena, &arena));
	assert_true(gs_arena_is_unused(&w.m, &arena));
	gs_fake_put(w.fake, l, w.m.main_arena + l->arena.top, w.m.main_arena + l->arena.top);
	assert_true(gs_arena_read(&w.fake->mem, &w.m, w.m.main_arena, &arena));
	assert_true(gs_arena_is_unused(&w.m, &arena));
	end(&w);
}

static void bins_are_checked(void **state)
{
	static const struct { uint64_t fd, bk; bool ok; } cases[] = {
		{ 0, 0, true }, { 0x7e0000000010, 0x7e0000000020, true },
		{ 0x7e0000000010, 0, false },
		{ 0x7e0000000018, 0x7e0000000020, false }, { 1, 1, false },
	};
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");

	for (unsigned i = 0; i < 3 * sizeof(cases) / sizeof(cases[0]); i++) {
		static const unsigned bins[] = { 0, 63, 126 };
		struct gs_arena_state arena;
		struct world w;

		begin(&w, l);
		gs_addr bin = w.m.main_arena + l->arena.bins + bins[i % 3] * 16;
		gs_fake_put(w.fake, l, bin, cases[i / 3].fd);
		gs_fake_put(w.fake, l, bin + 8, cases[i / 3].bk);
		assert_true(gs_arena_read(&w.fake->mem, &w.m, w.m.main_arena, &arena));
		assert_int_equal(arena.bins_agree, cases[i / 3].ok);
		end(&w);
	}
}

/* --- the ring --- */

static void assert_no_ring(struct world *w)
{
	struct gs_addrs arenas = {};

	w->fake->reads = 0;
	struct gs_err *err = gs_arena_ring(&w->fake->mem, &w->m, &arenas);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_FORMAT);
	gs_err_free(err);
	assert_null(arenas.data);
	assert_true(w->fake->reads <= 1000);
}

static void a_ring_is_followed(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		struct gs_addrs arenas;
		struct world w;

		begin(&w, &gs_fake_layouts[i].layout);
		assert_null(gs_arena_ring(&w.fake->mem, &w.m, &arenas));
		assert_int_equal(arenas.len, 1);
		free(arenas.data);
		gs_addr second = add_arena(&w, 0, 1, w.m.main_arena);
		gs_addr third = add_arena(&w, 1, 3, second);
		set_next(&w, w.m.main_arena, third);
		assert_null(gs_arena_ring(&w.fake->mem, &w.m, &arenas));
		assert_int_equal(arenas.len, 3);
		assert_true(arenas.data[0] == w.m.main_arena);
		assert_true(arenas.data[1] == third);
		assert_true(arenas.data[2] == second);
		free(arenas.data);
		end(&w);
	}
}

static void a_ring_that_does_not_close(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct world w;

	begin(&w, l);
	gs_addr second = add_arena(&w, 0, 1, 0);
	gs_addr third = add_arena(&w, 1, 2, second);
	set_next(&w, w.m.main_arena, third);
	const gs_addr bad[] = {
		0, second, third, 1, UINT64_MAX, UINT64_MAX - 2047, w.m.main_arena + 8,
		heap_at(&w, 2) + l->heap.sizeof_,	/* not its arena's first heap */
		heap_at(&w, 7) + l->heap.sizeof_,	/* nothing there */
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_next(&w, second, bad[i]);
		assert_no_ring(&w);
	}
	set_next(&w, second, w.m.main_arena);
	gs_fake_put(w.fake, l, heap_at(&w, 0) + l->heap.ar_ptr, third);
	assert_no_ring(&w);
	end(&w);
}

/* Where the ring goes on behind an arena in swap is not known; what comes before it is. */
static void a_ring_that_leads_into_swap(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_addrs arenas;
	struct world w;

	begin(&w, l);
	gs_addr second = add_arena(&w, 0, 1, w.m.main_arena);
	gs_addr third = add_arena(&w, 1, 2, second);
	gs_addr fourth = add_arena(&w, 3, 1, third);
	set_next(&w, w.m.main_arena, fourth);
	gs_fake_set_pages(w.fake, third, third + 1, GS_PAGE_SWAPPED);
	assert_null(gs_arena_ring(&w.fake->mem, &w.m, &arenas));
	assert_int_equal(arenas.len, 3);
	assert_true(arenas.data[1] == fourth);
	assert_true(arenas.data[2] == third);
	free(arenas.data);
	/* No arena can be there. */
	set_next(&w, fourth, third + 16);
	assert_no_ring(&w);
	end(&w);
}

/* --- heaps --- */

static bool read_chain(struct world *w, gs_addr at, struct gs_heap_states *ret)
{
	struct gs_arena_state arena;

	assert_true(gs_arena_read(&w->fake->mem, &w->m, at, &arena));
	return gs_heap_chain(&w->fake->mem, &w->m, &arena, ret);
}

static void a_chain_is_followed(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_heap_states heaps;
		struct world w;

		begin(&w, l);
		gs_addr arena = add_arena(&w, 0, HEAPS, w.m.main_arena);
		assert_true(read_chain(&w, arena, &heaps));
		assert_int_equal(heaps.len, HEAPS);
		for (unsigned j = 0; j < HEAPS; j++) {
			assert_true(heaps.data[j].address == heap_at(&w, j));
			assert_true(heaps.data[j].prev == (j ? heap_at(&w, j - 1) : 0));
			assert_int_equal(heaps.data[j].size, HEAP_SIZE);
			assert_true(gs_heap_of(&w.m, heap_at(&w, j) + 12345) == heap_at(&w, j));
		}
		free(heaps.data);
		end(&w);
	}
}

/* The offsets of the first chunks, as observed with the releases. */
static void first_chunks(void **state)
{
	static const struct { const char *layout; unsigned first, later; } cases[] = {
		{ "2.17 x86-64", 0x8b0, 0x20 }, { "2.26 x86-64", 0x8b0, 0x20 },
		{ "2.31 x86-64", 0x8c0, 0x20 }, { "2.36 x86-64", 0x8d0, 0x30 },
		{ "2.43 x86-64", 0x870, 0x30 }, { "2.23 i386", 0x468, 0x10 },
		{ "2.31 i386", 0x478, 0x18 }, { "2.43 i386", 0x448, 0x18 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gs_malloc m = { .layout = *gs_fake_layout(cases[i].layout) };
		struct gs_heap_state heap = { .address = 0xf0000000 };

		assert_int_equal(gs_heap_first_chunk(&m, &heap, true) - heap.address,
				 cases[i].first);
		assert_int_equal(gs_heap_first_chunk(&m, &heap, false) - heap.address,
				 cases[i].later);
	}
}

/* A member of one heap is wrong: the chain is torn, found so with few reads. */
static void torn_chains(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	const uint64_t max = l->heap_max;
	const struct { unsigned heap; size_t member; uint64_t value; } cases[] = {
		{ 2, l->heap.prev, UINT64_C(0x7e0000000000) + 4 * max },	/* a circle */
		{ 0, l->heap.prev, UINT64_C(0x7e0000000000) + 4 * max },
		{ 1, l->heap.prev, UINT64_C(0x7e0000000000) + 1 * max },
		{ 2, l->heap.prev, 0 },		/* ends too soon */
		{ 2, l->heap.prev, 1 },
		{ 2, l->heap.prev, UINT64_MAX / max * max },
		{ 2, l->heap.ar_ptr, 0 },
		{ 2, l->heap.size, 0 },
		{ 2, l->heap.size, GS_FAKE_PAGE + 8 },
		{ 2, l->heap.size, HEAP_SIZE + GS_FAKE_PAGE },	/* more than is mapped */
		{ 2, l->heap.size, UINT64_MAX - 4095 },
		{ 2, l->heap.mprotect_size, max + GS_FAKE_PAGE },
		{ 2, l->heap.mprotect_size, 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gs_heap_states heaps;
		struct world w;

		begin(&w, l);
		gs_addr arena = add_arena(&w, 0, HEAPS, w.m.main_arena);
		gs_fake_put(w.fake, l, heap_at(&w, cases[i].heap) + cases[i].member,
			    cases[i].value);
		w.fake->reads = 0;
		assert_false(read_chain(&w, arena, &heaps));
		assert_true(w.fake->reads <= 100);
		end(&w);
	}
}

/* It hides those between it and the first. */
static void a_heap_in_swap(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_heap_states heaps;
	struct world w;

	begin(&w, l);
	gs_addr arena = add_arena(&w, 0, HEAPS, w.m.main_arena);
	for (unsigned i = 1; i < HEAPS; i++) {
		gs_fake_set_pages(w.fake, heap_at(&w, i), heap_at(&w, i) + 1, GS_PAGE_SWAPPED);
		assert_true(read_chain(&w, arena, &heaps));
		assert_true(heaps.has_gap);
		assert_int_equal(heaps.len, HEAPS - i);
		assert_true(heaps.data[0].address == heap_at(&w, 0));
		for (unsigned j = 1; j < heaps.len; j++)
			assert_true(heaps.data[j].address == heap_at(&w, i + j));
		free(heaps.data);
		gs_fake_set_pages(w.fake, heap_at(&w, i), heap_at(&w, i) + 1, GS_PAGE_RESIDENT);
	}
	end(&w);
}

/* --- mp_ --- */

static void parameters_are_read(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_par par;
		struct world w;

		begin(&w, l);
		for (unsigned j = 0; j < l->par.size; j++)
			*gs_fake_at(w.fake, w.m.mp + j) = 0;
		gs_fake_put(w.fake, l, w.m.mp + l->par.trim_threshold, 0x20000);
		gs_fake_put(w.fake, l, w.m.mp + l->par.top_pad, 0x21000);
		gs_fake_put(w.fake, l, w.m.mp + l->par.mmap_threshold, 0x22000);
		gs_fake_put(w.fake, l, w.m.mp + l->par.arena_max, 4);
		gs_fake_put(w.fake, l, w.m.mp + l->par.mmapped_mem, 0x5000);
		gs_fake_put(w.fake, l, w.m.mp + l->par.sbrk_base, 0x804d000);
		*gs_fake_at(w.fake, w.m.mp + l->par.n_mmaps) = 7;
		if (l->has_tcache)
			gs_fake_put(w.fake, l, w.m.mp + l->par.tcache_count, 16);
		assert_null(gs_par_read(&w.fake->mem, &w.m, &par));
		assert_int_equal(par.trim_threshold, 0x20000);
		assert_int_equal(par.top_pad, 0x21000);
		assert_int_equal(par.mmap_threshold, 0x22000);
		assert_int_equal(par.arena_max, 4);
		assert_int_equal(par.n_mmaps, 7);
		assert_int_equal(par.mmapped_mem, 0x5000);
		assert_int_equal(par.sbrk_base, 0x804d000);
		assert_true(par.dynamic_threshold);
		assert_true(par.tcache_count == (l->has_tcache ? 16 : UINT64_MAX));
		*gs_fake_at(w.fake, w.m.mp + l->par.no_dyn_threshold) = 1;
		assert_null(gs_par_read(&w.fake->mem, &w.m, &par));
		assert_false(par.dynamic_threshold);
		gs_fake_set_pages(w.fake, w.m.mp, w.m.mp + 1, GS_PAGE_SWAPPED);
		struct gs_err *err = gs_par_read(&w.fake->mem, &w.m, &par);
		assert_non_null(err);
		assert_int_equal(err->code, GS_ERR_FAULT);
		gs_err_free(err);
		end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_read),
		cmocka_unit_test(unused_arenas_are_known),
		cmocka_unit_test(bins_are_checked),
		cmocka_unit_test(a_ring_is_followed),
		cmocka_unit_test(a_ring_that_does_not_close),
		cmocka_unit_test(a_ring_that_leads_into_swap),
		cmocka_unit_test(a_chain_is_followed),
		cmocka_unit_test(first_chunks),
		cmocka_unit_test(torn_chains),
		cmocka_unit_test(a_heap_in_swap),
		cmocka_unit_test(parameters_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
