/*
 * Event records as people and programs read them: one line in the manner of strace, or JSON.
 *
 *	12 3 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
 *	13 3 read(3, "root:x:0:0:root:/root:/bin/bash"..., 4096) = 1024
 *	14 3 --- SIGCHLD {si_code=1, pid_or_address=0x4, handler=0x401150} ---
 *
 * The numbers in front are the event's and the task's. Tracer-side: uses libc and jansson.
 */
#ifndef SHADOW_EVENT_PRINT_H
#define SHADOW_EVENT_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "event_decode.h"

/* Bytes of a buffer that a line shows unless told otherwise; as many as strace does. */
#define EVENT_STRING_MAX 32

/*
 * The name of a system call, or of a listed instruction or other event below 0 (enum event_nr);
 * NULL if the number has none. The string is constant.
 */
const char *event_name(int32_t nr);

enum event_takes { EVENT_TAKES_PATH, EVENT_TAKES_DESCRIPTOR };

/* Whether that argument of the call, or any, is a path, or a descriptor. */
bool event_arg_takes(int32_t nr, unsigned int arg, enum event_takes what);
bool event_takes(int32_t nr, enum event_takes what);

/*
 * How many of the event's arguments mean something, and whether that one, or the result, is an
 * address in the program: what it points to may be the same where it is not.
 */
unsigned int event_args_used(const struct event_view *event);
bool event_arg_is_address(const struct event_view *event, unsigned int arg);
bool event_result_is_address(const struct event_view *event);

/*
 * Bytes of the structure that argument `arg` points to, which the call read or wrote, and the item
 * it would be; 0 if there is none.  Records hold few structures (syscalls.tbl): who can read the
 * program's memory at the event can add them.
 */
size_t event_arg_struct(const struct event_view *event, unsigned int arg,
			enum event_item_kind *ret_kind);

/*
 * Writes one line, its end included. At most string_max bytes of each buffer are shown; paths are
 * shown whole. 0, or -EIO if `out` has failed.
 */
int event_print(FILE *out, const struct event_view *event, size_t string_max);

/*
 * The event as an object, all of its recorded bytes included:
 *
 *	number, task, time_ns, nr	numbers
 *	name				as event_name, absent if there is none
 *	args				the arguments as event_print writes them
 *	raw				the argument registers, "0x..."
 *	result				number, absent if the call does not return
 *	error				name of the errno, if the result is one
 *	flags				those of parked, refused, items_cut that apply
 *	digest				16 hexadecimal digits
 *	items				{ arg, kind, full_bytes, data: hexadecimal }
 *
 * 0 and a new reference that the caller owns, or -ENOMEM.
 */
int event_to_json(const struct event_view *event, json_t **ret_json);

#endif
