/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What malloc keeps per thread, found without stopping any: the address of a thread's TCB from
 * get_robust_list(2), libc's TLS block through the thread's dtv, and in it the variables tcache
 * and thread_arena.
 */
#ifndef GS_HEAP_THREADS_H
#define GS_HEAP_THREADS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "heap/arena.h"
#include "proc/mem.h"
#include "proc/target.h"

struct gs_thread_state {
	pid_t tid;
	gs_addr arena;	/* thread_arena: 0, it has not allocated yet */
	gs_addr tcache;	/* its struct tcache_perthread_struct; 0: none */
};

struct gs_thread_states {
	struct gs_thread_state *data;	/* in the order of the threads asked for */
	size_t len, cap;
	size_t unknown;		/* threads whose TLS could not be found */
};

/**
 * Read thread_arena and tcache of the threads. arenas are the known arenas: a block counts as
 * libc's only if thread_arena of some thread points to one of them. Threads that end meanwhile
 * are left out. The caller frees ret->data.
 */
void gs_thread_states_read(struct gs_mem *mem, const struct gs_malloc *m,
			   const struct gs_threads *threads, const struct gs_addrs *arenas,
			   struct gs_thread_states *ret);

#endif
