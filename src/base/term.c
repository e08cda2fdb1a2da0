/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/fmt.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MIN 40
#define WIDTH_MAX 4096	/* a COLUMNS beyond it is a mistake, and costs memory */

bool gs_term_color(int fd, enum gs_color_mode mode)
{
	if (mode != GS_COLOR_AUTO)
		return mode == GS_COLOR_ALWAYS;
	const char *no_color = getenv("NO_COLOR");
	if (no_color && no_color[0])
		return false;
	const char *term = getenv("TERM");
	if (!term || strcmp(term, "dumb") == 0)
		return false;
	return isatty(fd) == 1;
}

static unsigned terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	const char *columns = getenv("COLUMNS");
	uint64_t n;
	if (columns && gs_parse_uint(columns, 1, WIDTH_MAX, &n))
		return (unsigned)n;
	return WIDTH_DEFAULT;
}

unsigned gs_term_width(int fd)
{
	unsigned width = terminal_width(fd);

	return width < WIDTH_MIN ? WIDTH_MIN : width;
}

bool gs_term_has_blocks(void)
{
	static const wchar_t glyphs[] = L"\u2588\u2593\u2591\u00b7\u2581";

	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		return false;
	for (const wchar_t *c = glyphs; *c; c++) {
		if (wcwidth(*c) != 1)
			return false;
	}
	return true;
}
