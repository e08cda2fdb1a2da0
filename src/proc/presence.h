/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is this page in memory? For reads that jump about, such as those along a linked list: the
 * states of whole blocks are asked for at once and remembered.
 */
#ifndef GS_PROC_PRESENCE_H
#define GS_PROC_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mem.h"

enum {
	GS_PRESENCE_PAGES = 2048,	/* pages of a block */
	GS_PRESENCE_BLOCKS = 512,	/* blocks remembered, direct mapped */
};

struct gs_presence {
	struct gs_mem *mem;
	unsigned block_shift;
	gs_addr tag[GS_PRESENCE_BLOCKS];	/* block number, GS_NO_ADDR: empty */
	uint8_t states[GS_PRESENCE_BLOCKS][GS_PRESENCE_PAGES];
};

struct gs_presence *gs_presence_new(struct gs_mem *mem);

void gs_presence_free(struct gs_presence *presence);

/** Can all of [addr, addr + len) be read without touching a page that is not in memory? */
bool gs_presence_has(struct gs_presence *presence, gs_addr addr, size_t len);

#endif
