/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proc/mem.h"

void gs_mem_readv(struct gs_mem *mem, struct gs_span *spans, size_t n)
{
	mem->ops->readv(mem, spans, n);
	for (size_t i = 0; i < n; i++)
		mem->bytes_read += spans[i].got;
}

/* Is this a page that may be read? Counts the refusal if swap is why it may not. */
static bool is_readable(struct gs_mem *mem, uint8_t state)
{
	mem->swap_refusals += state == GS_PAGE_SWAPPED;
	return state == GS_PAGE_RESIDENT || state == GS_PAGE_ZERO;
}

static bool is_present(struct gs_mem *mem, gs_addr addr, size_t len)
{
	uint8_t states[16];
	gs_addr end, page = addr & ~(gs_addr)(mem->page_size - 1);

	if (__builtin_add_overflow(addr, len, &end))
		return false;
	while (page < end) {
		size_t n = (end - page + mem->page_size - 1) / mem->page_size;
		if (n > sizeof(states))
			n = sizeof(states);
		struct gs_err *err = gs_mem_pages(mem, page, n, states);
		if (err) {
			gs_err_free(err);
			return false;
		}
		for (size_t i = 0; i < n; i++) {
			if (!is_readable(mem, states[i]))
				return false;
		}
		page += n * mem->page_size;
		if (page == 0)
			break;
	}
	return true;
}

bool gs_mem_try(struct gs_mem *mem, gs_addr addr, void *buf, size_t len)
{
	struct gs_span span = { .addr = addr & ~mem->tag_bits, .buf = buf, .len = len };

	if (!is_present(mem, span.addr, len))
		return false;
	gs_mem_readv(mem, &span, 1);
	return span.got == len;
}

struct gs_err *gs_mem_read(struct gs_mem *mem, gs_addr addr, void *buf, size_t len)
{
	uint64_t refusals = mem->swap_refusals;

	if (gs_mem_try(mem, addr, buf, len))
		return NULL;
	return gs_err_fault(addr, "cannot read %zu bytes of its memory at 0x%llx%s", len,
			    (unsigned long long)addr,
			    mem->swap_refusals > refusals ?
				    ": they are in swap, and are not read from there" : "");
}

struct gs_err *gs_mem_pages(struct gs_mem *mem, gs_addr addr, size_t n, uint8_t *ret)
{
	return mem->ops->pages(mem, addr, n, ret);
}

void gs_mem_free(struct gs_mem *mem)
{
	if (mem)
		mem->ops->free(mem);
}
