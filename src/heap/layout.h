/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How one build of glibc lays its malloc out in memory: offsets, sizes and features as data, so
 * that one walker serves them all. Sources: malloc/malloc.c and malloc/arena.c of the releases
 * named at each fact.
 */
#ifndef GS_HEAP_LAYOUT_H
#define GS_HEAP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "elf/symtab.h"

/** Offset of a member that this build does not have. */
#define GS_NO_MEMBER UINT16_MAX

/* Bounds on what a target can make us do. Real values are far below. */
enum {
	GS_MAX_ARENAS = 65536,		/* arenas in the ring */
	GS_MAX_HEAPS = 1 << 20,		/* heaps of one arena */
	GS_MAX_FASTBINS = 11,		/* NFASTBINS: 10, or 11 on i386 since 2.26 */
	GS_MAX_CACHED = 1 << 24,	/* cached chunks remembered: 256 MiB */
	GS_MAX_TCACHE_BINS = 76,	/* TCACHE_MAX_BINS: 64, 76 since 2.42 */
	GS_MAX_STRUCT = 4096,		/* bytes of any struct of malloc */
};

/* Flag bits of a chunk's size word (malloc.c: PREV_INUSE, IS_MMAPPED, NON_MAIN_ARENA). */
enum {
	GS_PREV_INUSE = 1,
	GS_IS_MMAPPED = 2,
	GS_NON_MAIN_ARENA = 4,
	GS_SIZE_BITS = 7,
};

struct gs_layout {
	uint8_t word;		/* bytes of a pointer and of a size_t: 8 or 4 */
	uint8_t align;		/* MALLOC_ALIGNMENT */
	uint16_t min_size;	/* MINSIZE: the smallest chunk */
	uint64_t heap_max;	/* HEAP_MAX_SIZE: a heap starts at a multiple of it */
	bool safe_linking;	/* singly linked lists are mangled (2.32) */
	bool mmapped_trailer;	/* the size of an mmapped chunk leaves two words out (2.43) */
	bool has_tcache;	/* 2.26 */
	struct {		/* struct malloc_state */
		uint16_t mutex, flags, top, bins, next, system_mem, max_system_mem;
		uint16_t attached_threads;	/* 2.23 */
		uint16_t fastbins;		/* until 2.42 */
		uint16_t n_fastbins;
		uint16_t size;
	} arena;
	struct {		/* struct _heap_info */
		uint16_t ar_ptr, prev, size, mprotect_size, sizeof_;
	} heap;
	struct {		/* struct malloc_par */
		uint16_t trim_threshold, top_pad, mmap_threshold, arena_test, arena_max;
		uint16_t n_mmaps, no_dyn_threshold, mmapped_mem, sbrk_base;
		uint16_t hp_pagesize;			/* 2.35 */
		uint16_t tcache_count, tcache_max_bytes;	/* 2.26 */
		uint16_t size;
	} par;
	struct {		/* struct tcache_perthread_struct */
		uint16_t counts;
		uint8_t count_size;	/* bytes of one counter: 1, 2 since 2.30 */
		bool counts_free;	/* counters say how many slots are free (2.42) */
		uint16_t n_bins;
		uint16_t n_small_bins;	/* bins of exactly one size: the first 64 */
		uint16_t entries;
		uint16_t size;
	} tcache;
};

/**
 * Read the layout from the debug information of a libc. version ("2.36") tells what DWARF does
 * not: it may be NULL where newer members decide. word is the target's pointer size.
 * Errors: no DWARF, or structs that do not look like malloc's (GS_ERR_NO_SYMBOLS).
 */
struct gs_err *gs_layout_from_dwarf(struct gs_symtab *symtab, uint8_t word, const char *version,
				    struct gs_layout *ret);

/** The word (8 or 4 bytes, little endian) at offset in buf. */
static inline uint64_t gs_layout_word(const struct gs_layout *layout, const void *buf,
				      size_t offset)
{
	uint64_t wide = 0;
	uint32_t narrow;

	if (layout->word == 8) {
		memcpy(&wide, (const char *)buf + offset, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, (const char *)buf + offset, sizeof(narrow));
	return narrow;
}

/** Chunk size of tcache bin i (one of the first n_small_bins). */
uint64_t gs_layout_tcache_size(const struct gs_layout *layout, unsigned i);

/** Chunk size of fastbin i. */
uint64_t gs_layout_fastbin_size(const struct gs_layout *layout, unsigned i);

/** The first address at or above addr where a chunk may start. */
gs_addr gs_layout_align_chunk(const struct gs_layout *layout, gs_addr addr);

/** Undo safe-linking: the pointer stored as stored in the word at address where. */
gs_addr gs_layout_reveal(const struct gs_layout *layout, gs_addr where, uint64_t stored);

/** Is the glibc version ("2.36") at least 2.MINOR? False for NULL. */
bool gs_version_at_least(const char *version, unsigned minor);

#endif
