/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growable string. Zero-initialise; free with gs_strbuf_fini(). */
#ifndef GS_BASE_STRBUF_H
#define GS_BASE_STRBUF_H

#include <stddef.h>

struct gs_strbuf {
	char *data;	/* NUL-terminated once anything was added, else NULL */
	size_t len;	/* bytes, without the NUL */
	size_t cap;
};

/** Append formatted text. */
void gs_strbuf_addf(struct gs_strbuf *sb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Append n bytes. */
void gs_strbuf_add(struct gs_strbuf *sb, const char *s, size_t n);

/** The text so far; "" when nothing was added. Owned by sb. */
const char *gs_strbuf_str(const struct gs_strbuf *sb);

/** Hand the text out and empty sb. Never NULL; the caller frees. */
char *gs_strbuf_take(struct gs_strbuf *sb);

/** Release sb's memory and empty it. */
void gs_strbuf_fini(struct gs_strbuf *sb);

#endif
