/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One heap or segment: walk it, visit its chunks, keep what was found. */
#include "collect/arena_walk.h"

#include "base/vec.h"
#include "base/xalloc.h"
#include "collect/visit.h"
#include "heap/segments.h"

#define GROWTH_MAX (UINT64_C(4) << 30)

/* What a refresh needs to look a moving top up again. */
struct refresh {
	struct gs_mem *mem;
	const struct gs_malloc *m;
	gs_addr arena, heap;
};

static bool refresh_heap(void *context, struct gs_extent *extent)
{
	struct refresh *c = context;
	struct gs_arena_state arena;
	struct gs_heap_state heap;

	if (!gs_arena_read(c->mem, c->m, c->arena, &arena) ||
	    !gs_heap_read(c->mem, c->m, c->arena, c->heap, &heap))
		return false;
	extent->end = heap.address + heap.size;
	extent->top = gs_heap_of(c->m, arena.top) == c->heap ? arena.top : 0;
	return true;
}

static bool refresh_segment(void *context, struct gs_extent *extent)
{
	struct refresh *c = context;
	struct gs_arena_state arena;
	gs_addr top_end;

	if (!gs_arena_read(c->mem, c->m, c->arena, &arena))
		return false;
	if (!extent->top || arena.top < extent->first)
		return true;
	/*
	 * While top is being changed its size may not fit yet: the next try will tell. No segment
	 * grows by gigabytes meanwhile: that top is elsewhere.
	 */
	if (gs_segment_top(c->mem, c->m, &arena, &top_end) &&
	    top_end < extent->end + GROWTH_MAX) {
		extent->top = arena.top;
		extent->end = top_end;
	}
	return true;
}

/* Remember what a pin's user memory begins with: what it is can be told later. */
static void keep_pin_words(struct gs_arena_walk *a, const struct gs_pin *pin)
{
	struct gs_reading *r = a->r;
	struct gs_pin_words words = { .arena = a->index, .heap = a->heaps.len };
	unsigned word = r->m->layout.word;
	size_t len = pin->size - word < sizeof(words.bytes) ? pin->size - word :
							      sizeof(words.bytes);

	if (!pin->address || pin->state != GS_CHUNK_LIVE ||
	    !gs_mem_try(r->mem, pin->address + 2u * word, words.bytes, len))
		return;
	words.len = len;
	*gs_vec_push(&a->pins) = words;
}

/* What the map shows: a heap that uses little of its address space would be one cell of it. */
static uint64_t map_span(const struct gs_extent *extent, uint64_t reserved)
{
	uint64_t span = 1;

	while (span < extent->end - extent->start && span < reserved)
		span *= 2;
	return span < reserved ? span : reserved;
}

struct gs_heap *gs_arena_walk_extent(struct gs_arena_walk *a, const struct gs_extent *extent,
				     bool has_arena, uint64_t reserved)
{
	struct gs_reading *r = a->r;
	uint64_t span = map_span(extent, reserved);
	char cells[GS_CELLS_MAX + 1];
	struct gs_visit visit;
	struct gs_walk_result result;
	struct refresh refresh = { r->mem, r->m, a->state.address, extent->start };

	gs_residency_begin(&a->residency, r->mem, extent->start, extent->end);
	const struct gs_cached_list *fastbins = &r->cached.fastbins[a->index];
	gs_visit_begin(&visit, &r->m->layout, &a->residency, &r->cached.tcache, fastbins,
		       extent->start, extent->end, span, cells);
	visit.has_arena = has_arena;
	visit.take_fastlinks = a->take_fastlinks;
	visit.fastlinks = a->fastlinks;
	struct gs_walk_options options = {
		.live = r->live,
		.refresh = extent->is_main ? refresh_segment : refresh_heap,
		.context = &refresh,
		.known = { &r->cached.tcache, fastbins },
	};
	struct gs_visitor visitor = { gs_visit_chunks, &visit, sizeof(visit) };
	gs_walk(a->walker, extent, &options, &a->residency, &visitor, &result);
	if (result.passes > a->passes)
		a->passes = result.passes;
	if (result.how == GS_WALK_GONE)
		return NULL;

	if (extent->is_main)
		reserved = result.end - extent->start;
	gs_residency_set_end(&a->residency, result.end);
	gs_visit_finish(&visit, result.end, extent->is_main ? reserved : span);
	a->fastlinks = visit.fastlinks;
	a->changed_chunks += visit.changed_chunks;
	for (size_t i = 0; i < GS_WHAT_IF_N; i++)
		a->what_if[i] += visit.what_if[i];
	keep_pin_words(a, &visit.pin);

	struct gs_heap *heap = gs_vec_push(&a->heaps);
	*heap = (struct gs_heap){
		.address = extent->start,
		.end = result.end,
		.reserved_bytes = reserved,
		.position = GS_POS_SEGMENT,
		.stable = result.how != GS_WALK_LOST && !result.unsettled_bytes,
		.swapped_headers = result.swapped_headers,
		.account = visit.account,
		.pin = visit.pin,
		.cell_bytes = UINT64_C(1) << visit.cell_shift,
		.cells = gs_xstrdup(cells),
	};
	return heap;
}
