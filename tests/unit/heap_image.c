/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap_image.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "base/xalloc.h"

enum { JUNK = 0xa5 };	/* what freed and user memory is full of */

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* --- layouts: the offsets of the releases, as their debug information tells them --- */

#define NONE GS_NO_MEMBER
#define M64 (UINT64_C(64) << 20)
#define M1 (UINT64_C(1) << 20)

/* clang-format off */
const struct gs_fake_layout gs_fake_layouts[GS_FAKE_LAYOUTS] = {
	{ "2.17 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64,
		.arena = { .flags = 4, .top = 88, .bins = 104, .next = 2152, .system_mem = 2168,
			   .max_system_mem = 2176, .attached_threads = NONE, .fastbins = 8,
			   .n_fastbins = 10, .size = 2184 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 80, NONE, NONE, NONE, 88 } } },
	{ "2.17 i386", {
		.word = 4, .align = 8, .min_size = 16, .heap_max = M1,
		.arena = { .flags = 4, .top = 48, .bins = 56, .next = 1088, .system_mem = 1096,
			   .max_system_mem = 1100, .attached_threads = NONE, .fastbins = 8,
			   .n_fastbins = 10, .size = 1104 },
		.heap = { 0, 4, 8, 12, 16 },
		.par = { 0, 4, 8, 12, 16, 20, 32, 36, 48, NONE, NONE, NONE, 52 } } },
	{ "2.23 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64,
		.arena = { .flags = 4, .top = 88, .bins = 104, .next = 2152, .system_mem = 2176,
			   .max_system_mem = 2184, .attached_threads = 2168, .fastbins = 8,
			   .n_fastbins = 10, .size = 2192 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 80, NONE, NONE, NONE, 88 } } },
	{ "2.24 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64,
		.arena = { .flags = 4, .top = 88, .bins = 104, .next = 2152, .system_mem = 2176,
			   .max_system_mem = 2184, .attached_threads = 2168, .fastbins = 8,
			   .n_fastbins = 10, .size = 2192 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 72, NONE, NONE, NONE, 80 } } },
	{ "2.26 i386", {
		.word = 4, .align = 16, .min_size = 16, .heap_max = M1, .has_tcache = true,
		.arena = { .flags = 4, .top = 52, .bins = 60, .next = 1092, .system_mem = 1104,
			   .max_system_mem = 1108, .attached_threads = 1100, .fastbins = 8,
			   .n_fastbins = 11, .size = 1112 },
		.heap = { 0, 4, 8, 12, 24 },
		.par = { 0, 4, 8, 12, 16, 20, 32, 36, 44, NONE, 56, 52, 64 },
		.tcache = { .counts = 0, .count_size = 1, .n_bins = 64, .n_small_bins = 64,
			    .entries = 64, .size = 320 } } },
	{ "2.28 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.arena = { .flags = 4, .top = 96, .bins = 112, .next = 2160, .system_mem = 2184,
			   .max_system_mem = 2192, .attached_threads = 2176, .fastbins = 16,
			   .n_fastbins = 10, .size = 2200 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 72, NONE, 96, 88, 112 },
		.tcache = { .counts = 0, .count_size = 1, .n_bins = 64, .n_small_bins = 64,
			    .entries = 64, .size = 576 } } },
	{ "2.42 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.safe_linking = true,
		.arena = { .flags = 4, .top = 96, .bins = 112, .next = 2160, .system_mem = 2184,
			   .max_system_mem = 2192, .attached_threads = 2176, .fastbins = 16,
			   .n_fastbins = 10, .size = 2200 },
		.heap = { 0, 8, 16, 24, 48 },
		.par = { 0, 8, 16, 24, 32, 60, 72, 80, 96, 48, 120, 112, 136 },
		.tcache = { .counts = 0, .count_size = 2, .counts_free = true, .n_bins = 76,
			    .n_small_bins = 64, .entries = 152, .size = 760 } } },
	{ "2.42 i386", {
		.word = 4, .align = 16, .min_size = 16, .heap_max = M1, .has_tcache = true,
		.safe_linking = true,
		.arena = { .flags = 4, .top = 56, .bins = 64, .next = 1096, .system_mem = 1108,
			   .max_system_mem = 1112, .attached_threads = 1104, .fastbins = 12,
			   .n_fastbins = 11, .size = 1116 },
		.heap = { 0, 4, 8, 12, 24 },
		.par = { 0, 4, 8, 12, 16, 32, 44, 48, 56, 24, 68, 64, 76 },
		.tcache = { .counts = 0, .count_size = 2, .counts_free = true, .n_bins = 76,
			    .n_small_bins = 64, .entries = 152, .size = 456 } } },
	{ "2.23 i386", {
		.word = 4, .align = 8, .min_size = 16, .heap_max = M1,
		.arena = { .flags = 4, .top = 48, .bins = 56, .next = 1088, .system_mem = 1100,
			   .max_system_mem = 1104, .attached_threads = 1096, .fastbins = 8,
			   .n_fastbins = 10, .size = 1108 },
		.heap = { 0, 4, 8, 12, 16 },
		.par = { 0, 4, 8, 12, 16, 20, 32, 36, 48, NONE, NONE, NONE, 52 } } },
	{ "2.26 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.arena = { .flags = 4, .top = 88, .bins = 104, .next = 2152, .system_mem = 2176,
			   .max_system_mem = 2184, .attached_threads = 2168, .fastbins = 8,
			   .n_fastbins = 10, .size = 2192 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 72, NONE, 96, 88, 112 },
		.tcache = { .counts = 0, .count_size = 1, .n_bins = 64, .n_small_bins = 64,
			    .entries = 64, .size = 576 } } },
	{ "2.31 i386", {
		.word = 4, .align = 16, .min_size = 16, .heap_max = M1, .has_tcache = true,
		.arena = { .flags = 4, .top = 56, .bins = 64, .next = 1096, .system_mem = 1108,
			   .max_system_mem = 1112, .attached_threads = 1104, .fastbins = 12,
			   .n_fastbins = 11, .size = 1116 },
		.heap = { 0, 4, 8, 12, 24 },
		.par = { 0, 4, 8, 12, 16, 20, 32, 36, 44, NONE, 56, 52, 64 },
		.tcache = { .counts = 0, .count_size = 2, .n_bins = 64, .n_small_bins = 64,
			    .entries = 128, .size = 384 } } },
	{ "2.31 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.arena = { .flags = 4, .top = 96, .bins = 112, .next = 2160, .system_mem = 2184,
			   .max_system_mem = 2192, .attached_threads = 2176, .fastbins = 16,
			   .n_fastbins = 10, .size = 2200 },
		.heap = { 0, 8, 16, 24, 32 },
		.par = { 0, 8, 16, 24, 32, 40, 52, 56, 72, NONE, 96, 88, 112 },
		.tcache = { .counts = 0, .count_size = 2, .n_bins = 64, .n_small_bins = 64,
			    .entries = 128, .size = 640 } } },
	{ "2.36 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.safe_linking = true,
		.arena = { .flags = 4, .top = 96, .bins = 112, .next = 2160, .system_mem = 2184,
			   .max_system_mem = 2192, .attached_threads = 2176, .fastbins = 16,
			   .n_fastbins = 10, .size = 2200 },
		.heap = { 0, 8, 16, 24, 48 },
		.par = { 0, 8, 16, 24, 32, 60, 72, 80, 96, 48, 120, 112, 136 },
		.tcache = { .counts = 0, .count_size = 2, .n_bins = 64, .n_small_bins = 64,
			    .entries = 128, .size = 640 } } },
	{ "2.43 x86-64", {
		.word = 8, .align = 16, .min_size = 32, .heap_max = M64, .has_tcache = true,
		.safe_linking = true, .mmapped_trailer = true,
		.arena = { .flags = 4, .top = 8, .bins = 24, .next = 2072, .system_mem = 2096,
			   .max_system_mem = 2104, .attached_threads = 2088, .fastbins = NONE,
			   .n_fastbins = 0, .size = 2112 },
		.heap = { 0, 8, 16, 24, 48 },
		.par = { 0, 8, 16, 24, 32, 68, 80, 88, 104, 56, 128, 120, 144 },
		.tcache = { .counts = 0, .count_size = 2, .counts_free = true, .n_bins = 76,
			    .n_small_bins = 64, .entries = 152, .size = 760 } } },
	{ "2.43 i386", {
		.word = 4, .align = 16, .min_size = 16, .heap_max = M1, .has_tcache = true,
		.safe_linking = true, .mmapped_trailer = true,
		.arena = { .flags = 4, .top = 8, .bins = 16, .next = 1048, .system_mem = 1060,
			   .max_system_mem = 1064, .attached_threads = 1056, .fastbins = NONE,
			   .n_fastbins = 0, .size = 1068 },
		.heap = { 0, 4, 8, 12, 24 },
		.par = { 0, 4, 8, 12, 16, 36, 48, 52, 60, 28, 72, 68, 80 },
		.tcache = { .counts = 0, .count_size = 2, .counts_free = true, .n_bins = 76,
			    .n_small_bins = 64, .entries = 152, .size = 456 } } },
};
/* clang-format on */

const struct gs_layout *gs_fake_layout(const char *name)
{
	for (size_t i = 0; i < GS_FAKE_LAYOUTS; i++)
		if (!strcmp(gs_fake_layouts[i].name, name))
			return &gs_fake_layouts[i].layout;
	abort();
}

/* --- memory --- */

static struct gs_fake_region *find_region(const struct gs_fake *fake, gs_addr addr)
{
	for (size_t i = 0; i < fake->n_regions; i++) {
		struct gs_fake_region *r = &fake->regions[i];
		if (addr >= r->addr && addr - r->addr < r->len)
			return r;
	}
	return NULL;
}

enum gs_page gs_fake_page(const struct gs_fake *fake, gs_addr addr)
{
	const struct gs_fake_region *r = find_region(fake, addr);

	return r ? r->pages[(addr - r->addr) / GS_FAKE_PAGE] : GS_PAGE_NONE;
}

static void read_span(struct gs_fake *fake, struct gs_span *span)
{
	fake->reads++;
	span->got = 0;
	while (span->got < span->len) {
		gs_addr addr = span->addr + span->got;
		enum gs_page state = gs_fake_page(fake, addr);
		size_t n = GS_FAKE_PAGE - addr % GS_FAKE_PAGE;

		/* What is promised to every target: no page is brought into memory by a look. */
		check(state == GS_PAGE_RESIDENT || state == GS_PAGE_ZERO);
		if (n > span->len - span->got)
			n = span->len - span->got;
		memcpy((char *)span->buf + span->got, gs_fake_at(fake, addr), n);
		span->got += n;
	}
}

static void fake_readv(struct gs_mem *mem, struct gs_span *spans, size_t n)
{
	struct gs_fake *fake = (struct gs_fake *)mem;

	if (fake->before_read)
		fake->before_read(fake);
	for (size_t i = 0; i < n; i++)
		read_span(fake, &spans[i]);
}

static struct gs_err *fake_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	struct gs_fake *fake = (struct gs_fake *)mem;

	fake->asked += n;
	check(addr % GS_FAKE_PAGE == 0);
	for (size_t i = 0; i < n; i++)
		ret[i] = gs_fake_page(fake, addr + i * GS_FAKE_PAGE);
	return NULL;
}

static void fake_free(struct gs_mem *mem)
{
	gs_fake_free((struct gs_fake *)mem);
}

struct gs_fake *gs_fake_new(void)
{
	static const struct gs_mem_ops ops = { fake_readv, fake_pages, fake_free };
	struct gs_fake *fake = gs_xzalloc(sizeof(*fake));

	fake->mem = (struct gs_mem){
		.ops = &ops, .page_size = GS_FAKE_PAGE, .knows_residency = true,
	};
	return fake;
}

void gs_fake_free(struct gs_fake *fake)
{
	for (size_t i = 0; i < fake->n_regions; i++) {
		free(fake->regions[i].data);
		free(fake->regions[i].pages);
	}
	free(fake->regions);
	free(fake);
}

void gs_fake_add(struct gs_fake *fake, gs_addr addr, size_t len)
{
	check(addr % GS_FAKE_PAGE == 0 && len % GS_FAKE_PAGE == 0);
	fake->regions = gs_xreallocarray(fake->regions, fake->n_regions + 1,
					 sizeof(*fake->regions));
	struct gs_fake_region *r = &fake->regions[fake->n_regions++];
	*r = (struct gs_fake_region){
		.addr = addr, .len = len, .data = gs_xcalloc(len, 1),
		.pages = gs_xcalloc(len / GS_FAKE_PAGE, 1),
	};
	memset(r->data, JUNK, len);
	memset(r->pages, GS_PAGE_RESIDENT, len / GS_FAKE_PAGE);
}

uint8_t *gs_fake_at(struct gs_fake *fake, gs_addr addr)
{
	struct gs_fake_region *r = find_region(fake, addr);

	check(r);
	return r->data + (addr - r->addr);
}

void gs_fake_put(struct gs_fake *fake, const struct gs_layout *l, gs_addr addr, uint64_t word)
{
	for (unsigned i = 0; i < l->word; i++)
		*gs_fake_at(fake, addr + i) = (uint8_t)(word >> 8 * i);
}

uint64_t gs_fake_get(struct gs_fake *fake, const struct gs_layout *l, gs_addr addr)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < l->word; i++)
		word |= (uint64_t)*gs_fake_at(fake, addr + i) << 8 * i;
	return word;
}

void gs_fake_set_pages(struct gs_fake *fake, gs_addr from, gs_addr to, enum gs_page state)
{
	for (gs_addr page = from - from % GS_FAKE_PAGE; page < to; page += GS_FAKE_PAGE) {
		struct gs_fake_region *r = find_region(fake, page);
		check(r);
		r->pages[(page - r->addr) / GS_FAKE_PAGE] = state;
	}
}

/* --- chunks --- */

static gs_addr align_chunk(const struct gs_layout *l, gs_addr addr)
{
	while ((addr + 2u * l->word) % l->align)
		addr++;
	return addr;
}

static void add_truth(struct gs_fake_heap *h, gs_addr to, enum gs_fake_kind kind)
{
	if (to > h->at)
		*gs_vec_push(&h->truth) = (struct gs_fake_chunk){ h->at, to - h->at, kind };
	h->at = to;
}

static void begin(struct gs_fake_heap *h, gs_addr first)
{
	h->first = align_chunk(h->layout, first);
	h->at = h->start;
	add_truth(h, h->first, GS_FAKE_OVERHEAD);
}

void gs_fake_heap_init(struct gs_fake_heap *h, struct gs_fake *fake, const struct gs_layout *l,
		       gs_addr address, uint64_t size, gs_addr arena, gs_addr prev)
{
	gs_addr first = address + l->heap.sizeof_;

	*h = (struct gs_fake_heap){
		.fake = fake, .layout = l, .start = address, .end = address + size, .arena = arena,
	};
	gs_fake_add(fake, address, size);
	gs_fake_put(fake, l, address + l->heap.ar_ptr, arena);
	gs_fake_put(fake, l, address + l->heap.prev, prev);
	gs_fake_put(fake, l, address + l->heap.size, size);
	gs_fake_put(fake, l, address + l->heap.mprotect_size, size);
	if (!prev)
		gs_fake_arena(fake, l, arena, 0, arena, size);
	begin(h, prev ? first : first + l->arena.size);
}

void gs_fake_segment_begin(struct gs_fake_heap *h, struct gs_fake *fake,
			   const struct gs_layout *l, gs_addr start, uint64_t size)
{
	*h = (struct gs_fake_heap){
		.fake = fake, .layout = l, .start = start, .end = start + size,
	};
	begin(h, start);
}

void gs_fake_segment_init(struct gs_fake_heap *h, struct gs_fake *fake,
			  const struct gs_layout *l, gs_addr start, uint64_t size)
{
	gs_fake_add(fake, start, size);
	gs_fake_segment_begin(h, fake, l, start, size);
}

void gs_fake_heap_fini(struct gs_fake_heap *h)
{
	free(h->truth.data);
}

/* Write the header of a chunk at h->at. */
static void put_header(struct gs_fake_heap *h, uint64_t size, uint64_t flags)
{
	const struct gs_layout *l = h->layout;

	if (h->free_before)
		gs_fake_put(h->fake, l, h->at, h->free_before);
	else
		flags |= GS_PREV_INUSE;
	gs_fake_put(h->fake, l, h->at + l->word, size | flags);
	h->free_before = 0;
}

gs_addr gs_fake_chunk(struct gs_fake_heap *h, uint64_t size, enum gs_fake_kind kind)
{
	gs_addr chunk = h->at;
	bool binned = kind == GS_FAKE_BINNED;

	check(size <= gs_fake_room(h) && size % h->layout->align == 0 &&
	      size >= h->layout->min_size && !(binned && h->free_before));
	put_header(h, size, h->arena && !binned ? GS_NON_MAIN_ARENA : 0);
	h->free_before = binned ? size : 0;
	add_truth(h, chunk + size, kind);
	return chunk;
}

void gs_fake_top(struct gs_fake_heap *h)
{
	/* A binned chunk below top would have become part of it. */
	check(!h->free_before && h->end - h->at >= h->layout->min_size);
	h->top = h->at;
	put_header(h, h->end - h->at, 0);
	add_truth(h, h->end, GS_FAKE_TOP);
}

/*
 * The first fencepost: main_arena's are two of 2W, a heap's last one is MINSIZE - 2W below its
 * end.
 */
static gs_addr first_fence(const struct gs_fake_heap *h)
{
	const struct gs_layout *l = h->layout;
	uint64_t w = l->word;

	if (h->arena)
		return (h->end - (l->min_size - 2 * w)) / l->align * l->align - 2 * w;
	gs_addr at = h->end - 4 * w;
	while ((at + 2 * w) % l->align)
		at--;
	return at;
}

uint64_t gs_fake_room(const struct gs_fake_heap *h)
{
	return first_fence(h) - h->at;
}

/* Write a fencepost of 2W and the last one, whose size is 0 in a heap, 2W in a segment. */
static void put_fences(struct gs_fake_heap *h, uint64_t first_size)
{
	const struct gs_layout *l = h->layout;
	uint64_t two_words = 2u * l->word;
	gs_addr last = h->at + first_size;

	put_header(h, first_size, 0);
	gs_fake_put(h->fake, l, last, first_size);
	gs_fake_put(h->fake, l, last + l->word, (h->arena ? 0 : two_words) | GS_PREV_INUSE);
	add_truth(h, h->end, GS_FAKE_OVERHEAD);
}

void gs_fake_fence(struct gs_fake_heap *h)
{
	check(gs_fake_room(h) == 0);
	put_fences(h, 2u * h->layout->word);
}

void gs_fake_fence_small(struct gs_fake_heap *h, uint64_t size)
{
	check(gs_fake_room(h) == size && size < h->layout->min_size && !h->free_before);
	if (h->arena) {
		put_fences(h, size + 2u * h->layout->word);
		return;
	}
	if (size) {
		put_header(h, size, 0);
		add_truth(h, h->at + size, GS_FAKE_OVERHEAD);
	}
	put_fences(h, 2u * h->layout->word);
}

/* --- lists and structs --- */

void gs_fake_arena(struct gs_fake *fake, const struct gs_layout *l, gs_addr arena, gs_addr top,
		   gs_addr next, uint64_t system_mem)
{
	for (size_t i = 0; i < l->arena.size; i++)
		*gs_fake_at(fake, arena + i) = 0;
	for (unsigned i = 0; i < 127; i++) {
		gs_addr bin = arena + l->arena.bins + 2u * i * l->word;
		gs_fake_put(fake, l, bin, bin - 2u * l->word);
		gs_fake_put(fake, l, bin + l->word, bin - 2u * l->word);
	}
	gs_fake_put(fake, l, arena + l->arena.top, top);
	gs_fake_put(fake, l, arena + l->arena.next, next);
	gs_fake_put(fake, l, arena + l->arena.system_mem, system_mem);
	gs_fake_put(fake, l, arena + l->arena.max_system_mem, system_mem);
}

gs_addr gs_fake_link(struct gs_fake *fake, const struct gs_layout *l, const gs_addr *chunks,
		     size_t n, bool tcache)
{
	gs_addr shift = tcache ? 2u * l->word : 0;

	for (size_t i = 0; i < n; i++) {
		gs_addr where = chunks[i] + 2u * l->word;
		gs_addr next = i + 1 < n ? chunks[i + 1] + shift : 0;
		gs_fake_put(fake, l, where, l->safe_linking ? where >> 12 ^ next : next);
	}
	return n ? chunks[0] + shift : 0;
}

void gs_fake_tcache(struct gs_fake *fake, const struct gs_layout *l, gs_addr tcache,
		    unsigned tcache_count)
{
	for (size_t i = 0; i < l->tcache.size; i++)
		*gs_fake_at(fake, tcache + i) = 0;
	for (unsigned i = 0; i < l->tcache.n_bins; i++)
		gs_fake_tcache_bin(fake, l, tcache, i, 0, 0, tcache_count);
}

void gs_fake_tcache_bin(struct gs_fake *fake, const struct gs_layout *l, gs_addr tcache,
			unsigned i, gs_addr head, unsigned n, unsigned tcache_count)
{
	gs_addr counter = tcache + l->tcache.counts + i * l->tcache.count_size;
	unsigned value = l->tcache.counts_free ? tcache_count - n : n;

	for (unsigned byte = 0; byte < l->tcache.count_size; byte++)
		*gs_fake_at(fake, counter + byte) = (uint8_t)(value >> 8 * byte);
	gs_fake_put(fake, l, tcache + l->tcache.entries + i * l->word, head);
}

void gs_fake_cached(const struct gs_fake_heap *h, enum gs_fake_kind kind, int tid,
		    struct gs_cached_list *ret)
{
	*ret = (struct gs_cached_list){};
	for (size_t i = 0; i < h->truth.len; i++) {
		const struct gs_fake_chunk *c = &h->truth.data[i];
		if (c->kind == kind)
			*gs_vec_push(ret) = (struct gs_cached){
				c->addr, (uint32_t)c->size, kind == GS_FAKE_TCACHE ? tid : 0,
			};
	}
}

/* --- the truth about sums --- */

static uint64_t bytes_in(const struct gs_fake *fake, gs_addr from, gs_addr to, enum gs_page state)
{
	uint64_t bytes = 0;

	for (gs_addr at = from; at < to;) {
		gs_addr next = (at / GS_FAKE_PAGE + 1) * GS_FAKE_PAGE;
		if (next > to)
			next = to;
		if (gs_fake_page(fake, at) == state)
			bytes += next - at;
		at = next;
	}
	return bytes;
}

static uint64_t whole_pages(const struct gs_fake *fake, gs_addr from, gs_addr to)
{
	uint64_t bytes = 0;

	for (gs_addr page = (from + GS_FAKE_PAGE - 1) / GS_FAKE_PAGE * GS_FAKE_PAGE;
	     page + GS_FAKE_PAGE <= to; page += GS_FAKE_PAGE)
		bytes += gs_fake_page(fake, page) == GS_PAGE_RESIDENT ? GS_FAKE_PAGE : 0;
	return bytes;
}

static void add_free(struct gs_account *a, const struct gs_fake *fake,
		     const struct gs_fake_chunk *c, uint64_t *stalled)
{
	uint64_t resident = bytes_in(fake, c->addr, c->addr + c->size, GS_PAGE_RESIDENT);
	uint64_t swapped = bytes_in(fake, c->addr, c->addr + c->size, GS_PAGE_SWAPPED);

	*stalled += resident;
	a->stalled_bytes += resident;
	a->stalled_swapped_bytes += swapped;
	a->returned_bytes += c->size - resident - swapped;
}

static void add_chunk(struct gs_account *a, const struct gs_fake_heap *h,
		      const struct gs_fake_chunk *c)
{
	gs_addr end = c->addr + c->size;
	unsigned w = h->layout->word;

	switch (c->kind) {
	case GS_FAKE_LIVE:
		a->live_bytes += c->size;
		a->live_chunks++;
		break;
	case GS_FAKE_TCACHE:
		a->tcache_bytes += c->size;
		a->tcache_chunks++;
		add_free(a, h->fake, c, &a->stalled_tcache_bytes);
		break;
	case GS_FAKE_FASTBIN:
		a->fastbin_bytes += c->size;
		a->fastbin_chunks++;
		add_free(a, h->fake, c, &a->stalled_fastbin_bytes);
		break;
	case GS_FAKE_BINNED:
		a->bin_bytes += c->size;
		a->bin_chunks++;
		a->reclaimable_bin_bytes += whole_pages(h->fake, c->addr + 6u * w, end);
		add_free(a, h->fake, c, &a->stalled_bin_bytes);
		break;
	case GS_FAKE_TOP:
		a->top_bytes += c->size;
		a->reclaimable_top_bytes += whole_pages(h->fake, c->addr + 2u * w, end);
		add_free(a, h->fake, c, &a->stalled_top_bytes);
		break;
	case GS_FAKE_OVERHEAD:
		a->overhead_bytes += c->size;
		break;
	}
}

struct gs_account gs_fake_account(const struct gs_fake_heap *h)
{
	struct gs_account a = {
		.mapped_bytes = h->end - h->start,
		.resident_bytes = bytes_in(h->fake, h->start, h->end, GS_PAGE_RESIDENT),
		.swapped_bytes = bytes_in(h->fake, h->start, h->end, GS_PAGE_SWAPPED),
	};

	for (size_t i = 0; i < h->truth.len; i++)
		add_chunk(&a, h, &h->truth.data[i]);
	a.reclaimable_bytes = a.reclaimable_bin_bytes + a.reclaimable_top_bytes;
	return a;
}

static bool is_needed(const struct gs_fake_heap *h, const struct gs_fake_chunk *c,
		      bool keep_header)
{
	return c->kind <= GS_FAKE_FASTBIN || (keep_header && c->addr == h->start);
}

uint64_t gs_fake_what_if(const struct gs_fake_heap *h, uint64_t block, bool keep_header)
{
	uint64_t bytes = 0;
	size_t i = 0;

	for (gs_addr at = h->start / block * block; at < h->end; at += block) {
		gs_addr from = at > h->start ? at : h->start;
		gs_addr to = at + block < h->end ? at + block : h->end;
		bool needed = false;
		while (i < h->truth.len && h->truth.data[i].addr + h->truth.data[i].size <= from)
			i++;
		for (size_t j = i; j < h->truth.len && h->truth.data[j].addr < to; j++)
			needed |= is_needed(h, &h->truth.data[j], keep_header);
		if (!needed)
			bytes += bytes_in(h->fake, from, to, GS_PAGE_RESIDENT);
	}
	return bytes;
}
