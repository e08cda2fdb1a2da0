/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "findings_cases.h"
#include "model/findings.h"

/* Every text of one finding for one version: nothing that version does not have. */
static void check_advice(const char *id, const struct gs_snapshot *s, unsigned minor)
{
	const struct gs_finding *f = find(s, id);

	assert_non_null(f);
	assert_int_equal(f->n_advice, 2);
	assert_false(f->advice[0].fix);
	assert_true(f->advice[1].fix);
	for (size_t i = 0; i < 2; i++) {
		const struct gs_advice *a = &f->advice[i];

		assert_true(a->text && *a->text);
		assert_lacks(a->text, "{");
		assert_lacks(a->command, "{");
		assert_lacks(a->text, "gdb");
		assert_lacks(a->command, "glibcstall");
		if (minor < 26 && strcmp(id, "tcache-hoard"))
			assert_lacks(a->command, "GLIBC_TUNABLES");
		if (minor < 31 || minor >= 43)
			assert_lacks(a->command, "mxfast");
	}
}

static void advice_fits_every_version(void **state)
{
	for (unsigned minor = 17; minor <= 45; minor++) {
		char version[16];

		snprintf(version, sizeof(version), "2.%u", minor);
		for (size_t i = 0; i < N_SCENARIOS; i++) {
			struct gs_snapshot *s = content_process();

			set_version(s, version);
			scenarios[i].make(s, 60 * PERCENT);
			gs_findings_fill(s);
			check_advice(scenarios[i].id, s, minor);
			gs_snapshot_free(s);
		}
	}
}

static void advice_fits_an_unknown_version(void **state)
{
	static const char *const versions[] = { NULL, "", "garbage", "3.1" };

	for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++)
		for (size_t i = 0; i < N_SCENARIOS; i++) {
			struct gs_snapshot *s = content_process();

			set_version(s, versions[v]);
			scenarios[i].make(s, 60 * PERCENT);
			gs_findings_fill(s);
			check_advice(scenarios[i].id, s, 0);
			gs_snapshot_free(s);
		}
}

static void arena_advice_goes_by_version(void **state)
{
	struct gs_snapshot *s = content_process();

	spread(s, 60 * PERCENT);
	gs_findings_fill(s);
	assert_string_equal(advice(s, "arena-spread", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.arena_max=2");
	assert_contains(find(s, "arena-spread")->detail, "eight for each CPU");
	set_version(s, "2.25");
	gs_findings_fill(s);
	assert_string_equal(advice(s, "arena-spread", true)->command, "MALLOC_ARENA_MAX=2");
	assert_lacks(advice(s, "arena-spread", true)->text, "mallopt");
	set_version(s, "2.44");
	gs_findings_fill(s);
	assert_contains(find(s, "arena-spread")->detail, "one for each CPU");
	set_version(s, "2.31");
	s->target.machine = "i386";
	gs_findings_fill(s);
	assert_contains(find(s, "arena-spread")->detail, "two for each CPU");
	set_version(s, NULL);
	gs_findings_fill(s);
	assert_lacks(find(s, "arena-spread")->detail, "for each CPU");
	gs_snapshot_free(s);
}

/* The number advised is that of the arenas in use, and below what there is. */
static void arena_advice_counts_arenas(void **state)
{
	struct gs_snapshot *s = content_process();

	make_idle(s, 30 * PERCENT);
	gs_findings_fill(s);
	assert_string_equal(advice(s, "idle-heaps", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.arena_max=4");
	s->arenas[1].account.stalled_bytes = s->arenas[1].account.resident_bytes;
	s->arenas[2].account.stalled_bytes = s->arenas[2].account.resident_bytes;
	gs_findings_fill(s);
	assert_string_equal(advice(s, "idle-heaps", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.arena_max=3");
	gs_snapshot_free(s);
}

static void fastbin_advice_goes_by_version(void **state)
{
	struct gs_snapshot *s = content_process();

	hoard_fastbin(s, 30 * PERCENT);
	gs_findings_fill(s);
	assert_string_equal(advice(s, "fastbin-hoard", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.mxfast=0");
	set_version(s, "2.28");
	gs_findings_fill(s);
	assert_null(advice(s, "fastbin-hoard", true)->command);
	assert_contains(advice(s, "fastbin-hoard", true)->text, "mallopt(M_MXFAST, 0)");
	gs_snapshot_free(s);
}

static void tcache_advice_goes_by_version(void **state)
{
	struct gs_snapshot *s = content_process();

	hoard_tcache(s, 30 * PERCENT);
	gs_findings_fill(s);
	assert_string_equal(advice(s, "tcache-hoard", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.tcache_count=2");
	assert_lacks(advice(s, "tcache-hoard", true)->text, "4M");
	set_version(s, "2.43");
	s->mallopt.tcache_count = 2;
	gs_findings_fill(s);
	assert_string_equal(advice(s, "tcache-hoard", true)->command,
			    "GLIBC_TUNABLES=glibc.malloc.tcache_count=0");
	assert_contains(advice(s, "tcache-hoard", true)->text, "4M");
	gs_snapshot_free(s);
}

static void java_is_told_of_jcmd(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_main(s, 30 * PERCENT);
	gs_findings_fill(s);
	assert_null(advice(s, "pinned-top", false)->command);
	assert_contains(advice(s, "pinned-top", false)->text, "malloc_trim(0)");
	free(s->target.exe);
	s->target.exe = gs_xstrdup("/usr/lib/jvm/17/bin/java");
	gs_findings_fill(s);
	assert_string_equal(advice(s, "pinned-top", false)->command,
			    "jcmd 4312 System.trim_native_heap");
	free(s->target.exe);
	s->target.exe = gs_xstrdup("/opt/java/server");
	gs_findings_fill(s);
	assert_null(advice(s, "pinned-top", false)->command);
	free(s->target.exe);
	s->target.exe = NULL;
	gs_findings_fill(s);
	assert_null(advice(s, "pinned-top", false)->command);
	gs_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_fits_every_version),
		cmocka_unit_test(advice_fits_an_unknown_version),
		cmocka_unit_test(arena_advice_goes_by_version),
		cmocka_unit_test(arena_advice_counts_arenas),
		cmocka_unit_test(fastbin_advice_goes_by_version),
		cmocka_unit_test(tcache_advice_goes_by_version),
		cmocka_unit_test(java_is_told_of_jcmd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
