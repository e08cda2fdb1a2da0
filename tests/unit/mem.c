/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Target memory: images, and a live process whose pages are in every state. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_image.h"
#include "proc/mem.h"
#include "proc/target.h"

#define BASE UINT64_C(0x7f1000000000)

/* --- images --- */

static void images_are_read(void **state)
{
	static uint8_t a[8192], b[4096];
	static const uint8_t states[] = { GS_PAGE_RESIDENT, GS_PAGE_SWAPPED };
	const struct gs_image_region regions[] = {
		{ BASE, a, sizeof(a), states }, { BASE + 0x3000, b, sizeof(b), NULL },
	};
	struct gs_mem *mem = gs_mem_image_new(regions, 2, 4096);
	uint8_t buf[64], pages[5];

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_null(gs_mem_pages(mem, BASE, 5, pages));
	assert_memory_equal(pages, "\1\2\0\1\0", 5);
	assert_true(gs_mem_try(mem, BASE + 4096 - 64, buf, 64));
	assert_int_equal(buf[63], 'a');
	assert_false(gs_mem_try(mem, BASE + 4096 - 63, buf, 64));	/* into swap */
	assert_false(gs_mem_try(mem, BASE + 0x3000 - 1, buf, 2));
	assert_true(gs_mem_try(mem, BASE + 0x3fff, buf, 1));
	assert_false(gs_mem_try(mem, BASE + 0x3fff, buf, 2));
	assert_false(gs_mem_try(mem, UINT64_MAX, buf, 1));
	assert_false(gs_mem_try(mem, UINT64_MAX - 10, buf, 64));
	assert_int_equal(mem->bytes_read, 65);

	struct gs_err *err = gs_mem_read(mem, BASE + 0x2000, buf, 8);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_FAULT);
	assert_true(err->addr == BASE + 0x2000);
	gs_err_free(err);

	struct gs_span spans[] = {
		{ .addr = BASE + 8190, .buf = buf, .len = 10, .got = 99 },
		{ .addr = BASE + 0x2000, .buf = buf, .len = 10, .got = 99 },
		{ .addr = BASE + 0x3000, .buf = buf, .len = 10, .got = 99 },
	};
	gs_mem_readv(mem, spans, 3);
	assert_int_equal(spans[0].got, 2);
	assert_int_equal(spans[1].got, 0);
	assert_int_equal(spans[2].got, 10);
	gs_mem_free(mem);
	gs_mem_free(NULL);
}

/* A read that spans many pages, one of which is not in memory, reads none of them. */
static void one_missing_page_of_many(void **state)
{
	enum { PAGES = 70 };
	struct gs_fake *fake = gs_fake_new();
	char *buf = malloc(PAGES * GS_FAKE_PAGE);

	gs_fake_add(fake, BASE, PAGES * GS_FAKE_PAGE);
	assert_true(gs_mem_try(&fake->mem, BASE, buf, PAGES * GS_FAKE_PAGE));
	assert_int_equal(fake->reads, 1);
	for (unsigned i = 0; i < PAGES; i += 3) {
		gs_addr page = BASE + i * GS_FAKE_PAGE;
		gs_fake_set_pages(fake, page, page + 1, GS_PAGE_SWAPPED);
		assert_false(gs_mem_try(&fake->mem, BASE + 1, buf, PAGES * GS_FAKE_PAGE - 2));
		assert_int_equal(fake->reads, 1);
		gs_fake_set_pages(fake, page, page + 1, GS_PAGE_ZERO);
	}
	free(buf);
	gs_fake_free(fake);
}

/* --- a live process --- */

/* A child with the same memory as ours at the time; it waits to be killed. */
struct child {
	pid_t pid;
	struct gs_target *target;
	struct gs_mem *mem;
};

static void begin(struct child *c)
{
	pid_t parent = getpid();

	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	assert_null(gs_target_open(c->pid, &c->target));
	assert_null(gs_mem_live_new(c->target, &c->mem));
}

static void end_child(struct child *c)
{
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

static void end(struct child *c)
{
	gs_mem_free(c->mem);
	gs_target_free(c->target);
}

static uint8_t *map_pages(size_t pages)
{
	uint8_t *at = mmap(NULL, pages * (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	/* A huge page would be resident as a whole. */
	madvise(at, pages * (size_t)sysconf(_SC_PAGESIZE), MADV_NOHUGEPAGE);
	return at;
}

static void a_process_is_read(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = map_pages(8), buf[64], *whole = malloc(8 * page), pages[10];
	struct child c;

	/* Written, never touched, only read, written and given back, not mapped any more. */
	memset(at, 'x', 2 * page);
	assert_int_equal(((volatile uint8_t *)at)[3 * page], 0);
	memset(at + 4 * page, 'y', page);
	assert_int_equal(madvise(at + 4 * page, page, MADV_DONTNEED), 0);
	memset(at + 5 * page, 'z', page);
	assert_int_equal(munmap(at + 6 * page, page), 0);
	begin(&c);
	gs_addr base = (gs_addr)(uintptr_t)at;
	assert_int_equal(c.mem->page_size, page);
	assert_null(gs_mem_pages(c.mem, base, 8, pages));
	assert_int_equal(pages[0], GS_PAGE_RESIDENT);
	assert_int_equal(pages[1], GS_PAGE_RESIDENT);
	assert_int_equal(pages[2], GS_PAGE_NONE);
	/* Before Linux 6.7 nothing tells the zero page from another. */
	assert_true(pages[3] == GS_PAGE_ZERO || pages[3] == GS_PAGE_RESIDENT ||
		    pages[3] == GS_PAGE_NONE);
	assert_int_equal(pages[4], GS_PAGE_NONE);
	assert_int_equal(pages[5], GS_PAGE_RESIDENT);
	assert_int_equal(pages[6], GS_PAGE_NONE);
	assert_int_equal(pages[7], GS_PAGE_NONE);

	assert_true(gs_mem_try(c.mem, base, whole, 2 * page));
	assert_memory_equal(whole, at, 2 * page);
	assert_false(gs_mem_try(c.mem, base + page, whole, page + 1));
	assert_false(gs_mem_try(c.mem, base + 4 * page, buf, 1));
	assert_false(gs_mem_try(c.mem, base + 6 * page, buf, 1));
	assert_false(gs_mem_try(c.mem, 0, buf, 1));
	assert_false(gs_mem_try(c.mem, UINT64_MAX - 4096, buf, 1));
	/* To ask and to be refused has changed nothing. */
	uint8_t again[10];
	assert_null(gs_mem_pages(c.mem, base, 8, again));
	assert_memory_equal(again, pages, 8);
	end_child(&c);
	end(&c);
	munmap(at, 8 * page);
	free(whole);
}

/* More spans than a system call takes; some cannot be read, some only in part. */
static void many_spans(void **state)
{
	enum { SPANS = 3000 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = map_pages(4), *buf = calloc(SPANS, 16);
	struct gs_span *spans = calloc(SPANS, sizeof(*spans));
	struct child c;

	for (size_t i = 0; i < 4 * page; i++)
		at[i] = (uint8_t)(i * 7 + i / 256);
	munmap(at + 2 * page, page);
	begin(&c);
	for (size_t i = 0; i < SPANS; i++) {
		size_t offset = i % 10 == 3 ? 2 * page + i % 100 :
				i % 10 == 7 ? 2 * page - 5 : (i * 11) % (2 * page - 16);
		spans[i] = (struct gs_span){
			.addr = (gs_addr)(uintptr_t)at + offset, .buf = buf + 16 * i, .len = 16,
			.got = 12345,
		};
	}
	gs_mem_readv(c.mem, spans, SPANS);
	for (size_t i = 0; i < SPANS; i++) {
		size_t got = i % 10 == 3 ? 0 : i % 10 == 7 ? 5 : 16;
		assert_true(spans[i].got <= spans[i].len);
		/* The kernel may copy no part of a stretch that begins well and ends badly. */
		assert_true(spans[i].got == got || (got == 5 && spans[i].got == 0));
		assert_memory_equal(spans[i].buf, (uint8_t *)(uintptr_t)spans[i].addr,
				    spans[i].got);
	}
	end_child(&c);
	/* The process is gone: nothing is read, nothing fails. */
	gs_mem_readv(c.mem, spans, SPANS);
	for (size_t i = 0; i < SPANS; i++)
		assert_int_equal(spans[i].got, 0);
	assert_false(gs_mem_try(c.mem, (gs_addr)(uintptr_t)at, buf, 1));
	end(&c);
	munmap(at, 4 * page);
	free(buf);
	free(spans);
}

/* As many changes of state as there are pages, and more than are asked for at once. */
static void many_pages(void **state)
{
	enum { PAGES = 9000 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = map_pages(PAGES), *states = calloc(PAGES, 1);
	struct child c;

	for (size_t i = 0; i < PAGES; i += 2)
		at[i * page] = 1;
	begin(&c);
	assert_null(gs_mem_pages(c.mem, (gs_addr)(uintptr_t)at, PAGES, states));
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(states[i], i % 2 ? GS_PAGE_NONE : GS_PAGE_RESIDENT);
	struct gs_err *err = gs_mem_pages(c.mem, UINT64_MAX & ~(gs_addr)(page - 1), 2, states);
	assert_non_null(err);
	gs_err_free(err);
	end_child(&c);
	end(&c);
	munmap(at, PAGES * page);
	free(states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_are_read),
		cmocka_unit_test(one_missing_page_of_many),
		cmocka_unit_test(a_process_is_read),
		cmocka_unit_test(many_spans),
		cmocka_unit_test(many_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
