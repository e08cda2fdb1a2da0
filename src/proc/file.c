/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/file.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"

enum { FILE_MAX = 256 << 20 };

struct gs_err *gs_file_slurp(int fd, const char *what, char **ret, size_t *ret_len)
{
	size_t cap = 16384, len = 0;
	cleanup_free_ char *buf = gs_xcalloc(cap, 1);

	for (;;) {
		if (cap - len < 2) {
			if (cap >= FILE_MAX)
				return gs_err_new(GS_ERR_FORMAT, "%s is too large", what);
			cap *= 2;
			buf = gs_xreallocarray(buf, cap, 1);
		}
		ssize_t n = read(fd, buf + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return gs_err_os(errno, "cannot read %s", what);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret = take_ptr(buf);
	return NULL;
}
