/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/fmt.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NS_PER_S UINT64_C(1000000000)

/* value * 10^decimals / 2^shift, rounded to nearest. Digit by digit, so that nothing overflows. */
static uint64_t scale_binary(uint64_t value, unsigned shift, unsigned decimals)
{
	uint64_t mask = (UINT64_C(1) << shift) - 1;
	uint64_t scaled = value >> shift;
	uint64_t rest = value & mask;

	for (unsigned i = 0; i < decimals; i++) {
		rest *= 10;
		scaled = scaled * 10 + (rest >> shift);
		rest &= mask;
	}
	return scaled + (rest * 2 > mask ? 1 : 0);
}

static char *print_scaled(char *buf, uint64_t scaled, unsigned decimals, const char *unit)
{
	static const unsigned pow10[] = { 1, 10, 100 };
	uint64_t whole = scaled / pow10[decimals];
	uint64_t part = scaled % pow10[decimals];

	if (decimals == 0)
		snprintf(buf, GS_FMT_LEN, "%" PRIu64 "%s", whole, unit);
	else
		snprintf(buf, GS_FMT_LEN, "%" PRIu64 ".%0*" PRIu64 "%s", whole, (int)decimals, part,
			 unit);
	return buf;
}

char *gs_fmt_size(char *buf, uint64_t bytes)
{
	static const char *const units[] = { "K", "M", "G", "T", "P", "E" };

	if (bytes < 1024)
		return print_scaled(buf, bytes, 0, "B");
	for (unsigned u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		unsigned shift = 10 * (u + 1);

		for (unsigned decimals = 3; decimals-- > 0;) {
			uint64_t scaled = scale_binary(bytes, shift, decimals);

			if (scaled < (decimals ? 1000 : 1024))
				return print_scaled(buf, scaled, decimals, units[u]);
		}
	}
	return buf;	/* not reached: 2^64 bytes are 16E */
}

unsigned gs_fmt_percent(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return 0;
	while (part > UINT64_MAX / 200) {
		part >>= 1;
		whole >>= 1;
	}
	if (whole == 0)
		return UINT_MAX;
	uint64_t percent = (part * 100 + whole / 2) / whole;
	return percent > UINT_MAX ? UINT_MAX : (unsigned)percent;
}

static bool fmt_below_minute(char *buf, uint64_t ns)
{
	static const struct { const char *unit; uint64_t ns, limit; } units[] = {
		{ "us", 1000, 1000 },
		{ "ms", 1000 * 1000, 1000 },
		{ "s", NS_PER_S, 60 },
	};
	static const unsigned pow10[] = { 1, 10, 100 };

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		if (ns / units[u].ns >= units[u].limit)
			continue;
		for (unsigned decimals = 3; decimals-- > 0;) {
			uint64_t step = units[u].ns / pow10[decimals];
			uint64_t scaled = (ns + step / 2) / step;

			if (scaled < 1000 && scaled < units[u].limit * pow10[decimals]) {
				print_scaled(buf, scaled, decimals, units[u].unit);
				return true;
			}
		}
	}
	return false;
}

char *gs_fmt_duration(char *buf, uint64_t ns)
{
	static const struct { uint64_t big, small; char big_unit, small_unit; } pairs[] = {
		{ 86400, 3600, 'd', 'h' },
		{ 3600, 60, 'h', 'm' },
		{ 60, 1, 'm', 's' },
	};

	if (ns < 1000)
		return print_scaled(buf, ns, 0, "ns");
	if (fmt_below_minute(buf, ns))
		return buf;
	uint64_t s = ns / NS_PER_S;
	if (s < 60)
		s = 60;		/* 59.99 s, too much for "59.9s", reads as a minute */
	size_t i = 0;
	while (s < pairs[i].big)
		i++;
	snprintf(buf, GS_FMT_LEN, "%" PRIu64 "%c %" PRIu64 "%c", s / pairs[i].big,
		 pairs[i].big_unit, s % pairs[i].big / pairs[i].small, pairs[i].small_unit);
	return buf;
}

char *gs_fmt_addr(char *buf, uint64_t addr)
{
	snprintf(buf, GS_FMT_LEN, "0x%" PRIx64, addr);
	return buf;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Read digits at *s; leaves *s behind them. False if there are none or they do not fit. */
static bool take_digits(const char **s, uint64_t *ret)
{
	uint64_t n = 0;

	if (!is_digit(**s))
		return false;
	for (; is_digit(**s); (*s)++) {
		if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
		    __builtin_add_overflow(n, (uint64_t)(**s - '0'), &n))
			return false;
	}
	*ret = n;
	return true;
}

/* Skip ".digits" at *s if it is there: *ret_digits, *ret_n say where they are. */
static bool take_fraction(const char **s, const char **ret_digits, size_t *ret_n)
{
	*ret_digits = *s;
	*ret_n = 0;
	if (**s != '.')
		return true;
	*ret_digits = ++*s;
	while (is_digit(**s))
		(*s)++;
	*ret_n = (size_t)(*s - *ret_digits);
	return *ret_n > 0;
}

/* Read a unit, which has to end the text. */
static bool take_unit(const char *s, unsigned *ret_shift)
{
	static const char letters[] = "bkmgt";

	*ret_shift = 0;
	if (*s == '\0')
		return true;
	const char *unit = strchr(letters, tolower((unsigned char)*s));
	if (!unit)
		return false;
	*ret_shift = 10 * (unsigned)(unit - letters);
	s++;
	if (*ret_shift == 0)
		return *s == '\0';
	return *s == '\0' || strcasecmp(s, "b") == 0 || strcasecmp(s, "ib") == 0;
}

bool gs_parse_size(const char *s, uint64_t *ret)
{
	const char *digits;
	uint64_t whole, size;
	size_t n;
	unsigned shift;

	if (!take_digits(&s, &whole) || !take_fraction(&s, &digits, &n) || !take_unit(s, &shift))
		return false;
	if (__builtin_mul_overflow(whole, UINT64_C(1) << shift, &size))
		return false;

	/* From the last digit on, cutting at each step: exactly the floor of the whole fraction. */
	uint64_t fraction = 0;
	while (n-- > 0)
		fraction = (fraction + ((uint64_t)(digits[n] - '0') << shift)) / 10;
	if (__builtin_add_overflow(size, fraction, &size))
		return false;
	*ret = size;
	return true;
}

bool gs_parse_percent(const char *s, double *ret)
{
	const char *digits;
	uint64_t whole;
	size_t n;

	if (!take_digits(&s, &whole) || !take_fraction(&s, &digits, &n) || strcmp(s, "%") != 0)
		return false;
	double fraction = 0;
	while (n-- > 0)
		fraction = (fraction + (digits[n] - '0')) / 10;
	if (whole > 100 || (whole == 100 && fraction > 0))
		return false;
	*ret = (double)whole + fraction;
	return true;
}

bool gs_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t n;

	if (!take_digits(&s, &n) || *s != '\0' || n < min || n > max)
		return false;
	*ret = n;
	return true;
}
