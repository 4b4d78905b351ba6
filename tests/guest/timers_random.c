/*
 * Random calls on timers: timer descriptors, POSIX timers with signals, the interval timer and
 * alarm, sleeping. timers_random SEED COUNT. What depends on when a call happens is held against
 * bounds: clocks are read before and after it. Nothing is told too early or twice, on any machine;
 * with EXACT in the environment (time is virtual) nothing is told late, either. Errors are printed.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define SLACK	  1000000 /* by which a bare kernel may let a sleeper wait longer */
#define AGAIN_US  10000
#define FILES	  4
#define TIMERS	  6 /* the last tells nobody */
#define SECOND	  1000000000ll
#define SIGNAL(i) (SIGRTMIN + 1 + (i))
#define IN_US(ns) ((ns) / 1000)
#define NS_OF(ts) ((ts).tv_sec * SECOND + (ts).tv_nsec)
#define US_OF(tv) ((tv).tv_sec * 1000000ll + (tv).tv_usec)

/* The first expiry is due between these two times; then every `interval`. */
struct model {
	bool armed;
	int64_t earliest, latest, interval;
	int64_t told; /* expiries */
};

static uint64_t state;
static bool exact;
static int files[FILES];
static timer_t timers[TIMERS];
static struct model file_models[FILES], timer_models[TIMERS], real;
static int64_t before, after;

static uint32_t rnd(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33) % below;
}

static int64_t now(void)
{
	struct timespec ts;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return NS_OF(ts);
}

static struct timespec spec(int64_t ns)
{
	return (struct timespec){ns / SECOND, ns % SECOND};
}

/* Mostly short enough to pass while the program runs, or long enough not to. */
static int64_t some_ns(void)
{
	static const uint32_t most[] = {1000, 100000, 2000000};

	return rnd(4) == 0 ? (1000 + rnd(1000)) * SECOND : 1 + rnd(most[rnd(3)]);
}

/* ---- the model ---- */

static void model_set(struct model *m, int64_t value, int64_t interval, bool absolute)
{
	*m = (struct model){.armed = value != 0, .interval = interval};
	m->earliest = absolute ? value : before + value;
	m->latest = absolute ? value : after + value;
}

static int64_t expiries(const struct model *m, int64_t first, int64_t at)
{
	if (!m->armed || at < first)
		return 0;
	return m->interval != 0 ? (at - first) / m->interval + 1 : 1;
}

/* So many more expiries were told between `before` and `after`. */
static void model_told(struct model *m, int64_t count)
{
	m->told += count;
	CHECK(m->told <= expiries(m, m->earliest, after));
	CHECK(!exact || m->told >= expiries(m, m->latest, before));
}

/* What is left, and the interval, as a call told between `before` and `after`. */
static void model_left(const struct model *m, int64_t left, int64_t interval)
{
	int64_t most = m->latest - before;

	CHECK(left >= 0 && interval == (m->armed ? m->interval : 0));
	if (!m->armed)
		CHECK(left == 0);
	else if (m->earliest > after)
		CHECK(left >= m->earliest - after && left <= most);
	else if (m->interval == 0)
		CHECK(left <= (most > 1 ? most : 1));
	else
		CHECK(left <= (most > m->interval ? most : m->interval));
}

/* ---- timer descriptors ---- */

static void file_set(void)
{
	int i = (int)rnd(FILES);
	bool absolute = rnd(3) == 0;
	int64_t value = rnd(5) == 0 ? 0 : some_ns(), interval = rnd(2) ? some_ns() : 0;
	struct itimerspec new, old;

	value += absolute && value != 0 ? now() : 0;
	new = (struct itimerspec){spec(interval), spec(value)};
	before = now();
	CHECK(timerfd_settime(files[i], absolute ? TFD_TIMER_ABSTIME : 0, &new, &old) == 0);
	after = now();
	if (file_models[i].armed)
		model_left(&file_models[i], NS_OF(old.it_value), NS_OF(old.it_interval));
	model_set(&file_models[i], value, interval, absolute);
}

static void file_get(void)
{
	int i = (int)rnd(FILES);
	struct itimerspec got;

	before = now();
	CHECK(timerfd_gettime(files[i], &got) == 0);
	after = now();
	if (file_models[i].armed)
		model_left(&file_models[i], NS_OF(got.it_value), NS_OF(got.it_interval));
}

static void file_read(void)
{
	int i = (int)rnd(FILES);
	uint64_t ticks = 0;

	before = now();
	ssize_t n = read(files[i], &ticks, sizeof(ticks));
	after = now();
	CHECK(n == sizeof(ticks) ? ticks != 0 : n == -1 && errno == EAGAIN);
	model_told(&file_models[i], n == sizeof(ticks) ? (int64_t)ticks : 0);
}

/* ---- POSIX timers ---- */

/* The signal of timer i, if it is there. */
static bool take(int i, siginfo_t *info)
{
	struct timespec none = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL(i));
	return sigtimedwait(&set, info, &none) == SIGNAL(i);
}

static void timer_set(void)
{
	int i = (int)rnd(TIMERS);
	bool absolute = rnd(3) == 0;
	int64_t value = rnd(5) == 0 ? 0 : some_ns(), interval = rnd(2) ? some_ns() : 0;
	struct itimerspec new, old;
	siginfo_t info;

	/* What is pending belongs to the time before. */
	value += absolute && value != 0 ? now() : 0;
	new = (struct itimerspec){spec(interval), spec(value)};
	CHECK(timer_settime(timers[i], 0, &(struct itimerspec){0}, NULL) == 0);
	take(i, &info);
	before = now();
	CHECK(timer_settime(timers[i], absolute ? TIMER_ABSTIME : 0, &new, &old) == 0);
	after = now();
	CHECK(NS_OF(old.it_interval) == 0);
	model_set(&timer_models[i], value, interval, absolute);
}

static void timer_get(void)
{
	int i = (int)rnd(TIMERS);
	struct itimerspec got;

	before = now();
	CHECK(timer_gettime(timers[i], &got) == 0);
	after = now();
	if (timer_models[i].armed)
		model_left(&timer_models[i], NS_OF(got.it_value), NS_OF(got.it_interval));
}

static void timer_take(void)
{
	int i = (int)rnd(TIMERS - 1);
	siginfo_t info;

	before = now();
	bool came = take(i, &info);
	after = now();
	if (!came) {
		model_told(&timer_models[i], 0);
		return;
	}
	CHECK(info.si_code == SI_TIMER && info.si_value.sival_int == i);
	CHECK(timer_getoverrun(timers[i]) == info.si_overrun);
	model_told(&timer_models[i], info.si_overrun + 1ll);
}

/* ---- the interval timer and alarm, which are one ---- */

static void real_taken(void)
{
	struct timespec none = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	while (sigtimedwait(&set, NULL, &none) > 0)
		continue;
}

static struct itimerval usec(int64_t interval, int64_t value)
{
	return (struct itimerval){{interval / 1000000, interval % 1000000},
				  {value / 1000000, value % 1000000}};
}

static void real_set(void)
{
	int64_t value = rnd(4) == 0 ? 0 : IN_US(some_ns()),
		interval = rnd(2) ? IN_US(some_ns()) : 0;
	struct itimerval new = usec(interval, value), old;

	before = now();
	CHECK(setitimer(ITIMER_REAL, &new, &old) == 0);
	after = now();
	if (real.armed && real.earliest > after + 1000)
		CHECK(US_OF(old.it_value) <= IN_US(real.latest - before) + 1);
	real_taken();
	model_set(&real, value * 1000, interval * 1000, false);
}

static void real_get(void)
{
	struct itimerval got;

	before = now();
	CHECK(getitimer(ITIMER_REAL, &got) == 0);
	after = now();
	CHECK(US_OF(got.it_interval) * 1000 == (real.armed ? real.interval : 0));
	if (real.armed && real.earliest > after + 1000)
		CHECK(US_OF(got.it_value) <= IN_US(real.latest - before) + 1 &&
		      US_OF(got.it_value) + 1 >= IN_US(real.earliest - after));
}

static void real_alarm(void)
{
	unsigned seconds = rnd(3) == 0 ? 0 : 1000 + rnd(1000);

	before = now();
	int64_t left = alarm(seconds);
	after = now();
	if (real.armed && real.earliest > after + SECOND)
		CHECK(left <= (real.latest - before) / SECOND + 1 &&
		      left >= (real.earliest - after) / SECOND);
	real_taken();
	model_set(&real, seconds * SECOND, 0, false);
}

/* ---- sleeping ---- */

static void sleeps(void)
{
	int64_t ns = rnd(300000);
	struct timespec until;

	before = now();
	until = spec(before + ns);
	if (rnd(2))
		CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
	else
		CHECK(nanosleep(&(struct timespec){0, ns}, NULL) == 0);
	CHECK(now() >= before + ns);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms += sig == SIGALRM;
}

/* A sleep that the interval timer ends; the rest is told.  It comes again, as on a busy machine it
 * may come before the sleep has begun. */
static void sleep_interrupted(void)
{
	int64_t ns = 1000 + rnd(200000);
	struct itimerval soon = usec(AGAIN_US, IN_US(ns) + 1);
	struct timespec rest;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL) == 0);
	real_taken();
	alarms = 0;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	before = now();
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	while (alarms == 0) {
		if (nanosleep(&(struct timespec){100, 0}, &rest) == 0)
			CHECK(!"nothing ended the sleep");
		CHECK(errno == EINTR && NS_OF(rest) <= 100 * SECOND + SLACK && NS_OF(rest) > 0);
	}
	after = now();
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL) == 0);
	CHECK(after - before >= US_OF(soon.it_value) * 1000 && (!exact || alarms == 1));
	CHECK(!exact || after - before < US_OF(soon.it_value) * 1000 + SECOND / 1000);
	real_taken();
	real = (struct model){0};
}

/* ---- errors ---- */

static long result(long r)
{
	return r < 0 ? -errno : r;
}

static void wrong(void)
{
	static const long nsecs[] = {0, -1, SECOND, 999999999};
	static const long secs[] = {0, -1, 1, 5};
	struct itimerspec bad = {{secs[rnd(4)], nsecs[rnd(4)]}, {secs[rnd(4)], nsecs[rnd(4)]}}, old;
	struct itimerval bad_us = {{secs[rnd(4)], nsecs[rnd(4)]}, {secs[rnd(4)], nsecs[rnd(4)]}};
	int fd = rnd(2) ? (int)rnd(3) : 999, flags = (int)rnd(16), clock = (int)rnd(16);
	bool nothing = rnd(4) == 0;

	printf("%ld ",
	       result(syscall(SYS_timerfd_settime, fd, flags, nothing ? NULL : &bad, &old)));
	printf("%ld ", result(syscall(SYS_timerfd_gettime, fd, &old)));
	printf("%ld ",
	       result(syscall(SYS_timer_settime, 1000 + fd, flags, nothing ? NULL : &bad, &old)));
	printf("%ld ", result(syscall(SYS_timer_gettime, 1000 + fd, &old)));
	printf("%ld ", result(syscall(SYS_timer_getoverrun, -1 - fd)));
	printf("%ld ", result(syscall(SYS_timer_delete, 1000 + fd)));
	printf("%ld ", result(syscall(SYS_setitimer, 3 + clock, &bad_us, NULL)));
	printf("%ld ", result(syscall(SYS_getitimer, clock | 4, &bad_us)));
	bad.it_value.tv_sec = bad.it_value.tv_sec > 0 ? -2 : bad.it_value.tv_sec;
	bad.it_value.tv_nsec = bad.it_value.tv_nsec == 999999999 ? 0 : bad.it_value.tv_nsec;
	printf("%ld ", result(syscall(SYS_nanosleep, &bad.it_value, NULL)));
	printf("%ld\n", result(syscall(SYS_clock_nanosleep, clock == 8 || clock == 9 ? 0 : clock,
				       TIMER_ABSTIME, &bad.it_value, NULL)));
}

static void begin(void)
{
	sigset_t all;

	sigfillset(&all);
	CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
	CHECK(signal(SIGALRM, on_alarm) != SIG_ERR);
	for (int i = 0; i < FILES; i++)
		CHECK((files[i] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)) >= 0);
	for (int i = 0; i < TIMERS; i++) {
		struct sigevent event = {
			.sigev_notify = i == TIMERS - 1 ? SIGEV_NONE : SIGEV_SIGNAL,
			.sigev_signo = SIGNAL(i),
		};

		event.sigev_value.sival_int = i;
		CHECK(timer_create(CLOCK_MONOTONIC, &event, &timers[i]) == 0);
	}
}

int main(int argc, char **argv)
{
	static void (*const calls[])(void) = {
		file_set,   file_get,	       file_read,  file_read, timer_set,
		timer_get,  timer_take,	       timer_take, real_set,  real_get,
		real_alarm, sleep_interrupted, sleeps,	   wrong,
	};

	CHECK(argc == 3);
	state = strtoull(argv[1], NULL, 10);
	exact = getenv("EXACT") != NULL;
	begin();
	for (int i = atoi(argv[2]); i > 0; i--)
		calls[rnd(sizeof(calls) / sizeof(*calls))]();
	puts("ok");
	return 0;
}
