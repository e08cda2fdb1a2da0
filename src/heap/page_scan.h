/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Look at the first words of every page of a mapping that is in memory: mmapped chunks and
 * segments outside the brk area are in no list, but each starts at a page.
 */
#ifndef GS_HEAP_PAGE_SCAN_H
#define GS_HEAP_PAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/layout.h"
#include "proc/mem.h"
#include "proc/residency.h"

/** Pages looked at in one inspection at most: 4 GiB of 4 KiB pages. */
enum { GS_PAGE_SCAN_BUDGET = 1 << 20 };

struct gs_page_scan {
	struct gs_mem *mem;
	const struct gs_layout *layout;
	struct gs_residency residency;
	gs_addr next, end;	/* still to be read */
	uint64_t budget;	/* pages left to look at, over all ranges */
	bool passed_swapped;	/* pages in swap were passed over in some range */
	size_t at, len;
	struct { gs_addr page; char words[4 * 8]; } batch[256];
};

/** Prepare scans with the whole budget. */
void gs_page_scan_init(struct gs_page_scan *scan, struct gs_mem *mem,
		       const struct gs_layout *layout);

void gs_page_scan_fini(struct gs_page_scan *scan);

/** Begin with the page-aligned range [start, end). */
void gs_page_scan_begin(struct gs_page_scan *scan, gs_addr start, gs_addr end);

/**
 * The next page in memory: its address, and in *ret_words its first four words (owned by scan,
 * valid until the next call). False at the end of the range or the budget.
 */
bool gs_page_scan_next(struct gs_page_scan *scan, gs_addr *ret_page, const char **ret_words);

/** Go on at addr (page-aligned) if that is further than where the scan is. */
void gs_page_scan_skip_to(struct gs_page_scan *scan, gs_addr addr);

#endif
