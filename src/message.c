/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"

static void __attribute__((format(printf, 2, 0)))
print_line(const char *command, const char *fmt, va_list ap)
{
	char *raw;

	if (vasprintf(&raw, fmt, ap) < 0)
		return;
	cleanup_free_ char *text = gs_text_safe(raw, 0);

	free(raw);
	fprintf(stderr, "glibcstall: %s%s%s\n", command ? command : "", command ? ": " : "", text);
}

void gs_message(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(command, fmt, ap);
	va_end(ap);
}

void gs_message_err(const char *command, const char *subject, struct gs_err *err)
{
	gs_message(command, "%s: %s", subject, err->msg);
	if (err->hint)
		gs_message("hint", "%s", err->hint);
	gs_err_free(err);
}

enum gs_exit gs_message_usage(const struct gs_command *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(command->name, fmt, ap);
	va_end(ap);
	return gs_message_try_help(command);
}

enum gs_exit gs_message_try_help(const struct gs_command *command)
{
	fprintf(stderr, "Try 'glibcstall %s%s--help' for more information.\n",
		command->name ? command->name : "", command->name ? " " : "");
	return GS_EXIT_USAGE;
}
