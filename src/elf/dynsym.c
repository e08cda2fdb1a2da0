/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/dynsym.h"

#include <elf.h>
#include <string.h>

enum {
	DYNAMIC_MAX = 1024,	/* entries of a dynamic section */
	CHAIN_MAX = 4096,	/* symbols of one hash chain */
	NAME_MAX_LEN = 64,	/* longest name looked up, with its NUL */
};

/* Call take for every entry until it says stop (false) or the section ends. */
static void dynamic_each(struct gs_image *image,
			 bool (*take)(void *ctx, uint64_t tag, uint64_t value), void *ctx)
{
	const struct gs_module *module = image->module;
	const uint64_t size = 2 * module->word;
	uint64_t n = module->dynamic_size / size;

	if (n > DYNAMIC_MAX)
		n = DYNAMIC_MAX;
	for (uint64_t i = 0; i < n; i++) {
		gs_addr at = module->dynamic + i * size;
		uint64_t tag, value;
		if (!gs_image_read_word(image, at, &tag) ||
		    !gs_image_read_word(image, at + module->word, &value))
			return;
		if (tag == DT_NULL || !take(ctx, tag, value))
			return;
	}
}

struct tag_search {
	uint64_t tag, value;
	bool found;
};

static bool take_tag(void *ctx, uint64_t tag, uint64_t value)
{
	struct tag_search *search = ctx;

	if (tag != search->tag)
		return true;
	search->value = value;
	search->found = true;
	return false;
}

bool gs_dynamic_find(struct gs_image *image, uint64_t tag, uint64_t *ret)
{
	struct tag_search search = { .tag = tag };

	dynamic_each(image, take_tag, &search);
	if (search.found)
		*ret = search.value;
	return search.found;
}

/* ld.so of glibc relocates these in place on most machines; musl does not, nor is the file. */
static gs_addr run_time(const struct gs_module *module, uint64_t value)
{
	if (value >= module->map_start && value < module->map_end)
		return value;
	gs_addr moved = value + module->bias;
	return moved >= module->map_start && moved < module->map_end ? moved : 0;
}

bool gs_dynamic_address(struct gs_image *image, uint64_t tag, gs_addr *ret)
{
	uint64_t value;

	if (!gs_dynamic_find(image, tag, &value))
		return false;
	gs_addr addr = run_time(image->module, value);
	if (addr)
		*ret = addr;
	return addr != 0;
}

static bool take_table(void *ctx, uint64_t tag, uint64_t value)
{
	struct gs_dynsym *dynsym = ctx;
	const struct {
		uint64_t tag;
		gs_addr *to;
	} tables[] = {
		{ DT_SYMTAB, &dynsym->symtab },
		{ DT_STRTAB, &dynsym->strtab },
		{ DT_GNU_HASH, &dynsym->gnu_hash },
		{ DT_HASH, &dynsym->sysv_hash },
	};

	if (tag == DT_STRSZ)
		dynsym->strtab_size = value;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (tables[i].tag == tag)
			*tables[i].to = run_time(dynsym->image->module, value);
	}
	return true;
}

void gs_dynsym_init(struct gs_image *image, struct gs_dynsym *ret)
{
	*ret = (struct gs_dynsym){ .image = image };
	dynamic_each(image, take_table, ret);
}

static bool read_u32(struct gs_dynsym *dynsym, gs_addr addr, uint32_t *ret)
{
	return gs_image_read(dynsym->image, addr, ret, sizeof(*ret));
}

static bool has_name(struct gs_dynsym *dynsym, uint64_t offset, const char *name)
{
	const size_t len = strlen(name) + 1;
	char buf[NAME_MAX_LEN];

	if (offset > dynsym->strtab_size || len > dynsym->strtab_size - offset)
		return false;
	return gs_image_read(dynsym->image, dynsym->strtab + offset, buf, len) &&
	       memcmp(buf, name, len) == 0;
}

/* Is the symbol number index defined and called name? */
static bool check_symbol(struct gs_dynsym *dynsym, uint32_t index, const char *name, gs_addr *ret)
{
	const struct gs_module *module = dynsym->image->module;
	Elf64_Sym s64;
	Elf32_Sym s32;

	if (module->word == 8) {
		gs_addr at = dynsym->symtab + (uint64_t)index * sizeof(s64);
		if (!gs_image_read(dynsym->image, at, &s64, sizeof(s64)))
			return false;
	} else {
		gs_addr at = dynsym->symtab + (uint64_t)index * sizeof(s32);
		if (!gs_image_read(dynsym->image, at, &s32, sizeof(s32)))
			return false;
		s64 = (Elf64_Sym){ .st_name = s32.st_name, .st_shndx = s32.st_shndx,
				   .st_value = s32.st_value };
	}
	if (s64.st_shndx == SHN_UNDEF || !has_name(dynsym, s64.st_name, name))
		return false;
	*ret = module->bias + s64.st_value;
	return true;
}

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		hash = hash * 33 + *c;
	return hash;
}

/* The table: a header, a Bloom filter of words, buckets, then one hash a symbol. */
struct gnu_table {
	uint32_t n_buckets, first_symbol, n_words, shift;
};

static bool may_contain(struct gs_dynsym *dynsym, const struct gnu_table *table, gs_addr words,
			uint32_t hash)
{
	const uint32_t word_size = dynsym->image->module->word, bits = word_size * 8;
	uint64_t word;

	if (!gs_image_read_word(dynsym->image, words + hash / bits % table->n_words * word_size,
				&word))
		return false;
	return word >> hash % bits & word >> (hash >> table->shift) % bits & 1;
}

static bool find_gnu(struct gs_dynsym *dynsym, const char *name, gs_addr *ret)
{
	const uint32_t hash = gnu_hash_of(name);
	struct gnu_table table;
	uint32_t index, entry;

	if (!gs_image_read(dynsym->image, dynsym->gnu_hash, &table, sizeof(table)))
		return false;
	if (!table.n_buckets || !table.n_words || table.shift >= 32)
		return false;
	const gs_addr words = dynsym->gnu_hash + sizeof(table);
	if (!may_contain(dynsym, &table, words, hash))
		return false;

	const gs_addr buckets = words + (uint64_t)table.n_words * dynsym->image->module->word;
	const gs_addr chains = buckets + (uint64_t)table.n_buckets * sizeof(uint32_t);
	if (!read_u32(dynsym, buckets + (uint64_t)(hash % table.n_buckets) * sizeof(uint32_t),
		      &index))
		return false;
	if (index < table.first_symbol)
		return false;
	for (unsigned step = 0; step < CHAIN_MAX; step++, index++) {
		gs_addr at = chains + (uint64_t)(index - table.first_symbol) * sizeof(uint32_t);
		if (!read_u32(dynsym, at, &entry))
			return false;
		/* The lowest bit marks the end of a chain. */
		if ((entry | 1) == (hash | 1) && check_symbol(dynsym, index, name, ret))
			return true;
		if (entry & 1)
			return false;
	}
	return false;
}

static uint32_t sysv_hash_of(const char *name)
{
	uint32_t hash = 0;

	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		hash = (hash << 4) + *c;
		hash ^= hash >> 24 & 0xf0;
		hash &= 0x0fffffff;
	}
	return hash;
}

static bool find_sysv(struct gs_dynsym *dynsym, const char *name, gs_addr *ret)
{
	uint32_t counts[2], index;	/* of buckets, of symbols */

	if (!gs_image_read(dynsym->image, dynsym->sysv_hash, counts, sizeof(counts)) || !counts[0])
		return false;
	const gs_addr buckets = dynsym->sysv_hash + sizeof(counts);
	const gs_addr chains = buckets + (uint64_t)counts[0] * sizeof(uint32_t);
	gs_addr at = buckets + (uint64_t)(sysv_hash_of(name) % counts[0]) * sizeof(uint32_t);
	for (unsigned step = 0; step < CHAIN_MAX; step++) {
		if (!read_u32(dynsym, at, &index) || index == STN_UNDEF || index >= counts[1])
			return false;
		if (check_symbol(dynsym, index, name, ret))
			return true;
		at = chains + (uint64_t)index * sizeof(uint32_t);
	}
	return false;
}

bool gs_dynsym_find(struct gs_dynsym *dynsym, const char *name, gs_addr *ret)
{
	if (!dynsym->symtab || !dynsym->strtab || strlen(name) >= NAME_MAX_LEN)
		return false;
	if (dynsym->gnu_hash)
		return find_gnu(dynsym, name, ret);
	return dynsym->sysv_hash && find_sysv(dynsym, name, ret);
}
