/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/residency.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* Asked for at once. Few enough to be fresh when the memory is read, enough to be cheap. */
enum { PAGES_AT_ONCE = 4096 };

static size_t page_index(const struct gs_residency *r, gs_addr addr)
{
	return (size_t)((addr - r->start) >> r->page_shift);
}

static gs_addr page_floor(const struct gs_residency *r, gs_addr addr)
{
	return addr & ~(gs_addr)(r->mem->page_size - 1);
}

static gs_addr page_ceil(const struct gs_residency *r, gs_addr addr)
{
	return page_floor(r, addr + r->mem->page_size - 1);
}

static void reserve(struct gs_residency *r)
{
	size_t words = (page_index(r, r->end) + 63) / 64;

	if (words <= r->cap_words)
		return;
	r->resident = gs_xreallocarray(r->resident, words, sizeof(uint64_t));
	r->swapped = gs_xreallocarray(r->swapped, words, sizeof(uint64_t));
	r->readable = gs_xreallocarray(r->readable, words, sizeof(uint64_t));
	r->cap_words = words;
}

void gs_residency_begin(struct gs_residency *r, struct gs_mem *mem, gs_addr start, gs_addr end)
{
	r->mem = mem;
	r->page_shift = (unsigned)__builtin_ctzll(mem->page_size);
	r->start = page_floor(r, start);
	r->loaded = r->start;
	r->end = page_ceil(r, end);
	reserve(r);
}

void gs_residency_set_end(struct gs_residency *r, gs_addr end)
{
	r->end = page_ceil(r, end);
	if (r->end < r->start)
		r->end = r->start;
	if (r->loaded > r->end)
		r->loaded = r->end;
	reserve(r);
}

void gs_residency_fini(struct gs_residency *r)
{
	free(r->resident);
	free(r->swapped);
	free(r->readable);
	*r = (struct gs_residency){};
}

void gs_residency_forget(struct gs_residency *r, gs_addr addr)
{
	addr = page_floor(r, addr);
	if (addr < r->start)
		addr = r->start;
	if (addr < r->loaded)
		r->loaded = addr;
}

static void set_bit(uint64_t *bits, size_t i, bool value)
{
	uint64_t mask = UINT64_C(1) << (i % 64);

	if (value)
		bits[i / 64] |= mask;
	else
		bits[i / 64] &= ~mask;
}

static bool get_bit(const uint64_t *bits, size_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

/* Make [.., to) known. What the kernel refuses to tell counts as not present. */
static void load(struct gs_residency *r, gs_addr to)
{
	static const uint8_t none[PAGES_AT_ONCE];
	uint8_t states[PAGES_AT_ONCE];

	while (r->loaded < to) {
		size_t first = page_index(r, r->loaded);
		size_t n = page_index(r, r->end) - first;
		if (n > PAGES_AT_ONCE)
			n = PAGES_AT_ONCE;
		struct gs_err *err = gs_mem_pages(r->mem, r->loaded, n, states);
		if (err) {
			gs_err_free(err);
			memcpy(states, none, n);
		}
		for (size_t i = 0; i < n; i++) {
			uint8_t state = states[i];
			set_bit(r->resident, first + i, state == GS_PAGE_RESIDENT);
			set_bit(r->swapped, first + i, state == GS_PAGE_SWAPPED);
			set_bit(r->readable, first + i,
				state == GS_PAGE_RESIDENT || state == GS_PAGE_ZERO);
		}
		r->loaded += n * r->mem->page_size;
	}
}

static void need(struct gs_residency *r, gs_addr to)
{
	if (to > r->loaded)
		load(r, to < r->end ? to : r->end);
}

enum gs_page gs_residency_state(struct gs_residency *r, gs_addr addr)
{
	need(r, addr + 1);
	size_t i = page_index(r, addr);
	if (get_bit(r->resident, i))
		return GS_PAGE_RESIDENT;
	if (get_bit(r->swapped, i))
		return GS_PAGE_SWAPPED;
	return get_bit(r->readable, i) ? GS_PAGE_ZERO : GS_PAGE_NONE;
}

static uint64_t count_bits(const uint64_t *bits, size_t from, size_t to)
{
	uint64_t n = 0;

	while (from < to && from % 64)
		n += get_bit(bits, from++);
	for (; from + 64 <= to; from += 64)
		n += (uint64_t)__builtin_popcountll(bits[from / 64]);
	while (from < to)
		n += get_bit(bits, from++);
	return n;
}

static uint64_t bytes_of(const struct gs_residency *r, const uint64_t *bits, gs_addr from,
			 gs_addr to)
{
	size_t first = page_index(r, from), last = page_index(r, to - 1);

	if (first == last)
		return get_bit(bits, first) ? to - from : 0;
	uint64_t bytes = count_bits(bits, first + 1, last) << r->page_shift;
	if (get_bit(bits, first))
		bytes += r->start + ((gs_addr)(first + 1) << r->page_shift) - from;
	if (get_bit(bits, last))
		bytes += to - (r->start + ((gs_addr)last << r->page_shift));
	return bytes;
}

void gs_residency_bytes(struct gs_residency *r, gs_addr from, gs_addr to, uint64_t *ret_resident,
			uint64_t *ret_swapped)
{
	*ret_resident = 0;
	*ret_swapped = 0;
	if (from < r->start)
		from = r->start;
	if (to > r->end)
		to = r->end;
	if (from >= to)
		return;
	need(r, to);
	*ret_resident = bytes_of(r, r->resident, from, to);
	*ret_swapped = bytes_of(r, r->swapped, from, to);
}

bool gs_residency_run(struct gs_residency *r, gs_addr from, gs_addr to, gs_addr *ret_from,
		      gs_addr *ret_to)
{
	if (from < r->start)
		from = r->start;
	if (to > r->end)
		to = r->end;
	if (from >= to)
		return false;
	need(r, to);
	size_t i = page_index(r, from), last = page_index(r, to - 1);
	while (i <= last && !get_bit(r->readable, i))
		i++;
	if (i > last)
		return false;
	size_t j = i;
	while (j <= last && get_bit(r->readable, j))
		j++;
	gs_addr run_from = r->start + ((gs_addr)i << r->page_shift);
	gs_addr run_to = r->start + ((gs_addr)j << r->page_shift);
	*ret_from = run_from > from ? run_from : from;
	*ret_to = run_to < to ? run_to : to;
	return true;
}
