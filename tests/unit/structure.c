/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Malloc found by structure alone, in processes made for every layout there ever was. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collect/find_malloc.h"
#include "collect/reading.h"
#include "heap/structure.h"
#include "libc_image.h"

static struct gs_libc_image *image_of(const char *layout, bool has_threads)
{
	return gs_libc_image_new(gs_fake_layout(layout), has_threads);
}

static struct gs_err *find(struct gs_libc_image *im, struct gs_structure *ret)
{
	return gs_structure_find(&im->fake->mem, &im->module, &im->maps, NULL, ret);
}

static void assert_found(struct gs_libc_image *im)
{
	struct gs_structure found;

	assert_null(find(im, &found));
	assert_true(found.main_arena == im->main_arena);
}

static void assert_not_found(struct gs_libc_image *im)
{
	struct gs_structure found;
	struct gs_err *err = find(im, &found);

	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NOT_FOUND);
	gs_err_free(err);
}

/* --- every layout, from the mappings to the sums --- */

static void assert_reads_right(struct gs_libc_image *im, const struct gs_malloc *m,
			       struct gs_snapshot *s)
{
	struct gs_reading r = {
		.mem = &im->fake->mem, .m = m, .maps = &im->maps, .threads = &im->threads,
		.snapshot = s,
	};

	assert_null(gs_reading_run(&r));
	assert_int_equal(s->n_warnings, 0);
	assert_int_equal(s->n_arenas, im->n_heaps);
	assert_memory_equal(&s->totals, &im->truth, sizeof(im->truth));
	assert_int_equal(r.states.len, im->threads.len);
	gs_reading_fini(&r);
}

static void assert_found_right(const struct gs_fake_layout *layout, bool has_threads)
{
	struct gs_libc_image *im = image_of(layout->name, has_threads);
	struct gs_snapshot *s = gs_snapshot_new();
	const char *member = "";
	struct gs_malloc m = {};

	assert_null(gs_find_malloc(&im->where, &im->module, s, &m));
	assert_true(m.main_arena == im->main_arena);
	assert_true(m.mp == im->mp);
	if (!gs_layout_equal(&m.layout, &im->layout, &member))
		fail_msg("%s, %s threads: %s", layout->name, has_threads ? "with" : "no", member);
	assert_int_equal(m.tls_thread_arena, GS_LIBC_TLS_ARENA);
	assert_true(m.tls_tcache == (im->layout.has_tcache ? GS_LIBC_TLS_TCACHE : GS_NO_TLS));
	assert_int_equal(s->allocator.symbols, GS_SYMBOLS_STRUCTURE);
	assert_reads_right(im, &m, s);
	gs_snapshot_free(s);
	gs_libc_image_free(im);
}

/* No version is told: static programs have none. */
static void every_layout_is_found(void **state)
{
	for (size_t i = 0; i < GS_FAKE_LAYOUTS; i++) {
		assert_found_right(&gs_fake_layouts[i], false);
		assert_found_right(&gs_fake_layouts[i], true);
	}
}

/* A release that vendors changed: what is in memory counts. */
static void a_wrong_version_does_no_harm(void **state)
{
	static const char *const versions[] = { "2.17", "2.28", "2.36", "2.44", "3.0", "x" };

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct gs_libc_image *im = image_of("2.31 x86-64", true);
		struct gs_snapshot *s = gs_snapshot_new();
		const char *member = "";
		struct gs_malloc m = {};

		im->where.version = versions[i];
		assert_null(gs_find_malloc(&im->where, &im->module, s, &m));
		if (!gs_layout_equal(&m.layout, &im->layout, &member))
			fail_msg("taken for %s: %s", versions[i], member);
		gs_snapshot_free(s);
		gs_libc_image_free(im);
	}
}

/* --- states of an arena --- */

static void an_unused_arena_is_found(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	const struct gs_layout *l = &im->layout;

	/* before the first malloc: all zeros but next */
	for (unsigned i = 0; i < l->arena.size; i++)
		*gs_fake_at(im->fake, im->main_arena + i) = 0;
	gs_fake_put(im->fake, l, im->main_arena + l->arena.next, im->main_arena);
	gs_libc_image_put_par(im, im->mp);
	gs_fake_put(im->fake, l, im->mp + l->par.sbrk_base, 0);
	assert_found(im);
	gs_libc_image_free(im);
}

/* Put a chunk into every bin but the last one, which is never used. */
static void fill_bins(struct gs_libc_image *im, unsigned n)
{
	const struct gs_layout *l = &im->layout;
	gs_addr chunk = im->heaps[0].start + 0x8000;

	for (unsigned i = 0; i < n; i++, chunk += 64) {
		gs_addr bin = im->main_arena + l->arena.bins + 2u * i * l->word;
		gs_addr header = bin - 2u * l->word;
		gs_fake_put(im->fake, l, bin, chunk);
		gs_fake_put(im->fake, l, bin + l->word, chunk);
		gs_fake_put(im->fake, l, chunk + 2u * l->word, header);
		gs_fake_put(im->fake, l, chunk + 3u * l->word, header);
	}
}

static void an_arena_without_empty_bins_is_found(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", true);

	fill_bins(im, 126);
	assert_found(im);
	gs_libc_image_free(im);
}

static void lists_that_are_being_changed_are_no_contradiction(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	const struct gs_layout *l = &im->layout;

	fill_bins(im, 126);
	for (unsigned i = 0; i < 60; i++)
		gs_fake_put(im->fake, l, im->heaps[0].start + 0x8000 + i * 64 + 3u * l->word, 0);
	assert_found(im);
	for (unsigned i = 60; i < 126; i++)
		gs_fake_put(im->fake, l, im->heaps[0].start + 0x8000 + i * 64 + 3u * l->word, 0);
	assert_not_found(im);
	gs_libc_image_free(im);
}

static void bins_that_lead_nowhere_are_none(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	gs_addr bin = im->main_arena + im->layout.arena.bins + 40u * im->layout.word;
	const uint64_t bad[] = { 1, 0x1000, UINT64_MAX, UINT64_MAX - 7, 0x7fff00000000 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gs_fake_put(im->fake, &im->layout, bin, bad[i]);
		assert_not_found(im);
	}
	gs_libc_image_free(im);
}

/* Chunks in pages that are not in memory: the fake aborts where such a page is read. */
static void what_is_not_in_memory_is_not_read(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	gs_addr chunks = im->heaps[0].start + 0x8000;

	fill_bins(im, 60);
	gs_fake_set_pages(im->fake, chunks, chunks + 0x1000, GS_PAGE_SWAPPED);
	gs_fake_set_pages(im->fake, im->data, im->data + 1, GS_PAGE_NONE);
	assert_found(im);
	gs_fake_set_pages(im->fake, im->main_arena, im->main_arena + 1, GS_PAGE_SWAPPED);
	assert_not_found(im);
	gs_libc_image_free(im);
}

/* --- the ring --- */

static void a_ring_that_does_not_close_is_none(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", true);
	const struct gs_layout *l = &im->layout;
	const uint64_t bad[] = { 0, im->thread_arena, im->thread_arena + 8, UINT64_MAX, 0x30 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gs_fake_put(im->fake, l, im->thread_arena + l->arena.next, bad[i]);
		assert_not_found(im);
	}
	gs_fake_put(im->fake, l, im->thread_arena + l->arena.next, im->main_arena);
	assert_found(im);
	/* a heap that is not that arena's */
	gs_fake_put(im->fake, l, im->heaps[1].start + l->heap.ar_ptr, im->main_arena);
	assert_not_found(im);
	gs_libc_image_free(im);
}

static void two_candidates_are_refused(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	gs_addr second = im->data + 0x2c00;

	gs_fake_arena(im->fake, &im->layout, second, 0, second, 0);
	assert_not_found(im);
	gs_libc_image_free(im);
}

static void no_data_is_no_malloc(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);

	im->segment.end = im->main_arena + 100;
	assert_not_found(im);
	im->segment.end = im->segment.start;
	assert_not_found(im);
	im->module.n_segments = 0;
	assert_not_found(im);
	gs_libc_image_free(im);
}

/* Another distance between the struct's start and its bins than any release has. */
static void an_unknown_layout_is_no_guess(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64", false);
	struct gs_layout l = im->layout;
	struct gs_snapshot *s = gs_snapshot_new();
	struct gs_structure found;
	struct gs_malloc m = {};

	for (gs_addr at = im->main_arena; at < im->main_arena + l.arena.size; at++)
		*gs_fake_at(im->fake, at) = 0;
	l.arena.bins += 8;
	l.arena.next += 8;
	l.arena.system_mem += 8;
	l.arena.max_system_mem += 8;
	l.arena.size += 8;
	gs_fake_arena(im->fake, &l, im->main_arena, im->heaps[0].top, im->main_arena,
		      im->heaps[0].end - im->heaps[0].start);
	assert_null(find(im, &found));
	assert_true(found.main_arena == im->main_arena);
	assert_null(found.arena);
	struct gs_err *err = gs_find_malloc(&im->where, &im->module, s, &m);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NO_SYMBOLS);
	gs_err_free(err);
	gs_snapshot_free(s);
	gs_libc_image_free(im);
}

/* --- mangled links --- */

/* Without a tcache there are the fastbins to tell. */
static void fastbins_tell_whether_links_are_mangled(void **state)
{
	for (int mangled = 0; mangled < 2; mangled++) {
		struct gs_layout l = *gs_fake_layout("2.31 x86-64");
		l.safe_linking = mangled;
		struct gs_libc_image *im = gs_libc_image_new(&l, true);
		struct gs_malloc m = { .layout = l, .main_arena = im->main_arena };
		gs_addr data[] = { im->main_arena, im->thread_arena };
		struct gs_addrs arenas = { data, 2, 2 };
		struct gs_thread_states none = {};

		assert_int_equal(gs_structure_safe_linking(&im->fake->mem, &m, &none, &arenas,
							   !mangled), mangled);
		arenas.len = 0;
		assert_int_equal(gs_structure_safe_linking(&im->fake->mem, &m, &none, &arenas,
							   !mangled), !mangled);
		gs_libc_image_free(im);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout_is_found),
		cmocka_unit_test(a_wrong_version_does_no_harm),
		cmocka_unit_test(an_unused_arena_is_found),
		cmocka_unit_test(an_arena_without_empty_bins_is_found),
		cmocka_unit_test(lists_that_are_being_changed_are_no_contradiction),
		cmocka_unit_test(bins_that_lead_nowhere_are_none),
		cmocka_unit_test(what_is_not_in_memory_is_not_read),
		cmocka_unit_test(a_ring_that_does_not_close_is_none),
		cmocka_unit_test(two_candidates_are_refused),
		cmocka_unit_test(no_data_is_no_malloc),
		cmocka_unit_test(an_unknown_layout_is_no_guess),
		cmocka_unit_test(fastbins_tell_whether_links_are_mangled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
