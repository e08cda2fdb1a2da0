/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/tls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/vec.h"
#include "base/xalloc.h"

enum { TCB_REACH = 0x800 };	/* robust list head - TCB: 0x2e0 on x86-64, 0x6c on i386 */

static uint64_t get_word(const char *buf, uint8_t word)
{
	uint64_t value = 0;

	memcpy(&value, buf, word);
	return value;
}

#ifdef __x86_64__
/*
 * A 32-bit thread has its list with the kernel's other, compat, entry (kernel/futex/syscalls.c),
 * which only 32-bit system calls tell. They take addresses below 4 GiB.
 */
static gs_addr compat_robust_list_head(pid_t tid)
{
	enum { COMPAT_GET_ROBUST_LIST = 312 };
	uint32_t *out = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long result;

	if (out == MAP_FAILED)
		return 0;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(COMPAT_GET_ROBUST_LIST), "b"(tid), "c"(&out[0]), "d"(&out[1])
			 : "memory", "r8", "r9", "r10", "r11");
	gs_addr head = (int)result < 0 ? 0 : out[0];
	munmap(out, 4096);
	return head;
}
#else
static gs_addr compat_robust_list_head(pid_t tid)
{
	return 0;
}
#endif

/*
 * The head of a thread's robust futex list lies in its struct pthread, which begins with the TCB
 * (nptl/descr.h). The kernel tells its address for any thread that we may inspect.
 */
static gs_addr robust_list_head(pid_t tid, uint8_t word)
{
	void *head = NULL;
	size_t len = 0;

	if (word == 4)
		return compat_robust_list_head(tid);
	if (syscall(SYS_get_robust_list, tid, &head, &len) < 0)
		return 0;
	return (gs_addr)(uintptr_t)head;
}

/*
 * Find the TCB below the list head: its first and third word (tcb and self of tcbhead_t, x86)
 * hold its own address. Its second word is the dtv.
 */
static gs_addr find_dtv(struct gs_mem *mem, uint8_t word, gs_addr head)
{
	char buf[TCB_REACH];

	if (head < TCB_REACH || head % word)
		return 0;
	/* The stretch may begin below the mapping: take what there is of the head's page. */
	gs_addr start = head - TCB_REACH;
	if (!gs_mem_try(mem, start, buf, TCB_REACH)) {
		start = (head - 1) & ~(gs_addr)(mem->page_size - 1);
		if (head - start > TCB_REACH || !gs_mem_try(mem, start, buf, head - start))
			return 0;
	}
	for (gs_addr at = head - 3u * word; at >= start; at -= word) {
		const char *tcb = buf + (at - start);
		if (get_word(tcb, word) == at && get_word(tcb + 2 * word, word) == at)
			return get_word(tcb + word, word);
	}
	return 0;
}

/* dtv[-1] holds the number of entries, dtv[i] the block of module i and a word for free(). */
static bool read_dtv(struct gs_mem *mem, uint8_t word, gs_addr dtv, struct gs_tls *tls)
{
	size_t entry = 2u * word;
	char count[16] = {}, buf[GS_TLS_MODULES * 16];

	if (dtv < entry || !gs_mem_try(mem, dtv - entry, count, entry))
		return false;
	uint64_t n = get_word(count, word);
	if (n > GS_TLS_MODULES)
		n = GS_TLS_MODULES;
	if (!n || !gs_mem_try(mem, dtv + entry, buf, n * entry))
		return false;
	tls->n = n;
	tls->blocks = gs_xcalloc(n, sizeof(gs_addr));
	for (size_t i = 0; i < n; i++) {
		gs_addr block = get_word(buf + i * entry, word);
		/* TLS_DTV_UNALLOCATED is (void *)-1. */
		bool unallocated = block >= (word == 8 ? UINT64_MAX : UINT32_MAX);
		tls->blocks[i] = unallocated ? 0 : block;
	}
	return true;
}

void gs_tls_list_read(struct gs_mem *mem, uint8_t word, const struct gs_threads *threads,
		      struct gs_tls_list *ret)
{
	struct gs_tls_list list = {};

	for (size_t i = 0; i < threads->len; i++) {
		struct gs_tls tls = { .tid = threads->data[i].tid };
		gs_addr head = robust_list_head(tls.tid, word);
		gs_addr dtv = head ? find_dtv(mem, word, head) : 0;
		if (dtv && read_dtv(mem, word, dtv, &tls))
			*gs_vec_push(&list) = tls;
	}
	*ret = list;
}

void gs_tls_list_fini(struct gs_tls_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->data[i].blocks);
	free(list->data);
	*list = (struct gs_tls_list){};
}

gs_addr gs_tls_block(const struct gs_tls *tls, size_t module)
{
	return module && module <= tls->n ? tls->blocks[module - 1] : 0;
}
