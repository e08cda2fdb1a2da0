/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct gs_presence *gs_presence_new(struct gs_mem *mem)
{
	struct gs_presence *p = gs_xzalloc(sizeof(*p));

	p->mem = mem;
	p->block_shift = (unsigned)__builtin_ctzll(mem->page_size * GS_PRESENCE_PAGES);
	memset(p->tag, 0xff, sizeof(p->tag));
	return p;
}

void gs_presence_free(struct gs_presence *presence)
{
	free(presence);
}

static bool page_is_in_memory(struct gs_presence *p, gs_addr addr)
{
	gs_addr block = addr >> p->block_shift;
	size_t slot = (size_t)(block % GS_PRESENCE_BLOCKS);

	if (p->tag[slot] != block) {
		struct gs_err *err = gs_mem_pages(p->mem, block << p->block_shift,
						  GS_PRESENCE_PAGES, p->states[slot]);
		if (err) {
			gs_err_free(err);
			p->tag[slot] = GS_NO_ADDR;
			return false;
		}
		p->tag[slot] = block;
	}
	gs_addr in_block = addr - (block << p->block_shift);
	uint8_t state = p->states[slot][in_block / p->mem->page_size];
	p->mem->swap_refusals += state == GS_PAGE_SWAPPED;
	return state == GS_PAGE_RESIDENT || state == GS_PAGE_ZERO;
}

bool gs_presence_has(struct gs_presence *p, gs_addr addr, size_t len)
{
	gs_addr end;

	if (__builtin_add_overflow(addr, len, &end))
		return false;
	for (gs_addr page = addr & ~(gs_addr)(p->mem->page_size - 1); page < end;
	     page += p->mem->page_size) {
		if (!page_is_in_memory(p, page))
			return false;
	}
	return true;
}
