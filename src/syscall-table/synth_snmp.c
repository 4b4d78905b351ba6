/*
 * /proc/net: what has been counted of the network, and protocols that nobody has sockets of.
 *
 * What goes through lo is no packets here, so counters stand at 0; the figures that say how things
 * are set, and how many connections there are, are the container's.  Names are those of Linux 6.1
 * (net/ipv4/proc.c, net/ipv6/proc.c).
 */
#include "synth.h"
#include "tcp.h"

/* The figures of one protocol, as two lines: names, values. */
struct counters {
	const char *title, *names; /* names with a space between them */
};

static const struct counters snmp[] = {
	{"Ip", "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams"
	       " InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes"
	       " ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates"},
	{"Icmp", "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs"
		 " InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps"
		 " InAddrMasks InAddrMaskReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds"
		 " OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps"
		 " OutTimestampReps OutAddrMasks OutAddrMaskReps"},
	{"Tcp", "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails"
		" EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors"},
	{"Udp", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors"
		" InCsumErrors IgnoredMulti MemErrors"},
	{"UdpLite", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors"
		    " InCsumErrors IgnoredMulti MemErrors"},
};

static const struct counters netstat[] = {
	{"TcpExt", "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled"
		   " RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled"
		   " TWKilled PAWSActive PAWSEstab DelayedACKs DelayedACKLocked DelayedACKLost"
		   " ListenOverflows ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery"
		   " TCPSackRecovery TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder"
		   " TCPFullUndo TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit"
		   " TCPRenoFailures TCPSackFailures TCPLossFailures TCPFastRetrans"
		   " TCPSlowStartRetrans TCPTimeouts TCPLossProbes TCPLossProbeRecovery"
		   " TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed TCPBacklogCoalesce"
		   " TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData"
		   " TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger"
		   " TCPAbortFailed TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard"
		   " TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound"
		   " TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged"
		   " TCPSackShiftFallback TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop"
		   " TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow"
		   " TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPOFOQueue"
		   " TCPOFODrop TCPOFOMerge TCPChallengeACK TCPSYNChallenge TCPFastOpenActive"
		   " TCPFastOpenActiveFail TCPFastOpenPassive TCPFastOpenPassiveFail"
		   " TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPFastOpenBlackhole"
		   " TCPSpuriousRtxHostQueues BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv"
		   " TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent"
		   " TCPHystartTrainDetect TCPHystartTrainCwnd TCPHystartDelayDetect"
		   " TCPHystartDelayCwnd TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq"
		   " TCPACKSkippedFinWait2 TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe"
		   " TCPKeepAlive TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE"
		   " TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig"
		   " TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash"
		   " TCPDSACKRecvSegs TCPDSACKIgnoredDubious TCPMigrateReqSuccess"
		   " TCPMigrateReqFailure"},
	{"IpExt", "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts"
		  " InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets"
		  " InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps"},
};

static const char snmp6_names[] =
	"Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors "
	"Ip6InUnknownProtos Ip6InTruncatedPkts Ip6InDiscards Ip6InDelivers "
	"Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards Ip6OutNoRoutes "
	"Ip6ReasmTimeout Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs Ip6FragFails "
	"Ip6FragCreates Ip6InMcastPkts Ip6OutMcastPkts Ip6InOctets Ip6OutOctets "
	"Ip6InMcastOctets Ip6OutMcastOctets Ip6InBcastOctets Ip6OutBcastOctets "
	"Ip6InNoECTPkts Ip6InECT1Pkts Ip6InECT0Pkts Ip6InCEPkts Icmp6InMsgs "
	"Icmp6InErrors Icmp6OutMsgs Icmp6OutErrors Icmp6InCsumErrors Icmp6InDestUnreachs "
	"Icmp6InPktTooBigs Icmp6InTimeExcds Icmp6InParmProblems Icmp6InEchos "
	"Icmp6InEchoReplies Icmp6InGroupMembQueries Icmp6InGroupMembResponses "
	"Icmp6InGroupMembReductions Icmp6InRouterSolicits Icmp6InRouterAdvertisements "
	"Icmp6InNeighborSolicits Icmp6InNeighborAdvertisements Icmp6InRedirects "
	"Icmp6InMLDv2Reports Icmp6OutDestUnreachs Icmp6OutPktTooBigs Icmp6OutTimeExcds "
	"Icmp6OutParmProblems Icmp6OutEchos Icmp6OutEchoReplies Icmp6OutGroupMembQueries "
	"Icmp6OutGroupMembResponses Icmp6OutGroupMembReductions Icmp6OutRouterSolicits "
	"Icmp6OutRouterAdvertisements Icmp6OutNeighborSolicits "
	"Icmp6OutNeighborAdvertisements Icmp6OutRedirects Icmp6OutMLDv2Reports "
	"Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors "
	"Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors "
	"UdpLite6InDatagrams UdpLite6NoPorts UdpLite6InErrors UdpLite6OutDatagrams "
	"UdpLite6RcvbufErrors UdpLite6SndbufErrors UdpLite6InCsumErrors "
	"UdpLite6MemErrors";

/* Those that are not 0. */
static const struct {
	const char *title, *name;
	s32 value;
} settings[] = {
	{"Ip", "Forwarding", 2}, {"Ip", "DefaultTTL", 64},  {"Tcp", "RtoAlgorithm", 1},
	{"Tcp", "RtoMin", 200},	 {"Tcp", "RtoMax", 120000}, {"Tcp", "MaxConn", -1},
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static u64 word_length(const char *s)
{
	u64 n = 0;

	while (s[n] && s[n] != ' ')
		n++;
	return n;
}

static bool is_word(const char *word, u64 n, const char *name)
{
	return strlen(name) == n && strncmp(word, name, n) == 0;
}

static s32 connections(void)
{
	s32 count = 0;

	for (struct socket *s = socket_first(); s; s = s->next) {
		bool is_tcp =
			(s->family == AF_INET || s->family == AF_INET6) && s->type == SOCK_STREAM;
		count += is_tcp && (tcp_of(s)->state == TCP_ESTABLISHED ||
				    tcp_of(s)->state == TCP_CLOSE_WAIT);
	}
	return count;
}

static s32 value_of(const char *title, const char *word, u64 n)
{
	for (u32 i = 0; i < SETTINGS; i++) {
		if (!strcmp(settings[i].title, title) && is_word(word, n, settings[i].name))
			return settings[i].value;
	}
	return !strcmp(title, "Tcp") && is_word(word, n, "CurrEstab") ? connections() : 0;
}

static void put_counters(const struct counters *c, struct synth_text *out)
{
	text_add(out, "%s: ", c->title);
	text_string(out, c->names);
	text_add(out, "\n%s:", c->title);
	for (const char *word = c->names; *word;) {
		u64 n = word_length(word);
		text_add(out, " %d", value_of(c->title, word, n));
		word += n + (word[n] == ' ');
	}
	text_string(out, "\n");
}

static void make_snmp(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	for (u32 i = 0; i < sizeof(snmp) / sizeof(snmp[0]); i++)
		put_counters(&snmp[i], out);
}

static void make_netstat(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	for (u32 i = 0; i < sizeof(netstat) / sizeof(netstat[0]); i++)
		put_counters(&netstat[i], out);
}

static void make_snmp6(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	for (const char *word = snmp6_names; *word;) {
		u64 n = word_length(word);
		text_bytes(out, word, n);
		text_pad(out, 32);
		text_string(out, "\t0\n");
		word += n + (word[n] == ' ');
	}
}

#define HEAD_FOUR                                                                             \
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  " \
	"timeout inode ref pointer drops"
#define HEAD_SIX                                                                             \
	"  sl  local_address                         remote_address                        " \
	"st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"

/* Below /proc/#P: every process sees the same network. */
const struct synth_node synth_snmp_nodes[] = {
	NODE_FIXED("/net/dev_mcast", ""),
	NODE_FIXED("/net/icmp", HEAD_FOUR "             \n"),
	NODE_FIXED("/net/icmp6", HEAD_SIX),
	NODE_FIXED("/net/igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
				"1\tlo        :     1      V3\n"
				"\t\t\t\t010000E0     1 0:00000000\t\t0\n"),
	NODE_FIXED("/net/igmp6",
		   "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
		   "1    lo              ff010000000000000000000000000001     1 00000008 0\n"),
	NODE_TEXT("/net/netstat", make_netstat),
	NODE_FIXED("/net/raw", HEAD_FOUR "\n"),
	NODE_FIXED("/net/raw6", HEAD_SIX),
	NODE_TEXT("/net/snmp", make_snmp),
	NODE_TEXT("/net/snmp6", make_snmp6),
	NODE_FIXED("/net/udplite", " " HEAD_FOUR "            \n"),
	NODE_FIXED("/net/udplite6", HEAD_SIX),
	{.path = NULL},
};
