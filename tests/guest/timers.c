/*
 * POSIX timers: numbers, arguments, what they tell, one signal a timer and its overruns, void and
 * ignored signals, targets, clocks of cpu time, fork, exec and thread exit; thousands at once;
 * interval timers whose signal nobody takes; sleeping on clocks of cpu time.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "times.h"

#define MANY 3000

static volatile sig_atomic_t seen;
static volatile pid_t seen_by;

static int create(clockid_t clock, struct sigevent *event, int *ret)
{
	return (int)syscall(SYS_timer_create, clock, event, ret);
}

static int settime(int timer, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	return (int)syscall(SYS_timer_settime, timer, flags, new, old);
}

static int gettime(int timer, struct itimerspec *now)
{
	return (int)syscall(SYS_timer_gettime, timer, now);
}

static int overrun(int timer)
{
	return (int)syscall(SYS_timer_getoverrun, timer);
}

static int delete (int timer)
{
	return (int)syscall(SYS_timer_delete, timer);
}

/* Arms for `value` ns, then every `interval`. */
static void arm(int timer, long value, long interval)
{
	struct itimerspec new = {spec(interval), spec(value)};

	CHECK(settime(timer, 0, &new, NULL) == 0);
}

static struct itimerspec state(int timer)
{
	struct itimerspec now;

	CHECK(gettime(timer, &now) == 0);
	return now;
}

static int make(clockid_t clock, int notify, int signal, int value)
{
	struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal};
	int timer;

	event.sigev_value.sival_int = value;
	CHECK(create(clock, &event, &timer) == 0);
	return timer;
}

static void block(int how, int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	CHECK(sigprocmask(how, &set, NULL) == 0);
}

/* Takes the signal, waiting up to `limit` ns; its number or -1. */
static int take(int signal, siginfo_t *info, long limit)
{
	struct timespec wait = spec(limit);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	return sigtimedwait(&set, info, &wait);
}

static bool is_pending(int signal)
{
	sigset_t set;

	CHECK(sigpending(&set) == 0);
	return sigismember(&set, signal);
}

static void note(int number)
{
	(void)number;
	seen = seen + 1;
	seen_by = gettid();
}

static void check_numbers(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE}, bad = none;
	int timer = -1;

	CHECK(create(CLOCK_MONOTONIC, &none, &timer) == 0 && timer == 0);
	CHECK(create(CLOCK_REALTIME, NULL, &timer) == 0 && timer == 1);
	bad.sigev_notify = 3;
	CHECK(create(CLOCK_MONOTONIC, &bad, &timer) == -1 && errno == EINVAL);
	bad = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	CHECK(create(CLOCK_MONOTONIC, &bad, &timer) == -1 && errno == EINVAL);
	bad = (struct sigevent){.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	CHECK(create(CLOCK_MONOTONIC, &bad, &timer) == -1 && errno == EINVAL);
	bad._sigev_un._tid = 1;
	CHECK(create(CLOCK_MONOTONIC, &bad, &timer) == -1 && errno == EINVAL);
	CHECK(create(CLOCK_MONOTONIC, &none, (int *)16) == -1 && errno == EFAULT);
	CHECK(create(CLOCK_MONOTONIC, (struct sigevent *)16, &timer) == -1 && errno == EFAULT);
	/* Each of those that had a number used it up. */
	CHECK(create(CLOCK_MONOTONIC, &none, &timer) == 0 && timer == 7);
	CHECK(delete (7) == 0 && delete (7) == -1 && errno == EINVAL);
	CHECK(delete (-1) == -1 && errno == EINVAL && overrun(7) == -1 && errno == EINVAL);
	CHECK(gettime(7, &(struct itimerspec){0}) == -1 && errno == EINVAL);
	CHECK(delete (0) == 0 && delete (1) == 0);
}

/* A bad event is told before the want of an RTC. */
static void check_alarm_clocks(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	timer_t timer;

	CHECK(timer_create(CLOCK_REALTIME_ALARM, &event, &timer) == -1 && errno == EINVAL);
	event = (struct sigevent){.sigev_notify = 77};
	CHECK(timer_create(CLOCK_BOOTTIME_ALARM, &event, &timer) == -1 && errno == EINVAL);
	event = (struct sigevent){.sigev_notify = SIGEV_NONE};
	CHECK(syscall(SYS_timer_create, CLOCK_BOOTTIME_ALARM, &event, NULL) == -1 &&
	      errno == EFAULT);
	if (timer_create(CLOCK_BOOTTIME_ALARM, &event, &timer) == 0)
		CHECK(timer_delete(timer) == 0);
	else
		CHECK(errno == EOPNOTSUPP || errno == EPERM);
}

static void check_clocks(void)
{
	static const struct {
		clockid_t clock;
		int error;
	} clocks[] = {{CLOCK_REALTIME, 0},
		      {CLOCK_MONOTONIC, 0},
		      {CLOCK_BOOTTIME, 0},
		      {CLOCK_TAI, 0},
		      {CLOCK_PROCESS_CPUTIME_ID, 0},
		      {CLOCK_THREAD_CPUTIME_ID, 0},
		      {CLOCK_MONOTONIC_RAW, EOPNOTSUPP},
		      {CLOCK_REALTIME_COARSE, EOPNOTSUPP},
		      {CLOCK_MONOTONIC_COARSE, EOPNOTSUPP},
		      {10, EINVAL},
		      {12, EINVAL},
		      {-1, EINVAL},
		      {-5, EOPNOTSUPP}};
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	int timer;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int r = create(clocks[i].clock, &none, &timer);
		CHECK(clocks[i].error ? r == -1 && errno == clocks[i].error : r == 0);
		if (r == 0)
			CHECK(delete (timer) == 0);
	}
}

static void check_arguments(void)
{
	struct itimerspec bad = {{0, 0}, {0, SECOND}}, good = {{0, 0}, {1000, 0}};
	int timer = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);

	CHECK(settime(timer, 0, &bad, NULL) == -1 && errno == EINVAL);
	bad = (struct itimerspec){{-1, 0}, {0, 1}};
	CHECK(settime(timer, 0, &bad, NULL) == -1 && errno == EINVAL);
	CHECK(settime(timer, 0, NULL, NULL) == -1 && errno == EINVAL);
	CHECK(settime(timer, 0, (struct itimerspec *)16, NULL) == -1 && errno == EFAULT);
	CHECK(settime(99, 0, &good, NULL) == -1 && errno == EINVAL);
	/* The old setting that cannot be told does not keep it from being set. */
	CHECK(settime(timer, 0, &good, (struct itimerspec *)16) == -1 && errno == EFAULT);
	CHECK(state(timer).it_value.tv_sec >= 999);
	CHECK(gettime(timer, (struct itimerspec *)16) == -1 && errno == EFAULT);
	CHECK(settime(timer, 12345 & ~TIMER_ABSTIME, &good, &bad) == 0);
	CHECK(bad.it_value.tv_sec >= 999 && delete (timer) == 0);
}

/* Timers that only tell time. */
static void check_silent(void)
{
	int timer = make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
	struct itimerspec now, at = {{0, 0}, {1, 0}};

	now = state(timer);
	CHECK(ns_of(now.it_value) == 0 && ns_of(now.it_interval) == 0);
	arm(timer, 1000000, 0);
	usleep(2000);
	CHECK(ns_of(state(timer).it_value) == 0);
	arm(timer, 1000000, 100 * SECOND);
	usleep(2000);
	now = state(timer);
	CHECK(ns_of(now.it_value) > 99 * SECOND && ns_of(now.it_interval) == 100 * SECOND);
	CHECK(overrun(timer) == 0);
	CHECK(settime(timer, TIMER_ABSTIME, &at, &now) == 0 && now.it_value.tv_sec == 99);
	CHECK(ns_of(state(timer).it_value) == 0 && delete (timer) == 0);
}

static void check_signal(void)
{
	int timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3, 77);
	siginfo_t info;

	block(SIG_BLOCK, SIGRTMIN + 3);
	long before = clock_ns(CLOCK_MONOTONIC);
	arm(timer, 3000000, 0);
	CHECK(take(SIGRTMIN + 3, &info, SECOND) == SIGRTMIN + 3);
	CHECK(clock_ns(CLOCK_MONOTONIC) - before >= 3000000);
	CHECK(info.si_code == SI_TIMER && info.si_timerid == timer && info.si_overrun == 0);
	CHECK(info.si_value.sival_int == 77 && info.si_errno == 0);
	CHECK(ns_of(state(timer).it_value) == 0 && overrun(timer) == 0);
	/* In the past: at once. */
	struct itimerspec past = {{0, 0}, {0, 1}};
	CHECK(settime(timer, TIMER_ABSTIME, &past, NULL) == 0);
	CHECK(take(SIGRTMIN + 3, &info, SECOND) == SIGRTMIN + 3);
	arm(timer, 1000 * SECOND, SECOND);
	CHECK(state(timer).it_value.tv_sec >= 999 && state(timer).it_interval.tv_sec == 1);
	arm(timer, 0, SECOND);
	CHECK(ns_of(state(timer).it_value) == 0 && ns_of(state(timer).it_interval) == 0);
	CHECK(delete (timer) == 0);
	/* Without an event: SIGALRM, with the number as its value. */
	CHECK(create(CLOCK_REALTIME, NULL, &timer) == 0);
	block(SIG_BLOCK, SIGALRM);
	arm(timer, 1000, 0);
	CHECK(take(SIGALRM, &info, SECOND) == SIGALRM && info.si_value.sival_int == timer);
	CHECK(info.si_timerid == timer && delete (timer) == 0);
}

static void check_overruns(void)
{
	int timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 5), other, missed;
	siginfo_t info;

	block(SIG_BLOCK, SIGUSR1);
	long start = clock_ns(CLOCK_MONOTONIC);
	arm(timer, 1000000, 1000000);
	usleep(20000);
	CHECK(is_pending(SIGUSR1) && overrun(timer) == 0);
	CHECK(take(SIGUSR1, &info, SECOND) == SIGUSR1);
	missed = info.si_overrun;
	CHECK(missed >= 18 && missed <= (clock_ns(CLOCK_MONOTONIC) - start) / 1000000);
	CHECK(overrun(timer) == missed);
	/* It has been armed again by the taking; asking for it moves what is to come. */
	CHECK(take(SIGUSR1, &info, SECOND) == SIGUSR1);
	usleep(3000);
	CHECK(ns_of(state(timer).it_value) > 0 && ns_of(state(timer).it_value) <= 1000000);
	arm(timer, 0, 0);
	take(SIGUSR1, &info, 0);
	/* Two timers of one standard signal: each has its own. */
	other = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 6);
	arm(timer, 1000000, 0);
	usleep(3000);
	arm(other, 1000000, 0);
	usleep(3000);
	CHECK(take(SIGUSR1, &info, 0) == SIGUSR1 && info.si_value.sival_int == 5);
	CHECK(take(SIGUSR1, &info, 0) == SIGUSR1 && info.si_value.sival_int == 6);
	CHECK(take(SIGUSR1, &info, 0) == -1 && errno == EAGAIN);
	/* A limit on what can be counted. */
	arm(timer, 1, 1);
	sleep(3);
	CHECK(take(SIGUSR1, &info, SECOND) == SIGUSR1 && info.si_overrun == 0x7fffffff);
	CHECK(overrun(timer) == 0x7fffffff && delete (timer) == 0 && delete (other) == 0);
	take(SIGUSR1, &info, 0);
}

/*
 * Linux before 6.13 delivers the signal of a timer that was set or deleted since, and lets timers
 * run whose signal is ignored. The container does as later ones, whatever it calls itself.
 */
static bool has_void_signals(void)
{
	struct utsname name;
	int major, minor;

	CHECK(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
	return strstr(name.release, "shadow") != NULL || major > 6 || (major == 6 && minor >= 13);
}

/* A queued signal whose timer is set or deleted is pending, but nobody can take it. */
static void check_void(void)
{
	int timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
	siginfo_t info;

	block(SIG_BLOCK, SIGUSR1);
	arm(timer, 1000, 1000);
	usleep(2000);
	arm(timer, 1000 * SECOND, 0);
	CHECK(is_pending(SIGUSR1) && take(SIGUSR1, &info, 0) == -1 && errno == EAGAIN);
	CHECK(!is_pending(SIGUSR1) && overrun(timer) == 0);
	/* Fires again while that one is still queued: it is good once more. */
	arm(timer, 1000, 0);
	usleep(2000);
	arm(timer, 1000, 0);
	usleep(2000);
	CHECK(take(SIGUSR1, &info, 0) == SIGUSR1 && take(SIGUSR1, &info, 0) == -1);
	arm(timer, 1000, 0);
	usleep(2000);
	CHECK(is_pending(SIGUSR1) && delete (timer) == 0 && is_pending(SIGUSR1));
	/* Unblocked, it vanishes as well. */
	signal(SIGUSR1, note);
	seen = 0;
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(seen == 0 && !is_pending(SIGUSR1));
}

static void check_ignored(void)
{
	int timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 1), once;
	siginfo_t info;

	signal(SIGUSR2, SIG_IGN);
	arm(timer, 1000000, 1000000);
	usleep(5000);
	/* It tells time as if it were running. */
	CHECK(ns_of(state(timer).it_value) > 0 && ns_of(state(timer).it_value) <= 1000000);
	CHECK(!is_pending(SIGUSR2));
	block(SIG_BLOCK, SIGUSR2);
	CHECK(!is_pending(SIGUSR2));
	signal(SIGUSR2, note);
	CHECK(is_pending(SIGUSR2) && take(SIGUSR2, &info, 0) == SIGUSR2);
	CHECK(info.si_overrun >= 3 && delete (timer) == 0);
	take(SIGUSR2, &info, 0);
	/* A signal that is ignored while it is queued comes back with the handler. */
	timer = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 1);
	once = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 2);
	arm(once, 1000, 0);
	arm(timer, 1000, 50 * SECOND);
	usleep(2000);
	signal(SIGUSR2, SIG_IGN);
	CHECK(!is_pending(SIGUSR2));
	signal(SIGUSR2, note);
	CHECK(take(SIGUSR2, &info, 0) == SIGUSR2 && info.si_value.sival_int == 1);
	CHECK(take(SIGUSR2, &info, 0) == -1 && delete (timer) == 0 && delete (once) == 0);
	block(SIG_UNBLOCK, SIGUSR2);
}

static pthread_barrier_t ready;
static pid_t thread_id;

static void *target(void *unused)
{
	siginfo_t info;

	(void)unused;
	thread_id = gettid();
	pthread_barrier_wait(&ready);
	CHECK(take(SIGRTMIN + 4, &info, 60 * SECOND) == SIGRTMIN + 4);
	CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == 9);
	return NULL;
}

/* To one thread; when it has ended the signal goes nowhere. */
static void check_thread(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 4};
	pthread_t thread;
	siginfo_t info;
	int timer;

	block(SIG_BLOCK, SIGRTMIN + 4);
	CHECK(pthread_barrier_init(&ready, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, target, NULL) == 0);
	pthread_barrier_wait(&ready);
	event.sigev_value.sival_int = 9;
	event._sigev_un._tid = thread_id;
	CHECK(create(CLOCK_MONOTONIC, &event, &timer) == 0);
	arm(timer, 2000000, 0);
	CHECK(pthread_join(thread, NULL) == 0 && take(SIGRTMIN + 4, &info, 0) == -1);
	arm(timer, 1000, 1000);
	CHECK(take(SIGRTMIN + 4, &info, 5000000) == -1 && errno == EAGAIN && delete (timer) == 0);
}

static volatile int told;

static void tell(union sigval value)
{
	told = value.sival_int;
}

/* What libc makes of SIGEV_THREAD: a thread of its own. */
static void check_libc_thread(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = tell};
	struct itimerspec soon = {{0, 0}, {0, 1000000}};
	timer_t timer;

	event.sigev_value.sival_int = 31;
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
	while (told != 31)
		usleep(1000);
	CHECK(timer_delete(timer) == 0);
}

static void burn(long ns)
{
	long until = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < until)
		getppid();
}

static void check_cpu(void)
{
	static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
	struct itimerspec now;
	siginfo_t info;

	block(SIG_BLOCK, SIGRTMIN + 5);
	for (size_t i = 0; i < 2; i++) {
		int timer = make(clocks[i], SIGEV_SIGNAL, SIGRTMIN + 5, (int)i);

		arm(timer, 30000000, 0);
		/* It stands still while nothing runs. */
		usleep(60000);
		now = state(timer);
		CHECK(ns_of(now.it_value) > 0 && take(SIGRTMIN + 5, &info, 0) == -1);
		long before = clock_ns(clocks[i]);
		while (take(SIGRTMIN + 5, &info, 0) == -1)
			burn(1000000);
		CHECK(clock_ns(clocks[i]) - before >= 10000000);
		CHECK(info.si_value.sival_int == (int)i && ns_of(state(timer).it_value) == 0);
		struct itimerspec past = {{0, 0}, {0, 1}};
		CHECK(settime(timer, TIMER_ABSTIME, &past, NULL) == 0);
		CHECK(take(SIGRTMIN + 5, &info, 0) == SIGRTMIN + 5 && delete (timer) == 0);
	}
}

static void *burner(void *unused)
{
	while (!seen)
		getppid();
	return unused;
}

/* A thread may read its process's clock by its own id, but do nothing else with it. */
static void *read_by_own_id(void *arg)
{
	clockid_t id = (clockid_t)((~(unsigned)gettid() << 3) | 2);
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct timespec at;
	timer_t timer;

	CHECK(clock_gettime(id, &at) == 0);
	CHECK(clock_getres(id, &at) == -1 && errno == EINVAL);
	CHECK(timer_create(id, &none, &timer) == -1 && errno == EINVAL);
	return arg;
}

/* Disarmed, a timer that only tells time still tells how long it would have been. */
static void check_disarmed(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct itimerspec set = {{0, 0}, {3600, 0}}, now;
	timer_t timer;

	CHECK(timer_create(CLOCK_MONOTONIC, &none, &timer) == 0);
	CHECK(timer_gettime(timer, &now) == 0 && now.it_value.tv_sec == 0);
	CHECK(timer_settime(timer, 0, &set, NULL) == 0);
	set.it_value.tv_sec = 0;
	CHECK(timer_settime(timer, 0, &set, NULL) == 0);
	CHECK(timer_gettime(timer, &now) == 0 && now.it_value.tv_sec > 3000);
	CHECK(timer_delete(timer) == 0);
}

/* Sleeping until the process has used so much. */
static void check_cpu_sleep(void)
{
	struct timespec wait = spec(5000000), at, bad = {0, SECOND};
	clockid_t other;
	pthread_t thread;

	CHECK(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &wait, NULL) == -1 &&
	      errno == EOPNOTSUPP);
	CHECK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &wait, NULL) == -1 &&
	      errno == EOPNOTSUPP);
	CHECK(syscall(SYS_clock_nanosleep, 10, 0, &wait, NULL) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_clock_nanosleep, -2, 0, &wait, NULL) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &bad, NULL) == -1 &&
	      errno == EINVAL);
	seen = 0;
	CHECK(pthread_create(&thread, NULL, burner, NULL) == 0);
	long before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &wait, NULL) == 0);
	CHECK(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 5000000);
	CHECK(pthread_getcpuclockid(thread, &other) == 0);
	before = clock_ns(other);
	at = spec(before + 5000000);
	CHECK(clock_nanosleep(other, TIMER_ABSTIME, &at, NULL) == 0);
	CHECK(clock_ns(other) >= before + 5000000);
	at = spec(1);
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &at, NULL) == 0);
	seen = 1;
	CHECK(pthread_join(thread, NULL) == 0);
	/* Of another process the whole is told, but none of its threads. */
	CHECK(clock_getcpuclockid(getpid(), &other) == 0 && clock_ns(other) > 0);
	CHECK(clock_getcpuclockid(getppid(), &other) == 0 && clock_gettime(other, &at) == 0);
	CHECK(clock_gettime(other | 4, &at) == -1 && errno == EINVAL);
	CHECK(clock_getcpuclockid(1 << 22, &other) == ESRCH);
	CHECK(pthread_create(&thread, NULL, read_by_own_id, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* An interrupted sleep on cpu time tells the rest. */
static void check_cpu_sleep_rest(void)
{
	struct timespec wait = {1000, 0}, rest = {0, 0};
	struct sigaction action = {.sa_handler = note};
	pthread_t thread;

	seen = 0;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	block(SIG_UNBLOCK, SIGALRM);
	CHECK(pthread_create(&thread, NULL, burner, NULL) == 0);
	struct itimerval soon = {{0, 0}, {0, 10000}};
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &wait, &rest) == EINTR);
	CHECK(rest.tv_sec >= 990 && rest.tv_sec < 1000 && pthread_join(thread, NULL) == 0);
	/* Nothing of it disturbs what the thread sleeps on next. */
	seen = 0;
	CHECK(pthread_create(&thread, NULL, burner, NULL) == 0);
	soon.it_value.tv_usec = 2000;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	wait = spec(20000000);
	clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &wait, NULL);
	seen = 0;
	pthread_t again;
	CHECK(pthread_create(&again, NULL, burner, NULL) == 0);
	long before = clock_ns(CLOCK_MONOTONIC);
	wait = spec(100000000);
	CHECK(nanosleep(&wait, NULL) == 0 && clock_ns(CLOCK_MONOTONIC) - before >= 100000000);
	seen = 1;
	CHECK(pthread_join(thread, NULL) == 0 && pthread_join(again, NULL) == 0);
}

static void check_many(void)
{
	static int timers[MANY];
	siginfo_t info;
	int last = -1;

	block(SIG_BLOCK, SIGRTMIN + 6);
	for (int i = 0; i < MANY; i++)
		timers[i] = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 6, i);
	struct itimerspec at = {{0, 0}, {0, 0}};
	long start = clock_ns(CLOCK_MONOTONIC) + SECOND;
	/* Set in a mixed order, due in the order of their numbers; every third is deleted. */
	for (int i = 0; i < MANY; i++) {
		int k = (int)((long)i * 1777 % MANY);

		at.it_value = spec(start + k * 50000L);
		CHECK(settime(timers[k], TIMER_ABSTIME, &at, NULL) == 0);
	}
	for (int i = 0; i < MANY; i += 3)
		CHECK(delete (timers[i]) == 0);
	for (int i = 0; i < MANY - MANY / 3; i++) {
		CHECK(take(SIGRTMIN + 6, &info, 60 * SECOND) == SIGRTMIN + 6);
		CHECK(info.si_value.sival_int > last && info.si_value.sival_int % 3 != 0);
		last = info.si_value.sival_int;
	}
	CHECK(take(SIGRTMIN + 6, &info, 0) == -1);
	for (int i = 0; i < MANY; i++)
		CHECK(i % 3 == 0 || delete (timers[i]) == 0);
}

static int after_exec(void)
{
	struct itimerval left;
	siginfo_t info;

	CHECK(overrun(0) == -1 && errno == EINVAL && !is_pending(SIGUSR1));
	CHECK(take(SIGUSR1, &info, 3000000) == -1 && errno == EAGAIN);
	CHECK(make(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0) == 2);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec > 900);
	return 0;
}

/* fork inherits no timer; exec keeps those of setitimer alone, and the count of numbers. */
static void check_processes(char *self)
{
	char *again[] = {self, (char *)"exec", NULL};
	struct itimerval long_one = {{0, 0}, {1000, 0}}, left;
	int status, mine = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
	pid_t child;

	CHECK(setitimer(ITIMER_REAL, &long_one, NULL) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		CHECK(overrun(mine) == -1 && errno == EINVAL);
		CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec == 0);
		CHECK(setitimer(ITIMER_REAL, &long_one, NULL) == 0);
		block(SIG_BLOCK, SIGUSR1);
		CHECK(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1) == 0);
		CHECK(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1) == 1);
		arm(0, 1000, 1000000);
		arm(1, 1000000, 1000000);
		usleep(2000);
		CHECK(is_pending(SIGUSR1));
		execv(self, again);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0 && delete (mine) == 0);
	long_one.it_value.tv_sec = 0;
	CHECK(setitimer(ITIMER_REAL, &long_one, &left) == 0 && left.it_value.tv_sec > 900);
}

/* A repeating alarm that nobody takes is due once, and goes on when it is taken. */
static void check_unheard(void)
{
	struct itimerval timer = {{0, 1000}, {0, 1000}}, now;
	siginfo_t info;

	block(SIG_BLOCK, SIGALRM);
	signal(SIGALRM, note);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	usleep(5500);
	CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_usec == 0);
	CHECK(now.it_interval.tv_usec == 1000 && take(SIGALRM, &info, 0) == SIGALRM);
	CHECK(info.si_code == SI_KERNEL && info.si_pid == 0);
	CHECK(take(SIGALRM, &info, SECOND) == SIGALRM);
	signal(SIGALRM, SIG_IGN);
	block(SIG_UNBLOCK, SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	usleep(5500);
	CHECK(getitimer(ITIMER_REAL, &now) == 0 && now.it_value.tv_usec == 0);
	timer.it_value.tv_usec = 0;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void over_limit(int number, siginfo_t *info, void *context)
{
	(void)context;
	CHECK(number == SIGXCPU && info->si_code == SI_KERNEL && info->si_pid == 0);
	seen = seen + 1;
}

/* SIGXCPU at the soft limit of cpu time, SIGKILL at the hard one; inherited by fork. */
static void check_cpu_limit(void)
{
	struct sigaction action = {.sa_sigaction = over_limit, .sa_flags = SA_SIGINFO};
	int status, ends[2];
	char byte;
	pid_t child;

	CHECK(pipe(ends) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		struct rlimit limit = {1, 2};

		CHECK(sigaction(SIGXCPU, &action, NULL) == 0);
		CHECK(setrlimit(RLIMIT_CPU, &limit) == 0 && close(ends[0]) == 0);
		if (fork() > 0)
			_exit(wait(&status) < 0 || WTERMSIG(status) != SIGKILL);
		seen = 0;
		while (!seen)
			getppid();
		CHECK(clock_ns(CLOCK_PROCESS_CPUTIME_ID) > SECOND / 2);
		CHECK(getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_cur == 2);
		CHECK(write(ends[1], "x", 1) == 1);
		for (;;)
			getppid();
	}
	CHECK(close(ends[1]) == 0 && read(ends[0], &byte, 1) == 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0 && close(ends[0]) == 0);
}

/* A timer counts as a queued signal. */
static void check_limit(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	struct rlimit old, tight;
	int timer;

	CHECK(getrlimit(RLIMIT_SIGPENDING, &old) == 0);
	tight = old;
	tight.rlim_cur = 0;
	CHECK(setrlimit(RLIMIT_SIGPENDING, &tight) == 0);
	CHECK(create(CLOCK_MONOTONIC, &none, &timer) == -1 && errno == EAGAIN);
	CHECK(setrlimit(RLIMIT_SIGPENDING, &old) == 0);
	CHECK(create(CLOCK_MONOTONIC, &none, &timer) == 0 && delete (timer) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return after_exec();
	check_numbers();
	check_clocks();
	check_alarm_clocks();
	check_arguments();
	check_silent();
	check_signal();
	check_overruns();
	if (has_void_signals()) {
		check_void();
		check_ignored();
	}
	check_thread();
	check_libc_thread();
	check_cpu();
	check_disarmed();
	check_cpu_sleep();
	check_cpu_sleep_rest();
	check_many();
	check_processes(argv[0]);
	check_unheard();
	check_limit();
	check_cpu_limit();
	printf("timers ok\n");
	return 0;
}
