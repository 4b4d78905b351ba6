/*
 * A library to be preloaded into a tool under test: makes the n-th of some calls fail.  INJECT is
 * WHAT:N, with a + behind WHAT if all later ones are to fail too:
 *
 *	alloc	malloc, calloc, realloc: no memory
 *	ptrace	EIO
 *	write	ENOSPC
 *	thread	pthread_create: EAGAIN
 *	vanish	the task at the n-th stop is killed before the tool looks at it
 *	die	the tool itself is killed at the n-th stop
 *
 * INJECT_REPORT names a file that gets one line at the end: how many calls of WHAT there were.
 * Neither variable, nor LD_PRELOAD, is left for the program in the container.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum what { ALLOC, PTRACE, WRITE, THREAD, VANISH, DIE, WHATS };

static const char *const names[WHATS] = {"alloc", "ptrace", "write", "thread", "vanish", "die"};
static enum what chosen = WHATS;
static bool onwards;
static long wanted;
static atomic_long count;
static char report[256];

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *at, size_t size);

static bool hit(enum what what)
{
	if (what != chosen)
		return false;
	long now = atomic_fetch_add(&count, 1) + 1;
	return now == wanted || (onwards && now > wanted && wanted != 0);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("INJECT"), *file = getenv("INJECT_REPORT");
	size_t n = text != NULL ? strcspn(text, "+:") : 0;

	for (enum what i = 0; i < WHATS && n != 0; i++) {
		if (strlen(names[i]) == n && strncmp(names[i], text, n) == 0)
			chosen = i;
	}
	if (file != NULL)
		snprintf(report, sizeof(report), "%s", file);
	if (n != 0) {
		onwards = text[n] == '+';
		wanted = atol(text + n + (onwards ? 2 : 1));
	}
	unsetenv("INJECT");
	unsetenv("INJECT_REPORT");
	unsetenv("LD_PRELOAD");
	/* What was done to get here does not count. */
	count = 0;
}

__attribute__((destructor)) static void end(void)
{
	char line[32];
	int size = snprintf(line, sizeof(line), "%ld\n", (long)count);
	int fd = report[0] != '\0' ? open(report, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;

	if (fd < 0)
		return;
	syscall(SYS_write, fd, line, size);
	close(fd);
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *malloc(size_t size)
{
	return hit(ALLOC) ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return hit(ALLOC) ? no_memory() : __libc_calloc(n, size);
}

void *realloc(void *at, size_t size)
{
	return hit(ALLOC) ? no_memory() : __libc_realloc(at, size);
}

long ptrace(enum __ptrace_request request, ...)
{
	static long (*real)(enum __ptrace_request, ...);
	va_list ap;

	va_start(ap, request);
	pid_t pid = va_arg(ap, pid_t);
	void *addr = va_arg(ap, void *), *data = va_arg(ap, void *);
	va_end(ap);
	if (hit(PTRACE)) {
		errno = EIO;
		return -1;
	}
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "ptrace");
	return real(request, pid, addr, data);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	if (fd > 2 && hit(WRITE)) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, bytes, size);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (hit(THREAD))
		return EAGAIN;
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, fn, arg);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	pid_t tid = (pid_t)syscall(SYS_wait4, pid, status, options, NULL);

	if (tid > 0 && status != NULL && WIFSTOPPED(*status)) {
		if (hit(VANISH))
			syscall(SYS_tkill, tid, SIGKILL);
		if (hit(DIE))
			syscall(SYS_kill, getpid(), SIGKILL);
	}
	return tid;
}
