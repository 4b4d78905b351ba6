/*
 * Addresses: in, out, and what each of them is on a machine whose only interface is lo.
 *
 * Nothing outside can be reached: what a program sends there fails as it does in a network
 * namespace of Linux with only lo (ENETUNREACH), and is counted as refused, so that the end of
 * the run names it.
 */
#include "inet.h"

#define IN_BYTES     16u /* struct sockaddr_in */
#define IN6_BYTES    28u /* struct sockaddr_in6 */
#define IN6_LEAST    24u /* without the scope, RFC 2133 */
#define FOUR_AT	     12u /* of a version 4 address in 16 bytes */
#define CLASS_LOOP   127
#define CLASS_GROUPS 224
#define CLASS_E	     240

const u8 inet_any4[INET_IP_BYTES] = {[10] = 0xff, [11] = 0xff};
const u8 inet_any6[INET_IP_BYTES];
const u8 inet_lo4[INET_IP_BYTES] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
const u8 inet_lo6[INET_IP_BYTES] = {[15] = 1};

bool inet_is_four(const u8 *ip)
{
	return !memcmp(ip, inet_any4, FOUR_AT);
}

void inet_set_four(u8 *ip, const u8 *four)
{
	memcpy(ip, inet_any4, FOUR_AT);
	memcpy(ip + FOUR_AT, four, 4);
}

static enum inet_kind kind_of_four(const u8 *ip)
{
	static const u8 any[4], everyone[4] = {255, 255, 255, 255};

	if (!memcmp(ip, any, 4))
		return INET_ANY;
	if (ip[0] == CLASS_LOOP)
		return ip[1] == 255 && ip[2] == 255 && ip[3] == 255 ? INET_BROADCAST : INET_LOCAL;
	if (!memcmp(ip, everyone, 4))
		return INET_OUTSIDE;
	return ip[0] >= CLASS_GROUPS && ip[0] < CLASS_E ? INET_MULTICAST : INET_OUTSIDE;
}

enum inet_kind inet_kind_of(const u8 *ip)
{
	if (inet_is_four(ip))
		return kind_of_four(ip + FOUR_AT);
	if (inet_same(ip, inet_any6))
		return INET_ANY;
	if (inet_same(ip, inet_lo6))
		return INET_LOCAL;
	if (ip[0] == 0xff)
		return INET_MULTICAST;
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80 ? INET_LINK : INET_OUTSIDE;
}

const u8 *inet_any_of(const struct inet_socket *i)
{
	return i->s.family == AF_INET ? inet_any4 : inet_any6;
}

static void parse_four(const struct socket_address *a, struct inet_end *ret)
{
	ret->port = (u16)(a->bytes[2] << 8 | a->bytes[3]);
	inet_set_four(ret->ip, a->bytes + 4);
}

static long parse_in(const struct socket_address *a, bool bind, struct inet_end *ret)
{
	if (a->len < IN_BYTES)
		return -EINVAL;
	parse_four(a, ret);
	if (a->family == AF_INET)
		return 0;
	/* Old programs bind with AF_UNSPEC; sendto takes it too. */
	if (a->family == AF_UNSPEC && (!bind || inet_same(ret->ip, inet_any4)))
		return 0;
	return -EAFNOSUPPORT;
}

static long parse_in6(const struct inet_socket *i, const struct socket_address *a,
		      struct inet_end *ret)
{
	if (a->len < IN6_LEAST)
		return -EINVAL;
	if (a->family != AF_INET6)
		return -EAFNOSUPPORT;
	ret->port = (u16)(a->bytes[2] << 8 | a->bytes[3]);
	memcpy(ret->ip, a->bytes + 8, INET_IP_BYTES);
	return inet_is_four(ret->ip) && i->number[INET6_V6ONLY] ? -ENETUNREACH : 0;
}

/* A socket of version 6 may be given a destination of version 4 outright. */
long inet_parse(const struct inet_socket *i, const struct socket_address *a, bool bind,
		struct inet_end *ret)
{
	if (i->s.family == AF_INET)
		return parse_in(a, bind, ret);
	if (a->family == AF_INET && !bind && i->s.type == SOCK_DGRAM) {
		if (i->number[INET6_V6ONLY])
			return -ENETUNREACH;
		return parse_in(a, false, ret);
	}
	return parse_in6(i, a, ret);
}

void inet_format(const struct inet_socket *i, const struct inet_end *e, struct socket_address *ret)
{
	bool four = i->s.family == AF_INET;

	ret->len = four ? IN_BYTES : IN6_BYTES;
	memset(ret->bytes, 0, ret->len);
	ret->family = i->s.family;
	ret->bytes[2] = (u8)(e->port >> 8);
	ret->bytes[3] = (u8)e->port;
	if (four)
		memcpy(ret->bytes + 4, e->ip + FOUR_AT, 4);
	else
		memcpy(ret->bytes + 8, e->ip, INET_IP_BYTES);
}

static bool chose_interface(const struct inet_socket *i, const u8 *to)
{
	static const u8 none[4];

	if (inet_is_four(to))
		return memcmp(i->multicast_if, none, sizeof(none)) != 0 ||
		       inet_kind_of(i->port.local.ip) == INET_LOCAL;
	return i->number[INET6_MULTICAST_IF] != 0;
}

long inet_route(struct inet_socket *i, struct inet_end *to, u32 nr)
{
	enum inet_kind kind = inet_kind_of(to->ip);

	if (kind == INET_ANY)
		memcpy(to->ip, inet_is_four(to->ip) ? inet_lo4 : inet_lo6, INET_IP_BYTES);
	if (kind == INET_LINK)
		return -EINVAL;
	if (kind != INET_OUTSIDE && (kind != INET_MULTICAST || chose_interface(i, to->ip)))
		return 0;
	HEAD->refused_count[nr]++;
	return -ENETUNREACH;
}

void inet_source(const struct inet_socket *i, const struct inet_end *to, u8 *ret_ip)
{
	bool chosen = inet_kind_of(i->port.local.ip) == INET_LOCAL;
	const u8 *usual = inet_is_four(to->ip) ? inet_lo4 : inet_lo6;

	memcpy(ret_ip, chosen ? i->port.local.ip : usual, INET_IP_BYTES);
}
