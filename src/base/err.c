/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char nomem_msg[] = "out of memory";

struct gs_err gs_err_nomem = {
	.code = GS_ERR_NOMEM,
	.os_errno = ENOMEM,
	.addr = GS_NO_ADDR,
	.msg = nomem_msg,
};

static struct gs_err *__attribute__((format(printf, 4, 0)))
err_make(enum gs_err_code code, int os_errno, gs_addr addr, const char *fmt, va_list ap)
{
	struct gs_err *err = calloc(1, sizeof(*err));
	if (!err)
		return &gs_err_nomem;
	err->code = code;
	err->os_errno = os_errno;
	err->addr = addr;
	if (vasprintf(&err->msg, fmt, ap) < 0) {
		free(err);
		return &gs_err_nomem;
	}
	return err;
}

struct gs_err *gs_err_new(enum gs_err_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct gs_err *err = err_make(code, 0, GS_NO_ADDR, fmt, ap);
	va_end(ap);
	return err;
}

static enum gs_err_code code_of_errno(int os_errno)
{
	switch (os_errno) {
	case ESRCH:
		return GS_ERR_NO_PROCESS;
	case EPERM:
	case EACCES:
		return GS_ERR_PERMISSION;
	default:
		return GS_ERR_OS;
	}
}

struct gs_err *gs_err_os(int os_errno, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct gs_err *err = err_make(code_of_errno(os_errno), os_errno, GS_NO_ADDR, fmt, ap);
	va_end(ap);
	if (err == &gs_err_nomem)
		return err;
	char *msg;
	if (asprintf(&msg, "%s: %s", err->msg, strerror(os_errno)) < 0) {
		gs_err_free(err);
		return &gs_err_nomem;
	}
	free(err->msg);
	err->msg = msg;
	return err;
}

struct gs_err *gs_err_fault(gs_addr addr, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct gs_err *err = err_make(GS_ERR_FAULT, EFAULT, addr, fmt, ap);
	va_end(ap);
	return err;
}

struct gs_err *gs_err_hint(struct gs_err *err, const char *fmt, ...)
{
	if (!err || err == &gs_err_nomem)
		return err;
	va_list ap;
	char *hint;

	va_start(ap, fmt);
	int n = vasprintf(&hint, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err;
	free(err->hint);
	err->hint = hint;
	return err;
}

struct gs_err *gs_err_prefix(struct gs_err *err, const char *fmt, ...)
{
	if (!err || err == &gs_err_nomem)
		return err;
	va_list ap;
	char *prefix, *msg;

	va_start(ap, fmt);
	int n = vasprintf(&prefix, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err;
	n = asprintf(&msg, "%s: %s", prefix, err->msg);
	free(prefix);
	if (n < 0)
		return err;
	free(err->msg);
	err->msg = msg;
	return err;
}

void gs_err_free(struct gs_err *err)
{
	if (!err || err == &gs_err_nomem)
		return;
	free(err->msg);
	free(err->hint);
	free(err);
}

bool gs_err_catch(struct gs_err *err, enum gs_err_code code)
{
	if (!err || err->code != code)
		return false;
	gs_err_free(err);
	return true;
}
