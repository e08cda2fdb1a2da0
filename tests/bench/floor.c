/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The floor under any walk: copy the resident pages of the given ranges of a process with plain
 * process_vm_readv(2), after reading their pagemap, and do nothing with them.
 *
 *	floor PID START-END…	prints: NANOSECONDS BYTES
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WINDOW = 1 << 20, PAGES = WINDOW / PAGE };

static char buffer[WINDOW];
static uint64_t entries[PAGES];

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static size_t read_window(pid_t pid, int pagemap, uint64_t start, size_t pages)
{
	struct iovec remote[PAGES], local = { buffer, 0 };
	size_t n = 0;

	ssize_t got = pread(pagemap, entries, pages * 8, (off_t)(start / PAGE * 8));
	for (size_t i = 0; got > 0 && i < (size_t)got / 8; i++) {
		if (!(entries[i] >> 63))
			continue;
		char *at = (char *)(uintptr_t)(start + i * PAGE);
		if (n && (char *)remote[n - 1].iov_base + remote[n - 1].iov_len == at)
			remote[n - 1].iov_len += PAGE;
		else
			remote[n++] = (struct iovec){ at, PAGE };
		local.iov_len += PAGE;
	}
	ssize_t copied = n ? process_vm_readv(pid, &local, 1, remote, n, 0) : 0;
	return copied > 0 ? (size_t)copied : 0;
}

int main(int argc, char **argv)
{
	char path[64];
	uint64_t bytes = 0;

	if (argc < 3)
		return 2;
	pid_t pid = atoi(argv[1]);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	int pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		return 1;
	uint64_t begin = now();
	for (int i = 2; i < argc; i++) {
		uint64_t start, end;
		if (sscanf(argv[i], "%" SCNx64 "-%" SCNx64, &start, &end) != 2)
			return 2;
		for (start &= ~(uint64_t)(PAGE - 1); start < end; start += WINDOW) {
			uint64_t left = (end - start + PAGE - 1) / PAGE;
			bytes += read_window(pid, pagemap, start, left < PAGES ? left : PAGES);
		}
	}
	printf("%" PRIu64 " %" PRIu64 "\n", now() - begin, bytes);
	return 0;
}
