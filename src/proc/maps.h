/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mappings of a target: /proc/PID/maps as data. */
#ifndef GS_PROC_MAPS_H
#define GS_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/target.h"

enum gs_prot { GS_PROT_R = 1, GS_PROT_W = 2, GS_PROT_X = 4 };

struct gs_map {
	gs_addr start, end;	/* [start, end) */
	uint64_t offset;	/* in the file */
	uint64_t dev, ino;	/* of the file; ino 0: anonymous */
	uint8_t prot;		/* enum gs_prot bits */
	bool shared;
	const char *path;	/* path, "[heap]", "" …; escapes of newlines kept; never NULL */
};

/** Sorted by start, not overlapping. Owns its paths. */
struct gs_maps {
	struct gs_map *data;
	size_t len, cap;
	char *text;		/* backs the paths */
};

/** Read the mappings of a live process. An empty list means kernel thread, zombie or ended. */
struct gs_err *gs_maps_read(struct gs_target *target, struct gs_maps *ret);

/**
 * Parse the text of a maps file. Takes ownership of text (malloc'd, NUL-terminated). Lines that
 * do not parse, overlap or go backwards are an error (GS_ERR_FORMAT).
 */
struct gs_err *gs_maps_parse(char *text, struct gs_maps *ret);

void gs_maps_fini(struct gs_maps *maps);

/** The mapping that holds addr, or NULL. */
const struct gs_map *gs_maps_find(const struct gs_maps *maps, gs_addr addr);

/** True for private, anonymous, readable and writable mappings: where malloc's memory is. */
bool gs_map_is_anon_rw(const struct gs_map *map);

#endif
