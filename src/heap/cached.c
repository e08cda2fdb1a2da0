/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/cached.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "proc/presence.h"

enum { BATCH = 256 };

/*
 * A list that is being followed. All lists advance together, one element a round, so that a
 * round costs a few system calls, whatever the number of lists.
 */
struct follower {
	gs_addr user;		/* user pointer of the element to read; 0: at the end */
	uint64_t left;		/* elements that may still come */
	uint64_t size;		/* every chunk's size, 0: sizes differ */
	gs_addr mark;		/* an element seen: meeting it again means a circle (Brent) */
	uint64_t steps, power;
	bool counted;		/* left is what a counter says: the list ends with it */
	bool *too_long;		/* set when there are more than left; or NULL */
	int32_t tid;		/* 0: a fastbin */
	struct gs_tcache_sum *sum;
	struct gs_cached_list *into;
};

struct followers {
	struct follower *data;
	size_t len, cap;
};

/* The words of a cached chunk that matter: prev_size, size, link. */
struct node {
	gs_addr chunk;
	char words[3 * 8];
};

static bool is_user_pointer(const struct gs_layout *l, gs_addr user)
{
	return user >= 2u * l->word && (user & (l->align - 1u)) == 0;
}

/*
 * Take the element that was read: append it and step on to the next. False if it is no chunk of
 * this list.
 */
static bool take_node(const struct gs_layout *l, struct follower *f, const struct node *node)
{
	uint64_t raw = gs_layout_word(l, node->words, l->word);
	uint64_t size = raw & ~(uint64_t)GS_SIZE_BITS;

	if (raw & GS_IS_MMAPPED || size < l->min_size || size % l->align || size > UINT32_MAX ||
	    (f->size && size != f->size) || f->user == f->mark || f->into->len >= GS_MAX_CACHED)
		return false;
	*gs_vec_push(f->into) = (struct gs_cached){
		.addr = node->chunk, .size = (uint32_t)size, .tid = f->tid,
	};
	if (f->sum) {
		f->sum->bytes += size;
		f->sum->chunks++;
	}
	if (++f->steps == f->power) {
		f->mark = f->user;
		f->steps = 0;
		f->power *= 2;
	}
	f->left--;
	gs_addr next = gs_layout_reveal(l, f->user, gs_layout_word(l, node->words, 2u * l->word));
	/* A tcache links user pointers, a fastbin chunks. */
	if (next && !f->tid && __builtin_add_overflow(next, 2u * l->word, &next))
		return false;
	f->user = next;
	return true;
}

/* Read the next element of up to BATCH lists. Writes for each whether it could be read. */
static void read_nodes(struct gs_presence *presence, const struct gs_layout *l,
		       const struct follower *f, size_t n, struct node *nodes, bool *ret_ok)
{
	struct gs_span spans[BATCH];
	size_t owner[BATCH], n_spans = 0;

	for (size_t i = 0; i < n; i++) {
		nodes[i].chunk = f[i].user - 2u * l->word;
		ret_ok[i] = false;
		if (!is_user_pointer(l, f[i].user) ||
		    !gs_presence_has(presence, nodes[i].chunk, 3u * l->word))
			continue;
		owner[n_spans] = i;
		spans[n_spans++] = (struct gs_span){
			.addr = nodes[i].chunk, .buf = nodes[i].words, .len = 3u * l->word,
		};
	}
	gs_mem_readv(presence->mem, spans, n_spans);
	for (size_t i = 0; i < n_spans; i++)
		ret_ok[owner[i]] = spans[i].got == spans[i].len;
}

/*
 * Is the list at its end? A counted one ends when the counter does; its thread may be just between
 * taking the last element off the list and counting it (malloc.c, tcache_get).
 */
static bool is_finished(const struct follower *f)
{
	if (f->counted)
		return !f->left || (!f->user && f->left == 1);
	if (f->user && !f->left && f->too_long)
		*f->too_long = true;
	return !f->user || (f->too_long && *f->too_long);
}

/* One round: every list one element on. Finished and broken ones leave. */
static void advance(struct gs_presence *presence, const struct gs_layout *l,
		    struct followers *lists, struct gs_cached_set *set)
{
	struct node nodes[BATCH];
	bool ok[BATCH];
	size_t kept = 0;

	for (size_t first = 0; first < lists->len; first += BATCH) {
		size_t n = lists->len - first < BATCH ? lists->len - first : BATCH;
		read_nodes(presence, l, lists->data + first, n, nodes, ok);
		for (size_t i = 0; i < n; i++) {
			struct follower *f = &lists->data[first + i];
			if (!ok[i] || !f->left || !take_node(l, f, &nodes[i]))
				set->broken++;
			else if (!is_finished(f))
				lists->data[kept++] = *f;
		}
	}
	lists->len = kept;
}

/* Follow all lists to their ends. */
static void follow(struct gs_mem *mem, const struct gs_malloc *m, struct followers *lists,
		   struct gs_cached_set *set)
{
	struct gs_presence *presence = gs_presence_new(mem);

	while (lists->len)
		advance(presence, &m->layout, lists, set);
	gs_presence_free(presence);
	free(lists->data);
}

/* Elements that the counter of bin i says are in its list. */
static uint64_t bin_count(const struct gs_layout *l, const char *tcache, unsigned i,
			  uint64_t tcache_count)
{
	uint16_t counter = 0;

	memcpy(&counter, tcache + l->tcache.counts + i * l->tcache.count_size,
	       l->tcache.count_size);
	if (!l->tcache.counts_free)
		return counter;
	return counter < tcache_count ? tcache_count - counter : 0;
}

static void add_tcache(struct gs_mem *mem, const struct gs_layout *l,
		       const struct gs_thread_state *thread, uint64_t tcache_count,
		       struct gs_tcache_sum *sum, struct gs_cached_set *set,
		       struct followers *lists)
{
	char tcache[GS_MAX_STRUCT];

	if (!gs_mem_try(mem, thread->tcache, tcache, l->tcache.size)) {
		set->broken++;
		return;
	}
	for (unsigned i = 0; i < l->tcache.n_bins; i++) {
		uint64_t n = bin_count(l, tcache, i, tcache_count);
		struct follower f = {
			.user = gs_layout_word(l, tcache, l->tcache.entries + i * l->word),
			.left = n, .counted = true, .power = 1,
			.size = i < l->tcache.n_small_bins ? gs_layout_tcache_size(l, i) : 0,
			.tid = thread->tid, .sum = sum, .into = &set->tcache,
		};
		if (!is_finished(&f))
			*gs_vec_push(lists) = f;
	}
}

/* too_long NULL: follow lists of any length, as far as the arena's memory could hold them. */
static void add_fastbins(const struct gs_layout *l, const struct gs_arena_state *arena,
			 struct gs_cached_list *into, bool *too_long, struct followers *lists)
{
	for (unsigned i = 0; i < l->arena.n_fastbins; i++) {
		if (!arena->fastbins[i])
			continue;
		*gs_vec_push(lists) = (struct follower){
			.user = arena->fastbins[i] + 2u * l->word,
			.left = too_long ? GS_FASTBIN_SHORT : arena->system_mem / l->min_size,
			.power = 1, .too_long = too_long,
			.size = gs_layout_fastbin_size(l, i), .into = into,
		};
	}
}

static int compare(const void *a, const void *b)
{
	const struct gs_cached *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Sort by address and drop what is in it twice; returns how many were dropped. */
static size_t sort(struct gs_cached_list *list)
{
	if (!list->len)
		return 0;
	qsort(list->data, list->len, sizeof(*list->data), compare);
	size_t kept = 1;
	for (size_t i = 1; i < list->len; i++) {
		if (list->data[i].addr != list->data[kept - 1].addr)
			list->data[kept++] = list->data[i];
	}
	size_t dropped = list->len - kept;
	list->len = kept;
	return dropped;
}

void gs_cached_read(struct gs_mem *mem, const struct gs_malloc *m,
		    const struct gs_thread_states *threads, uint64_t tcache_count,
		    const struct gs_arena_state *arenas, size_t n_arenas,
		    struct gs_cached_set *ret)
{
	struct gs_cached_set set = {
		.fastbins = gs_xcalloc(n_arenas, sizeof(*set.fastbins)),
		.has_long = gs_xcalloc(n_arenas, sizeof(*set.has_long)),
		.n_fastbins = n_arenas,
		.sums = gs_xcalloc(threads->len, sizeof(*set.sums)),
	};
	struct followers lists = {};
	uint64_t refusals = mem->swap_refusals;

	for (size_t i = 0; i < threads->len; i++) {
		if (threads->data[i].tcache)
			add_tcache(mem, &m->layout, &threads->data[i], tcache_count, &set.sums[i],
				   &set, &lists);
	}
	for (size_t i = 0; i < n_arenas; i++)
		add_fastbins(&m->layout, &arenas[i], &set.fastbins[i], &set.has_long[i], &lists);
	follow(mem, m, &lists, &set);
	set.in_swap = mem->swap_refusals > refusals;
	set.dropped += sort(&set.tcache);
	for (size_t i = 0; i < n_arenas; i++) {
		if (set.has_long[i])
			set.fastbins[i].len = 0;
		set.dropped += sort(&set.fastbins[i]);
	}
	*ret = set;
}

void gs_cached_read_fastbins(struct gs_mem *mem, const struct gs_malloc *m,
			     const struct gs_arena_state *arena, size_t i,
			     struct gs_cached_set *set)
{
	struct followers lists = {};
	uint64_t refusals = mem->swap_refusals;

	set->fastbins[i].len = 0;
	add_fastbins(&m->layout, arena, &set->fastbins[i], NULL, &lists);
	follow(mem, m, &lists, set);
	set->in_swap |= mem->swap_refusals > refusals;
	set->dropped += sort(&set->fastbins[i]);
}

size_t gs_cached_find(const struct gs_cached_list *list, gs_addr addr)
{
	size_t lo = 0, hi = list->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (list->data[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void gs_cached_fini(struct gs_cached_set *set)
{
	free(set->tcache.data);
	for (size_t i = 0; i < set->n_fastbins; i++)
		free(set->fastbins[i].data);
	free(set->fastbins);
	free(set->has_long);
	free(set->sums);
	*set = (struct gs_cached_set){};
}
