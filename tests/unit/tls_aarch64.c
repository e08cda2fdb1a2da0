/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread-local storage of aarch64 programs: struct pthread lies below the thread pointer, and
 * nothing at it points to itself.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heap/tls.h"
#include "heap_image.h"

enum {
	PAGE = GS_FAKE_PAGE,
	MEMORY = 0x5000000,	/* PAGES pages of it */
	PAGES = 4,
	HEAD = 0xe0,		/* the robust list's head in struct pthread */
	SPECIFIC = 0x310,	/* specific[0] in it, and what that points to */
	SPECIFIC_FIRST = 0x110,
	DTV = MEMORY + 3 * PAGE,
	CAPACITY = 15,		/* what a dtv of one module has room for */
};

/* sizeof(struct pthread) of 2.31, of 2.41 and later, and of 2.36 */
static const unsigned pthread_sizes[] = { 1792, 1824, 1856 };

static void put(struct gs_fake *fake, gs_addr addr, uint64_t word)
{
	gs_fake_put(fake, gs_fake_layout("2.36 x86-64"), addr, word);
}

static struct gs_fake *zeroed(void)
{
	struct gs_fake *fake = gs_fake_new();

	gs_fake_add(fake, MEMORY, PAGES * PAGE);
	memset(gs_fake_at(fake, MEMORY), 0, PAGES * PAGE);
	return fake;
}

/* A thread with a block behind its thread pointer, and one of module 2 somewhere else. */
static void put_thread(struct gs_fake *fake, gs_addr tp, gs_addr dtv)
{
	put(fake, tp, dtv);
	put(fake, dtv - 16, CAPACITY);
	put(fake, dtv, 1);
	put(fake, dtv + 16, tp + 16);
	put(fake, dtv + 32, 0x1234000);
	put(fake, dtv + 48, UINT64_MAX);
}

/* The kernel keeps whatever address a thread registers. It is asked for this thread's own. */
static size_t look(struct gs_fake *fake, gs_addr head, gs_addr tp_of_core, gs_addr want_tp)
{
	struct gs_thread thread = { .tid = (pid_t)syscall(SYS_gettid), .tp = tp_of_core };
	struct gs_threads threads = { &thread, 1, 1 };
	struct gs_maps maps = {};
	struct gs_tls_list list;
	void *own;
	size_t len;

	assert_int_equal(syscall(SYS_get_robust_list, 0, &own, &len), 0);
	assert_int_equal(syscall(SYS_set_robust_list, (void *)(uintptr_t)head, len), 0);
	gs_tls_list_read(&fake->mem, EM_AARCH64, 8, &threads, &maps, &list);
	assert_int_equal(syscall(SYS_set_robust_list, own, len), 0);
	size_t n = list.len;
	if (n) {
		assert_true(list.data[0].tp == want_tp);
		assert_int_equal(list.data[0].n, CAPACITY);
		assert_true(gs_tls_block(&list.data[0], 1) == want_tp + 16);
		assert_true(gs_tls_block(&list.data[0], 2) == 0x1234000);
		assert_true(gs_tls_block(&list.data[0], 3) == 0);
	}
	gs_tls_list_fini(&list);
	return n;
}

static void found_from_the_robust_list(void **state)
{
	for (size_t i = 0; i < sizeof(pthread_sizes) / sizeof(pthread_sizes[0]); i++) {
		struct gs_fake *fake = zeroed();
		gs_addr pthread = MEMORY + 0x140, tp = pthread + pthread_sizes[i];
		put_thread(fake, tp, DTV + 0x20);
		assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
		/* a head that cannot be one */
		assert_int_equal(look(fake, pthread + HEAD + 4, 0, tp), 0);
		assert_int_equal(look(fake, UINT64_MAX - 7, 0, tp), 0);
		assert_int_equal(look(fake, 8, 0, tp), 0);
		gs_fake_free(fake);
	}
}

/*
 * specific[0] points to the thread's first keys, the words before them may be anything, and those
 * far behind them are the thread's own blocks: it looks like a dtv that leads back.
 */
static void keys_are_no_dtv(void **state)
{
	struct gs_fake *fake = zeroed();
	gs_addr pthread = MEMORY + 0x140, tp = pthread + 1856;

	put_thread(fake, tp, DTV + 0x20);
	put(fake, pthread + SPECIFIC, pthread + SPECIFIC_FIRST);
	put(fake, pthread + SPECIFIC_FIRST - 16, 0xffff00000010);
	put(fake, pthread + SPECIFIC_FIRST - 8, 2);
	put(fake, pthread + SPECIFIC_FIRST + 0x700, tp + 16);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
	/* each of the words alone is enough to tell */
	put(fake, pthread + SPECIFIC_FIRST - 8, 0);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
	put(fake, pthread + SPECIFIC_FIRST - 16, 200);
	put(fake, pthread + SPECIFIC_FIRST, 0xaaaad8cdc000);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
	put(fake, pthread + SPECIFIC_FIRST, 1);
	put(fake, pthread + SPECIFIC_FIRST + 8, 0xaaaad8cdc000);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
	gs_fake_free(fake);
}

/* The stretch behind the head may end with the mapping, or be in memory only in part. */
static void at_the_end_of_what_is_there(void **state)
{
	struct gs_fake *fake = zeroed();
	gs_addr tp = MEMORY + PAGE - 0x40, pthread = tp - 1856;

	put_thread(fake, tp, DTV + 0x20);
	gs_fake_set_pages(fake, MEMORY + PAGE, MEMORY + PAGE + 1, GS_PAGE_SWAPPED);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 1);
	gs_fake_set_pages(fake, DTV, DTV + 1, GS_PAGE_SWAPPED);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 0);
	gs_fake_set_pages(fake, DTV, DTV + 1, GS_PAGE_RESIDENT);
	gs_fake_set_pages(fake, MEMORY, MEMORY + 1, GS_PAGE_NONE);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 0);
	gs_fake_free(fake);
}

/* As the note of a core file tells it: the kernel would tell of another thread. */
static void found_by_its_thread_pointer(void **state)
{
	struct gs_fake *fake = zeroed();
	gs_addr tp = MEMORY + 0x880;

	put_thread(fake, tp, DTV + 0x20);
	assert_int_equal(look(fake, 0, tp, tp), 1);
	assert_int_equal(look(fake, 0, tp + 16, tp), 0);
	assert_int_equal(look(fake, 0, GS_NO_ADDR, tp), 0);
	put(fake, DTV + 0x20 + 16, tp + 0x2000);
	assert_int_equal(look(fake, 0, tp, tp), 0);
	gs_fake_free(fake);
}

/* With memory tagging the dtv, which malloc returned, is a pointer with a tag. */
static void tags_are_taken_off(void **state)
{
	struct gs_fake *fake = zeroed();
	gs_addr tp = MEMORY + 0x880;

	put_thread(fake, tp, DTV + 0x20);
	put(fake, tp, (DTV + 0x20) | UINT64_C(0x0b) << 56);
	assert_int_equal(look(fake, 0, tp, tp), 0);
	fake->mem.tag_bits = UINT64_C(0x0f) << 56;
	assert_int_equal(look(fake, 0, tp, tp), 1);
	gs_fake_free(fake);
}

/* Words that all look like a TCB: the search is given up, not the thread after it. */
static void many_candidates(void **state)
{
	struct gs_fake *fake = zeroed();
	gs_addr pthread = MEMORY + 0x140, tp = pthread + 1856;

	for (gs_addr at = pthread + HEAD; at < tp; at += 16)
		put(fake, at, DTV + 0x20);
	put_thread(fake, tp, DTV + 0x20);
	put(fake, DTV + 0x20 + 16, tp + 0x2000);
	assert_int_equal(look(fake, pthread + HEAD, 0, tp), 0);
	gs_fake_free(fake);
}

static void a_machine_nobody_knows(void **state)
{
	struct gs_thread thread = { .tid = getpid(), .tp = MEMORY };
	struct gs_threads threads = { &thread, 1, 1 };
	struct gs_fake *fake = zeroed();
	struct gs_maps maps = {};
	struct gs_tls_list list;

	gs_tls_list_read(&fake->mem, EM_S390, 8, &threads, &maps, &list);
	assert_int_equal(list.len, 0);
	gs_fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_from_the_robust_list),
		cmocka_unit_test(keys_are_no_dtv),
		cmocka_unit_test(at_the_end_of_what_is_there),
		cmocka_unit_test(found_by_its_thread_pointer),
		cmocka_unit_test(tags_are_taken_off),
		cmocka_unit_test(many_candidates),
		cmocka_unit_test(a_machine_nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
