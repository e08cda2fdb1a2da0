/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Errors are values. A function that can fail returns a struct gs_err *; NULL is success.
 * The caller owns a returned error and frees it with gs_err_free(). Nothing below the command
 * layer prints one or exits because of one.
 */
#ifndef GS_BASE_ERR_H
#define GS_BASE_ERR_H

#include <stdbool.h>
#include <stdint.h>

/** An address in the target. Never a pointer of ours. */
typedef uint64_t gs_addr;

/** No address: gs_err.addr when the error has none. */
#define GS_NO_ADDR UINT64_MAX

enum gs_err_code {
	GS_ERR_OS,		/* a system call failed: see os_errno */
	GS_ERR_NOMEM,		/* our own memory ran out */
	GS_ERR_NO_PROCESS,	/* no such process, or it ended or exec'd meanwhile */
	GS_ERR_PERMISSION,	/* the kernel refuses; the hint says which rule */
	GS_ERR_FAULT,		/* target memory not readable at addr */
	GS_ERR_FORMAT,		/* malformed file or target memory */
	GS_ERR_NO_SYMBOLS,	/* debug symbols not found; the hint names the package */
	GS_ERR_NOT_GLIBC,	/* the target has no glibc malloc we can read */
	GS_ERR_UNSUPPORTED,	/* a kind of target this build cannot handle */
	GS_ERR_NOT_FOUND,	/* something looked up is not there; often expected */
	GS_ERR_INTERRUPTED,	/* the user interrupted us */
};

struct gs_err {
	enum gs_err_code code;
	int os_errno;		/* errno of the failed call, or 0 */
	gs_addr addr;		/* faulting address in the target, or GS_NO_ADDR */
	char *msg;		/* one line, lower case, no full stop; never NULL */
	char *hint;		/* what the user can do, or NULL */
};

/** The out-of-memory error. Static: freeing it is harmless. */
extern struct gs_err gs_err_nomem;

/** Make an error with a printf-style message. Returns &gs_err_nomem if that fails; never NULL. */
struct gs_err *gs_err_new(enum gs_err_code code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * Make a GS_ERR_OS error: the message followed by ": " and strerror(os_errno).
 * ESRCH becomes GS_ERR_NO_PROCESS, EPERM and EACCES become GS_ERR_PERMISSION.
 */
struct gs_err *gs_err_os(int os_errno, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Make a GS_ERR_FAULT error about the target address addr. */
struct gs_err *gs_err_fault(gs_addr addr, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Set the hint (printf-style), replacing an older one. Returns err itself. */
struct gs_err *gs_err_hint(struct gs_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Put "PREFIX: " (printf-style) before the message. Returns err itself. */
struct gs_err *gs_err_prefix(struct gs_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** Free an error. Accepts NULL and static errors. */
void gs_err_free(struct gs_err *err);

/**
 * Swallow an error of one expected code: frees err and returns true if err is not NULL and has
 * that code; otherwise leaves it alone and returns false.
 */
bool gs_err_catch(struct gs_err *err, enum gs_err_code code);

#endif
