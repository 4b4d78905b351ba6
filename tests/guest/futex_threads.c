/*
 * Random futex calls of several threads at once. futex_threads SEED COUNT. Whatever the order, who
 * was woken had a waker and the other way round: the wakes that calls tell are as many as the waits
 * that end with 0; a lock made of a futex keeps a sum right; nothing hangs, though threads are
 * interrupted by signals and moved from word to word meanwhile.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define THREADS 6
#define WORDS	8 /* the upper half is not private */

struct worker {
	pthread_t thread;
	uint64_t state;
	long calls;	    /* left to make */
	long woken, waited; /* of others, as told; own waits that ended with 0 */
	long sum;	    /* of what it added under the lock */
};

static atomic_uint words[WORDS], lock;
static long total; /* under the lock */
static struct worker workers[THREADS];
static pthread_barrier_t begin;

static uint32_t rnd(struct worker *w, uint32_t below)
{
	w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(w->state >> 33) % below;
}

static long futex(int word, int op, uint32_t value, uintptr_t arg, int other, uint32_t value3)
{
	int private = word < WORDS / 2 ? FUTEX_PRIVATE_FLAG : 0;
	long r = syscall(SYS_futex, &words[word], op | private, value, arg, &words[other], value3);

	return r < 0 ? -errno : r;
}

/* A word of the same kind. */
static int other_than(struct worker *w, int word)
{
	return word < WORDS / 2 ? (int)rnd(w, WORDS / 2) : (int)(WORDS / 2 + rnd(w, WORDS / 2));
}

/* ---- calls ---- */

static void waits(struct worker *w, int word)
{
	struct timespec limit = {0, rnd(w, 2) ? 1 + rnd(w, 300000) : 1 + rnd(w, 3000000)};
	uint32_t seen = atomic_load(&words[word]) + (rnd(w, 8) == 0);

	long r = futex(word, FUTEX_WAIT, seen, (uintptr_t)&limit, word, 0);
	CHECK(r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EINTR);
	w->waited += r == 0;
}

static void waits_bits(struct worker *w, int word)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += rnd(w, 2000000);
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	long r = futex(word, FUTEX_WAIT_BITSET, atomic_load(&words[word]), (uintptr_t)&until, word,
		       1u << rnd(w, 4));
	CHECK(r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EINTR);
	w->waited += r == 0;
}

static void told(struct worker *w, long r, long most)
{
	CHECK(r >= 0 && r <= most);
	w->woken += r;
}

static void wakes(struct worker *w, int word)
{
	uint32_t most = 1 + rnd(w, 3);

	atomic_fetch_add(&words[word], rnd(w, 2));
	told(w, futex(word, FUTEX_WAKE, most, 0, word, 0), most);
}

static void wakes_bits(struct worker *w, int word)
{
	told(w, futex(word, FUTEX_WAKE_BITSET, THREADS, 0, word, 1 + rnd(w, 15)), THREADS);
}

/* Adds 1 to the other word, and wakes there if it was less than 100. */
static void wakes_op(struct worker *w, int word)
{
	uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 100);

	told(w, futex(word, FUTEX_WAKE_OP, 1, 2, other_than(w, word), op), 3);
}

/* Moves waiters, who then wait there for no longer than they would have. */
static void requeues(struct worker *w, int word)
{
	uint32_t seen = atomic_load(&words[word]);
	long r = futex(word, FUTEX_CMP_REQUEUE, 0, THREADS, other_than(w, word), seen);

	CHECK((r >= 0 && r < THREADS) || r == -EAGAIN);
}

static void interrupts(struct worker *w, int word)
{
	(void)word;
	CHECK(pthread_kill(workers[rnd(w, THREADS)].thread, SIGUSR1) == 0);
}

/* ---- a lock: 0 free, 1 taken, 2 taken and waited for ---- */

static void locks(struct worker *w, int word)
{
	uint32_t free = 0;
	long add = rnd(w, 100);

	(void)word;
	if (!atomic_compare_exchange_strong(&lock, &free, 1)) {
		while (atomic_exchange(&lock, 2) != 0)
			syscall(SYS_futex, &lock, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
	}
	long seen = total;
	if (rnd(w, 4) == 0)
		sched_yield();
	total = seen + add;
	w->sum += add;
	if (atomic_exchange(&lock, 0) == 2)
		CHECK(syscall(SYS_futex, &lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0);
}

static void *work(void *arg)
{
	static void (*const calls[])(struct worker * w, int word) = {
		waits,	  waits,    waits_bits, wakes, wakes_bits,
		wakes_op, requeues, interrupts, locks, locks,
	};
	struct worker *w = arg;

	pthread_barrier_wait(&begin);
	while (w->calls-- > 0)
		calls[rnd(w, sizeof(calls) / sizeof(*calls))](w, (int)rnd(w, WORDS));
	pthread_barrier_wait(&begin);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	long woken = 0, waited = 0, sum = 0;

	CHECK(argc == 3 && sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(pthread_barrier_init(&begin, NULL, THREADS) == 0);
	for (int i = 0; i < THREADS; i++) {
		workers[i].state = strtoull(argv[1], NULL, 10) * 1000 + (uint64_t)i;
		workers[i].calls = atol(argv[2]);
	}
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
		woken += workers[i].woken;
		waited += workers[i].waited;
		sum += workers[i].sum;
	}
	if (woken != waited || woken == 0)
		printf("%ld woken, %ld were\n", woken, waited);
	printf("%s\n", total == sum && woken == waited && woken != 0 ? "ok" : "wrong");
	return 0;
}
