/*
 * What programs are told of network interfaces: requests of ioctl, netlink's answers, and what the
 * C library makes of them.  Only lo is looked at: bare Linux may have others.
 */
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netdb.h>
#include "inet.h"

static char answer[65536];

static void check_requests(void)
{
	int fd = socket_of(SOCK_DGRAM);
	struct ifreq q = {.ifr_name = "lo"};
	struct sockaddr_in *a = (struct sockaddr_in *)&q.ifr_addr;

	CHECK(ioctl(fd, SIOCGIFFLAGS, &q) == 0);
	CHECK((q.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING)) ==
	      (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	CHECK(ioctl(fd, SIOCGIFADDR, &q) == 0 && a->sin_family == AF_INET);
	CHECK(a->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK(ioctl(fd, SIOCGIFNETMASK, &q) == 0 && a->sin_addr.s_addr == htonl(0xff000000));
	CHECK(ioctl(fd, SIOCGIFMTU, &q) == 0 && q.ifr_mtu == 65536);
	CHECK(ioctl(fd, SIOCGIFHWADDR, &q) == 0 && q.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK);
	CHECK(memcmp(q.ifr_hwaddr.sa_data, "\0\0\0\0\0\0", 6) == 0);
	CHECK(ioctl(fd, SIOCGIFINDEX, &q) == 0 && q.ifr_ifindex == 1);
	memset(q.ifr_name, 'x', sizeof(q.ifr_name));
	CHECK(ioctl(fd, SIOCGIFNAME, &q) == 0 && strcmp(q.ifr_name, "lo") == 0);
	q.ifr_ifindex = 77777;
	FAILS(ioctl(fd, SIOCGIFNAME, &q), ENODEV);
	strcpy(q.ifr_name, "none0");
	FAILS(ioctl(fd, SIOCGIFFLAGS, &q), ENODEV);
	FAILS(ioctl(fd, SIOCGIFFLAGS, (void *)8), EFAULT);
	close(fd);
}

static void check_list(void)
{
	struct ifreq all[64];
	struct ifconf list = {.ifc_len = sizeof(all), .ifc_req = all};
	int fd = socket_of(SOCK_STREAM), found = 0;

	CHECK(ioctl(fd, SIOCGIFCONF, &list) == 0 && list.ifc_len % sizeof(all[0]) == 0);
	for (size_t i = 0; i < list.ifc_len / sizeof(all[0]); i++)
		found += strcmp(all[i].ifr_name, "lo") == 0;
	CHECK(found == 1);
	list.ifc_len = sizeof(all[0]) - 1;
	CHECK(ioctl(fd, SIOCGIFCONF, &list) == 0 && list.ifc_len == 0);
	close(fd);
}

static void check_library(void)
{
	struct if_nameindex *names = if_nameindex();
	struct ifaddrs *all;
	int four = 0, packet = 0;

	CHECK(names && names[0].if_index == 1 && strcmp(names[0].if_name, "lo") == 0);
	if_freenameindex(names);
	CHECK(if_nametoindex("lo") == 1 && if_nametoindex("none0") == 0 && errno == ENODEV);
	CHECK(getifaddrs(&all) == 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (strcmp(i->ifa_name, "lo") != 0)
			continue;
		CHECK(i->ifa_flags & IFF_LOOPBACK);
		four += i->ifa_addr && i->ifa_addr->sa_family == AF_INET;
		packet += i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET && i->ifa_data;
	}
	CHECK(four == 1 && packet == 1);
	freeifaddrs(all);
}

static void check_names(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *got;

	CHECK(getaddrinfo("localhost", "80", &hints, &got) == 0);
	struct sockaddr_in *a = (struct sockaddr_in *)got->ai_addr;
	CHECK(a->sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(a->sin_port) == 80);
	freeaddrinfo(got);
}

struct request {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
	};
};

static int netlink(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK}, got;
	socklen_t size = sizeof(got);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&got, &size) == 0 && size == sizeof(got));
	CHECK(got.nl_pid != 0 && got.nl_groups == 0);
	return fd;
}

static long ask(int fd, struct request *r, int type, int flags, size_t size)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK}, from;
	socklen_t len = sizeof(from);

	r->h = (struct nlmsghdr){(unsigned)NLMSG_LENGTH(size), (unsigned short)type,
				 (unsigned short)(NLM_F_REQUEST | flags), 5, 0};
	CHECK(sendto(fd, r, r->h.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) ==
	      (long)r->h.nlmsg_len);
	long n = recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&from, &len);
	CHECK(n > 0 && from.nl_pid == 0 && from.nl_family == AF_NETLINK);
	return n;
}

/* An attribute of the first message, or NULL. */
static void *attribute(const struct nlmsghdr *h, size_t head, int type)
{
	char *at = (char *)h + NLMSG_LENGTH(NLMSG_ALIGN(head)), *end = (char *)h + h->nlmsg_len;

	while (at + sizeof(struct rtattr) <= end) {
		struct rtattr *a = (struct rtattr *)at;
		if (a->rta_type == type)
			return RTA_DATA(a);
		at += RTA_ALIGN(a->rta_len);
	}
	return NULL;
}

static void check_link(void)
{
	struct request r = {.link = {.ifi_index = 1}};
	struct nlmsghdr *h = (struct nlmsghdr *)answer;
	int fd = netlink();

	ask(fd, &r, RTM_GETLINK, 0, sizeof(r.link));
	CHECK(h->nlmsg_type == RTM_NEWLINK && h->nlmsg_seq == 5 && !(h->nlmsg_flags & NLM_F_MULTI));
	struct ifinfomsg *link = NLMSG_DATA(h);
	CHECK(link->ifi_index == 1 && link->ifi_type == ARPHRD_LOOPBACK);
	CHECK(strcmp(attribute(h, sizeof(*link), IFLA_IFNAME), "lo") == 0);
	CHECK(*(unsigned *)attribute(h, sizeof(*link), IFLA_MTU) == 65536);
	CHECK(memcmp(attribute(h, sizeof(*link), IFLA_ADDRESS), "\0\0\0\0\0\0", 6) == 0);
	r.link.ifi_index = 77777;
	ask(fd, &r, RTM_GETLINK, 0, sizeof(r.link));
	CHECK(h->nlmsg_type == NLMSG_ERROR);
	CHECK(((struct nlmsgerr *)NLMSG_DATA(h))->error == -ENODEV);
	close(fd);
}

/* Reads to the end of a dump; how many messages of `type` are about lo. */
static int dump(int fd, int type, int family, int wanted)
{
	struct request r = {.link = {.ifi_family = (unsigned char)family}};
	long n = ask(fd, &r, type, NLM_F_DUMP, sizeof(r.link));
	int count = 0;

	for (;;) {
		struct nlmsghdr *h = (struct nlmsghdr *)answer;
		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return count;
			CHECK(h->nlmsg_type == wanted && h->nlmsg_flags & NLM_F_MULTI);
			struct ifaddrmsg *a = NLMSG_DATA(h);
			struct ifinfomsg *l = NLMSG_DATA(h);
			count += type == RTM_GETADDR ? a->ifa_index == 1 : l->ifi_index == 1;
		}
		CHECK((n = recv(fd, answer, sizeof(answer), 0)) > 0);
	}
}

static void check_dumps(void)
{
	int fd = netlink();

	CHECK(dump(fd, RTM_GETLINK, AF_UNSPEC, RTM_NEWLINK) == 1);
	CHECK(dump(fd, RTM_GETADDR, AF_INET, RTM_NEWADDR) == 1);
	dump(fd, RTM_GETROUTE, AF_INET, RTM_NEWROUTE);
	FAILS(recv(fd, answer, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(ready(fd) == POLLOUT);
	close(fd);
	FAILS(socket(AF_NETLINK, SOCK_STREAM, 0), ESOCKTNOSUPPORT);
	FAILS(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
}

/* Answers nobody reads are lost when their room is full, which is told once. */
static void check_full(void)
{
	struct nlmsghdr r = {sizeof(r), NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
	int fd = netlink(), got = 0;
	ssize_t n;

	for (int i = 0; i < 4000; i++)
		CHECK(send(fd, &r, sizeof(r), 0) == sizeof(r));
	CHECK(ready(fd) == (POLLIN | POLLOUT | POLLERR));
	FAILS(recv(fd, answer, sizeof(answer), MSG_DONTWAIT), ENOBUFS);
	CHECK(ready(fd) == (POLLIN | POLLOUT));
	while ((n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0)
		got++;
	CHECK(n == -1 && errno == EAGAIN && got > 100 && got < 4000);
	CHECK(send(fd, &r, sizeof(r), 0) == sizeof(r));
	CHECK(recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0);
	close(fd);
}

int main(void)
{
	check_requests();
	check_list();
	check_library();
	check_names();
	check_link();
	check_dumps();
	check_full();
	printf("netlink ok\n");
	return 0;
}
