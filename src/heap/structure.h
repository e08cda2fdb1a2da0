/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Find glibc's malloc in a target by structure alone: no symbols, no debug information, no file.
 *
 * The anchor is the ring of arenas. main_arena lies in libc's writable data; its `next` points to
 * itself or to an arena at the start of a heap, whose ring leads back; and the 127 bins before
 * `next` are list heads that point to themselves or into lists that point back. How far `next`
 * lies behind the struct's start tells which layout it is.
 */
#ifndef GS_HEAP_STRUCTURE_H
#define GS_HEAP_STRUCTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "elf/module.h"
#include "heap/arena.h"
#include "heap/layout_table.h"
#include "heap/threads.h"
#include "proc/maps.h"
#include "proc/mem.h"

struct gs_structure {
	gs_addr main_arena;
	const struct gs_arena_variant *arena;	/* NULL: a layout that no table knows */
	gs_addr mp;				/* 0: not found, or not for certain */
	const struct gs_par_variant *par;	/* NULL likewise */
	uint16_t heap_info_size;		/* from the first thread arena, 0: there is none */
	unsigned checks;			/* independent facts that agreed */
};

/**
 * Search the writable data of libc. version ("2.36", or NULL) only breaks ties.
 * GS_ERR_NOT_FOUND if there is no main_arena, or more than one candidate.
 */
struct gs_err *gs_structure_find(struct gs_mem *mem, const struct gs_module *libc,
				 const struct gs_maps *maps, const char *version,
				 struct gs_structure *ret);

/**
 * Complete m from what was found by structure: addresses, layout (tcache by version), image.
 * False if the tables do not have the layout.
 */
bool gs_structure_apply(const struct gs_structure *found, const struct gs_module *libc,
			const char *version, struct gs_malloc *m);

/**
 * Are the singly linked lists of this target mangled? By the lists themselves where there are
 * any; else fallback.
 */
bool gs_structure_safe_linking(struct gs_mem *mem, const struct gs_malloc *m,
			       const struct gs_thread_states *threads,
			       const struct gs_addrs *arenas, bool fallback);

#endif
