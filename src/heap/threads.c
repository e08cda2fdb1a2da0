/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"

enum {
	TCB_REACH = 0x800,	/* robust list head - TCB: 0x2e0 on x86-64, 0x6c on i386 */
	MODULES_MAX = 256,	/* entries of a dtv looked at: libc is among the first */
};

/* A thread whose dtv is known, with the TLS blocks of the first modules. */
struct tls {
	pid_t tid;
	size_t n;		/* blocks */
	gs_addr *blocks;	/* of module 1, 2, …; 0: not allocated */
};

/*
 * The head of a thread's robust futex list lies in its struct pthread, which begins with the TCB
 * (nptl/descr.h). The kernel tells its address for any thread that we may inspect.
 */
static gs_addr robust_list_head(pid_t tid)
{
	void *head = NULL;
	size_t len = 0;

	if (syscall(SYS_get_robust_list, tid, &head, &len) < 0)
		return 0;
	return (gs_addr)(uintptr_t)head;
}

/*
 * Find the TCB below the list head: its first and third word (tcb and self of tcbhead_t, x86)
 * hold its own address. Its second word is the dtv.
 */
static gs_addr find_dtv(struct gs_mem *mem, const struct gs_layout *l, gs_addr head)
{
	char buf[TCB_REACH];
	size_t word = l->word;

	if (head < TCB_REACH || head % word)
		return 0;
	/* The stretch may begin below the mapping: take what there is, page by page. */
	gs_addr start = head - TCB_REACH;
	if (!gs_mem_try(mem, start, buf, TCB_REACH)) {
		start = (head - 1) & ~(gs_addr)(mem->page_size - 1);
		if (head - start > TCB_REACH || !gs_mem_try(mem, start, buf, head - start))
			return 0;
	}
	for (gs_addr at = head - 3 * word; at >= start; at -= word) {
		const char *tcb = buf + (at - start);
		if (gs_layout_word(l, tcb, 0) == at && gs_layout_word(l, tcb, 2 * word) == at)
			return gs_layout_word(l, tcb, word);
	}
	return 0;
}

/* dtv[-1] holds the number of entries, dtv[i] the block of module i and a word for free(). */
static bool read_dtv(struct gs_mem *mem, const struct gs_layout *l, gs_addr dtv, struct tls *tls)
{
	size_t word = l->word, entry = 2 * word;
	char count[16] = {}, buf[MODULES_MAX * 16];

	if (dtv < entry || !gs_mem_try(mem, dtv - entry, count, entry))
		return false;
	uint64_t n = gs_layout_word(l, count, 0);
	if (n > MODULES_MAX)
		n = MODULES_MAX;
	if (!n || !gs_mem_try(mem, dtv + entry, buf, n * entry))
		return false;
	tls->n = n;
	tls->blocks = gs_xcalloc(n, sizeof(gs_addr));
	for (size_t i = 0; i < n; i++) {
		gs_addr block = gs_layout_word(l, buf, i * entry);
		/* TLS_DTV_UNALLOCATED is (void *)-1. */
		bool unallocated = block >= (word == 8 ? UINT64_MAX : UINT32_MAX);
		tls->blocks[i] = unallocated ? 0 : block;
	}
	return true;
}

static gs_addr read_variable(struct gs_mem *mem, const struct gs_layout *l, gs_addr block,
			     uint64_t offset)
{
	char word[8] = {};

	if (!block || !gs_mem_try(mem, block + offset, word, l->word))
		return 0;
	return gs_layout_word(l, word, 0);
}

static bool is_arena(const struct gs_addrs *arenas, gs_addr addr)
{
	for (size_t i = 0; addr && i < arenas->len; i++) {
		if (arenas->data[i] == addr)
			return true;
	}
	return false;
}

/* The module in whose blocks the threads' thread_arena is an arena most often; SIZE_MAX: none. */
static size_t vote_module(struct gs_mem *mem, const struct gs_malloc *m, const struct tls *tls,
			  size_t n_tls, const struct gs_addrs *arenas)
{
	enum { VOTERS = 64 };	/* more change nothing, and cost reads */
	unsigned votes[MODULES_MAX] = {};
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < n_tls && i < VOTERS; i++) {
		for (size_t j = 0; j < tls[i].n; j++) {
			gs_addr arena = read_variable(mem, &m->layout, tls[i].blocks[j],
						      m->tls_thread_arena);
			if (is_arena(arenas, arena))
				votes[j]++;
		}
	}
	for (size_t j = 0; j < MODULES_MAX; j++) {
		if (votes[j] && (best == SIZE_MAX || votes[j] > votes[best]))
			best = j;
	}
	return best;
}

/* Since 2.43 a thread without a tcache points to a dummy inside libc. */
static gs_addr heap_pointer(const struct gs_malloc *m, gs_addr addr)
{
	return addr >= m->image_start && addr < m->image_end ? 0 : addr;
}

static struct gs_thread_state thread_state(struct gs_mem *mem, const struct gs_malloc *m,
					   pid_t tid, gs_addr block)
{
	struct gs_thread_state state = { .tid = tid };

	state.arena = read_variable(mem, &m->layout, block, m->tls_thread_arena);
	if (m->layout.has_tcache && m->tls_tcache != GS_NO_TLS)
		state.tcache = heap_pointer(m, read_variable(mem, &m->layout, block,
							     m->tls_tcache));
	return state;
}

void gs_thread_states_read(struct gs_mem *mem, const struct gs_malloc *m,
			   const struct gs_threads *threads, const struct gs_addrs *arenas,
			   struct gs_thread_states *ret)
{
	struct gs_thread_states states = {};
	cleanup_free_ struct tls *tls = gs_xcalloc(threads->len, sizeof(*tls));
	size_t n_tls = 0;

	for (size_t i = 0; i < threads->len && m->tls_thread_arena != GS_NO_TLS; i++) {
		gs_addr head = robust_list_head(threads->data[i].tid);
		gs_addr dtv = head ? find_dtv(mem, &m->layout, head) : 0;
		tls[n_tls].tid = threads->data[i].tid;
		if (dtv && read_dtv(mem, &m->layout, dtv, &tls[n_tls]))
			n_tls++;
	}
	states.unknown = threads->len - n_tls;

	size_t module = vote_module(mem, m, tls, n_tls, arenas);
	for (size_t i = 0; i < n_tls; i++) {
		gs_addr block = module < tls[i].n ? tls[i].blocks[module] : 0;
		if (block)
			*gs_vec_push(&states) = thread_state(mem, m, tls[i].tid, block);
		free(tls[i].blocks);
	}
	*ret = states;
}
