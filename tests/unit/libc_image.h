/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole process with one malloc, built by hand: libc's data, a brk area, thread arenas, and
 * threads with their control blocks. For what finds malloc, from the mappings on.
 */
#ifndef GS_TESTS_UNIT_LIBC_IMAGE_H
#define GS_TESTS_UNIT_LIBC_IMAGE_H

#include "collect/find_malloc.h"
#include "elf/module.h"
#include "heap_image.h"
#include "proc/maps.h"
#include "proc/target.h"

enum {
	GS_LIBC_THREADS = 2,		/* the second one uses the thread arena */
	GS_LIBC_TLS_TCACHE = 0x48,	/* offsets in libc's TLS block, for either word */
	GS_LIBC_TLS_ARENA = 0x58,
	GS_LIBC_TLS_SIZE = 0x90,
};

struct gs_libc_image {
	struct gs_fake *fake;
	struct gs_layout layout;	/* the truth */
	unsigned tcache_count;
	gs_addr main_arena, mp;
	gs_addr data, data_end;		/* libc's writable segment */
	gs_addr thread_arena;		/* 0: there is none */
	struct gs_fake_heap heaps[2];	/* the brk area, and that of the thread arena */
	size_t n_heaps;
	struct gs_account truth;	/* of all heaps */

	struct gs_segment segment;
	struct gs_module module;
	struct gs_map maps_data[8];
	struct gs_maps maps;
	struct gs_thread threads_data[GS_LIBC_THREADS];
	struct gs_threads threads;
	struct gs_find where;		/* by structure alone */
};

/**
 * Build one whose malloc has the layout. has_threads: there are two threads and a thread arena,
 * else one. gs_libc_image_free().
 */
struct gs_libc_image *gs_libc_image_new(const struct gs_layout *layout, bool has_threads);

void gs_libc_image_free(struct gs_libc_image *image);

/** Write a malloc_par with default settings to addr. */
void gs_libc_image_put_par(struct gs_libc_image *image, gs_addr addr);

#endif
