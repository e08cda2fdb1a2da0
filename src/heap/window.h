/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of a heap, a window at a time: what a walk looks at. Only pages that are in memory
 * are read; the others are zeros.
 */
#ifndef GS_HEAP_WINDOW_H
#define GS_HEAP_WINDOW_H

#include <stddef.h>

#include "proc/mem.h"
#include "proc/residency.h"

struct gs_window {
	struct gs_mem *mem;
	struct gs_residency *residency;
	gs_addr start, end;	/* bytes [start, end) are in buf; empty at first */
	char *buf;
	size_t size;		/* bytes read last */
};

/** Prepare a window over mem (borrowed). */
void gs_window_init(struct gs_window *window, struct gs_mem *mem);

void gs_window_fini(struct gs_window *window);

/** Begin with another stretch of memory, or with the same again: what was read is forgotten. */
void gs_window_reset(struct gs_window *window, struct gs_residency *residency);

/**
 * Move the window so that it holds the page of addr, and no page at or above limit but that
 * one. It is one page after a jump, and grows as long as one window follows the other.
 */
void gs_window_move(struct gs_window *window, gs_addr addr, gs_addr limit);

#endif
