/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads' blocks of thread-local storage, and what malloc keeps there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>

#include "heap/threads.h"
#include "heap/tls.h"
#include "libc_image.h"

enum { PAGE = GS_FAKE_PAGE, NOBODY = 0x7ffffff0 };

static void put(struct gs_fake *fake, gs_addr addr, uint64_t word)
{
	gs_fake_put(fake, gs_fake_layout("2.36 x86-64"), addr, word);
}

/* A TCB at tp whose dtv, at the same page's end, has one block. */
static void put_tcb(struct gs_fake *fake, gs_addr tp, gs_addr block)
{
	gs_addr dtv = (tp & ~(gs_addr)(PAGE - 1)) + PAGE - 64;

	put(fake, tp, tp);
	put(fake, tp + 8, dtv);
	put(fake, tp + 16, tp);
	put(fake, dtv - 16, 1);
	put(fake, dtv + 16, block);
}

/* --- a program without a robust list: the kernel knows no thread of that number --- */

static size_t lone_blocks(struct gs_fake *fake, struct gs_map *maps_data, size_t n_maps,
			  size_t n_threads)
{
	struct gs_thread threads_data[2] = { { .tid = NOBODY }, { .tid = NOBODY + 1 } };
	struct gs_threads threads = { threads_data, n_threads, n_threads };
	struct gs_maps maps = { maps_data, n_maps, n_maps, NULL };
	struct gs_tls_list list;

	gs_tls_list_read(&fake->mem, EM_X86_64, 8, &threads, &maps, &list);
	size_t n = list.len;
	if (n) {
		assert_int_equal(list.data[0].tid, NOBODY);
		assert_true(gs_tls_block(&list.data[0], 1) == 0x1234000);
		assert_true(gs_tls_block(&list.data[0], 0) == 0);
		assert_true(gs_tls_block(&list.data[0], 2) == 0);
	}
	gs_tls_list_fini(&list);
	return n;
}

#define RW (GS_PROT_R | GS_PROT_W)

static void the_only_tcb_is_found(void **state)
{
	struct gs_fake *fake = gs_fake_new();
	struct gs_map maps[] = {
		{ .start = 0x400000, .end = 0x400000 + 4 * PAGE, .prot = RW, .path = "[heap]" },
		{ .start = 0x7f0000, .end = 0x7f0000 + 4 * PAGE, .prot = RW, .path = "" },
	};

	gs_fake_add(fake, maps[0].start, 4 * PAGE);
	gs_fake_add(fake, maps[1].start, 4 * PAGE);
	assert_int_equal(lone_blocks(fake, maps, 2, 1), 0);
	put_tcb(fake, maps[1].start + PAGE + 0x740, 0x1234000);
	assert_int_equal(lone_blocks(fake, maps, 2, 1), 1);
	/* not where a file is mapped, nor among what only can be read */
	maps[1].ino = 1;
	assert_int_equal(lone_blocks(fake, maps, 2, 1), 0);
	maps[1].ino = 0;
	maps[1].prot = GS_PROT_R;
	assert_int_equal(lone_blocks(fake, maps, 2, 1), 0);
	maps[1].prot = RW;
	/* nor in a page that is not in memory: reading it would abort */
	gs_fake_set_pages(fake, maps[1].start + PAGE, maps[1].start + PAGE + 1, GS_PAGE_SWAPPED);
	assert_int_equal(lone_blocks(fake, maps, 2, 1), 0);
	gs_fake_set_pages(fake, maps[1].start + PAGE, maps[1].start + PAGE + 1, GS_PAGE_RESIDENT);
	/* with threads it is not asked for */
	assert_int_equal(lone_blocks(fake, maps, 2, 2), 0);
	gs_fake_free(fake);
}

static void of_two_tcbs_none_is_taken(void **state)
{
	struct gs_fake *fake = gs_fake_new();
	struct gs_map map = {
		.start = 0x7f0000, .end = 0x7f0000 + 4 * PAGE, .prot = RW, .path = "",
	};

	gs_fake_add(fake, map.start, 4 * PAGE);
	put_tcb(fake, map.start + 0x740, 0x1234000);
	put_tcb(fake, map.start + 2 * PAGE + 0x340, 0x1234000);
	assert_int_equal(lone_blocks(fake, &map, 1, 1), 0);
	gs_fake_free(fake);
}

/* Only the brk area is looked into if it is large, and only its start. */
static void large_mappings_are_left_alone(void **state)
{
	struct gs_fake *fake = gs_fake_new();
	struct gs_map map = {
		.start = 0x10000000, .end = 0x10000000 + 0x200000, .prot = RW, .path = "",
	};

	gs_fake_add(fake, map.start, 0x200000);
	put_tcb(fake, map.start + 0x740, 0x1234000);
	assert_int_equal(lone_blocks(fake, &map, 1, 1), 0);
	map.path = "[heap]";
	assert_int_equal(lone_blocks(fake, &map, 1, 1), 1);
	gs_fake_free(fake);
}

/* --- what malloc keeps in the blocks --- */

struct seen {
	struct gs_malloc m;
	struct gs_tls_list tls;
	gs_addr data[2];
	struct gs_addrs arenas;
	struct gs_thread_states states;
};

static void see(struct gs_libc_image *im, struct seen *ret)
{
	*ret = (struct seen){
		.m = {
			.layout = im->layout, .main_arena = im->main_arena,
			.tls_tcache = GS_LIBC_TLS_TCACHE, .tls_thread_arena = GS_LIBC_TLS_ARENA,
			.tls_block = GS_NO_TLS,
			.image_start = im->data, .image_end = im->data_end,
		},
		.data = { im->main_arena, im->thread_arena },
	};
	ret->arenas = (struct gs_addrs){ ret->data, 2, 2 };
	gs_tls_list_read(&im->fake->mem, EM_X86_64, 8, &im->threads, &im->maps, &ret->tls);
}

static void read_states(struct gs_libc_image *im, struct seen *seen)
{
	free(seen->states.data);
	gs_thread_states_read(&im->fake->mem, &seen->m, &seen->tls, &seen->arenas, &seen->states);
}

static void forget(struct seen *seen)
{
	free(seen->states.data);
	gs_tls_list_fini(&seen->tls);
}

static gs_addr libc_block(const struct seen *seen, size_t thread)
{
	return gs_tls_block(&seen->tls.data[thread], 2);
}

static void threads_name_their_arenas(void **state)
{
	struct gs_libc_image *im = gs_libc_image_new(gs_fake_layout("2.36 x86-64"), true);
	struct seen seen;

	see(im, &seen);
	read_states(im, &seen);
	assert_int_equal(seen.states.len, 2);
	assert_true(seen.states.data[0].arena == im->main_arena);
	assert_true(seen.states.data[1].arena == im->thread_arena);
	assert_true(seen.states.data[0].tcache && seen.states.data[1].tcache);
	/* the dummy of 2.43, which lies in libc, is no tcache */
	put(im->fake, libc_block(&seen, 1) + GS_LIBC_TLS_TCACHE, im->data + 64);
	read_states(im, &seen);
	assert_true(seen.states.data[1].tcache == 0);
	/* arenas of another libc */
	seen.data[0] = seen.data[1] = 0x1000;
	read_states(im, &seen);
	assert_int_equal(seen.states.len, 0);
	forget(&seen);
	gs_libc_image_free(im);
}

/* The dtv does not have the block of a libc that dlmopen() loaded; its distance is known. */
static void a_block_is_found_by_its_distance(void **state)
{
	struct gs_libc_image *im = gs_libc_image_new(gs_fake_layout("2.36 x86-64"), true);
	struct seen seen;

	see(im, &seen);
	uint64_t distance = libc_block(&seen, 0) - seen.tls.data[0].tp;
	for (size_t i = 0; i < 2; i++)
		seen.tls.data[i].n = 1;
	read_states(im, &seen);
	assert_int_equal(seen.states.len, 0);
	seen.m.tls_block = distance;
	read_states(im, &seen);
	assert_int_equal(seen.states.len, 2);
	assert_true(seen.states.data[1].arena == im->thread_arena);
	seen.m.tls_block = distance + 8;
	read_states(im, &seen);
	assert_int_equal(seen.states.len, 0);
	forget(&seen);
	gs_libc_image_free(im);
}

static bool blocks_agree(struct gs_libc_image *im, const struct seen *seen)
{
	return gs_thread_blocks_agree(&im->fake->mem, &seen->m, &seen->tls, &seen->arenas);
}

static void both_ways_to_a_block_are_compared(void **state)
{
	struct gs_libc_image *im = gs_libc_image_new(gs_fake_layout("2.36 x86-64"), true);
	struct seen seen;

	see(im, &seen);
	assert_false(blocks_agree(im, &seen));
	seen.m.tls_block = libc_block(&seen, 0) - seen.tls.data[0].tp;
	assert_true(blocks_agree(im, &seen));
	seen.tls.data[1].tp += 16;
	assert_false(blocks_agree(im, &seen));
	seen.tls.data[1].tp -= 16;
	seen.m.tls_thread_arena = GS_NO_TLS;
	assert_false(blocks_agree(im, &seen));
	forget(&seen);
	gs_libc_image_free(im);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_only_tcb_is_found),
		cmocka_unit_test(of_two_tcbs_none_is_taken),
		cmocka_unit_test(large_mappings_are_left_alone),
		cmocka_unit_test(threads_name_their_arenas),
		cmocka_unit_test(a_block_is_found_by_its_distance),
		cmocka_unit_test(both_ways_to_a_block_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
