/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser of /proc/PID/maps: paths in it are chosen by whoever runs the target. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "fuzz.h"
#include "proc/maps.h"

static void check(const struct gs_maps *maps)
{
	for (size_t i = 0; i < maps->len; i++) {
		const struct gs_map *map = &maps->data[i];

		if (map->start >= map->end || (i && map->start < map[-1].end))
			abort();
		if (!map->path || gs_maps_find(maps, map->start) != map ||
		    gs_maps_find(maps, map->end - 1) != map)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = gs_xzalloc(size + 1);
	struct gs_maps maps = {};

	memcpy(text, data, size);
	struct gs_err *err = gs_maps_parse(text, &maps);
	if (err) {
		gs_err_free(err);
		return 0;
	}
	check(&maps);
	gs_maps_fini(&maps);
	return 0;
}
