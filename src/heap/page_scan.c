/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/page_scan.h"

enum { BATCH = sizeof(((struct gs_page_scan *)0)->batch) /
	       sizeof(((struct gs_page_scan *)0)->batch[0]) };

void gs_page_scan_init(struct gs_page_scan *scan, struct gs_mem *mem,
		       const struct gs_layout *layout)
{
	scan->mem = mem;
	scan->layout = layout;
	scan->residency = (struct gs_residency){};
	scan->budget = GS_PAGE_SCAN_BUDGET;
	scan->passed_swapped = false;
	scan->next = scan->end = 0;
	scan->at = scan->len = 0;
}

void gs_page_scan_fini(struct gs_page_scan *scan)
{
	gs_residency_fini(&scan->residency);
}

void gs_page_scan_begin(struct gs_page_scan *scan, gs_addr start, gs_addr end)
{
	gs_residency_begin(&scan->residency, scan->mem, start, end);
	scan->next = start;
	scan->end = end;
	scan->at = scan->len = 0;
}

static void fill(struct gs_page_scan *scan)
{
	struct gs_span spans[BATCH];
	size_t n = 0, page = scan->mem->page_size;
	gs_addr from, to;

	while (n < BATCH && scan->budget > 0 && scan->next < scan->end) {
		/* Ask for what is read next, not for all that may never be looked at. */
		gs_addr limit = scan->end - scan->next > BATCH * page ?
				scan->next + BATCH * page : scan->end;
		uint64_t resident, swapped;
		gs_residency_bytes(&scan->residency, scan->next, limit, &resident, &swapped);
		scan->passed_swapped |= swapped > 0;
		if (!gs_residency_run(&scan->residency, scan->next, limit, &from, &to)) {
			scan->next = limit;
			continue;
		}
		for (; from < to && n < BATCH && scan->budget > 0; from += page, n++) {
			scan->batch[n].page = from;
			spans[n] = (struct gs_span){
				.addr = from, .buf = scan->batch[n].words,
				.len = 4u * scan->layout->word,
			};
			scan->budget--;
		}
		scan->next = from;
	}
	gs_mem_readv(scan->mem, spans, n);
	scan->at = scan->len = 0;
	for (size_t i = 0; i < n; i++) {
		if (spans[i].got == spans[i].len)
			scan->batch[scan->len++] = scan->batch[i];
	}
}

bool gs_page_scan_next(struct gs_page_scan *scan, gs_addr *ret_page, const char **ret_words)
{
	while (scan->at == scan->len) {
		if (scan->next >= scan->end || scan->budget == 0)
			return false;
		fill(scan);
	}
	*ret_page = scan->batch[scan->at].page;
	*ret_words = scan->batch[scan->at].words;
	scan->at++;
	return true;
}

void gs_page_scan_skip_to(struct gs_page_scan *scan, gs_addr addr)
{
	while (scan->at < scan->len && scan->batch[scan->at].page < addr)
		scan->at++;
	if (scan->at == scan->len && scan->next < addr)
		scan->next = addr;
}
