/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Print a snapshot of sample.h: render_sample NAME json | compact | text WIDTH [OPTION…] with the
 * options ascii, color, bytes, summary, all-heaps.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/sample.h"
#include "render/render.h"

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i], word) == 0)
			return true;
	}
	return false;
}

static int print(const struct gs_snapshot *s, int argc, char **argv)
{
	if (strcmp(argv[2], "text") != 0)
		return gs_render_json(s, strcmp(argv[2], "compact") == 0, stdout) ? 1 : 0;
	if (argc < 4)
		return 2;
	struct gs_text_options options = {
		.width = (unsigned)atoi(argv[3]),
		.ascii = has_word(argc, argv, "ascii"),
		.color = has_word(argc, argv, "color"),
		.exact = has_word(argc, argv, "bytes"),
		.summary = has_word(argc, argv, "summary"),
		.all_heaps = has_word(argc, argv, "all-heaps"),
		.arena = -1,
	};
	gs_render_text(s, &options, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	setlocale(LC_ALL, "");
	for (int i = 0; argc > 2 && i < GS_SAMPLE_N; i++) {
		if (strcmp(argv[1], gs_sample_names[i]) != 0)
			continue;
		struct gs_snapshot *s = gs_sample_new((enum gs_sample)i);
		int status = print(s, argc, argv);

		gs_snapshot_free(s);
		return status;
	}
	return 2;
}
