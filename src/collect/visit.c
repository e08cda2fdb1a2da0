/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/visit.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)

#define SMALLEST_BLOCK (4 * KIB)

const uint64_t gs_what_if_sizes[GS_WHAT_IF_N] = {
	SMALLEST_BLOCK, 8 * KIB, 64 * KIB, 512 * KIB, MIB, 2 * MIB, 64 * MIB,
};

static uint64_t round_down(uint64_t value, uint64_t to)
{
	return value & ~(to - 1);
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return round_down(value + to - 1, to);
}

/* Cells are a power of two of bytes, at least a page, and at most GS_CELLS_MAX of them. */
static unsigned choose_cell_shift(uint64_t reserved, unsigned page_shift)
{
	unsigned shift = page_shift;

	while (shift < 63 && reserved >> shift > GS_CELLS_MAX)
		shift++;
	if (reserved & ((UINT64_C(1) << shift) - 1) && reserved >> shift == GS_CELLS_MAX)
		shift++;
	return shift;
}

void gs_visit_begin(struct gs_visit *v, const struct gs_layout *layout,
		    struct gs_residency *residency, const struct gs_cached_list *tcache,
		    const struct gs_cached_list *fastbins, gs_addr start, gs_addr end,
		    uint64_t reserved, char *cells)
{
	*v = (struct gs_visit){
		.layout = layout,
		.residency = residency,
		.cached = { tcache, fastbins },
		.start = start,
		.end = end,
		.cell_shift = choose_cell_shift(reserved, residency->page_shift),
		.cells = cells,
		.cursor = { gs_cached_find(tcache, start), gs_cached_find(fastbins, start) },
		.occupied_end = start,
		.page = GS_NO_ADDR,
	};
	memset(cells, '-', GS_CELLS_MAX);
	cells[GS_CELLS_MAX] = '\0';
}

/* --- residency of a chunk --- */

/* Most chunks lie in the page that the one before lay in. */
static inline void chunk_residency(struct gs_visit *v, gs_addr from, gs_addr to,
				   uint64_t *ret_resident, uint64_t *ret_swapped)
{
	gs_addr page = from >> v->residency->page_shift;

	if ((to - 1) >> v->residency->page_shift != page) {
		gs_residency_bytes(v->residency, from, to, ret_resident, ret_swapped);
		return;
	}
	if (page != v->page) {
		v->page = page;
		v->page_state = gs_residency_state(v->residency, from);
	}
	*ret_resident = v->page_state == GS_PAGE_RESIDENT ? to - from : 0;
	*ret_swapped = v->page_state == GS_PAGE_SWAPPED ? to - from : 0;
}

/* Whole resident pages of [from, to). */
static uint64_t whole_pages(struct gs_visit *v, gs_addr from, gs_addr to)
{
	uint64_t page = UINT64_C(1) << v->residency->page_shift, resident, swapped;

	from = round_up(from, page);
	to = round_down(to, page);
	if (from >= to)
		return 0;
	gs_residency_bytes(v->residency, from, to, &resident, &swapped);
	return resident;
}

/* --- the map --- */

/*
 * A cell is mixed when an eighth or more of what is in use or stalled there is stalled: a few
 * free bytes among live ones do not count, a single live chunk in free memory does.
 */
static char cell_letter(const struct gs_cell *c)
{
	uint64_t waste = c->stalled + c->top;

	if (c->live)
		return waste * 8 >= c->live + waste ? 'X' : 'L';
	if (c->top && c->top >= c->stalled)
		return 'T';
	if (c->stalled && c->stalled * 8 >= c->stalled + c->returned)
		return 'S';
	return c->returned || c->stalled ? 'R' : '-';
}

static void close_cells(struct gs_visit *v, size_t up_to)
{
	while (v->cell_index < up_to) {
		if (v->cell_index < GS_CELLS_MAX)
			v->cells[v->cell_index] = cell_letter(&v->cell);
		v->cell_index++;
		v->cell = (struct gs_cell){};
	}
}

enum shade { SHADE_LIVE, SHADE_FREE, SHADE_TOP };

/* Count bytes in the current cell, resident of them being in memory. */
static inline void shade_cell(struct gs_visit *v, uint64_t bytes, uint64_t resident,
			      enum shade shade)
{
	if (shade == SHADE_LIVE) {
		v->cell.live += bytes;
		return;
	}
	if (shade == SHADE_TOP)
		v->cell.top += resident;
	else
		v->cell.stalled += resident;
	v->cell.returned += bytes - resident;
}

/* The same for a stretch that reaches beyond the current cell. */
static void shade_cells(struct gs_visit *v, gs_addr from, gs_addr to, enum shade shade)
{
	while (from < to) {
		uint64_t resident, swapped;
		size_t index = (size_t)((from - v->start) >> v->cell_shift);
		v->cell_end = v->start + ((uint64_t)(index + 1) << v->cell_shift);
		gs_addr part_end = to < v->cell_end ? to : v->cell_end;
		if (index != v->cell_index)
			close_cells(v, index);
		chunk_residency(v, from, part_end, &resident, &swapped);
		shade_cell(v, part_end - from, resident, shade);
		from = part_end;
	}
}

/* Most chunks lie in the cell that the one before lay in. */
static inline void shade(struct gs_visit *v, const struct gs_chunk *chunk, uint64_t resident,
			 enum shade shade)
{
	if (chunk->addr + chunk->size <= v->cell_end)
		shade_cell(v, chunk->size, resident, shade);
	else
		shade_cells(v, chunk->addr, chunk->addr + chunk->size, shade);
}

/* --- what if --- */

/* Nothing in [from, to) is needed: what would go back with each block size? */
static void what_if_gap(struct gs_visit *v, gs_addr from, gs_addr to, bool at_start, bool at_end)
{
	for (size_t i = 0; i < GS_WHAT_IF_N; i++) {
		/* What lies outside the heap does not keep a block at its edge. */
		gs_addr lo = at_start ? from : round_up(from, gs_what_if_sizes[i]);
		gs_addr hi = at_end ? to : round_down(to, gs_what_if_sizes[i]);
		uint64_t resident, swapped;
		if (lo >= hi)
			continue;
		gs_residency_bytes(v->residency, lo, hi, &resident, &swapped);
		v->what_if[i] += resident;
	}
}

static inline void occupy(struct gs_visit *v, gs_addr from, gs_addr to)
{
	/*
	 * A smaller gap cannot hold a block, but for the part of one at the heap's edge; whether
	 * there is one at all is close to random.
	 */
	if (from - v->occupied_end >= SMALLEST_BLOCK || v->occupied_end == v->start)
		what_if_gap(v, v->occupied_end, from, v->occupied_end == v->start, false);
	v->occupied_end = to;
}

/* --- the chunks --- */

/* Step list i on to addr: those passed over were not there any more. */
static inline void pass_cached(struct gs_visit *v, unsigned i, gs_addr addr)
{
	const struct gs_cached_list *list = v->cached[i];

	while (v->cursor[i] < list->len && list->data[v->cursor[i]].addr < addr) {
		v->cursor[i]++;
		v->changed_chunks++;
	}
}

static void set_next_cached(struct gs_visit *v)
{
	v->next_cached = GS_NO_ADDR;
	for (unsigned i = 0; i < 2; i++) {
		const struct gs_cached_list *list = v->cached[i];
		if (v->cursor[i] < list->len && list->data[v->cursor[i]].addr < v->next_cached)
			v->next_cached = list->data[v->cursor[i]].addr;
	}
}

/* The cached chunk at addr, or NULL. */
static const struct gs_cached *match_cached(struct gs_visit *v, gs_addr addr, uint64_t size)
{
	const struct gs_cached *found = NULL;

	for (unsigned i = 0; i < 2; i++) {
		const struct gs_cached_list *list = v->cached[i];
		pass_cached(v, i, addr);
		if (v->cursor[i] == list->len || list->data[v->cursor[i]].addr != addr)
			continue;
		const struct gs_cached *cached = &list->data[v->cursor[i]++];
		if (found || cached->size != size)
			v->changed_chunks++;
		else
			found = cached;
	}
	set_next_cached(v);
	return found;
}

/* Account free memory; returns how much of it is resident. */
static inline uint64_t add_free(struct gs_visit *v, const struct gs_chunk *chunk)
{
	uint64_t resident, swapped;

	chunk_residency(v, chunk->addr, chunk->addr + chunk->size, &resident, &swapped);
	v->free_bytes += chunk->size;
	v->account.stalled_bytes += resident;
	v->account.stalled_swapped_bytes += swapped;
	v->account.returned_bytes += chunk->size - resident - swapped;
	return resident;
}

/* Where a chunk that looks in use really is, and who holds it if that is a tcache. */
struct holder {
	enum gs_chunk_state state;
	int tid;
};

static inline struct holder find_holder(struct gs_visit *v, const struct gs_chunk *chunk)
{
	const struct gs_cached *cached = NULL;

	if (chunk->addr >= v->next_cached)
		cached = match_cached(v, chunk->addr, chunk->size);
	if (cached)
		return (struct holder){ cached->tid ? GS_CHUNK_TCACHE : GS_CHUNK_FASTBIN,
					cached->tid };
	if (v->take_fastlinks && gs_fastlinks_take(&v->fastlinks, v->layout, chunk->addr,
						   chunk->size, chunk->link))
		return (struct holder){ GS_CHUNK_FASTBIN, 0 };
	return (struct holder){ GS_CHUNK_LIVE, 0 };
}

static inline void set_pin(struct gs_visit *v, const struct gs_chunk *chunk,
			   const struct holder *holder)
{
	v->pin.address = chunk->addr;
	v->pin.size = chunk->size;
	v->pin.state = holder->state;
	v->pin.tid = holder->tid;
	v->pin.below_bytes = v->free_bytes;
}

static void add_cached(struct gs_visit *v, const struct gs_chunk *chunk,
		       enum gs_chunk_state state)
{
	struct gs_account *a = &v->account;
	uint64_t resident = add_free(v, chunk);

	if (state == GS_CHUNK_TCACHE) {
		a->tcache_bytes += chunk->size;
		a->tcache_chunks++;
		a->stalled_tcache_bytes += resident;
	} else {
		a->fastbin_bytes += chunk->size;
		a->fastbin_chunks++;
		a->stalled_fastbin_bytes += resident;
	}
	shade(v, chunk, resident, SHADE_FREE);
}

static inline void add_inuse(struct gs_visit *v, const struct gs_chunk *chunk)
{
	struct holder holder = find_holder(v, chunk);

	set_pin(v, chunk, &holder);
	occupy(v, chunk->addr, chunk->addr + chunk->size);
	if (holder.state != GS_CHUNK_LIVE) {
		add_cached(v, chunk, holder.state);
		return;
	}
	v->account.live_bytes += chunk->size;
	v->account.live_chunks++;
	shade(v, chunk, 0, SHADE_LIVE);
}

/*
 * What reclaim may take of a binned chunk: the whole pages behind its header and links (six
 * words) and before the next chunk, as glibc's own malloc_trim does (malloc.c, mtrim).
 */
static inline void add_binned(struct gs_visit *v, const struct gs_chunk *chunk)
{
	gs_addr end = chunk->addr + chunk->size;
	uint64_t pages = 0;

	if (chunk->size >= UINT64_C(1) << v->residency->page_shift)
		pages = whole_pages(v, chunk->addr + 6u * v->layout->word, end);
	uint64_t resident = add_free(v, chunk);
	v->account.stalled_bin_bytes += resident;
	v->account.bin_bytes += chunk->size;
	v->account.bin_chunks++;
	v->account.reclaimable_bin_bytes += pages;
	shade(v, chunk, resident, SHADE_FREE);
}

static void add_top(struct gs_visit *v, const struct gs_chunk *chunk)
{
	gs_addr end = chunk->addr + chunk->size;

	v->account.reclaimable_top_bytes +=
		whole_pages(v, chunk->addr + 2u * v->layout->word, end);
	uint64_t resident = add_free(v, chunk);
	v->account.stalled_top_bytes += resident;
	v->account.top_bytes += chunk->size;
	shade(v, chunk, resident, SHADE_TOP);
}

static void add_overhead(struct gs_visit *v, const struct gs_chunk *chunk)
{
	v->account.overhead_bytes += chunk->size;
	if (v->has_arena && chunk->addr == v->start)
		occupy(v, chunk->addr, chunk->addr + chunk->size);
}

/* Never promised to anyone, so counted as live. */
static void add_unsettled(struct gs_visit *v, const struct gs_chunk *chunk)
{
	v->account.live_bytes += chunk->size;
	v->account.unsettled_bytes += chunk->size;
	occupy(v, chunk->addr, chunk->addr + chunk->size);
	shade(v, chunk, 0, SHADE_LIVE);
}

void gs_visit_chunks(void *state, const struct gs_chunk *chunks, size_t n)
{
	struct gs_visit *v = state;

	for (size_t i = 0; i < n; i++) {
		switch (chunks[i].kind) {
		case GS_KIND_INUSE:
			add_inuse(v, &chunks[i]);
			break;
		case GS_KIND_BINNED:
			add_binned(v, &chunks[i]);
			break;
		case GS_KIND_TOP:
			add_top(v, &chunks[i]);
			break;
		case GS_KIND_OVERHEAD:
			add_overhead(v, &chunks[i]);
			break;
		case GS_KIND_UNSETTLED:
			add_unsettled(v, &chunks[i]);
			break;
		}
	}
}

static void finish_pin(struct gs_visit *v)
{
	uint64_t own = v->pin.state == GS_CHUNK_LIVE ? 0 : v->pin.size;

	if (!v->pin.below_bytes) {
		v->pin = (struct gs_pin){};
		return;
	}
	v->pin.above_bytes = v->free_bytes - v->pin.below_bytes - own;
}

void gs_visit_finish(struct gs_visit *v, gs_addr end, uint64_t reserved)
{
	struct gs_account *a = &v->account;

	pass_cached(v, 0, end);
	pass_cached(v, 1, end);
	if (end - v->occupied_end >= SMALLEST_BLOCK)
		what_if_gap(v, v->occupied_end, end, v->occupied_end == v->start, true);
	a->mapped_bytes = end - v->start;
	a->reclaimable_bytes = a->reclaimable_bin_bytes + a->reclaimable_top_bytes;
	gs_residency_bytes(v->residency, v->start, end, &a->resident_bytes, &a->swapped_bytes);
	finish_pin(v);
	close_cells(v, v->cell_index + 1);
	/* A stretch that was read again may have left letters of what is no longer there. */
	if (v->cell_index < GS_CELLS_MAX)
		memset(v->cells + v->cell_index, '-', GS_CELLS_MAX - v->cell_index);
	size_t n = (size_t)((reserved + (UINT64_C(1) << v->cell_shift) - 1) >> v->cell_shift);
	v->cells[n < GS_CELLS_MAX ? n : GS_CELLS_MAX] = '\0';
}
