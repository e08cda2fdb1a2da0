/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of layouts, against what the releases' debug information says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap/layout_table.h"
#include "heap_image.h"

/* Which variants make up a layout: "2.31 i386" and the like. */
static const struct {
	const char *layout, *arena, *par, *tcache;
} made_of[] = {
	{ "2.17 x86-64", "A17", "P17", NULL }, { "2.17 i386", "A17", "P17", NULL },
	{ "2.23 x86-64", "A23", "P17", NULL }, { "2.23 i386", "A23", "P17", NULL },
	{ "2.24 x86-64", "A23", "P24", NULL }, { "2.26 x86-64", "A23", "P26", "T26" },
	{ "2.26 i386", "A26", "P26", "T26" },  { "2.28 x86-64", "A27", "P26", "T26" },
	{ "2.31 x86-64", "A27", "P26", "T30" }, { "2.31 i386", "A27", "P26", "T30" },
	{ "2.36 x86-64", "A27", "P35", "T30" }, { "2.42 x86-64", "A27", "P35", "T42" },
	{ "2.42 i386", "A27", "P35", "T42" },  { "2.43 x86-64", "A43", "P43", "T42" },
	{ "2.43 i386", "A43", "P43", "T42" },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(N(made_of) == GS_FAKE_LAYOUTS, "every layout is in the table");

static const struct gs_arena_variant *arena_variant(const char *name, uint8_t word)
{
	for (size_t i = 0; i < gs_n_arena_variants; i++) {
		if (gs_arena_variants[i].word == word && !strcmp(gs_arena_variants[i].name, name))
			return &gs_arena_variants[i];
	}
	return NULL;
}

static void tables_are_what_debug_information_says(void **state)
{
	for (size_t i = 0; i < N(made_of); i++) {
		struct gs_layout truth = *gs_fake_layout(made_of[i].layout), l = {};
		const char *version = made_of[i].layout, *member = "";

		if (!truth.has_tcache)
			truth.tcache.entries = GS_NO_MEMBER;
		const struct gs_arena_variant *arena =
			arena_variant(made_of[i].arena, truth.word);
		const struct gs_par_variant *par = gs_par_of_version(version, truth.word);
		const struct gs_tcache_variant *tcache = gs_tcache_of_version(version);
		assert_non_null(arena);
		assert_non_null(par);
		assert_string_equal(par->name, made_of[i].par);
		assert_int_equal(!tcache, !made_of[i].tcache);
		if (tcache)
			assert_string_equal(tcache->name, made_of[i].tcache);
		assert_true(gs_par_goes_with(par, arena));
		gs_layout_set_arena(&l, arena);
		gs_layout_set_par(&l, par);
		gs_layout_set_heap(&l, truth.heap.sizeof_);
		gs_layout_set_tcache(&l, tcache);
		l.safe_linking = gs_version_at_least(version, 32);
		if (!gs_layout_equal(&l, &truth, &member))
			fail_msg("%s: %s", made_of[i].layout, member);
	}
}

static void unknown_versions_have_no_variant(void **state)
{
	static const char *const versions[] = { "", "2.16", "2.", "3.36", "x" };

	assert_null(gs_par_of_version(NULL, 8));
	assert_null(gs_tcache_of_version(NULL));
	for (size_t i = 0; i < N(versions); i++) {
		assert_null(gs_par_of_version(versions[i], 8));
		assert_null(gs_tcache_of_version(versions[i]));
	}
}

/* Newer ones are taken for the newest known. */
static void what_comes_next_is_the_newest(void **state)
{
	assert_string_equal(gs_par_of_version("2.99", 8)->name, "P44");
	assert_string_equal(gs_tcache_of_version("2.99")->name, "T42");
}

/* The struct is an array of bins, a bitmap, then next: the distance never changed. */
static void next_lies_behind_the_bins(void **state)
{
	for (size_t i = 0; i < gs_n_arena_variants; i++) {
		const struct gs_arena_variant *v = &gs_arena_variants[i];
		assert_int_equal(v->next - v->bins, gs_bins_to_next(v->word));
		assert_int_equal(v->size, v->max_system_mem + v->word);
	}
}

static void a_difference_is_named(void **state)
{
	struct gs_layout a = *gs_fake_layout("2.36 x86-64"), b = a;
	const char *member = "";

	assert_true(gs_layout_equal(&a, &b, &member));
	b.heap.sizeof_ = 32;
	assert_false(gs_layout_equal(&a, &b, &member));
	assert_string_equal(member, "heap.sizeof_");
	b.arena.top = 8;
	assert_false(gs_layout_equal(&a, &b, &member));
	assert_string_equal(member, "arena.top");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_what_debug_information_says),
		cmocka_unit_test(unknown_versions_have_no_variant),
		cmocka_unit_test(what_comes_next_is_the_newest),
		cmocka_unit_test(next_lies_behind_the_bins),
		cmocka_unit_test(a_difference_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
