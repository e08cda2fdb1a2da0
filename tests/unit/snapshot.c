/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>

#include "base/xalloc.h"
#include "model/snapshot.h"

static void new_is_empty(void **state)
{
	struct gs_snapshot *s = gs_snapshot_new();

	assert_int_equal(s->n_arenas, 0);
	assert_int_equal(s->n_findings, 0);
	assert_int_equal(s->n_warnings, 0);
	assert_null(s->target.comm);
	assert_true(s->capture.pause_ns == GS_UNKNOWN);
	assert_true(s->mallopt.mmap_threshold == GS_UNKNOWN);
	assert_true(s->mallopt.tcache_max_bytes == GS_UNKNOWN);
	assert_false(s->mallopt.dynamic_threshold);
	gs_snapshot_free(s);
	gs_snapshot_free(NULL);
}

static void warnings_are_kept_in_order(void **state)
{
	struct gs_snapshot *s = gs_snapshot_new();

	for (unsigned i = 0; i < 40; i++)
		gs_snapshot_warn(s, "warning %u of %s", i, "many");
	assert_int_equal(s->n_warnings, 40);
	assert_string_equal(s->warnings[0], "warning 0 of many");
	assert_string_equal(s->warnings[39], "warning 39 of many");
	gs_snapshot_free(s);
}

static char *text(void)
{
	return gs_xstrdup("a text long enough to be an allocation of its own size");
}

static void fill_identity(struct gs_snapshot *s)
{
	s->target.comm = text();
	s->target.exe = text();
	s->target.n_cmdline = 2;
	s->target.cmdline = gs_xcalloc(2, sizeof(char *));
	s->target.cmdline[0] = text();
	s->target.cmdline[1] = text();
	s->allocator.version = text();
	s->allocator.package = text();
	s->allocator.path = text();
	s->allocator.build_id = text();
	s->allocator.debug_file = text();
}

static void fill_arena(struct gs_snapshot *s)
{
	s->n_arenas = 1;
	s->arenas = gs_xcalloc(1, sizeof(*s->arenas));
	struct gs_arena *arena = &s->arenas[0];
	arena->n_threads = 1;
	arena->threads = gs_xcalloc(1, sizeof(*arena->threads));
	arena->threads[0].comm = text();
	arena->n_heaps = 2;
	arena->heaps = gs_xcalloc(2, sizeof(*arena->heaps));
	arena->heaps[0].cells = text();
	arena->heaps[1].pin.owner = text();
}

static void fill_finding(struct gs_snapshot *s)
{
	s->n_findings = 1;
	s->findings = gs_xcalloc(1, sizeof(*s->findings));
	struct gs_finding *finding = &s->findings[0];
	finding->summary = text();
	finding->detail = text();
	finding->n_evidence = 1;
	finding->evidence = gs_xcalloc(1, sizeof(*finding->evidence));
	finding->evidence[0].text = text();
	finding->n_advice = 1;
	finding->advice = gs_xcalloc(1, sizeof(*finding->advice));
	finding->advice[0].command = text();
	finding->advice[0].text = text();
}

/* mallinfo2 counts what a tcache holds as in use: the first round fills the caches. */
static size_t in_use_after_a_life(void)
{
	struct gs_snapshot *s = gs_snapshot_new();

	fill_identity(s);
	fill_arena(s);
	fill_finding(s);
	s->n_not_malloc = 1;
	s->not_malloc = gs_xcalloc(1, sizeof(*s->not_malloc));
	s->not_malloc[0].name = text();
	s->program_malloc.name = text();
	s->program_malloc.path = text();
	s->n_others = 1;
	s->others = gs_xcalloc(1, sizeof(struct gs_snapshot *));
	s->others[0] = gs_snapshot_new();
	fill_identity(s->others[0]);
	fill_arena(s->others[0]);
	gs_snapshot_warn(s, "one");
	gs_snapshot_free(s);
	return mallinfo2().uordblks;
}

static void free_releases_everything(void **state)
{
	for (unsigned i = 0; i < 20; i++)
		in_use_after_a_life();
	size_t before = in_use_after_a_life();
	for (unsigned i = 0; i < 200; i++)
		in_use_after_a_life();
	assert_int_equal(in_use_after_a_life(), before);
}

static void clearing_keeps_what_was_known_before(void **state)
{
	struct gs_snapshot *s = gs_snapshot_new();

	fill_identity(s);
	fill_arena(s);
	gs_snapshot_warn(s, "of the search");
	gs_snapshot_warn(s, "of the heap");
	gs_snapshot_clear_heap(s, 1);
	assert_int_equal(s->n_arenas, 0);
	assert_int_equal(s->n_warnings, 1);
	assert_string_equal(s->warnings[0], "of the search");
	assert_non_null(s->allocator.path);
	gs_snapshot_clear_heap(s, 0);
	assert_int_equal(s->n_warnings, 0);
	gs_snapshot_warn(s, "again");
	assert_string_equal(s->warnings[0], "again");
	gs_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_is_empty),
		cmocka_unit_test(warnings_are_kept_in_order),
		cmocka_unit_test(free_releases_everything),
		cmocka_unit_test(clearing_keeps_what_was_known_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
