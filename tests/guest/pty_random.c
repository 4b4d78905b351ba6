/*
 * pty_random SEED COUNT: random bytes, settings and requests through a pseudo terminal; prints what
 * came of each.  One process that is nobody's session leader, so keys send no signals.
 *
 * On bare Linux the line discipline works a moment later, on another thread.  A poll or read that
 * finds nothing waits for it; so what was typed is read to its end at once, if it can be read at
 * all, and what comes back to the master after each step.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

#define BATCH_MAX 200

static uint64_t state;
static int master, slave;
static unsigned char bytes[8192];

static unsigned draw(unsigned below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % below;
}

static void show(const char *what, long n)
{
	printf("%s %ld", what, n < 0 ? -(long)errno : n);
	for (long i = 0; i < n; i++)
		printf(bytes[i] > ' ' && bytes[i] < 127 ? "%c" : "<%02x>", bytes[i]);
	printf("\n");
}

static int ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

/* Reads all there is in pieces, which show only where they are lines. */
static void drain(void)
{
	struct termios s;
	long n, done = 0;

	CHECK(tcgetattr(slave, &s) == 0);
	bool lines = s.c_lflag & ICANON && !(s.c_lflag & EXTPROC);
	while ((n = read(slave, bytes + done, 1 + draw(draw(2) ? 7 : 300))) > 0 ||
	       (n == 0 && ready(slave) & POLLIN)) {
		if (lines)
			show("line", n);
		else
			done += n;
	}
	show("drained", lines ? n : done);
}

/* All that the screen shows, however it was cut. */
static void drain_master(bool packet)
{
	long n = 0, got, skip = packet;

	while ((got = read(master, bytes + n, sizeof(bytes) - (size_t)n)) > 0) {
		if (packet && bytes[n])
			printf("status %x\n", bytes[n]);
		memmove(bytes + n, bytes + n + skip, (size_t)(got - skip));
		n += got - skip;
	}
	show("shown", n);
}

/* A byte that often means something. */
static unsigned char draw_byte(bool signals)
{
	static const unsigned char keys[] =
		"\r\n\t\b\x7f\x15\x04\x17\x12\x16\x11\x13 xyz_9;\xff\x80\xe4";
	static const unsigned char signs[] = "\x03\x1c\x1a";

	if (signals)
		return signs[draw(3)];
	unsigned char c = draw(3) ? keys[draw(sizeof(keys) - 1)] : (unsigned char)draw(256);
	unsigned char low = c & 0x7f;
	return low == 3 || low == 0x1c || low == 0x1a ? 'q' : c;
}

static long fill(bool typed)
{
	/* A signal key drops what is on its way: alone, there is nothing. */
	long n = typed && !draw(12) ? 1 : 1 + draw(draw(4) ? 12 : BATCH_MAX);

	for (long i = 0; i < n; i++)
		bytes[i] = draw_byte(typed && n == 1 && !draw(2));
	return n;
}

static void step_type(void)
{
	if (ready(slave) & POLLIN)
		drain();
	long n = fill(true);
	show("type", write(master, bytes, (size_t)n));
	int now = ready(slave);
	if (now & POLLIN)
		drain();
}

static void step_write(void)
{
	long n = fill(false);

	n = write(slave, bytes, (size_t)n);
	printf("write %ld\n", n < 0 ? -(long)errno : n);
}

static void step_read(void)
{
	show("read", read(slave, bytes, 1 + draw(draw(2) ? 5 : 300)));
}

static tcflag_t draw_flags(const tcflag_t *flags, int count, tcflag_t old)
{
	for (int i = 0; i < count; i++) {
		if (!draw(6))
			old ^= flags[i];
	}
	return old;
}

static void step_settings(void)
{
	static const tcflag_t in[] = {ICRNL, INLCR, IGNCR, ISTRIP, IUCLC,
				      IXON,  IXANY, IUTF8, PARMRK};
	static const tcflag_t out[] = {OPOST, ONLCR, OCRNL, ONOCR, ONLRET, XTABS, OLCUC};
	static const tcflag_t local[] = {ICANON, ECHO,	  ECHOE,  ECHOK,  ECHONL,  ECHOCTL,
					 ECHOKE, ECHOPRT, IEXTEN, NOFLSH, EXTPROC, ISIG};
	static const int keys[] = {VERASE, VEOL, VEOL2, VKILL, VWERASE, VEOF};
	struct termios s, now;

	CHECK(tcgetattr(slave, &s) == 0);
	s.c_iflag = draw_flags(in, 9, s.c_iflag);
	s.c_oflag = draw_flags(out, 7, s.c_oflag);
	s.c_lflag = draw_flags(local, 12, s.c_lflag);
	if (!draw(4))
		s.c_cc[keys[draw(6)]] = draw(3) ? draw_byte(false) : 0;
	s.c_cc[VMIN] = (cc_t)draw(draw(2) ? 3 : 90);
	s.c_cc[VTIME] = 0;
	CHECK(tcsetattr(slave, draw(4) ? TCSANOW : TCSAFLUSH, &s) == 0);
	CHECK(tcgetattr(draw(2) ? slave : master, &now) == 0);
	printf("settings %x %x %x %x\n", now.c_iflag, now.c_oflag, now.c_cflag, now.c_lflag);
}

static void step_request(bool *packet)
{
	int n = -1, on = !*packet;

	switch (draw(6)) {
	case 0:
		CHECK(ioctl(slave, FIONREAD, &n) == 0);
		printf("count %d\n", n);
		break;
	case 1:
		printf("flush %d\n", tcflush(slave, draw(2) ? TCIFLUSH : TCIOFLUSH));
		break;
	case 2:
	case 3:
		n = draw(2) ? TCOOFF : TCOON;
		printf("flow %d %d\n", n, tcflow(slave, n));
		break;
	case 4:
		n = draw(2) ? TCIOFF : TCION;
		printf("send %d %d\n", n, tcflow(slave, n));
		break;
	default:
		CHECK(ioctl(master, TIOCPKT, &on) == 0);
		*packet = on;
		printf("packet mode %d\n", on);
	}
}

int main(int argc, char **argv)
{
	bool packet = false;

	CHECK(argc == 3);
	state = strtoul(argv[1], NULL, 10);
	CHECK((master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) >= 0);
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK((slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK)) >= 0);
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		unsigned kind = draw(20);

		printf("%ld ", i);
		if (kind < 8)
			step_type();
		else if (kind < 12)
			step_write();
		else if (kind < 15)
			step_read();
		else if (kind < 18)
			step_settings();
		else
			step_request(&packet);
		drain_master(packet);
		printf("ready %x %x\n", ready(master), ready(slave) & ~POLLIN);
	}
	return 0;
}
