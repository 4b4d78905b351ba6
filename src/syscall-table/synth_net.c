/*
 * /proc/net and /sys/class/net: the one interface there is, lo, as inet_ioctl.c and netlink tell of
 * it.  Its counters stand still: what goes through it is no packets.
 */
#include "inet.h"
#include "synth.h"

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

/* Below /proc/#P: every process sees the same network. */
const struct synth_node synth_net_nodes[] = {
	NODE_DIR("/net"),
	NODE_FIXED("/net/arp", arp_text),
	NODE_FIXED("/net/dev", dev_text),
	NODE_FIXED("/net/if_inet6", inet6_text),
	NODE_FIXED("/net/route", route_text),
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
