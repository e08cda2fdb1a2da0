/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread-local storage of a target's threads, found without stopping any: the TCB of each
 * from get_robust_list(2), or as a core file tells it, its TLS blocks through the dtv.
 */
#ifndef GS_HEAP_TLS_H
#define GS_HEAP_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/maps.h"
#include "proc/mem.h"
#include "proc/target.h"

/** Modules of a dtv that are looked at: libc is among the first. */
enum { GS_TLS_MODULES = 256 };

/** One thread's blocks. */
struct gs_tls {
	pid_t tid;
	gs_addr tp;		/* thread pointer */
	size_t n;		/* modules 1 to n */
	gs_addr *blocks;	/* n addresses; 0: not allocated */
};

struct gs_tls_list {
	struct gs_tls *data;
	size_t len, cap;
};

/**
 * Find the TLS blocks of the threads. machine (EM_…) and word, the size of a pointer, are the
 * target's. Threads that end meanwhile or have no dtv of libc's are left out. maps is searched
 * for the TCB of a program that has one thread and no robust list (glibc before 2.34 without
 * libpthread). gs_tls_list_fini().
 */
void gs_tls_list_read(struct gs_mem *mem, uint16_t machine, uint8_t word,
		      const struct gs_threads *threads, const struct gs_maps *maps,
		      struct gs_tls_list *ret);

void gs_tls_list_fini(struct gs_tls_list *list);

/** Block of module (counted from 1) in a thread, 0 if it has none. */
gs_addr gs_tls_block(const struct gs_tls *tls, size_t module);

#endif
