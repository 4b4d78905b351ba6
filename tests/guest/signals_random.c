/*
 * signals_random SEED COUNT: random calls about signals by one process to itself, each with its
 * result, what handlers saw and what is pending; the same on bare Linux.
 *
 * Sleeps and sends to others are left out: nothing depends on time. Stop signals would stop it, so
 * they are blocked, ignored or handled throughout; the same goes for those that kill.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

/* The kernel's struct sigaction: libc would not let everything through. */
struct action {
	uintptr_t handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

#define RESTORER 0x04000000ul
#define FDS	 3

static uint64_t state;
static int fds[FDS] = {-1, -1, -1};
static char stacks[2][32768];
static int depth;
static void (*restorer)(void);

static const int numbers[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT, SIGURG, SIGALRM,
			      SIGTSTP, SIGTTIN, SIGTERM, 34,	  35,	  64};
#define NUMBERS (int)(sizeof(numbers) / sizeof(*numbers))

static unsigned random_below(unsigned limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static int random_signal(void)
{
	static const int odd[] = {0, -1, 65, SIGKILL, SIGSTOP};

	if (random_below(24) == 0)
		return odd[random_below(3)];
	return numbers[random_below(NUMBERS)];
}

static unsigned long random_set(void)
{
	unsigned long set = 0;

	for (int i = 0; i < NUMBERS; i++)
		if (random_below(3) == 0)
			set |= 1ul << (numbers[i] - 1);
	if (random_below(8) == 0)
		set |= 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1);
	return set;
}

/* Ids are not the same everywhere: 1 for our own. */
static int who(int pid)
{
	return pid == getpid() ? 1 : pid;
}

static void show_info(const siginfo_t *info)
{
	printf(" {%d %d %d pid %d uid %d value %d}", info->si_signo, info->si_code, info->si_errno,
	       who(info->si_pid), info->si_uid == getuid(), info->si_value.sival_int);
}

static int on_stack(void)
{
	char here;

	for (int i = 0; i < 2; i++)
		if (&here > stacks[i] && &here < stacks[i] + sizeof(stacks[i]))
			return i + 1;
	return 0;
}

static void show_mask(void)
{
	unsigned long set = 0, pending = 0;

	CHECK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, 8) == 0);
	CHECK(syscall(SYS_rt_sigpending, &pending, 8) == 0);
	printf(" mask %lx pending %lx", set, pending);
}

static void handler(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	printf(" <%d", number);
	if (info)
		show_info(info);
	show_mask();
	printf(" stack %d", on_stack());
	if (info)
		printf(" flags %x", (unsigned)c->uc_stack.ss_flags);
	/* Another signal from inside, now and then. */
	if (depth < 3 && random_below(4) == 0) {
		depth++;
		int again = numbers[random_below(NUMBERS)];
		printf(" raise %d", again);
		syscall(SYS_tkill, gettid(), again);
		depth--;
	}
	printf(">");
}

static void handler_plain(int number)
{
	handler(number, NULL, NULL);
}

static void result(const char *name, long r)
{
	if (r < 0)
		printf("%s = %s", name, strerrorname_np(errno));
	else
		printf("%s = %ld", name, r);
}

/* Never the default for what would stop or kill. */
static void do_action(void)
{
	static const unsigned long flags[] = {SA_NODEFER,   SA_RESETHAND, SA_ONSTACK, SA_RESTART,
					      SA_NOCLDSTOP, 0x400,	  0x800,      1ul << 40};
	struct action new = {(uintptr_t)SIG_IGN, RESTORER, (void *)restorer, random_set()}, old;
	int number = random_signal();
	bool harmless = number == SIGCHLD || number == SIGCONT || number == SIGURG;

	for (int i = 0; i < 8; i++)
		if (random_below(4) == 0)
			new.flags |= flags[i];
	if (!harmless)
		new.flags &= ~(unsigned long)SA_RESETHAND;
	if (random_below(3)) {
		new.handler = (uintptr_t)handler_plain;
		if (random_below(3)) {
			new.handler = (uintptr_t)handler;
			new.flags |= SA_SIGINFO;
		}
	} else if (harmless && random_below(2)) {
		new.handler = (uintptr_t)SIG_DFL;
	}
	memset(&old, 0, sizeof(old));
	long r = syscall(SYS_rt_sigaction, number, random_below(5) ? &new : NULL, &old,
			 random_below(20) ? 8 : 4);
	result("sigaction", r);
	if (r == 0)
		printf(" %d was %s flags %lx mask %lx", number,
		       old.handler == (uintptr_t)handler	 ? "info"
		       : old.handler == (uintptr_t)handler_plain ? "plain"
		       : old.handler == (uintptr_t)SIG_IGN	 ? "ign"
								 : "dfl",
		       old.flags, old.mask);
}

static void do_mask(void)
{
	unsigned long new = random_set(), old = 0;
	long r = syscall(SYS_rt_sigprocmask, random_below(20) ? (int)random_below(3) : 7,
			 random_below(6) ? &new : NULL, &old, random_below(20) ? 8 : 16);

	result("sigprocmask", r);
	printf(" was %lx", old);
}

static void do_kill(void)
{
	int number = random_signal();

	switch (random_below(4)) {
	case 0:
		result("kill", kill(getpid(), number));
		break;
	case 1:
		result("tkill", syscall(SYS_tkill, random_below(20) ? gettid() : -1, number));
		break;
	case 2:
		result("tgkill",
		       syscall(SYS_tgkill, random_below(20) ? getpid() : 0, gettid(), number));
		break;
	default:
		result("raise", syscall(SYS_tgkill, getpid(), gettid(), number));
	}
	printf(" %d", number);
}

static void do_queue(void)
{
	static const int codes[] = {SI_QUEUE, SI_QUEUE,	 SI_QUEUE, SI_USER, SI_TKILL,
				    SI_TIMER, SI_KERNEL, 1,	   3,	    7,
				    -60,      -61,	 -7,	   -8};
	int number = random_signal();
	siginfo_t info;
	long r;

	memset(&info, 0, sizeof(info));
	info.si_signo = (int)random_below(70);
	info.si_code = codes[random_below(sizeof(codes) / sizeof(*codes))];
	info.si_pid = 4000;
	info.si_uid = getuid();
	info.si_value.sival_int = (int)random_below(1000);
	if (random_below(8) == 0)
		((char *)&info)[60] = 9;
	if (random_below(3) == 0)
		r = syscall(SYS_rt_tgsigqueueinfo, random_below(12) ? getpid() : -5,
			    random_below(12) ? gettid() : 0, number, &info);
	else
		r = syscall(SYS_rt_sigqueueinfo, random_below(12) ? getpid() : 1 << 22, number,
			    &info);
	result("sigqueue", r);
	printf(" %d code %d", number, info.si_code);
}

static void do_wait(void)
{
	unsigned long set = random_set();
	struct timespec none = {0, random_below(20) ? 0 : 1000000000};
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	long r = syscall(SYS_rt_sigtimedwait, &set, &info, &none, random_below(20) ? 8 : 1);
	result("sigtimedwait", r);
	if (r > 0) {
		show_info(&info);
		printf(" rest %d", ((char *)&info)[60]);
	}
}

/* Only when one is pending that it lets through: else it would wait for ever. */
static void do_suspend(void)
{
	unsigned long pending, mask = random_set(), ignored = 0;

	CHECK(syscall(SYS_rt_sigpending, &pending, 8) == 0);
	for (int i = 0; i < NUMBERS; i++) {
		struct action now;
		CHECK(syscall(SYS_rt_sigaction, numbers[i], NULL, &now, 8) == 0);
		if (now.handler == (uintptr_t)SIG_IGN || now.handler == (uintptr_t)SIG_DFL)
			ignored |= 1ul << (numbers[i] - 1);
	}
	if (!(pending & ~mask & ~ignored))
		return;
	result("sigsuspend", syscall(SYS_rt_sigsuspend, &mask, 8));
}

static void do_altstack(void)
{
	static const int flags[] = {
		0, SS_ONSTACK, SS_DISABLE, (int)(1u << 31), 99, (int)(1u << 31) | SS_DISABLE};
	int which = (int)random_below(2);
	stack_t new = {.ss_sp = stacks[which],
		       .ss_flags = flags[random_below(6)],
		       .ss_size = random_below(8) ? sizeof(stacks[0]) : 2047},
		old;

	memset(&old, 0, sizeof(old));
	long r = syscall(SYS_sigaltstack, random_below(4) ? &new : NULL, &old);
	result("sigaltstack", r);
	if (r == 0)
		printf(" was %d flags %x size %zu",
		       old.ss_sp == stacks[0]	? 1
		       : old.ss_sp == stacks[1] ? 2
						: 0,
		       (unsigned)old.ss_flags, old.ss_size);
}

static void do_descriptor(void)
{
	int i = (int)random_below(FDS);
	unsigned long set = random_set();
	int flags = SFD_NONBLOCK | (random_below(8) ? 0 : 1);

	if (fds[i] >= 0 && random_below(4) == 0) {
		result("close", close(fds[i]));
		fds[i] = -1;
		return;
	}
	int r = (int)syscall(SYS_signalfd4, fds[i], &set, random_below(20) ? 8 : 4, flags);
	result("signalfd", r);
	if (r >= 0)
		fds[i] = r;
}

static void do_read(void)
{
	struct signalfd_siginfo records[3];
	int i = (int)random_below(FDS);
	long r = read(fds[i], records, random_below(10) ? sizeof(records) : 100);

	result("read", r);
	for (long k = 0; k < r / (long)sizeof(*records); k++) {
		const struct signalfd_siginfo *s = &records[k];
		printf(" {%u %d pid %d uid %d int %d ptr %llx tid %u over %u status %d addr %llx"
		       " band %u fd %d}",
		       s->ssi_signo, s->ssi_code, who((int)s->ssi_pid), s->ssi_uid == getuid(),
		       s->ssi_int, (unsigned long long)s->ssi_ptr, s->ssi_tid, s->ssi_overrun,
		       s->ssi_status, (unsigned long long)s->ssi_addr, s->ssi_band, s->ssi_fd);
	}
}

/* None left, or as many as ever. */
static void do_limit(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	limit.rlim_cur = random_below(3) ? limit.rlim_max : 0;
	result("setrlimit", setrlimit(RLIMIT_SIGPENDING, &limit));
	printf(" %d", limit.rlim_cur == 0);
}

static void (*const actions[])(void) = {
	do_action, do_action, do_mask,	  do_mask,     do_kill, do_kill, do_kill,	do_queue,
	do_queue,  do_wait,   do_suspend, do_altstack, do_read, do_read, do_descriptor, do_limit,
};

static void catch_all(void)
{
	struct sigaction libc;

	stack_t none = {.ss_flags = SS_DISABLE};

	/* Its flags are inherited. */
	CHECK(sigaltstack(&none, NULL) == 0);
	/* libc's own way back from a handler. */
	memset(&libc, 0, sizeof(libc));
	libc.sa_sigaction = handler;
	CHECK(sigaction(SIGUSR1, &libc, NULL) == 0);
	struct action now;
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &now, 8) == 0);
	restorer = (void (*)(void))now.restorer;
	for (int i = 0; i < NUMBERS; i++) {
		struct action a = {(uintptr_t)handler, SA_SIGINFO | RESTORER, (void *)restorer, 0};
		CHECK(syscall(SYS_rt_sigaction, numbers[i], &a, NULL, 8) == 0);
	}
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 1000;

	state = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	catch_all();
	for (long i = 0; i < count; i++) {
		printf("%ld ", i);
		actions[random_below(sizeof(actions) / sizeof(*actions))]();
		show_mask();
		printf("\n");
	}
	printf("signals_random ok\n");
	return 0;
}
