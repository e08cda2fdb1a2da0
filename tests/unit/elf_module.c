/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ELF images made by hand, good ones and hostile ones, read from a memory image. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/module.h"

enum {
	PAGE = 4096,
	PAGES = 4,		/* headers, code, data, .bss */
	NOTES_AT = 0x400,	/* in the page of headers */
	TEXT_AT = 0x600,
	DYNAMIC_AT = 2 * PAGE,
	SYMBOLS_AT = 2 * PAGE + 0x200,
	STRINGS_AT = 2 * PAGE + 0x300,
	HASH_AT = 2 * PAGE + 0x400,
	DATA_END = 2 * PAGE + 0x800,
	BASE = 0x10000000,
};

static const char strings[] = "\0printf\0exit\0syscall";

enum { STR_PRINTF = 1, STR_EXIT = 8, STR_SYSCALL = 13 };

/* One image, its memory and its mappings; the tests change bytes before they read it. */
struct image {
	_Alignas(16) uint8_t bytes[PAGES * PAGE];
	uint8_t pages[PAGES];
	char maps_text[1024];
	bool is64;
	struct gs_target target;
	struct gs_maps maps;
	struct gs_mem *mem;
	struct gs_modules modules;
};

static Elf64_Ehdr *ehdr64(struct image *image)
{
	return (void *)image->bytes;
}

static Elf64_Phdr *phdr64(struct image *image, size_t i)
{
	return (Elf64_Phdr *)(void *)(image->bytes + sizeof(Elf64_Ehdr)) + i;
}

enum { PH_HEADERS, PH_CODE, PH_DATA, PH_DYNAMIC, PH_NOTE, PH_TLS, PH_COUNT };

/* type, flags, offset, file size, memory size; virtual address = offset */
static const uint32_t phdrs[PH_COUNT][5] = {
	{ PT_LOAD, PF_R, 0, PAGE, PAGE },
	{ PT_LOAD, PF_R | PF_X, PAGE, PAGE, PAGE },
	{ PT_LOAD, PF_R | PF_W, 2 * PAGE, 0x800, 0x1800 },
	{ PT_DYNAMIC, PF_R | PF_W, DYNAMIC_AT, 0x100, 0x100 },
	{ PT_NOTE, PF_R, NOTES_AT, 0x100, 0x100 },
	{ PT_TLS, PF_R, 2 * PAGE + 0x700, 0x10, 0x90 },
};

static void put_headers(struct image *image)
{
	Elf32_Ehdr e32 = { .e_type = ET_DYN, .e_machine = EM_386, .e_phnum = PH_COUNT,
			   .e_phoff = sizeof(e32), .e_phentsize = sizeof(Elf32_Phdr) };
	Elf64_Ehdr e64 = { .e_type = ET_DYN, .e_machine = EM_X86_64, .e_phnum = PH_COUNT,
			   .e_phoff = sizeof(e64), .e_phentsize = sizeof(Elf64_Phdr) };

	if (image->is64)
		memcpy(image->bytes, &e64, sizeof(e64));
	else
		memcpy(image->bytes, &e32, sizeof(e32));
	memcpy(image->bytes, ELFMAG, SELFMAG);
	image->bytes[EI_CLASS] = image->is64 ? ELFCLASS64 : ELFCLASS32;
	image->bytes[EI_DATA] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB :
									    ELFDATA2MSB;
	for (size_t i = 0; i < PH_COUNT; i++) {
		const uint32_t *p = phdrs[i];
		Elf32_Phdr p32 = { .p_type = p[0], .p_flags = p[1], .p_offset = p[2],
				   .p_vaddr = p[2], .p_filesz = p[3], .p_memsz = p[4] };
		if (image->is64)
			*phdr64(image, i) = (Elf64_Phdr){ .p_type = p[0], .p_flags = p[1],
							  .p_offset = p[2], .p_vaddr = p[2],
							  .p_filesz = p[3], .p_memsz = p[4] };
		else
			memcpy(image->bytes + sizeof(e32) + i * sizeof(p32), &p32, sizeof(p32));
	}
}

static uint8_t *put_note(uint8_t *at, uint32_t type, const char *name, uint32_t namesz,
			 uint32_t descsz, uint8_t fill)
{
	Elf32_Nhdr note = { .n_namesz = namesz, .n_descsz = descsz, .n_type = type };

	memcpy(at, &note, sizeof(note));
	memcpy(at + sizeof(note), name, namesz);
	at += sizeof(note) + ((namesz + 3) & ~3u);
	memset(at, fill, descsz);
	return at + ((descsz + 3) & ~3u);
}

static void put_words(struct image *image, size_t at, const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t narrow = (uint32_t)words[i];
		if (image->is64)
			memcpy(image->bytes + at + i * 8, &words[i], 8);
		else
			memcpy(image->bytes + at + i * 4, &narrow, 4);
	}
}

static void put_dynamic(struct image *image, uint64_t hash_tag)
{
	const uint64_t words[] = {
		DT_STRTAB, BASE + STRINGS_AT,	/* relocated, as ld.so of glibc leaves it */
		DT_SYMTAB, SYMBOLS_AT,		/* not relocated, as that of musl leaves it */
		DT_STRSZ, sizeof(strings),
		hash_tag, HASH_AT,
		DT_NULL, 0,
	};

	put_words(image, DYNAMIC_AT, words, sizeof(words) / sizeof(words[0]));
	memcpy(image->bytes + STRINGS_AT, strings, sizeof(strings));
}

static void put_symbol(struct image *image, size_t index, uint32_t name, uint16_t shndx)
{
	Elf64_Sym s64 = { .st_name = name, .st_shndx = shndx, .st_value = 0x100 * index };
	Elf32_Sym s32 = { .st_name = name, .st_shndx = shndx, .st_value = 0x100 * (uint32_t)index };

	if (image->is64)
		memcpy(image->bytes + SYMBOLS_AT + index * sizeof(s64), &s64, sizeof(s64));
	else
		memcpy(image->bytes + SYMBOLS_AT + index * sizeof(s32), &s32, sizeof(s32));
}

static struct image *image_new(bool is64)
{
	struct image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	image->is64 = is64;
	memset(image->pages, GS_PAGE_RESIDENT, sizeof(image->pages));
	image->target = (struct gs_target){ .pid = 1, .dir_fd = -1, .pid_fd = -1 };
	put_headers(image);
	uint8_t *at = put_note(image->bytes + NOTES_AT, NT_VERSION, "Linux", 6, 5, 1);
	put_note(at, NT_GNU_BUILD_ID, "GNU", 4, 20, 0xab);
	snprintf(image->maps_text, sizeof(image->maps_text),
		 "%x-%x r--p 00000000 08:01 77 /no/such/dir/libx.so (deleted)\n"
		 "%x-%x r-xp 00001000 08:01 77 /no/such/dir/libx.so (deleted)\n"
		 "%x-%x rw-p 00002000 08:01 77 /no/such/dir/libx.so (deleted)\n"
		 "%x-%x rw-p 00000000 00:00 0\n",
		 BASE, BASE + PAGE, BASE + PAGE, BASE + 2 * PAGE, BASE + 2 * PAGE, BASE + 3 * PAGE,
		 BASE + 3 * PAGE, BASE + 6 * PAGE);
	return image;
}

/* Read the image; returns the one module there may be. */
static struct gs_module *image_read(struct image *image)
{
	const struct gs_image_region region = {
		.addr = BASE, .data = image->bytes, .len = sizeof(image->bytes),
		.pages = image->pages,
	};

	assert_null(gs_maps_parse(strdup(image->maps_text), &image->maps));
	image->mem = gs_mem_image_new(&region, 1, PAGE);
	assert_null(gs_modules_read(&image->target, &image->maps, image->mem, &image->modules));
	assert_true(image->modules.len <= 1);
	return image->modules.len ? image->modules.data[0] : NULL;
}

static void image_free(struct image *image)
{
	gs_modules_fini(&image->modules);
	gs_mem_free(image->mem);
	gs_maps_fini(&image->maps);
	free(image);
}

static void expect_rejected(struct image *image)
{
	assert_null(image_read(image));
	image_free(image);
}

static void check_good(bool is64)
{
	struct image *image = image_new(is64);
	struct gs_module *module = image_read(image);

	assert_non_null(module);
	assert_string_equal(module->path, "/no/such/dir/libx.so");
	assert_true(module->deleted);
	assert_int_equal(module->map_start, BASE);
	assert_int_equal(module->map_end, BASE + 4 * PAGE);
	assert_int_equal(module->bias, BASE);
	assert_int_equal(module->word, is64 ? 8 : 4);
	assert_int_equal(module->machine, is64 ? EM_X86_64 : EM_386);
	assert_false(module->is_static);
	assert_false(module->is_go);
	assert_int_equal(module->n_segments, 3);
	assert_int_equal(module->segments[1].start, BASE + PAGE);
	assert_int_equal(module->segments[1].prot, GS_PROT_R | GS_PROT_X);
	assert_int_equal(module->segments[2].file_end, BASE + DATA_END);
	assert_int_equal(module->segments[2].end, BASE + 2 * PAGE + 0x1800);
	assert_int_equal(module->tls_memsz, 0x90);
	assert_int_equal(module->tls_image, BASE + 2 * PAGE + 0x700);
	assert_int_equal(module->build_id_len, 20);
	assert_int_equal(module->build_id[19], 0xab);
	assert_int_equal(module->fd, -1);
	assert_ptr_equal(gs_modules_find(&image->modules, BASE + 4 * PAGE - 1), module);
	assert_null(gs_modules_find(&image->modules, BASE + 4 * PAGE));
	assert_null(gs_modules_find(&image->modules, BASE - 1));
	gs_module_open(module);
	assert_int_equal(module->fd, -1);
	assert_non_null(module->fd_err);
	image_free(image);
}

static void test_good_images(void **state)
{
	check_good(true);
	check_good(false);
}

static void test_absent_page_is_not_read(void **state)
{
	struct image *image = image_new(true);

	image->pages[0] = GS_PAGE_SWAPPED;
	assert_null(image_read(image));
	assert_int_equal(image->mem->bytes_read, 0);
	image_free(image);
}

static void test_file_mapped_as_data_is_no_image(void **state)
{
	struct image *image = image_new(true);

	snprintf(image->maps_text, sizeof(image->maps_text),
		 "%x-%x r--p 00000000 08:01 77 /no/such/libx.so\n", BASE, BASE + 4 * PAGE);
	expect_rejected(image);
}

static void test_hostile_headers(void **state)
{
	struct image *image = image_new(true);
	image->bytes[0] = 0;
	expect_rejected(image);

	image = image_new(true);
	image->bytes[EI_CLASS] = 3;
	expect_rejected(image);

	image = image_new(true);
	image->bytes[EI_DATA] ^= 3;
	expect_rejected(image);

	image = image_new(true);
	ehdr64(image)->e_type = ET_CORE;
	expect_rejected(image);

	image = image_new(true);
	ehdr64(image)->e_phnum = PN_XNUM;
	expect_rejected(image);

	image = image_new(true);
	ehdr64(image)->e_phentsize = 1;
	expect_rejected(image);

	image = image_new(true);
	ehdr64(image)->e_phoff = UINT64_MAX - BASE - 3;
	expect_rejected(image);

	image = image_new(true);
	ehdr64(image)->e_phoff = UINT64_MAX;
	expect_rejected(image);
}

static void test_hostile_segments(void **state)
{
	struct image *image = image_new(true);
	phdr64(image, PH_DATA)->p_memsz = UINT64_MAX;
	expect_rejected(image);

	image = image_new(true);
	phdr64(image, PH_DATA)->p_filesz = 0x1801;
	expect_rejected(image);

	image = image_new(true);
	phdr64(image, PH_CODE)->p_vaddr = 0;
	expect_rejected(image);

	/* Data on top of code. */
	image = image_new(true);
	phdr64(image, PH_DATA)->p_vaddr = PAGE + 0x800;
	expect_rejected(image);

	image = image_new(true);
	phdr64(image, PH_DATA)->p_vaddr = UINT64_MAX - 100;
	expect_rejected(image);

	image = image_new(true);
	for (size_t i = 0; i < PH_COUNT; i++)
		phdr64(image, i)->p_type = PT_NULL;
	expect_rejected(image);

	/* An executable that is not where it says it is. */
	image = image_new(true);
	ehdr64(image)->e_type = ET_EXEC;
	expect_rejected(image);
}

/* What is only an addition is left out; the image stays. */
static void test_hostile_additions(void **state)
{
	struct image *image = image_new(true);
	phdr64(image, PH_TLS)->p_vaddr = UINT64_MAX - 1;
	phdr64(image, PH_DYNAMIC)->p_memsz = UINT64_MAX;
	phdr64(image, PH_NOTE)->p_filesz = UINT64_MAX;
	struct gs_module *module = image_read(image);
	assert_non_null(module);
	assert_int_equal(module->tls_memsz, 0);
	assert_int_equal(module->dynamic, 0);
	assert_int_equal(module->build_id_len, 0);
	image_free(image);
}

static void check_note(uint32_t namesz, uint32_t descsz, size_t want)
{
	struct image *image = image_new(true);
	Elf32_Nhdr note = { .n_namesz = namesz, .n_descsz = descsz, .n_type = NT_GNU_BUILD_ID };

	memcpy(image->bytes + NOTES_AT, &note, sizeof(note));
	memcpy(image->bytes + NOTES_AT + sizeof(note), "GNU", 4);
	struct gs_module *module = image_read(image);
	assert_non_null(module);
	assert_int_equal(module->build_id_len, want);
	image_free(image);
}

static void test_hostile_notes(void **state)
{
	check_note(4, 1, 1);
	check_note(4, GS_BUILD_ID_MAX, GS_BUILD_ID_MAX);
	check_note(4, GS_BUILD_ID_MAX + 1, 0);
	check_note(4, 0x100, 0);
	check_note(4, UINT32_MAX, 0);
	check_note(UINT32_MAX, 1, 0);
	check_note(UINT32_MAX, UINT32_MAX, 0);
}

static void test_go_note(void **state)
{
	struct image *image = image_new(true);

	put_note(image->bytes + NOTES_AT, 4, "Go\0", 4, 8, 'x');
	struct gs_module *module = image_read(image);
	assert_non_null(module);
	assert_true(module->is_go);
	struct gs_err *err = gs_modules_libc(&image->modules, &module);
	assert_non_null(err);
	assert_int_equal(err->code, GS_ERR_NOT_GLIBC);
	assert_non_null(strstr(err->msg, "Go program"));
	gs_err_free(err);
	image_free(image);
}

/* Published hashes of these three names. */
static const uint32_t sysv_hashes[] = { 0, 0x077905a6, 0x0006cf04, 0x0b09985c };
static const uint32_t gnu_hashes[] = { 0, 0x156b2bb8, 0x7c967e3f, 0xbac212a0 };
static const uint32_t names_at[] = { 0, STR_PRINTF, STR_EXIT, STR_SYSCALL };

/* printf and exit are defined, syscall is not. */
static void put_symbols(struct image *image)
{
	for (size_t i = 1; i <= 3; i++)
		put_symbol(image, i, names_at[i], i == 3 ? SHN_UNDEF : 1);
}

static struct image *sysv_image(bool is64)
{
	struct image *image = image_new(is64);
	uint32_t *table = (void *)(image->bytes + HASH_AT);
	enum { BUCKETS = 2, SYMBOLS = 4 };

	put_dynamic(image, DT_HASH);
	put_symbols(image);
	table[0] = BUCKETS;
	table[1] = SYMBOLS;
	for (uint32_t i = 1; i < SYMBOLS; i++) {
		uint32_t *bucket = &table[2 + sysv_hashes[i] % BUCKETS];
		table[2 + BUCKETS + i] = *bucket;
		*bucket = i;
	}
	return image;
}

/* One bucket, one Bloom word that lets everything through. */
static struct image *gnu_image(bool is64)
{
	struct image *image = image_new(is64);
	uint32_t *table = (void *)(image->bytes + HASH_AT);
	size_t at = 4;

	put_dynamic(image, DT_GNU_HASH);
	put_symbols(image);
	table[0] = table[1] = table[2] = 1;
	table[3] = 6;
	for (unsigned i = 0; i < (is64 ? 2 : 1); i++)
		table[at++] = UINT32_MAX;
	table[at++] = 1;
	for (size_t i = 1; i <= 3; i++)
		table[at++] = (gnu_hashes[i] & ~1u) | (i == 3);
	return image;
}

static void check_look_ups(struct image *image)
{
	struct gs_module *module = image_read(image);

	assert_non_null(module);
	assert_true(gs_module_defines(module, "printf"));
	assert_true(gs_module_defines(module, "exit"));
	assert_false(gs_module_defines(module, "syscall"));
	assert_false(gs_module_defines(module, "exi"));
	assert_false(gs_module_defines(module, "malloc"));
	image_free(image);
}

static void test_hash_tables(void **state)
{
	check_look_ups(sysv_image(true));
	check_look_ups(sysv_image(false));
	check_look_ups(gnu_image(true));
	check_look_ups(gnu_image(false));
}

static void check_finds_nothing(struct image *image)
{
	struct gs_module *module = image_read(image);

	assert_non_null(module);
	assert_false(gs_module_defines(module, "printf"));
	assert_null(gs_module_allocator_name(module));
	image_free(image);
}

static void test_hostile_hash_tables(void **state)
{
	/* No buckets. */
	struct image *image = sysv_image(true);
	memset(image->bytes + HASH_AT, 0, 4);
	check_finds_nothing(image);

	/* A chain that never ends, of symbols with other names. */
	image = sysv_image(true);
	uint32_t *table = (void *)(image->bytes + HASH_AT);
	table[2] = table[3] = 2;
	table[4 + 2] = 2;
	check_finds_nothing(image);

	/* A chain that leads out of the table. */
	image = sysv_image(true);
	table = (void *)(image->bytes + HASH_AT);
	table[2] = table[3] = UINT32_MAX;
	table[1] = UINT32_MAX;
	check_finds_nothing(image);

	image = gnu_image(true);
	memset(image->bytes + HASH_AT, 0, 16);
	check_finds_nothing(image);

	/* More buckets than there is memory. */
	image = gnu_image(true);
	memset(image->bytes + HASH_AT, 0xff, 4);
	memset(image->bytes + HASH_AT + 12, 0, 4);
	check_finds_nothing(image);

	/* A shift that C leaves undefined. */
	image = gnu_image(true);
	memset(image->bytes + HASH_AT + 12, 0xff, 4);
	check_finds_nothing(image);

	/* A string table that is shorter than the names. */
	image = gnu_image(true);
	const uint64_t size[] = { DT_STRSZ, STR_PRINTF + 6 };
	put_words(image, DYNAMIC_AT + 4 * 8, size, 2);
	check_finds_nothing(image);
}

/* Small changes anywhere in headers and tables; whatever comes out, it comes. */
static void test_random_damage(void **state)
{
	uint64_t random = 42;

	for (unsigned round = 0; round < 4000; round++) {
		struct image *image = round % 2 ? gnu_image(round % 4 == 1) :
						  sysv_image(round % 4 == 0);
		for (unsigned i = 0; i < 8; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			size_t at = (random >> 33) % 0x600;
			if (random >> 63)
				at = DYNAMIC_AT + at;
			image->bytes[at] = (uint8_t)(random >> 20);
		}
		image->bytes[EI_MAG0] = ELFMAG0;
		struct gs_module *module = image_read(image);
		if (module) {
			char *version, *package;
			gs_module_defines(module, "exit");
			gs_module_glibc_version(module, image->mem, &version, &package);
			free(version);
			free(package);
			gs_modules_malloc_owner(&image->modules, image->mem);
			gs_err_free(gs_modules_libc(&image->modules, &module));
		}
		image_free(image);
	}
}

static void check_banner(const char *banner, const char *want_version, const char *want_package)
{
	struct image *image = image_new(true);
	char *version, *package;

	memcpy(image->bytes + TEXT_AT, banner, strlen(banner) + 1);
	struct gs_module *module = image_read(image);
	assert_non_null(module);
	gs_module_glibc_version(module, image->mem, &version, &package);
	if (want_version)
		assert_string_equal(version, want_version);
	else
		assert_null(version);
	if (want_package)
		assert_string_equal(package, want_package);
	else
		assert_null(package);
	free(version);
	free(package);
	image_free(image);
}

static void test_banners(void **state)
{
	check_banner("GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\n",
		     "2.36", "Debian 2.36-9+deb12u14");
	check_banner("GNU C Library (GNU libc) stable release version 2.17, by Roland McGrath\n",
		     "2.17", NULL);
	check_banner("GNU C Library (Ubuntu EGLIBC 2.19-0ubuntu6) stable release version 2.19, by",
		     "2.19", "Ubuntu 2.19-0ubuntu6");
	check_banner("GNU C Library (GNU libc) development release version 2.37.9000.", "2.37.9000",
		     NULL);
	check_banner("GNU C Library (\033[2J) stable release version 2.36.", "2.36", NULL);
	check_banner("GNU C Library (never closed stable release version .", NULL, NULL);
	check_banner("GNU C Library ", NULL, NULL);
	check_banner("nothing", NULL, NULL);
}

/* Text is searched block by block. */
static void test_banner_across_pages(void **state)
{
	static const char banner[] = "GNU C Library (GNU libc) stable release version 2.44.";
	char *version, *package;

	for (size_t before = 1; before < sizeof(banner); before++) {
		struct image *image = image_new(true);
		phdr64(image, PH_HEADERS)->p_filesz = phdr64(image, PH_HEADERS)->p_memsz = 2 * PAGE;
		phdr64(image, PH_CODE)->p_type = PT_NULL;
		memcpy(image->bytes + PAGE - before, banner, sizeof(banner));
		struct gs_module *module = image_read(image);
		assert_non_null(module);
		gs_module_glibc_version(module, image->mem, &version, &package);
		assert_non_null(version);
		assert_string_equal(version, "2.44");
		assert_null(package);
		free(version);
		image_free(image);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_images),
		cmocka_unit_test(test_absent_page_is_not_read),
		cmocka_unit_test(test_file_mapped_as_data_is_no_image),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_hostile_segments),
		cmocka_unit_test(test_hostile_additions),
		cmocka_unit_test(test_hostile_notes),
		cmocka_unit_test(test_go_note),
		cmocka_unit_test(test_hash_tables),
		cmocka_unit_test(test_hostile_hash_tables),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_banners),
		cmocka_unit_test(test_banner_across_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
