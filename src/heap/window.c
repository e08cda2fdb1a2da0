/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

enum {
	BYTES_MAX = 256 << 10,		/* of a window: as fast as larger ones */
	SPANS_MAX = BYTES_MAX / 4096,	/* runs of present pages in it */
};

static size_t largest(const struct gs_window *window)
{
	return BYTES_MAX > window->mem->page_size ? BYTES_MAX : window->mem->page_size;
}

void gs_window_init(struct gs_window *window, struct gs_mem *mem)
{
	*window = (struct gs_window){ .mem = mem };
	window->buf = gs_xcalloc(1, largest(window));
}

void gs_window_fini(struct gs_window *window)
{
	free(window->buf);
	*window = (struct gs_window){};
}

void gs_window_reset(struct gs_window *window, struct gs_residency *residency)
{
	window->residency = residency;
	window->start = window->end = 0;
	window->size = 0;
}

/* Copy the pages of the window that are in memory; zeros for the others and for what fails. */
static void read_window(struct gs_window *window)
{
	struct gs_span spans[SPANS_MAX];
	gs_addr from, to, at = window->start;
	size_t n = 0;

	while (n < SPANS_MAX && gs_residency_run(window->residency, at, window->end, &from, &to)) {
		memset(window->buf + (at - window->start), 0, from - at);
		spans[n++] = (struct gs_span){
			.addr = from, .buf = window->buf + (from - window->start),
			.len = to - from,
		};
		at = to;
	}
	memset(window->buf + (at - window->start), 0, window->end - at);
	gs_mem_readv(window->mem, spans, n);
	for (size_t i = 0; i < n; i++)
		memset((char *)spans[i].buf + spans[i].got, 0, spans[i].len - spans[i].got);
}

void gs_window_move(struct gs_window *window, gs_addr addr, gs_addr limit)
{
	size_t page = window->mem->page_size;
	gs_addr start = addr & ~(gs_addr)(page - 1);
	bool follows = window->size && start >= window->end && start - window->end < page;

	limit = (limit + page - 1) & ~(gs_addr)(page - 1);
	window->size = follows ? window->size * 4 : page;
	if (window->size > largest(window))
		window->size = largest(window);
	if (start < limit && limit - start < window->size)
		window->size = (size_t)(limit - start);
	window->start = start;
	window->end = start + window->size;
	read_window(window);
}
