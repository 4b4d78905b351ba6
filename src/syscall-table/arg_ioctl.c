/*
 * The third argument of ioctl, by the request in the second: numbers, settings and sizes of
 * terminals as strace shows them, else the address of something.
 */
#include <asm/termbits.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "arg_place.h"

#define SPEED_MASK 0x100fu /* CBAUD */

/* Where a structure's bytes are, whether the call read or wrote them. */
static struct place memory(const struct place *at)
{
	struct event_item_view item;
	struct place there = *at;

	there.kind = EVENT_ITEM_IN;
	if (event_item_find(at->event, at->arg, EVENT_ITEM_OUT, &item))
		there.kind = EVENT_ITEM_OUT;
	return there;
}

static void put_cflag(FILE *out, uint32_t flags)
{
	flag_set_print(out, &flags_tty_speed, flags & SPEED_MASK);
	fputc('|', out);
	flag_set_print(out, &flags_tty_cflag, flags & ~SPEED_MASK);
}

/* The first members of all of their structures. */
static void print_termios(const struct place *at)
{
	const struct place there = memory(at);
	struct termios t;

	if (!fetch(&there, &t, sizeof(t)))
		return;
	fputs("{c_iflag=", at->out);
	flag_set_print(at->out, &flags_tty_iflag, t.c_iflag);
	fputs(", c_oflag=", at->out);
	flag_set_print(at->out, &flags_tty_oflag, t.c_oflag);
	fputs(", c_cflag=", at->out);
	put_cflag(at->out, t.c_cflag);
	fputs(", c_lflag=", at->out);
	flag_set_print(at->out, &flags_tty_lflag, t.c_lflag);
	fputs(", ...}", at->out);
}

static void print_winsize(const struct place *at)
{
	const struct place there = memory(at);
	struct winsize w;

	if (!fetch(&there, &w, sizeof(w)))
		return;
	fprintf(at->out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w.ws_row, w.ws_col,
		w.ws_xpixel, w.ws_ypixel);
}

static void print_number(const struct place *at)
{
	const struct place there = memory(at);

	print_int_at(&there);
}

static void print_tcflsh(const struct place *at)
{
	flag_set_print(at->out, &flags_tcflsh_queue, (uint32_t)at->value);
}

static void print_tcxonc(const struct place *at)
{
	flag_set_print(at->out, &flags_tcxonc_action, (uint32_t)at->value);
}

static void print_open_flags(const struct place *at)
{
	flag_set_print(at->out, &flags_open_flags, (uint32_t)at->value);
}

static const struct {
	uint32_t request;
	void (*print)(const struct place *at);
} requests[] = {
	{TCGETS, print_termios},     {TCSETS, print_termios},	{TCSETSW, print_termios},
	{TCSETSF, print_termios},    {TCGETS2, print_termios},	{TCSETS2, print_termios},
	{TCSETSW2, print_termios},   {TCSETSF2, print_termios}, {TIOCGWINSZ, print_winsize},
	{TIOCSWINSZ, print_winsize}, {TIOCGPGRP, print_number}, {TIOCSPGRP, print_number},
	{TIOCGSID, print_number},    {TIOCGPTN, print_number},	{TIOCSPTLCK, print_number},
	{TIOCGPTLCK, print_number},  {TIOCOUTQ, print_number},	{TIOCPKT, print_number},
	{FIONREAD, print_number},    {FIONBIO, print_number},	{FIOASYNC, print_number},
	{TCFLSH, print_tcflsh},	     {TCXONC, print_tcxonc},	{TIOCGPTPEER, print_open_flags},
	{TIOCSIG, print_signal},     {TCSBRK, print_int},	{TCSBRKP, print_int},
	{TIOCSCTTY, print_int},
};

void print_ioctl_arg(const struct place *at)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		if (requests[i].request == (uint32_t)at->event->head.args[1]) {
			requests[i].print(at);
			return;
		}
	}
	print_ptr(at);
}
