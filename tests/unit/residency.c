/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which pages are in memory: what is asked of a memory, kept, and summed up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_fill.h"
#include "proc/presence.h"
#include "proc/residency.h"

#define BASE UINT64_C(0x7f1000000000)
#define PAGE ((uint64_t)GS_FAKE_PAGE)

enum { PAGES = 9000 };	/* more than are asked for at once, twice */

static struct gs_fake *new_fake(uint64_t seed)
{
	struct gs_fake *fake = gs_fake_new();

	gs_fake_add(fake, BASE, PAGES * PAGE);
	for (unsigned i = 0; i < PAGES; i++) {
		gs_addr page = BASE + i * PAGE;
		if (gs_fake_random(&seed) % 3 == 0)
			gs_fake_set_pages(fake, page, page + 1, gs_fake_random(&seed) % 4);
	}
	return fake;
}

static uint64_t count(const struct gs_fake *fake, gs_addr from, gs_addr to, enum gs_page state)
{
	uint64_t bytes = 0;

	for (gs_addr at = from; at < to;) {
		gs_addr next = at / PAGE * PAGE + PAGE < to ? at / PAGE * PAGE + PAGE : to;
		bytes += gs_fake_page(fake, at) == state ? next - at : 0;
		at = next;
	}
	return bytes;
}

static void bytes_are_exact(void **state)
{
	struct gs_fake *fake = new_fake(31);
	struct gs_residency r = {};
	uint64_t seed = 32, resident, swapped;

	gs_residency_begin(&r, &fake->mem, BASE, BASE + PAGES * PAGE);
	for (unsigned i = 0; i < 3000; i++) {
		static const uint64_t edges[] = { 0, 1, 2047, 4095 };
		uint64_t reach = i % 2 ? 200 * PAGE : PAGES * PAGE;
		gs_addr from = BASE + gs_fake_random(&seed) % PAGES * PAGE + edges[i / 2 % 4];
		gs_addr to = from + gs_fake_random(&seed) % reach;
		if (i % 5 == 0)
			to = to / PAGE * PAGE + edges[i / 5 % 4];
		if (to > BASE + PAGES * PAGE)
			to = BASE + PAGES * PAGE;
		gs_residency_bytes(&r, from, to, &resident, &swapped);
		assert_true(resident == (to > from ? count(fake, from, to, GS_PAGE_RESIDENT) : 0));
		assert_true(swapped == (to > from ? count(fake, from, to, GS_PAGE_SWAPPED) : 0));
	}
	/* Each page was asked for once; what lies outside does not count. */
	assert_int_equal(fake->asked, PAGES);
	gs_residency_bytes(&r, BASE - 1, BASE, &resident, &swapped);
	assert_int_equal(resident + swapped, 0);
	gs_residency_bytes(&r, 0, UINT64_MAX, &resident, &swapped);
	assert_true(resident == count(fake, BASE, BASE + PAGES * PAGE, GS_PAGE_RESIDENT));
	gs_residency_fini(&r);
	gs_fake_free(fake);
}

static void states_and_runs(void **state)
{
	struct gs_fake *fake = new_fake(33);
	struct gs_residency r = {};
	gs_addr from, to, at = BASE + 7, end = BASE + 5000 * PAGE + 9;

	gs_residency_begin(&r, &fake->mem, BASE, end);
	while (gs_residency_run(&r, at, end, &from, &to)) {
		assert_true(from >= at && from < to && to <= end);
		for (; at < from; at = at / PAGE * PAGE + PAGE)
			assert_true(gs_fake_page(fake, at) == GS_PAGE_NONE ||
				    gs_fake_page(fake, at) == GS_PAGE_SWAPPED);
		for (at = from; at < to; at = at / PAGE * PAGE + PAGE)
			assert_true(gs_fake_page(fake, at) == GS_PAGE_RESIDENT ||
				    gs_fake_page(fake, at) == GS_PAGE_ZERO);
		at = to;
	}
	for (; at < end; at = at / PAGE * PAGE + PAGE)
		assert_true(gs_fake_page(fake, at) != GS_PAGE_RESIDENT);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(gs_residency_state(&r, BASE + i * PAGE + i % PAGE),
				 gs_fake_page(fake, BASE + i * PAGE));
	assert_false(gs_residency_run(&r, BASE + 5001 * PAGE, BASE + 5002 * PAGE, &from, &to));
	assert_false(gs_residency_run(&r, BASE + PAGE, BASE + PAGE, &from, &to));
	gs_residency_fini(&r);
	gs_fake_free(fake);
}

/* What is known stays so until it is forgotten; the end moves both ways. */
static void forgetting_and_moving(void **state)
{
	struct gs_fake *fake = gs_fake_new();
	struct gs_residency r = {};
	uint64_t resident, swapped;

	gs_fake_add(fake, BASE, 100 * PAGE);
	gs_residency_begin(&r, &fake->mem, BASE + 100, BASE + 10 * PAGE - 100);
	assert_int_equal(gs_residency_state(&r, BASE + 5 * PAGE), GS_PAGE_RESIDENT);
	gs_fake_set_pages(fake, BASE + 5 * PAGE, BASE + 6 * PAGE, GS_PAGE_SWAPPED);
	assert_int_equal(gs_residency_state(&r, BASE + 5 * PAGE), GS_PAGE_RESIDENT);
	gs_residency_forget(&r, BASE + 6 * PAGE);
	assert_int_equal(gs_residency_state(&r, BASE + 5 * PAGE), GS_PAGE_RESIDENT);
	gs_residency_forget(&r, BASE + 5 * PAGE + 1234);
	assert_int_equal(gs_residency_state(&r, BASE + 5 * PAGE), GS_PAGE_SWAPPED);
	gs_residency_set_end(&r, BASE + 80 * PAGE);
	gs_residency_bytes(&r, BASE, BASE + 80 * PAGE, &resident, &swapped);
	assert_int_equal(resident, 79 * PAGE);
	assert_int_equal(swapped, PAGE);
	gs_fake_set_pages(fake, BASE + 60 * PAGE, BASE + 61 * PAGE, GS_PAGE_NONE);
	gs_residency_set_end(&r, BASE + 50 * PAGE);
	gs_residency_set_end(&r, BASE + 70 * PAGE);
	gs_residency_bytes(&r, BASE, UINT64_MAX, &resident, &swapped);
	assert_int_equal(resident, 68 * PAGE);
	gs_residency_set_end(&r, BASE - PAGE);
	gs_residency_bytes(&r, 0, UINT64_MAX, &resident, &swapped);
	assert_int_equal(resident, 0);
	/* The memory of it is used again, whatever it held. */
	gs_residency_begin(&r, &fake->mem, BASE + 60 * PAGE, BASE + 62 * PAGE);
	gs_residency_bytes(&r, 0, UINT64_MAX, &resident, &swapped);
	assert_int_equal(resident, PAGE);
	gs_residency_fini(&r);
	gs_fake_free(fake);
}

static struct gs_err *refuse(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	memset(ret, GS_PAGE_RESIDENT, n);
	return gs_err_fault(addr, "no");
}

/* What the kernel does not tell is not in memory. */
static void refusals(void **state)
{
	static const struct gs_mem_ops ops = { .pages = refuse };
	struct gs_mem mem = { .ops = &ops, .page_size = GS_FAKE_PAGE };
	struct gs_presence *presence = gs_presence_new(&mem);
	struct gs_residency r = {};
	gs_addr from, to;
	char byte;

	gs_residency_begin(&r, &mem, BASE, BASE + 10 * PAGE);
	assert_int_equal(gs_residency_state(&r, BASE), GS_PAGE_NONE);
	assert_false(gs_residency_run(&r, BASE, BASE + 10 * PAGE, &from, &to));
	assert_false(gs_presence_has(presence, BASE, 1));
	assert_false(gs_mem_try(&mem, BASE, &byte, 1));
	gs_presence_free(presence);
	gs_residency_fini(&r);
}

/* --- presence --- */

static void presence_is_exact(void **state)
{
	struct gs_fake *fake = new_fake(35);
	struct gs_presence *presence = gs_presence_new(&fake->mem);
	uint64_t seed = 36;

	for (unsigned i = 0; i < 20000; i++) {
		size_t len = gs_fake_random(&seed) % (i % 3 ? 32 : 3 * PAGE);
		gs_addr addr = BASE - PAGE + gs_fake_random(&seed) % ((PAGES + 2) * PAGE);
		bool ok = true;
		for (gs_addr at = addr / PAGE * PAGE; at < addr + len; at += PAGE)
			ok &= gs_fake_page(fake, at) == GS_PAGE_RESIDENT ||
			      gs_fake_page(fake, at) == GS_PAGE_ZERO;
		assert_int_equal(gs_presence_has(presence, addr, len), ok);
	}
	/* Blocks of pages are asked for, and remembered. */
	assert_true(fake->asked <= 8 * GS_PRESENCE_PAGES);
	gs_presence_free(presence);
	gs_fake_free(fake);
}

/* Blocks that share a place in the cache. */
static void presence_of_blocks_far_apart(void **state)
{
	const uint64_t stride = (uint64_t)GS_PRESENCE_PAGES * GS_PRESENCE_BLOCKS * PAGE;
	struct gs_fake *fake = gs_fake_new();
	struct gs_presence *presence = gs_presence_new(&fake->mem);

	for (unsigned i = 0; i < 4; i++) {
		gs_fake_add(fake, BASE + i * stride, PAGE);
		if (i % 2)
			gs_fake_set_pages(fake, BASE + i * stride, BASE + i * stride + 1,
					  GS_PAGE_SWAPPED);
	}
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(gs_presence_has(presence, BASE + i % 4 * stride, 8), i % 2 == 0);
	assert_false(gs_presence_has(presence, UINT64_MAX, 1));
	assert_false(gs_presence_has(presence, UINT64_MAX - 7, 16));
	assert_false(gs_presence_has(presence, UINT64_MAX - 15, 8));
	assert_false(gs_presence_has(presence, 0, 8));
	gs_presence_free(presence);
	gs_fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_exact),
		cmocka_unit_test(states_and_runs),
		cmocka_unit_test(forgetting_and_moving),
		cmocka_unit_test(refusals),
		cmocka_unit_test(presence_is_exact),
		cmocka_unit_test(presence_of_blocks_far_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
