/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of a heap, a window at a time: what a walk looks at. Only pages that are in memory
 * are read; the others are zeros. Where a walk goes through dense memory the next window is read
 * by a second thread meanwhile: half of a walk's time is the kernel's copying.
 */
#ifndef GS_HEAP_WINDOW_H
#define GS_HEAP_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/mem.h"
#include "proc/residency.h"

struct gs_window {
	gs_addr start, end;	/* bytes [start, end) are in buf; empty at first */
	const char *buf;
	struct gs_window_state *state;
};

/** Prepare a window over mem (borrowed). */
void gs_window_init(struct gs_window *window, struct gs_mem *mem);

void gs_window_fini(struct gs_window *window);

/** Begin with another stretch of memory, or with the same again: what was read is forgotten. */
void gs_window_reset(struct gs_window *window, struct gs_residency *residency);

/**
 * Move the window so that it holds the page of addr, and no page at or above limit but that
 * one. It is small after a jump, and grows as long as one window follows the other.
 */
void gs_window_move(struct gs_window *window, gs_addr addr, gs_addr limit);

#endif
