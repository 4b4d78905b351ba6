/*
 * tty_job_random SEED COUNT [USER]: so many random steps of processes with sessions, groups and two
 * pseudo terminals, and what came of each: results, and the signals that every process got.  With
 * USER as an ordinary user.
 *
 * The first process tells one of the others at a time what to do and waits for its answer.  All
 * have handlers, so nobody stops; a signal that was sent is handled before the next answer.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define WORKERS	  5
#define TERMINALS 2
#define SIGNALS	  8
#define NOBODY	  99999

enum order {
	NOTHING,
	SETSID,
	SETPGID,
	OPEN,
	CLOSE,
	TAKE,
	LEAVE,
	SET_FOREGROUND,
	GET_FOREGROUND,
	GET_SESSION,
	READ,
	WRITE,
	OPEN_OWN,
	FORK,
	REAP,
	TOGGLE_TOSTOP,
	IGNORE,
	POLL,
	FLUSH,
	RESIZE,
};

struct request {
	enum order order;
	int terminal, flags, value;
};

struct answer {
	long result;
	int signals[SIGNALS];
};

static const int numbers[SIGNALS] = {SIGHUP, SIGCONT,  SIGTTIN, SIGTTOU,
				     SIGINT, SIGWINCH, SIGTSTP, SIGQUIT};
static volatile sig_atomic_t got[SIGNALS];
static int requests[WORKERS][2], answers[2];
static int master[TERMINALS], slave[TERMINALS] = {-1, -1};
static char name[TERMINALS][64];
static int pid[WORKERS], parent[WORKERS]; /* -1: the first process */
static struct answer last;

/* ---- who is told ---- */

/* Those of the kernel count one, those of processes a hundred. */
static void note(int sig, siginfo_t *info, void *context)
{
	(void)context;
	for (int i = 0; i < SIGNALS; i++) {
		if (numbers[i] == sig)
			got[i] += info->si_code == SI_USER ? 100 : 1;
	}
}

static void handle(int sig)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(sig, &action, NULL) == 0);
}

static long of_call(long r)
{
	return r < 0 ? -(long)errno : r;
}

static long open_slave(const struct request *q)
{
	int *fd = &slave[q->terminal];

	if (*fd >= 0)
		close(*fd);
	*fd = open(name[q->terminal], q->flags | O_NONBLOCK);
	return *fd < 0 ? -(long)errno : 0;
}

static long open_own(void)
{
	int group = 0, fd = open("/dev/tty", O_RDWR | O_NONBLOCK);

	if (fd < 0)
		return -(long)errno;
	long r = ioctl(fd, TIOCGPGRP, &group) ? -(long)errno : group;
	close(fd);
	return r;
}

static long toggle_tostop(int fd)
{
	struct termios s;

	if (tcgetattr(fd, &s))
		return -(long)errno;
	s.c_lflag ^= TOSTOP;
	return of_call(tcsetattr(fd, TCSANOW, &s));
}

static long ignore(int sig, int on)
{
	if (on)
		return signal(sig, SIG_IGN) == SIG_ERR;
	handle(sig);
	return 0;
}

static long polled(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static long resize(int fd, int rows)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = 80};

	return of_call(ioctl(fd, TIOCSWINSZ, &size));
}

static long get_number(int fd, unsigned long request)
{
	int number = 0;

	return ioctl(fd, request, &number) ? -(long)errno : number;
}

static void work(int me);

static long fork_as(int worker)
{
	pid_t child = fork();

	if (child == 0)
		work(worker);
	return child;
}

static long obey(const struct request *q)
{
	int fd = slave[q->terminal], value = q->value;
	char bytes[100];

	switch (q->order) {
	case SETSID:
		return setsid() < 0 ? -(long)errno : 0;
	case SETPGID:
		return of_call(setpgid(0, value));
	case OPEN:
		return open_slave(q);
	case CLOSE:
		slave[q->terminal] = -1;
		return fd < 0 ? 0 : of_call(close(fd));
	case TAKE:
		return of_call(ioctl(fd, TIOCSCTTY, q->flags));
	case LEAVE:
		return of_call(ioctl(fd, TIOCNOTTY));
	case SET_FOREGROUND:
		return of_call(ioctl(fd, TIOCSPGRP, &value));
	case GET_FOREGROUND:
		return get_number(fd, TIOCGPGRP);
	case GET_SESSION:
		return get_number(fd, TIOCGSID);
	case READ:
		return of_call(read(fd, bytes, sizeof(bytes)));
	case WRITE:
		return of_call(write(fd, "w", 1));
	case OPEN_OWN:
		return open_own();
	case FORK:
		return fork_as(value);
	case REAP:
		return waitpid(value, NULL, 0) == value ? 0 : -(long)errno;
	case TOGGLE_TOSTOP:
		return toggle_tostop(fd);
	case IGNORE:
		return ignore(value, q->flags);
	case POLL:
		return polled(fd);
	case FLUSH:
		return of_call(tcflush(fd, TCIFLUSH));
	case RESIZE:
		return resize(fd, value);
	default:
		return 0;
	}
}

static void work(int me)
{
	struct request q;
	struct answer a;
	ssize_t n;

	for (int i = 0; i < SIGNALS; i++) {
		got[i] = 0;
		handle(numbers[i]);
	}
	for (int i = 0; i < TERMINALS; i++)
		close(master[i]);
	for (;;) {
		while ((n = read(requests[me][0], &q, sizeof(q))) < 0 && errno == EINTR)
			;
		CHECK(n == sizeof(q));
		a.result = obey(&q);
		for (int i = 0; i < SIGNALS; i++) {
			a.signals[i] = got[i];
			got[i] = 0;
		}
		CHECK(write(answers[1], &a, sizeof(a)) == sizeof(a));
	}
}

/* ---- who tells ---- */

static long tell(int worker, enum order order, int terminal, int flags, int value)
{
	struct request q = {order, terminal, flags, value};

	CHECK(write(requests[worker][1], &q, sizeof(q)) == sizeof(q));
	CHECK(read(answers[0], &last, sizeof(last)) == sizeof(last));
	return last.result;
}

static void start(int worker)
{
	fflush(stdout);
	CHECK((pid[worker] = (int)fork_as(worker)) > 0);
	parent[worker] = -1;
	tell(worker, NOTHING, 0, 0, 0);
}

static void end(int worker)
{
	CHECK(kill(pid[worker], SIGKILL) == 0);
	if (parent[worker] < 0)
		CHECK(waitpid(pid[worker], NULL, 0) == pid[worker]);
	else
		CHECK(tell(parent[worker], REAP, 0, 0, pid[worker]) == 0);
	for (int i = 0; i < WORKERS; i++) {
		if (parent[i] == worker)
			parent[i] = -1;
	}
}

static void start_by(int by, int worker)
{
	if (by == worker)
		return;
	end(worker);
	pid[worker] = (int)tell(by, FORK, 0, 0, worker);
	parent[worker] = by;
	CHECK(pid[worker] > 0);
	tell(worker, NOTHING, 0, 0, 0);
}

static void drain(void)
{
	char bytes[512];

	for (int i = 0; i < TERMINALS; i++) {
		while (read(master[i], bytes, sizeof(bytes)) > 0)
			;
	}
}

/* Whose pid it is: that is what it prints as. */
static long whose(long number)
{
	for (int i = 0; i < WORKERS; i++) {
		if (number > 0 && pid[i] == number)
			return i;
	}
	return number > 0 ? -200 : number == 0 ? -100 : number;
}

/* On bare Linux another thread works on what is typed: a poll that finds nothing waits for it, so
 * what was typed before is taken away. */
static void press(int terminal)
{
	static const char *const keys[] = {"\003", "\032", "x\n", "\034"};
	const char *key = keys[pick(4)];
	int fd = open(name[terminal], O_RDWR | O_NOCTTY | O_NONBLOCK);
	char bytes[100];

	CHECK(fd >= 0);
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	CHECK(write(master[terminal], key, strlen(key)) == (ssize_t)strlen(key));
	polled(fd);
	close(fd);
}

static int some_group(void)
{
	if (pick(5))
		return pid[pick(WORKERS)];
	return pick(2) ? 0 : NOBODY;
}

static long step(int w, int t)
{
	static const int how[] = {O_RDWR, O_RDWR, O_WRONLY, O_RDWR | O_NOCTTY};
	/* What is left of the terminals' uses is drawn as often as all else. */
	static const enum order plain[] = {SETSID, LEAVE,	  READ,	 WRITE, POLL,
					   FLUSH,  TOGGLE_TOSTOP, CLOSE, WRITE};

	switch (pick(16)) {
	case 0:
		return tell(w, SETPGID, 0, 0, pick(2) ? 0 : some_group());
	case 1:
	case 2:
		return tell(w, OPEN, t, how[pick(4)], 0);
	case 3:
		return tell(w, TAKE, t, (int)pick(2), 0);
	case 4:
	case 5:
		return tell(w, SET_FOREGROUND, t, 0, some_group());
	case 6:
		return whose(tell(w, pick(2) ? GET_FOREGROUND : GET_SESSION, t, 0, 0));
	case 7:
		return whose(tell(w, OPEN_OWN, 0, 0, 0));
	case 8:
		start_by(w, (int)pick(WORKERS));
		return 0;
	case 9:
		if (!pick(3)) {
			end(w);
			start(w);
		}
		return 0;
	case 10:
		return tell(w, IGNORE, 0, (int)pick(2), pick(2) ? SIGTTIN : SIGTTOU);
	case 11:
		return tell(w, RESIZE, t, 0, 1 + (int)pick(3));
	case 12:
		press(t);
		return whose(get_number(master[t], TIOCGPGRP));
	default:
		return tell(w, plain[pick(9)], t, 0, 0);
	}
}

static void show_signals(void)
{
	for (int w = 0; w < WORKERS; w++) {
		tell(w, NOTHING, 0, 0, 0);
		printf(" %d:", w);
		for (int i = 0; i < SIGNALS; i++) {
			if (last.signals[i])
				printf("%dx%d ", numbers[i], last.signals[i]);
		}
	}
	printf("\n");
}

static void set_up(void)
{
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && pipe(answers) == 0);
	for (int i = 0; i < WORKERS; i++)
		CHECK(pipe(requests[i]) == 0);
	for (int i = 0; i < TERMINALS; i++) {
		master[i] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		CHECK(master[i] >= 0 && grantpt(master[i]) == 0 && unlockpt(master[i]) == 0);
		CHECK(ptsname_r(master[i], name[i], sizeof(name[i])) == 0);
	}
	for (int i = 0; i < WORKERS; i++)
		start(i);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 3);
	CHECK(argc == 3 || geteuid() || setuid(61234) == 0);
	state = strtoul(argv[1], NULL, 10);
	set_up();
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		int w = (int)pick(WORKERS), t = (int)pick(TERMINALS);
		long r = step(w, t);
		printf("%ld by %d of %d: %ld |", i, w, t, r);
		/* What others got shows in their next answers. */
		show_signals();
		drain();
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK(kill(pid[i], SIGKILL) == 0);
	return 0;
}
