/*
 * /proc/net and /sys/class/net: the one interface there is, lo, as inet_ioctl.c and netlink tell of
 * it.  Its counters stand still: what goes through it is no packets.  Of sockets, those of AF_UNIX.
 */
#include "inet.h"
#include "synth.h"
#include "unix_socket.h"

static const char dev_text[] =
	"Inter-|   Receive                                                |  Transmit\n"
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
	"drop fifo colls carrier compressed\n"
	"    lo:       0       0    0    0    0     0          0         0        0       0    0 "
	"   0    0     0       0          0\n";
static const char route_text[] =
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
	"MTU\tWindow\tIRTT"
	"                                                       \n";
static const char arp_text[] = "IP address       HW type     Flags       HW address            Mask"
			       "     Device\n";
static const char inet6_text[] = "00000000000000000000000000000001 01 80 10 80       lo\n";

static void make_mtu(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%u\n", LO_MTU);
}

static void make_index(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%u\n", LO_INDEX);
}

/* net/unix/af_unix.c, unix_seq_show; without the kernel's addresses, as it shows them to users. */
#define UNIX_HEAD     "Num       RefCount Protocol Flags    Type St Inode Path\n"
#define UNIX_ACCEPTS  0x10000u
#define UNIX_OWN_REFS 2u

enum { SS_UNCONNECTED = 1, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING };

static u32 unix_state(const struct unix_socket *u)
{
	bool connected = u->state == UNIX_CONNECTED;

	if (!u->s.ofd)
		return connected ? SS_CONNECTING : SS_DISCONNECTING;
	return connected ? SS_CONNECTED : SS_UNCONNECTED;
}

static u32 unix_refs(const struct unix_socket *u)
{
	u32 refs = UNIX_OWN_REFS;

	for (const struct unix_socket *fan = u->fans; fan; fan = fan->fan_next)
		refs++;
	return refs;
}

/* Abstract names begin with a NUL, paths end with one; in the middle they are shown as this one. */
static void add_name(const struct unix_name *n, struct synth_text *out)
{
	u32 len = n->len - UNIX_ADDR_MIN;

	text_add(out, " ");
	len -= n->bytes[0] != 0;
	for (u32 i = 0; i < len; i++)
		text_bytes(out, n->bytes[i] ? (const char *)&n->bytes[i] : "@", 1);
}

static void make_unix(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, UNIX_HEAD);
	for (struct socket *s = socket_first(); s; s = s->next) {
		const struct unix_socket *u = unix_of(s);
		if (s->family != AF_UNIX)
			continue;
		text_add(out, "%016x: %08x %08x %08x %04x %02x %5lu", 0, unix_refs(u), 0,
			 s->is_listening ? UNIX_ACCEPTS : 0, s->type, unix_state(u),
			 s->ofd ? s->ino : 0);
		if (u->name)
			add_name(u->name, out);
		text_add(out, "\n");
	}
}

/* Below /proc/#P: every process sees the same network. */
const struct synth_node synth_net_nodes[] = {
	NODE_DIR("/net"),
	NODE_FIXED("/net/arp", arp_text),
	NODE_FIXED("/net/dev", dev_text),
	NODE_FIXED("/net/if_inet6", inet6_text),
	NODE_FIXED("/net/route", route_text),
	NODE_TEXT("/net/unix", make_unix),
	{.path = NULL},
};

#define LO "/class/net/lo"

/* Below /sys. */
const struct synth_node synth_interface_nodes[] = {
	NODE_DIR("/class/net"),
	NODE_DIR(LO),
	NODE_FIXED(LO "/address", "00:00:00:00:00:00\n"),
	NODE_FIXED(LO "/flags", "0x9\n"),
	NODE_TEXT(LO "/ifindex", make_index),
	NODE_TEXT(LO "/mtu", make_mtu),
	NODE_FIXED(LO "/operstate", "unknown\n"),
	NODE_FIXED(LO "/type", "772\n"),
	{.path = NULL},
};
