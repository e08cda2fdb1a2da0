/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/strbuf.h"

/* Marks that combine with one character: more than any script needs is an attack on the line. */
#define MARKS_MAX 4

/* What starts with a byte in [first, last]: its length and the range of its second byte. */
struct utf8_form {
	uint8_t first, last, len, second_min, second_max;
};

/* Overlong forms, surrogates and what lies beyond U+10FFFF are not in here. */
static const struct utf8_form utf8_forms[] = {
	{ 0x01, 0x7f, 1, 0, 0 },
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};

static const struct utf8_form *utf8_form_of(uint8_t byte)
{
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
		if (byte >= utf8_forms[i].first && byte <= utf8_forms[i].last)
			return &utf8_forms[i];
	}
	return NULL;
}

/* Bytes of the valid character at s (n bytes left), 0 if there is none. */
static size_t utf8_len(const uint8_t *s, size_t n)
{
	const struct utf8_form *form = utf8_form_of(s[0]);

	if (!form || form->len > n)
		return 0;
	if (form->len > 1 && (s[1] < form->second_min || s[1] > form->second_max))
		return 0;
	for (size_t i = 2; i < form->len; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	}
	return form->len;
}

char *gs_text_utf8(const char *s, size_t n)
{
	struct gs_strbuf sb = {};

	n = strnlen(s, n);
	for (size_t i = 0; i < n;) {
		size_t len = utf8_len((const uint8_t *)s + i, n - i);

		if (len)
			gs_strbuf_add(&sb, s + i, len);
		else
			gs_strbuf_add(&sb, "\xef\xbf\xbd", 3);
		i += len ? len : 1;
	}
	return gs_strbuf_take(&sb);
}

/* Characters that print nothing but change or hide what stands around them. */
static bool is_invisible(wchar_t c)
{
	static const struct { uint32_t first, last; } ranges[] = {
		{ 0x00ad, 0x00ad },	/* soft hyphen */
		{ 0x061c, 0x061c },	/* Arabic letter mark */
		{ 0x180e, 0x180e },	/* Mongolian vowel separator */
		{ 0x200b, 0x200f },	/* zero width space to right-to-left mark */
		{ 0x2028, 0x202e },	/* separators, embeddings and overrides */
		{ 0x2060, 0x206f },	/* word joiner, isolates, deprecated controls */
		{ 0xfeff, 0xfeff },	/* byte order mark */
		{ 0xfff9, 0xfffb },	/* interlinear annotation */
		{ 0xe0000, 0xe007f },	/* tags */
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if ((uint32_t)c >= ranges[i].first && (uint32_t)c <= ranges[i].last)
			return true;
	}
	return false;
}

/* One character of a string: its bytes, its columns, and whether a terminal may have it. */
struct glyph {
	size_t len;
	size_t width;
	bool printable;
};

static struct glyph next_glyph(const char *s, size_t n, mbstate_t *state)
{
	wchar_t c;
	size_t len = mbrtowc(&c, s, n, state);

	if (len == (size_t)-1 || len == (size_t)-2 || len == 0) {
		*state = (mbstate_t){};
		return (struct glyph){ .len = 1, .width = 1 };
	}
	int width = wcwidth(c);
	if (width < 0 || iswcntrl((wint_t)c) || !iswprint((wint_t)c) || is_invisible(c))
		return (struct glyph){ .len = len, .width = 1 };
	return (struct glyph){ .len = len, .width = (size_t)width, .printable = true };
}

char *gs_text_safe(const char *s, size_t max_width)
{
	struct gs_strbuf sb = {};
	mbstate_t state = {};
	size_t n = strlen(s), width = 0, marks = 0;
	size_t keep = 0;	/* bytes of sb that leave room for the '+' */

	for (size_t i = 0; i < n;) {
		struct glyph glyph = next_glyph(s + i, n - i, &state);

		marks = glyph.width ? 0 : marks + 1;
		if (marks && (width == 0 || marks > MARKS_MAX))
			glyph = (struct glyph){ .len = glyph.len, .width = 1 };
		if (max_width && width + glyph.width > max_width) {
			sb.len = keep;
			gs_strbuf_add(&sb, "+", 1);
			break;
		}
		if (glyph.printable)
			gs_strbuf_add(&sb, s + i, glyph.len);
		else
			gs_strbuf_add(&sb, "?", 1);
		width += glyph.width;
		if (width < max_width)
			keep = sb.len;
		i += glyph.len;
	}
	return gs_strbuf_take(&sb);
}

size_t gs_text_width(const char *s)
{
	mbstate_t state = {};
	size_t n = strlen(s), width = 0;

	for (size_t i = 0; i < n;) {
		struct glyph glyph = next_glyph(s + i, n - i, &state);

		width += glyph.width;
		i += glyph.len;
	}
	return width;
}
