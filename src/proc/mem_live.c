/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory of a running process: process_vm_readv(2). No stop, no trace. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "proc/mem.h"
#include "proc/pagemap.h"
#include "proc/target.h"

enum { BATCH = 256 };

struct live_mem {
	struct gs_mem mem;
	pid_t tid;
	struct gs_pagemap *pagemap;
};

/*
 * Read up to BATCH spans with one call. The call stops at the first byte it cannot read; returns
 * how many spans are settled: those read whole, and the one it stopped in.
 */
static size_t read_batch(struct live_mem *live, struct gs_span *spans, size_t n)
{
	struct iovec local[BATCH], remote[BATCH];

	for (size_t i = 0; i < n; i++) {
		spans[i].got = 0;
		local[i] = (struct iovec){ spans[i].buf, spans[i].len };
		remote[i] = (struct iovec){ (void *)(uintptr_t)spans[i].addr, spans[i].len };
	}
	ssize_t got = process_vm_readv(live->tid, local, n, remote, n, 0);
	if (got < 0) {
		/* Anything but a bad address (process gone, say) would fail for all others too. */
		return errno == EFAULT ? 1 : n;
	}
	size_t left = (size_t)got;
	for (size_t i = 0; i < n; i++) {
		spans[i].got = left < spans[i].len ? left : spans[i].len;
		left -= spans[i].got;
		if (spans[i].got < spans[i].len)
			return i + 1;
	}
	return n;
}

static void live_readv(struct gs_mem *mem, struct gs_span *spans, size_t n)
{
	struct live_mem *live = (struct live_mem *)mem;

	for (size_t done = 0; done < n;) {
		size_t batch = n - done < BATCH ? n - done : BATCH;
		done += read_batch(live, spans + done, batch);
	}
}

static struct gs_err *live_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	return gs_pagemap_states(((struct live_mem *)mem)->pagemap, addr, n, ret);
}

static void live_free(struct gs_mem *mem)
{
	struct live_mem *live = (struct live_mem *)mem;

	gs_pagemap_free(live->pagemap);
	free(live);
}

static const struct gs_mem_ops live_ops = {
	.readv = live_readv,
	.pages = live_pages,
	.free = live_free,
};

struct gs_err *gs_mem_live_new(struct gs_target *target, struct gs_mem **ret)
{
	/* Opening mem asks the same permission as process_vm_readv (PTRACE_MODE_ATTACH). */
	cleanup_close_ int fd = -1;
	struct gs_err *err = gs_target_openat(target, "mem", O_RDONLY, &fd);
	if (err && err->code == GS_ERR_PERMISSION) {
		int os_errno = err->os_errno;
		gs_err_free(err);
		return gs_target_denied(target, os_errno, "cannot read its memory");
	}
	if (err)
		return err;

	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	struct gs_pagemap *pagemap;
	err = gs_pagemap_open(target, page_size, &pagemap);
	if (err)
		return err;
	struct live_mem *live = gs_xzalloc(sizeof(*live));
	live->mem = (struct gs_mem){
		.ops = &live_ops,
		.page_size = page_size,
		.knows_residency = true,
	};
	live->tid = target->live_tid;
	live->pagemap = pagemap;
	*ret = &live->mem;
	return NULL;
}
