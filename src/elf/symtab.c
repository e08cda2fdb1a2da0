/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Symbols through libdwfl, which is given every file: it opens none in the target's name. */
#include "elf/symtab.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/xalloc.h"
#include "elf/debugfile.h"
#include "elf/file.h"
#include "elf/symtab_internal.h"

/*
 * Files that the target's root or the image itself names could be anything, a FIFO that never
 * ends included, so libdwfl may look in no directory but this one.
 */
static char host_debug_dir[] = "/usr/lib/debug";
static char *debuginfo_path = host_debug_dir;

static bool has_section(Elf *elf, const char *wanted)
{
	Elf_Scn *section = NULL;
	size_t strings;

	if (elf_getshdrstrndx(elf, &strings) != 0)
		return false;
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		const char *name = gelf_getshdr(section, &header) ?
					   elf_strptr(elf, strings, header.sh_name) : NULL;
		if (name && strcmp(name, wanted) == 0)
			return true;
	}
	return false;
}

static bool is_split(int fd)
{
	Elf *elf = gs_file_elf(fd);
	bool split = elf && has_section(elf, ".gnu_debugaltlink");

	elf_end(elf);
	return split;
}

/*
 * By build-id on the host or below the target's root; else libdwfl looks: by .gnu_debuglink,
 * with its CRC, and in debuginfod if DEBUGINFOD_URLS is set. Once there is a debug file, what is
 * asked for is the second one that it refers to.
 */
static int find_debuginfo(Dwfl_Module *dwfl_module, void **userdata, const char *name,
			  Dwarf_Addr base, const char *file_name, const char *debuglink_file,
			  GElf_Word debuglink_crc, char **ret_path)
{
	struct gs_symtab *symtab = *userdata;
	bool of_target;
	int fd;

	if (symtab->is_split)
		return -1;
	if (!symtab->has_debug_file) {
		struct gs_err *err = gs_debugfile_open(symtab->module, &fd, ret_path, &of_target);
		if (!err) {
			symtab->has_debug_file = true;
			symtab->is_split = of_target && is_split(fd);
			return fd;
		}
		gs_err_free(err);
		if (debuglink_file && strchr(debuglink_file, '/'))
			return -1;
	}
	fd = dwfl_standard_find_debuginfo(dwfl_module, userdata, name, base, file_name,
					  debuglink_file, debuglink_crc, ret_path);
	symtab->has_debug_file |= fd >= 0;
	return fd;
}

/* libdwfl asks for the main file only of modules that were reported without one. */
static int find_no_elf(Dwfl_Module *dwfl_module, void **userdata, const char *name,
		       Dwarf_Addr base, char **ret_path, Elf **ret_elf)
{
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_no_elf,
	.find_debuginfo = find_debuginfo,
	.debuginfo_path = &debuginfo_path,
};

/* A descriptor of the image's file; failing that, of its debug file. */
static struct gs_err *open_main_file(struct gs_symtab *symtab, int *ret_fd)
{
	const struct gs_module *module = symtab->module;
	cleanup_close_ int fd = -1;
	struct gs_err *err = NULL;

	if (module->fd >= 0)
		fd = dup(module->fd);
	else
		err = gs_file_open(module, &fd);
	if (!err && fd >= 0)
		err = gs_file_stabilise(&fd);
	if (!err && fd >= 0) {
		*ret_fd = take_fd(&fd);
		return NULL;
	}
	gs_err_free(err);
	bool of_target;
	err = gs_debugfile_open(module, ret_fd, &symtab->debug_path, &of_target);
	if (!err)
		return NULL;
	gs_err_free(err);
	return gs_debugfile_missing(module);
}

static bool has_symtab_section(Elf *elf)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
			return true;
	}
	return false;
}

/* The debug file libdwfl has opened by now, or NULL. */
static const char *separate_file(const struct gs_symtab *symtab)
{
	const char *path = NULL;

	dwfl_module_info(symtab->dwfl_module, NULL, NULL, NULL, NULL, NULL, NULL, &path);
	return path;
}

static struct gs_err *report_failure(const struct gs_module *module)
{
	return gs_err_new(GS_ERR_FORMAT, "cannot read the symbols of %s: %s", module->path,
			  dwfl_errmsg(-1));
}

static struct gs_err *report_module(struct gs_symtab *symtab)
{
	const struct gs_module *module = symtab->module;
	cleanup_close_ int fd = -1;

	symtab->dwfl = dwfl_begin(&callbacks);
	if (!symtab->dwfl)
		return &gs_err_nomem;
	struct gs_err *err = open_main_file(symtab, &fd);
	if (err)
		return err;
	symtab->dwfl_module = dwfl_report_elf(symtab->dwfl, module->path, module->path, fd,
					      module->bias, true);
	if (!symtab->dwfl_module)
		return report_failure(module);
	take_fd(&fd);	/* libdwfl's now */
	dwfl_report_end(symtab->dwfl, NULL, NULL);

	void **userdata;
	dwfl_module_info(symtab->dwfl_module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = symtab;
	return NULL;
}

static struct gs_err *check_symbols(struct gs_symtab *symtab)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(symtab->dwfl_module, &bias);

	if (!elf)
		return report_failure(symtab->module);
	symtab->is_split = has_section(elf, ".gnu_debugaltlink");
	if (dwfl_module_getsymtab(symtab->dwfl_module) < 0)
		return gs_debugfile_missing(symtab->module);
	if (has_symtab_section(elf) || separate_file(symtab))
		return NULL;
	return gs_debugfile_missing(symtab->module);
}

struct gs_err *gs_symtab_open(struct gs_target *target, const struct gs_module *module,
			      struct gs_symtab **ret)
{
	struct gs_symtab *symtab = gs_xzalloc(sizeof(*symtab));

	symtab->module = module;
	struct gs_err *err = report_module(symtab);
	if (!err)
		err = check_symbols(symtab);
	if (err) {
		gs_symtab_free(symtab);
		return err;
	}
	*ret = symtab;
	return NULL;
}

void gs_symtab_free(struct gs_symtab *symtab)
{
	if (!symtab)
		return;
	if (symtab->dwfl)
		dwfl_end(symtab->dwfl);
	free(symtab->debug_path);
	free(symtab);
}

const char *gs_symtab_debug_file(const struct gs_symtab *symtab)
{
	return symtab->debug_path ? symtab->debug_path : separate_file(symtab);
}

/* libdwfl adds the load address to the value of TLS symbols, where it means nothing. */
static void take_symbol(struct gs_symbol *symbol, const GElf_Sym *sym, GElf_Addr addr)
{
	const int type = GELF_ST_TYPE(sym->st_info);

	if (symbol->found || sym->st_shndx == SHN_UNDEF || symbol->tls != (type == STT_TLS))
		return;
	symbol->found = true;
	symbol->value = symbol->tls ? sym->st_value : addr;
	symbol->size = sym->st_size;
}

void gs_symtab_lookup(struct gs_symtab *symtab, struct gs_symbol *symbols, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		symbols[i].found = false;
		symbols[i].value = symbols[i].size = 0;
	}
	int count = dwfl_module_getsymtab(symtab->dwfl_module);
	for (int i = 1; i < count; i++) {
		GElf_Sym sym;
		GElf_Addr addr;
		const char *name = dwfl_module_getsym_info(symtab->dwfl_module, i, &sym, &addr,
							   NULL, NULL, NULL);
		if (!name)
			continue;
		for (size_t j = 0; j < n; j++) {
			if (strcmp(symbols[j].name, name) == 0)
				take_symbol(&symbols[j], &sym, addr);
		}
	}
}
