/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Further copies of glibc's malloc in one process: the libcs of other link-map namespaces
 * (dlmopen), and libc_malloc_debug.so, which has a malloc of its own.
 */
#ifndef GS_COLLECT_OTHERS_H
#define GS_COLLECT_OTHERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "collect/find_malloc.h"
#include "collect/reading.h"
#include "elf/module.h"
#include "heap/arena.h"
#include "heap/ranges.h"
#include "model/snapshot.h"

/** One copy. */
struct gs_other {
	struct gs_module *module;
	struct gs_malloc m;
	struct gs_snapshot *snapshot;	/* what is known of it */
	unsigned found_checks;		/* checks that agreed when it was found */
};

/** Zero-initialise; gs_others_fini(). */
struct gs_others {
	struct gs_other *data;
	size_t len, cap;
	struct gs_ranges images;	/* of all copies, the main one included; sorted */
};

/**
 * Find the copies in modules besides libc. owner, the module that provides malloc to the program
 * (NULL: libc), counts as one if glibc's structures are in it. What is a libc and cannot be
 * found becomes a warning of snapshot. where->version is that of libc.
 */
void gs_others_find(const struct gs_find *where, const struct gs_modules *modules,
		    const struct gs_module *libc, const struct gs_module *owner,
		    struct gs_snapshot *snapshot, struct gs_others *ret);

/** The images of all copies, for gs_reading.images; NULL if there are no others. */
const struct gs_ranges *gs_others_images(const struct gs_others *others);

/** The copy in module, or NULL. */
struct gs_other *gs_others_of(const struct gs_others *others, const struct gs_module *module);

/** Bytes that the malloc m has from the kernel by its own count; 0 if it cannot be read. */
uint64_t gs_malloc_held(struct gs_mem *mem, const struct gs_malloc *m);

/**
 * Read all copies anew, after main was read: memory that belongs to main is none of theirs.
 * Their warnings and counters go to main's snapshot.
 */
void gs_others_read(struct gs_others *others, struct gs_reading *main);

/** Hand what is known of the copies over to snapshot. */
void gs_others_give(struct gs_others *others, struct gs_snapshot *snapshot);

void gs_others_fini(struct gs_others *others);

#endif
