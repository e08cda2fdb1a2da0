/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap_fill.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "proc/residency.h"

uint32_t gs_fake_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* --- contents --- */

static uint64_t random_size(const struct gs_layout *l, uint64_t *seed, enum gs_fake_kind kind,
			    unsigned big)
{
	unsigned steps = 60;	/* tcache: 64 sizes */

	if (kind == GS_FAKE_FASTBIN)
		steps = 4;
	else if (kind != GS_FAKE_TCACHE && big && gs_fake_random(seed) % big == 0)
		steps = 40000;
	return l->min_size + (uint64_t)(gs_fake_random(seed) % steps) * l->align;
}

static enum gs_fake_kind random_kind(const struct gs_layout *l, uint64_t *seed, bool free_before)
{
	static const enum gs_fake_kind kinds[] = {
		GS_FAKE_LIVE, GS_FAKE_LIVE, GS_FAKE_TCACHE, GS_FAKE_FASTBIN, GS_FAKE_BINNED,
	};
	enum gs_fake_kind kind = kinds[gs_fake_random(seed) % 5];

	if ((kind == GS_FAKE_TCACHE && !l->has_tcache) ||
	    (kind == GS_FAKE_FASTBIN && !l->arena.n_fastbins) ||
	    (kind == GS_FAKE_BINNED && free_before))
		return GS_FAKE_LIVE;
	return kind;
}

void gs_fake_fill(struct gs_fake_heap *h, uint64_t *seed, unsigned big, enum gs_fake_end end)
{
	const struct gs_layout *l = h->layout;
	uint64_t spare = 4u * l->min_size;

	for (;;) {
		enum gs_fake_kind kind = random_kind(l, seed, h->free_before);
		uint64_t size = random_size(l, seed, kind, big);
		if (size + spare > gs_fake_room(h))
			break;
		gs_fake_chunk(h, size, kind);
	}
	if (end == GS_FAKE_END_TOP) {
		if (h->free_before)
			gs_fake_chunk(h, l->min_size, GS_FAKE_LIVE);
		gs_fake_top(h);
		return;
	}
	gs_fake_chunk(h, gs_fake_room(h), GS_FAKE_LIVE);
	gs_fake_fence(h);
}

void gs_fake_release(struct gs_fake_heap *h, uint64_t *seed)
{
	static const enum gs_page states[] = { GS_PAGE_NONE, GS_PAGE_SWAPPED, GS_PAGE_ZERO };

	for (size_t i = 0; i < h->truth.len; i++) {
		const struct gs_fake_chunk *c = &h->truth.data[i];
		gs_addr from = (c->addr + 6u * h->layout->word) / GS_FAKE_PAGE * GS_FAKE_PAGE;
		gs_addr to = (c->addr + c->size) / GS_FAKE_PAGE * GS_FAKE_PAGE;
		for (gs_addr page = from + GS_FAKE_PAGE; page < to; page += GS_FAKE_PAGE) {
			if (gs_fake_random(seed) % 2)
				gs_fake_set_pages(h->fake, page, page + 1,
						  states[gs_fake_random(seed) % 3]);
		}
	}
}

/* --- a walk --- */

struct gs_extent gs_fake_extent(const struct gs_fake_heap *h)
{
	return (struct gs_extent){
		.start = h->start, .first = h->first, .end = h->end, .top = h->top,
		.is_main = !h->arena,
	};
}

/* What the walker copies: how much of seen is valid. */
struct recorder {
	struct gs_fake_seen *seen;
	size_t len;
};

static void record(void *state, const struct gs_chunk *chunks, size_t n)
{
	struct recorder *r = state;

	r->seen->len = r->len;
	for (size_t i = 0; i < n; i++)
		*gs_vec_push(r->seen) = chunks[i];
	r->len += n;
}

void gs_fake_walk(struct gs_fake *fake, const struct gs_layout *l, const struct gs_extent *extent,
		  const struct gs_walk_options *options, struct gs_fake_seen *ret)
{
	struct gs_residency residency = {};
	struct gs_walker *walker = gs_walker_new(&fake->mem, l);

	*ret = (struct gs_fake_seen){};
	struct recorder recorder = { .seen = ret };
	struct gs_visitor visitor = { record, &recorder, sizeof(recorder) };
	gs_residency_begin(&residency, &fake->mem, extent->start, extent->end);
	gs_walk(walker, extent, options, &residency, &visitor, &ret->result);
	ret->len = recorder.len;
	gs_residency_fini(&residency);
	gs_walker_free(walker);
}

void gs_fake_seen_fini(struct gs_fake_seen *seen)
{
	free(seen->data);
}

bool gs_fake_tiles(const struct gs_fake_seen *seen, gs_addr start)
{
	gs_addr at = start;

	for (size_t i = 0; i < seen->len; i++) {
		if (seen->data[i].addr != at || seen->data[i].size > UINT64_MAX - at)
			return false;
		at += seen->data[i].size;
	}
	return at == seen->result.end;
}

uint64_t gs_fake_sum(const struct gs_fake_seen *seen, enum gs_chunk_kind kind)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < seen->len; i++)
		sum += seen->data[i].kind == kind ? seen->data[i].size : 0;
	return sum;
}

static enum gs_chunk_kind walked_as(enum gs_fake_kind kind)
{
	static const enum gs_chunk_kind kinds[] = {
		[GS_FAKE_LIVE] = GS_KIND_INUSE, [GS_FAKE_TCACHE] = GS_KIND_INUSE,
		[GS_FAKE_FASTBIN] = GS_KIND_INUSE, [GS_FAKE_BINNED] = GS_KIND_BINNED,
		[GS_FAKE_TOP] = GS_KIND_TOP, [GS_FAKE_OVERHEAD] = GS_KIND_OVERHEAD,
	};

	return kinds[kind];
}

bool gs_fake_is_truth(const struct gs_fake_seen *seen, const struct gs_fake_heap *h)
{
	size_t i = 0, j = 0;

	while (i < seen->len && j < h->truth.len) {
		struct gs_chunk told = seen->data[i++];
		struct gs_fake_chunk real = h->truth.data[j++];

		while (told.kind == GS_KIND_OVERHEAD && i < seen->len &&
		       seen->data[i].kind == GS_KIND_OVERHEAD)
			told.size += seen->data[i++].size;
		while (real.kind == GS_FAKE_OVERHEAD && j < h->truth.len &&
		       h->truth.data[j].kind == GS_FAKE_OVERHEAD)
			real.size += h->truth.data[j++].size;
		if (told.addr != real.addr || told.size != real.size ||
		    told.kind != walked_as(real.kind))
			return false;
	}
	return i == seen->len && j == h->truth.len;
}
