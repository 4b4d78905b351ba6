/*
 * The futex operations themselves: WAIT and WAKE, BITSET, REQUEUE, CMP_REQUEUE, WAKE_OP, time
 * limits, private and shared, and the errors. FIFO order of waking is ours, not Linux's promise,
 * so only counts are compared with bare Linux.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define WAITERS 4

static uint32_t word, other;
static int awake;

static long futex(uint32_t *at, int op, uint32_t value, const void *limit, uint32_t *at2,
		  uint32_t value3)
{
	return syscall(SYS_futex, at, op, value, limit, at2, value3);
}

static void *wait_plain(void *unused)
{
	(void)unused;
	CHECK(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0);
	__atomic_add_fetch(&awake, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void *wait_bits(void *bits)
{
	uint32_t mask = (uint32_t)(uintptr_t)bits;

	CHECK(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, mask) == 0);
	__atomic_add_fetch(&awake, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Long enough for the threads just made to wait; virtual, so free of charge in a container. */
static void settle(void)
{
	usleep(100000);
}

static void join_all(pthread_t *threads)
{
	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(awake == WAITERS);
	awake = 0;
}

static void check_wake(void)
{
	pthread_t threads[WAITERS];

	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_plain, NULL) == 0);
	settle();
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == WAITERS - 1);
	join_all(threads);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 0);
}

static void check_bits(void)
{
	pthread_t threads[WAITERS];

	for (uintptr_t i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_bits, (void *)(1UL << i)) == 0);
	settle();
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 0x10) == 0);
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 0x5) == 2);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 2);
	join_all(threads);
	CHECK(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0) == -1 && errno == EINVAL);
}

static void check_requeue(void)
{
	pthread_t threads[WAITERS];
	const void *two = (const void *)2;

	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_plain, NULL) == 0);
	settle();
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, two, &other, 5) == -1 && errno == EAGAIN);
	CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, two, &other, 0) == 3);
	CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 2);
	CHECK(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, two, &other, 0) == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 0);
	CHECK(futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 1);
	join_all(threads);
}

static void check_wake_op(void)
{
	pthread_t threads[WAITERS];
	int op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0);

	other = 0;
	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_plain, NULL) == 0);
	settle();
	CHECK(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (const void *)100, &word, op) == WAITERS);
	CHECK(word == 3);
	word = 0;
	join_all(threads);
}

/* No count is too small for one to be woken. */
static void check_wake_op_counts(void)
{
	const uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
	pthread_t threads[WAITERS];

	word = other = 0;
	for (int i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_plain, NULL) == 0);
	settle();
	CHECK(futex(&other, FUTEX_WAKE_OP_PRIVATE, 0, NULL, &word, op) == 1);
	CHECK(futex(&other, FUTEX_WAKE_OP_PRIVATE, (uint32_t)-1, (const void *)-1, &word, op) == 1);
	CHECK(futex(&word, FUTEX_WAKE_PRIVATE, WAITERS, NULL, NULL, 0) == WAITERS - 2);
	join_all(threads);
}

/* ---- robust lists made by hand ---- */

static struct robust_list_head robust_head;
static struct robust_list robust_entry;
static uint32_t robust_word;

static void *die_with_robust_list(void *own)
{
	if (own != NULL)
		__atomic_store_n(&robust_word, (uint32_t)gettid() | FUTEX_WAITERS,
				 __ATOMIC_RELEASE);
	CHECK(syscall(SYS_set_robust_list, &robust_head, sizeof(robust_head)) == 0);
	settle();
	syscall(SYS_exit, 0);
	return NULL;
}

/* About to release it: who waits is woken.  Of priorities: nobody is. */
static void check_robust(void)
{
	const struct timespec limit = {2, 0}, little = {0, 300000000};
	pthread_t thread;

	robust_head.list.next = &robust_head.list;
	robust_head.list_op_pending = &robust_entry;
	robust_head.futex_offset = (long)((uintptr_t)&robust_word - (uintptr_t)&robust_entry);
	CHECK(pthread_create(&thread, NULL, die_with_robust_list, NULL) == 0);
	CHECK(futex(&robust_word, FUTEX_WAIT, 0, &limit, NULL, 0) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && robust_word == 0);
	robust_head.list_op_pending = NULL;
	robust_head.list.next = (struct robust_list *)((uintptr_t)&robust_entry | 1);
	robust_entry.next = &robust_head.list;
	CHECK(pthread_create(&thread, NULL, die_with_robust_list, &robust_word) == 0);
	while (__atomic_load_n(&robust_word, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	uint32_t owned = robust_word;
	CHECK(futex(&robust_word, FUTEX_WAIT, owned, &little, NULL, 0) == -1);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(robust_word == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
}

static void check_limits(void)
{
	struct timespec limit = {0, 50000000}, bad = {0, -1}, past = {1, 0};

	CHECK(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0) == -1 && errno == EAGAIN);
	CHECK(futex(&word, FUTEX_WAIT, 0, &limit, NULL, 0) == -1 && errno == ETIMEDOUT);
	CHECK(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0) == -1 && errno == EINVAL);
	CHECK(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, ~0U) == -1 &&
	      errno == ETIMEDOUT);
	CHECK(futex((uint32_t *)1, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EINVAL);
	CHECK(futex((uint32_t *)8, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT);
	CHECK(futex(&word, 99, 0, NULL, NULL, 0) == -1 && errno == ENOSYS);
}

/* A word in a shared mapping is one futex in both processes, though fork copied the rest. */
static void check_shared(void)
{
	uint32_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	CHECK(shared != MAP_FAILED);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0)
			futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(3);
	}
	settle();
	__atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
	CHECK(futex(shared, FUTEX_WAKE, 10, NULL, NULL, 0) == 1);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
}

int main(void)
{
	check_wake();
	check_bits();
	check_requeue();
	check_wake_op();
	check_wake_op_counts();
	check_robust();
	check_limits();
	check_shared();
	printf("futex ok\n");
	return 0;
}
