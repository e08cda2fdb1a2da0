/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks with mappings of their own, and the scan of pages that looks for them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "heap/mmapped.h"
#include "heap_image.h"

#define AREA UINT64_C(0x7f1000000000)
#define AREA_32 UINT64_C(0xe0000000)
#define GIB (UINT64_C(1) << 30)

/* The four words at the start of a page. */
static void make_words(char *buf, const struct gs_layout *l, const uint64_t *words)
{
	memset(buf, 0, 32);
	for (unsigned i = 0; i < 4; i++)
		memcpy(buf + i * l->word, &words[i], l->word);
}

/* What a release writes for a malloc(1000000), as observed. */
static void observed_headers(void **state)
{
	static const struct { const char *layout; uint64_t words[4]; uint64_t length; } cases[] = {
		{ "2.17 x86-64", { 0, 0xf5002 }, 0xf5000 },
		{ "2.36 x86-64", { 0, 0xf5002 }, 0xf5000 },
		{ "2.43 x86-64", { 0, 0xf4ff2 }, 0xf5000 },
		{ "2.43 x86-64", { 1, 0xf4ff2 }, 0xf5000 },	/* on huge pages */
		{ "2.23 i386", { 0, 0xf5002 }, 0xf5000 },
		{ "2.31 i386", { 0, 0, 8, 0xf4ffa }, 0xf5000 },
		{ "2.43 i386", { 0, 0, 8, 0xf4ff2 }, 0xf5000 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct gs_layout *l = gs_fake_layout(cases[i].layout);
		char buf[32];

		make_words(buf, l, cases[i].words);
		assert_int_equal(gs_mmapped_length(l, buf, GIB, 4096), cases[i].length);
		assert_int_equal(gs_mmapped_length(l, buf, 0xf5000, 4096), cases[i].length);
		assert_int_equal(gs_mmapped_length(l, buf, 0xf4000, 4096), 0);
	}
}

static void what_is_no_header(void **state)
{
	static const struct { const char *layout; uint64_t words[4]; } cases[] = {
		{ "2.36 x86-64", { 0, 0 } }, { "2.36 x86-64", { 0, 2 } },
		{ "2.36 x86-64", { 0, 0xf5003 } }, { "2.36 x86-64", { 0, 0xf5006 } },
		{ "2.36 x86-64", { 0, 0xf5001 } }, { "2.36 x86-64", { 16, 0xf5002 } },
		{ "2.36 x86-64", { 1, 0xf5002 } }, { "2.36 x86-64", { 0, 0xf4ff2 } },
		{ "2.36 x86-64", { 0, 0xfffffffffffff002 } }, { "2.36 x86-64", { 0, UINT64_MAX } },
		{ "2.43 x86-64", { 0, 0xf5002 } }, { "2.43 x86-64", { 0, 0xfffffffffffffff2 } },
		{ "2.43 x86-64", { 2, 0xf4ff2 } }, { "2.43 x86-64", { 0, 0xffffffffffffeff2 } },
		{ "2.31 i386", { 0, 0xf5002 } }, { "2.31 i386", { 0, 0, 8, 0xfffffffa } },
		{ "2.31 i386", { 0, 0, 0, 0xf4ffa } }, { "2.43 i386", { 0, 0, 8, 0xfffffff2 } },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct gs_layout *l = gs_fake_layout(cases[i].layout);
		char buf[32];

		make_words(buf, l, cases[i].words);
		assert_int_equal(gs_mmapped_length(l, buf, GIB, 4096), 0);
	}
}

/* --- finding them --- */

struct area {
	struct gs_fake *fake;
	struct gs_malloc m;
	struct gs_maps maps;
	struct gs_par par;
	struct gs_ranges exclude;
	struct gs_mmapped found;
};

static void begin(struct area *a, const struct gs_layout *l)
{
	*a = (struct area){ .fake = gs_fake_new(), .m.layout = *l };
}

static gs_addr add_map(struct area *a, gs_addr start, uint64_t pages)
{
	gs_addr end = start + pages * GS_FAKE_PAGE;

	gs_fake_add(a->fake, start, pages * GS_FAKE_PAGE);
	for (gs_addr at = start; at < end; at += GS_FAKE_PAGE)
		memset(gs_fake_at(a->fake, at), 0, 64);
	*gs_vec_push(&a->maps) = (struct gs_map){
		.start = start, .end = end, .prot = GS_PROT_R | GS_PROT_W, .path = "",
	};
	return start;
}

/* As malloc maps them: the header at the user pointer's alignment. counted: mp_ knows it. */
static void put_mmapped(struct area *a, gs_addr page, uint64_t pages, bool counted)
{
	const struct gs_layout *l = &a->m.layout;
	gs_addr chunk = page;
	uint64_t length = pages * GS_FAKE_PAGE;

	while ((chunk + 2u * l->word) % l->align)
		chunk++;
	gs_fake_put(a->fake, l, chunk, chunk - page);
	gs_fake_put(a->fake, l, chunk + l->word,
		    (length - (chunk - page) - (l->mmapped_trailer ? 2u * l->word : 0)) | 2);
	if (counted) {
		a->par.n_mmaps++;
		a->par.mmapped_mem += length;
	}
}

static bool find(struct area *a)
{
	struct gs_page_scan *scan = calloc(1, sizeof(*scan));

	gs_ranges_sort(&a->exclude);
	gs_page_scan_init(scan, &a->fake->mem, &a->m.layout);
	bool all = gs_mmapped_find(&a->m, &a->par, &a->maps, &a->exclude, scan, &a->found);
	gs_page_scan_fini(scan);
	free(scan);
	return all;
}

static void end(struct area *a)
{
	gs_ranges_fini(&a->found.ranges);
	gs_ranges_fini(&a->exclude);
	free(a->maps.data);
	gs_fake_free(a->fake);
}

/* Mappings merge: chunks side by side, between other memory, and in what is excluded. */
static void chunks_are_found(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		gs_addr at = l->word == 8 ? AREA : AREA_32;
		struct area a;

		begin(&a, l);
		add_map(&a, at, 600);
		add_map(&a, at + 1000 * GS_FAKE_PAGE, 40);
		put_mmapped(&a, at + 2 * GS_FAKE_PAGE, 33, true);
		put_mmapped(&a, at + 35 * GS_FAKE_PAGE, 1, true);
		put_mmapped(&a, at + 36 * GS_FAKE_PAGE, 64, true);
		put_mmapped(&a, at + 40 * GS_FAKE_PAGE, 3, false);	/* within that one */
		put_mmapped(&a, at + 599 * GS_FAKE_PAGE, 1, true);	/* the last page */
		put_mmapped(&a, at + 300 * GS_FAKE_PAGE, 5, false);	/* in a heap */
		put_mmapped(&a, at + 1000 * GS_FAKE_PAGE, 40, true);	/* a whole mapping */
		gs_ranges_add(&a.exclude, at + 290 * GS_FAKE_PAGE, at + 310 * GS_FAKE_PAGE);
		/* Of the second, the rest is not resident. */
		gs_fake_set_pages(a.fake, at + 37 * GS_FAKE_PAGE, at + 50 * GS_FAKE_PAGE,
				  GS_PAGE_NONE);
		gs_fake_set_pages(a.fake, at + 50 * GS_FAKE_PAGE, at + 60 * GS_FAKE_PAGE,
				  GS_PAGE_SWAPPED);
		assert_true(find(&a));
		assert_int_equal(a.found.chunks, 5);
		assert_int_equal(a.found.bytes, 139 * GS_FAKE_PAGE);
		assert_int_equal(a.found.resident_bytes, (139 - 23) * GS_FAKE_PAGE);
		assert_int_equal(a.found.ranges.len, 5);
		assert_true(gs_ranges_find(&a.found.ranges, at + 99 * GS_FAKE_PAGE) ==
			    at + 100 * GS_FAKE_PAGE);
		end(&a);
	}
}

static void a_header_in_swap_is_not_found(void **state)
{
	struct area a;

	begin(&a, gs_fake_layout("2.36 x86-64"));
	add_map(&a, AREA, 100);
	put_mmapped(&a, AREA + GS_FAKE_PAGE, 10, true);
	put_mmapped(&a, AREA + 50 * GS_FAKE_PAGE, 10, true);
	gs_fake_set_pages(a.fake, AREA + GS_FAKE_PAGE, AREA + GS_FAKE_PAGE + 1, GS_PAGE_SWAPPED);
	assert_false(find(&a));
	assert_int_equal(a.found.chunks, 1);
	end(&a);
}

/* Only private anonymous memory that can be written to. */
static void other_mappings_are_left_alone(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct area a;

		begin(&a, gs_fake_layout("2.36 x86-64"));
		add_map(&a, AREA, 10);
		put_mmapped(&a, AREA, 10, true);
		a.maps.data[0].prot = i == 0 ? GS_PROT_R : GS_PROT_R | GS_PROT_W;
		a.maps.data[0].shared = i == 1;
		a.maps.data[0].ino = i == 2;
		assert_false(find(&a));
		assert_int_equal(a.fake->reads, 0);
		end(&a);
	}
}

static void none_are_not_looked_for(void **state)
{
	struct area a;

	begin(&a, gs_fake_layout("2.36 x86-64"));
	add_map(&a, AREA, 10);
	assert_true(find(&a));
	assert_int_equal(a.fake->reads, 0);
	end(&a);
}

/* --- the scan --- */

/* Every page in memory, once, in order; the others never. */
static void a_scan_meets_what_is_in_memory(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_fake *fake = gs_fake_new();
	struct gs_page_scan *scan = calloc(1, sizeof(*scan));
	const char *words;
	gs_addr page, expected = AREA;

	gs_fake_add(fake, AREA, 2000 * GS_FAKE_PAGE);
	for (unsigned i = 0; i < 2000; i++) {
		gs_fake_put(fake, l, AREA + i * GS_FAKE_PAGE + 24, i);
		if (i % 7 == 3 || (i > 500 && i < 900))
			gs_fake_set_pages(fake, AREA + i * GS_FAKE_PAGE,
					  AREA + i * GS_FAKE_PAGE + 1, i % 4);
	}
	gs_page_scan_init(scan, &fake->mem, l);
	gs_page_scan_begin(scan, AREA, AREA + 2000 * GS_FAKE_PAGE);
	while (gs_page_scan_next(scan, &page, &words)) {
		for (; expected < page; expected += GS_FAKE_PAGE)
			assert_true(gs_fake_page(fake, expected) == GS_PAGE_NONE ||
				    gs_fake_page(fake, expected) == GS_PAGE_SWAPPED);
		assert_true(page == expected);
		assert_int_equal(gs_layout_word(l, words, 24), (page - AREA) / GS_FAKE_PAGE);
		expected += GS_FAKE_PAGE;
	}
	assert_true(expected == AREA + 2000 * GS_FAKE_PAGE);
	gs_page_scan_begin(scan, AREA, AREA + 2000 * GS_FAKE_PAGE);
	for (gs_addr to = AREA; to < AREA + 1990 * GS_FAKE_PAGE; to += 37 * GS_FAKE_PAGE) {
		gs_page_scan_skip_to(scan, to);
		assert_true(gs_page_scan_next(scan, &page, &words));
		assert_true(page >= to);
		assert_int_equal(gs_layout_word(l, words, 24), (page - AREA) / GS_FAKE_PAGE);
	}
	scan->budget = 10;
	gs_page_scan_begin(scan, AREA, AREA + 2000 * GS_FAKE_PAGE);
	unsigned n = 0;
	while (gs_page_scan_next(scan, &page, &words))
		n++;
	assert_int_equal(n, 10);
	gs_page_scan_fini(scan);
	free(scan);
	gs_fake_free(fake);
}

/*
 * What is read was known to be in memory a moment ago, and a scan that is given up early has
 * not asked for all the rest: a segment a MiB makes that a square.
 */
static void a_scan_asks_as_it_goes(void **state)
{
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_fake *fake = gs_fake_new();
	struct gs_page_scan *scan = calloc(1, sizeof(*scan));
	const char *words;
	gs_addr page;

	gs_fake_add(fake, AREA, 40000 * GS_FAKE_PAGE);
	gs_page_scan_init(scan, &fake->mem, l);
	gs_page_scan_begin(scan, AREA, AREA + 40000 * GS_FAKE_PAGE);
	assert_true(gs_page_scan_next(scan, &page, &words));
	assert_true(fake->asked <= 8192);
	gs_page_scan_fini(scan);
	free(scan);
	gs_fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(observed_headers),
		cmocka_unit_test(what_is_no_header),
		cmocka_unit_test(chunks_are_found),
		cmocka_unit_test(a_header_in_swap_is_not_found),
		cmocka_unit_test(other_mappings_are_left_alone),
		cmocka_unit_test(none_are_not_looked_for),
		cmocka_unit_test(a_scan_meets_what_is_in_memory),
		cmocka_unit_test(a_scan_asks_as_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
