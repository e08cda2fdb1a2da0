/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From mappings to modules: ELF and program headers, notes and the dynamic section's flags. */
#include "elf/module.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vec.h"
#include "base/xalloc.h"
#include "elf/dynsym.h"
#include "elf/image.h"

enum {
	PHDRS_MAX = 256,	/* program headers of one image */
	NOTES_MAX = 64 << 10,	/* bytes of one PT_NOTE */
};

/* A program header of either class. */
struct phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, filesz, memsz;
};

/* The parts of the ELF header that matter, of either class. */
struct ehdr {
	uint16_t type;
	uint16_t phnum;
	uint64_t phoff;
};

/* What one image is parsed with. */
struct parser {
	const struct gs_maps *maps;
	struct gs_image image;
	struct gs_module *module;
	struct ehdr ehdr;
	struct phdr phdrs[PHDRS_MAX];
	size_t n;
	bool has_interp;
};

static bool parse_ident(struct parser *parser)
{
	unsigned char ident[EI_NIDENT];
	const int native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

	if (!gs_image_read(&parser->image, parser->module->map_start, ident, sizeof(ident)))
		return false;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != native)
		return false;
	if (ident[EI_CLASS] != ELFCLASS64 && ident[EI_CLASS] != ELFCLASS32)
		return false;
	parser->module->word = ident[EI_CLASS] == ELFCLASS64 ? 8 : 4;
	return true;
}

static bool parse_ehdr(struct parser *parser)
{
	struct gs_module *module = parser->module;
	union {
		Elf64_Ehdr e64;
		Elf32_Ehdr e32;
	} raw;
	const bool is64 = module->word == 8;
	size_t size = is64 ? sizeof(raw.e64) : sizeof(raw.e32);

	if (!gs_image_read(&parser->image, module->map_start, &raw, size))
		return false;
	/* e_type and e_machine lie at the same place in both. */
	module->machine = raw.e64.e_machine;
	parser->ehdr.type = raw.e64.e_type;
	parser->ehdr.phoff = is64 ? raw.e64.e_phoff : raw.e32.e_phoff;
	parser->ehdr.phnum = is64 ? raw.e64.e_phnum : raw.e32.e_phnum;
	size_t phentsize = is64 ? raw.e64.e_phentsize : raw.e32.e_phentsize;
	return phentsize == (is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) &&
	       (parser->ehdr.type == ET_EXEC || parser->ehdr.type == ET_DYN) &&
	       parser->ehdr.phnum > 0 && parser->ehdr.phnum <= PHDRS_MAX;
}

#define PHDR_OF(raw)                                                                               \
	((struct phdr){ (raw).p_type, (raw).p_flags, (raw).p_offset, (raw).p_vaddr,                \
			(raw).p_filesz, (raw).p_memsz })

static bool read_phdr(struct parser *parser, gs_addr addr, struct phdr *ret)
{
	Elf64_Phdr p64;
	Elf32_Phdr p32;

	if (parser->module->word == 8) {
		if (!gs_image_read(&parser->image, addr, &p64, sizeof(p64)))
			return false;
		*ret = PHDR_OF(p64);
		return true;
	}
	if (!gs_image_read(&parser->image, addr, &p32, sizeof(p32)))
		return false;
	*ret = PHDR_OF(p32);
	return true;
}

static bool parse_phdrs(struct parser *parser)
{
	const size_t size = parser->module->word == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	gs_addr addr;

	if (__builtin_add_overflow(parser->module->map_start, parser->ehdr.phoff, &addr))
		return false;
	for (parser->n = 0; parser->n < parser->ehdr.phnum; parser->n++) {
		gs_addr at;
		if (__builtin_add_overflow(addr, parser->n * size, &at) ||
		    !read_phdr(parser, at, &parser->phdrs[parser->n]))
			return false;
	}
	return true;
}

static uint8_t prot_of_flags(uint32_t flags)
{
	return (flags & PF_R ? GS_PROT_R : 0) | (flags & PF_W ? GS_PROT_W : 0) |
	       (flags & PF_X ? GS_PROT_X : 0);
}

/* Bias by the lowest PT_LOAD, which is the one that maps offset 0. */
static bool find_bias(struct parser *parser)
{
	struct gs_module *module = parser->module;
	const gs_addr page_mask = ~(gs_addr)(module->mem->page_size - 1);
	gs_addr lowest = GS_NO_ADDR;

	for (size_t i = 0; i < parser->n; i++) {
		const struct phdr *phdr = &parser->phdrs[i];
		if (phdr->type == PT_LOAD && phdr->memsz && phdr->vaddr < lowest)
			lowest = phdr->vaddr;
	}
	if (lowest == GS_NO_ADDR)
		return false;
	/* In a 32-bit image, and a prelinked one, the difference may wrap: that is well defined. */
	module->bias = module->map_start - (lowest & page_mask);
	return parser->ehdr.type == ET_DYN || module->bias == 0;
}

/* Run-time range [vaddr, vaddr + size) plus bias; false if it leaves the address space. */
static bool at_run_time(const struct gs_module *module, uint64_t vaddr, uint64_t size,
			gs_addr *ret_start, gs_addr *ret_end)
{
	const gs_addr limit = module->word == 8 ? UINT64_MAX : UINT64_C(1) << 32;
	gs_addr start = module->bias + vaddr, end;

	if (start < module->map_start || __builtin_add_overflow(start, size, &end) || end > limit)
		return false;
	*ret_start = start;
	*ret_end = end;
	return true;
}

/*
 * A file that is mapped only to be read (a debugger does that) looks like an image but is none:
 * its code, if it has any, is not executable or not where the headers put it.
 */
static bool is_loaded(const struct parser *parser)
{
	bool has_code = false, runs = false;

	for (size_t i = 0; i < parser->module->n_segments; i++) {
		const struct gs_segment *segment = &parser->module->segments[i];
		const struct gs_map *map = gs_maps_find(parser->maps, segment->start);
		if (!map)
			return false;
		if (!(segment->prot & GS_PROT_X))
			continue;
		has_code = true;
		runs |= map->prot & GS_PROT_X;
	}
	return runs || !has_code;
}

static bool add_segments(struct parser *parser)
{
	struct gs_module *module = parser->module;

	module->segments = gs_xcalloc(parser->n, sizeof(*module->segments));
	for (size_t i = 0; i < parser->n; i++) {
		const struct phdr *phdr = &parser->phdrs[i];
		if (phdr->type != PT_LOAD || !phdr->memsz)
			continue;
		struct gs_segment *segment = &module->segments[module->n_segments];
		if (phdr->filesz > phdr->memsz ||
		    !at_run_time(module, phdr->vaddr, phdr->memsz, &segment->start, &segment->end))
			return false;
		if (module->n_segments && segment->start < segment[-1].end)
			return false;
		segment->file_end = segment->start + phdr->filesz;
		segment->offset = phdr->offset;
		segment->prot = prot_of_flags(phdr->flags);
		module->n_segments++;
	}
	return is_loaded(parser);
}

/* The end of the last mapping that begins below the end of the last segment. */
static void find_map_end(struct parser *parser)
{
	struct gs_module *module = parser->module;
	const gs_addr end = module->segments[module->n_segments - 1].end;
	const struct gs_map *last = parser->maps->data + parser->maps->len;
	const gs_addr mask = module->mem->page_size - 1;

	module->map_end = module->map->end;
	for (const struct gs_map *map = module->map; map < last && map->start < end; map++)
		module->map_end = map->end;
	/* The kernel may have merged what follows .bss with it. */
	if (end <= GS_NO_ADDR - mask && module->map_end > ((end + mask) & ~mask))
		module->map_end = (end + mask) & ~mask;
}

static void take_note(struct gs_module *module, const Elf32_Nhdr *note, const char *name,
		      const unsigned char *desc)
{
	if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(ELF_NOTE_GNU) &&
	    memcmp(name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && !module->build_id_len &&
	    note->n_descsz > 0 && note->n_descsz <= GS_BUILD_ID_MAX) {
		memcpy(module->build_id, desc, note->n_descsz);
		module->build_id_len = note->n_descsz;
	}
	if (note->n_namesz >= 3 && memcmp(name, "Go", 3) == 0)
		module->is_go = true;
}

/* Notes have the same form in both classes; name and description are padded to 4 bytes. */
static void parse_notes(struct parser *parser, gs_addr at, gs_addr end)
{
	struct gs_module *module = parser->module;
	Elf32_Nhdr note;
	char name[8];
	unsigned char desc[GS_BUILD_ID_MAX];

	if (end - at > NOTES_MAX)
		end = at + NOTES_MAX;
	while (at < end && end - at >= sizeof(note)) {
		if (!gs_image_read(&parser->image, at, &note, sizeof(note)))
			return;
		const uint64_t name_size = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
		const uint64_t desc_size = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
		at += sizeof(note);
		if (name_size + desc_size > end - at)
			return;
		memset(name, 0, sizeof(name));
		size_t name_len = note.n_namesz < sizeof(name) ? note.n_namesz : sizeof(name);
		size_t desc_len = note.n_descsz < sizeof(desc) ? note.n_descsz : sizeof(desc);
		if (!gs_image_read(&parser->image, at, name, name_len) ||
		    !gs_image_read(&parser->image, at + name_size, desc, desc_len))
			return;
		take_note(module, &note, name, desc);
		at += name_size + desc_size;
	}
}

static void take_tls(struct parser *parser, const struct phdr *phdr)
{
	gs_addr start, end;

	if (!at_run_time(parser->module, phdr->vaddr, phdr->memsz, &start, &end))
		return;
	parser->module->tls_image = start;
	parser->module->tls_memsz = phdr->memsz;
}

static void take_dynamic(struct parser *parser, const struct phdr *phdr)
{
	gs_addr start, end;

	if (!at_run_time(parser->module, phdr->vaddr, phdr->memsz, &start, &end))
		return;
	parser->module->dynamic = start;
	parser->module->dynamic_size = phdr->memsz;
}

static void take_notes(struct parser *parser, const struct phdr *phdr)
{
	gs_addr start, end;

	if (at_run_time(parser->module, phdr->vaddr, phdr->filesz, &start, &end))
		parse_notes(parser, start, end);
}

static void take_interp(struct parser *parser, const struct phdr *phdr)
{
	parser->has_interp = true;
}

static const struct {
	uint32_t type;
	void (*take)(struct parser *parser, const struct phdr *phdr);
} takers[] = {
	{ PT_TLS, take_tls },
	{ PT_DYNAMIC, take_dynamic },
	{ PT_NOTE, take_notes },
	{ PT_INTERP, take_interp },
};

static void take_phdr(struct parser *parser, const struct phdr *phdr)
{
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (takers[i].type == phdr->type)
			takers[i].take(parser, phdr);
	}
}

/* ld.so has neither interpreter nor needs, and may be the program run; but it has a soname. */
static bool is_static_executable(struct parser *parser)
{
	const struct gs_module *module = parser->module;
	const char *exe = module->target->exe;
	uint64_t value;

	if (parser->has_interp)
		return false;
	if (parser->ehdr.type != ET_EXEC && (!exe || strcmp(exe, module->map->path) != 0))
		return false;
	return !gs_dynamic_find(&parser->image, DT_NEEDED, &value) &&
	       !gs_dynamic_find(&parser->image, DT_SONAME, &value);
}

static bool parse_image(struct parser *parser)
{
	if (!parse_ident(parser) || !parse_ehdr(parser) || !parse_phdrs(parser) ||
	    !find_bias(parser) || !add_segments(parser))
		return false;
	find_map_end(parser);
	for (size_t i = 0; i < parser->n; i++)
		take_phdr(parser, &parser->phdrs[i]);
	parser->module->is_static = is_static_executable(parser);
	return true;
}

static char *path_of_map(const struct gs_map *map, bool *ret_deleted)
{
	static const char suffix[] = " (deleted)";
	const size_t n = sizeof(suffix) - 1, len = strlen(map->path);
	char *path = gs_xstrdup(map->path);

	*ret_deleted = len >= n && strcmp(path + len - n, suffix) == 0;
	if (*ret_deleted)
		path[len - n] = '\0';
	return path;
}

static void module_free(struct gs_module *module)
{
	if (module->fd >= 0)
		close(module->fd);
	gs_err_free(module->fd_err);
	free(module->segments);
	free(module->path);
	free(module);
}

static struct gs_module *module_new(struct gs_target *target, const struct gs_map *map,
				    struct gs_mem *mem)
{
	struct gs_module *module = gs_xzalloc(sizeof(*module));

	module->path = path_of_map(map, &module->deleted);
	module->map = map;
	module->map_start = map->start;
	module->target = target;
	module->mem = mem;
	module->fd = -1;
	return module;
}

struct gs_err *gs_modules_read(struct gs_target *target, const struct gs_maps *maps,
			       struct gs_mem *mem, struct gs_modules *ret)
{
	struct parser *parser = gs_xzalloc(sizeof(*parser));
	struct gs_modules modules = {};
	const struct gs_map *last = maps->data + maps->len;
	gs_addr covered = 0;

	for (const struct gs_map *map = maps->data; map < last; map++) {
		/* A small image maps its first page twice: its second segment is no module. */
		if (!map->ino || map->offset || !(map->prot & GS_PROT_R) || map->start < covered)
			continue;
		*parser = (struct parser){ .maps = maps };
		parser->module = module_new(target, map, mem);
		gs_image_init(&parser->image, parser->module, mem);
		if (parse_image(parser)) {
			covered = parser->module->map_end;
			*gs_vec_push(&modules) = parser->module;
		} else {
			module_free(parser->module);
		}
		gs_image_fini(&parser->image);
	}
	free(parser);
	*ret = modules;
	return NULL;
}

void gs_modules_fini(struct gs_modules *modules)
{
	for (size_t i = 0; i < modules->len; i++)
		module_free(modules->data[i]);
	free(modules->data);
	*modules = (struct gs_modules){};
}

struct gs_module *gs_modules_find(const struct gs_modules *modules, gs_addr addr)
{
	size_t lo = 0, hi = modules->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (modules->data[mid]->map_end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == modules->len || modules->data[lo]->map_start > addr)
		return NULL;
	return modules->data[lo];
}
