/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libc_image.h"

#include <elf.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "model/metrics.h"

enum {
	DATA_PAGES = 4,
	MAIN_ARENA = 0x1c80,	/* in the data */
	PAR = 0x12c0,
	HEAP_PAGES = 33,
	CACHED = 3,		/* chunks of each list */
	TCB = 0x700,		/* in a thread's page */
	DTV = 0x900,
	BLOCK = 0x400,
	TID = 0x7ffffff0,	/* nobody's: the kernel can have more than 2^22 never */
};

static gs_addr high(const struct gs_layout *l, gs_addr wide, gs_addr narrow)
{
	return l->word == 8 ? wide : narrow;
}

static void add_map(struct gs_libc_image *im, gs_addr start, uint64_t size, const char *path)
{
	im->maps_data[im->maps.len++] = (struct gs_map){
		.start = start, .end = start + size, .prot = GS_PROT_R | GS_PROT_W, .path = path,
	};
}

static void put(struct gs_libc_image *im, gs_addr addr, uint64_t word)
{
	gs_fake_put(im->fake, &im->layout, addr, word);
}

static void put_int(struct gs_libc_image *im, gs_addr addr, uint32_t value)
{
	for (unsigned i = 0; i < sizeof(value); i++)
		*gs_fake_at(im->fake, addr + i) = (uint8_t)(value >> 8 * i);
}

static void zero(struct gs_libc_image *im, gs_addr addr, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*gs_fake_at(im->fake, addr + i) = 0;
}

void gs_libc_image_put_par(struct gs_libc_image *im, gs_addr addr)
{
	const struct gs_layout *l = &im->layout;

	zero(im, addr, l->par.size);
	put(im, addr + l->par.trim_threshold, 131072);
	put(im, addr + l->par.top_pad, 131072);
	put(im, addr + l->par.mmap_threshold, 131072);
	put(im, addr + l->par.arena_test, l->word == 8 ? 8 : 2);
	put_int(im, addr + l->par.n_mmaps + 4u, 65536);
	put(im, addr + l->par.sbrk_base, im->heaps[0].start);
	if (!l->has_tcache)
		return;
	put(im, addr + l->par.tcache_count, im->tcache_count);
	put(im, addr + l->par.tcache_max_bytes, l->word == 8 ? 1032 : 1036);
	put(im, addr + l->par.tcache_max_bytes - l->word, 64);
}

/* --- heaps --- */

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* The chunk that holds a thread's tcache_perthread_struct. Returns the struct's address. */
static gs_addr add_tcache(struct gs_libc_image *im, struct gs_fake_heap *h)
{
	const struct gs_layout *l = &im->layout;
	gs_addr chunk = gs_fake_chunk(h, round_up(l->tcache.size + l->word, l->align),
				      GS_FAKE_LIVE);

	gs_fake_tcache(im->fake, l, chunk + 2u * l->word, im->tcache_count);
	return chunk + 2u * l->word;
}

/* A list of that kind, whose chunks have that size. Returns its head. */
static gs_addr add_list(struct gs_libc_image *im, struct gs_fake_heap *h, uint64_t size,
			enum gs_fake_kind kind)
{
	gs_addr chunks[CACHED];

	for (unsigned i = 0; i < CACHED; i++) {
		chunks[i] = gs_fake_chunk(h, size, kind);
		gs_fake_chunk(h, 3u * im->layout.min_size, GS_FAKE_LIVE);
	}
	return gs_fake_link(im->fake, &im->layout, chunks, CACHED, kind == GS_FAKE_TCACHE);
}

/* All kinds of chunks there are. Returns the tcache, 0 if the release has none. */
static gs_addr fill(struct gs_libc_image *im, struct gs_fake_heap *h, gs_addr arena)
{
	const struct gs_layout *l = &im->layout;
	gs_addr tcache = l->has_tcache ? add_tcache(im, h) : 0;

	if (tcache)
		gs_fake_tcache_bin(im->fake, l, tcache, 2,
				   add_list(im, h, l->min_size + 2u * l->align, GS_FAKE_TCACHE),
				   CACHED, im->tcache_count);
	if (l->arena.n_fastbins) {
		/* of the alignment that the chunks have, which on i386 skips every other bin */
		uint64_t size = round_up(6u * l->word, l->align);
		gs_addr head = add_list(im, h, size, GS_FAKE_FASTBIN);
		put(im, arena + l->arena.fastbins + (size / (2u * l->word) - 2) * l->word, head);
	}
	for (unsigned i = 1; i < 20; i++) {
		gs_fake_chunk(h, i * 512u, GS_FAKE_BINNED);
		gs_fake_chunk(h, i * 64u, GS_FAKE_LIVE);
	}
	gs_fake_top(h);
	put(im, arena + l->arena.top, h->top);
	struct gs_account account = gs_fake_account(h);
	gs_account_add(&im->truth, &account);
	return tcache;
}

/* --- threads --- */

/* A thread's page: its TCB, its dtv, and libc's TLS block. The program's block is elsewhere. */
static void add_thread(struct gs_libc_image *im, gs_addr arena, gs_addr tcache)
{
	const struct gs_layout *l = &im->layout;
	size_t i = im->threads.len++;
	gs_addr page = high(l, 0x7f2200000000, 0xf2000000) + i * 0x10000;
	gs_addr tp = page + TCB, dtv = page + DTV;

	gs_fake_add(im->fake, page, GS_FAKE_PAGE);
	add_map(im, page, GS_FAKE_PAGE, "");
	zero(im, page, GS_FAKE_PAGE);
	put(im, tp, tp);
	put(im, tp + l->word, dtv);
	put(im, tp + 2u * l->word, tp);
	put(im, dtv - 2u * l->word, 3);
	put(im, dtv + 2u * l->word, UINT64_MAX);
	put(im, dtv + 4u * l->word, page + BLOCK);
	put(im, page + BLOCK + GS_LIBC_TLS_ARENA, arena);
	put(im, page + BLOCK + GS_LIBC_TLS_TCACHE, tcache);
	im->threads_data[i] = (struct gs_thread){ .tid = TID + (pid_t)i, .tp = tp };
}

/* --- all of it --- */

static void add_data(struct gs_libc_image *im)
{
	im->data = high(&im->layout, 0x7f1180000000, 0xf1180000);
	im->data_end = im->data + DATA_PAGES * GS_FAKE_PAGE;
	gs_fake_add(im->fake, im->data, DATA_PAGES * GS_FAKE_PAGE);
	add_map(im, im->data, DATA_PAGES * GS_FAKE_PAGE, "/lib/libc.so.6");
	zero(im, im->data, DATA_PAGES * GS_FAKE_PAGE);
	im->main_arena = im->data + MAIN_ARENA;
	im->mp = im->data + PAR;
}

static void add_thread_arena(struct gs_libc_image *im)
{
	const struct gs_layout *l = &im->layout;
	gs_addr heap = high(l, 0x7f1000000000, 0xf0000000);

	im->thread_arena = heap + l->heap.sizeof_;
	gs_fake_heap_init(&im->heaps[1], im->fake, l, heap, HEAP_PAGES * GS_FAKE_PAGE,
			  im->thread_arena, 0);
	add_map(im, heap, HEAP_PAGES * GS_FAKE_PAGE, "");
	im->n_heaps = 2;
	put(im, im->main_arena + l->arena.next, im->thread_arena);
	put(im, im->thread_arena + l->arena.next, im->main_arena);
	add_thread(im, im->thread_arena, fill(im, &im->heaps[1], im->thread_arena));
}

static void add_module(struct gs_libc_image *im)
{
	static char path[] = "/lib/libc.so.6";

	im->segment = (struct gs_segment){
		.start = im->data + 0x100, .end = im->data_end, .file_end = im->data_end,
		.prot = GS_PROT_R | GS_PROT_W,
	};
	im->module = (struct gs_module){
		.path = path, .map_start = im->data, .map_end = im->data_end,
		.word = im->layout.word, .machine = im->layout.word == 8 ? EM_X86_64 : EM_386,
		.segments = &im->segment, .n_segments = 1, .tls_memsz = GS_LIBC_TLS_SIZE,
		.fd = -1, .map = gs_maps_find(&im->maps, im->data), .mem = &im->fake->mem,
	};
}

static int compare_maps(const void *a, const void *b)
{
	const struct gs_map *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

struct gs_libc_image *gs_libc_image_new(const struct gs_layout *layout, bool has_threads)
{
	struct gs_libc_image *im = gs_xzalloc(sizeof(*im));
	const gs_addr brk = high(layout, 0x55d0ca1f7000, 0x0804d000);

	im->fake = gs_fake_new();
	im->layout = *layout;
	if (!layout->has_tcache)
		im->layout.tcache.entries = GS_NO_MEMBER;
	im->tcache_count = layout->mmapped_trailer ? 16 : 7;
	add_data(im);
	gs_fake_segment_init(&im->heaps[0], im->fake, &im->layout, brk, HEAP_PAGES * GS_FAKE_PAGE);
	add_map(im, brk, HEAP_PAGES * GS_FAKE_PAGE, "[heap]");
	im->n_heaps = 1;
	gs_fake_arena(im->fake, &im->layout, im->main_arena, 0, im->main_arena,
		      HEAP_PAGES * GS_FAKE_PAGE);
	add_thread(im, im->main_arena, fill(im, &im->heaps[0], im->main_arena));
	if (has_threads)
		add_thread_arena(im);
	gs_libc_image_put_par(im, im->mp);
	im->maps.data = im->maps_data;
	qsort(im->maps.data, im->maps.len, sizeof(*im->maps.data), compare_maps);
	add_module(im);
	im->threads.data = im->threads_data;
	im->where = (struct gs_find){
		.maps = &im->maps, .mem = &im->fake->mem, .threads = &im->threads,
		.no_debuginfo = true,
	};
	return im;
}

void gs_libc_image_free(struct gs_libc_image *im)
{
	for (size_t i = 0; i < im->n_heaps; i++)
		gs_fake_heap_fini(&im->heaps[i]);
	gs_fake_free(im->fake);
	free(im);
}
