/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layouts as read from debug information, which here the test makes up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_image.h"

/* What the debug information says; the last entry of a name wins. */
static struct gs_member said[64];
static size_t n_said;

/* Stands in for the reader of DWARF. */
struct gs_err *gs_symtab_members(struct gs_symtab *symtab, struct gs_member *members, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct gs_member *m = &members[i];
		for (size_t j = 0; j < n_said; j++) {
			if (strcmp(m->type, said[j].type) || !m->name != !said[j].name ||
			    (m->name && strcmp(m->name, said[j].name)))
				continue;
			m->found = said[j].found;
			m->offset = said[j].offset;
			m->size = said[j].size;
			m->count = said[j].count;
		}
	}
	return NULL;
}

static void say(const char *type, const char *name, uint32_t offset, uint32_t size, uint32_t count)
{
	said[n_said++] = (struct gs_member){
		.type = type, .name = name, .found = offset != GS_NO_MEMBER, .offset = offset,
		.size = size, .count = count,
	};
}

/* All that a build of that layout has. */
static void say_all(const struct gs_layout *l)
{
	uint32_t w = l->word;

	n_said = 0;
	say("malloc_state", NULL, 0, l->arena.size, 1);
	say("malloc_state", "mutex", l->arena.mutex, 4, 1);
	say("malloc_state", "flags", l->arena.flags, 4, 1);
	say("malloc_state", "top", l->arena.top, w, 1);
	say("malloc_state", "bins", l->arena.bins, 254 * w, 254);
	say("malloc_state", "next", l->arena.next, w, 1);
	say("malloc_state", "system_mem", l->arena.system_mem, w, 1);
	say("malloc_state", "max_system_mem", l->arena.max_system_mem, w, 1);
	say("malloc_state", "attached_threads", l->arena.attached_threads, w, 1);
	say("malloc_state", "fastbinsY", l->arena.fastbins, l->arena.n_fastbins * w,
	    l->arena.n_fastbins);
	say("_heap_info", NULL, 0, l->heap.sizeof_, 1);
	say("_heap_info", "ar_ptr", l->heap.ar_ptr, w, 1);
	say("_heap_info", "prev", l->heap.prev, w, 1);
	say("_heap_info", "size", l->heap.size, w, 1);
	say("_heap_info", "mprotect_size", l->heap.mprotect_size, w, 1);
	say("malloc_par", NULL, 0, l->par.size, 1);
	say("malloc_par", "trim_threshold", l->par.trim_threshold, w, 1);
	say("malloc_par", "top_pad", l->par.top_pad, w, 1);
	say("malloc_par", "mmap_threshold", l->par.mmap_threshold, w, 1);
	say("malloc_par", "arena_test", l->par.arena_test, w, 1);
	say("malloc_par", "arena_max", l->par.arena_max, w, 1);
	say("malloc_par", "n_mmaps", l->par.n_mmaps, 4, 1);
	say("malloc_par", "no_dyn_threshold", l->par.no_dyn_threshold, 4, 1);
	say("malloc_par", "mmapped_mem", l->par.mmapped_mem, w, 1);
	say("malloc_par", "sbrk_base", l->par.sbrk_base, w, 1);
	say("malloc_par", "hp_pagesize", l->par.hp_pagesize, w, 1);
	say("malloc_par", "tcache_count", l->par.tcache_count, w, 1);
	say("malloc_par", "tcache_max_bytes", l->par.tcache_max_bytes, w, 1);
	say("malloc_chunk", "fd", 2 * w, w, 1);
	if (!l->has_tcache)
		return;
	say("tcache_perthread_struct", NULL, 0, l->tcache.size, 1);
	say("tcache_perthread_struct", l->tcache.counts_free ? "num_slots" : "counts",
	    l->tcache.counts, l->tcache.n_bins * l->tcache.count_size, l->tcache.n_bins);
	say("tcache_perthread_struct", "entries", l->tcache.entries, l->tcache.n_bins * w,
	    l->tcache.n_bins);
}

static void layouts_are_read(void **state)
{
	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		struct gs_layout got;

		memset(&got, 0xee, sizeof(got));
		say_all(l);
		assert_null(gs_layout_from_dwarf(NULL, l->word, gs_fake_layouts[i].name, &got));
		assert_int_equal(got.word, l->word);
		assert_int_equal(got.align, l->align);
		assert_int_equal(got.min_size, l->min_size);
		assert_int_equal(got.heap_max, l->heap_max);
		assert_int_equal(got.safe_linking, l->safe_linking);
		assert_int_equal(got.mmapped_trailer, l->mmapped_trailer);
		assert_int_equal(got.has_tcache, l->has_tcache);
		assert_memory_equal(&got.arena, &l->arena, sizeof(l->arena));
		assert_memory_equal(&got.heap, &l->heap, sizeof(l->heap));
		assert_memory_equal(&got.par, &l->par, sizeof(l->par));
		if (!l->has_tcache)
			continue;
		assert_int_equal(got.tcache.counts, l->tcache.counts);
		assert_int_equal(got.tcache.count_size, l->tcache.count_size);
		assert_int_equal(got.tcache.counts_free, l->tcache.counts_free);
		assert_int_equal(got.tcache.n_bins, l->tcache.n_bins);
		assert_int_equal(got.tcache.n_small_bins, l->tcache.n_small_bins);
		assert_int_equal(got.tcache.entries, l->tcache.entries);
		assert_int_equal(got.tcache.size, l->tcache.size);
	}
}

static void assert_refused(const struct gs_layout *l)
{
	struct gs_layout got;
	struct gs_err *err = gs_layout_from_dwarf(NULL, l->word, "2.36", &got);

	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NO_SYMBOLS);
	gs_err_free(err);
}

/* Each member in turn is missing, or where no struct of malloc's reaches. */
static void what_is_not_there(void **state)
{
	static const char *const optional[] = {
		"attached_threads", "fastbinsY", "hp_pagesize", "tcache_count", "tcache_max_bytes",
	};
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");
	struct gs_layout got;

	say_all(l);
	for (size_t i = 0; i < n_said; i++) {
		bool needed = strcmp(said[i].type, "tcache_perthread_struct") || said[i].name;
		for (size_t j = 0; j < sizeof(optional) / sizeof(optional[0]); j++)
			needed &= !said[i].name || strcmp(said[i].name, optional[j]);
		said[i].found = false;
		if (needed)
			assert_refused(l);
		else
			assert_null(gs_layout_from_dwarf(NULL, 8, "2.36", &got));
		say_all(l);
	}
}

/* What is read of a struct lies in it, whatever a debug file says. */
static void members_outside_their_struct(void **state)
{
	static const uint32_t ends[] = { 0, 1, 7, 100000, UINT32_MAX };

	for (unsigned i = 0; i < GS_FAKE_LAYOUTS; i++) {
		const struct gs_layout *l = &gs_fake_layouts[i].layout;
		say_all(l);
		for (size_t j = 0; j < n_said; j++) {
			for (unsigned k = 0; k < 5; k++) {
				uint32_t size = 0;
				for (size_t s = 0; s < n_said; s++)
					if (!said[s].name && !strcmp(said[s].type, said[j].type))
						size = said[s].size;
				if (!said[j].name || !said[j].found || !size ||
				    !strcmp(said[j].name, "mutex"))
					continue;
				said[j].offset = ends[k] > 7 ? ends[k] : size - ends[k] % l->word;
				assert_refused(l);
				say_all(l);
			}
		}
	}
}

/* Arrays of another length than malloc's, structs of any size. */
static void odd_sizes(void **state)
{
	static const struct { const char *type, *name; uint32_t size, count; } cases[] = {
		{ "malloc_state", NULL, 4097, 1 }, { "malloc_state", NULL, UINT32_MAX, 1 },
		{ "malloc_state", NULL, 2000, 1 }, { "_heap_info", NULL, 65536, 1 },
		{ "_heap_info", NULL, 0, 1 }, { "malloc_par", NULL, 100, 1 },
		{ "malloc_state", "fastbinsY", 96, 12 }, { "malloc_state", "fastbinsY", 80, 65546 },
		{ "tcache_perthread_struct", NULL, 639, 1 },
		{ "tcache_perthread_struct", NULL, 5000, 1 },
		{ "tcache_perthread_struct", "counts", 0, 64 },
		{ "tcache_perthread_struct", "counts", 256, 64 },
		{ "tcache_perthread_struct", "counts", 128, 63 },
		{ "tcache_perthread_struct", "entries", 512, 0 },
		{ "tcache_perthread_struct", "entries", 616, 77 },
	};
	const struct gs_layout *l = gs_fake_layout("2.36 x86-64");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say_all(l);
		for (size_t j = 0; j < n_said; j++) {
			if (strcmp(said[j].type, cases[i].type) ||
			    !said[j].name != !cases[i].name ||
			    (said[j].name && strcmp(said[j].name, cases[i].name)))
				continue;
			said[j].size = cases[i].size;
			said[j].count = cases[i].count;
		}
		assert_refused(l);
	}
}

/* 2.32 by its version, where nothing in the structs tells. */
static void safe_linking_by_version(void **state)
{
	static const struct { const char *version; bool safe; } cases[] = {
		{ "2.31", false }, { "2.32", true }, { "2.4", false }, { "2.100", true },
		{ "3.40", false }, { "", false }, { NULL, false },
	};
	const struct gs_layout *l = gs_fake_layout("2.31 x86-64");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gs_layout got;

		say_all(l);
		assert_null(gs_layout_from_dwarf(NULL, 8, cases[i].version, &got));
		assert_int_equal(got.safe_linking, cases[i].safe);
	}
}

/* Sizes and addresses as observed with the releases. */
static void chunk_arithmetic(void **state)
{
	const struct gs_layout *wide = gs_fake_layout("2.36 x86-64");
	const struct gs_layout *i386 = gs_fake_layout("2.31 i386");
	const struct gs_layout *old = gs_fake_layout("2.23 i386");

	assert_int_equal(gs_layout_tcache_size(wide, 0), 0x20);
	assert_int_equal(gs_layout_tcache_size(wide, 63), 0x410);
	assert_int_equal(gs_layout_tcache_size(i386, 0), 0x10);
	assert_int_equal(gs_layout_tcache_size(i386, 63), 0x400);
	assert_int_equal(gs_layout_fastbin_size(wide, 0), 0x20);
	assert_int_equal(gs_layout_fastbin_size(wide, 6), 0x80);
	assert_int_equal(gs_layout_fastbin_size(i386, 2), 0x20);
	assert_int_equal(gs_layout_fastbin_size(old, 1), 0x18);
	assert_int_equal(gs_layout_align_chunk(wide, 0x1000), 0x1000);
	assert_int_equal(gs_layout_align_chunk(wide, 0x1001), 0x1010);
	assert_int_equal(gs_layout_align_chunk(i386, 0x1000), 0x1008);
	assert_int_equal(gs_layout_align_chunk(i386, 0x1008), 0x1008);
	assert_int_equal(gs_layout_align_chunk(i386, 0x1009), 0x1018);
	assert_int_equal(gs_layout_align_chunk(old, 0x1004), 0x1008);
	assert_true(gs_layout_reveal(wide, 0x55d0ca1f72a0, 0x000055d59701f67f ^ 0x1234) ==
		    (0x55d0ca1f72a0 >> 12 ^ 0x000055d59701f67f ^ 0x1234));
	assert_true(gs_layout_reveal(wide, 0x55d0ca1f72a0, 0x55d0ca1f72a0 >> 12) == 0);
	assert_true(gs_layout_reveal(i386, 0x0804d010, 0x0804d020) == 0x0804d020);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_are_read),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(members_outside_their_struct),
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(safe_linking_by_version),
		cmocka_unit_test(chunk_arithmetic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
