/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The images of this very process, against what its own dynamic linker says of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/module.h"
#include "elf/symtab.h"
#include "elf/tpoff.h"

struct self {
	struct gs_target *target;
	struct gs_maps maps;
	struct gs_mem *mem;
	struct gs_modules modules;
};

int gs_test_marker(int x);
extern int gs_test_object[4];
extern _Thread_local long gs_test_tls[2], gs_test_tls_too[3];

int gs_test_object[4] = { 1, 2, 3, 4 };
_Thread_local long gs_test_tls[2], gs_test_tls_too[3];

int gs_test_marker(int x)
{
	return x + gs_test_object[1];
}

static int set_up(void **state)
{
	struct self *self = calloc(1, sizeof(*self));

	assert_non_null(self);
	assert_null(gs_target_open(getpid(), &self->target));
	assert_null(gs_maps_read(self->target, &self->maps));
	assert_null(gs_mem_live_new(self->target, &self->mem));
	assert_null(gs_modules_read(self->target, &self->maps, self->mem, &self->modules));
	*state = self;
	return 0;
}

static int tear_down(void **state)
{
	struct self *self = *state;

	gs_modules_fini(&self->modules);
	gs_mem_free(self->mem);
	gs_maps_fini(&self->maps);
	gs_target_free(self->target);
	free(self);
	return 0;
}

/* Called for every image the dynamic linker knows; the vDSO is mapped from no file. */
static int check_image(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct self *self = ctx;
	uint64_t tls_memsz = 0;
	size_t n_loads = 0;
	const ElfW(Phdr) *first = NULL;

	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		if (phdr->p_type == PT_TLS)
			tls_memsz = phdr->p_memsz;
		if (phdr->p_type != PT_LOAD)
			continue;
		n_loads++;
		if (!first)
			first = phdr;
	}
	assert_non_null(first);
	const gs_addr addr = info->dlpi_addr + first->p_vaddr;
	const struct gs_map *map = gs_maps_find(&self->maps, addr);
	assert_non_null(map);
	if (!map->ino)
		return 0;
	const struct gs_module *module = gs_modules_find(&self->modules, addr);
	assert_non_null(module);
	assert_int_equal(module->bias, info->dlpi_addr);
	assert_int_equal(module->n_segments, n_loads);
	assert_int_equal(module->tls_memsz, tls_memsz);
	assert_int_equal(module->word, sizeof(void *));
	return 0;
}

static void test_images(void **state)
{
	struct self *self = *state;

	dl_iterate_phdr(check_image, self);
	assert_true(self->modules.len >= 3);
}

static void test_libc(void **state)
{
	struct self *self = *state;
	struct gs_module *libc;
	Dl_info info;
	char *version, *package;

	assert_null(gs_modules_libc(&self->modules, &libc));
	assert_int_not_equal(dladdr((void *)gnu_get_libc_version, &info), 0);
	assert_int_equal(libc->map_start, (uintptr_t)info.dli_fbase);
	assert_true(libc->fd >= 0);
	assert_true(gs_module_defines(libc, "malloc"));
	assert_false(gs_module_defines(libc, "gs_test_marker"));
	gs_module_glibc_version(libc, self->mem, &version, &package);
	assert_string_equal(version, gnu_get_libc_version());
	free(version);
	free(package);
}

/* A sanitizer's malloc counts: dladdr() says whose it is. */
static void test_malloc_owner(void **state)
{
	struct self *self = *state;
	struct gs_module *owner = gs_modules_malloc_owner(&self->modules, self->mem);
	Dl_info info;

	void *symbol = dlsym(RTLD_DEFAULT, "malloc");
	assert_non_null(symbol);
	assert_int_not_equal(dladdr(symbol, &info), 0);
	assert_non_null(owner);
	assert_int_equal(owner->map_start, (uintptr_t)info.dli_fbase);
}

static void check_name(struct gs_symbolizer *symbolizer, uintptr_t addr, const char *want)
{
	char *name = gs_symbolizer_name(symbolizer, addr);

	if (want) {
		assert_non_null(name);
		assert_string_equal(name, want);
	} else {
		assert_null(name);
	}
	free(name);
}

static void test_symbolizer(void **state)
{
	struct self *self = *state;
	struct gs_symbolizer *symbolizer = gs_symbolizer_new(self->target, &self->modules);
	const uintptr_t object = (uintptr_t)gs_test_object;
	int local;

	check_name(symbolizer, object, "gs_test_object");
	check_name(symbolizer, object + sizeof(gs_test_object) - 1, "gs_test_object");
	check_name(symbolizer, (uintptr_t)gs_test_marker, "gs_test_marker");
	check_name(symbolizer, (uintptr_t)gnu_get_libc_version, "gnu_get_libc_version");
	check_name(symbolizer, (uintptr_t)&local, NULL);
	check_name(symbolizer, 0, NULL);
	gs_symbolizer_free(symbolizer);
}

/* The test program's own .symtab, without any debug file. */
static void test_symtab(void **state)
{
	struct self *self = *state;
	const uintptr_t object = (uintptr_t)gs_test_object;
	struct gs_module *module = gs_modules_find(&self->modules, object);
	struct gs_symtab *symtab;
	struct gs_symbol symbols[] = {
		{ .name = "gs_test_object" },
		{ .name = "gs_test_object", .tls = true },
		{ .name = "gs_test_marker" },
		{ .name = "gs_test_nothing" },
	};

	assert_non_null(module);
	assert_null(gs_symtab_open(self->target, module, &symtab));
	gs_symtab_lookup(symtab, symbols, 4);
	assert_true(symbols[0].found);
	assert_int_equal(symbols[0].value, object);
	assert_int_equal(symbols[0].size, sizeof(gs_test_object));
	assert_false(symbols[1].found);
	assert_true(symbols[2].found);
	assert_int_equal(symbols[2].value, (uintptr_t)gs_test_marker);
	assert_false(symbols[3].found);
	gs_symtab_free(symtab);
}

/* Offsets in the TLS block: only how far two of them are apart can be known here. */
static void test_tls_symbols(void **state)
{
	struct self *self = *state;
	struct gs_module *module = gs_modules_find(&self->modules, (uintptr_t)gs_test_object);
	struct gs_symtab *symtab;
	struct gs_symbol symbols[] = {
		{ .name = "gs_test_tls", .tls = true },
		{ .name = "gs_test_tls_too", .tls = true },
		{ .name = "gs_test_tls" },
	};

	assert_non_null(module);
	assert_null(gs_symtab_open(self->target, module, &symtab));
	gs_symtab_lookup(symtab, symbols, 3);
	assert_true(symbols[0].found && symbols[1].found);
	assert_false(symbols[2].found);
	assert_int_equal(symbols[0].value - symbols[1].value,
			 (uintptr_t)gs_test_tls - (uintptr_t)gs_test_tls_too);
	assert_int_equal(symbols[1].size, sizeof(gs_test_tls_too));
	assert_in_range(symbols[0].value, 0, module->tls_memsz - sizeof(gs_test_tls));
	gs_symtab_free(symtab);
}

/* errno is a variable of libc's that everybody knows the address of. */
static void test_tpoff(void **state)
{
	struct self *self = *state;
	const uintptr_t tp = (uintptr_t)__builtin_thread_pointer();
	struct gs_module *libc;
	struct gs_tpoff tpoff;

	assert_null(gs_modules_libc(&self->modules, &libc));
	assert_true(gs_tpoff_read(libc, self->mem, &tpoff));
	assert_in_range(tpoff.n, 2, GS_TPOFF_MAX);
	const uint64_t offset = (uintptr_t)&errno - (tp + tpoff.block);
	assert_in_range(offset, 0, libc->tls_memsz - sizeof(errno));
	assert_true(gs_tpoff_has(&tpoff, offset));
	assert_false(gs_tpoff_has(&tpoff, libc->tls_memsz));
}

static void test_no_tpoff(void **state)
{
	struct self *self = *state;
	struct gs_module *libc;
	struct gs_tpoff tpoff;

	assert_null(gs_modules_libc(&self->modules, &libc));
	const uint64_t size = libc->dynamic_size;
	libc->dynamic_size = 0;
	assert_false(gs_tpoff_read(libc, self->mem, &tpoff));
	libc->dynamic_size = size;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_libc),
		cmocka_unit_test(test_malloc_owner),
		cmocka_unit_test(test_symbolizer),
		cmocka_unit_test(test_symtab),
		cmocka_unit_test(test_tls_symbols),
		cmocka_unit_test(test_tpoff),
		cmocka_unit_test(test_no_tpoff),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
