/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "base/xalloc.h"
#include "model/snapshot.h"

static const char *const style_codes[] = {
	[GS_STYLE_PLAIN] = NULL,
	[GS_STYLE_HEADING] = "1",
	[GS_STYLE_LIVE] = "32",
	[GS_STYLE_MIXED] = "33",
	[GS_STYLE_STALLED] = "31",
	[GS_STYLE_RETURNED] = "2;34",
	[GS_STYLE_TOP] = "36",
	[GS_STYLE_HIGH] = "31",
	[GS_STYLE_MEDIUM] = "33",
};

static const struct cell {
	char letter;
	char ascii[2];
	char block[4];
	enum gs_style style;
} cell_kinds[] = {
	{ 'L', "#", "\u2588", GS_STYLE_LIVE },
	{ 'X', "+", "\u2593", GS_STYLE_MIXED },
	{ 'S', "o", "\u2591", GS_STYLE_STALLED },
	{ 'R', ".", "\u00b7", GS_STYLE_RETURNED },
	{ 'T', "^", "\u2581", GS_STYLE_TOP },
	{ '-', " ", " ", GS_STYLE_PLAIN },
};

static void style_on(const struct gs_page *page, enum gs_style style)
{
	if (page->color && style_codes[style])
		fprintf(page->out, "\033[%sm", style_codes[style]);
}

static void style_off(const struct gs_page *page, enum gs_style style)
{
	if (page->color && style_codes[style])
		fputs("\033[0m", page->out);
}

/* The column the next text starts at. */
static unsigned next_col(const struct gs_page *page)
{
	return page->goal > page->col ? page->goal : page->col;
}

/* Blanks are printed only when text follows: no line ends in them. */
static void pay_blanks(struct gs_page *page)
{
	while (page->col < page->goal) {
		fputc(' ', page->out);
		page->col++;
	}
}

/* Print text that is filtered and fits. */
static void put_safe(struct gs_page *page, enum gs_style style, const char *text)
{
	pay_blanks(page);
	style_on(page, style);
	fputs(text, page->out);
	style_off(page, style);
	page->col += (unsigned)gs_text_width(text);
}

void gs_page_text(struct gs_page *page, enum gs_style style, const char *text)
{
	if (!text[0] || next_col(page) >= page->width)
		return;
	cleanup_free_ char *safe = gs_text_safe(text, page->width - next_col(page));
	put_safe(page, style, safe);
}

void gs_page_textf(struct gs_page *page, const char *fmt, ...)
{
	va_list ap;
	char *buf;

	va_start(ap, fmt);
	int n = vasprintf(&buf, fmt, ap);
	va_end(ap);
	cleanup_free_ char *text = n < 0 ? gs_xstrdup("") : buf;
	gs_page_text(page, GS_STYLE_PLAIN, text);
}

void gs_page_to(struct gs_page *page, unsigned col)
{
	if (col > next_col(page))
		page->goal = col;
}

void gs_page_right(struct gs_page *page, unsigned end, const char *text)
{
	unsigned width = (unsigned)gs_text_width(text);

	gs_page_to(page, end > width ? end - width : 0);
	gs_page_text(page, GS_STYLE_PLAIN, text);
}

bool gs_page_fits(const struct gs_page *page, unsigned gap, const char *text)
{
	return next_col(page) + gap + gs_text_width(text) <= page->width;
}

void gs_page_piece(struct gs_page *page, unsigned indent, const char *text)
{
	if (gs_page_fits(page, 2, text)) {
		gs_page_to(page, page->col + 2);
		gs_page_text(page, GS_STYLE_PLAIN, text);
		return;
	}
	gs_page_end(page);
	gs_page_to(page, indent);
	gs_page_wrap(page, indent, text);
}

/* Bytes of the longest start of the n bytes at s that fits in columns; at least one character. */
static size_t head_len(const char *s, size_t n, size_t columns)
{
	mbstate_t state = {};
	size_t len = 0, width = 0;

	while (len < n) {
		wchar_t c;
		size_t used = mbrtowc(&c, s + len, n - len, &state);

		/* The text is filtered, so this does not happen; it must not loop if it does. */
		if (used == 0 || used > n - len)
			return n;
		int columns_of_c = wcwidth(c);
		width += columns_of_c > 0 ? (size_t)columns_of_c : 0;
		if (width > columns && len > 0)
			break;
		len += used;
	}
	return len;
}

/* Print one word on this line or, if it does not fit, on the lines from here on. */
static void wrap_word(struct gs_page *page, unsigned indent, bool first, char *word)
{
	unsigned gap = first ? 0 : 1;

	if (!gs_page_fits(page, gap, word) && next_col(page) > indent) {
		gs_page_end(page);
		gap = 0;
	}
	gs_page_to(page, next_col(page) + gap);
	gs_page_to(page, indent);
	while (!gs_page_fits(page, 0, word)) {
		size_t n = head_len(word, strlen(word), page->width - next_col(page));
		cleanup_free_ char *head = gs_xasprintf("%.*s", (int)n, word);

		put_safe(page, GS_STYLE_PLAIN, head);
		gs_page_end(page);
		gs_page_to(page, indent);
		word += n;
	}
	if (*word)
		put_safe(page, GS_STYLE_PLAIN, word);
}

void gs_page_wrap(struct gs_page *page, unsigned indent, const char *text)
{
	cleanup_free_ char *safe = gs_text_safe(text, 0);
	char *rest = NULL;
	bool first = true;

	for (char *word = strtok_r(safe, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		wrap_word(page, indent, first, word);
		first = false;
	}
}

void gs_page_end(struct gs_page *page)
{
	fputc('\n', page->out);
	page->col = 0;
	page->goal = 0;
}

static const struct cell *cell_kind(char letter)
{
	size_t n = sizeof(cell_kinds) / sizeof(cell_kinds[0]);

	for (size_t i = 0; i < n; i++) {
		if (cell_kinds[i].letter == letter)
			return &cell_kinds[i];
	}
	return &cell_kinds[n - 1];
}

void gs_page_cells(struct gs_page *page, char letter, size_t n)
{
	const struct cell *kind = cell_kind(letter);

	if (n > page->width - next_col(page))
		n = page->width - next_col(page);
	if (n == 0)
		return;
	if (kind->ascii[0] == ' ') {
		gs_page_to(page, next_col(page) + (unsigned)n);
		return;
	}
	pay_blanks(page);
	style_on(page, kind->style);
	for (size_t i = 0; i < n; i++)
		fputs(page->ascii ? kind->ascii : kind->block, page->out);
	style_off(page, kind->style);
	page->col += (unsigned)n;
}

char *gs_page_size(const struct gs_page *page, char *buf, uint64_t bytes)
{
	if (bytes == GS_UNKNOWN)
		return strcpy(buf, "?");
	if (!page->exact)
		return gs_fmt_size(buf, bytes);
	snprintf(buf, GS_FMT_LEN, "%" PRIu64, bytes);
	return buf;
}
