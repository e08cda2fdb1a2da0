/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fmt.h"
#include "base/term.h"
#include "base/vec.h"
#include "collect/collect.h"
#include "command.h"
#include "message.h"
#include "options.h"
#include "render/render.h"

enum {
	KEY_STOP = GS_KEY_FIRST_FREE,
	KEY_CORE,
	KEY_EXE,
	KEY_NO_DEBUGINFO,
	KEY_VERIFY,
	KEY_FORMAT,
	KEY_OUTPUT_ALL,
	KEY_NOHEADINGS,
	KEY_BYTES,
	KEY_ARENA,
	KEY_ALL_HEAPS,
	KEY_SUMMARY,
	KEY_COLOR,
	KEY_ASCII,
	KEY_WIDTH,
	KEY_FAIL_ABOVE,
	KEY_END,
};

static const struct gs_option inspect_options[] = {
	{ "pid", 'p', required_argument, "PID", "What to look at",
	  "a process to inspect, same as an operand" },
	{ "stop", KEY_STOP, no_argument, NULL, NULL,
	  "stop the process during the walk, for an exact view" },
	{ "core", KEY_CORE, required_argument, "FILE", NULL,
	  "inspect a core file instead of a process" },
	{ "exe", KEY_EXE, required_argument, "FILE", NULL,
	  "the core's program, if it is not where it was" },
	{ "no-debuginfo", KEY_NO_DEBUGINFO, no_argument, NULL, NULL,
	  "find malloc by structure alone, use no symbols" },
	{ "verify", KEY_VERIFY, no_argument, NULL, NULL,
	  "compare the layout with the debug information" },
	{ "format", KEY_FORMAT, required_argument, "text|json", "Output",
	  "a report for people (default) or for programs" },
	{ "json", 'J', no_argument, NULL, NULL, "same as --format=json" },
	{ "summary", KEY_SUMMARY, no_argument, NULL, NULL, "only the answer, no tables and maps" },
	{ "arena", KEY_ARENA, required_argument, "N", NULL, "only arena N (0 is the main arena)" },
	{ "all-heaps", KEY_ALL_HEAPS, no_argument, NULL, NULL, "maps of all heaps, not the worst" },
	{ "bytes", KEY_BYTES, no_argument, NULL, NULL, "sizes as exact numbers of bytes" },
	{ "color", KEY_COLOR, optional_argument, "WHEN", NULL, "auto (default), always or never" },
	{ "ascii", KEY_ASCII, no_argument, NULL, NULL, "no block characters" },
	{ "width", KEY_WIDTH, required_argument, "N", NULL, "columns to use, at least 40" },
	{ "quiet", 'q', no_argument, NULL, NULL, "no warnings on standard error" },
	{ "output", 'o', required_argument, "LIST", "Table of arenas alone",
	  "these columns; +COLUMN adds to the default" },
	{ "output-all", KEY_OUTPUT_ALL, no_argument, NULL, NULL, "all columns" },
	{ "list-columns", 'H', no_argument, NULL, NULL, "list the columns there are" },
	{ "raw", 'r', no_argument, NULL, NULL, "columns separated by one space" },
	{ "pairs", 'P', no_argument, NULL, NULL, "KEY=\"value\" pairs" },
	{ "noheadings", KEY_NOHEADINGS, no_argument, NULL, NULL, "no line of headings" },
	{ "fail-above", KEY_FAIL_ABOVE, required_argument, "SIZE|PCT", "Checks",
	  "exit 4 if more is stalled, e.g. 500M or 20% of RSS" },
	GS_OPTIONS_COMMON,
};

/* Options of which only one may be given. */
static const struct {
	int a, b;
} conflicts[] = {
	{ KEY_CORE, KEY_STOP }, { KEY_CORE, KEY_FAIL_ABOVE },
	{ KEY_NO_DEBUGINFO, KEY_VERIFY },
	{ 'J', 'o' }, { 'J', KEY_OUTPUT_ALL }, { 'J', 'r' }, { 'J', 'P' },
	{ 'J', KEY_NOHEADINGS }, { 'J', KEY_SUMMARY }, { 'J', KEY_ARENA },
	{ 'o', KEY_OUTPUT_ALL }, { 'r', 'P' },
	{ KEY_SUMMARY, 'o' }, { KEY_SUMMARY, KEY_OUTPUT_ALL }, { KEY_SUMMARY, 'r' },
	{ KEY_SUMMARY, 'P' }, { KEY_SUMMARY, KEY_NOHEADINGS }, { KEY_SUMMARY, KEY_ARENA },
	{ KEY_SUMMARY, KEY_ALL_HEAPS },
	{ KEY_ALL_HEAPS, 'o' }, { KEY_ALL_HEAPS, KEY_OUTPUT_ALL }, { KEY_ALL_HEAPS, 'r' },
	{ KEY_ALL_HEAPS, 'P' }, { KEY_ALL_HEAPS, KEY_NOHEADINGS },
};

enum output { OUTPUT_REPORT, OUTPUT_TABLE, OUTPUT_JSON };

struct inspect {
	const struct gs_command *command;
	bool given[KEY_END];		/* by key */
	struct { int *data; size_t len, cap; } pids;
	const char *core, *exe;
	struct gs_collect_options collect;
	struct gs_text_options text;
	struct gs_table_options table;
	enum gs_color_mode color;
	enum output output;
	bool printed;			/* a report is out already */
	uint64_t max_stalled;		/* --fail-above as a size; GS_UNKNOWN: none */
	double max_percent;		/* --fail-above as a percentage; negative: none */
};

static bool take_pid(struct inspect *in, const char *arg)
{
	uint64_t pid;

	if (!gs_parse_uint(arg, 1, INT_MAX, &pid))
		return false;
	*gs_vec_push(&in->pids) = (int)pid;
	return true;
}

static bool take_core(struct inspect *in, const char *arg)
{
	in->core = arg;
	return *arg;
}

static bool take_exe(struct inspect *in, const char *arg)
{
	in->exe = arg;
	return *arg;
}

static bool take_format(struct inspect *in, const char *arg)
{
	in->given['J'] = !strcmp(arg, "json");
	return in->given['J'] || !strcmp(arg, "text");
}

static bool take_arena(struct inspect *in, const char *arg)
{
	uint64_t n;

	if (!gs_parse_uint(arg, 0, INT_MAX, &n))
		return false;
	in->text.arena = in->table.arena = (int)n;
	return true;
}

static bool take_width(struct inspect *in, const char *arg)
{
	uint64_t n;

	if (!gs_parse_uint(arg, 40, 10000, &n))
		return false;
	in->text.width = in->table.width = (unsigned)n;
	return true;
}

static bool take_color(struct inspect *in, const char *arg)
{
	static const char *const names[] = {
		[GS_COLOR_AUTO] = "auto", [GS_COLOR_ALWAYS] = "always", [GS_COLOR_NEVER] = "never",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg ? arg : "always", names[i]))
			continue;
		in->color = (enum gs_color_mode)i;
		return true;
	}
	return false;
}

static bool take_columns(struct inspect *in, const char *arg)
{
	in->table.columns = arg;
	return true;
}

static bool take_fail_above(struct inspect *in, const char *arg)
{
	in->max_stalled = GS_UNKNOWN;
	in->max_percent = -1;
	return gs_parse_percent(arg, &in->max_percent) || gs_parse_size(arg, &in->max_stalled);
}

/* What the options with an argument do; the others only count as given. */
static const struct {
	int key;
	bool (*take)(struct inspect *in, const char *arg);
} takers[] = {
	{ 'p', take_pid },
	{ KEY_CORE, take_core },
	{ KEY_EXE, take_exe },
	{ KEY_FORMAT, take_format },
	{ KEY_ARENA, take_arena },
	{ KEY_WIDTH, take_width },
	{ KEY_COLOR, take_color },
	{ 'o', take_columns },
	{ KEY_FAIL_ABOVE, take_fail_above },
};

static bool take_option(const struct gs_option *option, const char *arg, void *data)
{
	struct inspect *in = data;

	in->given[option->key] = true;
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (takers[i].key != option->key || takers[i].take(in, arg))
			continue;
		gs_message_usage(in->command, "invalid argument '%s' of --%s", arg, option->name);
		return false;
	}
	return true;
}

static const char *option_name(int key)
{
	const struct gs_option *o = inspect_options;

	while (o->key != key)
		o++;
	return o->name;
}

static bool conflicting(const struct inspect *in)
{
	for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
		if (!in->given[conflicts[i].a] || !in->given[conflicts[i].b])
			continue;
		gs_message_usage(in->command, "--%s and --%s exclude each other",
				 option_name(conflicts[i].a), option_name(conflicts[i].b));
		return true;
	}
	return false;
}

static bool columns_exist(const struct inspect *in)
{
	struct gs_err *err = in->table.columns ? gs_table_check_columns(in->table.columns) : NULL;

	if (!err)
		return true;
	gs_message(in->command->name, "%s", err->msg);
	if (err->hint)
		gs_message("hint", "%s", err->hint);
	gs_err_free(err);
	gs_message_try_help(in->command);
	return false;
}

/* Fill in what follows from the options given. */
static void settle(struct inspect *in)
{
	const bool *given = in->given;
	bool table = given['o'] || given[KEY_OUTPUT_ALL] || given['r'] || given['P'] ||
		     given[KEY_NOHEADINGS];

	in->output = given['J'] ? OUTPUT_JSON : table ? OUTPUT_TABLE : OUTPUT_REPORT;
	in->collect.stop = given[KEY_STOP];
	in->collect.no_debuginfo = given[KEY_NO_DEBUGINFO];
	in->collect.verify = given[KEY_VERIFY];
	in->text.color = gs_term_color(STDOUT_FILENO, in->color);
	in->text.ascii = given[KEY_ASCII] || !gs_term_has_blocks();
	in->text.summary = given[KEY_SUMMARY];
	in->text.all_heaps = given[KEY_ALL_HEAPS];
	in->text.exact = in->table.exact = given[KEY_BYTES];
	in->table.all_columns = given[KEY_OUTPUT_ALL];
	in->table.format = given['r'] ? GS_TABLE_RAW : given['P'] ? GS_TABLE_PAIRS
								  : GS_TABLE_ALIGNED;
	in->table.no_headings = given[KEY_NOHEADINGS];
	if (!given[KEY_WIDTH])
		in->text.width = in->table.width = gs_term_width(STDOUT_FILENO);
}

static struct gs_err *render(const struct inspect *in, const struct gs_snapshot *snapshot,
			     FILE *out)
{
	switch (in->output) {
	case OUTPUT_JSON:
		return gs_render_json(snapshot, in->pids.len > 1, out);
	case OUTPUT_TABLE:
		return gs_render_table(snapshot, &in->table, out);
	case OUTPUT_REPORT:
		break;
	}
	gs_render_text(snapshot, &in->text, out);
	return NULL;
}

/* Print the report, or nothing if it cannot be made whole. */
static struct gs_err *print_report(struct inspect *in, const struct gs_snapshot *snapshot)
{
	cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return gs_err_os(errno, "cannot buffer the report");
	struct gs_err *err = render(in, snapshot, out);
	if (fclose(out) && !err)
		err = gs_err_os(errno, "cannot buffer the report");
	if (err)
		return err;
	if (in->printed && in->output != OUTPUT_JSON)
		putchar('\n');
	fwrite(text, 1, len, stdout);
	in->printed = true;
	return NULL;
}

static bool has_arena(const struct gs_snapshot *snapshot, unsigned index)
{
	for (size_t i = 0; i < snapshot->n_arenas; i++)
		if (snapshot->arenas[i].index == index)
			return true;
	return false;
}

/* Is more stalled than --fail-above allows? Says so. */
static bool is_above(const struct inspect *in, const char *subject,
		     const struct gs_snapshot *snapshot)
{
	uint64_t stalled = snapshot->totals.stalled_bytes;
	uint64_t rss = snapshot->target.rss_bytes;
	char size[GS_FMT_LEN], limit[GS_FMT_LEN];

	if (!in->given[KEY_FAIL_ABOVE] || stalled == GS_UNKNOWN)
		return false;
	if (in->max_percent >= 0) {
		if ((double)stalled * 100 <= in->max_percent * (double)rss)
			return false;
		snprintf(limit, sizeof(limit), "%g%% of RSS", in->max_percent);
	} else {
		if (stalled <= in->max_stalled)
			return false;
		gs_fmt_size(limit, in->max_stalled);
	}
	if (!in->given['q'])
		gs_message(in->command->name, "%s: %s stalled, more than %s", subject,
			   gs_fmt_size(size, stalled), limit);
	return true;
}

static enum gs_exit fail(const struct inspect *in, const char *subject, struct gs_err *err)
{
	gs_message_err(in->command->name, subject, err);
	return GS_EXIT_FAILED;
}

/* Not of the malloc that the program calls: the report is complete, but who reads it must know. */
static void warn_program_malloc(const struct inspect *in, const char *subject,
				const struct gs_snapshot *snapshot)
{
	const char *name = snapshot->program_malloc.name, *path = snapshot->program_malloc.path;

	if (path && !in->given['q'])
		gs_message(in->command->name,
			   "%s: its malloc is %s%sin %s; the report is of glibc's beside it",
			   subject, name ? name : "", name ? ", " : "", path);
}

/* subject: what messages call it. */
static enum gs_exit inspect_snapshot(struct inspect *in, const char *subject,
				     const struct gs_snapshot *snapshot)
{
	if (in->given[KEY_ARENA] && !has_arena(snapshot, (unsigned)in->text.arena))
		return fail(in, subject, gs_err_new(GS_ERR_NOT_FOUND, "no arena %d, it has %zu",
						    in->text.arena, snapshot->n_arenas));
	struct gs_err *err = print_report(in, snapshot);
	if (err)
		return fail(in, subject, err);

	warn_program_malloc(in, subject, snapshot);
	bool above = is_above(in, subject, snapshot);

	for (size_t i = 0; i < snapshot->n_warnings && !in->given['q']; i++)
		gs_message(in->command->name, "%s: %s", subject, snapshot->warnings[i]);
	if (snapshot->n_warnings || !snapshot->capture.complete)
		return GS_EXIT_PARTIAL;
	return above ? GS_EXIT_ABOVE : GS_EXIT_OK;
}

static enum gs_exit inspect_pid(struct inspect *in, int pid)
{
	struct gs_snapshot *snapshot = NULL;
	struct gs_err *err = gs_collect_process(pid, &in->collect, &snapshot);

	char subject[16];

	snprintf(subject, sizeof(subject), "%d", pid);
	if (err)
		return fail(in, subject, err);
	enum gs_exit status = inspect_snapshot(in, subject, snapshot);
	gs_snapshot_free(snapshot);
	return status;
}

static enum gs_exit inspect_core(struct inspect *in)
{
	struct gs_snapshot *snapshot = NULL;
	struct gs_err *err = gs_collect_core(in->core, in->exe, &in->collect, &snapshot);

	if (err)
		return fail(in, in->core, err);
	enum gs_exit status = inspect_snapshot(in, in->core, snapshot);
	gs_snapshot_free(snapshot);
	return status;
}

/* The worse of two exit statuses. */
static enum gs_exit worse(enum gs_exit a, enum gs_exit b)
{
	static const int rank[] = {
		[GS_EXIT_OK] = 0, [GS_EXIT_ABOVE] = 1, [GS_EXIT_PARTIAL] = 2, [GS_EXIT_FAILED] = 3,
	};

	return rank[a] >= rank[b] ? a : b;
}

static enum gs_exit inspect_all(struct inspect *in)
{
	enum gs_exit status = GS_EXIT_OK;

	for (size_t i = 0; i < in->pids.len; i++) {
		status = worse(status, inspect_pid(in, in->pids.data[i]));
		/* A report is out as soon as it is made, also when the next target takes long. */
		if (fflush(stdout) || ferror(stdout))
			break;
	}
	return status;
}

static enum gs_exit inspect(struct inspect *in, int argc, char **argv)
{
	int operand;

	switch (gs_options_parse(in->command, argc, argv, take_option, in, &operand)) {
	case GS_PARSED_DONE:
		return GS_EXIT_OK;
	case GS_PARSED_WRONG:
		return GS_EXIT_USAGE;
	case GS_PARSED_GO_ON:
		break;
	}
	for (int i = operand; i < argc; i++)
		if (!take_pid(in, argv[i]))
			return gs_message_usage(in->command, "invalid PID '%s'", argv[i]);
	if (conflicting(in) || !columns_exist(in))
		return GS_EXIT_USAGE;
	if (in->given['H']) {
		gs_table_list_columns(stdout);
		return GS_EXIT_OK;
	}
	if (in->core && in->pids.len)
		return gs_message_usage(in->command, "--core and PIDs exclude each other");
	if (in->exe && !in->core)
		return gs_message_usage(in->command, "--exe needs --core");
	if (!in->core && !in->pids.len)
		return gs_message_usage(in->command, "no PID given");
	settle(in);
	return in->core ? inspect_core(in) : inspect_all(in);
}

static enum gs_exit run_inspect(const struct gs_command *command, int argc, char **argv)
{
	struct inspect in = { .command = command, .text.arena = -1, .table.arena = -1 };
	enum gs_exit status = inspect(&in, argc, argv);

	free(in.pids.data);
	return status;
}

const struct gs_command gs_command_inspect = {
	.name = "inspect",
	.summary = "report on the heaps of processes",
	.usage = "[options] PID... | --core=FILE",
	.description =
		"Report how much memory glibc's malloc holds for nothing in each process, where\n"
		"it sits, why it cannot go back to the kernel, and what to do. The process is\n"
		"neither stopped nor traced unless --stop is given, and nothing in it changes.\n"
		"With --core the same of a process that is no more, but for what was resident.",
	.notes =
		"Exit status: 0 complete, 1 could not, 2 wrong usage, 3 partial report (warnings\n"
		"say why), 4 --fail-above exceeded. Of several processes: worst of 1, 3, 4, 0.",
	.options = inspect_options,
	.run = run_inspect,
};
