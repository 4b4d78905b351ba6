/*
 * The items of an event's record: strings and bytes whose length the table knows, and those whose
 * length lies in memory itself (addresses of sockets, messages, vectors, arguments of ioctl).
 *
 * They are read from the app's memory as it is at the end of the event; what cannot be read is left
 * out.  Addresses within structures are kept as 0: the same event has the same bytes wherever its
 * stack lies.
 */
#include "event_memory.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include "../syscall-table/event_record.h"
#include "../syscall-table/files.h"
#include "../syscall-table/socket.h"
#include "syscall_nr.h"

#define ADDRESS_MAX 128 /* struct sockaddr_storage */

struct item_place {
	u8 *at;
	u8 arg;
	u8 kind;
};

static u32 item_finish(const struct item_place *p, u64 stored, u64 full)
{
	u64 padded = (stored + 7) & ~7ull;

	*(struct event_item *)p->at = (struct event_item){p->arg, p->kind, (u16)stored, (u32)full};
	memset(p->at + sizeof(struct event_item) + stored, 0, padded - stored);
	return (u32)(sizeof(struct event_item) + padded);
}

static u32 add_string(const struct item_place *p, u64 addr)
{
	long n = user_string_in((char *)p->at + sizeof(struct event_item), addr, EVENT_ITEM_BYTES);

	if (n == -EFAULT)
		return 0;
	u64 len = n < 0 ? EVENT_ITEM_BYTES : (u64)n;
	return item_finish(p, len, len);
}

static u32 add_bytes(const struct item_place *p, u64 addr, u64 full)
{
	u64 stored = full < EVENT_ITEM_BYTES ? full : EVENT_ITEM_BYTES;

	if (user_copy_in(p->at + sizeof(struct event_item), addr, stored) < 0)
		return 0;
	return item_finish(p, stored, full);
}

/* ---- lengths that the table knows ---- */

static u64 in_length(const struct syscall_row *row, const struct frame *f, long result)
{
	u64 count = result > 0 ? (u64)result : 0;

	if (row->len_arg < 6)
		count = f->arg[row->len_arg];
	return count * row->len_unit + row->len_head;
}

static u32 add_by_row(u8 *at, const struct syscall_row *row, const struct frame *f, long result)
{
	u32 used = 0;

	for (u8 i = 0; i < row->nargs; i++) {
		struct item_place p = {at + used, i, EVENT_ITEM_IN};
		if (f->arg[i] == 0)
			continue;
		if (row->path_args >> i & 1) {
			p.kind = EVENT_ITEM_STRING;
			used += add_string(&p, f->arg[i]);
		} else if (row->buf_in_args >> i & 1) {
			used += add_bytes(&p, f->arg[i], in_length(row, f, result));
		} else if (row->buf_out_args >> i & 1 && result + row->len_head > 0 &&
			   result >= 0) {
			p.kind = EVENT_ITEM_OUT;
			used += add_bytes(&p, f->arg[i], (u64)result + row->len_head);
		}
	}
	return used;
}

/* ---- addresses and options ---- */

static u32 add_address_in(u8 *at, u8 arg, const struct frame *f, long result)
{
	u64 len = (u32)f->arg[arg + 1];

	(void)result;
	if (!f->arg[arg] || len > ADDRESS_MAX)
		return 0;
	return add_bytes(&(struct item_place){at, arg, EVENT_ITEM_IN}, f->arg[arg], len);
}

/* The length stands where the next argument points to: both are kept. */
static u32 add_sized_out(u8 *at, u8 arg, const struct frame *f, long result)
{
	u32 len;

	if (result < 0 || !f->arg[arg] || user_get(len, f->arg[arg + 1]) || len > EVENT_ITEM_BYTES)
		return 0;
	u32 used = add_bytes(&(struct item_place){at, arg, EVENT_ITEM_OUT}, f->arg[arg], len);
	return used + add_bytes(&(struct item_place){at + used, (u8)(arg + 1), EVENT_ITEM_OUT},
				f->arg[arg + 1], sizeof(len));
}

/* ---- vectors and messages ---- */

/* The first `full` bytes of a vector's pieces, one after the other. */
static u32 add_parts(const struct item_place *p, u64 vector, u64 count, u64 full)
{
	u8 *bytes = p->at + sizeof(struct event_item);
	u64 total = 0, stored = 0;
	struct user_iov part;

	for (u64 i = 0; i < count && i < FILE_IOV_MAX && total < full; i++) {
		if (user_get(part, vector + i * sizeof(part)))
			return 0;
		u64 n = part.len < full - total ? part.len : full - total;
		u64 room = EVENT_ITEM_BYTES - stored, kept = n < room ? n : room;
		if (user_copy_in(bytes + stored, part.base, kept) < 0)
			return 0;
		stored += kept;
		total += n;
	}
	return item_finish(p, stored, total);
}

static u32 add_vector_in(u8 *at, u8 arg, const struct frame *f, long result)
{
	return add_parts(&(struct item_place){at, arg, EVENT_ITEM_PARTS}, f->arg[arg],
			 f->arg[arg + 1], result < 0 ? FILE_IO_MAX : (u64)result);
}

static u32 add_vector_out(u8 *at, u8 arg, const struct frame *f, long result)
{
	return result < 0 ? 0 : add_vector_in(at, arg, f, result);
}

/* The kernel's struct msghdr. */
struct message {
	u64 name;
	u32 name_len, pad0;
	u64 parts, part_count;
	u64 control, control_len;
	u32 flags, pad1;
};

static u32 add_message(u8 *at, u8 arg, u8 kind, const struct frame *f, u64 bytes)
{
	struct message *m = (struct message *)(at + sizeof(struct event_item));
	struct item_place p = {at, arg, kind};

	u32 used = add_bytes(&p, f->arg[arg], sizeof(*m));
	if (!used)
		return 0;
	const struct message asked = *m;
	m->name = m->parts = m->control = 0;
	m->pad0 = m->pad1 = 0;
	p = (struct item_place){at + used, arg, EVENT_ITEM_ADDRESS};
	if (asked.name && asked.name_len <= ADDRESS_MAX)
		used += add_bytes(&p, asked.name, asked.name_len);
	p = (struct item_place){at + used, arg, EVENT_ITEM_PARTS};
	used += add_parts(&p, asked.parts, asked.part_count, bytes);
	p = (struct item_place){at + used, arg, EVENT_ITEM_CONTROL};
	if (asked.control && asked.control_len)
		used += add_bytes(&p, asked.control, asked.control_len);
	return used;
}

static u32 add_message_in(u8 *at, u8 arg, const struct frame *f, long result)
{
	return add_message(at, arg, EVENT_ITEM_IN, f, result < 0 ? FILE_IO_MAX : (u64)result);
}

static u32 add_message_out(u8 *at, u8 arg, const struct frame *f, long result)
{
	return result < 0 ? 0 : add_message(at, arg, EVENT_ITEM_OUT, f, (u64)result);
}

/* ---- ioctl ---- */

#define IN  EVENT_ITEM_IN
#define OUT EVENT_ITEM_OUT

static const struct {
	u32 request;
	u8 kind;
	u8 size;
} requests[] = {
	{TCGETS, OUT, sizeof(struct termios)},
	{TCSETS, IN, sizeof(struct termios)},
	{TCSETSW, IN, sizeof(struct termios)},
	{TCSETSF, IN, sizeof(struct termios)},
	{TCGETS2, OUT, sizeof(struct termios2)},
	{TCSETS2, IN, sizeof(struct termios2)},
	{TCSETSW2, IN, sizeof(struct termios2)},
	{TCSETSF2, IN, sizeof(struct termios2)},
	{TIOCGWINSZ, OUT, sizeof(struct winsize)},
	{TIOCSWINSZ, IN, sizeof(struct winsize)},
	{TIOCGPGRP, OUT, sizeof(s32)},
	{TIOCSPGRP, IN, sizeof(s32)},
	{TIOCGSID, OUT, sizeof(s32)},
	{TIOCGPTN, OUT, sizeof(s32)},
	{TIOCSPTLCK, IN, sizeof(s32)},
	{TIOCGPTLCK, OUT, sizeof(s32)},
	{TIOCOUTQ, OUT, sizeof(s32)},
	{TIOCPKT, IN, sizeof(s32)},
	{FIONREAD, OUT, sizeof(s32)},
	{FIONBIO, IN, sizeof(s32)},
	{FIOASYNC, IN, sizeof(s32)},
};

static u32 add_request(u8 *at, u8 arg, const struct frame *f, long result)
{
	for (u32 i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		if (requests[i].request != (u32)f->arg[1])
			continue;
		if (!f->arg[arg] || (requests[i].kind == OUT && result < 0))
			return 0;
		return add_bytes(&(struct item_place){at, arg, requests[i].kind}, f->arg[arg],
				 requests[i].size);
	}
	return 0;
}

static const struct {
	u16 nr;
	u8 arg;
	u32 (*add)(u8 *at, u8 arg, const struct frame *f, long result);
} rows[] = {
	{NR_sendto, 4, add_address_in},	    {NR_recvfrom, 4, add_sized_out},
	{NR_accept, 1, add_sized_out},	    {NR_accept4, 1, add_sized_out},
	{NR_getsockname, 1, add_sized_out}, {NR_getpeername, 1, add_sized_out},
	{NR_getsockopt, 3, add_sized_out},  {NR_sendmsg, 1, add_message_in},
	{NR_recvmsg, 1, add_message_out},   {NR_readv, 1, add_vector_out},
	{NR_preadv, 1, add_vector_out},	    {NR_preadv2, 1, add_vector_out},
	{NR_writev, 1, add_vector_in},	    {NR_pwritev, 1, add_vector_in},
	{NR_pwritev2, 1, add_vector_in},    {NR_vmsplice, 1, add_vector_in},
	{NR_ioctl, 2, add_request},
};

u32 event_memory(u8 *at, s64 nr, const struct syscall_row *row, const struct frame *f, long result)
{
	u32 used = add_by_row(at, row, f, result);

	for (u32 i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].nr == nr)
			used += rows[i].add(at + used, rows[i].arg, f, result);
	}
	return used;
}
