/*
 * What /proc says of the container's sockets, and the settings of the network: what Linux 6.1 has
 * by default where the container's rules are the same, and what is true here where they are not
 * (tcp_fastopen, the congestion controls).
 */
#include "netlink.h"
#include "synth.h"
#include "tcp.h"
#include "udp.h"

#define TCP_WIDTH	149 /* lines of version 4 are filled up with spaces */
#define UDP_WIDTH	127
#define STATE_TIME_WAIT 6

enum udp_state { UDP_CONNECTED = 1, UDP_OPEN = 7 };

static void put_hex(struct synth_text *out, u64 value, u32 digits)
{
	while (digits--)
		text_add(out, "%c", "0123456789ABCDEF"[value >> (4 * digits) & 15]);
}

/* An address as the kernel prints it: words of its memory, and the port. */
static void put_end(struct synth_text *out, const struct inet_end *e, bool four)
{
	u32 word;

	for (u32 at = four ? 12 : 0; at < INET_IP_BYTES; at += sizeof(word)) {
		memcpy(&word, e->ip + at, sizeof(word));
		put_hex(out, word, 8);
	}
	text_add(out, ":");
	put_hex(out, e->port, 4);
}

/* A line of tcp or udp. */
struct line {
	const struct inet_end *local, *remote;
	u64 ino, unsent, unread;
	u32 state, uid;
	bool four;
	const char *rest; /* behind the inode number */
};

static void put_line(struct synth_text *out, u32 number, const struct line *l)
{
	text_add(out, "%4u: ", number);
	put_end(out, l->local, l->four);
	text_add(out, " ");
	put_end(out, l->remote, l->four);
	text_add(out, " ");
	put_hex(out, l->state, 2);
	text_add(out, " ");
	put_hex(out, l->unsent, 8);
	text_add(out, ":");
	put_hex(out, l->unread, 8);
	text_add(out, " 00:00000000 00000000 %5u %8d %lu %s", l->uid, 0, l->ino, l->rest);
}

static struct line line_of_tcp(struct tcp_socket *s)
{
	bool listens = s->state == TCP_LISTEN;
	static const struct inet_end nobody[2] = {{{[10] = 0xff, [11] = 0xff}, 0}, {{0}, 0}};
	bool four = s->i.s.family == AF_INET;

	return (struct line){.local = &s->i.port.local,
			     .remote = listens ? &nobody[!four] : &s->i.remote,
			     .ino = s->i.s.ofd ? s->i.s.ino : 0,
			     .unread = listens ? s->ready.count : s->in.used,
			     .state = s->state,
			     .uid = s->i.s.uid,
			     .four = four,
			     .rest = listens ? "1 0000000000000000 100 0 0 10 0"
					     : "1 0000000000000000 20 4 0 10 -1"};
}

/* Those that listen, or those that do not; how many lines there are then. */
static u32 put_tcp_sockets(struct synth_text *out, u32 family, bool listen, u32 number)
{
	for (struct socket *s = socket_first(); s; s = s->next) {
		if (s->family != family || s->type != SOCK_STREAM)
			continue;
		struct tcp_socket *c = tcp_of(s);
		if (c->state == TCP_CLOSE || (c->state == TCP_LISTEN) != listen)
			continue;
		struct line l = line_of_tcp(c);
		put_line(out, number++, &l);
		text_pad(out, family == AF_INET ? TCP_WIDTH : 0);
		text_add(out, "\n");
	}
	return number;
}

static void put_tcp_rests(struct synth_text *out, bool four, u32 number)
{
	for (struct inet_rest *r = INET->rest_first; r; r = r->next) {
		struct line l = {.local = &r->port.local,
				 .remote = &r->remote,
				 .state = r->other ? (u32)TCP_FIN_WAIT2 : STATE_TIME_WAIT,
				 .four = four,
				 .rest = "3 0000000000000000"};
		if (inet_is_four(r->port.local.ip) != four)
			continue;
		put_line(out, number++, &l);
		text_pad(out, four ? TCP_WIDTH : 0);
		text_add(out, "\n");
	}
}

static void put_tcp(struct synth_text *out, u32 family)
{
	inet_rests_expire();
	u32 number = put_tcp_sockets(out, family, true, 0);
	number = put_tcp_sockets(out, family, false, number);
	put_tcp_rests(out, family == AF_INET, number);
}

static void make_tcp(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		      "   uid  timeout inode");
	text_pad(out, TCP_WIDTH);
	text_add(out, "\n");
	put_tcp(out, AF_INET);
}

#define HEAD_SIX                                                                             \
	"  sl  local_address                         remote_address                        " \
	"st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"

static void make_tcp6(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%s\n", HEAD_SIX);
	put_tcp(out, AF_INET6);
}

static void put_udp(struct synth_text *out, u32 family)
{
	u32 number = 0;

	for (struct socket *s = socket_first(); s; s = s->next) {
		if (s->family != family || s->type != SOCK_DGRAM || !inet_of(s)->has_port)
			continue;
		struct udp_socket *u = udp_of(s);
		struct line l = {.local = &u->i.port.local,
				 .remote = &u->i.remote,
				 .ino = s->ino,
				 .unread = u->in.cost,
				 .state = udp_is_connected(&u->i) ? UDP_CONNECTED : UDP_OPEN,
				 .uid = s->uid,
				 .four = family == AF_INET,
				 .rest = "2 0000000000000000 0"};
		put_line(out, number++, &l);
		text_pad(out, family == AF_INET ? UDP_WIDTH : 0);
		text_add(out, "\n");
	}
}

static void make_udp(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		      "   uid  timeout inode ref pointer drops");
	text_pad(out, UDP_WIDTH);
	text_add(out, "\n");
	put_udp(out, AF_INET);
}

static void make_udp6(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%s ref pointer drops\n", HEAD_SIX);
	put_udp(out, AF_INET6);
}

static void make_netlink(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
		      "Drops    Inode\n");
	for (struct socket *s = socket_first(); s; s = s->next) {
		if (s->family == AF_NETLINK)
			text_add(out, "0000000000000000 %u   %u %08x 0 0 0 2 0 %lu\n", s->protocol,
				 netlink_of(s)->port, netlink_of(s)->groups, s->ino);
	}
}

static u32 count_of(u32 family, u32 type)
{
	u32 count = 0;

	for (struct socket *s = socket_first(); s; s = s->next) {
		bool in_use = type == SOCK_STREAM ? s->type == type && !tcp_is_closed(inet_of(s))
						  : s->type == type && inet_of(s)->has_port;
		count += s->family == family && in_use;
	}
	return count;
}

static void make_sockstat(const struct synth_ctx *c, struct synth_text *out)
{
	u32 used = 0;

	(void)c;
	inet_rests_expire();
	for (struct socket *s = socket_first(); s; s = s->next)
		used++;
	u32 tcp = count_of(AF_INET, SOCK_STREAM);
	text_add(out, "sockets: used %u\nTCP: inuse %u orphan 0 tw %lu alloc %u mem 0\n", used, tcp,
		 INET->rests, tcp);
	text_add(out, "UDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\n",
		 count_of(AF_INET, SOCK_DGRAM));
	text_add(out, "FRAG: inuse 0 memory 0\n");
}

static void make_sockstat6(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "TCP6: inuse %u\nUDP6: inuse %u\n", count_of(AF_INET6, SOCK_STREAM),
		 count_of(AF_INET6, SOCK_DGRAM));
	text_add(out, "UDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n");
}

/* Below /proc/#P: every process sees the same network. */
const struct synth_node synth_socket_nodes[] = {
	NODE_TEXT("/net/netlink", make_netlink),
	NODE_FIXED("/net/packet",
		   "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
	NODE_TEXT("/net/sockstat", make_sockstat),
	NODE_TEXT("/net/sockstat6", make_sockstat6),
	NODE_TEXT("/net/tcp", make_tcp),
	NODE_TEXT("/net/tcp6", make_tcp6),
	NODE_TEXT("/net/udp", make_udp),
	NODE_TEXT("/net/udp6", make_udp6),
	{.path = NULL},
};

#define SETTING(name, contents) NODE_FIXED_AS("/net" name, 0644, contents)

/* Below /proc/sys. */
const struct synth_node synth_net_settings[] = {
	SETTING("/core/optmem_max", "20480\n"),
	SETTING("/core/rmem_default", "212992\n"),
	SETTING("/core/rmem_max", "212992\n"),
	SETTING("/core/wmem_default", "212992\n"),
	SETTING("/core/wmem_max", "212992\n"),
	NODE_DIR("/net/ipv4"),
	SETTING("/ipv4/ip_default_ttl", "64\n"),
	SETTING("/ipv4/ip_forward", "0\n"),
	SETTING("/ipv4/ip_local_port_range", "32768\t60999\n"),
	SETTING("/ipv4/ip_nonlocal_bind", "0\n"),
	SETTING("/ipv4/ip_unprivileged_port_start", "1024\n"),
	SETTING("/ipv4/ping_group_range", "1\t0\n"),
	SETTING("/ipv4/tcp_allowed_congestion_control", "reno cubic\n"),
	SETTING("/ipv4/tcp_available_congestion_control", "reno cubic\n"),
	SETTING("/ipv4/tcp_congestion_control", "cubic\n"),
	SETTING("/ipv4/tcp_fastopen", "0\n"),
	SETTING("/ipv4/tcp_fin_timeout", "60\n"),
	SETTING("/ipv4/tcp_keepalive_intvl", "75\n"),
	SETTING("/ipv4/tcp_keepalive_probes", "9\n"),
	SETTING("/ipv4/tcp_keepalive_time", "7200\n"),
	SETTING("/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
	SETTING("/ipv4/tcp_syncookies", "1\n"),
	SETTING("/ipv4/tcp_tw_reuse", "2\n"),
	SETTING("/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
	NODE_DIR("/net/ipv6"),
	SETTING("/ipv6/bindv6only", "0\n"),
	NODE_DIR("/net/ipv6/conf"),
	NODE_DIR("/net/ipv6/conf/all"),
	SETTING("/ipv6/conf/all/disable_ipv6", "0\n"),
	NODE_DIR("/net/ipv6/conf/default"),
	SETTING("/ipv6/conf/default/disable_ipv6", "0\n"),
	NODE_DIR("/net/ipv6/conf/lo"),
	SETTING("/ipv6/conf/lo/disable_ipv6", "0\n"),
	{.path = NULL},
};
