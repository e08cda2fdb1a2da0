/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "proc/file.h"

/* Parse an unsigned number that ends with the character end; step over both. */
static bool take_number(char **at, int base, char end, uint64_t *ret)
{
	char *stop;

	if (!((**at >= '0' && **at <= '9') || (**at >= 'a' && **at <= 'f')))
		return false;
	errno = 0;
	*ret = strtoull(*at, &stop, base);
	if (errno || stop == *at || *stop != end)
		return false;
	*at = stop + 1;
	return true;
}

static bool take_flags(char **at, struct gs_map *map)
{
	if (strnlen(*at, 5) < 5 || (*at)[4] != ' ')
		return false;
	map->prot = (uint8_t)(((*at)[0] == 'r' ? GS_PROT_R : 0) |
			      ((*at)[1] == 'w' ? GS_PROT_W : 0) |
			      ((*at)[2] == 'x' ? GS_PROT_X : 0));
	map->shared = (*at)[3] == 's';
	*at += 5;
	return true;
}

/* "7f2a40000000-7f2a44000000 rw-p 00000000 08:01 1234   /path" */
static bool parse_line(char *line, struct gs_map *map)
{
	uint64_t major, minor;

	if (!take_number(&line, 16, '-', &map->start) || !take_number(&line, 16, ' ', &map->end) ||
	    !take_flags(&line, map) || !take_number(&line, 16, ' ', &map->offset) ||
	    !take_number(&line, 16, ':', &major) || !take_number(&line, 16, ' ', &minor))
		return false;
	char *stop;
	map->ino = strtoull(line, &stop, 10);
	if (stop == line)
		return false;
	map->dev = major << 32 | minor;
	map->path = stop + strspn(stop, " ");
	return map->start < map->end;
}

struct gs_err *gs_maps_parse(char *text, struct gs_maps *ret)
{
	struct gs_maps maps = { .text = text };
	gs_addr last_end = 0;
	char *next;

	for (char *line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		struct gs_map map = {};
		if (!parse_line(line, &map) || map.start < last_end) {
			gs_maps_fini(&maps);
			return gs_err_new(GS_ERR_FORMAT, "cannot parse the list of mappings");
		}
		last_end = map.end;
		*gs_vec_push(&maps) = map;
	}
	*ret = maps;
	return NULL;
}

struct gs_err *gs_maps_read(struct gs_target *target, struct gs_maps *ret)
{
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_target_openat(target, "maps", O_RDONLY, &fd);
	char *text = NULL;

	if (!err)
		err = gs_file_slurp(fd, "maps", &text, NULL);
	if (err && err->code == GS_ERR_PERMISSION) {
		int os_errno = err->os_errno;
		gs_err_free(err);
		return gs_target_denied(target, os_errno, "cannot read its mappings");
	}
	if (err)
		return err;
	return gs_maps_parse(text, ret);
}

void gs_maps_fini(struct gs_maps *maps)
{
	free(maps->data);
	free(maps->text);
	*maps = (struct gs_maps){};
}

const struct gs_map *gs_maps_find(const struct gs_maps *maps, gs_addr addr)
{
	size_t lo = 0, hi = maps->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (maps->data[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == maps->len || maps->data[lo].start > addr)
		return NULL;
	return &maps->data[lo];
}

bool gs_map_is_anon_rw(const struct gs_map *map)
{
	const uint8_t rw = GS_PROT_R | GS_PROT_W;

	return !map->ino && !map->shared && (map->prot & rw) == rw;
}
