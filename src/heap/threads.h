/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What malloc keeps per thread: the TLS variables tcache and thread_arena. */
#ifndef GS_HEAP_THREADS_H
#define GS_HEAP_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "heap/arena.h"
#include "heap/layout_table.h"
#include "heap/tls.h"
#include "proc/mem.h"

struct gs_thread_state {
	pid_t tid;
	gs_addr arena;	/* thread_arena: 0, it has not allocated yet */
	gs_addr tcache;	/* its struct tcache_perthread_struct; 0: none */
};

struct gs_thread_states {
	struct gs_thread_state *data;	/* in the order of the TLS list */
	size_t len, cap;
};

/**
 * Read thread_arena and tcache of the threads. A module's block counts as libc's only if
 * thread_arena of some thread points to one of the arenas. The caller frees ret->data.
 */
void gs_thread_states_read(struct gs_mem *mem, const struct gs_malloc *m,
			   const struct gs_tls_list *tls, const struct gs_addrs *arenas,
			   struct gs_thread_states *ret);

/**
 * Do the dtv and m->tls_block lead to the same block of libc in every thread that has one? False
 * if no thread tells.
 */
bool gs_thread_blocks_agree(struct gs_mem *mem, const struct gs_malloc *m,
			    const struct gs_tls_list *tls, const struct gs_addrs *arenas);

/**
 * Find the offsets of thread_arena and tcache in libc's TLS block of memsz bytes without
 * symbols, and set m->tls_thread_arena and m->tls_tcache: thread_arena points to a known arena,
 * tcache to a chunk of a tcache's size; every thread has a vote. What no thread tells becomes
 * GS_NO_TLS. Needs m's layout but for its tcache: *ret_tcache is the variant that the memory
 * shows, NULL if no tcache was seen.
 */
void gs_thread_offsets_find(struct gs_mem *mem, struct gs_malloc *m,
			    const struct gs_tls_list *tls, const struct gs_addrs *arenas,
			    uint64_t memsz, const struct gs_tcache_variant **ret_tcache);

#endif
