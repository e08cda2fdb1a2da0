/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scope guards: the variable is released when it goes out of scope. */
#ifndef GS_BASE_CLEANUP_H
#define GS_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void gs_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void gs_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void gs_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void gs_cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define cleanup_(fn) __attribute__((cleanup(fn)))
#define cleanup_free_ cleanup_(gs_cleanup_free)
#define cleanup_close_ cleanup_(gs_cleanup_close)
#define cleanup_fclose_ cleanup_(gs_cleanup_fclose)
#define cleanup_closedir_ cleanup_(gs_cleanup_closedir)

/** Hand a guarded pointer out: yields its value and empties the variable. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

/** The same for a guarded file descriptor. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
