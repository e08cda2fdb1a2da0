/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes to stderr: one line a message, filtered for the terminal. */
#ifndef GS_MESSAGE_H
#define GS_MESSAGE_H

#include "base/err.h"
#include "command.h"

/** Print "glibcstall: COMMAND: MESSAGE" (printf-style); command may be NULL. */
void gs_message(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Print an error about subject, a PID or a file, and its hint if it has one. Frees err. */
void gs_message_err(const char *command, const char *subject, struct gs_err *err);

/** Print a message about wrong usage and where to find help. Returns GS_EXIT_USAGE. */
enum gs_exit gs_message_usage(const struct gs_command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Point to the help, after a message about wrong usage. Returns GS_EXIT_USAGE. */
enum gs_exit gs_message_try_help(const struct gs_command *command);

#endif
