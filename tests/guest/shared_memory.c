/*
 * Memory shared between processes: POSIX shared memory and semaphores, shared mappings across fork
 * and moves, mutexes, conditions and barriers in them, robust mutexes, futexes by object.
 */
#include <stdbool.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

#include "check.h"
#include "children.h"

#define PAGE		   4096ul
#define CHILDREN	   4
#define ROUNDS		   200
#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static char name[64];

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void test_shm_open(void)
{
	struct stat st;

	FAILS(shm_open(name, O_RDWR, 0), ENOENT);
	FAILS(shm_open("/a/b", O_RDWR | O_CREAT, 0600), EINVAL);
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	FAILS(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && st.st_mode == (S_IFREG | 0600));
	CHECK(ftruncate(fd, 3 * (off_t)PAGE) == 0);
	char *a = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid = fork();
	if (!pid) {
		int own = shm_open(name, O_RDWR, 0);
		char *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, PAGE);
		strcpy(b + 5, "from the child");
		_exit(write(own, "head", 4) == 4 ? 0 : 1);
	}
	CHECK(status_of(pid) == 0);
	CHECK(strcmp(a + PAGE + 5, "from the child") == 0 && memcmp(a, "head", 4) == 0);
	a[2 * PAGE] = 'z';
	char byte;
	CHECK(pread(fd, &byte, 1, 2 * (off_t)PAGE) == 1 && byte == 'z');
	CHECK(shm_unlink(name) == 0);
	FAILS(shm_unlink(name), ENOENT);
	a[1] = 'E';
	CHECK(pread(fd, &byte, 1, 1) == 1 && byte == 'E');
	CHECK(munmap(a, 3 * PAGE) == 0 && close(fd) == 0);
}

static void test_named_semaphore(void)
{
	int *count = shared(PAGE);
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
	struct timespec limit;

	CHECK(sem != SEM_FAILED && sem_trywait(sem) == -1 && errno == EAGAIN);
	CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED && errno == EEXIST);
	for (int i = 0; i < CHILDREN; i++) {
		if (fork())
			continue;
		sem_t *own = sem_open(name, 0);
		for (int k = 0; k < ROUNDS; k++) {
			CHECK(sem_wait(own) == 0);
			int now = *count;
			sched_yield();
			*count = now + 1;
			CHECK(sem_post(own) == 0);
		}
		_exit(0);
	}
	CHECK(sem_post(sem) == 0);
	for (int i = 0; i < CHILDREN; i++)
		CHECK(wait(NULL) > 0);
	CHECK(*count == CHILDREN * ROUNDS);
	CHECK(sem_trywait(sem) == 0);
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_nsec = limit.tv_nsec / 2;
	CHECK(sem_timedwait(sem, &limit) == -1 && errno == ETIMEDOUT);
	CHECK(sem_close(sem) == 0 && sem_unlink(name) == 0);
	munmap(count, PAGE);
}

/* Anonymous shared memory stays shared, also after a move; a file's shows in the file. */
static void test_moves(void)
{
	char *a = shared(2 * PAGE), *room;

	strcpy(a + PAGE, "one");
	room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (!pid) {
		char *b = mremap(a, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
		CHECK(b == room);
		strcpy(b + PAGE, "two");
		_exit(0);
	}
	CHECK(status_of(pid) == 0 && strcmp(a + PAGE, "two") == 0);
	char *b = mremap(a, 0, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	CHECK(b == room && strcmp(b + PAGE, "two") == 0);
	b[0] = 'b';
	CHECK(a[0] == 'b');
	CHECK(mremap(a, 2 * PAGE, PAGE, 0) == a);
	CHECK(munmap(a, PAGE) == 0 && b[0] == 'b' && munmap(room, 8 * PAGE) == 0);
}

struct together {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_barrier_t barrier;
	sem_t sem;
	int count, ready, last;
};

static struct together *make_together(int robust)
{
	struct together *s = shared(PAGE);
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	CHECK(pthread_mutex_init(&s->mutex, &mutex) == 0);
	CHECK(pthread_cond_init(&s->cond, &cond) == 0);
	CHECK(pthread_barrier_init(&s->barrier, &barrier, CHILDREN) == 0);
	CHECK(sem_init(&s->sem, 1, 0) == 0);
	return s;
}

static void take_part(struct together *s)
{
	for (int k = 0; k < ROUNDS; k++) {
		CHECK(pthread_mutex_lock(&s->mutex) == 0);
		int now = s->count;
		sched_yield();
		s->count = now + 1;
		CHECK(pthread_mutex_unlock(&s->mutex) == 0);
	}
	if (pthread_barrier_wait(&s->barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
		__atomic_add_fetch(&s->last, 1, __ATOMIC_SEQ_CST);
	CHECK(s->count == CHILDREN * ROUNDS); /* all have come so far */
	CHECK(pthread_mutex_lock(&s->mutex) == 0);
	while (!s->ready)
		CHECK(pthread_cond_wait(&s->cond, &s->mutex) == 0);
	CHECK(pthread_mutex_unlock(&s->mutex) == 0);
	CHECK(sem_post(&s->sem) == 0);
}

static void test_together(void)
{
	struct together *s = make_together(0);
	pid_t pids[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			take_part(s);
			_exit(0);
		}
	}
	while (!__atomic_load_n(&s->last, __ATOMIC_SEQ_CST))
		usleep(1000);
	CHECK(pthread_mutex_lock(&s->mutex) == 0);
	s->ready = 1;
	CHECK(pthread_cond_broadcast(&s->cond) == 0 && pthread_mutex_unlock(&s->mutex) == 0);
	for (int i = 0; i < CHILDREN; i++)
		CHECK(sem_wait(&s->sem) == 0 && status_of(pids[i]) == 0);
	CHECK(s->last == 1);
	munmap(s, PAGE);
}

/* A process dies with the mutex, by itself or killed: the next one is told. */
static void test_robust(void)
{
	struct together *s = make_together(1);

	for (int killed = 0; killed < 2; killed++) {
		pid_t pid = fork();
		if (!pid) {
			CHECK(pthread_mutex_lock(&s->mutex) == 0);
			sem_post(&s->sem);
			while (killed)
				pause();
			_exit(0);
		}
		CHECK(sem_wait(&s->sem) == 0);
		pid_t waiter = fork();
		if (!waiter) {
			CHECK(pthread_mutex_lock(&s->mutex) == EOWNERDEAD);
			CHECK(pthread_mutex_consistent(&s->mutex) == 0);
			_exit(pthread_mutex_unlock(&s->mutex));
		}
		if (killed) {
			await_sleep(waiter);
			CHECK(kill(pid, SIGKILL) == 0);
		}
		CHECK(status_of(pid) == (killed ? SIGKILL : 0) && status_of(waiter) == 0);
		CHECK(pthread_mutex_lock(&s->mutex) == 0 && pthread_mutex_unlock(&s->mutex) == 0);
	}
	munmap(s, PAGE);
}

enum end { END_EXIT, END_KILL, END_EXEC, ENDS };

static void end_now(enum end how)
{
	if (how == END_EXEC)
		execl("/bin/true", "true", NULL);
	if (how == END_KILL)
		raise(SIGKILL);
	_exit(0);
}

static void *lock_and_stay(void *shared)
{
	struct together *s = shared;

	CHECK(pthread_mutex_lock(&s->mutex) == 0);
	sem_post(&s->sem);
	for (;;)
		pause();
}

/* Not only the task that ends a program tells of its mutexes: the others do, and exec is an end. */
static void test_robust_ends(void)
{
	for (int i = 0; i < 2 * ENDS; i++) {
		struct together *s = make_together(1);
		pthread_t thread;
		pid_t pid = fork();
		if (!pid && i % 2) {
			CHECK(pthread_create(&thread, NULL, lock_and_stay, s) == 0);
			CHECK(sem_wait(&s->sem) == 0);
			end_now((enum end)(i / 2));
		} else if (!pid) {
			CHECK(pthread_mutex_lock(&s->mutex) == 0);
			end_now((enum end)(i / 2));
		}
		CHECK(status_of(pid) == (i / 2 == END_KILL ? SIGKILL : 0));
		CHECK(pthread_mutex_trylock(&s->mutex) == EOWNERDEAD);
		munmap(s, PAGE);
	}
}

static pid_t end_with_word(int *word, bool alone, enum end how)
{
	pid_t pid = alone ? fork() : vfork(); // NOLINT: what is tested

	if (!pid) {
		syscall(SYS_set_tid_address, word); // NOLINT
		end_now(how);
	}
	return pid;
}

/* The word of CLEARTID is cleared if others still see the memory when the task leaves it. */
static void test_clear_tid(void)
{
	int *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 2 * ENDS; i++) {
		bool alone = i % 2;
		*word = 77;
		pid_t pid = end_with_word(word, alone, (enum end)(i / 2));
		CHECK(status_of(pid) == (i / 2 == END_KILL ? SIGKILL : 0));
		CHECK(*word == (alone ? 77 : 0));
	}
	munmap(word, PAGE);
}

static long wake(int *word, int flags)
{
	return syscall(SYS_futex, word, FUTEX_WAKE | flags, 100);
}

/* A futex is where its word is in the file, not at an address. */
static void test_futex_keys(void)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 2 * (off_t)PAGE) == 0);
	int *a = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid = fork();
	if (!pid) {
		int *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, PAGE);
		CHECK(munmap(a, 2 * PAGE) == 0);
		_exit(syscall(SYS_futex, &b[3], FUTEX_WAIT, 0, NULL) ? errno : 0);
	}
	await_sleep(pid);
	int *word = &a[PAGE / sizeof(int) + 3], *other = &a[3];
	CHECK(wake(other, 0) == 0 && wake(word, FUTEX_PRIVATE_FLAG) == 0);
	int *moved = mremap(a, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(moved != MAP_FAILED && moved != a);
	CHECK(wake(&moved[PAGE / sizeof(int) + 3], 0) == 1);
	CHECK(status_of(pid) == 0);
	CHECK(munmap(moved, 2 * PAGE) == 0 && close(fd) == 0 && shm_unlink(name) == 0);
}

int main(void)
{
	snprintf(name, sizeof(name), "/shadow-guest-%d", getpid());
	test_shm_open();
	test_named_semaphore();
	test_moves();
	test_together();
	test_robust();
	test_robust_ends();
	test_clear_tid();
	test_futex_keys();
	printf("shared memory ok\n");
	return 0;
}
