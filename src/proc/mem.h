/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The memory of a target: the seam between the walkers and where the bytes come from (a live
 * process, an image in a test, later a core file). Addresses are the target's.
 */
#ifndef GS_PROC_MEM_H
#define GS_PROC_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** State of one page of the target. */
enum gs_page {
	GS_PAGE_NONE = 0,	/* never touched, released, or not mapped: holds nothing */
	GS_PAGE_RESIDENT = 1,	/* in memory, counts towards RSS */
	GS_PAGE_SWAPPED = 2,	/* in swap: reading it would bring it back in, so we never do */
	GS_PAGE_ZERO = 3,	/* the shared zero page is mapped: readable, not in RSS */
};

/** One stretch of target memory to copy. */
struct gs_span {
	gs_addr addr;	/* where in the target */
	void *buf;	/* where to */
	size_t len;	/* bytes */
	size_t got;	/* out: bytes copied, a prefix of len */
};

struct gs_mem;

struct gs_mem_ops {
	/** Copy every span as far as it can be read; fill in .got. Never fails as a whole. */
	void (*readv)(struct gs_mem *mem, struct gs_span *spans, size_t n);
	/** Write the state of the n pages from addr (page-aligned) on to ret[0..n). */
	struct gs_err *(*pages)(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret);
	/** Release what the implementation holds, and mem itself. */
	void (*free)(struct gs_mem *mem);
};

struct gs_mem {
	const struct gs_mem_ops *ops;
	uint64_t bytes_read;	/* bytes copied so far */
	uint64_t swap_refusals;	/* reads not made so far because a page of theirs is in swap */
	size_t page_size;	/* bytes; a power of two */
	gs_addr tag_bits;	/* of an address: not part of it, taken off before a read */
	bool knows_residency;	/* false: pages() calls everything that exists RESIDENT */
};

/**
 * Copy the spans as far as readable (see gs_mem_ops.readv) and account the bytes. The caller has
 * made sure that their pages are in memory.
 */
void gs_mem_readv(struct gs_mem *mem, struct gs_span *spans, size_t n);

/**
 * Copy exactly len bytes from addr, without ever touching a page that is not in memory: reading
 * a released page would map the zero page there, reading a swapped one would bring it back in.
 * GS_ERR_FAULT if any of the bytes is not in memory or cannot be read.
 */
struct gs_err *gs_mem_read(struct gs_mem *mem, gs_addr addr, void *buf, size_t len);

/** The same; false instead of an error. */
bool gs_mem_try(struct gs_mem *mem, gs_addr addr, void *buf, size_t len);

/** The states of n pages from addr (page-aligned) on; see gs_mem_ops.pages. */
struct gs_err *gs_mem_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret);

/** Release a memory. Accepts NULL. */
void gs_mem_free(struct gs_mem *mem);

struct gs_target;

/**
 * The memory of a live process by process_vm_readv(2), residency by PAGEMAP_SCAN (Linux 6.7)
 * or /proc/PID/pagemap. The target must outlive *ret. Errors: permission, with a hint.
 */
struct gs_err *gs_mem_live_new(struct gs_target *target, struct gs_mem **ret);

/** One region of a memory image. */
struct gs_image_region {
	gs_addr addr;
	const uint8_t *data;	/* len bytes, owned by the caller, must outlive the memory */
	size_t len;
	const uint8_t *pages;	/* enum gs_page a page, or NULL: all RESIDENT. Caller's too. */
};

/** A memory made of the caller's regions (not overlapping): for tests and fuzzers. */
struct gs_mem *gs_mem_image_new(const struct gs_image_region *regions, size_t n,
				size_t page_size);

#endif
