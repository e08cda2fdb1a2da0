/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "command.h"
#include "message.h"

/* In --help, descriptions start at this column. */
#define HELP_COLUMN 28

static bool has_letter(const struct gs_option *option)
{
	return option->key < GS_KEY_LIST_OPTIONS;
}

static size_t table_len(const struct gs_option *options)
{
	size_t n = 0;

	while (options[n].name)
		n++;
	return n;
}

static struct option *long_options(const struct gs_option *options)
{
	size_t n = table_len(options);
	struct option *ret = gs_xcalloc(n + 1, sizeof(*ret));

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct option){ .name = options[i].name, .has_arg = options[i].has_arg,
					  .val = options[i].key };
	return ret;
}

static char *short_options(const struct gs_command *command)
{
	static const char *const colons[] = {
		[no_argument] = "", [required_argument] = ":", [optional_argument] = "::",
	};
	struct gs_strbuf sb = {};

	gs_strbuf_addf(&sb, "%s", command->stop_at_operand ? "+" : "");
	for (const struct gs_option *o = command->options; o->name; o++)
		if (has_letter(o))
			gs_strbuf_addf(&sb, "%c%s", o->key, colons[o->has_arg]);
	return gs_strbuf_take(&sb);
}

static const struct gs_option *by_key(const struct gs_option *options, int key)
{
	while (options->name && options->key != key)
		options++;
	return options->name ? options : NULL;
}

static void print_version(void)
{
	printf("glibcstall %s\nbuilt with %s\n", PACKAGE_VERSION, GS_BUILT_WITH);
}

static void list_options(const struct gs_option *options)
{
	for (; options->name; options++) {
		if (!options->help)
			continue;
		printf("--%s\n", options->name);
		if (has_letter(options))
			printf("-%c\n", options->key);
	}
}

/* Answer an option that every command has. False: it is not one of them. */
static bool answer_common(const struct gs_command *command, int key)
{
	switch (key) {
	case GS_KEY_HELP:
		gs_options_help(command, stdout);
		return true;
	case GS_KEY_VERSION:
		print_version();
		return true;
	case GS_KEY_LIST_OPTIONS:
		list_options(command->options);
		return true;
	default:
		return false;
	}
}

enum gs_parsed gs_options_parse(const struct gs_command *command, int argc, char **argv,
				gs_option_fn *take, void *data, int *ret_operand)
{
	cleanup_free_ struct option *longs = long_options(command->options);
	cleanup_free_ char *shorts = short_options(command);
	/* getopt_long() starts its messages with argv[0]. */
	cleanup_free_ char *prefix = gs_xasprintf("glibcstall%s%s", command->name ? ": " : "",
						  command->name ? command->name : "");
	char *argv0 = argv[0];
	enum gs_parsed parsed = GS_PARSED_GO_ON;
	int key;

	argv[0] = prefix;
	optind = 0;
	while (parsed == GS_PARSED_GO_ON &&
	       (key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct gs_option *option = by_key(command->options, key);

		if (!option) {
			gs_message_try_help(command);
			parsed = GS_PARSED_WRONG;
		} else if (answer_common(command, key)) {
			parsed = GS_PARSED_DONE;
		} else if (!take(option, optarg, data)) {
			parsed = GS_PARSED_WRONG;
		}
	}
	argv[0] = argv0;
	*ret_operand = optind;
	return parsed;
}

static void help_option(const struct gs_option *option, FILE *out)
{
	struct gs_strbuf sb = {};

	if (has_letter(option))
		gs_strbuf_addf(&sb, " -%c, ", option->key);
	else
		gs_strbuf_addf(&sb, "     ");
	gs_strbuf_addf(&sb, "--%s", option->name);
	if (option->has_arg == optional_argument)
		gs_strbuf_addf(&sb, "[=%s]", option->arg);
	else if (option->has_arg == required_argument)
		gs_strbuf_addf(&sb, "=%s", option->arg);
	fprintf(out, "%-*s %s\n", HELP_COLUMN - 1, gs_strbuf_str(&sb), option->help);
	gs_strbuf_fini(&sb);
}

void gs_options_help(const struct gs_command *command, FILE *out)
{
	const char *name = command->name;

	fprintf(out, "Usage: glibcstall%s%s %s\n\n%s\n", name ? " " : "", name ? name : "",
		command->usage, command->description);
	if (command->commands)
		fprintf(out, "\nCommands:\n");
	for (const struct gs_command *const *c = command->commands; c && *c; c++)
		fprintf(out, " %-*s %s\n", HELP_COLUMN - 2, (*c)->name, (*c)->summary);
	for (const struct gs_option *o = command->options; o->name; o++) {
		if (o->group)
			fprintf(out, "\n%s:\n", o->group);
		if (o->help)
			help_option(o, out);
	}
	if (command->notes)
		fprintf(out, "\n%s\n", command->notes);
	fprintf(out, "\nFor more details see glibcstall%s%s(1).\n", name ? "-" : "",
		name ? name : "");
}
