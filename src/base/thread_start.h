/* Threads of ours: signals are for the creator's, and each may have processors of its own. */
#ifndef SHADOW_BASE_THREAD_START_H
#define SHADOW_BASE_THREAD_START_H

#include <pthread.h>
#include <sched.h>

/* Starts a thread with all signals blocked, on the given processors, or with NULL on its
 * creator's.  0 or a negative errno: -EAGAIN, -EINVAL (none of the processors is there). */
int thread_start(pthread_t *ret_thread, const cpu_set_t *cpus, void *(*main)(void *arg), void *arg);

#endif
