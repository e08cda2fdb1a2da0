/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the terminal on a stream can do. */
#ifndef GS_BASE_TERM_H
#define GS_BASE_TERM_H

#include <stdbool.h>

enum gs_color_mode { GS_COLOR_AUTO, GS_COLOR_ALWAYS, GS_COLOR_NEVER };

/**
 * May we use colour on fd? ALWAYS and NEVER win; then NO_COLOR set and not empty means no; then
 * TERM unset or "dumb" means no; then fd must be a terminal.
 */
bool gs_term_color(int fd, enum gs_color_mode mode);

/** Columns of the terminal on fd, else of COLUMNS in the environment, else 80. At least 40. */
unsigned gs_term_width(int fd);

/** Can the current locale show block characters, one column each? */
bool gs_term_has_blocks(void);

#endif
