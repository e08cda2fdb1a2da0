/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names for addresses, from the images' own symbol tables. Files are read, not mapped: there may
 * be many, of any owner, and one that shrinks must not kill us.
 */
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "base/xalloc.h"
#include "elf/demangle.h"
#include "elf/file.h"
#include "elf/symtab.h"

enum {
	SYMBOLS_MAX = 1 << 23,	/* of one module */
	TABLE_MAX = 1 << 28,	/* bytes of symbols or of their names */
	OVERLAP_MAX = 16,	/* symbols tried that begin before an address */
};

/* A function or an object, at link-time addresses. */
struct range {
	uint64_t start, size;
	const char *name;	/* the Elf's */
};

/* What is known of one module. */
struct names {
	bool loaded;
	int fd;
	Elf *elf;
	struct range *data;	/* by start */
	size_t len, cap;
};

struct gs_symbolizer {
	const struct gs_modules *modules;
	struct names *names;	/* one a module */
};

struct gs_symbolizer *gs_symbolizer_new(struct gs_target *target, const struct gs_modules *modules)
{
	struct gs_symbolizer *symbolizer = gs_xzalloc(sizeof(*symbolizer));

	symbolizer->modules = modules;
	symbolizer->names = gs_xcalloc(modules->len + 1, sizeof(*symbolizer->names));
	return symbolizer;
}

void gs_symbolizer_free(struct gs_symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	for (size_t i = 0; i < symbolizer->modules->len; i++) {
		struct names *names = &symbolizer->names[i];
		if (!names->loaded)
			continue;
		elf_end(names->elf);
		if (names->fd >= 0)
			close(names->fd);
		free(names->data);
	}
	free(symbolizer->names);
	free(symbolizer);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static Elf_Scn *find_section(Elf *elf, GElf_Word type, GElf_Shdr *ret)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		if (gelf_getshdr(section, ret) && ret->sh_type == type)
			return section;
	}
	return NULL;
}

static bool is_named_range(const GElf_Sym *sym)
{
	const int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && sym->st_size &&
	       (type == STT_FUNC || type == STT_OBJECT || type == STT_GNU_IFUNC);
}

static void load_section(struct names *names, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Scn *strings = elf_getscn(names->elf, header->sh_link);
	GElf_Shdr strings_header;

	/* Both are read whole: a sparse file may claim any size. */
	if (!header->sh_entsize || header->sh_size > TABLE_MAX ||
	    !gelf_getshdr(strings, &strings_header) || strings_header.sh_size > TABLE_MAX)
		return;
	Elf_Data *data = elf_getdata(section, NULL);
	if (!data)
		return;
	size_t n = data->d_size / header->sh_entsize;
	for (size_t i = 1; i < n && i < SYMBOLS_MAX; i++) {
		GElf_Sym sym;
		if (!gelf_getsym(data, (int)i, &sym) || !is_named_range(&sym))
			continue;
		const char *name = elf_strptr(names->elf, header->sh_link, sym.st_name);
		if (name && *name)
			*gs_vec_push(names) = (struct range){ sym.st_value, sym.st_size, name };
	}
}

static void load(const struct gs_module *module, struct names *names)
{
	GElf_Shdr header;

	names->loaded = true;
	names->fd = -1;
	if (module->fd >= 0)
		names->fd = dup(module->fd);
	else
		gs_err_free(gs_file_open(module, &names->fd));
	if (names->fd >= 0)
		names->elf = gs_file_elf(names->fd);
	if (!names->elf)
		return;
	Elf_Scn *section = find_section(names->elf, SHT_SYMTAB, &header);
	if (!section)
		section = find_section(names->elf, SHT_DYNSYM, &header);
	if (!section)
		return;
	load_section(names, section, &header);
	if (names->len)
		qsort(names->data, names->len, sizeof(*names->data), compare_ranges);
}

static const char *find_name(const struct names *names, uint64_t addr)
{
	size_t lo = 0, hi = names->len;

	/* The first range that begins after addr; then back, as ranges may nest. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (names->data[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t tries = 0; lo-- > 0 && tries < OVERLAP_MAX; tries++) {
		if (addr - names->data[lo].start < names->data[lo].size)
			return names->data[lo].name;
	}
	return NULL;
}

static size_t index_of(const struct gs_modules *modules, const struct gs_module *module)
{
	size_t i = 0;

	while (modules->data[i] != module)
		i++;
	return i;
}

char *gs_symbolizer_name(struct gs_symbolizer *symbolizer, gs_addr addr)
{
	const struct gs_module *module = gs_modules_find(symbolizer->modules, addr);

	if (!module)
		return NULL;
	struct names *names = &symbolizer->names[index_of(symbolizer->modules, module)];
	if (!names->loaded)
		load(module, names);
	const char *name = find_name(names, addr - module->bias);
	return name ? gs_demangle(name) : NULL;
}
