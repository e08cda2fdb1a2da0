/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cached chunks: free, but in a tcache or a fastbin, so that a walk takes them for in use. Their
 * addresses are collected from the lists before the walk and merged in by address.
 */
#ifndef GS_HEAP_CACHED_H
#define GS_HEAP_CACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/arena.h"
#include "heap/layout.h"
#include "heap/threads.h"
#include "proc/mem.h"

/** One cached chunk. */
struct gs_cached {
	gs_addr addr;	/* of the chunk */
	uint32_t size;	/* of the chunk, bytes: cached chunks are below 4 GiB */
	int32_t tid;	/* whose tcache holds it; 0: in a fastbin */
};

struct gs_cached_list {
	struct gs_cached *data;		/* ascending addresses, none twice */
	size_t len, cap;
};

/** Elements of a fastbin that are followed one by one; see gs_cached_read(). */
enum { GS_FASTBIN_SHORT = 1024 };

/** What one tcache holds. */
struct gs_tcache_sum {
	uint64_t bytes, chunks;
};

/** All cached chunks of one malloc. */
struct gs_cached_set {
	struct gs_cached_list tcache;	/* of all threads; of any arena */
	struct gs_cached_list *fastbins;	/* one list an arena, in ring order */
	bool *has_long;			/* an arena's fastbins are too long: none listed */
	size_t n_fastbins;
	struct gs_tcache_sum *sums;	/* one a thread state, in its order */
	uint64_t broken;		/* lists that could not be followed to their end */
	bool in_swap;			/* some of these because they lead into swap */
	uint64_t dropped;		/* chunks met twice: they moved meanwhile */
};

/**
 * Follow the lists of all tcaches and of all arenas' fastbins. tcache_count is mp_'s. Pages that
 * are not in memory are not read: a list that leads there is broken.
 * An arena with a fastbin of more than GS_FASTBIN_SHORT elements is left out and marked in
 * has_long: jumping about to its elements would cost more than the walk. The walk, which
 * passes them all anyway, recognises them by their links (heap/fastlinks.h); if that does not
 * come out even, gs_cached_read_fastbins() follows the lists after all.
 */
void gs_cached_read(struct gs_mem *mem, const struct gs_malloc *m,
		    const struct gs_thread_states *threads, uint64_t tcache_count,
		    const struct gs_arena_state *arenas, size_t n_arenas,
		    struct gs_cached_set *ret);

/** Follow all fastbins of the arena that is number i in set, whatever their length. */
void gs_cached_read_fastbins(struct gs_mem *mem, const struct gs_malloc *m,
			     const struct gs_arena_state *arena, size_t i,
			     struct gs_cached_set *set);

/** Index of the first entry at or above addr. */
size_t gs_cached_find(const struct gs_cached_list *list, gs_addr addr);

void gs_cached_fini(struct gs_cached_set *set);

#endif
