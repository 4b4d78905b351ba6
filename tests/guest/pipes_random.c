/*
 * Pipes, splice and files: thousands of random calls, none of which waits, each result printed. The
 * order of the calls is fixed by the seed, so Linux prints the same.
 *
 * Linux counts the room of a pipe in pages, of which spliced bytes take one each time: so a pipe is
 * emptied before that could show, and is filled to the brim only from empty.  And what is changed
 *in a page after it was spliced shows there, so that what is spliced does not change.
 *
 *	pipes_random SEED CALLS
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define PIPES	  3
#define FILES	  2
#define PAGE	  4096
#define ROOM	  65536
#define BYTES_MAX (2 * ROOM)
#define SLOTS	  16

static char bytes[BYTES_MAX], fixed[PAGE];
static int ends[PIPES][2], files[FILES + 1]; /* the last one does not change */
static unsigned slots[PIPES];		     /* that may be in use, at most */

static void fill(unsigned n)
{
	unsigned seed = pick(1000);

	for (unsigned i = 0; i < n; i++)
		bytes[i] = (char)(i * 17 + seed);
}

static void say(const char *what, long result)
{
	printf("%s %ld %d\n", what, result, result < 0 ? errno : 0);
}

static void say_read(const char *what, long result)
{
	printf("%s %ld %d %u\n", what, result, result < 0 ? errno : 0, sum_of(bytes, result));
}

static void drain(unsigned p)
{
	long r;

	while ((r = read(ends[p][0], bytes, BYTES_MAX)) > 0)
		say_read("drain", r);
	say("drained", r);
	slots[p] = 0;
}

/* Makes sure that so many bytes, put in with one call, find room. */
static void make_room(unsigned p, unsigned n)
{
	if (slots[p] + n / PAGE + 2 > SLOTS)
		drain(p);
	slots[p] += n / PAGE + 2;
}

static void do_write(unsigned p)
{
	unsigned n = pick(5) ? pick(200) : pick(9000);

	make_room(p, n);
	fill(n);
	say("write", write(ends[p][1], bytes, n));
}

static void do_writev(unsigned p)
{
	struct iovec iov[2] = {{fixed + pick(1000), pick(300)}, {fixed + 2000, pick(300)}};

	make_room(p, 600);
	say("writev", pick(2) ? writev(ends[p][1], iov, 2) : vmsplice(ends[p][1], iov, 2, 2));
}

static void do_read(unsigned p)
{
	say_read("read", read(ends[p][0], bytes, pick(3) ? pick(400) : pick(BYTES_MAX)));
}

/* From empty to full, and a few pages back and forth. */
static void do_fill(unsigned p)
{
	drain(p);
	fill(BYTES_MAX);
	say("fill", write(ends[p][1], bytes, ROOM + pick(BYTES_MAX - ROOM)));
	say("more", write(ends[p][1], bytes, 1 + pick(100)));
	say_read("pages", read(ends[p][0], bytes, PAGE * pick(5)));
	say("again", write(ends[p][1], bytes, PAGE * (1 + pick(5))));
	say("small", write(ends[p][1], bytes, PAGE));
	drain(p);
}

static void do_move(unsigned p)
{
	unsigned to = pick(PIPES), n = pick(3) ? 1 + pick(300) : 1 + pick(6000);

	if (slots[to] + slots[p] > SLOTS)
		drain(to);
	slots[to] += slots[p];
	if (pick(2))
		say("move", splice(ends[p][0], NULL, ends[to][1], NULL, n, SPLICE_F_NONBLOCK));
	else
		say("tee", tee(ends[p][0], ends[to][1], n, SPLICE_F_NONBLOCK));
}

static void do_load(unsigned p)
{
	unsigned n = pick(3) ? pick(300) : pick(6000);
	int fd = files[FILES];
	off64_t at = pick(8000);

	make_room(p, n);
	if (pick(4) == 0)
		say("seek", lseek(fd, pick(9000), SEEK_SET));
	if (pick(3) == 0)
		say("load", splice(fd, NULL, ends[p][1], NULL, n, SPLICE_F_NONBLOCK));
	else if (pick(2))
		say("load at", splice(fd, &at, ends[p][1], NULL, n, SPLICE_F_NONBLOCK));
	else
		say("sendfile", sendfile(ends[p][1], fd, pick(2) ? &at : NULL, n));
	printf("at %ld %ld\n", (long)at, (long)lseek(fd, 0, SEEK_CUR));
}

static void do_save(unsigned p)
{
	unsigned n = pick(3) ? pick(300) : pick(6000);
	int fd = files[pick(FILES)];
	off64_t at = pick(8000);

	if (pick(2))
		say("save", splice(ends[p][0], NULL, fd, NULL, n, SPLICE_F_NONBLOCK));
	else
		say("save at", splice(ends[p][0], NULL, fd, &at, n, SPLICE_F_NONBLOCK));
	printf("at %ld %ld\n", (long)at, (long)lseek(fd, 0, SEEK_CUR));
}

static void do_file(unsigned p)
{
	int fd = files[pick(FILES)], other = files[pick(FILES)];
	off64_t from = pick(8000), to = pick(8000);

	(void)p;
	say("seek", lseek(fd, pick(9000), SEEK_SET));
	if (pick(2))
		say("copy", copy_file_range(fd, &from, other, &to, pick(5000), 0));
	else if (fd != other)
		say("send", sendfile(other, fd, &from, pick(5000)));
	say_read("pread", pread(other, bytes, BYTES_MAX, 0));
	printf("at %ld %ld %ld\n", (long)from, (long)to, (long)lseek(other, 0, SEEK_CUR));
	if (pick(8) == 0)
		say("cut", ftruncate(fd, pick(9000)));
}

/* Calls that fail, on whatever state there is. */
static void do_wrong(unsigned p)
{
	off64_t at = (off64_t)pick(3) - 1;
	int any[] = {ends[p][0], ends[p][1], files[0], files[1], -1, 999};
	int in = any[pick(6)], out = any[pick(6)];

	unsigned flags = pick(4) ? SPLICE_F_NONBLOCK : SPLICE_F_NONBLOCK | 16;

	make_room(p, 1);
	say("wrong", splice(in, pick(3) ? NULL : &at, out, pick(3) ? NULL : &at, 1, flags));
	say("wrong tee", tee(in, out, 1, flags));
	say("wrong send", sendfile(in, out, NULL, 0));
}

static void do_look(unsigned p)
{
	struct pollfd poll_ends[2] = {{ends[p][0], POLLIN | POLLOUT, 0},
				      {ends[p][1], POLLIN | POLLOUT, 0}};
	int n = -1;

	say("queued", ioctl(ends[p][0], FIONREAD, &n));
	printf("%d %d\n", n, poll(poll_ends, 2, 0));
	printf("%d %d\n", poll_ends[0].revents, poll_ends[1].revents & ~POLLOUT);
}

static void do_size(unsigned p)
{
	static const int sizes[] = {1, 4096, 65535, 65536, 65537, 200000, 1 << 20};

	say("size", fcntl(ends[p][0], F_GETPIPE_SZ));
	drain(p);
	say("set size", fcntl(ends[p][1], F_SETPIPE_SZ, sizes[pick(7)]));
	say("flags", fcntl(ends[p][1], F_GETFL));
	say("reset", fcntl(ends[p][1], F_SETPIPE_SZ, ROOM));
}

static void do_packets(unsigned p)
{
	drain(p);
	say("packets", fcntl(ends[p][1], F_SETFL, O_NONBLOCK | O_DIRECT));
	for (unsigned i = pick(20); i > 0; i--) {
		fill(50);
		slots[p] = SLOTS;
		say("packet", write(ends[p][1], bytes, pick(6) ? pick(50) : pick(9000)));
		if (!pick(3))
			say_read("take", read(ends[p][0], bytes, pick(60)));
		if (!pick(5))
			do_move(p);
	}
	do_look(p);
	for (unsigned i = 0; i < PIPES; i++)
		drain(i);
	say("bytes", fcntl(ends[p][1], F_SETFL, O_NONBLOCK));
}

static void do_close(unsigned p)
{
	unsigned end = pick(2);

	drain(p);
	say("close", close(ends[p][end]));
	if (end)
		say_read("end", read(ends[p][0], bytes, 10));
	else
		say("broken", write(ends[p][1], bytes, 10));
	say("move", splice(ends[p][0], NULL, ends[(p + 1) % PIPES][1], NULL, 1, 2));
	close(ends[p][!end]);
	CHECK(pipe2(ends[p], O_NONBLOCK) == 0);
}

int main(int argc, char **argv)
{
	static void (*const calls[])(unsigned) = {do_write, do_writev,	do_read, do_read,  do_fill,
						  do_move,  do_move,	do_move, do_load,  do_load,
						  do_save,  do_save,	do_file, do_wrong, do_look,
						  do_size,  do_packets, do_close};

	if (argc != 3)
		return 2;
	state = strtoul(argv[1], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	fill(PAGE);
	memcpy(fixed, bytes, PAGE);
	for (int i = 0; i < PIPES; i++)
		CHECK(pipe2(ends[i], O_NONBLOCK) == 0);
	for (int i = 0; i <= FILES; i++) {
		char name[] = {'r', (char)('0' + i), 0};
		files[i] = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
		CHECK(unlink(name) == 0);
		fill(6000);
		CHECK(write(files[i], bytes, 6000) == 6000);
	}
	for (unsigned long n = strtoul(argv[2], NULL, 10); n > 0; n--)
		calls[pick(sizeof(calls) / sizeof(calls[0]))](pick(PIPES));
	return 0;
}
