/*
 * What NETLINK_ROUTE says of the container's network: one interface, lo, with 127.0.0.1 and ::1,
 * the routes that come with them, no neighbours.  All of it is constant, so it stands in tables, an
 * attribute a row, as a network namespace of Linux shows it in which lo is up.
 *
 * Requests that change something are refused with EPERM, as without CAP_NET_ADMIN, and named; what
 * is not known with EOPNOTSUPP.
 */
#include "netlink.h"

#define HEADER_BYTES 16u
#define ANSWER_MAX   4096u
#define ALIGN4(n)    (((n) + 3) & ~3u)

enum { NLMSG_ERROR = 2, NLMSG_DONE = 3, NLMSG_FIRST = 16 };
enum { NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_DUMP = 0x300 };
enum { OPTION_CAP_ACK = 10 };
enum {
	RTM_NEWLINK = 16,
	RTM_GETLINK = 18,
	RTM_NEWADDR = 20,
	RTM_GETADDR = 22,
	RTM_NEWROUTE = 24,
	RTM_GETROUTE = 26,
	RTM_GETNEIGH = 30,
};
enum { IFLA_IFNAME = 3, IFLA_ALT_IFNAME = 53 };

/* An attribute: its value is a number of 1 or 4 bytes, or bytes (NULL: zeros). */
struct attribute {
	u16 type, len;
	u32 number;
	const void *bytes;
};
#define NUMBER(type, value)          \
	{                            \
		type, 4, value, NULL \
	}
#define BYTE(type, value)            \
	{                            \
		type, 1, value, NULL \
	}
#define ZEROS(type, size)           \
	{                           \
		type, size, 0, NULL \
	}

/* One object: its head (struct ifinfomsg and the like) and attributes. */
struct object {
	u16 family; /* of those dumped by family; 0: of all */
	u16 type;   /* RTM_NEW... */
	u16 head_len;
	u8 head[16];
	struct attribute attributes[20];
};

static const u8 lo_four[4] = {127, 0, 0, 1}, net_four[4] = {127},
		last_four[4] = {127, 255, 255, 255};
static const u32 forever[4] = {~0u, ~0u, 0, 0};

/* struct ifinfomsg: family, pad, type, index, flags, change. */
#define LO_FLAGS 0x49, 0, 1 /* up, loopback, running, lower up */
static const struct object links[] = {
	{0,
	 RTM_NEWLINK,
	 16,
	 {0, 0, 0x04, 0x03, LO_INDEX, 0, 0, 0, LO_FLAGS},
	 {{IFLA_IFNAME, 3, 0, LO_NAME},
	  NUMBER(13, 1000), /* IFLA_TXQLEN */
	  BYTE(16, 0),	    /* IFLA_OPERSTATE: unknown */
	  BYTE(17, 0),	    /* IFLA_LINKMODE */
	  NUMBER(4, LO_MTU),
	  NUMBER(27, 0), /* IFLA_GROUP */
	  NUMBER(30, 0), /* IFLA_PROMISCUITY */
	  NUMBER(31, 1), /* IFLA_NUM_TX_QUEUES */
	  NUMBER(32, 1), /* IFLA_NUM_RX_QUEUES */
	  BYTE(33, 1),	 /* IFLA_CARRIER */
	  {6, 8, 0, "noqueue"},
	  NUMBER(35, 0),  /* IFLA_CARRIER_CHANGES */
	  ZEROS(14, 32),  /* IFLA_MAP */
	  ZEROS(1, 6),	  /* IFLA_ADDRESS */
	  ZEROS(2, 6),	  /* IFLA_BROADCAST */
	  ZEROS(23, 200), /* IFLA_STATS64 */
	  ZEROS(7, 96)}}, /* IFLA_STATS */
};

/* struct ifaddrmsg: family, prefix, flags (permanent), scope (host), index. */
static const struct object addresses[] = {
	{AF_INET,
	 RTM_NEWADDR,
	 8,
	 {AF_INET, 8, 0x80, 254, LO_INDEX},
	 {{1, 4, 0, lo_four},
	  {2, 4, 0, lo_four},
	  {3, 3, 0, LO_NAME},
	  NUMBER(8, 0x80),
	  {6, 16, 0, forever}}},
	{AF_INET6,
	 RTM_NEWADDR,
	 8,
	 {AF_INET6, 128, 0x80, 254, LO_INDEX},
	 {{1, 16, 0, inet_lo6}, {6, 16, 0, forever}, NUMBER(8, 0x80)}},
};

/* struct rtmsg: family, lengths of destination and source, tos, table (local), protocol (kernel),
 * scope, type. */
#define TABLE_LOCAL 255
static const struct object routes[] = {
	{AF_INET,
	 RTM_NEWROUTE,
	 12,
	 {AF_INET, 8, 0, 0, TABLE_LOCAL, 2, 254, 2},
	 {NUMBER(15, TABLE_LOCAL), {1, 4, 0, net_four}, {7, 4, 0, lo_four}, NUMBER(4, LO_INDEX)}},
	{AF_INET,
	 RTM_NEWROUTE,
	 12,
	 {AF_INET, 32, 0, 0, TABLE_LOCAL, 2, 254, 2},
	 {NUMBER(15, TABLE_LOCAL), {1, 4, 0, lo_four}, {7, 4, 0, lo_four}, NUMBER(4, LO_INDEX)}},
	{AF_INET,
	 RTM_NEWROUTE,
	 12,
	 {AF_INET, 32, 0, 0, TABLE_LOCAL, 2, 253, 3},
	 {NUMBER(15, TABLE_LOCAL), {1, 4, 0, last_four}, {7, 4, 0, lo_four}, NUMBER(4, LO_INDEX)}},
	{AF_INET6,
	 RTM_NEWROUTE,
	 12,
	 {AF_INET6, 128, 0, 0, TABLE_LOCAL, 2, 0, 2},
	 {NUMBER(15, TABLE_LOCAL),
	  {1, 16, 0, inet_lo6},
	  NUMBER(6, 0),
	  NUMBER(4, LO_INDEX),
	  ZEROS(12, 32),
	  BYTE(20, 0)}},
};

/* An answer under way. */
struct answer {
	u32 len;
	_Alignas(8) u8 bytes[ANSWER_MAX];
};

static void put(struct answer *a, const void *bytes, u32 len)
{
	SHIM_ASSERT(a->len + ALIGN4(len) <= ANSWER_MAX);
	memset(a->bytes + a->len, 0, ALIGN4(len));
	if (bytes)
		memcpy(a->bytes + a->len, bytes, len);
	a->len += ALIGN4(len);
}

static void put_header(struct answer *a, const struct netlink_socket *n,
		       const struct netlink_header *request, u16 type, u16 flags)
{
	struct netlink_header h = {0, type, flags, request->seq, n->port};

	put(a, &h, sizeof(h));
}

/* The message that began at `at` ends here. */
static void close_message(struct answer *a, u32 at)
{
	u32 len = a->len - at;

	memcpy(a->bytes + at, &len, sizeof(len));
}

static void put_attribute(struct answer *a, const struct attribute *at)
{
	u16 head[2] = {(u16)(4 + at->len), at->type};

	put(a, head, sizeof(head));
	put(a, at->bytes ? at->bytes : at->len <= 4 ? &at->number : NULL, at->len);
}

static void put_object(struct answer *a, const struct netlink_socket *n,
		       const struct netlink_header *request, const struct object *o, u16 flags)
{
	u32 start = a->len;

	put_header(a, n, request, o->type, flags);
	put(a, o->head, o->head_len);
	for (u32 k = 0; k < sizeof(o->attributes) / sizeof(*o->attributes); k++) {
		if (o->attributes[k].type)
			put_attribute(a, &o->attributes[k]);
	}
	close_message(a, start);
}

/* NLMSG_ERROR, also with error 0; it quotes the request, all of it if it is an error. */
static void answer_error(struct netlink_socket *n, const struct netlink_header *h, const u8 *body,
			 s32 error)
{
	struct answer a = {0};
	u32 quoted = error && !(n->options >> OPTION_CAP_ACK & 1) ? h->len - HEADER_BYTES : 0;

	if (quoted > ANSWER_MAX - 64)
		quoted = 0;
	put_header(&a, n, h, NLMSG_ERROR, 0);
	put(&a, &error, sizeof(error));
	put(&a, h, sizeof(*h));
	put(&a, body, quoted);
	close_message(&a, 0);
	netlink_answer(n, a.bytes, a.len);
}

struct kind {
	const struct object *objects;
	u32 count;
	u16 request;
};
#define OBJECTS(table) table, sizeof(table) / sizeof(*(table))

static const struct kind kinds[] = {
	{OBJECTS(links), RTM_GETLINK},
	{OBJECTS(addresses), RTM_GETADDR},
	{OBJECTS(routes), RTM_GETROUTE},
	{NULL, 0, RTM_GETNEIGH},
};

static void dump(struct netlink_socket *n, const struct netlink_header *h, const struct kind *k,
		 u8 family)
{
	struct answer a = {0};
	s32 no_error = 0;

	for (u32 i = 0; i < k->count; i++) {
		const struct object *o = &k->objects[i];
		if (!family || !o->family || o->family == family)
			put_object(&a, n, h, o, NLM_F_MULTI);
	}
	u32 start = a.len;
	put_header(&a, n, h, NLMSG_DONE, NLM_F_MULTI);
	put(&a, &no_error, sizeof(no_error));
	close_message(&a, start);
	netlink_answer(n, a.bytes, a.len);
}

/* Whether a request for one interface means lo, by its number or name. */
static bool names_lo(const u8 *body, u32 len)
{
	s32 index = 0;
	u16 head[2];

	if (len < 16)
		return false;
	memcpy(&index, body + 4, sizeof(index));
	if (index)
		return index == LO_INDEX;
	for (u32 at = 16; len - at >= sizeof(head); at += ALIGN4(head[0])) {
		memcpy(head, body + at, sizeof(head));
		if (head[0] < sizeof(head) || head[0] > len - at)
			return false;
		bool name = head[1] == IFLA_IFNAME || head[1] == IFLA_ALT_IFNAME;
		if (name && head[0] >= 6 && !memcmp(body + at + 4, LO_NAME, 2) &&
		    (head[0] == 6 || !body[at + 6]))
			return true;
		if (ALIGN4(head[0]) > len - at)
			return false;
	}
	return false;
}

static s32 get_link(struct netlink_socket *n, const struct netlink_header *h, const u8 *body)
{
	struct answer a = {0};

	if (!names_lo(body, h->len - HEADER_BYTES))
		return -ENODEV;
	put_object(&a, n, h, links, 0);
	netlink_answer(n, a.bytes, a.len);
	return 0;
}

static const struct kind *kind_of(u16 request)
{
	for (u32 i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (kinds[i].request == request)
			return &kinds[i];
	}
	return NULL;
}

/* A request of which the family is the first byte; 0, an error, or 1: it is answered in full. */
static s32 do_request(struct netlink_socket *n, const struct netlink_header *h, const u8 *body)
{
	const struct kind *k = kind_of(h->type);
	u32 len = h->len - HEADER_BYTES;
	bool asks = (h->type & 3) == 2;

	if (h->type < NLMSG_FIRST)
		return 0;
	if (!asks) {
		HEAD->refused_count[NR_sendto]++;
		return -EPERM;
	}
	if (!len)
		return -EINVAL;
	if (k && (h->flags & NLM_F_DUMP) == NLM_F_DUMP) {
		dump(n, h, k, body[0]);
		return 1;
	}
	if (h->type == RTM_GETLINK)
		return get_link(n, h, body);
	HEAD->refused_count[NR_sendto]++;
	return -EOPNOTSUPP;
}

void route_request(struct netlink_socket *n, const struct netlink_header *h, const u8 *body)
{
	if (!(h->flags & NLM_F_REQUEST))
		return;
	s32 r = do_request(n, h, body);
	if (r < 0 || (!r && h->flags & NLM_F_ACK))
		answer_error(n, h, body, r);
}
