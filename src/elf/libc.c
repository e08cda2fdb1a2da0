/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which module is the libc, whose malloc is in use, and which version it is. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/xalloc.h"
#include "elf/dynsym.h"
#include "elf/file.h"
#include "elf/image.h"
#include "elf/linkmap.h"
#include "elf/module.h"

/* A symbol that only this library defines, or a text that only it has. */
struct mark {
	const char *mark;
	const char *name;
};

/* snmalloc comes first: it may define jemalloc's functions too. */
static const struct mark allocators[] = {
	{ "__malloc_end_pointer", "snmalloc" },
	{ "mallctl", "jemalloc" },
	{ "je_mallctl", "jemalloc" },
	{ "tc_malloc", "tcmalloc" },
	{ "MallocExtension_ReleaseFreeMemory", "tcmalloc" },
	{ "MallocExtension_Internal_GetNumericProperty", "tcmalloc" },
	{ "mi_malloc", "mimalloc" },
	{ "sn_rust_alloc", "snmalloc" },
	{ "__asan_init", "AddressSanitizer" },
	{ "__tsan_init", "ThreadSanitizer" },
	{ "__dls3", "musl" },
};

/* What an allocator says in its messages, where it is linked into a program. */
static const struct mark allocator_texts[] = {
	{ "<jemalloc>: ", "jemalloc" },
	{ "TCMALLOC_", "tcmalloc" },
	{ "mimalloc: ", "mimalloc" },
};

static const struct mark other_libcs[] = {
	{ "__dls3", "musl" },
	{ "__uClibc_main", "uClibc" },
	{ "__libc_init", "bionic" },
};

#define N_MARKS(marks) (sizeof(marks) / sizeof((marks)[0]))

static const char *find_mark(const struct gs_module *module, const struct mark *marks, size_t n)
{
	struct gs_image image;
	struct gs_dynsym dynsym;
	const char *name = NULL;
	gs_addr value;

	gs_image_init(&image, module, module->mem);
	gs_dynsym_init(&image, &dynsym);
	for (size_t i = 0; i < n && !name; i++) {
		if (gs_dynsym_find(&dynsym, marks[i].mark, &value))
			name = marks[i].name;
	}
	gs_image_fini(&image);
	return name;
}

bool gs_module_defines(const struct gs_module *module, const char *symbol)
{
	const struct mark mark = { symbol, symbol };

	return find_mark(module, &mark, 1) != NULL;
}

static const char *find_text(const struct gs_module *module, const struct mark *marks, size_t n)
{
	struct gs_image image;
	const char *name = NULL;

	gs_image_init(&image, module, module->mem);
	for (size_t i = 0; i < n && !name; i++) {
		if (gs_image_find_text(&image, marks[i].mark, NULL, 0))
			name = marks[i].name;
	}
	gs_image_fini(&image);
	return name;
}

const char *gs_module_allocator_name(const struct gs_module *module)
{
	const char *name = find_mark(module, allocators, N_MARKS(allocators));

	return name ? name : find_text(module, allocator_texts, N_MARKS(allocator_texts));
}

void gs_module_open(struct gs_module *module)
{
	if (module->fd < 0 && !module->fd_err)
		module->fd_err = gs_file_open(module, &module->fd);
}

/* malloc_info() is in the same object as malloc, so no static program has one without the other. */
static bool contains_glibc_malloc(const struct gs_module *module)
{
	struct gs_image image;

	gs_image_init(&image, module, module->mem);
	bool found = gs_image_find_text(&image, "<malloc version=", NULL, 0);
	gs_image_fini(&image);
	return found;
}

static bool is_called_libc(const struct gs_module *module)
{
	const char *slash = strrchr(module->path, '/');
	const char *name = slash ? slash + 1 : module->path;

	return strncmp(name, "libc.so", 7) == 0 || strncmp(name, "libc-", 5) == 0;
}

/* Several libcs are there after dlmopen(): the program's own is in the first namespace. */
static struct gs_module *choose_libc(const struct gs_modules *modules, struct gs_module *libc)
{
	size_t len;
	cleanup_free_ struct gs_module **order = gs_linkmap_read(modules, libc->mem, &len);

	for (size_t i = 0; i < len; i++) {
		if (gs_module_defines(order[i], "gnu_get_libc_version"))
			return order[i];
	}
	return libc;
}

/* The name is a hint only: it says where to look first. */
static struct gs_module *find_dynamic_libc(const struct gs_modules *modules, bool called_libc)
{
	struct gs_module *libc = NULL;

	for (size_t i = 0; i < modules->len; i++) {
		struct gs_module *module = modules->data[i];
		if (is_called_libc(module) != called_libc ||
		    !gs_module_defines(module, "gnu_get_libc_version"))
			continue;
		if (libc)
			return choose_libc(modules, libc);
		libc = module;
	}
	return libc;
}

static bool has_dynamic_symbols(const struct gs_module *module)
{
	struct gs_image image;
	struct gs_dynsym dynsym;
	char byte;

	gs_image_init(&image, module, module->mem);
	gs_dynsym_init(&image, &dynsym);
	bool found = dynsym.symtab && gs_image_read(&image, dynsym.symtab, &byte, 1);
	gs_image_fini(&image);
	return found;
}

/* A core file leaves out what the image's file has; if that is not here either, go by the name. */
static struct gs_module *find_unreadable_libc(const struct gs_modules *modules)
{
	for (size_t i = 0; i < modules->len; i++) {
		if (is_called_libc(modules->data[i]) && !has_dynamic_symbols(modules->data[i]))
			return modules->data[i];
	}
	return NULL;
}

static struct gs_module *find_static_libc(const struct gs_modules *modules)
{
	for (size_t i = 0; i < modules->len; i++) {
		if (modules->data[i]->is_static && contains_glibc_malloc(modules->data[i]))
			return modules->data[i];
	}
	return NULL;
}

static struct gs_err *describe_stranger(const struct gs_modules *modules)
{
	for (size_t i = 0; i < modules->len; i++) {
		const struct gs_module *module = modules->data[i];
		const char *name = find_mark(module, other_libcs, N_MARKS(other_libcs));
		if (name)
			return gs_err_new(GS_ERR_NOT_GLIBC, "no glibc malloc: its libc is %s, %s",
					  name, module->path);
	}
	for (size_t i = 0; i < modules->len; i++) {
		const struct gs_module *module = modules->data[i];
		if (module->is_go)
			return gs_err_new(GS_ERR_NOT_GLIBC,
					  "no glibc malloc: %s is a Go program without a libc",
					  module->path);
	}
	for (size_t i = 0; i < modules->len; i++) {
		const struct gs_module *module = modules->data[i];
		if (!module->is_static)
			continue;
		const char *name = gs_module_allocator_name(module);
		return gs_err_new(GS_ERR_NOT_GLIBC, "no glibc malloc: %s is a static program %s%s",
				  module->path, name ? "with " : "without it", name ? name : "");
	}
	return gs_err_new(GS_ERR_NOT_GLIBC, "no glibc malloc: none of its %zu ELF images is a libc",
			  modules->len);
}

struct gs_err *gs_modules_libc(const struct gs_modules *modules, struct gs_module **ret)
{
	struct gs_module *libc = find_static_libc(modules);

	if (!libc)
		libc = find_dynamic_libc(modules, true);
	if (!libc)
		libc = find_dynamic_libc(modules, false);
	if (!libc)
		libc = find_unreadable_libc(modules);
	if (!libc)
		return describe_stranger(modules);
	gs_module_open(libc);
	*ret = libc;
	return NULL;
}

struct gs_module *gs_modules_malloc_owner(const struct gs_modules *modules, struct gs_mem *mem)
{
	size_t len;
	cleanup_free_ struct gs_module **order = gs_linkmap_read(modules, mem, &len);

	for (size_t i = 0; i < len; i++) {
		/* ld.so of glibc up to 2.31 exports a malloc of its own, for itself. */
		if (gs_module_defines(order[i], "malloc") &&
		    !gs_module_defines(order[i], "_rtld_global"))
			return order[i];
	}
	return NULL;
}

/* "stable release version 2.36." gives "2.36"; NULL if there is no number. */
static char *parse_version(const char *banner)
{
	static const char before[] = " release version ";
	const char *start = strstr(banner, before);

	if (!start)
		return NULL;
	start += sizeof(before) - 1;
	size_t n = strspn(start, "0123456789.");
	while (n && start[n - 1] == '.')
		n--;
	return n ? strndup(start, n) : NULL;
}

/*
 * "(Debian GLIBC 2.36-9+deb12u14) …" gives "Debian 2.36-9+deb12u14"; upstream's "(GNU libc)"
 * gives NULL.
 */
static char *parse_package(const char *banner)
{
	static const char *const fillers[] = { " GLIBC ", " EGLIBC " };
	const char *end = banner[0] == '(' ? strchr(banner, ')') : NULL;
	struct gs_strbuf package = {};

	if (!end || strncmp(banner, "(GNU libc)", 10) == 0)
		return NULL;
	for (const char *c = banner + 1; c < end; c++) {
		if (!isprint((unsigned char)*c)) {
			gs_strbuf_fini(&package);
			return NULL;
		}
		for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
			size_t n = strlen(fillers[i]);
			if (strncmp(c, fillers[i], n) == 0)
				c += n - 1;
		}
		gs_strbuf_add(&package, c, 1);
	}
	return gs_strbuf_take(&package);
}

void gs_module_glibc_version(const struct gs_module *module, struct gs_mem *mem,
			     char **ret_version, char **ret_package)
{
	struct gs_image image;
	char banner[160];

	*ret_version = NULL;
	*ret_package = NULL;
	gs_image_init(&image, module, mem);
	if (gs_image_find_text(&image, "GNU C Library ", banner, sizeof(banner)))
		*ret_version = parse_version(banner);
	if (*ret_version)
		*ret_package = parse_package(banner);
	gs_image_fini(&image);
}
