/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collect/owner.h"

#include <string.h>

#include "base/xalloc.h"

enum { TEXT_MIN = 4 };	/* fewer printable characters in a row are chance */

static bool is_printable(unsigned char c)
{
	return c >= 0x20 && c < 0x7f;
}

char *gs_owner_of(struct gs_symbolizer *symbolizer, const unsigned char *bytes, size_t len,
		  unsigned word)
{
	for (size_t at = 0; at + word <= len; at += word) {
		uint64_t value = 0;
		memcpy(&value, bytes + at, word);
		char *name = value ? gs_symbolizer_name(symbolizer, value) : NULL;
		if (name)
			return name;
	}
	size_t n = 0;
	while (n < len && is_printable(bytes[n]))
		n++;
	if (n < TEXT_MIN || (n < len && bytes[n]))
		return NULL;
	return gs_xasprintf("\"%.*s%s\"", (int)n, (const char *)bytes, n == len ? "…" : "");
}
