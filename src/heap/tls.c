/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/tls.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"

enum {
	/* From the robust list head to the TCB: 0x2e0 on x86-64, 0x6c on i386, 0x660 on aarch64. */
	TCB_REACH = 0x800,
	BLOCK_REACH = 0x1000,	/* from the TCB to the first TLS block: as that is aligned */
	DTV_MAX = 65536,	/* modules of a dtv; real ones have tens */
	TRIES_MAX = 16384,	/* dtvs tried for one thread */
};

/* Where the TCB of a program without threads is looked for: bytes of one mapping, and of all. */
#define LONE_MAP_MAX (UINT64_C(1) << 20)
#define LONE_TOTAL_MAX (UINT64_C(2) << 20)

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
 * The head of a thread's robust futex list lies in its struct pthread (nptl/descr.h), next to the
 * TCB. The kernel tells its address for any thread that we may inspect.
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

/* What one look at a target's threads needs. */
struct look {
	struct gs_mem *mem;
	uint8_t word;
	const struct abi *abi;
	unsigned tries_left;	/* dtvs that may still be tried for this thread */
};

struct tcb {
	gs_addr tp, dtv;
};

/* dtv[-1] holds the number of entries, dtv[i] the block of module i and a word for free(). */
static bool read_dtv(struct look *look, gs_addr dtv, struct gs_tls *tls)
{
	size_t word = look->word, entry = 2 * word;
	char count[16] = {}, buf[GS_TLS_MODULES * 16];

	if (dtv < entry || !gs_mem_try(look->mem, dtv - entry, count, entry))
		return false;
	uint64_t n = get_word(count, look->word);
	if (n > GS_TLS_MODULES)
		n = GS_TLS_MODULES;
	if (!n || !gs_mem_try(look->mem, dtv + entry, buf, n * entry))
		return false;
	tls->n = n;
	tls->blocks = gs_xcalloc(n, sizeof(gs_addr));
	for (size_t i = 0; i < n; i++) {
		gs_addr block = get_word(buf + i * entry, look->word);
		/* TLS_DTV_UNALLOCATED is (void *)-1. */
		bool unallocated = block >= (word == 8 ? UINT64_MAX : UINT32_MAX);
		tls->blocks[i] = unallocated ? 0 : block;
	}
	return true;
}

/* --- where the TCB is --- */

/*
 * On x86 the TCB is the start of struct pthread, and the thread pointer its address; first and
 * third word (tcb and self of tcbhead_t) hold that too. The second one is the dtv.
 */
static gs_addr dtv_by_self(struct look *look, const char *tcb, gs_addr tp)
{
	uint8_t w = look->word;

	if (get_word(tcb, w) != tp || get_word(tcb + 2 * w, w) != tp)
		return 0;
	return get_word(tcb + w, w);
}

/* Before a dtv's blocks: how many there are, 0, the generation of the list of modules, 0. */
static bool is_dtv(struct look *look, gs_addr dtv)
{
	uint8_t w = look->word;
	char words[4 * 8];

	if (!dtv || dtv % (2u * w) || !gs_mem_try(look->mem, dtv - 2u * w, words, 4u * w))
		return false;
	return get_word(words, w) - 1 < DTV_MAX && !get_word(words + w, w) &&
	       get_word(words + 2 * w, w) <= UINT32_MAX && !get_word(words + 3 * w, w);
}

/*
 * On aarch64 struct pthread ends where the thread pointer is. There lie the dtv and a word that
 * is never used, and behind them the first TLS block. That the dtv leads there is not enough:
 * pointers to what a thread keeps of its own (pthread_setspecific) lead all over the struct.
 */
static gs_addr dtv_by_block(struct look *look, const char *tcb, gs_addr tp)
{
	uint8_t w = look->word;
	gs_addr dtv = get_word(tcb, w);
	struct gs_tls tls = {};
	bool leads_back = false;

	if (!dtv || get_word(tcb + w, w) || tp > GS_NO_ADDR - BLOCK_REACH || !look->tries_left)
		return 0;
	look->tries_left--;
	if (!is_dtv(look, dtv) || !read_dtv(look, dtv, &tls))
		return 0;
	for (size_t i = 0; i < tls.n; i++)
		leads_back |= tls.blocks[i] >= tp + 2u * w && tls.blocks[i] < tp + BLOCK_REACH;
	free(tls.blocks);
	return leads_back ? dtv : 0;
}

/* How a machine's C library lays its threads out (sysdeps/MACHINE/nptl/tls.h). */
static const struct abi {
	uint16_t machine;
	bool above;	/* the thread pointer lies above struct pthread, not at its start */
	gs_addr (*dtv)(struct look *look, const char *tcb, gs_addr tp);
} abis[] = {
	{ EM_X86_64, false, dtv_by_self },
	{ EM_386, false, dtv_by_self },
	{ EM_AARCH64, true, dtv_by_block },
};

static const struct abi *find_abi(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
		if (abis[i].machine == machine)
			return &abis[i];
	}
	return NULL;
}

/* --- by the robust list --- */

/*
 * Copy what may hold the TCB: TCB_REACH bytes below or above the list head. They may reach out
 * of the mapping: then what there is of the head's page.
 */
static size_t read_reach(struct look *look, gs_addr head, char *buf, gs_addr *ret_start)
{
	gs_addr page = look->mem->page_size;
	gs_addr start = look->abi->above ? head : head - TCB_REACH;

	*ret_start = start;
	if (gs_mem_try(look->mem, start, buf, TCB_REACH))
		return TCB_REACH;
	gs_addr below = look->abi->above ? head : (head - 1) & ~(page - 1);
	gs_addr above = look->abi->above ? (head | (page - 1)) + 1 : head;
	*ret_start = below;
	if (above - below > TCB_REACH || !gs_mem_try(look->mem, below, buf, above - below))
		return 0;
	return above - below;
}

/* The TCB nearest to the list head of its struct pthread. */
static bool find_tcb(struct look *look, gs_addr head, struct tcb *ret)
{
	uint8_t w = look->word;
	char buf[TCB_REACH];
	gs_addr start;

	if (head < TCB_REACH || head > GS_NO_ADDR - TCB_REACH || head % w)
		return false;
	size_t len = read_reach(look, head, buf, &start);
	for (size_t i = 0; i + 3u * w <= len; i += w) {
		size_t at = look->abi->above ? i : (len - 3u * w - i) / w * w;
		*ret = (struct tcb){ start + at, look->abi->dtv(look, buf + at, start + at) };
		if (ret->dtv)
			return true;
	}
	return false;
}

/* --- by the thread pointer --- */

static bool read_tcb(struct look *look, gs_addr tp, struct tcb *ret)
{
	char words[3 * 8];

	if (!gs_mem_try(look->mem, tp, words, 3u * look->word))
		return false;
	*ret = (struct tcb){ tp, look->abi->dtv(look, words, tp) };
	return ret->dtv;
}

/* --- without either --- */

/* The TCBs among the words of one page, counted; *ret is the last. */
static unsigned count_tcbs(struct look *look, const char *page, gs_addr addr, struct tcb *ret)
{
	size_t len = look->mem->page_size;
	unsigned n = 0;

	for (size_t at = 0; at + 3u * look->word <= len; at += 2u * look->word) {
		gs_addr dtv = look->abi->dtv(look, page + at, addr + at);
		if (!dtv)
			continue;
		*ret = (struct tcb){ addr + at, dtv };
		n++;
	}
	return n;
}

/*
 * Until 2.33 a program that is not linked with libpthread registers no robust list. The TCB of
 * its only thread lies in a small mapping of ld.so's own, or in a static program at the start of
 * the brk area. False unless there is exactly one.
 */
static bool find_lone_tcb(struct look *look, const struct gs_maps *maps, struct tcb *ret)
{
	struct gs_mem *mem = look->mem;
	cleanup_free_ char *page = gs_xcalloc(1, mem->page_size);
	uint64_t left = LONE_TOTAL_MAX;
	unsigned n = 0;

	for (size_t i = 0; i < maps->len; i++) {
		const struct gs_map *map = &maps->data[i];
		bool is_brk = !strcmp(map->path, "[heap]");
		uint64_t size = map->end - map->start;
		if (!gs_map_is_anon_rw(map) || (size > LONE_MAP_MAX && !is_brk))
			continue;
		size = size < LONE_MAP_MAX ? size : LONE_MAP_MAX;
		for (uint64_t at = 0; at < size && left; at += mem->page_size) {
			left -= mem->page_size < left ? mem->page_size : left;
			if (gs_mem_try(mem, map->start + at, page, mem->page_size))
				n += count_tcbs(look, page, map->start + at, ret);
		}
	}
	return n == 1;
}

static bool thread_tcb(struct look *look, const struct gs_thread *thread,
		       const struct gs_maps *maps, bool is_lone, struct tcb *ret)
{
	if (thread->tp)
		return thread->tp != GS_NO_ADDR && read_tcb(look, thread->tp, ret);
	gs_addr head = robust_list_head(thread->tid, look->word);
	if (head)
		return find_tcb(look, head, ret);
	return is_lone && find_lone_tcb(look, maps, ret);
}

void gs_tls_list_read(struct gs_mem *mem, uint16_t machine, uint8_t word,
		      const struct gs_threads *threads, const struct gs_maps *maps,
		      struct gs_tls_list *ret)
{
	struct look look = { .mem = mem, .word = word, .abi = find_abi(machine) };
	struct gs_tls_list list = {};

	for (size_t i = 0; i < threads->len && look.abi; i++) {
		struct gs_tls tls = { .tid = threads->data[i].tid };
		look.tries_left = TRIES_MAX;
		struct tcb tcb;
		if (!thread_tcb(&look, &threads->data[i], maps, threads->len == 1, &tcb) ||
		    !read_dtv(&look, tcb.dtv, &tls))
			continue;
		tls.tp = tcb.tp;
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
