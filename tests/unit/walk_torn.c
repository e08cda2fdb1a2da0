/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks of heaps that change while they are read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "heap_fill.h"

#define HEAP UINT64_C(0x7f2a40000000)
#define JUNK UINT64_C(0xdeadbeefdeadbeef)

enum { CHUNK = 128, CHUNKS = 2000, PAGES = 96 };

/* A heap of equal live chunks and what happens to it: see the hooks. */
struct torn {
	struct gs_fake *fake;
	const struct gs_layout *layout;
	struct gs_fake_heap heap;
	gs_addr chunks[CHUNKS];
	struct gs_extent now;		/* what a refresh finds */
	bool gone;
	unsigned refreshed;
	unsigned when;			/* reads until something happens */
	gs_addr at;			/* where */
	gs_addr to;
	uint64_t seed;
	struct gs_walk_options options;
};

static bool refresh(void *context, struct gs_extent *extent)
{
	struct torn *t = context;

	t->refreshed++;
	if (t->gone)
		return false;
	extent->end = t->now.end;
	extent->top = t->now.top;
	return true;
}

static void begin(struct torn *t, const char *layout, size_t pages)
{
	*t = (struct torn){ .fake = gs_fake_new(), .layout = gs_fake_layout(layout), .seed = 1 };
	gs_fake_heap_init(&t->heap, t->fake, t->layout, HEAP, pages * GS_FAKE_PAGE,
			  HEAP + t->layout->heap.sizeof_, 0);
	for (unsigned i = 0; i < CHUNKS; i++)
		t->chunks[i] = gs_fake_chunk(&t->heap, CHUNK, GS_FAKE_LIVE);
	t->fake->context = t;
	t->options = (struct gs_walk_options){ .live = true, .refresh = refresh, .context = t };
}

static void end(struct torn *t)
{
	gs_fake_heap_fini(&t->heap);
	gs_fake_free(t->fake);
}

static void walk(struct torn *t, struct gs_fake_seen *seen)
{
	struct gs_extent extent = gs_fake_extent(&t->heap);

	t->now = t->now.end ? t->now : extent;
	gs_fake_walk(t->fake, t->layout, &extent, &t->options, seen);
	assert_true(gs_fake_tiles(seen, HEAP));
	assert_true(gs_fake_sum(seen, GS_KIND_UNSETTLED) == seen->result.unsettled_bytes);
}

static void assert_settled(const struct gs_fake_seen *seen, enum gs_walk_end how)
{
	assert_int_equal(seen->result.how, how);
	assert_int_equal(seen->result.unsettled_bytes, 0);
	assert_true(seen->result.passes > 1);
}

/* The size word at chunk is rubbish until that many reads have been made. */
static void heal_later(struct gs_fake *fake)
{
	struct torn *t = fake->context;

	fake->step++;
	gs_fake_put(fake, t->layout, t->at + t->layout->word,
		    fake->step <= t->when ? JUNK : CHUNK | GS_PREV_INUSE | GS_NON_MAIN_ARENA);
}

static void a_bad_header_that_heals(void **state)
{
	static const unsigned reads[] = { 1, 2, 3, 10, 30 };
	static const unsigned victims[] = { 0, 1, 500, 1200, CHUNKS - 1 };

	for (unsigned i = 0; i < 25; i++) {
		struct torn t;
		struct gs_fake_seen seen;

		begin(&t, "2.36 x86-64", 64);
		gs_fake_top(&t.heap);
		t.at = t.chunks[victims[i % 5]];
		t.when = reads[i / 5];
		/* Bad from the first read of its page on. */
		gs_fake_put(t.fake, t.layout, t.at + 8, JUNK);
		t.when += (unsigned)(4 * ((t.at - HEAP) / (64 << 10)));
		t.fake->before_read = heal_later;
		walk(&t, &seen);
		assert_int_equal(seen.result.how, GS_WALK_TOP);
		assert_int_equal(seen.result.unsettled_bytes, 0);
		if (victims[i % 5] < 2)
			assert_true(seen.result.passes > 1);
		assert_true(gs_fake_is_truth(&seen, &t.heap));
		gs_fake_seen_fini(&seen);
		end(&t);
	}
}

/* When the time has come chunk at takes over all up to to; what was there is user data now. */
static void absorb(struct gs_fake *fake)
{
	struct torn *t = fake->context;

	if (++fake->step != t->when)
		return;
	for (gs_addr at = t->at + 16; at < t->to; at += 8)
		gs_fake_put(fake, t->layout, at, JUNK);
	gs_fake_put(fake, t->layout, t->at + 8,
		    (t->to - t->at) | GS_PREV_INUSE | GS_NON_MAIN_ARENA);
}

/* First chunk at or behind a page of the heap. */
static gs_addr first_on_page(const struct torn *t, unsigned page)
{
	for (unsigned i = 0; i < CHUNKS; i++)
		if (t->chunks[i] >= HEAP + page * GS_FAKE_PAGE)
			return t->chunks[i];
	abort();
}

/*
 * Windows are 1, 4, 16 … pages from the heap's start: 0, 1 to 4, 5 to 20, 21 on. The boundary that
 * the walk has come to is gone, with all that led there: it has to go back far enough.
 */
static void absorbed_boundaries(void **state)
{
	static const struct { unsigned when, from_page, to_page; } cases[] = {
		{ 2, 0, 3 }, { 2, 0, 40 }, { 3, 1, 6 }, { 3, 4, 30 }, { 4, 3, 30 }, { 4, 0, 60 },
		{ 4, 12, 22 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct torn t;
		struct gs_fake_seen seen;

		begin(&t, "2.36 x86-64", 64);
		gs_fake_top(&t.heap);
		t.when = cases[i].when;
		t.at = first_on_page(&t, cases[i].from_page);
		t.to = first_on_page(&t, cases[i].to_page);
		t.fake->before_read = absorb;
		walk(&t, &seen);
		assert_settled(&seen, GS_WALK_TOP);
		/* Told once, as it is now. */
		uint64_t absorbed = (t.to - t.at) / CHUNK - 1;
		assert_int_equal(seen.len, 1 + CHUNKS - absorbed + 1);
		assert_true(gs_fake_sum(&seen, GS_KIND_INUSE) == (uint64_t)CHUNKS * CHUNK);
		gs_fake_seen_fini(&seen);
		end(&t);
	}
}

/*
 * So many bytes around the place where the walk is that no checkpoint but the heap's start is
 * left below it.
 */
static void a_huge_absorbed_stretch(void **state)
{
	struct torn t;
	struct gs_fake_seen seen;

	begin(&t, "2.36 x86-64", 8192);
	t.at = gs_fake_chunk(&t.heap, 4096, GS_FAKE_LIVE);
	while (gs_fake_room(&t.heap) > 2 * GS_FAKE_PAGE)
		t.to = gs_fake_chunk(&t.heap, 4096, GS_FAKE_LIVE);
	gs_fake_top(&t.heap);
	t.when = 100;	/* some 24 MiB on */
	t.fake->before_read = absorb;
	walk(&t, &seen);
	assert_settled(&seen, GS_WALK_TOP);
	assert_int_equal(seen.len, 1 + CHUNKS + 2 + 1);
	gs_fake_seen_fini(&seen);
	end(&t);
}

/* As a running malloc does: chunks grow over their neighbours, and are cut in two. */
static void churn(struct gs_fake *fake)
{
	struct torn *t = fake->context;
	const uint64_t flags = GS_PREV_INUSE | GS_NON_MAIN_ARENA;

	if (++fake->step > 60)
		return;
	for (unsigned n = 0; n < 40; n++) {
		gs_addr at = t->chunks[gs_fake_random(&t->seed) % (CHUNKS - 2)];
		uint64_t size = gs_fake_get(fake, t->layout, at + 8) & ~UINT64_C(7);
		if (size == CHUNK * 2) {
			gs_fake_put(fake, t->layout, at + 8, CHUNK | flags);
			gs_fake_put(fake, t->layout, at + CHUNK + 8, CHUNK | flags);
		} else if (size == CHUNK) {
			uint64_t next = gs_fake_get(fake, t->layout, at + CHUNK + 8);
			if (next != (CHUNK | flags))
				continue;
			gs_fake_put(fake, t->layout, at + 8, CHUNK * 2 | flags);
			gs_fake_put(fake, t->layout, at + CHUNK + 8, JUNK & ~UINT64_C(0xff));
		}
	}
}

static void a_busy_heap_settles(void **state)
{
	unsigned torn = 0;

	for (unsigned i = 1; i <= 40; i++) {
		struct torn t;
		struct gs_fake_seen seen;

		begin(&t, "2.36 x86-64", 64);
		gs_fake_top(&t.heap);
		t.seed = i;
		t.fake->before_read = churn;
		walk(&t, &seen);
		assert_int_equal(seen.result.how, GS_WALK_TOP);
		assert_int_equal(seen.result.unsettled_bytes, 0);
		assert_true(gs_fake_sum(&seen, GS_KIND_INUSE) == (uint64_t)CHUNKS * CHUNK);
		torn += seen.result.passes > 1;
		gs_fake_seen_fini(&seen);
		end(&t);
	}
	assert_true(torn > 0);
}

/* --- the end moves --- */

/* Between the first and the second read malloc takes from top, and grows or trims the heap. */
static void move_top(struct gs_fake *fake)
{
	struct torn *t = fake->context;

	if (++fake->step != 2)
		return;
	struct gs_fake_heap *h = &t->heap;
	h->truth.len--;
	h->at = h->top;
	h->end = t->to;
	gs_fake_chunk(h, 4096, GS_FAKE_LIVE);
	gs_fake_chunk(h, 64, GS_FAKE_BINNED);
	gs_fake_chunk(h, 64, GS_FAKE_LIVE);
	gs_fake_top(h);
	t->now = gs_fake_extent(h);
}

static void top_and_end_that_move(void **state)
{
	static const int pages[] = { 0, 1, 20, -1, -20 };

	for (unsigned i = 0; i < 5; i++) {
		struct torn t;
		struct gs_fake_seen seen;

		begin(&t, "2.36 x86-64", PAGES);
		gs_fake_add(t.fake, t.heap.end, 32 * GS_FAKE_PAGE);
		gs_fake_top(&t.heap);
		t.to = t.heap.end + (gs_addr)pages[i] * GS_FAKE_PAGE;
		t.fake->before_read = move_top;
		walk(&t, &seen);
		assert_settled(&seen, GS_WALK_TOP);
		assert_true(seen.result.end == t.to);
		assert_true(gs_fake_is_truth(&seen, &t.heap));
		gs_fake_seen_fini(&seen);
		end(&t);
	}
}

/* The last heap of its arena ceases to be that: its top is closed by fenceposts. */
static void close_heap(struct gs_fake *fake)
{
	struct torn *t = fake->context;

	if (++fake->step != 2)
		return;
	struct gs_fake_heap *h = &t->heap;
	h->truth.len--;
	h->at = h->top;
	h->top = 0;
	gs_fake_chunk(h, gs_fake_room(h), GS_FAKE_BINNED);
	gs_fake_fence(h);
	t->now = gs_fake_extent(h);
}

static void a_heap_that_is_closed_meanwhile(void **state)
{
	struct torn t;
	struct gs_fake_seen seen;

	begin(&t, "2.36 x86-64", PAGES);
	gs_fake_top(&t.heap);
	t.fake->before_read = close_heap;
	walk(&t, &seen);
	assert_settled(&seen, GS_WALK_FENCE);
	assert_true(gs_fake_is_truth(&seen, &t.heap));
	gs_fake_seen_fini(&seen);
	end(&t);
}

static void a_heap_that_vanishes(void **state)
{
	struct torn t;
	struct gs_fake_seen seen;
	struct gs_extent extent;

	begin(&t, "2.36 x86-64", 64);
	gs_fake_top(&t.heap);
	t.gone = true;
	gs_fake_put(t.fake, t.layout, t.chunks[700] + 8, JUNK);
	extent = gs_fake_extent(&t.heap);
	gs_fake_walk(t.fake, t.layout, &extent, &t.options, &seen);
	assert_int_equal(seen.result.how, GS_WALK_GONE);
	assert_int_equal(t.refreshed, 1);
	gs_fake_seen_fini(&seen);
	end(&t);
}

/* From some read on the heap ends far below what was told of it, and cannot be walked. */
static void shrink(struct gs_fake *fake)
{
	struct torn *t = fake->context;

	if (++fake->step == t->when)
		t->now = (struct gs_extent){ .end = HEAP + 8 * GS_FAKE_PAGE };
}

/*
 * Up to a page in swap all is told; behind it the walk goes on from a known chunk, and then the
 * heap shrinks below that. What was told still has to be what the heap's size says.
 */
static void a_heap_that_shrinks_below_what_was_told(void **state)
{
	for (unsigned when = 1; when < 12; when++) {
		struct torn t;
		struct gs_fake_seen seen;

		begin(&t, "2.36 x86-64", 64);
		gs_fake_top(&t.heap);
		gs_fake_set_pages(t.fake, HEAP + 5 * GS_FAKE_PAGE, HEAP + 6 * GS_FAKE_PAGE,
				  GS_PAGE_SWAPPED);
		struct gs_cached cached = { t.chunks[1000], CHUNK, 1 };
		struct gs_cached_list known = { &cached, 1, 1 };
		t.options.known[0] = &known;
		gs_fake_put(t.fake, t.layout, t.chunks[1500] + 8, JUNK);
		t.now = gs_fake_extent(&t.heap);
		t.when = when;
		t.fake->before_read = shrink;
		walk(&t, &seen);
		assert_true(seen.result.unsettled_bytes > 0);
		gs_fake_seen_fini(&seen);
		end(&t);
	}
}

/* --- what never settles --- */

/* No amount of reading helps: what is read in vain does not grow with the heap. */
static void corrupt_heaps_are_given_up_soon(void **state)
{
	static const unsigned victims[] = { 0, 1, 1000, CHUNKS - 1 };

	for (unsigned i = 0; i < 8; i++) {
		struct torn t;
		struct gs_fake_seen seen;
		uint64_t pages = i < 4 ? 64 : 16384;

		begin(&t, "2.36 x86-64", pages);
		while (gs_fake_room(&t.heap) > 32 * CHUNK)
			gs_fake_chunk(&t.heap, i < 4 ? CHUNK : 16 * CHUNK, GS_FAKE_LIVE);
		gs_fake_top(&t.heap);
		const struct gs_fake_chunk *c = &t.heap.truth.data[t.heap.truth.len - 10];
		gs_addr bad = i % 4 == 3 ? c->addr : t.chunks[victims[i % 4]];
		gs_fake_put(t.fake, t.layout, bad + 8, JUNK);
		walk(&t, &seen);
		/* Unsettled from the chunk below the bad one up to top, which is known. */
		gs_addr from = bad == t.heap.first ? bad : i == 7 ? c[-1].addr : bad - CHUNK;
		assert_int_equal(seen.result.how, GS_WALK_TOP);
		assert_true(seen.result.unsettled_bytes == t.heap.top - from);
		/* Each try goes back by no more than half of the checkpoints. */
		assert_true(t.fake->mem.bytes_read <= pages * GS_FAKE_PAGE + 200 * (18 << 18));
		gs_fake_seen_fini(&seen);
		end(&t);
	}
}

/* Many bad places, each before a known chunk: each costs what is between, no more. */
static void many_bad_places(void **state)
{
	struct torn t;
	struct gs_fake_seen seen;
	struct gs_cached cached[CHUNKS / 100];
	struct gs_cached_list known = { cached, CHUNKS / 100, CHUNKS / 100 };

	begin(&t, "2.36 x86-64", 64);
	gs_fake_top(&t.heap);
	for (unsigned i = 0; i < CHUNKS / 100; i++) {
		cached[i] = (struct gs_cached){ t.chunks[i * 100 + 60], CHUNK, 1 };
		gs_fake_put(t.fake, t.layout, t.chunks[i * 100 + 50] + 8, JUNK);
	}
	t.options.known[0] = &known;
	walk(&t, &seen);
	assert_int_equal(seen.result.how, GS_WALK_TOP);
	assert_int_equal(seen.result.unsettled_bytes, CHUNKS / 100 * 11 * CHUNK);
	assert_true(t.fake->mem.bytes_read <= 64 * 64 * GS_FAKE_PAGE);
	gs_fake_seen_fini(&seen);
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_header_that_heals),
		cmocka_unit_test(absorbed_boundaries),
		cmocka_unit_test(a_huge_absorbed_stretch),
		cmocka_unit_test(a_busy_heap_settles),
		cmocka_unit_test(top_and_end_that_move),
		cmocka_unit_test(a_heap_that_is_closed_meanwhile),
		cmocka_unit_test(a_heap_that_vanishes),
		cmocka_unit_test(a_heap_that_shrinks_below_what_was_told),
		cmocka_unit_test(corrupt_heaps_are_given_up_soon),
		cmocka_unit_test(many_bad_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
