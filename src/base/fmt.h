/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers as people read them, and back. */
#ifndef GS_BASE_FMT_H
#define GS_BASE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Enough for any text these functions write, NUL included. */
#define GS_FMT_LEN 32

/**
 * Write bytes with three significant digits and a one-letter IEC suffix: "0B", "1023B",
 * "99.9K", "412M", "1.21G". Rounds to nearest; never prints 1024 of a unit.
 * Returns buf (at least GS_FMT_LEN bytes).
 */
char *gs_fmt_size(char *buf, uint64_t bytes);

/** part/whole in whole percent, rounded to nearest; 0 when whole is 0. */
unsigned gs_fmt_percent(uint64_t part, uint64_t whole);

/** Write ns as "850ns", "12.3us", "4.56ms", "1.20s", "3m 20s", "3d 4h". Returns buf. */
char *gs_fmt_duration(char *buf, uint64_t ns);

/** Write addr as "0x7f2a40000000". Returns buf. */
char *gs_fmt_addr(char *buf, uint64_t addr);

/**
 * Parse a size: digits, optionally a decimal part, optionally one of B K M G T (any case, IEC,
 * an optional "iB" or "B" after it). False if s is anything else or does not fit 64 bits.
 */
bool gs_parse_size(const char *s, uint64_t *ret);

/** Parse a percentage such as "20%" or "7.5%" (0 to 100). False if s is anything else. */
bool gs_parse_percent(const char *s, double *ret);

/** Parse a plain decimal number in [min, max]. False if s is anything else. */
bool gs_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

#endif
