/*
 * /proc/net: the lines of sockets this program has, and of lo.  Bare Linux has others besides.
 */
#include <sys/stat.h>
#include <sys/un.h>
#include "inet.h"

static char text[1 << 20];

static void load(const char *name)
{
	char path[64];
	size_t len = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/net/%s", name);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	while ((n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	CHECK(n == 0 && len > 0 && close(fd) == 0);
	text[len] = 0;
}

/* The line of the socket with this inode number: its state; the queues too. */
struct line {
	unsigned local, remote, state, sent, unread;
	int port;
};

static struct line line_of(const char *name, int fd)
{
	struct line l;
	struct stat st;
	unsigned long ino;

	CHECK(fstat(fd, &st) == 0);
	load(name);
	for (char *at = strchr(text, '\n'); at && at[1]; at = strchr(at + 1, '\n')) {
		unsigned far;
		CHECK(sscanf(at, " %*u: %x:%x %x:%x %x %x:%x %*x:%*x %*x %*u %*u %lu", &l.local,
			     (unsigned *)&l.port, &l.remote, &far, &l.state, &l.sent, &l.unread,
			     &ino) == 8);
		if (ino == st.st_ino)
			return l;
	}
	CHECK(!"the socket is listed");
	return l;
}

static void check_tcp(void)
{
	int l = listener(4), c = socket_of(SOCK_STREAM), s;
	struct line seen = line_of("tcp", l);

	CHECK(seen.state == 10 && seen.local == 0x0100007f && seen.port == port_of(l));
	CHECK(seen.remote == 0);
	CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0 && send(c, "abc", 3, 0) == 3);
	CHECK(line_of("tcp", l).unread == 1);
	CHECK((s = accept(l, NULL, NULL)) >= 0);
	seen = line_of("tcp", s);
	CHECK(seen.state == 1 && seen.unread == 3 && seen.port == port_of(l));
	CHECK(shutdown(c, SHUT_WR) == 0);
	/* Bare Linux may wait a little before it says that the end has come. */
	seen = line_of("tcp", c);
	CHECK((seen.state == 4 || seen.state == 5) && line_of("tcp", s).state == 8);
	close(c);
	close(s);
	close(l);
	CHECK((l = socket(AF_INET6, SOCK_STREAM, 0)) >= 0 && bind6(l, "::1", 0) == 0);
	CHECK(listen(l, 1) == 0);
	load("tcp6");
	char wanted[64];
	snprintf(wanted, sizeof(wanted), ": 00000000000000000000000001000000:%04X ", port_of(l));
	CHECK(strstr(text, wanted) && close(l) == 0);
}

static void check_udp(void)
{
	int fd = socket_of(SOCK_DGRAM);

	CHECK(bind4(fd, "0.0.0.0", 0) == 0);
	struct line seen = line_of("udp", fd);
	CHECK(seen.state == 7 && seen.local == 0 && seen.port == port_of(fd));
	CHECK(connect4(fd, "127.0.0.1", 9) == 0 && line_of("udp", fd).state == 1);
	close(fd);
}

static void check_unix(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "proc-net-socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char wanted[160];
	struct stat st;

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0);
	CHECK(fstat(fd, &st) == 0);
	snprintf(wanted, sizeof(wanted), " 00010000 0001 01 %5lu %s\n", st.st_ino, a.sun_path);
	load("unix");
	CHECK(strstr(text, wanted));
	close(fd);
	CHECK(unlink(a.sun_path) == 0);
}

static void check_lo(void)
{
	char link[64];

	load("dev");
	CHECK(strstr(text, "    lo: "));
	load("route");
	CHECK(strncmp(text, "Iface\tDestination\tGateway", 25) == 0);
	load("sockstat");
	CHECK(strncmp(text, "sockets: used ", 14) == 0);
	long n = readlink("/proc/net", link, sizeof(link));
	CHECK(n == 8 && memcmp(link, "self/net", 8) == 0);
	CHECK(access("/proc/self/net/tcp", R_OK) == 0 && access("/proc/net/none", F_OK) == -1);
}

/* The figure of that name in the two lines that begin with `title`: each name has a value. */
static long counter(const char *title, const char *name)
{
	char *names = strstr(text, title), *values, *a, *b;
	long found = -2;

	CHECK(names != NULL && (values = strstr(names + 1, title)) != NULL);
	*strchr(names, '\n') = *strchr(values, '\n') = '\0';
	char *word = strtok_r(names, " ", &a), *value = strtok_r(values, " ", &b);
	for (; word && value; word = strtok_r(NULL, " ", &a), value = strtok_r(NULL, " ", &b)) {
		if (strcmp(word, name) == 0)
			found = atol(value);
	}
	CHECK(!word && !value && found != -2);
	return found;
}

static void check_counters(void)
{
	int l = listener(4), c = socket_of(SOCK_STREAM), s;

	CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0 && (s = accept(l, NULL, NULL)) >= 0);
	load("snmp");
	CHECK(counter("Tcp: ", "CurrEstab") >= 2);
	close(c);
	close(s);
	close(l);
	load("snmp");
	CHECK(counter("Ip: ", "DefaultTTL") == 64);
	load("snmp");
	CHECK(counter("Tcp: ", "MaxConn") == -1);
	load("netstat");
	CHECK(counter("IpExt: ", "InOctets") >= 0);
	load("netstat");
	CHECK(counter("TcpExt: ", "SyncookiesSent") >= 0);
	load("snmp6");
	CHECK(strncmp(text, "Ip6InReceives                   \t", 33) == 0);
	CHECK(strstr(text, "\nUdp6InDatagrams                 \t") != NULL);
}

/* Nobody has such sockets: a line that says what would be told of them. */
static void check_heads(void)
{
	static const char *const names[] = {"raw", "raw6", "udplite", "udplite6", "icmp", "icmp6"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		load(names[i]);
		CHECK(strstr(text, "  sl  local_address") != NULL &&
		      strstr(text, " inode ref pointer drops") != NULL);
	}
	load("igmp");
	CHECK(strstr(text,
		     "\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"));
	load("igmp6");
	CHECK(strstr(text,
		     "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"));
}

int main(void)
{
	check_counters();
	check_heads();
	check_tcp();
	check_udp();
	check_unix();
	check_lo();
	printf("proc net ok\n");
	return 0;
}
