/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/threads.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/xalloc.h"

enum {
	VOTERS = 64,		/* threads asked: more change nothing, and cost reads */
	TLS_MAX = 4096,		/* bytes of the TLS block looked at: libc's has about 0x98 */
};

static gs_addr read_variable(struct gs_mem *mem, const struct gs_layout *l, gs_addr block,
			     uint64_t offset)
{
	char word[8] = {};

	if (!block || !gs_mem_try(mem, block + offset, word, l->word))
		return 0;
	return gs_layout_word(l, word, 0);
}

/*
 * The block of module in the dtv, or of module 0: libc's as its distance from the thread pointer
 * tells. The dtv does not have that of a libc that dlmopen() loaded.
 */
enum { BY_DISTANCE = 0 };

static gs_addr block_of(const struct gs_malloc *m, const struct gs_tls *tls, size_t module)
{
	if (module != BY_DISTANCE)
		return gs_tls_block(tls, module);
	return m->tls_block == GS_NO_TLS ? 0 : tls->tp + m->tls_block;
}

static bool is_arena(const struct gs_addrs *arenas, gs_addr addr)
{
	for (size_t i = 0; addr && i < arenas->len; i++) {
		if (arenas->data[i] == addr)
			return true;
	}
	return false;
}

static size_t voters(const struct gs_tls_list *tls)
{
	return tls->len < VOTERS ? tls->len : VOTERS;
}

/* Index of the largest number, SIZE_MAX if all are 0. */
static size_t most_votes(const unsigned *votes, size_t n)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		if (votes[i] && (best == SIZE_MAX || votes[i] > votes[best]))
			best = i;
	}
	return best;
}

/* The module in whose blocks the threads' thread_arena is an arena most often; SIZE_MAX: none. */
static size_t vote_module(struct gs_mem *mem, const struct gs_malloc *m,
			  const struct gs_tls_list *tls, const struct gs_addrs *arenas)
{
	unsigned votes[GS_TLS_MODULES + 1] = {};

	for (size_t i = 0; i < voters(tls); i++) {
		for (size_t j = BY_DISTANCE; j <= tls->data[i].n; j++) {
			gs_addr arena = read_variable(mem, &m->layout,
						      block_of(m, &tls->data[i], j),
						      m->tls_thread_arena);
			votes[j] += is_arena(arenas, arena);
		}
	}
	return most_votes(votes, GS_TLS_MODULES + 1);
}

bool gs_thread_blocks_agree(struct gs_mem *mem, const struct gs_malloc *m,
			    const struct gs_tls_list *tls, const struct gs_addrs *arenas)
{
	size_t n = 0;

	if (m->tls_thread_arena == GS_NO_TLS)
		return false;
	for (size_t i = 0; i < voters(tls); i++) {
		const struct gs_tls *t = &tls->data[i];
		for (size_t j = BY_DISTANCE + 1; j <= t->n; j++) {
			gs_addr block = block_of(m, t, j);
			if (!is_arena(arenas, read_variable(mem, &m->layout, block,
							    m->tls_thread_arena)))
				continue;
			if (block != block_of(m, t, BY_DISTANCE))
				return false;
			n++;
		}
	}
	return n > 0;
}

/* Since 2.43 a thread without a tcache points to a dummy inside libc. */
static gs_addr heap_pointer(const struct gs_malloc *m, gs_addr addr)
{
	return addr >= m->image_start && addr < m->image_end ? 0 : addr;
}

void gs_thread_states_read(struct gs_mem *mem, const struct gs_malloc *m,
			   const struct gs_tls_list *tls, const struct gs_addrs *arenas,
			   struct gs_thread_states *ret)
{
	struct gs_thread_states states = {};
	size_t module = SIZE_MAX;

	if (m->tls_thread_arena != GS_NO_TLS)
		module = vote_module(mem, m, tls, arenas);
	for (size_t i = 0; i < tls->len && module != SIZE_MAX; i++) {
		gs_addr block = block_of(m, &tls->data[i], module);
		struct gs_thread_state state = { .tid = tls->data[i].tid };
		if (!block)
			continue;
		state.arena = read_variable(mem, &m->layout, block, m->tls_thread_arena);
		if (m->layout.has_tcache && m->tls_tcache != GS_NO_TLS)
			state.tcache = heap_pointer(m, read_variable(mem, &m->layout, block,
								     m->tls_tcache));
		*gs_vec_push(&states) = state;
	}
	*ret = states;
}

/* --- without symbols --- */

static size_t read_block(struct gs_mem *mem, gs_addr block, uint64_t memsz, char *buf)
{
	size_t len = memsz < TLS_MAX ? (size_t)memsz : TLS_MAX;

	return block && gs_mem_try(mem, block, buf, len) ? len : 0;
}

/* Vote on (module, offset) of thread_arena. False if no thread points to an arena. */
static bool find_thread_arena(struct gs_mem *mem, const struct gs_malloc *m,
			      const struct gs_tls_list *tls, const struct gs_addrs *arenas,
			      uint64_t memsz, size_t *ret_module, size_t *ret_offset)
{
	enum { SLOTS = TLS_MAX / 4 };
	const size_t n_votes = (GS_TLS_MODULES + 1) * SLOTS;
	cleanup_free_ unsigned *votes = gs_xcalloc(n_votes, sizeof(*votes));
	unsigned word = m->layout.word;
	char buf[TLS_MAX];

	for (size_t i = 0; i < voters(tls); i++) {
		for (size_t j = BY_DISTANCE; j <= tls->data[i].n; j++) {
			size_t len = read_block(mem, block_of(m, &tls->data[i], j), memsz, buf);
			for (size_t at = 0; at + word <= len; at += word)
				votes[j * SLOTS + at / 4] +=
					is_arena(arenas, gs_layout_word(&m->layout, buf, at));
		}
	}
	size_t best = most_votes(votes, n_votes);
	if (best == SIZE_MAX)
		return false;
	*ret_module = best / SLOTS;
	*ret_offset = best % SLOTS * 4;
	return true;
}

/*
 * Which variant's struct could lie at addr? It fills a chunk of its own (16 bytes more where the
 * remainder was not worth splitting off), its counters are small, and a bin that counts chunks
 * has a first one.
 */
static const struct gs_tcache_variant *tcache_at(struct gs_mem *mem, const struct gs_malloc *m,
						 gs_addr addr)
{
	const struct gs_layout *l = &m->layout;
	char header[16];

	if (!addr || addr % (2u * l->word) || addr < 2u * l->word || !heap_pointer(m, addr) ||
	    !gs_mem_try(mem, addr - 2u * l->word, header, 2u * l->word))
		return NULL;
	uint64_t raw = gs_layout_word(l, header, l->word);
	uint64_t size = raw & ~(uint64_t)GS_SIZE_BITS;
	for (size_t i = 0; i < gs_n_tcache_variants && !(raw & GS_IS_MMAPPED); i++) {
		const struct gs_tcache_variant *v = &gs_tcache_variants[i];
		uint64_t need = (gs_tcache_size(v, l->word) + l->word + l->align - 1u) &
				~(uint64_t)(l->align - 1u);
		if (size == need || size == need + 16)
			return v;
	}
	return NULL;
}

void gs_thread_offsets_find(struct gs_mem *mem, struct gs_malloc *m,
			    const struct gs_tls_list *tls, const struct gs_addrs *arenas,
			    uint64_t memsz, const struct gs_tcache_variant **ret_tcache)
{
	unsigned votes[TLS_MAX / 4] = {}, word = m->layout.word;
	const struct gs_tcache_variant *variant[TLS_MAX / 4] = {};
	size_t module, offset;
	char buf[TLS_MAX];

	m->tls_thread_arena = m->tls_tcache = GS_NO_TLS;
	*ret_tcache = NULL;
	if (!find_thread_arena(mem, m, tls, arenas, memsz, &module, &offset))
		return;
	m->tls_thread_arena = offset;
	for (size_t i = 0; i < voters(tls); i++) {
		size_t len = read_block(mem, block_of(m, &tls->data[i], module), memsz, buf);
		for (size_t at = 0; at + word <= len; at += word) {
			const struct gs_tcache_variant *v =
				tcache_at(mem, m, gs_layout_word(&m->layout, buf, at));
			votes[at / 4] += v != NULL;
			variant[at / 4] = v ? v : variant[at / 4];
		}
	}
	size_t best = most_votes(votes, TLS_MAX / 4);
	if (best == SIZE_MAX)
		return;
	m->tls_tcache = best * 4;
	*ret_tcache = variant[best];
}
