/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "findings_cases.h"
#include "model/findings.h"
#include "model/metrics.h"

static void assert_healthy(struct gs_snapshot *s)
{
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 1);
	assert_string_equal(s->findings[0].id, "healthy");
	assert_int_equal(s->findings[0].severity, GS_SEVERITY_LOW);
	gs_snapshot_free(s);
}

/* Nothing is found in a process that has nothing: every rule stays quiet. */
static void content_is_healthy(void **state)
{
	assert_healthy(content_process());
}

static void empty_does_not_crash(void **state)
{
	assert_healthy(gs_snapshot_new());
}

static void each_rule_finds_its_case(void **state)
{
	for (size_t i = 0; i < N_SCENARIOS; i++) {
		struct gs_snapshot *s = content_process();

		scenarios[i].make(s, 60 * PERCENT);
		gs_findings_fill(s);
		assert_int_equal(s->n_findings, 1);
		const struct gs_finding *f = find(s, scenarios[i].id);
		assert_non_null(f);
		assert_int_equal(f->bytes, 60 * PERCENT);
		/* That the memory is elsewhere is no fault. */
		assert_int_equal(f->severity, strcmp(f->id, "not-malloc") ?
						      GS_SEVERITY_HIGH : GS_SEVERITY_LOW);
		assert_null(strchr(f->summary, '\n'));
		assert_int_equal(f->detail[strlen(f->detail) - 1], '.');
		assert_true(f->n_evidence > 0);
		gs_snapshot_free(s);
	}
}

/* At 25 % and 5 %, and one byte below; 1 % is the least that is looked at. */
static void severity_goes_by_share(void **state)
{
	static const struct {
		uint64_t bytes;
		int severity;
	} cases[] = {
		{ 25 * PERCENT, GS_SEVERITY_HIGH },
		{ 25 * PERCENT - 1, GS_SEVERITY_MEDIUM },
		{ 5 * PERCENT, GS_SEVERITY_MEDIUM },
		{ 5 * PERCENT - 1, GS_SEVERITY_LOW },
		{ PERCENT, GS_SEVERITY_LOW },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gs_snapshot *s = content_process();

		/* A second, medium one keeps "healthy" away. */
		hoard_tcache(s, 6 * PERCENT);
		make_idle(s, cases[i].bytes);
		gs_findings_fill(s);
		assert_int_equal(s->n_findings, 2);
		assert_int_equal(find(s, "idle-heaps")->severity, cases[i].severity);
		gs_snapshot_free(s);
	}
}

static void small_amounts_are_left_out(void **state)
{
	struct gs_snapshot *s = content_process();

	hoard_tcache(s, 6 * PERCENT);
	make_idle(s, PERCENT - 1);
	gs_findings_fill(s);
	assert_null(find(s, "idle-heaps"));
	gs_snapshot_free(s);

	/* A large share of next to nothing. */
	s = content_process();
	s->target.rss_bytes = 2 * MIB;
	s->totals.resident_bytes = 2 * MIB;
	make_idle(s, MIB - 1);
	assert_healthy(s);

	s = content_process();
	s->target.rss_bytes = 2 * MIB;
	s->totals.resident_bytes = 2 * MIB;
	make_idle(s, MIB);
	gs_findings_fill(s);
	assert_non_null(find(s, "idle-heaps"));
	gs_snapshot_free(s);
}

static void low_findings_become_a_remark(void **state)
{
	struct gs_snapshot *s = content_process();

	make_idle(s, 5 * PERCENT - 1);
	s->mallopt.mmap_threshold = 32 * MIB;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 1);
	assert_string_equal(s->findings[0].id, "healthy");
	assert_contains(s->findings[0].detail, "1 heap of thread arenas");
	assert_contains(s->findings[0].detail, "mmap threshold to 32.0M");
	assert_int_equal(s->findings[0].n_advice, 1);
	gs_snapshot_free(s);
}

static void healthy_is_not_claimed_blindly(void **state)
{
	struct gs_snapshot *s = content_process();

	s->totals.stalled_bytes = GS_UNKNOWN;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 0);
	s->totals.stalled_bytes = 25 * PERCENT;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 0);
	s->totals.stalled_bytes = 25 * PERCENT - 1;
	s->totals.unsettled_bytes = 5 * PERCENT;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 0);
	s->totals.unsettled_bytes = 5 * PERCENT - 1;
	assert_healthy(s);
}

static void free_memory_in_swap_is_mentioned(void **state)
{
	struct gs_snapshot *s = content_process();

	s->totals.stalled_swapped_bytes = 300 * MIB;
	gs_findings_fill(s);
	assert_contains(s->findings[0].detail, "300M of free memory is in swap");
	gs_snapshot_free(s);
}

static void worst_comes_first(void **state)
{
	struct gs_snapshot *s = content_process();

	hoard_tcache(s, 7 * PERCENT);
	hoard_fastbin(s, 30 * PERCENT);
	make_idle(s, 8 * PERCENT);
	grow_thread_top(s, 2 * PERCENT);
	pin_main(s, 40 * PERCENT);
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 5);
	assert_string_equal(s->findings[0].id, "pinned-top");
	assert_string_equal(s->findings[1].id, "fastbin-hoard");
	assert_string_equal(s->findings[2].id, "idle-heaps");
	assert_string_equal(s->findings[3].id, "tcache-hoard");
	assert_string_equal(s->findings[4].id, "thread-top");
	gs_snapshot_free(s);
}

static void filling_again_replaces(void **state)
{
	struct gs_snapshot *s = content_process();

	make_idle(s, 30 * PERCENT);
	gs_findings_fill(s);
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 1);
	gs_snapshot_free(s);
}

static void pin_is_named(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_main(s, 57 * PERCENT);
	s->arenas[0].heaps[0].pin.owner = gs_xstrdup("vtable for Foo");
	gs_findings_fill(s);
	const struct gs_finding *f = find(s, "pinned-top");
	assert_int_equal(f->arena, 0);
	assert_true(f->heap == s->arenas[0].heaps[0].address);
	assert_contains(f->summary, "570M");
	assert_contains(f->detail, "a live 48B block at 0x5581e44ff2a0 (vtable for Foo)");
	assert_contains(f->detail, "64.0K above it stays too");
	assert_true(evidence(f, "pin_address")->number == 0x5581e44ff2a0);
	assert_int_equal(evidence(f, "pin_address")->type, GS_EVIDENCE_ADDRESS);
	assert_string_equal(evidence(f, "pin_owner")->text, "vtable for Foo");
	gs_snapshot_free(s);
}

static void cached_pin_says_when_it_goes(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_main(s, 57 * PERCENT);
	s->arenas[0].heaps[0].pin.state = GS_CHUNK_TCACHE;
	s->arenas[0].heaps[0].pin.tid = 4320;
	gs_findings_fill(s);
	assert_contains(find(s, "pinned-top")->detail, "the tcache of thread 4320 keeps it");
	assert_contains(find(s, "pinned-top")->detail, "until that thread exits or uses it again");
	s->arenas[0].heaps[0].pin.tid = 0;
	gs_findings_fill(s);
	assert_contains(find(s, "pinned-top")->detail, "some thread keeps it");
	s->arenas[0].heaps[0].pin.state = GS_CHUNK_FASTBIN;
	gs_findings_fill(s);
	assert_contains(find(s, "pinned-top")->detail, "fastbin");
	s->arenas[0].heaps[0].pin.state = GS_CHUNK_LIVE;
	gs_findings_fill(s);
	assert_lacks(find(s, "pinned-top")->detail, "freed that block");
	gs_snapshot_free(s);
}

static void owner_of_a_pin_is_made_printable(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_main(s, 57 * PERCENT);
	s->arenas[0].heaps[0].pin.owner = gs_xstrdup("evil\033]0;x\007");
	gs_findings_fill(s);
	assert_null(strchr(find(s, "pinned-top")->detail, '\033'));
	assert_null(strchr(find(s, "pinned-top")->detail, '\007'));
	gs_snapshot_free(s);
}

/* The last segment decides: what is pinned in an earlier one is not what keeps the end. */
static void without_a_pin_in_the_last_segment_nothing_is_pinned(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_main(s, 57 * PERCENT);
	s->arenas[0].heaps[0].pin.address = 0;
	assert_healthy(s);
}

static void idle_heap_is_not_pinned_too(void **state)
{
	struct gs_snapshot *s = content_process();

	pin_thread(s, 30 * PERCENT);
	s->arenas[2].heaps[0].idle = true;
	s->arenas[2].heaps[0].account.stalled_bytes = 31 * PERCENT;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 1);
	assert_string_equal(s->findings[0].id, "idle-heaps");
	assert_int_equal(s->findings[0].arena, 2);
	gs_snapshot_free(s);
}

static void main_arena_has_no_idle_heaps_or_thread_top(void **state)
{
	struct gs_snapshot *s = content_process();

	s->arenas[0].heaps[0].idle = true;
	s->arenas[0].heaps[0].account.stalled_bytes = 20 * PERCENT;
	s->arenas[0].heaps[0].account.stalled_top_bytes = 20 * PERCENT;
	assert_healthy(s);
}

static void several_arenas_have_no_index(void **state)
{
	struct gs_snapshot *s = content_process();

	for (unsigned i = 0; i < N_ARENAS; i++)
		s->arenas[i].heaps[0].account.stalled_top_bytes = i * PERCENT;
	gs_findings_fill(s);
	const struct gs_finding *f = find(s, "thread-top");
	assert_int_equal(f->bytes, 10 * PERCENT);
	assert_int_equal(f->arena, -1);
	assert_int_equal(f->heap, 0);
	assert_int_equal(evidence(f, "arenas")->number, 4);
	assert_int_equal(evidence(f, "largest_arena")->number, 4);
	assert_true(evidence(f, "largest_heap")->number == s->arenas[4].heaps[0].address);
	gs_snapshot_free(s);
}

static void two_free_arenas_are_no_spread(void **state)
{
	struct gs_snapshot *s = content_process();

	spread(s, 60 * PERCENT);
	for (unsigned i = 1; i < 3; i++)
		s->arenas[i].account.resident_bytes = 2 * s->arenas[i].account.stalled_bytes + 2;
	assert_healthy(s);
}

static void threshold_needs_to_have_grown(void **state)
{
	struct gs_snapshot *s = content_process();

	grow_threshold(s, 30 * PERCENT);
	s->mallopt.mmap_threshold = 131072;
	assert_healthy(s);
	s = content_process();
	grow_threshold(s, 30 * PERCENT);
	s->mallopt.dynamic_threshold = false;
	s->mallopt.trim_threshold = 131072;
	assert_healthy(s);
}

static void grown_threshold_without_bytes_stays(void **state)
{
	struct gs_snapshot *s = content_process();

	grow_threshold(s, 200000);
	hoard_tcache(s, 6 * PERCENT);
	gs_findings_fill(s);
	assert_int_equal(find(s, "threshold-grown")->bytes, 0);
	assert_int_equal(find(s, "threshold-grown")->severity, GS_SEVERITY_LOW);
	gs_snapshot_free(s);
}

static const struct gs_finding *trim_finding(struct gs_snapshot *s, uint64_t threshold,
					     uint64_t pad, uint64_t top)
{
	disable_trim(s, top);
	hoard_tcache(s, 6 * PERCENT);
	s->mallopt.trim_threshold = threshold;
	s->mallopt.top_pad = pad;
	gs_findings_fill(s);
	return find(s, "trim-disabled");
}

static void trim_is_disabled_by_what_exceeds_the_top(void **state)
{
	struct gs_snapshot *s = content_process();

	assert_non_null(trim_finding(s, 400 * MIB, 131072, 300 * MIB));
	assert_null(trim_finding(s, 200 * MIB, 131072, 300 * MIB));
	assert_contains(trim_finding(s, 131072, 400 * MIB, 300 * MIB)->summary, "top_pad");
	assert_null(trim_finding(s, 131072, 200 * MIB, 300 * MIB));
	/* The defaults above a small top are no setting; nor is a modest one above little. */
	assert_null(trim_finding(s, 131072, 131072, 100000));
	assert_null(trim_finding(s, MIB, 131072, 700000));
	/* "Never" counts before it has done harm. */
	assert_int_equal(trim_finding(s, GS_UNLIMITED, 131072, 100000)->bytes, 0);
	assert_string_equal(evidence(find(s, "trim-disabled"), "trim_threshold_bytes")->text,
			    "unlimited");
	assert_non_null(trim_finding(s, 0x7fffffffffffffff, 131072, 0));
	gs_snapshot_free(s);
}

/* All unknown is not the same as unlimited. */
static void unread_settings_say_nothing(void **state)
{
	struct gs_snapshot *s = content_process(), *fresh = gs_snapshot_new();

	s->mallopt = fresh->mallopt;
	gs_snapshot_free(fresh);
	assert_healthy(s);
}

static void trim_disabled_on_32_bits(void **state)
{
	struct gs_snapshot *s = content_process();

	s->target.machine = "i386";
	assert_non_null(trim_finding(s, UINT32_MAX, 131072, 4096));
	gs_snapshot_free(s);
}

static void not_malloc_names_mappings(void **state)
{
	struct gs_snapshot *s = content_process();

	not_malloc(s, 70 * PERCENT);
	s->n_not_malloc = 2;
	s->not_malloc = gs_xcalloc(2, sizeof(*s->not_malloc));
	s->not_malloc[0] = (struct gs_mapping){ gs_xstrdup("/srv/big\n.db"), 500 * MIB, 400 * MIB };
	s->not_malloc[1] = (struct gs_mapping){ NULL, 300 * MIB, GS_UNKNOWN };
	gs_findings_fill(s);
	const struct gs_finding *f = find(s, "not-malloc");
	assert_int_equal(f->bytes, 70 * PERCENT);
	assert_contains(f->detail, "70%");
	assert_contains(f->detail, "400M /srv/big?.db");
	assert_string_equal(evidence(f, "mapping_1")->text, "400M /srv/big\n.db");
	assert_string_equal(advice(s, "not-malloc", false)->command, "pmap -x 4312");
	gs_snapshot_free(s);
}

static void half_is_not_most(void **state)
{
	struct gs_snapshot *s = content_process();

	not_malloc(s, 50 * PERCENT);
	assert_healthy(s);
}

static void tcache_hoard_names_the_worst_thread(void **state)
{
	struct gs_snapshot *s = content_process();

	hoard_tcache(s, 9 * PERCENT);
	s->arenas[1].n_threads = 3;
	s->arenas[1].threads = gs_xcalloc(3, sizeof(struct gs_attached));
	s->arenas[1].threads[0] = (struct gs_attached){ .tid = 71, .tcache_bytes = 4 * MIB };
	s->arenas[1].threads[1] = (struct gs_attached){ .tid = 72, .tcache_bytes = 5 * MIB };
	s->arenas[1].threads[2] = (struct gs_attached){ .tid = 73, .tcache_bytes = GS_UNKNOWN };
	gs_findings_fill(s);
	const struct gs_finding *f = find(s, "tcache-hoard");
	assert_contains(f->detail, "Thread 72 holds most, 5.00M");
	assert_contains(f->detail, "up to 7 of each size");
	assert_int_equal(evidence(f, "threads")->number, 2);
	gs_snapshot_free(s);
}

/* Residency, settings, machine, version, RSS: none of them known, nothing invented. */
static void everything_unknown(void **state)
{
	struct gs_snapshot *s = content_process(), *fresh = gs_snapshot_new();

	s->mallopt = fresh->mallopt;
	gs_snapshot_free(fresh);
	memset(&s->totals, 0xff, sizeof(s->totals));
	s->mmapped.resident_bytes = GS_UNKNOWN;
	s->target.rss_bytes = GS_UNKNOWN;
	s->target.machine = NULL;
	set_version(s, NULL);
	for (unsigned i = 0; i < N_ARENAS; i++) {
		struct gs_heap *heap = &s->arenas[i].heaps[0];

		memset(&s->arenas[i].account, 0xff, sizeof(struct gs_account));
		memset(&heap->account, 0xff, sizeof(struct gs_account));
		heap->idle = i & 1;
		heap->pin = (struct gs_pin){ .address = 1, .size = GS_UNKNOWN };
	}
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 0);
	gs_snapshot_free(s);
}

static void huge_numbers_do_not_wrap(void **state)
{
	struct gs_snapshot *s = content_process();

	for (unsigned i = 1; i < N_ARENAS; i++)
		s->arenas[i].heaps[0].account.stalled_top_bytes = UINT64_MAX - 1;
	gs_findings_fill(s);
	assert_true(find(s, "thread-top")->bytes == UINT64_MAX - 1);
	gs_snapshot_free(s);
}

static void cores_without_rss_use_what_is_mapped(void **state)
{
	struct gs_snapshot *s = content_process();

	s->target.rss_bytes = 0;
	s->totals.resident_bytes = GS_UNKNOWN;
	s->totals.mapped_bytes = 100 * PERCENT;
	make_idle(s, 25 * PERCENT);
	gs_findings_fill(s);
	assert_int_equal(find(s, "idle-heaps")->severity, GS_SEVERITY_HIGH);
	make_idle(s, 25 * PERCENT - 1);
	gs_findings_fill(s);
	assert_int_equal(find(s, "idle-heaps")->severity, GS_SEVERITY_MEDIUM);
	gs_snapshot_free(s);
}

/* Of a core nothing can be done any more, only better the next time; and it is not healthy. */
static void cores_have_no_advice_for_now(void **state)
{
	struct gs_snapshot *s = content_process();

	s->target.kind = GS_TARGET_CORE;
	s->target.rss_bytes = GS_UNKNOWN;
	gs_account_forget_residency(&s->totals);
	for (size_t i = 0; i < s->n_arenas; i++) {
		gs_account_forget_residency(&s->arenas[i].account);
		gs_account_forget_residency(&s->arenas[i].heaps[0].account);
	}
	s->mallopt.mmap_threshold = UINT64_C(32) << 20;
	s->mallopt.dynamic_threshold = true;
	gs_findings_fill(s);
	assert_int_equal(s->n_findings, 1);
	assert_string_equal(s->findings[0].id, "threshold-grown");
	assert_int_equal(s->findings[0].n_advice, 1);
	assert_true(s->findings[0].advice[0].fix);
	gs_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_is_healthy),
		cmocka_unit_test(empty_does_not_crash),
		cmocka_unit_test(each_rule_finds_its_case),
		cmocka_unit_test(severity_goes_by_share),
		cmocka_unit_test(small_amounts_are_left_out),
		cmocka_unit_test(low_findings_become_a_remark),
		cmocka_unit_test(healthy_is_not_claimed_blindly),
		cmocka_unit_test(free_memory_in_swap_is_mentioned),
		cmocka_unit_test(worst_comes_first),
		cmocka_unit_test(filling_again_replaces),
		cmocka_unit_test(pin_is_named),
		cmocka_unit_test(cached_pin_says_when_it_goes),
		cmocka_unit_test(owner_of_a_pin_is_made_printable),
		cmocka_unit_test(without_a_pin_in_the_last_segment_nothing_is_pinned),
		cmocka_unit_test(idle_heap_is_not_pinned_too),
		cmocka_unit_test(main_arena_has_no_idle_heaps_or_thread_top),
		cmocka_unit_test(several_arenas_have_no_index),
		cmocka_unit_test(two_free_arenas_are_no_spread),
		cmocka_unit_test(threshold_needs_to_have_grown),
		cmocka_unit_test(grown_threshold_without_bytes_stays),
		cmocka_unit_test(trim_is_disabled_by_what_exceeds_the_top),
		cmocka_unit_test(unread_settings_say_nothing),
		cmocka_unit_test(trim_disabled_on_32_bits),
		cmocka_unit_test(not_malloc_names_mappings),
		cmocka_unit_test(half_is_not_most),
		cmocka_unit_test(tcache_hoard_names_the_worst_thread),
		cmocka_unit_test(everything_unknown),
		cmocka_unit_test(huge_numbers_do_not_wrap),
		cmocka_unit_test(cores_without_rss_use_what_is_mapped),
		cmocka_unit_test(cores_have_no_advice_for_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
