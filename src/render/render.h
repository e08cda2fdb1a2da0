/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A snapshot as text or as a document. */
#ifndef GS_RENDER_RENDER_H
#define GS_RENDER_RENDER_H

#include <stdbool.h>
#include <stdio.h>

#include "model/snapshot.h"

struct gs_text_options {
	unsigned width;		/* columns, at least 40 */
	bool color;
	bool ascii;		/* no block characters */
	bool exact;		/* --bytes: sizes as plain numbers of bytes */
	bool summary;		/* only the answer */
	bool all_heaps;
	int arena;		/* only this arena's table row and heaps, or -1 */
};

/** The report for people. Write errors show in ferror(out). */
void gs_render_text(const struct gs_snapshot *snapshot, const struct gs_text_options *options,
		    FILE *out);

enum gs_table_format { GS_TABLE_ALIGNED, GS_TABLE_RAW, GS_TABLE_PAIRS };

struct gs_table_options {
	const char *columns;	/* "arena,size,…"; "+name" appends; NULL: the default */
	bool all_columns;
	enum gs_table_format format;
	bool no_headings;
	bool exact;		/* sizes in bytes */
	int arena;		/* only this arena, or -1 */
	unsigned width;
};

/**
 * The table of arenas alone, through libsmartcols. An unknown column is an error that names it,
 * and the hint lists all (GS_ERR_NOT_FOUND).
 */
struct gs_err *gs_render_table(const struct gs_snapshot *snapshot,
			       const struct gs_table_options *options, FILE *out);

/** NULL if columns is a valid list for gs_render_table, else its error. Nothing is printed. */
struct gs_err *gs_table_check_columns(const char *columns);

/** Print the columns there are, one a line: NAME, then what it means (--list-columns). */
void gs_table_list_columns(FILE *out);

/** The glibcstall.inspect/1 document, one object, a newline after it. compact: on one line. */
struct gs_err *gs_render_json(const struct gs_snapshot *snapshot, bool compact, FILE *out);

#endif
