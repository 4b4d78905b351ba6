/*
 * Writes one argument of a recorded system call as text: a number, names of flags, a quoted
 * string, a structure. The kinds and their printers are listed in arg_kinds.def.
 */
#ifndef SHADOW_ARG_PRINT_H
#define SHADOW_ARG_PRINT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "event_decode.h"

enum arg_kind {
#define ARG_KIND(kind, flow, printer, flags) ARG_##kind,
#include "arg_kinds.def"
#undef ARG_KIND
};

/* Where the meaning of an argument lies, see arg_kinds.def. */
enum arg_flow {
	FLOW_SCALAR,
	FLOW_PATH,
	FLOW_STR,
	FLOW_IN,
	FLOW_OUT,
	FLOW_INOUT,
	FLOW_BUF_IN,
	FLOW_BUF_OUT,
};

enum arg_flow arg_flow(enum arg_kind kind);

/*
 * Prints argument `arg` (0..5) of the event as `kind`. Memory that was not recorded, or too little
 * of it, leaves the address. At most string_max bytes of a string or buffer are shown; "..." says
 * that there was more.
 */
void arg_print(FILE *out, const struct event_view *event, unsigned int arg, enum arg_kind kind,
	       size_t string_max);

/* Prints a signal's name, or the number if it has none. */
void arg_print_signal(FILE *out, int signal);

/* Bytes of the structure such an argument points to; 0 if it points to none, or to one whose size
 * depends on another argument. */
size_t arg_struct_size(enum arg_kind kind);

#endif
