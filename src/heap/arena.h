/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arenas, the heaps of thread arenas, and malloc's parameters, read from a target. */
#ifndef GS_HEAP_ARENA_H
#define GS_HEAP_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "heap/layout.h"
#include "proc/mem.h"

/** One glibc malloc in a target: where it is and how it is laid out. */
struct gs_malloc {
	struct gs_layout layout;
	gs_addr main_arena;
	gs_addr mp;			/* struct malloc_par mp_ */
	gs_addr image_start, image_end;	/* of libc: a pointer into it is no heap pointer */
	uint16_t machine;		/* EM_…, of libc */
	uint64_t tls_tcache;		/* offsets in libc's TLS block, GS_NO_TLS: not there */
	uint64_t tls_thread_arena;
	uint64_t tls_block;	/* from the thread pointer to it (mod 2^64); GS_NO_TLS: not known */
};

#define GS_NO_TLS UINT64_MAX

/** The members of a struct malloc_state that a walk needs, read at one instant. */
struct gs_arena_state {
	gs_addr address;
	uint32_t flags;		/* bit 1: not contiguous */
	gs_addr top;		/* chunk, 0: never used */
	gs_addr next;
	uint64_t attached_threads;	/* UINT64_MAX where the release has no such count */
	uint64_t system_mem, max_system_mem;	/* bytes */
	gs_addr fastbins[GS_MAX_FASTBINS];
	bool bins_agree;	/* every bin is empty or its head points to something aligned */
};

/** flags bit of a main_arena that has, or had, segments outside the brk area. */
enum { GS_ARENA_NONCONTIGUOUS = 2 };

/** Read the arena at address. False if it cannot be read. */
bool gs_arena_read(struct gs_mem *mem, const struct gs_malloc *m, gs_addr address,
		   struct gs_arena_state *ret);

/** True if the arena has no memory yet: top is 0 or still points into the arena itself. */
bool gs_arena_is_unused(const struct gs_malloc *m, const struct gs_arena_state *arena);

struct gs_addrs {
	gs_addr *data;
	size_t len, cap;
};

/**
 * The addresses of all arenas, main_arena first, in ring order. GS_ERR_FORMAT if the ring does
 * not close within GS_MAX_ARENAS or a node is no arena of this malloc. The list ends with the
 * first arena that is in swap: where the ring goes on is not known then. The caller frees
 * ret->data.
 */
struct gs_err *gs_arena_ring(struct gs_mem *mem, const struct gs_malloc *m, struct gs_addrs *ret);

/** A struct heap_info. Sizes in bytes. */
struct gs_heap_state {
	gs_addr address;
	gs_addr prev;		/* the heap made before it, 0: the first */
	uint64_t size;		/* in use as heap; the last heap ends at address + size */
	uint64_t mprotect_size;
};

struct gs_heap_states {
	struct gs_heap_state *data;	/* oldest first */
	size_t len, cap;
	bool has_gap;	/* some are missing: the chain leads through a heap_info in swap */
};

/** Start of the heap that holds addr. */
gs_addr gs_heap_of(const struct gs_malloc *m, gs_addr addr);

/** Read and check the heap at address, which must belong to arena. False if it does not. */
bool gs_heap_read(struct gs_mem *mem, const struct gs_malloc *m, gs_addr arena, gs_addr address,
		  struct gs_heap_state *ret);

/**
 * All heaps of a thread arena, from the one that holds top back to the first. A heap whose
 * heap_info is in swap is left out, as are all between it and the first, and has_gap is set. False
 * if the chain is torn. The caller frees ret->data.
 */
bool gs_heap_chain(struct gs_mem *mem, const struct gs_malloc *m,
		   const struct gs_arena_state *arena, struct gs_heap_states *ret);

/** Where the first chunk of a heap starts; first_of_arena: it holds the malloc_state too. */
gs_addr gs_heap_first_chunk(const struct gs_malloc *m, const struct gs_heap_state *heap,
			    bool first_of_arena);

/** The members of mp_. UINT64_MAX: not in this release. */
struct gs_par {
	uint64_t trim_threshold, top_pad, mmap_threshold, arena_test, arena_max;
	uint64_t n_mmaps, mmapped_mem;
	bool dynamic_threshold;
	gs_addr sbrk_base;
	uint64_t hp_pagesize, tcache_count, tcache_max_bytes;
};

/** Read mp_. */
struct gs_err *gs_par_read(struct gs_mem *mem, const struct gs_malloc *m, struct gs_par *ret);

#endif
