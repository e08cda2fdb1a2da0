/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/smaps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "proc/file.h"

/* "7f2a40000000-7f2a44000000 rw-p 00000000 08:01 1234   /path": begins with a hex digit. */
static bool parse_head(char *line, struct gs_smap *map)
{
	unsigned long long start, end;
	int path = 0;

	if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &path) != 2 || !path)
		return false;
	*map = (struct gs_smap){ .start = start, .end = end, .name = line + path };
	return start < end;
}

static uint64_t kib_of(const char *value)
{
	return strtoull(value, NULL, 10) * 1024;
}

static void add_field(struct gs_smaps *smaps, char *line)
{
	char *colon = strchr(line, ':');

	if (!colon || !smaps->len)
		return;
	*colon = '\0';
	uint64_t bytes = kib_of(colon + 1);
	if (!strcmp(line, "Rss")) {
		smaps->data[smaps->len - 1].rss_bytes = bytes;
		smaps->sum.rss_bytes += bytes;
	} else if (!strcmp(line, "Anonymous")) {
		smaps->sum.anonymous_bytes += bytes;
	} else if (!strcmp(line, "Swap")) {
		smaps->sum.swap_bytes += bytes;
	} else if (!strcmp(line, "AnonHugePages")) {
		smaps->sum.anon_huge_bytes += bytes;
	}
}

struct gs_err *gs_smaps_parse(char *text, struct gs_smaps *ret)
{
	struct gs_smaps smaps = { .text = text };
	char *next;

	for (char *line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		struct gs_smap map;
		bool is_field = *line >= 'A' && *line <= 'Z';
		if (is_field) {
			add_field(&smaps, line);
		} else if (parse_head(line, &map)) {
			*gs_vec_push(&smaps) = map;
		} else {
			gs_smaps_fini(&smaps);
			return gs_err_new(GS_ERR_FORMAT, "cannot parse smaps");
		}
	}
	*ret = smaps;
	return NULL;
}

struct gs_err *gs_smaps_read(struct gs_target *target, struct gs_smaps *ret)
{
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_target_openat(target, "smaps", O_RDONLY, &fd);
	char *text = NULL;

	if (!err)
		err = gs_file_slurp(fd, "smaps", &text, NULL);
	if (err)
		return err;
	return gs_smaps_parse(text, ret);
}

void gs_smaps_fini(struct gs_smaps *smaps)
{
	free(smaps->data);
	free(smaps->text);
	*smaps = (struct gs_smaps){};
}
