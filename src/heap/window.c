/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "heap/window.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

enum {
	BYTES_MAX = 256 << 10,		/* of a window: fastest from 64K to 1M */
	SPANS_MAX = BYTES_MAX / 4096,	/* runs of present pages in it */
};

/* A window that is read, or being read. */
struct piece {
	char *buf;
	gs_addr start, end;
	struct gs_span spans[SPANS_MAX];
	size_t n_spans;
};

struct gs_window_state {
	struct gs_mem *mem;
	struct gs_residency *residency;
	size_t size;			/* of the next window, if it follows this one */
	struct piece piece[2];		/* the current one and the one ahead */
	struct piece *now, *ahead;
	bool is_ahead;			/* the piece ahead was handed to the reader */
	/* The second thread, made when first needed. */
	pthread_t reader;
	bool has_reader, no_reader;	/* it runs; it could not be made */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { READER_IDLE, READER_BUSY, READER_QUIT } order;
};

/* --- reading --- */

/* Which pages of [start, end) can be read? What is between them is zeros. */
static void prepare(struct gs_window_state *s, struct piece *piece, gs_addr start, gs_addr end)
{
	gs_addr from, to, at = start;

	piece->start = start;
	piece->end = end;
	piece->n_spans = 0;
	while (piece->n_spans < SPANS_MAX &&
	       gs_residency_run(s->residency, at, end, &from, &to)) {
		memset(piece->buf + (at - start), 0, from - at);
		piece->spans[piece->n_spans++] = (struct gs_span){
			.addr = from, .buf = piece->buf + (from - start), .len = to - from,
		};
		at = to;
	}
	memset(piece->buf + (at - start), 0, end - at);
}

static void read_piece(struct gs_mem *mem, struct piece *piece)
{
	mem->ops->readv(mem, piece->spans, piece->n_spans);
}

/* Zeros for what turned out not to be readable. */
static void finish(struct gs_window_state *s, struct piece *piece)
{
	for (size_t i = 0; i < piece->n_spans; i++) {
		struct gs_span *span = &piece->spans[i];
		memset((char *)span->buf + span->got, 0, span->len - span->got);
		s->mem->bytes_read += span->got;
	}
}

/* --- the second thread --- */

static void *reader_main(void *arg)
{
	struct gs_window_state *s = arg;

	pthread_mutex_lock(&s->lock);
	while (s->order != READER_QUIT) {
		if (s->order == READER_IDLE) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		read_piece(s->mem, s->ahead);
		pthread_mutex_lock(&s->lock);
		s->order = READER_IDLE;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Signals are for the thread that walks. */
static void start_reader(struct gs_window_state *s)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->order = READER_IDLE;
	s->has_reader = pthread_create(&s->reader, NULL, reader_main, s) == 0;
	s->no_reader = !s->has_reader;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void order(struct gs_window_state *s, int what)
{
	pthread_mutex_lock(&s->lock);
	s->order = what;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void read_ahead(struct gs_window_state *s, gs_addr start, gs_addr end)
{
	if (!s->has_reader && !s->no_reader)
		start_reader(s);
	if (s->no_reader)
		return;
	prepare(s, s->ahead, start, end);
	s->is_ahead = true;
	order(s, READER_BUSY);
}

static void wait_ahead(struct gs_window_state *s)
{
	if (!s->is_ahead)
		return;
	pthread_mutex_lock(&s->lock);
	while (s->order == READER_BUSY)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	s->is_ahead = false;
	finish(s, s->ahead);
}

/* --- the window --- */

void gs_window_init(struct gs_window *window, struct gs_mem *mem)
{
	struct gs_window_state *s = gs_xzalloc(sizeof(*s));
	size_t size = BYTES_MAX > mem->page_size ? BYTES_MAX : mem->page_size;

	s->mem = mem;
	s->piece[0].buf = gs_xcalloc(1, size);
	s->piece[1].buf = gs_xcalloc(1, size);
	s->now = &s->piece[0];
	s->ahead = &s->piece[1];
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	*window = (struct gs_window){ .state = s };
}

void gs_window_fini(struct gs_window *window)
{
	struct gs_window_state *s = window->state;

	if (!s)
		return;
	wait_ahead(s);
	if (s->has_reader) {
		order(s, READER_QUIT);
		pthread_join(s->reader, NULL);
	}
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s->piece[0].buf);
	free(s->piece[1].buf);
	free(s);
	*window = (struct gs_window){};
}

void gs_window_reset(struct gs_window *window, struct gs_residency *residency)
{
	wait_ahead(window->state);
	window->state->residency = residency;
	window->state->size = window->state->mem->page_size;
	window->start = window->end = 0;
}

static gs_addr clip(gs_addr start, size_t size, gs_addr limit)
{
	return start < limit && limit - start < size ? limit : start + size;
}

static void show(struct gs_window *window)
{
	window->start = window->state->now->start;
	window->end = window->state->now->end;
	window->buf = window->state->now->buf;
}

void gs_window_move(struct gs_window *window, gs_addr addr, gs_addr limit)
{
	struct gs_window_state *s = window->state;
	size_t page = s->mem->page_size;
	gs_addr start = addr & ~(gs_addr)(page - 1);
	bool follows = start >= window->end && start - window->end < page;

	limit = (limit + page - 1) & ~(gs_addr)(page - 1);
	wait_ahead(s);
	if (follows && s->ahead->end > start && s->ahead->start <= start) {
		struct piece *next = s->ahead;
		s->ahead = s->now;
		s->now = next;
	} else {
		s->size = follows ? s->size * 4 : page;
		if (s->size > BYTES_MAX)
			s->size = BYTES_MAX > page ? BYTES_MAX : page;
		prepare(s, s->now, start, clip(start, s->size, limit));
		read_piece(s->mem, s->now);
		finish(s, s->now);
	}
	s->ahead->start = s->ahead->end = 0;
	show(window);
	if (s->size == BYTES_MAX && window->end < limit)
		read_ahead(s, window->end, clip(window->end, s->size, limit));
}
