/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "message.h"
#include "options.h"

static enum gs_exit run_help(const struct gs_command *command, int argc, char **argv);

static const struct gs_option common_options[] = { GS_OPTIONS_COMMON };

static const struct gs_command command_help = {
	.name = "help",
	.summary = "show the help of the program or of a command",
	.usage = "[COMMAND]",
	.description = "Show the help of COMMAND, or of glibcstall itself.",
	.options = common_options,
	.run = run_help,
};

static const struct gs_command *const commands[] = { &gs_command_inspect, &command_help, NULL };

static const struct gs_command program = {
	.usage = "[--help|--version] COMMAND [options] [PID...]",
	.description =
		"Show how much memory glibc's malloc holds for nothing in a running process,\n"
		"where it sits, why it cannot go back to the kernel, and what to do about it.",
	.notes =
		"Exit status: 0 complete, 1 could not, 2 wrong usage, 3 partial report,\n"
		"4 --fail-above exceeded.",
	.options = common_options,
	.stop_at_operand = true,
	.commands = commands,
};

static const struct gs_command *find_command(const char *name)
{
	const struct gs_command *const *command = commands;

	while (*command && strcmp((*command)->name, name))
		command++;
	return *command;
}

static bool take_no_option(const struct gs_option *option, const char *arg, void *data)
{
	return false;
}

static enum gs_exit run_help(const struct gs_command *command, int argc, char **argv)
{
	int operand;

	switch (gs_options_parse(command, argc, argv, take_no_option, NULL, &operand)) {
	case GS_PARSED_DONE:
		return GS_EXIT_OK;
	case GS_PARSED_WRONG:
		return GS_EXIT_USAGE;
	case GS_PARSED_GO_ON:
		break;
	}
	if (argc - operand > 1)
		return gs_message_usage(command, "too many arguments");
	const struct gs_command *topic = &program;
	if (operand < argc)
		topic = find_command(argv[operand]);
	if (!topic)
		return gs_message_usage(command, "unknown command '%s'", argv[operand]);
	gs_options_help(topic, stdout);
	return GS_EXIT_OK;
}

static enum gs_exit run_program(int argc, char **argv)
{
	int operand;

	switch (gs_options_parse(&program, argc, argv, take_no_option, NULL, &operand)) {
	case GS_PARSED_DONE:
		return GS_EXIT_OK;
	case GS_PARSED_WRONG:
		return GS_EXIT_USAGE;
	case GS_PARSED_GO_ON:
		break;
	}
	if (operand >= argc) {
		fprintf(stderr, "Usage: glibcstall %s\n", program.usage);
		return gs_message_try_help(&program);
	}
	const struct gs_command *command = find_command(argv[operand]);
	if (!command)
		return gs_message_usage(&program, "unknown command '%s'", argv[operand]);
	return command->run(command, argc - operand, argv + operand);
}

/*
 * A standard stream that is closed would give its number to the next file we open. Read-only
 * also for stdout: output that nobody gets has to be a failed write.
 */
static void reserve_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	reserve_standard_fds();
	/* Numbers and messages stay as documented whatever the locale; only characters are its. */
	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_DFL);

	enum gs_exit status = run_program(argc, argv);

	if (fflush(stdout) || ferror(stdout)) {
		gs_message(NULL, "cannot write to standard output: %s", strerror(errno));
		return GS_EXIT_FAILED;
	}
	return status;
}
