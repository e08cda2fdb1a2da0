/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Members of long fastbins told by their links: exactly the list, or no agreement. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "heap/fastlinks.h"

enum { CHUNKS = 2000, SIZE = 64 };
#define HEAP UINT64_C(0x7f1234000000)

static const struct gs_layout layout = {
	.word = 8, .align = 16, .min_size = 32, .safe_linking = true,
	.arena = { .n_fastbins = 10 },
};

static gs_addr chunk_at(unsigned i)
{
	return HEAP + 0x1000 + i * 3 * SIZE;
}

/* The first user word of chunk i: it links to chunk next, or ends the list. */
static uint64_t link_word(unsigned i, unsigned next)
{
	gs_addr link = next < CHUNKS ? chunk_at(next) : 0;

	return (chunk_at(i) + 16) >> 12 ^ link;
}

/* Chunk i links to a far one, so that the list jumps about; every chunk is in it once. */
static unsigned successor(unsigned i)
{
	unsigned next = (i + 611) % CHUNKS;	/* 611 and 2000 have no common divisor */

	return next ? next : CHUNKS;
}

static void begin(struct gs_fastlinks *links)
{
	struct gs_arena_state arena = {};

	arena.fastbins[SIZE / 16 - 2] = chunk_at(0);
	gs_fastlinks_begin(links, &layout, &arena, HEAP, HEAP + (UINT64_C(64) << 20));
}

static bool take(struct gs_fastlinks *links, unsigned i)
{
	return gs_fastlinks_take(links, &layout, chunk_at(i), SIZE, link_word(i, successor(i)));
}

static void the_whole_list_agrees(void **state)
{
	struct gs_fastlinks links;

	begin(&links);
	for (unsigned i = 0; i < CHUNKS; i++)
		assert_true(take(&links, i));
	assert_true(gs_fastlinks_agree(&links));
}

static void one_missing_disagrees(void **state)
{
	for (unsigned missing = 0; missing < CHUNKS; missing += 37) {
		struct gs_fastlinks links;

		begin(&links);
		for (unsigned i = 0; i < CHUNKS; i++) {
			if (i != missing)
				take(&links, i);
		}
		assert_false(gs_fastlinks_agree(&links));
	}
}

/* A chunk in use whose first word happens to read as a link, or as the end of a list. */
static void one_too_many_disagrees(void **state)
{
	static const unsigned targets[] = { 7, 100, CHUNKS };

	for (size_t k = 0; k < sizeof(targets) / sizeof(targets[0]); k++) {
		gs_addr stray = HEAP + 0x900000;
		gs_addr link = targets[k] < CHUNKS ? chunk_at(targets[k]) : 0;
		struct gs_fastlinks links;

		begin(&links);
		for (unsigned i = 0; i < CHUNKS; i++)
			take(&links, i);
		assert_true(gs_fastlinks_take(&links, &layout, stray, SIZE,
					      (stray + 16) >> 12 ^ link));
		assert_false(gs_fastlinks_agree(&links));
	}
}

static void what_is_no_link_is_not_taken(void **state)
{
	struct gs_fastlinks links;
	gs_addr chunk = chunk_at(5);
	const uint64_t mask = (chunk + 16) >> 12;

	begin(&links);
	/* another size, an empty bin, outside the arena, not aligned, plain user data */
	assert_false(gs_fastlinks_take(&links, &layout, chunk, 2 * SIZE, link_word(5, 6)));
	assert_false(gs_fastlinks_take(&links, &layout, chunk, SIZE - 16, link_word(5, 6)));
	assert_false(gs_fastlinks_take(&links, &layout, chunk, SIZE, mask ^ (HEAP - 64)));
	assert_false(gs_fastlinks_take(&links, &layout, chunk, SIZE, mask ^ (chunk_at(6) + 8)));
	assert_false(gs_fastlinks_take(&links, &layout, chunk, SIZE, 42));
	assert_false(gs_fastlinks_take(&links, &layout, chunk, SIZE, chunk_at(6)));
	assert_false(gs_fastlinks_agree(&links));
}

static void empty_bins_agree(void **state)
{
	struct gs_arena_state arena = {};
	struct gs_fastlinks links;

	gs_fastlinks_begin(&links, &layout, &arena, HEAP, HEAP + 4096);
	assert_false(gs_fastlinks_take(&links, &layout, chunk_at(0), 32, link_word(0, 1)));
	assert_true(gs_fastlinks_agree(&links));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_list_agrees),
		cmocka_unit_test(one_missing_disagrees),
		cmocka_unit_test(one_too_many_disagrees),
		cmocka_unit_test(what_is_no_link_is_not_taken),
		cmocka_unit_test(empty_bins_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
