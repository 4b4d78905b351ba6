/*
 * ioctl requests about interfaces: there is one, lo, with one address of version 4
 * (net/core/dev_ioctl.c, net/ipv4/devinet.c).  What changes something is refused with EPERM, as to
 * a process without CAP_NET_ADMIN.
 */
#include "inet.h"

#define NAME_BYTES	16u
#define IFREQ_BYTES	40u
#define ARPHRD_LOOPBACK 772
#define FLAGS_LO	0x49 /* up, loopback, running */

enum {
	SIOCGIFNAME = 0x8910,
	SIOCGIFCONF = 0x8912,
	SIOCGIFFLAGS = 0x8913,
	SIOCGIFADDR = 0x8915,
	SIOCGIFDSTADDR = 0x8917,
	SIOCGIFBRDADDR = 0x8919,
	SIOCGIFNETMASK = 0x891b,
	SIOCGIFMETRIC = 0x891d,
	SIOCGIFMTU = 0x8921,
	SIOCGIFHWADDR = 0x8927,
	SIOCGIFINDEX = 0x8933,
	SIOCGIFTXQLEN = 0x8942,
	SIOCETHTOOL = 0x8946,
	SIOCGIFMAP = 0x8970,
	SIOCGIWNAME = 0x8b01,
};

/* struct ifreq. */
struct interface_request {
	char name[NAME_BYTES];
	union {
		s32 number;
		u16 family;
		u8 bytes[IFREQ_BYTES - NAME_BYTES];
	};
};

/* What a request answers with: 4 bytes of a number, or an address with these last bytes. */
struct answer_row {
	u32 request;
	s32 number;
	u16 family; /* 0: a number */
	u8 address[4];
};

static const struct answer_row answers[] = {
	{SIOCGIFFLAGS, FLAGS_LO, 0, {0}},
	{SIOCGIFADDR, 0, AF_INET, {127, 0, 0, 1}},
	{SIOCGIFDSTADDR, 0, AF_INET, {127, 0, 0, 1}},
	{SIOCGIFBRDADDR, 0, AF_INET, {0}},
	{SIOCGIFNETMASK, 0, AF_INET, {255, 0, 0, 0}},
	{SIOCGIFMETRIC, 0, 0, {0}},
	{SIOCGIFMTU, LO_MTU, 0, {0}},
	{SIOCGIFHWADDR, 0, ARPHRD_LOOPBACK, {0}},
	{SIOCGIFINDEX, LO_INDEX, 0, {0}},
	{SIOCGIFTXQLEN, 1000, 0, {0}},
	{SIOCGIFMAP, 0, 0, {0}},
};

/* Requests that change interfaces, routes and neighbours. */
static bool is_change(u32 request)
{
	static const u16 changes[] = {0x890b, 0x890c, 0x8914, 0x8916, 0x8918, 0x891a,
				      0x891c, 0x891e, 0x8922, 0x8923, 0x8924, 0x8931,
				      0x8932, 0x8936, 0x8943, 0x8971};

	for (u32 k = 0; k < sizeof(changes) / sizeof(*changes); k++) {
		if (changes[k] == request)
			return true;
	}
	return false;
}

static void address_put(u8 *to, u16 family, const u8 *four)
{
	memset(to, 0, 16);
	memcpy(to, &family, sizeof(family));
	if (family == AF_INET)
		memcpy(to + 4, four, 4);
}

static long request_in(struct task *t, u64 arg, struct interface_request *q)
{
	if (user_get(*q, arg))
		return -EFAULT;
	digest_bytes(t, q, sizeof(*q));
	q->name[NAME_BYTES - 1] = 0;
	return 0;
}

static long request_out(struct task *t, u64 arg, const struct interface_request *q)
{
	digest_bytes(t, q, sizeof(*q));
	return user_put(arg, *q) ? -EFAULT : 0;
}

static long get_answer(struct task *t, const struct answer_row *row, u64 arg)
{
	struct interface_request q;

	long r = request_in(t, arg, &q);
	if (r < 0)
		return r;
	/* An alias, as lo:0, is the interface too. */
	char *colon = strchr(q.name, ':');
	if (colon)
		*colon = 0;
	if (strcmp(q.name, LO_NAME) != 0)
		return -ENODEV;
	if (colon)
		*colon = ':';
	if (row->family)
		address_put(q.bytes, row->family, row->address);
	else if (row->request == SIOCGIFFLAGS)
		q.family = (u16)row->number;
	else if (row->request == SIOCGIFMAP)
		memset(q.bytes, 0, sizeof(q.bytes));
	else
		q.number = row->number;
	return request_out(t, arg, &q);
}

static long get_name(struct task *t, u64 arg)
{
	struct interface_request q;

	long r = request_in(t, arg, &q);
	if (r < 0)
		return r;
	if (q.number != LO_INDEX)
		return -ENODEV;
	memset(q.name, 0, NAME_BYTES);
	memcpy(q.name, LO_NAME, sizeof(LO_NAME));
	return request_out(t, arg, &q);
}

/* The list: as much of it as there is room for; without a buffer, how much that would be. */
static long get_list(struct task *t, u64 arg)
{
	struct {
		s32 len;
		u32 pad;
		u64 buffer;
	} list;
	struct interface_request q = {.name = LO_NAME};

	if (user_get(list, arg))
		return -EFAULT;
	digest_u64(t, (u64)list.len);
	address_put(q.bytes, AF_INET, inet_lo4 + 12);
	if (list.buffer && list.len < (s32)sizeof(q))
		list.len = 0;
	else
		list.len = sizeof(q);
	if (list.buffer && list.len && request_out(t, list.buffer, &q))
		return -EFAULT;
	return user_put(arg, list.len) ? -EFAULT : 0;
}

long inet_ioctl(struct task *t, u32 request, u64 arg)
{
	for (u32 k = 0; k < sizeof(answers) / sizeof(*answers); k++) {
		if (answers[k].request == request)
			return get_answer(t, &answers[k], arg);
	}
	if (request == SIOCGIFNAME)
		return get_name(t, arg);
	if (request == SIOCGIFCONF)
		return get_list(t, arg);
	if (request == SIOCETHTOOL || request == SIOCGIWNAME)
		return -EOPNOTSUPP;
	if (!is_change(request))
		return -ENOTTY;
	HEAD->refused_count[NR_ioctl]++;
	return -EPERM;
}
