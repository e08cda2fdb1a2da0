/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Heaps built by hand, byte for byte as glibc's releases leave them in memory, and the truth about
 * them. The memory they are served from aborts if a page that is not in memory is read.
 */
#ifndef GS_TESTS_UNIT_HEAP_IMAGE_H
#define GS_TESTS_UNIT_HEAP_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/arena.h"
#include "heap/cached.h"
#include "heap/layout.h"
#include "model/snapshot.h"
#include "proc/mem.h"

enum { GS_FAKE_PAGE = 4096 };

/** A layout and the releases that have it. */
struct gs_fake_layout {
	const char *name;	/* "2.17 x86-64" … */
	struct gs_layout layout;
};

#define GS_FAKE_LAYOUTS 15

extern const struct gs_fake_layout gs_fake_layouts[GS_FAKE_LAYOUTS];

/** The one of that name; aborts if there is none. */
const struct gs_layout *gs_fake_layout(const char *name);

/* --- memory --- */

struct gs_fake_region {
	gs_addr addr;
	size_t len;		/* whole pages */
	uint8_t *data;
	uint8_t *pages;		/* enum gs_page, one a page; all resident at first */
};

/** A memory of our own. */
struct gs_fake {
	struct gs_mem mem;
	struct gs_fake_region *regions;
	size_t n_regions;
	uint64_t reads;		/* spans read */
	uint64_t asked;		/* pages whose state was asked for */
	void (*before_read)(struct gs_fake *fake);	/* may change anything, or NULL */
	void *context;		/* of before_read */
	unsigned step;		/* as it likes */
};

struct gs_fake *gs_fake_new(void);

void gs_fake_free(struct gs_fake *fake);

/** Add len bytes (whole pages) of memory, filled with what nobody should trust. */
void gs_fake_add(struct gs_fake *fake, gs_addr addr, size_t len);

/** The byte at addr. Aborts if it is not there. */
uint8_t *gs_fake_at(struct gs_fake *fake, gs_addr addr);

void gs_fake_put(struct gs_fake *fake, const struct gs_layout *l, gs_addr addr, uint64_t word);

uint64_t gs_fake_get(struct gs_fake *fake, const struct gs_layout *l, gs_addr addr);

/** Give the pages that hold [from, to) a state. */
void gs_fake_set_pages(struct gs_fake *fake, gs_addr from, gs_addr to, enum gs_page state);

/** State of the page that holds addr. */
enum gs_page gs_fake_page(const struct gs_fake *fake, gs_addr addr);

/* --- chunks --- */

enum gs_fake_kind {
	GS_FAKE_LIVE, GS_FAKE_TCACHE, GS_FAKE_FASTBIN, GS_FAKE_BINNED, GS_FAKE_TOP,
	GS_FAKE_OVERHEAD,
};

/** What was written: the truth. */
struct gs_fake_chunk {
	gs_addr addr;
	uint64_t size;
	enum gs_fake_kind kind;
};

struct gs_fake_chunks {
	struct gs_fake_chunk *data;
	size_t len, cap;
};

/** One heap or segment, written from its start to its end. */
struct gs_fake_heap {
	struct gs_fake *fake;
	const struct gs_layout *layout;
	gs_addr start, first, end;
	gs_addr arena;		/* whose heap it is; 0: a segment of main_arena */
	gs_addr top;		/* once written */
	gs_addr at;		/* where the next chunk goes */
	uint64_t free_before;	/* size of the binned chunk below, 0: there is none */
	struct gs_fake_chunks truth;
};

/**
 * Add and begin a heap of a thread arena: heap_info, and malloc_state if it is the first
 * (prev == 0). size: bytes in use as heap.
 */
void gs_fake_heap_init(struct gs_fake_heap *heap, struct gs_fake *fake,
		       const struct gs_layout *layout, gs_addr address, uint64_t size,
		       gs_addr arena, gs_addr prev);

/** Add and begin a segment of main_arena. */
void gs_fake_segment_init(struct gs_fake_heap *heap, struct gs_fake *fake,
			  const struct gs_layout *layout, gs_addr start, uint64_t size);

/** Begin a segment in memory that was added before. */
void gs_fake_segment_begin(struct gs_fake_heap *heap, struct gs_fake *fake,
			   const struct gs_layout *layout, gs_addr start, uint64_t size);

void gs_fake_heap_fini(struct gs_fake_heap *heap);

/** Write the next chunk. Returns its address. */
gs_addr gs_fake_chunk(struct gs_fake_heap *heap, uint64_t size, enum gs_fake_kind kind);

/** End with the top chunk. */
void gs_fake_top(struct gs_fake_heap *heap);

/** Bytes up to where the fenceposts that end the heap begin. */
uint64_t gs_fake_room(const struct gs_fake_heap *heap);

/** End with fenceposts; gs_fake_room() must be 0. */
void gs_fake_fence(struct gs_fake_heap *heap);

/**
 * End as it does when the old top was too small to be freed: size bytes of it (0 or more, less
 * than MINSIZE) lie below the fenceposts. gs_fake_room() must be size.
 */
void gs_fake_fence_small(struct gs_fake_heap *heap, uint64_t size);

/* --- lists and structs --- */

/** Write a struct malloc_state with empty bins. */
void gs_fake_arena(struct gs_fake *fake, const struct gs_layout *layout, gs_addr arena,
		   gs_addr top, gs_addr next, uint64_t system_mem);

/** Link n chunks as a tcache bin (user pointers) or fastbin (chunks). Returns the list's head. */
gs_addr gs_fake_link(struct gs_fake *fake, const struct gs_layout *layout, const gs_addr *chunks,
		     size_t n, bool tcache);

/** Write an empty tcache_perthread_struct. */
void gs_fake_tcache(struct gs_fake *fake, const struct gs_layout *layout, gs_addr tcache,
		    unsigned tcache_count);

/** Set bin i of it to a list of n elements. */
void gs_fake_tcache_bin(struct gs_fake *fake, const struct gs_layout *layout, gs_addr tcache,
			unsigned i, gs_addr head, unsigned n, unsigned tcache_count);

/** The cached chunks of that kind as the lists would give them. The caller frees ret->data. */
void gs_fake_cached(const struct gs_fake_heap *heap, enum gs_fake_kind kind, int tid,
		    struct gs_cached_list *ret);

/* --- the truth about sums, page by page and byte by byte --- */

/** What an account of the heap has to be, but for what-if sums. */
struct gs_account gs_fake_account(const struct gs_fake_heap *heap);

/**
 * Resident bytes of the aligned blocks in which nothing is live or cached. keep_header: the
 * bytes before the first chunk count as live.
 */
uint64_t gs_fake_what_if(const struct gs_fake_heap *heap, uint64_t block, bool keep_header);

#endif
