/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The search for main_arena's segments, of which glibc keeps no list. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "heap/segments.h"
#include "heap_fill.h"

#define MIB (UINT64_C(1) << 20)
#define PAGE ((uint64_t)GS_FAKE_PAGE)

/* A process with a brk area and mappings, and the search through it. */
struct search {
	struct gs_fake *fake;
	struct gs_malloc m;
	struct gs_maps maps;
	struct gs_ranges exclude;
	struct gs_page_scan *scan;
	struct gs_segment_search s;
	uint64_t seed;
};

static gs_addr brk_base(const struct gs_layout *l)
{
	return l->word == 8 ? UINT64_C(0x55d0ca1f7000) : UINT64_C(0x0804d000);
}

static gs_addr mmap_base(const struct gs_layout *l)
{
	return l->word == 8 ? UINT64_C(0x7f1000000000) : UINT64_C(0xe0000000);
}

static void begin(struct search *t, const struct gs_layout *l)
{
	*t = (struct search){
		.fake = gs_fake_new(), .m.layout = *l, .scan = calloc(1, sizeof(*t->scan)),
		.seed = 21,
	};
	gs_page_scan_init(t->scan, &t->fake->mem, l);
	t->s = (struct gs_segment_search){ .sbrk_base = brk_base(l) };
}

/* A mapping of that many pages, junk. */
static gs_addr add_map(struct search *t, gs_addr start, uint64_t pages)
{
	gs_fake_add(t->fake, start, pages * PAGE);
	*gs_vec_push(&t->maps) = (struct gs_map){
		.start = start, .end = start + pages * PAGE, .prot = GS_PROT_R | GS_PROT_W,
		.path = "",
	};
	return start;
}

/* Write a segment; the one with top becomes the current one. Returns its end. */
static gs_addr add_segment(struct search *t, gs_addr start, uint64_t size, enum gs_fake_end how)
{
	struct gs_fake_heap h;

	gs_fake_segment_begin(&h, t->fake, &t->m.layout, start, size);
	gs_fake_fill(&h, &t->seed, 0, how);
	if (h.top) {
		t->s.arena.top = h.top;
		t->s.top_end = h.end;
	}
	t->s.arena.system_mem += size;
	gs_fake_heap_fini(&h);
	return start + size;
}

static bool first(struct search *t, struct gs_extent *ret)
{
	t->s.mem = &t->fake->mem;
	t->s.m = &t->m;
	t->s.maps = &t->maps;
	t->s.exclude = &t->exclude;
	t->s.walker = t->s.walker ? t->s.walker : gs_walker_new(t->s.mem, &t->m.layout);
	t->s.scan = t->scan;
	gs_ranges_sort(&t->exclude);
	return gs_segment_first(&t->s, ret);
}

static void end(struct search *t)
{
	gs_walker_free(t->s.walker);
	gs_page_scan_fini(t->scan);
	free(t->scan);
	gs_ranges_fini(&t->exclude);
	free(t->maps.data);
	gs_fake_free(t->fake);
}

static void top_is_checked(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct search t;
	gs_addr end_of_top = 0;

	begin(&t, l);
	gs_addr base = add_map(&t, brk_base(l), 33);
	add_segment(&t, base, 33 * PAGE, GS_FAKE_END_TOP);
	assert_true(gs_segment_top(&t.fake->mem, &t.m, &t.s.arena, &end_of_top));
	assert_true(end_of_top == base + 33 * PAGE);
	const gs_addr size_word = t.s.arena.top + 8;
	const uint64_t size = end_of_top - t.s.arena.top;
	const uint64_t bad[] = {
		0, size, size + 8, size + 17, UINT64_MAX, 1, 17, 33 * PAGE + size + 1,
		(UINT64_MAX & ~(PAGE - 1)) + size + 1,
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gs_fake_put(t.fake, l, size_word, bad[i]);
		assert_false(gs_segment_top(&t.fake->mem, &t.m, &t.s.arena, &end_of_top));
	}
	t.s.arena.top = UINT64_MAX - 7;
	assert_false(gs_segment_top(&t.fake->mem, &t.m, &t.s.arena, &end_of_top));
	end(&t);
}

static void one_segment(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_extent extent;
		struct search t;

		begin(&t, l);
		gs_addr base = add_map(&t, brk_base(l), 33);
		add_segment(&t, base, 33 * PAGE, GS_FAKE_END_TOP);
		assert_true(first(&t, &extent));
		assert_true(extent.start == base);
		assert_true(extent.first == base + (l->word == 4 && l->align == 16 ? 8 : 0));
		assert_true(extent.end == base + 33 * PAGE);
		assert_true(extent.top == t.s.arena.top);
		assert_true(extent.is_main);
		assert_false(gs_segment_next(&t.s, extent.end, &extent));
		end(&t);
	}
}

/* The break has grown since the mappings were read. */
static void a_break_that_grew(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_extent extent;
	struct search t;

	begin(&t, l);
	gs_addr base = add_map(&t, brk_base(l), 300);
	add_segment(&t, base, 300 * PAGE, GS_FAKE_END_TOP);
	t.maps.data[0].end -= 100 * PAGE;
	assert_true(first(&t, &extent));
	assert_true(extent.end == base + 300 * PAGE);
	assert_true(extent.top == t.s.arena.top);
	end(&t);
}

/*
 * What the target says of its top is not where memory is taken: neither without a mapping nor far
 * behind it. (What keeps track of pages grows with the extent.)
 */
static void a_top_far_away(void **state)
{
	static const uint64_t ends[] = {
		UINT64_C(1) << 40, UINT64_C(0x7ffffffff000), UINT64_C(1) << 62,
	};
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < 3; i++) {
		struct gs_extent extent;
		struct search t;

		begin(&t, l);
		gs_addr base = add_map(&t, brk_base(l), 33);
		add_segment(&t, base, 33 * PAGE, GS_FAKE_END_TOP);
		t.s.top_end = base + ends[i];
		assert_true(!first(&t, &extent) || extent.end <= base + (UINT64_C(64) << 30));
		end(&t);
	}
}

static void a_base_without_a_mapping(void **state)
{
	static const gs_addr bases[] = { 0, 4096, UINT64_C(0x7ffffffff000), UINT64_MAX };
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (unsigned i = 0; i < 4; i++) {
		struct gs_extent extent;
		struct search t;

		begin(&t, l);
		gs_addr base = add_map(&t, brk_base(l), 33);
		add_segment(&t, base, 33 * PAGE, GS_FAKE_END_TOP);
		t.s.sbrk_base = bases[i];
		assert_false(first(&t, &extent));
		end(&t);
	}
}

/* Somebody else called sbrk(): the next segment begins somewhere in what follows, aligned. */
static void foreign_memory_in_the_brk_area(void **state)
{
	static const struct { uint64_t gap, odd; } cases[] = {
		{ 8 * PAGE, 0 }, { 8 * PAGE, 0x340 }, { 600 * PAGE, 0xff0 }, { PAGE, 0x10 },
	};

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS * 4; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i / 4].layout;
		uint64_t gap = cases[i % 4].gap, odd = cases[i % 4].odd;
		struct gs_extent extent;
		struct search t;

		begin(&t, l);
		gs_addr base = add_map(&t, brk_base(l), 2000);
		gs_addr after = add_segment(&t, base, 100 * PAGE, GS_FAKE_END_FENCE);
		gs_addr second = after + gap + odd;
		if (odd && l->align == 16 && l->word == 4)
			second += 8;	/* the first chunk is where it can be */
		add_segment(&t, second, base + 2000 * PAGE - second, GS_FAKE_END_TOP);
		assert_true(first(&t, &extent));
		assert_true(extent.start == base);
		assert_true(gs_segment_next(&t.s, after, &extent));
		assert_true(extent.first == gs_layout_align_chunk(l, second));
		assert_true(extent.end == base + 2000 * PAGE);
		assert_true(extent.top == t.s.arena.top);
		end(&t);
	}
}

/* brk fails: segments by mmap(), side by side in one mapping or not, between other memory. */
static void segments_by_mmap(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		gs_addr at = mmap_base(l);
		struct gs_extent extent;
		struct search t;

		begin(&t, l);
		t.s.arena.flags = GS_ARENA_NONCONTIGUOUS;
		gs_addr base = add_map(&t, brk_base(l), 33);
		gs_addr after = add_segment(&t, base, 33 * PAGE, GS_FAKE_END_FENCE);
		add_map(&t, at, 1000);
		gs_addr starts[] = { at + 10 * PAGE, at + 266 * PAGE, at + 600 * PAGE };
		gs_addr other = at + 400 * PAGE;	/* looks like one, but is excluded */
		gs_addr ends[3];
		ends[0] = add_segment(&t, starts[0], MIB, GS_FAKE_END_FENCE);
		ends[1] = add_segment(&t, starts[1], 57 * PAGE, GS_FAKE_END_FENCE);
		add_segment(&t, other, 50 * PAGE, GS_FAKE_END_FENCE);
		gs_ranges_add(&t.exclude, other, other + 50 * PAGE);
		ends[2] = add_segment(&t, starts[2], MIB, GS_FAKE_END_TOP);
		assert_true(first(&t, &extent));
		assert_true(extent.start == base);
		assert_true(extent.top == 0);
		for (unsigned j = 0; j < 3; j++) {
			assert_true(gs_segment_next(&t.s, after, &extent));
			assert_true(extent.start == starts[j]);
			/* Where it ends is found by walking it: not before the mapping does. */
			assert_true(extent.end >= ends[j]);
			after = ends[j];
		}
		assert_false(gs_segment_next(&t.s, after, &extent));
		end(&t);
	}
}

/*
 * Foreign memory that looks like chunks everywhere, and never ends as a segment does: each place
 * has to be tried, but all tries together stay cheap.
 */
static void foreign_memory_that_looks_like_chunks(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_extent extent;
	struct search t;

	begin(&t, l);
	gs_addr base = add_map(&t, brk_base(l), 4096);
	gs_addr after = add_segment(&t, base, 8 * PAGE, GS_FAKE_END_FENCE);
	for (gs_addr at = after; at < base + 4000 * PAGE; at += 16) {
		gs_fake_put(t.fake, l, at, 0);
		gs_fake_put(t.fake, l, at + 8, 32 | 1);
	}
	memset(gs_fake_at(t.fake, base + 4000 * PAGE), 0, PAGE);
	add_segment(&t, base + 4001 * PAGE, 95 * PAGE, GS_FAKE_END_TOP);
	t.fake->mem.bytes_read = 0;
	assert_true(first(&t, &extent));
	gs_segment_next(&t.s, after, &extent);
	assert_true(t.fake->mem.bytes_read <= 400 * MIB);
	end(&t);
}

/* A segment behind foreign memory may begin at a page, as one outside the brk area does. */
static void what_was_met_in_the_brk_area_is_not_met_again(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	const gs_addr low = mmap_base(l);
	struct gs_extent extent;
	struct search t;

	begin(&t, l);
	t.s.arena.flags = GS_ARENA_NONCONTIGUOUS;
	gs_addr base = add_map(&t, brk_base(l), 99);
	add_segment(&t, base, 33 * PAGE, GS_FAKE_END_FENCE);
	add_segment(&t, base + 66 * PAGE, 33 * PAGE, GS_FAKE_END_FENCE);
	add_map(&t, low, 33);
	add_segment(&t, low, 33 * PAGE, GS_FAKE_END_TOP);
	assert_true(first(&t, &extent));
	assert_true(gs_segment_next(&t.s, base + 33 * PAGE, &extent));
	assert_true(extent.start == base + 66 * PAGE);
	assert_true(gs_segment_next(&t.s, base + 99 * PAGE, &extent));
	assert_true(extent.start == low);
	assert_false(gs_segment_next(&t.s, low + 33 * PAGE, &extent));
	end(&t);
}

/*
 * The libc of another namespace has no brk: the first segment is a mapping too, and the kernel puts
 * later ones below it, as one mapping with it.
 */
static void segments_below_the_first(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	const gs_addr low = mmap_base(l), middle = low + 33 * PAGE, base = low + 66 * PAGE;
	struct gs_extent extent;
	struct search t;

	begin(&t, l);
	add_map(&t, low, 99);
	t.s.sbrk_base = base;
	t.s.no_brk = true;
	t.s.arena.flags = GS_ARENA_NONCONTIGUOUS;
	add_segment(&t, base, 33 * PAGE, GS_FAKE_END_FENCE);
	add_segment(&t, middle, 33 * PAGE, GS_FAKE_END_FENCE);
	add_segment(&t, low, 33 * PAGE, GS_FAKE_END_TOP);
	assert_true(first(&t, &extent));
	assert_true(extent.start == base);
	assert_true(gs_segment_next(&t.s, base + 33 * PAGE, &extent));
	assert_true(extent.start == low);
	assert_true(extent.top == t.s.arena.top);
	assert_true(gs_segment_next(&t.s, middle, &extent));
	assert_true(extent.start == middle);
	assert_false(gs_segment_next(&t.s, base, &extent));
	end(&t);
}

/* A closed segment with one binned chunk, in a list of the arena at arena. */
static void add_closed(struct search *t, gs_addr start, gs_addr arena)
{
	const struct gs_layout *l = &t->m.layout;
	struct gs_fake_heap h;

	gs_fake_segment_begin(&h, t->fake, l, start, 2 * PAGE);
	gs_fake_chunk(&h, 64, GS_FAKE_LIVE);
	gs_addr binned = gs_fake_chunk(&h, 1024, GS_FAKE_BINNED);
	gs_fake_put(t->fake, l, binned + 2u * l->word, arena + 0x200);
	gs_fake_chunk(&h, 64, GS_FAKE_LIVE);
	gs_fake_chunk(&h, gs_fake_room(&h), GS_FAKE_LIVE);
	gs_fake_fence(&h);
	gs_fake_heap_fini(&h);
}

static void segments_of_another_copy(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	const gs_addr low = mmap_base(l), ours = 0x7f5000000000, theirs = 0x7f6000000000;
	struct gs_ranges images = {};
	struct gs_extent extent;
	struct search t;

	begin(&t, l);
	gs_addr base = add_map(&t, brk_base(l), 33);
	add_segment(&t, base, 33 * PAGE, GS_FAKE_END_TOP);
	add_map(&t, low, 6);
	add_closed(&t, low, theirs);
	add_closed(&t, low + 2 * PAGE, ours);
	add_closed(&t, low + 4 * PAGE, 0x1000);	/* a list that leads nowhere */
	t.s.arena.flags = GS_ARENA_NONCONTIGUOUS;
	t.m.image_start = ours;
	t.m.image_end = ours + PAGE;
	gs_ranges_add(&images, ours, ours + PAGE);
	gs_ranges_add(&images, theirs, theirs + PAGE);
	t.s.images = &images;
	assert_true(first(&t, &extent));
	assert_true(gs_segment_next(&t.s, extent.end, &extent));
	assert_true(extent.start == low + 2 * PAGE);
	assert_true(gs_segment_next(&t.s, low + 4 * PAGE, &extent));
	assert_true(extent.start == low + 4 * PAGE);
	assert_false(gs_segment_next(&t.s, low + 6 * PAGE, &extent));
	gs_ranges_fini(&images);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_is_checked),
		cmocka_unit_test(one_segment),
		cmocka_unit_test(a_break_that_grew),
		cmocka_unit_test(a_top_far_away),
		cmocka_unit_test(a_base_without_a_mapping),
		cmocka_unit_test(foreign_memory_in_the_brk_area),
		cmocka_unit_test(segments_by_mmap),
		cmocka_unit_test(foreign_memory_that_looks_like_chunks),
		cmocka_unit_test(what_was_met_in_the_brk_area_is_not_met_again),
		cmocka_unit_test(segments_below_the_first),
		cmocka_unit_test(segments_of_another_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
