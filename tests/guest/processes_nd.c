/*
 * Prints what differs between runs of families of tasks on bare Linux: ids of processes and
 * threads, the order in which children end and threads get a lock, cpu time, how often a turn was
 * given away.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define CHILDREN 6
#define THREADS	 6

static void work(int amount)
{
	struct timespec pause = {0, 1000 * (amount % 7)};

	for (volatile int i = 0; i < amount * 1000; i++)
		;
	nanosleep(&pause, NULL);
	sched_yield();
}

static void print_children(void)
{
	int status;
	pid_t pid;

	for (int i = 0; i < CHILDREN; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			work((i * 37 + getpid()) % 11 * 10);
			_exit(i);
		}
		printf("child %d\n", (int)pid);
	}
	while ((pid = wait(&status)) > 0)
		printf("ended %d %d\n", (int)pid, WEXITSTATUS(status));
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int order[THREADS * 20], taken;

static void *take_turns(void *number)
{
	for (int i = 0; i < 20; i++) {
		work(3);
		pthread_mutex_lock(&lock);
		order[taken++] = (int)(long)number;
		pthread_mutex_unlock(&lock);
	}
	return (void *)syscall(SYS_gettid);
}

static void print_threads(void)
{
	pthread_t threads[THREADS];
	void *tid;

	for (long i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], &tid) == 0);
		printf("thread %ld\n", (long)tid);
	}
	for (int i = 0; i < taken; i++)
		printf("%d%c", order[i], i % 20 == 19 ? '\n' : ' ');
}

static void print_use(const char *name, int who)
{
	struct rusage use;

	CHECK(getrusage(who, &use) == 0);
	printf("%s %ld.%06ld %ld.%06ld maxrss %ld faults %ld %ld switches %ld %ld\n", name,
	       (long)use.ru_utime.tv_sec, (long)use.ru_utime.tv_usec, (long)use.ru_stime.tv_sec,
	       (long)use.ru_stime.tv_usec, use.ru_maxrss, use.ru_minflt, use.ru_majflt,
	       use.ru_nvcsw, use.ru_nivcsw);
}

int main(void)
{
	struct tms t;

	printf("%d %d %d %d\n", getpid(), getppid(), getpgrp(), getsid(0));
	print_children();
	print_threads();
	print_use("self", RUSAGE_SELF);
	print_use("children", RUSAGE_CHILDREN);
	printf("times %ld %ld\n", (long)times(&t), (long)clock());
	return 0;
}
