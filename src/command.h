/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a command of the command line is, and what the program's exit statuses mean. */
#ifndef GS_COMMAND_H
#define GS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

enum gs_exit {
	GS_EXIT_OK = 0,		/* did what was asked, completely */
	GS_EXIT_FAILED = 1,	/* could not */
	GS_EXIT_USAGE = 2,	/* wrong usage */
	GS_EXIT_PARTIAL = 3,	/* reported, but not everything could be read */
	GS_EXIT_ABOVE = 4,	/* --fail-above exceeded */
};

struct gs_command {
	const char *name;		/* NULL: the program itself, before any command */
	const char *summary;		/* a phrase, for the list of commands */
	const char *usage;		/* what follows the name, e.g. "[options] PID..." */
	const char *description;	/* for --help, lines of at most 80 columns */
	const char *notes;		/* for --help, below the options; or NULL */
	const struct gs_option *options;	/* ends with an all-zero entry */
	bool stop_at_operand;		/* options end at the first operand */
	const struct gs_command *const *commands;	/* for --help, NULL-ended; or NULL */
	/** Run it. argv[0] is the command's name. Returns the exit status. */
	enum gs_exit (*run)(const struct gs_command *command, int argc, char **argv);
};

extern const struct gs_command gs_command_inspect;

#endif
