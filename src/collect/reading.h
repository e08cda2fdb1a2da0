/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything of one malloc, read from a target into a snapshot. */
#ifndef GS_COLLECT_READING_H
#define GS_COLLECT_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "heap/arena.h"
#include "heap/cached.h"
#include "heap/mmapped.h"
#include "heap/ranges.h"
#include "heap/threads.h"
#include "model/snapshot.h"
#include "proc/maps.h"
#include "proc/mem.h"

/** Reads of something that is being changed, before it is given up. */
enum { GS_READ_ATTEMPTS = 20 };

/** The first words of a pin's user memory, to tell what it is once the target runs again. */
struct gs_pin_words {
	size_t arena, heap;	/* indices in the snapshot */
	size_t len;		/* bytes valid */
	unsigned char bytes[32];
};

/** What an inspection has at hand while it reads the heap. Borrowed, but for the last part. */
struct gs_reading {
	struct gs_mem *mem;
	const struct gs_malloc *m;
	const struct gs_maps *maps;
	const struct gs_threads *threads;
	const struct gs_ranges *taken;	/* memory that another malloc has; NULL: there is none */
	const struct gs_ranges *images;	/* of all copies of malloc, sorted; NULL: there is one */
	bool live;		/* the target runs */
	struct gs_snapshot *snapshot;

	/* filled by gs_reading_run() */
	struct gs_par par;
	struct gs_addrs ring;
	struct gs_thread_states states;
	size_t unknown_threads;	/* those whose thread-local storage was not found */
	struct gs_cached_set cached;
	struct gs_mmapped mmapped;
	struct { struct gs_pin_words *data; size_t len, cap; } pins;
	unsigned checks;	/* independent facts about the heap that fitted together */
	size_t swap_warnings;	/* of the snapshot's warnings: reading again would not help */
};

/** Add a warning (printf-style) about something that is in swap. */
void gs_reading_warn_swap(struct gs_reading *reading, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Read everything of malloc from the target: parameters, arenas, threads, cached chunks, heaps,
 * mmapped chunks; fill the snapshot's mallopt, arenas, mmapped, what_if, totals and capture
 * counters. Nothing here opens a file or contacts anybody: the target may be stopped.
 */
struct gs_err *gs_reading_run(struct gs_reading *reading);

/** Release what gs_reading_run() filled. */
void gs_reading_fini(struct gs_reading *reading);

#endif
