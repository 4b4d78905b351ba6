/*
 * Printers of addresses, messages, vectors and options of sockets: as strace shows them, but for
 * vectors, whose pieces are shown as one.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "arg_place.h"

#define MESSAGES_MAX 32 /* control messages that are shown */

static void put_sockaddr_in(FILE *out, const uint8_t *bytes)
{
	char text[INET_ADDRSTRLEN];
	struct sockaddr_in a;

	memcpy(&a, bytes, sizeof(a));
	fprintf(out, ", sin_port=htons(%u)", ntohs(a.sin_port));
	if (inet_ntop(AF_INET, &a.sin_addr, text, sizeof(text)))
		fprintf(out, ", sin_addr=inet_addr(\"%s\")", text);
}

static void put_sockaddr_in6(FILE *out, const uint8_t *bytes)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in6 a;

	memcpy(&a, bytes, sizeof(a));
	fprintf(out, ", sin6_port=htons(%u), sin6_flowinfo=htonl(%u)", ntohs(a.sin6_port),
		ntohl(a.sin6_flowinfo));
	if (inet_ntop(AF_INET6, &a.sin6_addr, text, sizeof(text)))
		fprintf(out, ", inet_pton(AF_INET6, \"%s\", &sin6_addr)", text);
	fprintf(out, ", sin6_scope_id=%u", a.sin6_scope_id);
}

/* A name of AF_UNIX: a path up to its NUL; whole, if it begins with one. */
static void put_sun_path(FILE *out, const uint8_t *path, size_t size)
{
	size_t length = strnlen((const char *)path, size);

	if (!size)
		return;
	fputs(length ? ", sun_path=" : ", sun_path=@", out);
	if (length)
		put_quoted(out, path, length, length, SIZE_MAX);
	else
		put_quoted(out, path + 1, size - 1, size - 1, SIZE_MAX);
}

static void put_sockaddr_nl(FILE *out, const uint8_t *bytes)
{
	struct sockaddr_nl a;

	memcpy(&a, bytes, sizeof(a));
	fprintf(out, ", nl_pid=%u, nl_groups=%08x", a.nl_pid, a.nl_groups);
}

static void put_sockaddr(FILE *out, const uint8_t *bytes, size_t size)
{
	sa_family_t family;

	memcpy(&family, bytes, sizeof(family));
	fputs("{sa_family=", out);
	flag_set_print(out, &flags_socket_family, family);
	if (family == AF_UNIX)
		put_sun_path(out, bytes + sizeof(family), size - sizeof(family));
	else if (family == AF_INET && size >= sizeof(struct sockaddr_in))
		put_sockaddr_in(out, bytes);
	else if (family == AF_INET6 && size >= sizeof(struct sockaddr_in6))
		put_sockaddr_in6(out, bytes);
	else if (family == AF_NETLINK && size >= sizeof(struct sockaddr_nl))
		put_sockaddr_nl(out, bytes);
	fputc('}', out);
}

void print_sockaddr(const struct place *at)
{
	struct event_item_view item;

	if (!fetch_item(at, &item))
		return;
	if (item.head.stored_bytes < sizeof(sa_family_t))
		print_ptr(at);
	else
		put_sockaddr(at->out, item.bytes, item.head.stored_bytes);
}

/* The bytes of all the pieces, one after the other. */
static void put_parts(FILE *out, const struct event_item_view *item, size_t string_max)
{
	fputc('[', out);
	put_quoted(out, item->bytes, item->head.stored_bytes, item->head.full_bytes, string_max);
	fputc(']', out);
}

void print_iovec(const struct place *at)
{
	struct event_item_view item;

	if (event_item_find(at->event, at->arg, EVENT_ITEM_PARTS, &item))
		put_parts(at->out, &item, at->string_max);
	else
		print_ptr(at);
}

/* ---- messages ---- */

static void put_rights(FILE *out, const uint8_t *bytes, size_t size)
{
	int32_t fd;

	fputc('[', out);
	for (size_t i = 0; i + sizeof(fd) <= size; i += sizeof(fd)) {
		memcpy(&fd, bytes + i, sizeof(fd));
		fprintf(out, "%s%" PRId32, i ? ", " : "", fd);
	}
	fputc(']', out);
}

static void put_cmsg_data(FILE *out, const struct cmsghdr *head, const uint8_t *bytes, size_t size)
{
	struct ucred cred;

	if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
		put_rights(out, bytes, size);
	} else if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS &&
		   size >= sizeof(cred)) {
		memcpy(&cred, bytes, sizeof(cred));
		fprintf(out, "{pid=%d, uid=%u, gid=%u}", cred.pid, cred.uid, cred.gid);
	} else {
		put_quoted(out, bytes, size, size, SIZE_MAX);
	}
}

static void put_cmsg(FILE *out, const struct cmsghdr *head, const uint8_t *bytes, size_t size)
{
	fprintf(out, "{cmsg_len=%zu, cmsg_level=", (size_t)head->cmsg_len);
	flag_set_print(out, &flags_sock_level, (uint32_t)head->cmsg_level);
	fputs(", cmsg_type=", out);
	if (head->cmsg_level == SOL_SOCKET)
		flag_set_print(out, &flags_scm_type, (uint32_t)head->cmsg_type);
	else
		fprintf(out, "%#x", (unsigned int)head->cmsg_type);
	fputs(", cmsg_data=", out);
	put_cmsg_data(out, head, bytes, size);
	fputc('}', out);
}

static void put_control(FILE *out, const struct event_item_view *item)
{
	size_t at = 0, left, shown = 0;
	struct cmsghdr head;

	fputs("msg_control=[", out);
	for (; (left = item->head.stored_bytes - at) >= sizeof(head) && shown < MESSAGES_MAX;
	     shown++) {
		memcpy(&head, item->bytes + at, sizeof(head));
		if (head.cmsg_len < sizeof(head) || head.cmsg_len > left)
			break;
		fputs(shown ? ", " : "", out);
		put_cmsg(out, &head, item->bytes + at + sizeof(head), head.cmsg_len - sizeof(head));
		size_t step = CMSG_ALIGN(head.cmsg_len);
		at = step < left ? at + step : item->head.stored_bytes;
	}
	fputs(at < item->head.full_bytes ? shown ? ", ...], " : "...], " : "], ", out);
}

static void put_name(const struct place *at)
{
	struct event_item_view item;

	fputs("msg_name=", at->out);
	if (event_item_find(at->event, at->arg, EVENT_ITEM_ADDRESS, &item) &&
	    item.head.stored_bytes >= sizeof(sa_family_t))
		put_sockaddr(at->out, item.bytes, item.head.stored_bytes);
	else
		fputs("NULL", at->out);
}

void print_msghdr(const struct place *at)
{
	struct event_item_view item;
	struct msghdr h;

	if (!fetch(at, &h, sizeof(h)))
		return;
	fputc('{', at->out);
	put_name(at);
	fprintf(at->out, ", msg_namelen=%u, msg_iov=", h.msg_namelen);
	if (event_item_find(at->event, at->arg, EVENT_ITEM_PARTS, &item))
		put_parts(at->out, &item, at->string_max);
	else
		fputs("NULL", at->out);
	fprintf(at->out, ", msg_iovlen=%zu, ", h.msg_iovlen);
	if (event_item_find(at->event, at->arg, EVENT_ITEM_CONTROL, &item))
		put_control(at->out, &item);
	fprintf(at->out, "msg_controllen=%zu, msg_flags=", h.msg_controllen);
	flag_set_print(at->out, &flags_msg_flags, (unsigned int)h.msg_flags);
	fputc('}', at->out);
}

/* ---- options ---- */

/* What a number names depends on the level, the argument before it. */
static const struct {
	int level;
	const struct flag_set *names;
} option_levels[] = {
	{SOL_SOCKET, &flags_sock_option},   {IPPROTO_IP, &flags_ip_option},
	{IPPROTO_IPV6, &flags_ipv6_option}, {IPPROTO_TCP, &flags_tcp_option},
	{IPPROTO_UDP, &flags_udp_option},
};

void print_sock_option(const struct place *at)
{
	for (size_t i = 0; i < sizeof(option_levels) / sizeof(*option_levels); i++) {
		if ((int)at->event->head.args[1] == option_levels[i].level) {
			flag_set_print(at->out, option_levels[i].names, (uint32_t)at->value);
			return;
		}
	}
	print_int(at);
}

void print_sockopt(const struct place *at)
{
	struct event_item_view item;
	int32_t number;

	if (!fetch_item(at, &item))
		return;
	if (item.head.full_bytes == sizeof(number) && item.head.stored_bytes == sizeof(number)) {
		memcpy(&number, item.bytes, sizeof(number));
		fprintf(at->out, "[%" PRId32 "]", number);
	} else {
		put_quoted(at->out, item.bytes, item.head.stored_bytes, item.head.full_bytes,
			   at->string_max);
	}
}
