/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread-local storage of a target's threads, found without stopping any: the TCB of each
 * from get_robust_list(2), its TLS blocks through the dtv.
 */
#ifndef GS_HEAP_TLS_H
#define GS_HEAP_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/mem.h"
#include "proc/target.h"

/** Modules of a dtv that are looked at: libc is among the first. */
enum { GS_TLS_MODULES = 256 };

/** One thread's blocks. */
struct gs_tls {
	pid_t tid;
	size_t n;		/* modules 1 to n */
	gs_addr *blocks;	/* n addresses; 0: not allocated */
};

struct gs_tls_list {
	struct gs_tls *data;
	size_t len, cap;
};

/**
 * Find the TLS blocks of the threads; word is the target's pointer size. Threads that end
 * meanwhile or have no dtv of libc's are left out. gs_tls_list_fini().
 */
void gs_tls_list_read(struct gs_mem *mem, uint8_t word, const struct gs_threads *threads,
		      struct gs_tls_list *ret);

void gs_tls_list_fini(struct gs_tls_list *list);

/** Block of module (counted from 1) in a thread, 0 if it has none. */
gs_addr gs_tls_block(const struct gs_tls *tls, size_t module);

#endif
