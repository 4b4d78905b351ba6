/*
 * Threads: mutexes, conditions with and without time limit, barriers, read-write locks,
 * semaphores, thread-local values, detached threads, an exit of the first thread before others.
 */
#include <pthread.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define WORKERS 8
#define ITEMS	400

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t done;
static __thread long local;
static long queue[16], total, taken[WORKERS];
static int head, fill, finished;

static long queue_take(void)
{
	long item = -1;

	pthread_mutex_lock(&mutex);
	while (fill == 0 && !finished)
		pthread_cond_wait(&changed, &mutex);
	if (fill > 0) {
		item = queue[head];
		head = (head + 1) % 16;
		fill--;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&mutex);
	return item;
}

static void *worker(void *number)
{
	long item;

	pthread_barrier_wait(&barrier);
	while ((item = queue_take()) >= 0) {
		local += item;
		taken[(long)number]++;
		pthread_rwlock_wrlock(&rwlock);
		total += item;
		pthread_rwlock_unlock(&rwlock);
	}
	sem_post(&done);
	return (void *)local;
}

static void produce(void)
{
	for (long i = 0; i < ITEMS; i++) {
		pthread_mutex_lock(&mutex);
		while (fill == 16)
			pthread_cond_wait(&changed, &mutex);
		queue[(head + fill++) % 16] = i;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_lock(&mutex);
	finished = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

static void check_time_limit(void)
{
	struct timespec limit, after;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 1;
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&changed, &mutex, &limit) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	clock_gettime(CLOCK_REALTIME, &after);
	CHECK(after.tv_sec >= limit.tv_sec);
}

static void *last_words(void *main_thread)
{
	pthread_join(*(pthread_t *)main_thread, NULL);
	printf("the first thread is gone\n");
	fflush(stdout);
	exit(7);
}

int main(void)
{
	static pthread_t threads[WORKERS], first, last;
	long sum = 0;
	void *part;

	CHECK(pthread_barrier_init(&barrier, NULL, WORKERS + 1) == 0);
	CHECK(sem_init(&done, 0, 0) == 0);
	for (long i = 0; i < WORKERS; i++)
		CHECK(pthread_create(&threads[i], NULL, worker, (void *)i) == 0);
	pthread_barrier_wait(&barrier);
	produce();
	for (int i = 0; i < WORKERS; i++) {
		CHECK(sem_wait(&done) == 0);
		CHECK(pthread_join(threads[i], &part) == 0);
		sum += (long)part;
	}
	CHECK(sum == total && sum == ITEMS * (ITEMS - 1) / 2);
	check_time_limit();
	printf("total %ld\n", total);
	fflush(stdout);
	first = pthread_self();
	CHECK(pthread_create(&last, NULL, last_words, &first) == 0);
	pthread_exit(NULL);
}
