/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elf/demangle.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/xalloc.h"

static const struct {
	const char *mangled;
	const char *text;
} specials[] = {
	{ "_ZTV", "vtable for " },
	{ "_ZTI", "typeinfo for " },
	{ "_ZTS", "typeinfo name for " },
};

/* "5Class": a length and so many characters. */
static bool take_source_name(const char **at, struct gs_strbuf *to)
{
	static const char anonymous[] = "_GLOBAL__N_1";
	size_t len = 0;

	if (**at < '1' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		len = len * 10 + (size_t)(**at - '0');
		if (len > strlen(*at))
			return false;
	}
	if (len > strlen(*at))
		return false;
	if (len == sizeof(anonymous) - 1 && memcmp(*at, anonymous, len) == 0)
		gs_strbuf_addf(to, "(anonymous namespace)");
	else
		gs_strbuf_add(to, *at, len);
	*at += len;
	return true;
}

/* A component, "St" standing for std. */
static bool take_component(const char **at, struct gs_strbuf *to)
{
	if (strncmp(*at, "St", 2) != 0)
		return take_source_name(at, to);
	gs_strbuf_addf(to, "std");
	*at += 2;
	return true;
}

/* "5Class", "St9exception" or "N1a1BE", and nothing behind it. */
static bool take_class(const char *at, struct gs_strbuf *to)
{
	const bool nested = *at == 'N';

	if (nested)
		at++;
	const bool in_std = strncmp(at, "St", 2) == 0;
	if (!take_component(&at, to))
		return false;
	while (nested ? *at != 'E' : in_std && *at) {
		gs_strbuf_addf(to, "::");
		if (!take_source_name(&at, to))
			return false;
	}
	return strcmp(at, nested ? "E" : "") == 0;
}

char *gs_demangle(const char *name)
{
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		const size_t n = strlen(specials[i].mangled);
		struct gs_strbuf text = {};
		if (strncmp(name, specials[i].mangled, n) != 0)
			continue;
		gs_strbuf_addf(&text, "%s", specials[i].text);
		if (take_class(name + n, &text))
			return gs_strbuf_take(&text);
		gs_strbuf_fini(&text);
	}
	return gs_xstrdup(name);
}
