/*
 * The three calls through the vsyscall page, which a kernel may have left out: inside they work all
 * the same, and their time is the container's.
 */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#include "check.h"

#define VSYSCALL 0xffffffffff600000ul

int main(void)
{
	int (*get_time_of_day)(struct timeval *, void *) = (void *)VSYSCALL;
	time_t (*get_time)(time_t *) = (void *)(VSYSCALL + 1024);
	long (*get_cpu)(unsigned *, unsigned *, void *) = (void *)(VSYSCALL + 2048);
	struct timeval tv;
	struct timespec before, after;
	unsigned cpu = 9, node = 9;
	time_t t = 0;

	for (int i = 0; i < 3; i++) {
		CHECK(clock_gettime(CLOCK_REALTIME, &before) == 0);
		CHECK(get_time_of_day(&tv, NULL) == 0 && get_time(&t) == t);
		CHECK(clock_gettime(CLOCK_REALTIME, &after) == 0);
		CHECK(tv.tv_sec >= before.tv_sec && tv.tv_sec <= after.tv_sec &&
		      t >= before.tv_sec && t <= after.tv_sec);
		CHECK(get_cpu(&cpu, &node, NULL) == 0);
		printf("%ld.%06ld %ld cpu %u node %u\n", (long)tv.tv_sec, (long)tv.tv_usec, (long)t,
		       cpu, node);
	}
	return 0;
}
