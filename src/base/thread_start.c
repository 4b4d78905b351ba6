/* See thread_start.h. */
#include "thread_start.h"

#include <signal.h>

int thread_start(pthread_t *ret_thread, const cpu_set_t *cpus, void *(*main)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;

	pthread_attr_init(&attr);
	int error = cpus != NULL ? pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus) : 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error == 0)
		error = pthread_create(ret_thread, &attr, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -error;
}
