/*
 * What an event costs while many tasks are alive.  MODE TASKS COUNT: TASKS threads (or processes,
 * where the mode begins with p-) of which some do COUNT operations in all and the rest wait.
 *
 *	call    one calls getppid
 *	signal  one sends its process a signal and handles it
 *	cpu     one reads the process's cpu time
 *	futex   two hand a token to and fro
 *	pipe    four pairs hand a byte to and fro
 *	round   all yield in turn
 *	birth   one makes a task and waits for its end
 *
 * bench/tasks measures the time from outside; the counts printed are the same everywhere.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define STACK_SIZE (64 << 10)

/* Shared by all tasks, processes too. */
struct shared {
	atomic_uint ready, go, token[2];
	int pipes[8][2];
};

static struct shared *shared;
static unsigned tasks, count;
static int futex_private = FUTEX_PRIVATE_FLAG;

static void word_wait(atomic_uint *word, unsigned value)
{
	syscall(SYS_futex, word, FUTEX_WAIT | futex_private, value, NULL);
}

static void word_set(atomic_uint *word, unsigned value)
{
	*word = value;
	syscall(SYS_futex, word, FUTEX_WAKE | futex_private, 1 << 30);
}

static void wait_until(atomic_uint *word, unsigned value)
{
	for (unsigned now; (now = *word) < value;)
		word_wait(word, now);
}

/* ---- the modes: what task number `self` does once all are there ---- */

static volatile sig_atomic_t taken;

static void on_signal(int sig)
{
	(void)sig;
	taken++;
}

static void do_call(unsigned self)
{
	for (unsigned i = 0; self == 0 && i < count; i++)
		syscall(SYS_getppid);
}

static void do_signal(unsigned self)
{
	for (unsigned i = 0; self == 0 && i < count; i++)
		kill(getpid(), SIGUSR1);
}

static void do_cpu(unsigned self)
{
	struct timespec now;

	for (unsigned i = 0; self == 0 && i < count; i++)
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
}

static void do_futex(unsigned self)
{
	for (unsigned i = 1; self < 2 && i <= count / 2; i++) {
		if (self == 0)
			word_set(&shared->token[0], i);
		wait_until(&shared->token[self == 0], i);
		if (self == 1)
			word_set(&shared->token[1], i);
	}
}

static void do_pipe(unsigned self)
{
	char byte = 0;

	for (unsigned i = 0; self < 8 && i < count / 8; i++) {
		if (self % 2 == 0)
			CHECK(write(shared->pipes[self][1], &byte, 1) == 1);
		CHECK(read(shared->pipes[self ^ 1][0], &byte, 1) == 1);
		if (self % 2 == 1)
			CHECK(write(shared->pipes[self][1], &byte, 1) == 1);
	}
}

static void do_round(unsigned self)
{
	(void)self;
	for (unsigned i = 0; i < count / tasks; i++)
		sched_yield();
}

static void *nothing(void *arg)
{
	return arg;
}

static void do_birth_thread(unsigned self)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (unsigned i = 0; self == 0 && i < count; i++) {
		CHECK(pthread_create(&thread, &attr, nothing, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
}

static void do_birth_process(unsigned self)
{
	for (unsigned i = 0; self == 0 && i < count; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		CHECK(child > 0 && waitpid(child, NULL, 0) == child);
	}
}

struct mode {
	const char *name;
	void (*run)(unsigned self);
	int all_run; /* nobody waits for the end but the first */
};

static const struct mode modes[] = {
	{"call", do_call, 0},
	{"signal", do_signal, 0},
	{"cpu", do_cpu, 0},
	{"futex", do_futex, 0},
	{"pipe", do_pipe, 0},
	{"round", do_round, 1},
	{"birth", do_birth_thread, 0},
	{"p-call", do_call, 0},
	{"p-signal", do_signal, 0},
	{"p-futex", do_futex, 0},
	{"p-pipe", do_pipe, 0},
	{"p-round", do_round, 1},
	{"p-birth", do_birth_process, 0},
};
static const struct mode *mode;

/* ---- the crowd ---- */

static void *task_body(void *arg)
{
	unsigned self = (unsigned)(unsigned long)arg;

	if (atomic_fetch_add(&shared->ready, 1) + 1 == tasks)
		word_set(&shared->go, 1);
	wait_until(&shared->go, 1);
	mode->run(self);
	if (!mode->all_run && self == 0)
		word_set(&shared->go, 2);
	if (!mode->all_run)
		wait_until(&shared->go, 2);
	return NULL;
}

static void run_threads(void)
{
	pthread_t *threads = calloc(tasks, sizeof(*threads));
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	for (unsigned long i = 1; i < tasks; i++)
		CHECK(pthread_create(&threads[i], &attr, task_body, (void *)i) == 0);
	task_body(NULL);
	for (unsigned i = 1; i < tasks; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	free(threads);
}

static void run_processes(void)
{
	futex_private = 0;
	for (unsigned long i = 1; i < tasks; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			task_body((void *)i);
			_exit(0);
		}
	}
	task_body(NULL);
	for (unsigned i = 1; i < tasks; i++) {
		int status;

		CHECK(wait(&status) > 0 && status == 0);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 4);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[1], modes[i].name) == 0)
			mode = &modes[i];
	}
	tasks = (unsigned)atoi(argv[2]);
	count = (unsigned)atoi(argv[3]);
	CHECK(mode != NULL && tasks >= 8);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	for (int i = 0; i < 8; i++)
		CHECK(pipe(shared->pipes[i]) == 0);
	signal(SIGUSR1, on_signal);
	if (mode->name[0] == 'p' && mode->name[1] == '-')
		run_processes();
	else
		run_threads();
	printf("%s %u tasks %u signals %d\n", mode->name, tasks, count, (int)taken);
	return 0;
}
