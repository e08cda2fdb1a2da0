/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which pages of one stretch of target memory are resident or in swap: two bits a page, loaded
 * piece by piece just before they are needed, so that what is then read was present a moment ago.
 */
#ifndef GS_PROC_RESIDENCY_H
#define GS_PROC_RESIDENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/mem.h"

struct gs_residency {
	struct gs_mem *mem;
	gs_addr start, end;	/* page-aligned */
	gs_addr loaded;		/* [start, loaded) is known */
	unsigned page_shift;
	/* Bitmaps. Readable: resident, or the shared zero page. */
	uint64_t *resident, *swapped, *readable;
	size_t cap_words;
};

/** Begin with the stretch [start, end), rounded out to pages. Reuses r's memory (zeroed first). */
void gs_residency_begin(struct gs_residency *r, struct gs_mem *mem, gs_addr start, gs_addr end);

/** Move the end, up or down; pages already known stay known. */
void gs_residency_set_end(struct gs_residency *r, gs_addr end);

/** Release r's memory. */
void gs_residency_fini(struct gs_residency *r);

/** Forget what is known from addr on: it is asked again when needed. */
void gs_residency_forget(struct gs_residency *r, gs_addr addr);

/** The state of the page that holds addr, which must lie in the stretch. */
enum gs_page gs_residency_state(struct gs_residency *r, gs_addr addr);

/** Resident and swapped bytes of [from, to), which must lie in the stretch; byte-exact. */
void gs_residency_bytes(struct gs_residency *r, gs_addr from, gs_addr to, uint64_t *ret_resident,
			uint64_t *ret_swapped);

/**
 * The first run of readable pages in [from, to): false if there is none. Writes its bounds,
 * clipped to [from, to).
 */
bool gs_residency_run(struct gs_residency *r, gs_addr from, gs_addr to, gs_addr *ret_from,
		      gs_addr *ret_to);

#endif
