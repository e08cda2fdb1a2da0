/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/metrics.h"

#define N_FIELDS (sizeof(struct gs_account) / sizeof(uint64_t))

/* All members of the account are uint64_t: fill them as if it were an array. */
union fields {
	struct gs_account account;
	uint64_t field[N_FIELDS];
};

/* Every equation of the account holds: 1000 = 500 + 60 + 40 + 30 + 270 + 100. */
static struct gs_account consistent(void)
{
	return (struct gs_account){
		.mapped_bytes = 1000, .resident_bytes = 900, .swapped_bytes = 40,
		.live_bytes = 500, .live_chunks = 5, .overhead_bytes = 60,
		.tcache_bytes = 40, .tcache_chunks = 2,
		.fastbin_bytes = 30, .fastbin_chunks = 1,
		.bin_bytes = 270, .bin_chunks = 3, .top_bytes = 100,
		.stalled_bytes = 380, .stalled_swapped_bytes = 20, .returned_bytes = 40,
		.reclaimable_bytes = 300, .unsettled_bytes = 7,
		.stalled_tcache_bytes = 40, .stalled_fastbin_bytes = 30,
		.stalled_bin_bytes = 230, .stalled_top_bytes = 80,
		.reclaimable_bin_bytes = 220, .reclaimable_top_bytes = 80,
	};
}

static void add_sums_every_field(void **state)
{
	union fields a, b;

	for (size_t i = 0; i < N_FIELDS; i++) {
		a.field[i] = 1000 + i;
		b.field[i] = 7 * i;
	}
	gs_account_add(&a.account, &b.account);
	for (size_t i = 0; i < N_FIELDS; i++) {
		assert_int_equal(a.field[i], 1000 + 8 * i);
		assert_int_equal(b.field[i], 7 * i);
	}
}

static void add_keeps_unknown(void **state)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		union fields known = {}, unknown = {};

		unknown.field[i] = GS_UNKNOWN;
		known.field[i] = 5;
		union fields a = known;
		gs_account_add(&a.account, &unknown.account);
		assert_true(a.field[i] == GS_UNKNOWN);
		assert_int_equal(a.field[(i + 1) % N_FIELDS], 0);
		a = unknown;
		gs_account_add(&a.account, &known.account);
		assert_true(a.field[i] == GS_UNKNOWN);
	}
}

static void add_does_not_wrap(void **state)
{
	struct gs_account a = { .live_bytes = UINT64_MAX - 3 };
	struct gs_account b = { .live_bytes = 100 };

	gs_account_add(&a, &b);
	assert_true(a.live_bytes == GS_UNKNOWN);
}

static void cached_and_free(void **state)
{
	struct gs_account a = consistent();

	assert_int_equal(gs_account_cached(&a), 70);
	assert_int_equal(gs_account_free(&a), 440);
	a.fastbin_bytes = GS_UNKNOWN;
	assert_true(gs_account_cached(&a) == GS_UNKNOWN);
	assert_true(gs_account_free(&a) == GS_UNKNOWN);
}

static void adds_up_when_it_does(void **state)
{
	struct gs_account a = consistent();
	struct gs_account empty = {};

	assert_true(gs_account_adds_up(&a));
	assert_true(gs_account_adds_up(&empty));
}

/* One byte too many in any part of any equation is noticed. */
static void adds_up_notices_each_part(void **state)
{
	static const size_t parts[] = {
		offsetof(struct gs_account, mapped_bytes),
		offsetof(struct gs_account, live_bytes),
		offsetof(struct gs_account, overhead_bytes),
		offsetof(struct gs_account, tcache_bytes),
		offsetof(struct gs_account, fastbin_bytes),
		offsetof(struct gs_account, bin_bytes),
		offsetof(struct gs_account, top_bytes),
		offsetof(struct gs_account, stalled_bytes),
		offsetof(struct gs_account, stalled_swapped_bytes),
		offsetof(struct gs_account, returned_bytes),
		offsetof(struct gs_account, stalled_tcache_bytes),
		offsetof(struct gs_account, stalled_fastbin_bytes),
		offsetof(struct gs_account, stalled_bin_bytes),
		offsetof(struct gs_account, stalled_top_bytes),
		offsetof(struct gs_account, reclaimable_bytes),
		offsetof(struct gs_account, reclaimable_bin_bytes),
		offsetof(struct gs_account, reclaimable_top_bytes),
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		union fields f = { .account = consistent() };

		f.field[parts[i] / sizeof(uint64_t)]++;
		assert_false(gs_account_adds_up(&f.account));
	}
}

static void adds_up_without_residency(void **state)
{
	struct gs_account a = consistent();

	a.resident_bytes = a.swapped_bytes = GS_UNKNOWN;
	a.stalled_bytes = a.stalled_swapped_bytes = a.returned_bytes = GS_UNKNOWN;
	a.reclaimable_bytes = a.reclaimable_bin_bytes = GS_UNKNOWN;
	a.stalled_tcache_bytes = a.stalled_bin_bytes = GS_UNKNOWN;
	assert_true(gs_account_adds_up(&a));
	a.top_bytes++;
	assert_false(gs_account_adds_up(&a));
}

static void not_malloc_is_the_rest(void **state)
{
	struct gs_snapshot s = {};

	s.target.rss_bytes = 1000;
	s.totals.resident_bytes = 300;
	s.mmapped.bytes = 400;
	s.mmapped.resident_bytes = 200;
	assert_int_equal(gs_snapshot_not_malloc(&s), 500);
	s.mmapped.resident_bytes = GS_UNKNOWN;
	assert_int_equal(gs_snapshot_not_malloc(&s), 300);
	s.totals.resident_bytes = 5000;
	assert_int_equal(gs_snapshot_not_malloc(&s), 0);
	s.totals.resident_bytes = GS_UNKNOWN;
	assert_true(gs_snapshot_not_malloc(&s) == GS_UNKNOWN);
	s.totals.resident_bytes = 0;
	s.target.rss_bytes = GS_UNKNOWN;
	assert_true(gs_snapshot_not_malloc(&s) == GS_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_sums_every_field),
		cmocka_unit_test(add_keeps_unknown),
		cmocka_unit_test(add_does_not_wrap),
		cmocka_unit_test(cached_and_free),
		cmocka_unit_test(adds_up_when_it_does),
		cmocka_unit_test(adds_up_notices_each_part),
		cmocka_unit_test(adds_up_without_residency),
		cmocka_unit_test(not_malloc_is_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
