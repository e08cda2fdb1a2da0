/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"

enum { N_BINS = 127 };	/* bins[254]: fd and bk of bins 1 to 127 */

static uint64_t word_or_unknown(const struct gs_layout *l, const void *buf, uint16_t offset)
{
	return offset == GS_NO_MEMBER ? UINT64_MAX : gs_layout_word(l, buf, offset);
}

static uint32_t int_at(const void *buf, uint16_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)buf + offset, sizeof(value));
	return value;
}

static bool is_chunk_address(const struct gs_layout *l, gs_addr addr)
{
	return addr && ((addr + 2u * l->word) & (l->align - 1u)) == 0;
}

/* An untouched bin (before the first malloc) is 0; an empty one points to its own header. */
static bool bins_agree(const struct gs_layout *l, gs_addr arena, const void *buf)
{
	for (unsigned i = 0; i < N_BINS; i++) {
		size_t at = l->arena.bins + 2u * i * l->word;
		gs_addr header = arena + at - 2u * l->word;
		gs_addr fd = gs_layout_word(l, buf, at);
		gs_addr bk = gs_layout_word(l, buf, at + l->word);
		bool empty = (fd == header && bk == header) || (!fd && !bk);
		if (!empty && !(is_chunk_address(l, fd) && is_chunk_address(l, bk)))
			return false;
	}
	return true;
}

bool gs_arena_read(struct gs_mem *mem, const struct gs_malloc *m, gs_addr address,
		   struct gs_arena_state *ret)
{
	const struct gs_layout *l = &m->layout;
	char buf[GS_MAX_STRUCT];

	if (!gs_mem_try(mem, address, buf, l->arena.size))
		return false;
	*ret = (struct gs_arena_state){
		.address = address,
		.flags = int_at(buf, l->arena.flags),
		.top = gs_layout_word(l, buf, l->arena.top),
		.next = gs_layout_word(l, buf, l->arena.next),
		.attached_threads = word_or_unknown(l, buf, l->arena.attached_threads),
		.system_mem = gs_layout_word(l, buf, l->arena.system_mem),
		.max_system_mem = gs_layout_word(l, buf, l->arena.max_system_mem),
		.bins_agree = bins_agree(l, address, buf),
	};
	for (unsigned i = 0; i < l->arena.n_fastbins; i++)
		ret->fastbins[i] = gs_layout_word(l, buf, l->arena.fastbins + i * l->word);
	return true;
}

bool gs_arena_is_unused(const struct gs_malloc *m, const struct gs_arena_state *arena)
{
	return !arena->top || arena->top == arena->address + m->layout.arena.top;
}

/* A thread arena sits in its first heap, right behind the heap_info, which points back at it. */
static bool is_thread_arena(struct gs_mem *mem, const struct gs_malloc *m, gs_addr arena)
{
	gs_addr heap = gs_heap_of(m, arena);
	uint64_t refusals = mem->swap_refusals;
	struct gs_heap_state state;

	if (arena != heap + m->layout.heap.sizeof_)
		return false;
	/* What is in swap is taken at its address. */
	return gs_heap_read(mem, m, arena, heap, &state) || mem->swap_refusals > refusals;
}

static bool next_arena(struct gs_mem *mem, const struct gs_malloc *m, gs_addr arena, gs_addr *ret)
{
	char word[8] = {};

	if (!gs_mem_try(mem, arena + m->layout.arena.next, word, m->layout.word))
		return false;
	*ret = gs_layout_word(&m->layout, word, 0);
	return true;
}

/*
 * The element to compare the next one with, of a list that may run in a circle: that at the
 * largest power of two steps (Brent). n: elements so far, at least 1.
 */
static size_t circle_mark(size_t n)
{
	return ((size_t)1 << (8 * sizeof(long) - 1 - (unsigned)__builtin_clzl(n))) - 1;
}

struct gs_err *gs_arena_ring(struct gs_mem *mem, const struct gs_malloc *m, struct gs_addrs *ret)
{
	struct gs_addrs arenas = {};
	gs_addr arena = m->main_arena;

	bool done = false;

	while (!done && arenas.len < GS_MAX_ARENAS) {
		uint64_t refusals = mem->swap_refusals;
		*gs_vec_push(&arenas) = arena;
		bool has_next = next_arena(mem, m, arena, &arena);
		done = has_next ? arena == m->main_arena : mem->swap_refusals > refusals;
		if (!done && (!has_next || !is_thread_arena(mem, m, arena) ||
			      arena == arenas.data[circle_mark(arenas.len)]))
			break;
	}
	if (done) {
		*ret = arenas;
		return NULL;
	}
	size_t n = arenas.len;
	free(arenas.data);
	return gs_err_new(GS_ERR_FORMAT, "the ring of arenas does not close (%zu followed)", n);
}

gs_addr gs_heap_of(const struct gs_malloc *m, gs_addr addr)
{
	return addr & ~(m->layout.heap_max - 1);
}

bool gs_heap_read(struct gs_mem *mem, const struct gs_malloc *m, gs_addr arena, gs_addr address,
		  struct gs_heap_state *ret)
{
	const struct gs_layout *l = &m->layout;
	char buf[GS_MAX_STRUCT];

	if (!address || !gs_mem_try(mem, address, buf, l->heap.sizeof_))
		return false;
	struct gs_heap_state heap = {
		.address = address,
		.prev = gs_layout_word(l, buf, l->heap.prev),
		.size = gs_layout_word(l, buf, l->heap.size),
		.mprotect_size = gs_layout_word(l, buf, l->heap.mprotect_size),
	};
	if (gs_layout_word(l, buf, l->heap.ar_ptr) != arena || heap.size > heap.mprotect_size ||
	    heap.mprotect_size > l->heap_max || heap.size % mem->page_size ||
	    heap.size < l->heap.sizeof_ + l->min_size || heap.prev % l->heap_max ||
	    address > UINT64_MAX - l->heap_max)
		return false;
	*ret = heap;
	return true;
}

static void reverse(struct gs_heap_states *heaps)
{
	for (size_t i = 0; i < heaps->len / 2; i++) {
		struct gs_heap_state tmp = heaps->data[i];
		heaps->data[i] = heaps->data[heaps->len - 1 - i];
		heaps->data[heaps->len - 1 - i] = tmp;
	}
}

bool gs_heap_chain(struct gs_mem *mem, const struct gs_malloc *m,
		   const struct gs_arena_state *arena, struct gs_heap_states *ret)
{
	struct gs_heap_states heaps = {};
	gs_addr first = gs_heap_of(m, arena->address);
	gs_addr at = gs_heap_of(m, arena->top);
	bool whole = false;

	while (heaps.len < GS_MAX_HEAPS) {
		uint64_t refusals = mem->swap_refusals;
		struct gs_heap_state heap;
		if (!gs_heap_read(mem, m, arena->address, at, &heap)) {
			if (heaps.has_gap || mem->swap_refusals == refusals)
				break;
			/* The first heap holds the arena, so it is known in any case. */
			heaps.has_gap = true;
			at = first;
			continue;
		}
		*gs_vec_push(&heaps) = heap;
		at = heap.prev;
		if (!at) {
			whole = heap.address == first;
			break;
		}
		if (at == heaps.data[circle_mark(heaps.len)].address)
			break;
	}
	if (!whole) {
		free(heaps.data);
		return false;
	}
	reverse(&heaps);
	*ret = heaps;
	return true;
}

gs_addr gs_heap_first_chunk(const struct gs_malloc *m, const struct gs_heap_state *heap,
			    bool first_of_arena)
{
	gs_addr after = heap->address + m->layout.heap.sizeof_;

	if (first_of_arena)
		after += m->layout.arena.size;
	return gs_layout_align_chunk(&m->layout, after);
}

struct gs_err *gs_par_read(struct gs_mem *mem, const struct gs_malloc *m, struct gs_par *ret)
{
	const struct gs_layout *l = &m->layout;
	char buf[GS_MAX_STRUCT];
	struct gs_err *err = gs_mem_read(mem, m->mp, buf, l->par.size);

	if (err)
		return gs_err_prefix(err, "malloc's parameters");
	*ret = (struct gs_par){
		.trim_threshold = gs_layout_word(l, buf, l->par.trim_threshold),
		.top_pad = gs_layout_word(l, buf, l->par.top_pad),
		.mmap_threshold = gs_layout_word(l, buf, l->par.mmap_threshold),
		.arena_test = gs_layout_word(l, buf, l->par.arena_test),
		.arena_max = gs_layout_word(l, buf, l->par.arena_max),
		.n_mmaps = int_at(buf, l->par.n_mmaps),
		.mmapped_mem = gs_layout_word(l, buf, l->par.mmapped_mem),
		.dynamic_threshold = !int_at(buf, l->par.no_dyn_threshold),
		.sbrk_base = gs_layout_word(l, buf, l->par.sbrk_base),
		.hp_pagesize = word_or_unknown(l, buf, l->par.hp_pagesize),
		.tcache_count = word_or_unknown(l, buf, l->par.tcache_count),
		.tcache_max_bytes = word_or_unknown(l, buf, l->par.tcache_max_bytes),
	};
	return NULL;
}
