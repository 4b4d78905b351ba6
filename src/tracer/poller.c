/* See poller.h.  Owns the thread. */
#include "poller.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* A look at an empty ring costs 60 ns, waking up 5 us. */
#define PAUSE_FIRST_NS 20000
#define PAUSE_MAX_NS   5000000

struct poller {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under the lock */
	bool (*take)(void *arg);
	void *arg;
};

/* Waits so long, or until the end; true at the end. */
static bool pause_for(struct poller *p, long pause_ns)
{
	struct timespec until = {0, 0};

	if (pause_ns != 0)
		clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += pause_ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && pause_ns != 0 && pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0)
		continue;
	bool stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return stop;
}

static void *poller_main(void *arg)
{
	struct poller *p = arg;
	long pause_ns = 0;

	while (!pause_for(p, pause_ns)) {
		if (p->take(p->arg))
			pause_ns = 0;
		else if (pause_ns < PAUSE_MAX_NS)
			pause_ns = pause_ns == 0 ? PAUSE_FIRST_NS : pause_ns * 2;
	}
	return NULL;
}

int poller_create(bool (*take)(void *arg), void *arg, struct poller **ret_poller)
{
	struct poller *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (p == NULL)
		return -ENOMEM;
	p->take = take;
	p->arg = arg;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	int error = pthread_create(&p->thread, NULL, poller_main, p);
	if (error != 0) {
		pthread_cond_destroy(&p->wake);
		pthread_mutex_destroy(&p->lock);
		free(p);
		return -error;
	}
	*ret_poller = p;
	return 0;
}

void poller_destroy(struct poller *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
