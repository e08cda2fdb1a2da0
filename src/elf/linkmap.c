/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/linkmap.h"

#include <elf.h>

#include "base/xalloc.h"
#include "elf/dynsym.h"

/* The fields of a link map entry that debuggers may rely on, in words. */
enum { LINK_ADDR, LINK_NAME, LINK_DYNAMIC, LINK_NEXT, LINK_WORDS };

static bool read_words(struct gs_mem *mem, gs_addr addr, uint8_t word, uint64_t *ret, size_t n)
{
	uint32_t narrow[LINK_WORDS];

	if (word == sizeof(*ret))
		return gs_mem_try(mem, addr, ret, n * sizeof(*ret));
	if (!gs_mem_try(mem, addr, narrow, n * sizeof(*narrow)))
		return false;
	for (size_t i = 0; i < n; i++)
		ret[i] = narrow[i];
	return true;
}

/* The head of the list, from a struct r_debug: an int, padding, then the pointer. */
static gs_addr head_at(const struct gs_module *module, struct gs_mem *mem, gs_addr r_debug)
{
	gs_addr at;
	uint64_t head;

	if (!r_debug || __builtin_add_overflow(r_debug, module->word, &at) ||
	    !read_words(mem, at, module->word, &head, 1))
		return 0;
	return head;
}

/* ld.so leaves a pointer in DT_DEBUG of the program, which need not be the file executed. */
static gs_addr find_head(const struct gs_modules *modules, struct gs_mem *mem, uint8_t *ret_word)
{
	for (size_t i = 0; i < modules->len; i++) {
		const struct gs_module *module = modules->data[i];
		struct gs_image image;
		uint64_t r_debug = 0;

		if (!module->dynamic)
			continue;
		gs_image_init(&image, module, mem);
		if (!gs_dynamic_find(&image, DT_DEBUG, &r_debug) || !r_debug) {
			struct gs_dynsym dynsym;
			gs_dynsym_init(&image, &dynsym);
			gs_dynsym_find(&dynsym, "_r_debug", &r_debug);
		}
		gs_image_fini(&image);
		gs_addr head = head_at(module, mem, r_debug);
		if (head) {
			*ret_word = module->word;
			return head;
		}
	}
	return 0;
}

struct gs_module **gs_linkmap_read(const struct gs_modules *modules, struct gs_mem *mem,
				   size_t *ret_len)
{
	struct gs_module **order = gs_xcalloc(modules->len + 1, sizeof(struct gs_module *));
	uint8_t word = 0;
	gs_addr at = find_head(modules, mem, &word);
	size_t len = 0;

	/* The vDSO and what was unmapped a moment ago have entries but no module. */
	for (size_t step = 0; at && len < modules->len && step < 2 * modules->len + 8; step++) {
		uint64_t entry[LINK_WORDS];
		if (!read_words(mem, at, word, entry, LINK_WORDS))
			break;
		struct gs_module *module = gs_modules_find(modules, entry[LINK_DYNAMIC]);
		if (module)
			order[len++] = module;
		at = entry[LINK_NEXT];
	}
	*ret_len = len;
	return order;
}
