/*
 * What differs from run to run on bare Linux about timers and signals: remaining times, overruns
 * and ticks, cpu times and usage, the rest of interrupted sleeps, where a signal arrives and which
 * thread takes it, timestamps of siginfo's kind.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define THREADS 4

static volatile sig_atomic_t seen, taker = -1;
static __thread int number_of_thread = -1;
static volatile int stop;

static void note(int number)
{
	(void)number;
	seen = seen + 1;
	taker = number_of_thread;
}

static void show_itimers(void)
{
	static const int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
	struct itimerval timer = {{0, 0}, {100, 0}}, left;

	for (int i = 0; i < 3; i++) {
		CHECK(setitimer(which[i], &timer, NULL) == 0);
		for (int k = 0; k < 1000; k++)
			getppid();
		CHECK(getitimer(which[i], &left) == 0);
		printf("itimer %d: %ld.%06ld\n", i, left.it_value.tv_sec, left.it_value.tv_usec);
		timer.it_value.tv_sec = 0;
		CHECK(setitimer(which[i], &timer, NULL) == 0);
		timer.it_value.tv_sec = 100;
	}
}

static void show_overruns(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	struct itimerspec every = {{0, 1000}, {0, 1000}}, left;
	struct timespec wait = {0, 3000000};
	uint64_t ticks;
	sigset_t set;
	siginfo_t info;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &every, NULL) == 0 && nanosleep(&wait, NULL) == 0);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && timer_gettime(timer, &left) == 0);
	printf("overruns %d left %ld\n", info.si_overrun, left.it_value.tv_nsec);
	CHECK(timer_delete(timer) == 0);
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(timerfd_settime(fd, 0, &every, NULL) == 0 && nanosleep(&wait, NULL) == 0);
	CHECK(read(fd, &ticks, sizeof(ticks)) == sizeof(ticks));
	CHECK(timerfd_gettime(fd, &left) == 0);
	printf("ticks %lu left %ld\n", (unsigned long)ticks, left.it_value.tv_nsec);
	close(fd);
}

static void show_clock(const char *name, clockid_t clock)
{
	struct timespec now;

	CHECK(clock_gettime(clock, &now) == 0);
	printf("%s %ld.%09ld\n", name, now.tv_sec, now.tv_nsec);
}

static void show_usage(void)
{
	struct rusage usage;
	struct tms spent;
	clockid_t parent;

	show_clock("realtime", CLOCK_REALTIME);
	show_clock("monotonic", CLOCK_MONOTONIC);
	show_clock("boottime", CLOCK_BOOTTIME);
	show_clock("tai", CLOCK_TAI);
	show_clock("process", CLOCK_PROCESS_CPUTIME_ID);
	show_clock("thread", CLOCK_THREAD_CPUTIME_ID);
	CHECK(clock_getcpuclockid(getpid(), &parent) == 0);
	show_clock("by pid", parent);
	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	printf("usage %ld.%06ld %ld\n", usage.ru_utime.tv_sec, usage.ru_utime.tv_usec,
	       usage.ru_maxrss);
	printf("times %ld", (long)times(&spent));
	printf(" %ld clock %ld\n", (long)spent.tms_utime, (long)clock());
}

/* Where an alarm arrives, and what is left of a sleep. */
static void show_arrival(void)
{
	struct sigaction action = {.sa_handler = note};
	struct itimerval soon = {{0, 0}, {0, 2000}};
	struct timespec wait = {1, 0}, rest;
	long calls = 0;

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	seen = 0;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	for (; !seen; calls++)
		getppid();
	printf("alarm after %ld calls\n", calls);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(nanosleep(&wait, &rest) == -1);
	printf("rest %ld.%09ld\n", rest.tv_sec, rest.tv_nsec);
}

static void *thread(void *number)
{
	number_of_thread = (int)(intptr_t)number;
	while (!stop)
		sched_yield();
	return NULL;
}

static void show_takers(void)
{
	struct sigaction action = {.sa_handler = note};
	pthread_t threads[THREADS];
	sigset_t set;

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	printf("takers");
	for (int i = 0; i < 20; i++) {
		seen = 0;
		CHECK(kill(getpid(), SIGUSR1) == 0);
		long turns = 0;
		for (; !seen; turns++)
			sched_yield();
		printf(" %d/%ld", (int)taker, turns);
	}
	printf("\n");
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Which of two children is heard of first. */
static void show_children(void)
{
	sigset_t set;
	siginfo_t info;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	for (int i = 0; i < 2; i++) {
		if (fork() == 0)
			_exit(i);
	}
	CHECK(sigwaitinfo(&set, &info) == SIGCHLD);
	printf("child %d of pid %d", info.si_status, info.si_pid);
	while (wait(&status) > 0)
		printf(" %d", WEXITSTATUS(status));
	printf("\n");
}

int main(void)
{
	show_itimers();
	show_overruns();
	show_usage();
	show_arrival();
	show_takers();
	show_children();
	return 0;
}
