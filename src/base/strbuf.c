/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "base/xalloc.h"

void gs_strbuf_add(struct gs_strbuf *sb, const char *s, size_t n)
{
	sb->data = gs_vec_grow(sb->data, &sb->cap, sb->len + n + 1, 1);
	memcpy(sb->data + sb->len, s, n);
	sb->len += n;
	sb->data[sb->len] = '\0';
}

void gs_strbuf_addf(struct gs_strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	sb->data = gs_vec_grow(sb->data, &sb->cap, sb->len + (size_t)n + 1, 1);
	va_start(ap, fmt);
	vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)n;
}

const char *gs_strbuf_str(const struct gs_strbuf *sb)
{
	return sb->data ? sb->data : "";
}

char *gs_strbuf_take(struct gs_strbuf *sb)
{
	char *s = sb->data ? sb->data : gs_xstrdup("");

	*sb = (struct gs_strbuf){};
	return s;
}

void gs_strbuf_fini(struct gs_strbuf *sb)
{
	free(sb->data);
	*sb = (struct gs_strbuf){};
}
