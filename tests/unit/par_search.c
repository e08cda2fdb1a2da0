/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Malloc's parameters, found by their values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "heap/par_search.h"
#include "libc_image.h"

static const struct gs_arena_variant *arena_of(const struct gs_layout *l)
{
	for (size_t i = 0; i < gs_n_arena_variants; i++) {
		const struct gs_arena_variant *v = &gs_arena_variants[i];
		if (v->word == l->word && v->bins == l->arena.bins && v->size == l->arena.size)
			return v;
	}
	fail_msg("no such struct malloc_state");
	return NULL;
}

static const struct gs_par_variant *search(struct gs_libc_image *im, const char *version,
					   gs_addr *ret)
{
	struct gs_par_search s = {
		.arena = arena_of(&im->layout), .word = im->layout.word, .maps = &im->maps,
		.page_size = GS_FAKE_PAGE, .start = im->data, .end = im->data_end,
		.bytes = (const char *)gs_fake_at(im->fake, im->data),
		.main_arena = im->main_arena, .may_have_tcache = im->layout.has_tcache,
	};

	return gs_par_search_run(&s, version, ret);
}

static struct gs_libc_image *image_of(const char *layout)
{
	return gs_libc_image_new(gs_fake_layout(layout), false);
}

static void put_int(struct gs_libc_image *im, gs_addr addr, uint32_t value)
{
	memcpy(gs_fake_at(im->fake, addr), &value, sizeof(value));
}

static void assert_found(struct gs_libc_image *im, const char *version)
{
	gs_addr at = 0;
	const struct gs_par_variant *v = search(im, version, &at);

	assert_non_null(v);
	assert_true(at == im->mp);
	assert_int_equal(v->sbrk_base, im->layout.par.sbrk_base);
	assert_int_equal(v->n_mmaps, im->layout.par.n_mmaps);
	assert_int_equal(v->tcache_count, im->layout.par.tcache_count);
}

static void every_variant_is_found(void **state)
{
	for (size_t i = 0; i < GS_FAKE_LAYOUTS; i++) {
		struct gs_libc_image *im = image_of(gs_fake_layouts[i].name);
		assert_found(im, NULL);
		assert_found(im, "1.0");
		gs_libc_image_free(im);
	}
}

/* All that mallopt() and the tunables can change, changed. */
static void settings_do_not_hide_it(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	const struct gs_layout *l = &im->layout;

	gs_fake_put(im->fake, l, im->mp + l->par.trim_threshold, UINT64_MAX);
	gs_fake_put(im->fake, l, im->mp + l->par.top_pad, 12345);
	gs_fake_put(im->fake, l, im->mp + l->par.mmap_threshold, 33 << 20);
	gs_fake_put(im->fake, l, im->mp + l->par.arena_test, 3);
	gs_fake_put(im->fake, l, im->mp + l->par.arena_max, 1);
	gs_fake_put(im->fake, l, im->mp + l->par.hp_pagesize, 2 << 20);
	gs_fake_put(im->fake, l, im->mp + l->par.tcache_count, 0);
	put_int(im, im->mp + l->par.n_mmaps + 4u, 0);
	put_int(im, im->mp + l->par.no_dyn_threshold, 1);
	assert_found(im, "2.36");
	assert_found(im, NULL);
	gs_libc_image_free(im);
}

/* A copy of malloc that was built without tcache: libc_malloc_debug.so. */
static void without_tcache_it_has_no_tcache_settings(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	gs_addr at = 0;

	im->layout.has_tcache = false;
	gs_libc_image_put_par(im, im->mp);
	const struct gs_par_variant *v = search(im, "2.36", &at);
	assert_non_null(v);
	assert_true(at == im->mp);
	assert_string_equal(v->name, "P35N");
	gs_libc_image_free(im);
}

static void what_cannot_be_is_refused(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	const struct gs_layout *l = &im->layout;
	const struct { unsigned at; uint64_t value; } bad[] = {
		{ l->par.no_dyn_threshold, 2 },		/* a boolean */
		{ l->par.n_mmaps, 1 },			/* one chunk, no bytes */
		{ l->par.mmapped_mem, 4096 },		/* bytes, but no chunk */
		{ l->par.arena_test, 1 << 20 },
		{ l->par.hp_pagesize, 3 },
		{ l->par.sbrk_base, 0x1000 },		/* not mapped */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gs_addr at = 0;
		gs_libc_image_put_par(im, im->mp);
		assert_found(im, "2.36");
		gs_fake_put(im->fake, l, im->mp + bad[i].at, bad[i].value);
		search(im, "2.36", &at);
		if (at == im->mp)
			fail_msg("case %zu was taken", i);
	}
	gs_libc_image_free(im);
}

/* What cannot be settings of a tcache are none: a variant without them has the rest. */
static void tcache_settings_must_be_possible(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	const struct gs_layout *l = &im->layout;
	const struct { unsigned at; uint64_t value; } bad[] = {
		{ l->par.tcache_count, 1 << 20 },
		{ l->par.tcache_max_bytes - 8u, 0 },	/* there is always a bin */
		{ l->par.tcache_max_bytes - 8u, 77 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		gs_addr at = 0;
		gs_libc_image_put_par(im, im->mp);
		gs_fake_put(im->fake, l, im->mp + bad[i].at, bad[i].value);
		const struct gs_par_variant *v = search(im, "2.36", &at);
		assert_non_null(v);
		assert_int_equal(v->tcache_count, GS_NO_MEMBER);
	}
	gs_libc_image_free(im);
}

static void two_that_fit_equally_are_refused(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	gs_addr at = 0;

	gs_libc_image_put_par(im, im->mp - 0x200);
	assert_null(search(im, "2.36", &at));
	assert_null(search(im, NULL, &at));
	gs_libc_image_free(im);
}

static void nothing_is_found_in_nothing(void **state)
{
	struct gs_libc_image *im = image_of("2.36 x86-64");
	gs_addr at = 0;

	for (unsigned i = 0; i < im->layout.par.size; i++)
		*gs_fake_at(im->fake, im->mp + i) = 0;
	assert_null(search(im, "2.36", &at));
	assert_null(search(im, NULL, &at));
	gs_libc_image_free(im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_variant_is_found),
		cmocka_unit_test(settings_do_not_hide_it),
		cmocka_unit_test(without_tcache_it_has_no_tcache_settings),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(tcache_settings_must_be_possible),
		cmocka_unit_test(two_that_fit_equally_are_refused),
		cmocka_unit_test(nothing_is_found_in_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
