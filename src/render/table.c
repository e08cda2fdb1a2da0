/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "render/render.h"

#include <libsmartcols.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/text.h"
#include "base/vec.h"
#include "base/xalloc.h"
#include "render/columns.h"

struct column_list {
	enum gs_column_id *data;
	size_t len, cap;
};

static void column_list_fini(struct column_list *list)
{
	free(list->data);
}

static void table_unref(struct libscols_table **table)
{
	scols_unref_table(*table);
}

static void add_columns(struct column_list *list, bool all)
{
	for (size_t i = 0; i < GS_COLUMN_N; i++) {
		if (all || gs_columns[i].by_default)
			*gs_vec_push(list) = (enum gs_column_id)i;
	}
}

static struct gs_err *unknown_column(const char *name, size_t len)
{
	cleanup_free_ char *copy = gs_xasprintf("%.*s", (int)(len > 256 ? 256 : len), name);
	cleanup_free_ char *safe = gs_text_safe(copy, 40);
	struct gs_strbuf names = {};

	for (size_t i = 0; i < GS_COLUMN_N; i++)
		gs_strbuf_addf(&names, "%s%s", i ? ", " : "", gs_columns[i].name);
	struct gs_err *err = gs_err_new(GS_ERR_NOT_FOUND, "unknown column '%s'", safe);
	err = gs_err_hint(err, "the columns are %s", gs_strbuf_str(&names));
	gs_strbuf_fini(&names);
	return err;
}

static bool find_column(const char *name, size_t len, enum gs_column_id *ret)
{
	for (size_t i = 0; i < GS_COLUMN_N; i++) {
		if (strlen(gs_columns[i].name) == len &&
		    strncasecmp(gs_columns[i].name, name, len) == 0) {
			*ret = (enum gs_column_id)i;
			return true;
		}
	}
	return false;
}

static struct gs_err *parse_columns(const char *columns, struct column_list *list)
{
	if (!columns || columns[0] == '+')
		add_columns(list, false);
	if (!columns)
		return NULL;
	const char *name = columns[0] == '+' ? columns + 1 : columns;

	for (;;) {
		size_t len = strcspn(name, ",");
		enum gs_column_id id;

		if (!find_column(name, len, &id))
			return unknown_column(name, len);
		*gs_vec_push(list) = id;
		if (name[len] == '\0')
			return NULL;
		name += len + 1;
	}
}

struct gs_err *gs_table_check_columns(const char *columns)
{
	cleanup_(column_list_fini) struct column_list list = {};

	return parse_columns(columns, &list);
}

void gs_table_list_columns(FILE *out)
{
	for (size_t i = 0; i < GS_COLUMN_N; i++)
		fprintf(out, "%-12s %s\n", gs_columns[i].name, gs_columns[i].help);
}

static bool add_line(struct libscols_table *table, const struct column_list *list,
		     const struct gs_row *row, bool exact)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line)
		return false;
	for (size_t i = 0; i < list->len; i++) {
		cleanup_free_ char *text = gs_column_text(list->data[i], row, exact);

		if (scols_line_set_data(line, i, text) != 0)
			return false;
	}
	return true;
}

static bool add_headings(struct libscols_table *table, const struct column_list *list)
{
	for (size_t i = 0; i < list->len; i++) {
		int flags = gs_column_is_right(list->data[i]) ? SCOLS_FL_RIGHT : 0;

		if (!scols_table_new_column(table, gs_columns[list->data[i]].heading, 0, flags))
			return false;
	}
	return true;
}

static bool add_lines(struct libscols_table *table, const struct column_list *list,
		      const struct gs_snapshot *snapshot, const struct gs_table_options *options)
{
	size_t n;
	cleanup_free_ const struct gs_arena **arenas =
		gs_arenas_worst(snapshot, options->arena, &n);

	for (size_t i = 0; i < n; i++) {
		struct gs_row row;

		gs_row_init(&row, snapshot, arenas[i]);
		if (!add_line(table, list, &row, options->exact))
			return false;
	}
	return true;
}

static bool set_up(struct libscols_table *table, const struct gs_table_options *options)
{
	bool raw = options->format == GS_TABLE_RAW, pairs = options->format == GS_TABLE_PAIRS;

	return scols_table_enable_raw(table, raw) == 0 &&
	       scols_table_enable_export(table, pairs) == 0 &&
	       scols_table_enable_shellvar(table, pairs) == 0 &&
	       scols_table_enable_noheadings(table, options->no_headings) == 0 &&
	       scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS) == 0 &&
	       scols_table_set_termwidth(table, options->width) == 0;
}

struct gs_err *gs_render_table(const struct gs_snapshot *snapshot,
			       const struct gs_table_options *options, FILE *out)
{
	cleanup_(column_list_fini) struct column_list list = {};

	if (options->all_columns) {
		add_columns(&list, true);
	} else {
		struct gs_err *err = parse_columns(options->columns, &list);
		if (err)
			return err;
	}

	cleanup_(table_unref) struct libscols_table *table = scols_new_table();
	if (!table || !set_up(table, options) || !add_headings(table, &list) ||
	    !add_lines(table, &list, snapshot, options))
		return &gs_err_nomem;
	if (scols_table_set_stream(table, out) != 0 || scols_print_table(table) != 0)
		return &gs_err_nomem;
	return NULL;
}
