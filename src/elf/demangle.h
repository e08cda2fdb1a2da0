/* SPDX-License-Identifier: GPL-3.0-or-later */
/* C++ names, as far as telling what an object is needs them. */
#ifndef GS_ELF_DEMANGLE_H
#define GS_ELF_DEMANGLE_H

/**
 * "vtable for a::B" from "_ZTVN1a1BE", likewise typeinfo and typeinfo names, if the class name
 * is plain (no templates); any other name is copied. The caller frees.
 */
char *gs_demangle(const char *name);

#endif
