/*
 * Prints what options of internet sockets are at first, and what becomes of values they are set to:
 * the same as on bare Linux.  Options that show the machine (buffers, congestion control) are left
 * out, as are those the container refuses.
 */
#include <stdbool.h>
#include "inet.h"

struct row {
	int level, name;
};

static const struct row rows[] = {
	{IPPROTO_IP, IP_TOS},
	{IPPROTO_IP, IP_TTL},
	{IPPROTO_IP, IP_RECVOPTS},
	{IPPROTO_IP, IP_RETOPTS},
	{IPPROTO_IP, IP_PKTINFO},
	{IPPROTO_IP, IP_MTU_DISCOVER},
	{IPPROTO_IP, IP_RECVERR},
	{IPPROTO_IP, IP_RECVTTL},
	{IPPROTO_IP, IP_RECVTOS},
	{IPPROTO_IP, IP_FREEBIND},
	{IPPROTO_IP, IP_ORIGDSTADDR},
	{IPPROTO_IP, IP_MINTTL},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
	{IPPROTO_IP, IP_MULTICAST_TTL},
	{IPPROTO_IP, IP_MULTICAST_LOOP},
	{IPPROTO_IP, IP_MULTICAST_ALL},
	{IPPROTO_IPV6, IPV6_V6ONLY},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
	{IPPROTO_IPV6, IPV6_TCLASS},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO},
	{IPPROTO_IPV6, IPV6_RECVERR},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
	{IPPROTO_IPV6, IPV6_RECVTCLASS},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER},
	{IPPROTO_TCP, TCP_NODELAY},
	{IPPROTO_TCP, TCP_CORK},
	{IPPROTO_TCP, TCP_KEEPIDLE},
	{IPPROTO_TCP, TCP_KEEPINTVL},
	{IPPROTO_TCP, TCP_KEEPCNT},
	{IPPROTO_TCP, TCP_SYNCNT},
	{IPPROTO_TCP, TCP_LINGER2},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP},
	{IPPROTO_TCP, TCP_QUICKACK},
	{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
	{IPPROTO_TCP, TCP_USER_TIMEOUT},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT},
	{SOL_SOCKET, SO_REUSEADDR},
	{SOL_SOCKET, SO_TYPE},
	{SOL_SOCKET, SO_DONTROUTE},
	{SOL_SOCKET, SO_BROADCAST},
	{SOL_SOCKET, SO_KEEPALIVE},
	{SOL_SOCKET, SO_OOBINLINE},
	{SOL_SOCKET, SO_REUSEPORT},
	{SOL_SOCKET, SO_ACCEPTCONN},
	{SOL_SOCKET, SO_PROTOCOL},
	{SOL_SOCKET, SO_DOMAIN},
	{SOL_SOCKET, SO_SNDLOWAT},
	{SOL_SOCKET, SO_TIMESTAMP},
};
static const int values[] = {0, 1, -1, 2, 100, 300, 100000};

static void print_row(int family, int type, const struct row *r)
{
	int fd = socket(family, type, 0);

	CHECK(fd >= 0);
	printf("%d %d: %d %d is %d\n", family, type, r->level, r->name,
	       option(fd, r->level, r->name));
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		int result = set_option(fd, r->level, r->name, values[i]) ? errno : 0;
		printf(" set %d: %d, then %d\n", values[i], result, option(fd, r->level, r->name));
	}
	/* Short values and short rooms. */
	unsigned char byte = 1;
	socklen_t size = 1;
	int result = setsockopt(fd, r->level, r->name, &byte, 1) ? errno : 0;
	printf(" byte: %d, ", result);
	result = getsockopt(fd, r->level, r->name, &byte, &size) ? errno : 0;
	printf("%d %d %d\n", result, size, byte);
	result = getsockopt(fd, r->level, r->name, (void *)8, &size) ? errno : 0;
	printf(" nowhere: %d\n", result);
	close(fd);
}

int main(void)
{
	static const int kinds[][2] = {{AF_INET, SOCK_STREAM},
				       {AF_INET, SOCK_DGRAM},
				       {AF_INET6, SOCK_STREAM},
				       {AF_INET6, SOCK_DGRAM}};

	for (size_t k = 0; k < 4; k++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			bool tcp = kinds[k][1] == SOCK_STREAM, six = kinds[k][0] == AF_INET6;
			if ((rows[i].level == IPPROTO_TCP && !tcp) ||
			    (rows[i].level == IPPROTO_IPV6 && !six))
				continue;
			print_row(kinds[k][0], kinds[k][1], &rows[i]);
		}
	}
	return 0;
}
