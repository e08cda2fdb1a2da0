/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk over a heap: a well-formed one is written as the input says, then words of it, pages,
 * known chunks and where it ends are changed, before the walk and while it reads.
 *
 * Whatever is there: what the visitor is told covers the heap exactly, the accounts add up, no
 * page that is not in memory is read (the memory aborts), and the reads are bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "collect/visit.h"
#include "fuzz.h"
#include "heap_fill.h"
#include "model/metrics.h"

enum {
	PAGES_MAX = 24,
	READS_MAX = 300,	/* times that the heap's pages may be read: 264 retries, and some */
};

struct input {
	const uint8_t *data;
	size_t left;
};

/* One heap that is being tried. */
struct trial {
	struct input in;
	struct gs_fake *fake;
	struct gs_fake_heap heap;
	struct gs_extent now;		/* what a refresh finds */
	struct gs_cached_list known[2];
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The next n bytes as a number, zeros once the input has ended. */
static uint64_t take(struct input *in, unsigned n)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < n && in->left; i++, in->left--)
		value |= (uint64_t)*in->data++ << 8 * i;
	return value;
}

/* Somewhere in the heap. */
static gs_addr take_place(struct trial *t)
{
	const struct gs_fake_chunks *chunks = &t->heap.truth;
	uint64_t which = take(&t->in, 2);

	/* Headers are where it hurts. */
	if (which & 1)
		return chunks->data[(which >> 1) % chunks->len].addr + t->heap.layout->word;
	return t->heap.start + (which * 8) % (t->heap.end - t->heap.start);
}

/* --- a heap --- */

static void write_chunks(struct trial *t)
{
	const struct gs_layout *l = t->heap.layout;

	for (unsigned n = (unsigned)take(&t->in, 1); n; n--) {
		uint64_t byte = take(&t->in, 1);
		enum gs_fake_kind kind = (enum gs_fake_kind)(byte % 4);
		uint64_t size = l->min_size + (byte >> 2) * l->align;
		if (byte >= 0xf0)
			size *= 64;
		if (kind == GS_FAKE_BINNED && t->heap.free_before)
			kind = GS_FAKE_LIVE;
		if (size + 4u * l->min_size > gs_fake_room(&t->heap))
			break;
		gs_fake_chunk(&t->heap, size, kind);
	}
}

static void write_heap(struct trial *t)
{
	const struct gs_layout *l =
		&gs_fake_layouts[take(&t->in, 1) % GS_FAKE_LAYOUTS].layout;
	uint64_t how = take(&t->in, 1);
	uint64_t size = (2 + take(&t->in, 1) % (PAGES_MAX - 1)) * GS_FAKE_PAGE;
	gs_addr at = l->word == 8 ? UINT64_C(0x7f2a40000000) : UINT64_C(0xf6500000);
	gs_addr arena = how & 1 ? at + l->heap.sizeof_ : at - l->heap_max;

	if (how & 2)
		gs_fake_segment_init(&t->heap, t->fake, l, at, size);
	else
		gs_fake_heap_init(&t->heap, t->fake, l, at, size, arena,
				  how & 1 ? 0 : at - l->heap_max);
	write_chunks(t);
	if (how & 4) {
		gs_fake_chunk(&t->heap, gs_fake_room(&t->heap), GS_FAKE_LIVE);
		gs_fake_fence(&t->heap);
	} else {
		if (t->heap.free_before)
			gs_fake_chunk(&t->heap, l->min_size, GS_FAKE_LIVE);
		gs_fake_top(&t->heap);
	}
	t->now = gs_fake_extent(&t->heap);
}

/* --- what happens to it --- */

static void change_word(struct trial *t)
{
	const struct gs_layout *l = t->heap.layout;
	gs_addr at = take_place(t);

	if (at + l->word <= t->heap.end)
		gs_fake_put(t->fake, l, at, take(&t->in, 1 + (unsigned)take(&t->in, 1) % 8));
}

static void change_page(struct trial *t)
{
	gs_addr at = t->heap.start + take(&t->in, 1) % PAGES_MAX * GS_FAKE_PAGE;

	if (at < t->heap.end)
		gs_fake_set_pages(t->fake, at, at + 1, (enum gs_page)(take(&t->in, 1) % 4));
}

static void change_top(struct trial *t)
{
	t->now.top = take_place(t) + take(&t->in, 1) % 16;
}

static void change_end(struct trial *t)
{
	t->now.end = t->heap.start + take(&t->in, 1) % (PAGES_MAX + 8) * GS_FAKE_PAGE;
	if (t->now.end < t->now.first)
		t->now.end = t->heap.end;
}

static void change(struct trial *t)
{
	static void (*const kinds[])(struct trial *) = {
		change_word, change_word, change_page, change_top, change_end,
	};

	kinds[take(&t->in, 1) % 5](t);
}

static void before_read(struct gs_fake *fake)
{
	struct trial *t = fake->context;

	/* Only words: a page that was present when asked for is read a moment later. */
	for (uint64_t n = take(&t->in, 1) % 4; n; n--)
		change_word(t);
}

static bool refresh(void *context, struct gs_extent *extent)
{
	struct trial *t = context;

	if (take(&t->in, 1) == 0xff)
		return false;
	if (t->in.left)
		change(t);
	extent->end = t->now.end;
	extent->top = t->now.top;
	return true;
}

static void take_known(struct trial *t, struct gs_cached_list *list, int tid)
{
	gs_addr at = t->heap.start;

	for (uint64_t n = take(&t->in, 1) % 16; n; n--) {
		at = gs_layout_align_chunk(t->heap.layout, at + 1 + take(&t->in, 2) % 8192);
		*gs_vec_push(list) = (struct gs_cached){ at, (uint32_t)take(&t->in, 2), tid };
	}
}

/* --- the walk --- */

static void check(struct trial *t, const struct gs_fake_seen *seen)
{
	uint64_t size = PAGES_MAX * GS_FAKE_PAGE;

	require(t->fake->mem.bytes_read <= READS_MAX * size);
	require(seen->result.passes <= 201);
	if (seen->result.how == GS_WALK_GONE)
		return;
	require(gs_fake_tiles(seen, t->heap.start));
	require(gs_fake_sum(seen, GS_KIND_UNSETTLED) == seen->result.unsettled_bytes);
	if (seen->result.how == GS_WALK_LOST)
		return;
	require((gs_fake_sum(seen, GS_KIND_TOP) > 0) == (seen->result.how == GS_WALK_TOP));
}

/* The same chunks once more, to the visitor that sums them up. */
static void check_visit(struct trial *t, const struct gs_fake_seen *seen)
{
	struct gs_residency residency = {};
	struct gs_visit visit;
	char cells[GS_CELLS_MAX + 1];
	uint64_t reserved = t->heap.end - t->heap.start;

	gs_residency_begin(&residency, &t->fake->mem, t->heap.start, seen->result.end);
	gs_visit_begin(&visit, t->heap.layout, &residency, &t->known[0], &t->known[1],
		       t->heap.start, t->heap.end, reserved, cells);
	visit.has_arena = t->heap.arena >= t->heap.start;
	gs_visit_chunks(&visit, seen->data, seen->len);
	gs_visit_finish(&visit, seen->result.end, reserved);
	require(visit.account.mapped_bytes == seen->result.end - t->heap.start);
	require(gs_account_adds_up(&visit.account));
	require(visit.account.unsettled_bytes == seen->result.unsettled_bytes);
	require(visit.account.reclaimable_bytes <= visit.account.stalled_bytes);
	require(visit.account.resident_bytes + visit.account.swapped_bytes <=
		visit.account.mapped_bytes);
	for (unsigned i = 1; i < GS_WHAT_IF_N; i++)
		require(visit.what_if[i] <= visit.account.resident_bytes);
	require(strspn(cells, "LXSRT-") == strlen(cells));
	gs_residency_fini(&residency);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trial t = { .in = { data, size }, .fake = gs_fake_new() };
	struct gs_fake_seen seen;

	write_heap(&t);
	struct gs_walk_options options = {
		.live = take(&t.in, 1) & 1, .refresh = refresh, .context = &t,
		.known = { &t.known[0], &t.known[1] },
	};
	take_known(&t, &t.known[0], 1);
	take_known(&t, &t.known[1], 0);
	for (uint64_t n = take(&t.in, 1) % 32; n; n--)
		change(&t);
	t.fake->context = &t;
	t.fake->before_read = options.live ? before_read : NULL;
	gs_fake_walk(t.fake, t.heap.layout, &t.now, &options, &seen);
	t.fake->before_read = NULL;
	check(&t, &seen);
	if (seen.result.how != GS_WALK_GONE)
		check_visit(&t, &seen);

	gs_fake_seen_fini(&seen);
	free(t.known[0].data);
	free(t.known[1].data);
	gs_fake_heap_fini(&t.heap);
	gs_fake_free(t.fake);
	return 0;
}
