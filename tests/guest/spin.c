/*
 * Loops that wait without a system call, each of them a fixed point: nothing changes from round to
 * round until somebody else stores something or a signal comes. `spin` checks them all, `spin NAME`
 * one of them; `spin deadlock` never ends; `spin input` reads its input meanwhile.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PAUSE() __asm__ volatile("pause")

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	CHECK(pthread_create(thread, NULL, run, arg) == 0);
}

/* ---- a plain flag ---- */

static volatile int flag;

static void *set_flag(void *arg)
{
	sleep_ms(3);
	flag = (int)(intptr_t)arg;
	return NULL;
}

static void test_flag(void)
{
	pthread_t thread;

	flag = 0;
	start(&thread, set_flag, (void *)7);
	while (flag == 0)
		;
	CHECK(flag == 7);
	pthread_join(thread, NULL);
}

/* ---- a lock of the C library, held while its owner waits ---- */

static pthread_spinlock_t spinlock;
static int guarded;

static void *lock_and_wait(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		pthread_spin_lock(&spinlock);
		int before = guarded;
		sleep_ms(1);
		guarded = before + 1;
		pthread_spin_unlock(&spinlock);
	}
	return NULL;
}

static void test_spinlock(void)
{
	pthread_t threads[3];

	guarded = 0;
	CHECK(pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE) == 0);
	for (int i = 0; i < 3; i++)
		start(&threads[i], lock_and_wait, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(guarded == 15);
}

/* ---- tickets: each waits for a number of its own ---- */

static atomic_uint ticket_next, ticket_now;
static char order[64];

static void *take_tickets(void *arg)
{
	for (int i = 0; i < 4; i++) {
		unsigned mine = atomic_fetch_add(&ticket_next, 1);

		while (atomic_load(&ticket_now) != mine)
			PAUSE();
		order[mine] = (char)('a' + (int)(intptr_t)arg);
		sched_yield();
		sleep_ms(1);
		atomic_fetch_add(&ticket_now, 1);
	}
	return NULL;
}

static void test_tickets(void)
{
	pthread_t threads[4];

	memset(order, 0, sizeof(order));
	ticket_next = ticket_now = 0;
	for (int i = 0; i < 4; i++)
		start(&threads[i], take_tickets, (void *)(intptr_t)i);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK(strlen(order) == 16);
}

/* ---- test and set: the loop writes, always the same ---- */

static atomic_flag taken = ATOMIC_FLAG_INIT;

static void *take_flag(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		while (atomic_flag_test_and_set(&taken))
			;
		int before = guarded;
		sleep_ms(1);
		guarded = before + 1;
		atomic_flag_clear(&taken);
	}
	return NULL;
}

static void test_atomic(void)
{
	pthread_t threads[3];

	guarded = 0;
	for (int i = 0; i < 3; i++)
		start(&threads[i], take_flag, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK(guarded == 9);
}

/* ---- a handler ends it ---- */

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
	alarmed = sig;
}

static void test_alarm(void)
{
	const struct itimerval once = {{0, 0}, {0, 20000}}, many = {{0, 5000}, {0, 5000}};
	const struct itimerval none = {{0, 0}, {0, 0}};
	struct timespec before, after;

	signal(SIGALRM, on_alarm);
	clock_gettime(CLOCK_MONOTONIC, &before);
	setitimer(ITIMER_REAL, &once, NULL);
	while (!alarmed)
		;
	clock_gettime(CLOCK_MONOTONIC, &after);
	long ms =
		(after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	CHECK(ms >= 19);
	setitimer(ITIMER_REAL, &many, NULL);
	for (int i = 0; i < 3; i++) {
		alarmed = 0;
		while (!alarmed)
			;
	}
	setitimer(ITIMER_REAL, &none, NULL);
}

/* Spinning uses the processor. */
static void test_cpu_timer(void)
{
	const struct itimerval once = {{0, 0}, {0, 30000}};
	struct timespec before, after;

	signal(SIGVTALRM, on_alarm);
	alarmed = 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	setitimer(ITIMER_VIRTUAL, &once, NULL);
	while (!alarmed)
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	long us =
		(after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	/* (Linux counts in ticks, which may come when it suits.) */
	CHECK(alarmed == SIGVTALRM && us > 0);
}

/* ---- several at once, each freed by the one before ---- */

#define CHAIN 6
static volatile int links[CHAIN + 1];

static void *chain_link(void *arg)
{
	int i = (int)(intptr_t)arg;

	while (!links[i])
		PAUSE();
	links[i + 1] = links[i] + 1;
	return NULL;
}

static void test_chain(void)
{
	pthread_t threads[CHAIN];

	memset((void *)links, 0, sizeof(links));
	for (int i = CHAIN - 1; i >= 0; i--)
		start(&threads[i], chain_link, (void *)(intptr_t)i);
	sleep_ms(2);
	links[0] = 1;
	while (!links[CHAIN])
		PAUSE();
	CHECK(links[CHAIN] == CHAIN + 1);
	for (int i = 0; i < CHAIN; i++)
		pthread_join(threads[i], NULL);
}

/* ---- through calls, so that the round writes return addresses, and with vector registers ---- */

static __attribute__((noinline)) int calls_deeper(volatile int *at, int depth)
{
	return depth == 0 ? *at : calls_deeper(at, depth - 1) + (at == NULL);
}

static __attribute__((noinline)) double weighed(volatile double *at)
{
	return *at * 0.5 + 1.0;
}

static volatile double weight;

static void *set_both(void *arg)
{
	(void)arg;
	sleep_ms(1);
	flag = 1;
	sleep_ms(1);
	weight = 4.0;
	return NULL;
}

static void test_calls(void)
{
	pthread_t thread;

	flag = 0;
	weight = 0;
	start(&thread, set_both, NULL);
	while (calls_deeper(&flag, 2) == 0 || calls_deeper(&flag, 1) == 0)
		;
	while (weighed(&weight) < 2.0)
		;
	CHECK(weighed(&weight) == 3.0);
	pthread_join(thread, NULL);
}

/* ---- between two processes ---- */

static void test_processes(void)
{
	volatile int *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	CHECK(shared != MAP_FAILED);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 5; i++) {
			while (shared[0] != 2 * i + 1)
				PAUSE();
			shared[0]++;
		}
		_exit(shared[0]);
	}
	for (int i = 0; i < 5; i++) {
		shared[0]++;
		while (shared[0] != 2 * i + 2)
			PAUSE();
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 10);
	munmap((void *)shared, 4096);
}

/* ---- exit_group reaches who spins ---- */

static void *spin_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		PAUSE();
	return NULL;
}

static void test_killed(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		pthread_t thread;

		start(&thread, spin_for_ever, NULL);
		sleep_ms(5);
		_exit(9);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		spin_for_ever(NULL);
	sleep_ms(5);
	CHECK(kill(child, SIGTERM) == 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* ---- a million locks, seldom contended ---- */

static void *lock_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		pthread_spin_lock(&spinlock);
		guarded++;
		if (i % 20 == 0)
			sched_yield();
		pthread_spin_unlock(&spinlock);
	}
	return NULL;
}

static void test_often(void)
{
	pthread_t threads[2];

	guarded = 0;
	CHECK(pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE) == 0);
	for (int i = 0; i < 2; i++)
		start(&threads[i], lock_often, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK(guarded == 400);
}

/* ---- yielding until a timer, however far away that is inside ---- */

static void *yield_until_alarm(void *arg)
{
	while (!alarmed)
		sched_yield();
	return arg;
}

static void test_yield(void)
{
	struct itimerval later = {{0, 0}, {0, 50000}};
	const char *seconds = getenv("SPIN_SECONDS");
	pthread_t thread;

	if (seconds != NULL)
		later.it_value = (struct timeval){atoi(seconds), 0};
	signal(SIGALRM, on_alarm);
	alarmed = 0;
	CHECK(setitimer(ITIMER_REAL, &later, NULL) == 0);
	start(&thread, yield_until_alarm, NULL);
	yield_until_alarm(NULL);
	pthread_join(thread, NULL);
}

/* ---- a turn handed to and fro ---- */

static atomic_int side;
static int handoffs = 200;

static void *hand_over(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < handoffs; i++) {
		while (atomic_load_explicit(&side, memory_order_acquire) != mine)
			PAUSE();
		guarded++;
		atomic_store_explicit(&side, 1 - mine, memory_order_release);
	}
	return NULL;
}

static void test_handoff(void)
{
	pthread_t thread;

	guarded = 0;
	start(&thread, hand_over, (void *)1);
	hand_over((void *)0);
	pthread_join(thread, NULL);
	CHECK(guarded == 2 * handoffs);
}

/* ---- who looks is not seen in the flags ---- */

#define FLAG_TF 0x100

static void test_flags(void)
{
	unsigned long seen = 0, rounds = 50000000;

	__asm__ volatile("sub $128, %%rsp\n"
			 "1: pushfq\n"
			 "pop %%rax\n"
			 "or %%rax, %0\n"
			 "dec %1\n"
			 "jnz 1b\n"
			 "add $128, %%rsp"
			 : "+r"(seen), "+r"(rounds)
			 :
			 : "rax", "cc");
	CHECK((seen & FLAG_TF) == 0);
}

/* ---- code of the program's own ---- */

static uint8_t *code;

static void *run_code(void *arg)
{
	((void (*)(volatile int *))(uintptr_t)code)(&flag);
	return arg;
}

static void start_code(pthread_t *thread, const char *bytes, size_t size, int prot)
{
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(code != MAP_FAILED);
	memcpy(code, bytes, size);
	CHECK(mprotect(code, 4096, prot) == 0);
	start(thread, run_code, NULL);
	sleep_ms(3);
}

/* A jump to itself, until another instruction stands there. */
static void test_own_code(void)
{
	static const char bytes[] = "\xeb\xfe\xc3";
	pthread_t thread;

	start_code(&thread, bytes, sizeof(bytes), PROT_READ | PROT_WRITE | PROT_EXEC);
	__atomic_store_n((uint16_t *)code, 0x9090, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	munmap(code, 4096);
}

/* The same in a page of the program's file. */
void jump_to_itself(volatile int *unused);
__asm__(".pushsection .text\n"
	".balign 4096\n"
	"jump_to_itself: .byte 0xeb, 0xfe, 0xc3\n"
	".balign 4096\n"
	".popsection");

static void test_file_code(void)
{
	pthread_t thread;

	code = (uint8_t *)(uintptr_t)jump_to_itself;
	start(&thread, run_code, NULL);
	sleep_ms(3);
	CHECK(mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	__atomic_store_n((uint16_t *)code, 0x9090, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

/* Code that is gone ends the process. */
static void test_lost_code(void)
{
	static const char bytes[] = "\xeb\xfe\xc3";
	int status;

	for (int unmap = 0; unmap < 2; unmap++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			pthread_t thread;

			start_code(&thread, bytes, sizeof(bytes), PROT_READ | PROT_EXEC);
			CHECK((unmap ? munmap(code, 4096) : mprotect(code, 4096, PROT_READ)) == 0);
			pthread_join(thread, NULL);
			_exit(1);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	}
}

/* 1: mov (%rdi), %eax; test %eax, %eax; jz 1b; ret */
static void test_unreadable_code(void)
{
	static const char bytes[] = "\x8b\x07\x85\xc0\x74\xfa\xc3";
	pthread_t thread;

	flag = 0;
	start_code(&thread, bytes, sizeof(bytes), PROT_EXEC);
	flag = 1;
	pthread_join(thread, NULL);
	munmap(code, 4096);
}

/* ---- a file that another process writes ---- */

static void test_private_file(void)
{
	const int one = 1, zero = 0;
	int fd = open("spin.data", O_RDWR | O_CREAT | O_TRUNC, 0600), status;

	CHECK(fd >= 0 && write(fd, &zero, sizeof(zero)) == sizeof(zero));
	volatile int *seen = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(seen != MAP_FAILED);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		sleep_ms(3);
		CHECK(pwrite(fd, &one, sizeof(one), 0) == sizeof(one));
		for (;;)
			pause();
	}
	while (*seen == 0)
		;
	CHECK(*seen == 1 && kill(child, SIGKILL) == 0);
	CHECK(waitpid(child, &status, 0) == child && unlink("spin.data") == 0);
	munmap((void *)seen, 4096);
	close(fd);
}

/* ---- what /proc says of who spins ---- */

static volatile pid_t spinner;

static void *spin_until_flag(void *arg)
{
	spinner = gettid();
	while (flag == 0)
		;
	return arg;
}

static void test_state(void)
{
	char path[64], text[512];
	pthread_t thread;

	flag = spinner = 0;
	start(&thread, spin_until_flag, NULL);
	while (spinner == 0)
		sched_yield();
	sleep_ms(3);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)spinner);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL && fgets(text, sizeof(text), f) != NULL);
	CHECK(strrchr(text, ')')[2] == 'R');
	fclose(f);
	flag = 1;
	pthread_join(thread, NULL);
}

/* ---- another waits for input from outside ---- */

static void *read_input(void *arg)
{
	char byte;

	CHECK(read(STDIN_FILENO, &byte, 1) == 1);
	return arg;
}

static void input(void)
{
	pthread_t thread;

	start(&thread, read_input, NULL);
	test_cpu_timer();
	printf("timed\n");
	exit(0);
}

/* ---- what never ends ---- */

static volatile int never[2];

static void *wait_for_other(void *arg)
{
	int i = (int)(intptr_t)arg;

	while (!never[1 - i])
		;
	never[i] = 1;
	return NULL;
}

static void deadlock(void)
{
	pthread_t thread;

	start(&thread, wait_for_other, (void *)1);
	wait_for_other((void *)0);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"flag", test_flag},	       {"spinlock", test_spinlock},
	{"tickets", test_tickets},     {"atomic", test_atomic},
	{"alarm", test_alarm},	       {"cpu", test_cpu_timer},
	{"chain", test_chain},	       {"calls", test_calls},
	{"processes", test_processes}, {"killed", test_killed},
	{"often", test_often},	       {"yield", test_yield},
	{"handoff", test_handoff},     {"flags", test_flags},
	{"code", test_own_code},       {"filecode", test_file_code},
	{"lost", test_lost_code},      {"unreadable", test_unreadable_code},
	{"file", test_private_file},   {"state", test_state},
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "deadlock") == 0)
		deadlock();
	if (argc > 1 && strcmp(argv[1], "input") == 0)
		input();
	if (argc > 2)
		handoffs = atoi(argv[2]);
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		if (argc == 1 || strcmp(argv[1], tests[i].name) == 0) {
			tests[i].run();
			printf("%s ok\n", tests[i].name);
		}
	}
	return 0;
}
