/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/tpoff.h"

#include <elf.h>
#include <unistd.h>

#include "elf/dynsym.h"
#include "elf/image.h"

/* Relocations looked at; libc's are some 1500. */
enum { RELOCS_MAX = 1 << 16 };

/* A table of relocations: of Rela (addends in the table), or of Rel (addends in place). */
struct table {
	uint64_t tag, size_tag;
	bool is_rela;
};

static const struct table tables[] = {
	{ DT_RELA, DT_RELASZ, true },
	{ DT_REL, DT_RELSZ, false },
};

static const struct { uint16_t machine; uint32_t type; } tpoffs[] = {
	{ EM_X86_64, R_X86_64_TPOFF64 }, { EM_386, R_386_TLS_TPOFF },
	{ EM_AARCH64, R_AARCH64_TLS_TPREL },
};

struct reader {
	struct gs_module *module;
	struct gs_mem *mem;
	struct gs_image image;
	struct gs_tpoff *tpoff;
};

struct reloc {
	gs_addr at;		/* run time */
	uint32_t type, symbol;
	uint64_t addend;
};

static bool read_reloc(struct reader *r, const struct table *table, gs_addr addr,
		       struct reloc *ret)
{
	uint64_t offset, info, addend = 0;
	unsigned w = r->module->word;

	if (!gs_image_read_word(&r->image, addr, &offset) ||
	    !gs_image_read_word(&r->image, addr + w, &info) ||
	    (table->is_rela && !gs_image_read_word(&r->image, addr + 2u * w, &addend)))
		return false;
	*ret = (struct reloc){
		.at = r->module->bias + offset,
		.type = w == 8 ? (uint32_t)ELF64_R_TYPE(info) : (uint32_t)ELF32_R_TYPE(info),
		.symbol = (uint32_t)(w == 8 ? ELF64_R_SYM(info) : ELF32_R_SYM(info)),
		.addend = addend,
	};
	return true;
}

static bool is_tpoff(const struct gs_module *module, const struct reloc *reloc)
{
	for (size_t i = 0; i < sizeof(tpoffs) / sizeof(tpoffs[0]); i++) {
		if (tpoffs[i].machine == module->machine && tpoffs[i].type == reloc->type)
			return true;
	}
	return false;
}

/* In memory the addend has been overwritten: the file still has it. */
static bool addend_in_place(struct gs_module *module, gs_addr at, uint64_t *ret)
{
	gs_module_open(module);
	for (size_t i = 0; i < module->n_segments && module->fd >= 0; i++) {
		const struct gs_segment *s = &module->segments[i];
		uint32_t word;
		if (at < s->start || at >= s->file_end)
			continue;
		if (pread(module->fd, &word, sizeof(word), (off_t)(s->offset + at - s->start)) !=
		    (ssize_t)sizeof(word))
			return false;
		*ret = word;
		return true;
	}
	return false;
}

/* The value that was written for a variable of the module's own. False: it contradicts. */
static bool take(struct reader *r, const struct table *table, const struct reloc *reloc)
{
	struct gs_tpoff *t = r->tpoff;
	uint64_t value = 0, addend = reloc->addend;

	if (t->n == GS_TPOFF_MAX)
		return true;
	if (!gs_mem_try(r->mem, reloc->at, &value, r->module->word) ||
	    (!table->is_rela && !addend_in_place(r->module, reloc->at, &addend)))
		return false;
	if (r->module->word == 4)
		value = (uint64_t)(int32_t)value;
	if (t->n && value - addend != t->block)
		return false;
	t->block = value - addend;
	t->offsets[t->n++] = addend;
	return true;
}

static bool read_table(struct reader *r, const struct table *table)
{
	const uint64_t entry = r->module->word * (table->is_rela ? 3u : 2u);
	gs_addr start;
	uint64_t size;

	if (!gs_dynamic_address(&r->image, table->tag, &start) ||
	    !gs_dynamic_find(&r->image, table->size_tag, &size))
		return true;
	for (uint64_t i = 0; i < size / entry && i < RELOCS_MAX; i++) {
		struct reloc reloc;
		if (!read_reloc(r, table, start + i * entry, &reloc))
			return false;
		/* Those with a symbol may be about another module's variable. */
		if (!reloc.symbol && is_tpoff(r->module, &reloc) && !take(r, table, &reloc))
			return false;
	}
	return true;
}

bool gs_tpoff_read(struct gs_module *module, struct gs_mem *mem, struct gs_tpoff *ret)
{
	struct gs_tpoff tpoff = {};
	struct reader r = { .module = module, .mem = mem, .tpoff = &tpoff };
	bool ok = true;

	gs_image_init(&r.image, module, mem);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && ok; i++)
		ok = read_table(&r, &tables[i]);
	gs_image_fini(&r.image);
	if (!ok || !tpoff.n)
		return false;
	*ret = tpoff;
	return true;
}

bool gs_tpoff_has(const struct gs_tpoff *tpoff, uint64_t offset)
{
	for (size_t i = 0; i < tpoff->n; i++) {
		if (tpoff->offsets[i] == offset)
			return true;
	}
	return false;
}
