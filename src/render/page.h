/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of text for people. Whatever is printed through a page is filtered for the terminal and
 * never leaves its width; colour only repeats what the text says.
 */
#ifndef GS_RENDER_PAGE_H
#define GS_RENDER_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/fmt.h"

enum gs_style {
	GS_STYLE_PLAIN,
	GS_STYLE_HEADING,
	GS_STYLE_LIVE,
	GS_STYLE_MIXED,
	GS_STYLE_STALLED,
	GS_STYLE_RETURNED,
	GS_STYLE_TOP,
	GS_STYLE_HIGH,
	GS_STYLE_MEDIUM,
};

struct gs_page {
	FILE *out;
	unsigned width;		/* columns of a line */
	bool color;
	bool ascii;		/* no block characters */
	bool exact;		/* sizes in bytes */
	unsigned col;		/* columns of the line printed so far */
	unsigned goal;		/* column of the next text: blanks before it are owed */
};

/** Print text; what does not fit the line is cut, and a '+' says so. */
void gs_page_text(struct gs_page *page, enum gs_style style, const char *text);

/** The same, printf-style, without a style. */
void gs_page_textf(struct gs_page *page, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** The next text starts at the column col, or where the line ends if that is further right. */
void gs_page_to(struct gs_page *page, unsigned col);

/** Print text so that it ends before the column end. */
void gs_page_right(struct gs_page *page, unsigned end, const char *text);

/** Print text two columns on, or on a new line from the column indent if it does not fit. */
void gs_page_piece(struct gs_page *page, unsigned indent, const char *text);

/** Print text broken at blanks; all lines but the current one start at the column indent. */
void gs_page_wrap(struct gs_page *page, unsigned indent, const char *text);

/** End the line. */
void gs_page_end(struct gs_page *page);

/** Print n map cells of one kind: a letter as in struct gs_heap.cells. */
void gs_page_cells(struct gs_page *page, char letter, size_t n);

/** Would text still fit on this line, gap columns on? */
bool gs_page_fits(const struct gs_page *page, unsigned gap, const char *text);

/** A size as this page writes sizes, "?" if it is GS_UNKNOWN. Returns buf (GS_FMT_LEN bytes). */
char *gs_page_size(const struct gs_page *page, char *buf, uint64_t bytes);

#endif
