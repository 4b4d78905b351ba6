/*
 * System V semaphores: sets of operations as a whole, waiting and who is served, undoing at the
 * end, counts, removal, signals, time limits, errors in their order.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "children.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))
#define OP(...)		   ((struct sembuf[]){__VA_ARGS__})
#define COUNT(...)	   (sizeof(OP(__VA_ARGS__)) / sizeof(struct sembuf))
#define SEMOP(id, ...)	   semop(id, OP(__VA_ARGS__), COUNT(__VA_ARGS__))

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static int set_of(int count)
{
	int id = semget(IPC_PRIVATE, count, 0600);

	CHECK(id >= 0);
	return id;
}

static void remove_set(int id)
{
	CHECK(semctl(id, 0, IPC_RMID) == 0);
}

static int value(int id, int num)
{
	return semctl(id, num, GETVAL);
}

static void set_value(int id, int num, int val)
{
	CHECK(semctl(id, num, SETVAL, (union semun){.val = val}) == 0);
}

/* Until so many wait: for more (GETNCNT) or for zero (GETZCNT). */
static void await_waiters(int id, int num, int what, int count)
{
	while (semctl(id, num, what) != count)
		usleep(1000);
}

static key_t fresh_key(void)
{
	static key_t key = 0x5ad10000;

	while (semget(key, 0, 0) >= 0 || errno != ENOENT)
		key++;
	return key++;
}

static struct semid_ds stat_of(int id)
{
	struct semid_ds ds;

	CHECK(semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}) == 0);
	return ds;
}

static void test_get(void)
{
	key_t key = fresh_key();

	FAILS(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	FAILS(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	FAILS(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
	FAILS(semget(key, 1, 0600), ENOENT);
	int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
	CHECK(id >= 0 && semget(key, 3, 0600) == id && semget(key, 0, 0) == id);
	FAILS(semget(key, 4, 0600), EINVAL);
	FAILS(semget(key, 4, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	struct semid_ds ds = stat_of(id);
	CHECK(ds.sem_nsems == 3 && ds.sem_otime == 0 && labs(ds.sem_ctime - time(NULL)) <= 1);
	CHECK(ds.sem_perm.mode == 0600 && ds.sem_perm.__key == key);
	CHECK(value(id, 0) == 0 && semctl(id, 0, GETPID) == 0);
	remove_set(id);
	FAILS(semctl(id, 0, IPC_RMID), EINVAL);
}

static void test_errors(void)
{
	int id = set_of(2);
	struct timespec bad = {.tv_nsec = 1000000000}, zero = {0};
	static struct sembuf many[501];

	FAILS(semop(id, OP({0, 1, 0}), 0), EINVAL);
	FAILS(semop(id, many, 501), E2BIG);
	CHECK(semop(id, many, 500) == 0);
	FAILS(semop(id, (struct sembuf *)8, 1), EFAULT);
	FAILS(semop(-1, (struct sembuf *)8, 1), EFAULT);
	FAILS(SEMOP(-1, {0, 1, 0}), EINVAL);
	FAILS(SEMOP(id + (1 << 15), {0, 1, 0}), EINVAL);
	FAILS(SEMOP(id, {2, 1, 0}), EFBIG);
	FAILS(semtimedop(id, OP({0, -1, 0}), 1, &bad), EINVAL);
	FAILS(semtimedop(id, OP({0, -1, 0}), 1, (struct timespec *)8), EFAULT);
	FAILS(semtimedop(id, OP({0, -1, 0}), 1, &zero), EAGAIN);
	FAILS(SEMOP(id, {0, -1, IPC_NOWAIT}), EAGAIN);
	FAILS(semctl(id, 2, GETVAL), EINVAL);
	FAILS(semctl(id, -1, GETVAL), EINVAL);
	FAILS(semctl(id, 0, SETVAL, (union semun){.val = 32768}), ERANGE);
	FAILS(semctl(id, 0, SETVAL, (union semun){.val = -1}), ERANGE);
	FAILS(semctl(id, 5, SETVAL, (union semun){.val = 1}), EINVAL);
	FAILS(semctl(id, 0, 99), EINVAL);
	FAILS(semctl(-1, 0, GETVAL), EINVAL);
	FAILS(semctl(id, 0, GETALL, (union semun){.array = (void *)8}), EFAULT);
	unsigned short big[2] = {1, 40000};
	FAILS(semctl(id, 0, SETALL, (union semun){.array = big}), ERANGE);
	CHECK(value(id, 0) == 0);
	set_value(id, 0, 32767);
	FAILS(SEMOP(id, {0, 1, 0}), ERANGE);
	FAILS(SEMOP(id, {1, 1, 0}, {0, 1, 0}), ERANGE);
	CHECK(value(id, 1) == 0);
	remove_set(id);
}

/* All operations or none. */
static void test_sets(void)
{
	int id = set_of(3);
	unsigned short values[3] = {5, 0, 2};

	CHECK(semctl(id, 0, SETALL, (union semun){.array = values}) == 0);
	CHECK(SEMOP(id, {0, -2, 0}, {1, 1, 0}, {2, -2, 0}, {2, 0, 0}) == 0);
	CHECK(value(id, 0) == 3 && value(id, 1) == 1 && value(id, 2) == 0);
	FAILS(SEMOP(id, {0, -1, 0}, {1, -1, 0}, {1, -1, IPC_NOWAIT}), EAGAIN);
	CHECK(value(id, 0) == 3 && value(id, 1) == 1);
	CHECK(SEMOP(id, {0, -3, 0}, {0, 7, 0}) == 0 && value(id, 0) == 7);
	FAILS(SEMOP(id, {0, 0, IPC_NOWAIT}, {1, 1, 0}), EAGAIN);
	CHECK(semctl(id, 0, GETALL, (union semun){.array = values}) == 0);
	CHECK(values[0] == 7 && values[1] == 1 && values[2] == 0);
	CHECK(semctl(id, 0, GETPID) == getpid());
	CHECK(labs(stat_of(id).sem_otime - time(NULL)) <= 1);
	remove_set(id);
}

static int *shared(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* A child that does the operations and then notes its number; 0, or errno, is its status. */
static pid_t child_op(int id, struct sembuf *ops, size_t count, int *log, int number)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	int r = semop(id, ops, count);
	if (!r)
		log[__atomic_add_fetch(log, 1, __ATOMIC_SEQ_CST)] = number;
	_exit(r ? errno : 0);
}

/* Who came first is served first; who wants more than there is does not hold up the others. */
static void test_order(void)
{
	int id = set_of(1), *log = shared();
	pid_t pids[4];
	short wants[4] = {-1, -3, -1, -1};

	for (int i = 0; i < 4; i++) {
		pids[i] = child_op(id, OP({0, wants[i], 0}), 1, log, i + 1);
		await_waiters(id, 0, GETNCNT, i + 1);
	}
	CHECK(SEMOP(id, {0, 1, 0}) == 0);
	CHECK(status_of(pids[0]) == 0 && log[1] == 1);
	CHECK(SEMOP(id, {0, 1, 0}) == 0);
	CHECK(status_of(pids[2]) == 0 && log[2] == 3);
	CHECK(semctl(id, 0, GETNCNT) == 2);
	CHECK(SEMOP(id, {0, 3, 0}) == 0);
	CHECK(status_of(pids[1]) == 0 && log[3] == 2);
	CHECK(semctl(id, 0, GETPID) == pids[1] && value(id, 0) == 0);
	CHECK(SEMOP(id, {0, 1, 0}) == 0);
	CHECK(status_of(pids[3]) == 0 && log[4] == 4);
	remove_set(id);
}

/* Sets of several that wait compete with single operations in the order they came. */
static void test_order_of_sets(void)
{
	int id = set_of(2), *log = shared();
	pid_t pids[3];

	pids[0] = child_op(id, OP({0, -1, 0}, {1, -1, 0}), 2, log, 1);
	await_waiters(id, 0, GETNCNT, 1);
	pids[1] = child_op(id, OP({1, -1, 0}), 1, log, 2);
	await_waiters(id, 1, GETNCNT, 1);
	CHECK(SEMOP(id, {0, 1, 0}) == 0); /* now the set waits for the other one */
	CHECK(semctl(id, 0, GETNCNT) == 0 && semctl(id, 1, GETNCNT) == 2);
	pids[2] = child_op(id, OP({0, 0, 0}, {1, 0, 0}), 2, log, 3);
	await_waiters(id, 0, GETZCNT, 1);
	CHECK(SEMOP(id, {1, 1, 0}) == 0);
	CHECK(status_of(pids[0]) == 0 && status_of(pids[2]) == 0);
	CHECK(semctl(id, 1, GETNCNT) == 1 && log[0] == 2);
	CHECK(SEMOP(id, {1, 1, 0}) == 0);
	CHECK(status_of(pids[1]) == 0);
	remove_set(id);
}

static void test_zero(void)
{
	int id = set_of(1), *log = shared();

	set_value(id, 0, 2);
	pid_t zero = child_op(id, OP({0, 0, 0}), 1, log, 1);
	await_waiters(id, 0, GETZCNT, 1);
	CHECK(SEMOP(id, {0, -1, 0}) == 0 && semctl(id, 0, GETZCNT) == 1);
	CHECK(SEMOP(id, {0, -1, 0}) == 0);
	CHECK(status_of(zero) == 0);
	/* Who waits for zero is let go before others make more of it. */
	pid_t taker = child_op(id, OP({0, -2, 0}, {0, 1, 0}), 2, log, 2);
	await_waiters(id, 0, GETNCNT, 1);
	CHECK(SEMOP(id, {0, 2, 0}) == 0);
	CHECK(status_of(taker) == 0 && value(id, 0) == 1);
	set_value(id, 0, 0);
	remove_set(id);
}

static void nothing(int signal)
{
	(void)signal;
}

static void test_interruption(void)
{
	struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
	struct timespec limit = {.tv_nsec = 20000000}, before, after;
	int id = set_of(1), *log = shared();

	sigaction(SIGUSR1, &action, NULL);
	pid_t pid = child_op(id, OP({0, -1, 0}), 1, log, 1);
	await_waiters(id, 0, GETNCNT, 1);
	CHECK(kill(pid, SIGUSR1) == 0);
	CHECK(status_of(pid) == EINTR << 8); /* never restarted */
	CHECK(semctl(id, 0, GETNCNT) == 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	FAILS(semtimedop(id, OP({0, -1, 0}), 1, &limit), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >=
	      limit.tv_nsec);
	pid = child_op(id, OP({0, -1, 0}), 1, log, 1);
	await_waiters(id, 0, GETNCNT, 1);
	CHECK(kill(pid, SIGKILL) == 0 && status_of(pid) == SIGKILL);
	CHECK(semctl(id, 0, GETNCNT) == 0);
	pid = child_op(id, OP({0, -1, 0}), 1, log, 1);
	pid_t other = child_op(id, OP({0, 1, 0}, {0, -2, 0}), 2, log, 1);
	await_waiters(id, 0, GETNCNT, 2);
	remove_set(id);
	CHECK(status_of(pid) == EIDRM << 8 && status_of(other) == EIDRM << 8);
}

static void test_undo(void)
{
	int id = set_of(2), *log = shared();

	set_value(id, 0, 5);
	pid_t pid = fork();
	if (!pid) {
		CHECK(SEMOP(id, {0, -3, SEM_UNDO}, {1, 4, SEM_UNDO}) == 0);
		CHECK(SEMOP(id, {0, 1, SEM_UNDO}) == 0);
		if (!fork())
			_exit(0); /* a child has nothing to undo */
		wait(NULL);
		CHECK(value(id, 0) == 3 && value(id, 1) == 4);
		await_waiters(id, 0, GETNCNT, 1);
		execl("/bin/sh", "sh", "-c", "exit 3", NULL); /* exec keeps it */
		_exit(1);
	}
	while (value(id, 0) != 3)
		usleep(1000);
	pid_t waiter = child_op(id, OP({0, -5, 0}), 1, log, 1);
	CHECK(status_of(pid) == 3 << 8);
	CHECK(status_of(waiter) == 0);
	CHECK(value(id, 0) == 0 && value(id, 1) == 0 && semctl(id, 1, GETPID) == pid);
	pid = fork();
	if (!pid) {
		CHECK(SEMOP(id, {0, 3, SEM_UNDO}) == 0);
		CHECK(SEMOP(id, {0, -2, 0}) == 0); /* more is to be taken back than there is */
		raise(SIGKILL);
	}
	CHECK(status_of(pid) == SIGKILL && value(id, 0) == 0);
	pid = fork();
	if (!pid) {
		CHECK(SEMOP(id, {0, 3, SEM_UNDO}) == 0);
		set_value(id, 0, 9); /* sets it free of undoing */
		_exit(0);
	}
	CHECK(status_of(pid) == 0 && value(id, 0) == 9);
	set_value(id, 0, 32767);
	CHECK(SEMOP(id, {0, -32767, SEM_UNDO}) == 0);
	set_value(id, 1, 32767);
	CHECK(SEMOP(id, {0, 32767, 0}) == 0);
	FAILS(SEMOP(id, {0, -2, SEM_UNDO}), ERANGE); /* the adjustment has a bound too */
	CHECK(value(id, 0) == 32767);
	remove_set(id);
}

static void *take_with_undo(void *arg)
{
	CHECK(SEMOP(*(int *)arg, {0, -1, SEM_UNDO}) == 0);
	return NULL;
}

/* Threads share what is undone: at the end of the last of them. */
static void test_undo_of_threads(void)
{
	int id = set_of(1);

	set_value(id, 0, 2);
	pid_t pid = fork();
	if (!pid) {
		pthread_t thread;
		CHECK(pthread_create(&thread, NULL, take_with_undo, &id) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		_exit(value(id, 0) == 1 ? 0 : 1);
	}
	CHECK(status_of(pid) == 0 && value(id, 0) == 2);
	remove_set(id);
}

static void read_only(int id)
{
	struct semid_ds ds;

	CHECK(SEMOP(id, {0, 0, 0}) == 0);
	FAILS(SEMOP(id, {0, 1, 0}), EACCES);
	CHECK(value(id, 0) == 0 && semctl(id, 0, GETPID) >= 0);
	FAILS(semctl(id, 0, SETVAL, (union semun){.val = 1}), EACCES);
	FAILS(semctl(id, 0, IPC_RMID), EPERM);
	CHECK(semctl(id & 32767, 0, SEM_STAT, (union semun){.buf = &ds}) == id);
}

static void none(int id)
{
	struct semid_ds ds;

	FAILS(SEMOP(id, {0, 0, 0}), EACCES);
	FAILS(value(id, 0), EACCES);
	FAILS(semctl(id & 32767, 0, SEM_STAT, (union semun){.buf = &ds}), EACCES);
	CHECK(semctl(id & 32767, 0, SEM_STAT_ANY, (union semun){.buf = &ds}) == id);
}

static void test_permissions(void)
{
	int id = semget(IPC_PRIVATE, 1, 0604);

	if (!geteuid())
		CHECK(as_somebody(read_only, id) == 0);
	struct semid_ds ds = stat_of(id);
	ds.sem_perm.mode = 0600;
	CHECK(semctl(id, 0, IPC_SET, (union semun){.buf = &ds}) == 0);
	CHECK(stat_of(id).sem_perm.mode == 0600);
	if (!geteuid())
		CHECK(as_somebody(none, id) == 0);
	remove_set(id);
}

static void test_info(void)
{
	struct seminfo info;
	struct semid_ds ds;
	int id = set_of(7), top = semctl(0, 0, IPC_INFO, (union semun){.info = &info});

	CHECK(top >= 0 && info.semmni == 32000 && info.semmsl == 32000 && info.semopm == 500);
	CHECK(info.semmns == 1024000000 && info.semvmx == 32767 && info.semaem == 32767);
	CHECK(info.semusz == 20 && info.semume == 500 && info.semmap == 1024000000);
	CHECK(semctl(0, 0, SEM_INFO, (union semun){.info = &info}) == top);
	CHECK(info.semusz >= 1 && info.semaem >= 7);
	CHECK(semctl(id & 32767, 0, SEM_STAT, (union semun){.buf = &ds}) == id);
	CHECK(ds.sem_nsems == 7);
	remove_set(id);
}

int main(void)
{
	test_get();
	test_errors();
	test_sets();
	test_order();
	test_order_of_sets();
	test_zero();
	test_interruption();
	test_undo();
	test_undo_of_threads();
	test_permissions();
	test_info();
	printf("semaphores ok\n");
	return 0;
}
