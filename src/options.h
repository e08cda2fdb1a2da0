/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Options as data: one table a command feeds getopt_long(3), --help, the shell completions and
 * the test that compares the program with its manual.
 */
#ifndef GS_OPTIONS_H
#define GS_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct gs_command;

/** Keys every table has, with the meaning they have everywhere. */
enum { GS_KEY_HELP = 'h', GS_KEY_VERSION = 'V', GS_KEY_LIST_OPTIONS = 256, GS_KEY_FIRST_FREE };

struct gs_option {
	const char *name;	/* long name; NULL ends a table */
	int key;		/* the short option's letter, or a number above 255: long only */
	int has_arg;		/* no_argument, required_argument or optional_argument */
	const char *arg;	/* what --help calls the argument, or NULL */
	const char *group;	/* heading in --help, on the first option below it; else NULL */
	const char *help;	/* at most 52 columns; NULL: hidden */
};

/** The options that end every table. */
#define GS_OPTIONS_COMMON                                                                          \
	{ "help", GS_KEY_HELP, no_argument, NULL, "General", "show this help" },                   \
	{ "version", GS_KEY_VERSION, no_argument, NULL, NULL, "show the version" },                \
	{ "list-options", GS_KEY_LIST_OPTIONS, no_argument, NULL, NULL, NULL }, { }

/** Take one option; arg as in optarg. False: the argument is wrong, and that has been said. */
typedef bool gs_option_fn(const struct gs_option *option, const char *arg, void *data);

enum gs_parsed {
	GS_PARSED_GO_ON,	/* all options taken */
	GS_PARSED_DONE,		/* --help or the like was answered: exit with success */
	GS_PARSED_WRONG,	/* wrong usage, which has been said */
};

/**
 * Parse argv (which is reordered) by the table of command, calling take for each option that is
 * not common to all. *ret_operand is the index of the first operand.
 */
enum gs_parsed gs_options_parse(const struct gs_command *command, int argc, char **argv,
				gs_option_fn *take, void *data, int *ret_operand);

/** Print the help of command. */
void gs_options_help(const struct gs_command *command, FILE *out);

#endif
