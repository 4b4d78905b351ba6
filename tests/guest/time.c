/*
 * Time: clocks never go back and agree with each other, sleeping takes at least as long as asked,
 * limits in the past end at once, file times follow the clock, timers tell what is left.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define SECOND 1000000000L

static long clock_ns(clockid_t clock)
{
	struct timespec now;

	CHECK(clock_gettime(clock, &now) == 0);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static void check_clocks(void)
{
	static const clockid_t clocks[] = {
		CLOCK_REALTIME, CLOCK_MONOTONIC,	  CLOCK_MONOTONIC_RAW,
		CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
		CLOCK_TAI};
	struct timespec step;
	struct timeval tv;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		long last = clock_ns(clocks[i]);

		CHECK(clock_getres(clocks[i], &step) == 0 && step.tv_sec == 0 && step.tv_nsec > 0);
		for (int k = 0; k < 100; k++) {
			long now = clock_ns(clocks[i]);

			CHECK(now >= last);
			last = now;
		}
	}
	CHECK(gettimeofday(&tv, NULL) == 0);
	long wall = clock_ns(CLOCK_REALTIME);
	CHECK(wall / SECOND - tv.tv_sec <= 1 && labs(time(NULL) - wall / SECOND) <= 1);
	CHECK(syscall(SYS_time, NULL) >= tv.tv_sec);
	CHECK(clock_gettime(12345, &step) == -1 && errno == EINVAL);
}

static void check_sleep(void)
{
	struct timespec wait = {2, 500000000}, at, bad = {0, SECOND}, past = {1, 0};
	long before = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME);

	CHECK(nanosleep(&wait, NULL) == 0);
	CHECK(clock_ns(CLOCK_MONOTONIC) - before >= 5 * SECOND / 2);
	CHECK(clock_ns(CLOCK_REALTIME) - wall >= 5 * SECOND / 2);
	CHECK(nanosleep(&bad, NULL) == -1 && errno == EINVAL);
	before = clock_ns(CLOCK_MONOTONIC) + SECOND / 5;
	at = (struct timespec){before / SECOND, before % SECOND};
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
	CHECK(clock_ns(CLOCK_MONOTONIC) >= before);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL) == 0);
	CHECK(sched_yield() == 0);
}

static void check_timer(void)
{
	struct itimerval timer = {{0, 0}, {1000, 0}}, left;

	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec >= 998);
	timer.it_value.tv_sec = 0;
	CHECK(setitimer(ITIMER_REAL, &timer, &left) == 0 && left.it_value.tv_sec >= 998);
	CHECK(getitimer(ITIMER_REAL, &left) == 0 && left.it_value.tv_sec == 0);
	/* As long as there is time, counted from the boot. */
	timer.it_value.tv_sec = INT64_MAX;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	timer.it_value.tv_sec = 0;
	CHECK(setitimer(ITIMER_REAL, &timer, &left) == 0);
	CHECK(left.it_value.tv_sec > 9000000000 && left.it_value.tv_sec < 9223372036);
}

static long mtime_ns(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return st.st_mtim.tv_sec * SECOND + st.st_mtim.tv_nsec;
}

static void check_files(void)
{
	struct timespec given[2] = {{1000, 5}, {2000, 7}},
			omit[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
	struct stat st;
	int fd = open("timed", O_CREAT | O_WRONLY, 0600);
	long made = mtime_ns("timed");

	CHECK(fd >= 0 && clock_ns(CLOCK_REALTIME) >= made);
	usleep(50000);
	CHECK(write(fd, "x", 1) == 1 && mtime_ns("timed") > made);
	CHECK(futimens(fd, given) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_mtim.tv_sec == 2000 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_nsec == 7);
	CHECK(utimensat(AT_FDCWD, "timed", omit, 0) == 0 && mtime_ns("timed") > made);
	CHECK(stat("timed", &st) == 0 && st.st_atim.tv_sec == 1000);
	CHECK(close(fd) == 0 && unlink("timed") == 0);
}

static void check_usage(void)
{
	struct rusage usage;
	struct tms spent;

	CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0);
	CHECK(getrusage(RUSAGE_CHILDREN, &usage) == 0 && times(&spent) != (clock_t)-1);
	CHECK(clock() != (clock_t)-1);
}

int main(void)
{
	check_clocks();
	check_sleep();
	check_timer();
	check_files();
	check_usage();
	printf("time ok\n");
	return 0;
}
