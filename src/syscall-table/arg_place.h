/*
 * What the printers behind arg_kinds.def are given, and what they share.  A family of them has a
 * file of its own: arg_socket.c, arg_ioctl.c; the others are in arg_print.c.
 */
#ifndef SHADOW_ARG_PLACE_H
#define SHADOW_ARG_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "event_decode.h"
#include "flag_names.h"

struct place {
	FILE *out;
	const struct event_view *event;
	const struct flag_set *flags;
	uint64_t value;		   /* the register */
	unsigned int arg;	   /* its number */
	enum event_item_kind kind; /* the recorded bytes that belong to it */
	size_t string_max;
};

/* The recorded bytes of the argument; without any, prints the address instead: false. */
bool fetch_item(const struct place *at, struct event_item_view *ret_item);
/* Copies a recorded structure; without all of it, prints the address instead: false. */
bool fetch(const struct place *at, void *ret_bytes, size_t size_bytes);
/* Quotes `stored` bytes out of `full`, at most `max` of them. */
void put_quoted(FILE *out, const uint8_t *bytes, size_t stored, size_t full, size_t max);

void print_ptr(const struct place *at);
void print_int(const struct place *at);
void print_int_at(const struct place *at);
void print_signal(const struct place *at);

/* arg_socket.c */
void print_sockaddr(const struct place *at);
void print_msghdr(const struct place *at);
void print_iovec(const struct place *at);
void print_sock_option(const struct place *at);
void print_sockopt(const struct place *at);

/* arg_ioctl.c */
void print_ioctl_arg(const struct place *at);

#endif
