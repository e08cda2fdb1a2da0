/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text from a target is hostile: it is filtered before it reaches a terminal or a document. */
#ifndef GS_BASE_TEXT_H
#define GS_BASE_TEXT_H

#include <stddef.h>

/**
 * A copy of s (n bytes, may hold NULs) that is valid UTF-8: each invalid byte becomes U+FFFD,
 * NULs end it. Control characters stay: the JSON writer escapes them. The caller frees.
 */
char *gs_text_utf8(const char *s, size_t n);

/**
 * A copy of the string s that is safe on a terminal in the current locale: control characters
 * (C0, DEL, C1, and the Unicode direction overrides), unprintable and invisible ones become '?',
 * and it is cut to max_width columns, the last one then being '+'; max_width 0 means no cut.
 * The caller frees.
 */
char *gs_text_safe(const char *s, size_t max_width);

/** Columns the string takes on a terminal; unprintable characters count 1. */
size_t gs_text_width(const char *s);

#endif
