/*
 * System V shared memory: getting, attaching, detaching, removal while attached, what fork, exec
 * and exit do, counts and times of attaching, permissions, addresses, errors in their order.
 */
#include <stdbool.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

#include "check.h"
#include "children.h"
#include "read_text.h"

#define PAGE		   4096ul
#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds ds;

	CHECK(shmctl(id, IPC_STAT, &ds) == 0);
	return ds;
}

static int segment(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, 0600);

	CHECK(id >= 0);
	return id;
}

/* A key nobody else on this machine uses, natively. */
static key_t fresh_key(void)
{
	static key_t key = 0x5ad00000;

	while (shmget(key, 0, 0) >= 0 || errno != ENOENT)
		key++;
	return key++;
}

static void test_get(void)
{
	key_t key = fresh_key();

	FAILS(shmget(key, 100, 0600), ENOENT);
	FAILS(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
	FAILS(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	FAILS(shmget(IPC_PRIVATE, ~0ul, 0600), EINVAL);
	int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
	CHECK(id >= 0);
	CHECK(shmget(key, 5000, 0600) == id);
	CHECK(shmget(key, 0, 0) == id);
	CHECK(shmget(key, 1, IPC_CREAT) == id);
	FAILS(shmget(key, 5001, 0), EINVAL);
	FAILS(shmget(key, 5001, IPC_CREAT | IPC_EXCL), EEXIST);
	struct shmid_ds ds = stat_of(id);
	CHECK(ds.shm_perm.__key == key && ds.shm_perm.mode == 0640 && ds.shm_segsz == 5000);
	CHECK(ds.shm_perm.uid == geteuid() && ds.shm_perm.cgid == getegid());
	CHECK(ds.shm_cpid == getpid() && ds.shm_lpid == 0 && ds.shm_nattch == 0);
	CHECK(ds.shm_atime == 0 && ds.shm_dtime == 0 && labs(ds.shm_ctime - time(NULL)) <= 1);
	CHECK(ds.shm_perm.__seq == (unsigned short)(id >> 15));
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
	FAILS(shmget(key, 0, 0), ENOENT);
}

static void test_errors(void)
{
	struct shmid_ds ds;
	int id = segment(PAGE);

	FAILS(shmat(-1, NULL, 0), EINVAL);
	FAILS(shmat(0x7fffffff, NULL, 0), EINVAL);
	FAILS(shmat(id, (void *)0x10000001, 0), EINVAL);
	FAILS(shmat(id, NULL, SHM_REMAP), EINVAL);
	FAILS(shmat(id, (void *)1, SHM_RND | SHM_REMAP), EINVAL);
	FAILS(shmat(id, &ds, SHM_RND), EINVAL); /* something is there */
	/* Rounded down to 0 it is that address, which who may map there gets. */
	long lowest = (long)shmat(id, (void *)1, SHM_RND);
	CHECK(lowest == -1 ? errno == EPERM : lowest == 0 && shmdt(NULL) == 0);
	FAILS(shmdt(&ds), EINVAL);
	FAILS(shmdt((void *)0x10000000), EINVAL);
	FAILS(shmctl(id, 99, NULL), EINVAL);
	FAILS(shmctl(-1, IPC_STAT, &ds), EINVAL);
	FAILS(shmctl(id, -1, &ds), EINVAL);
	FAILS(shmctl(id, IPC_STAT, (struct shmid_ds *)8), EFAULT);
	FAILS(shmctl(id, IPC_SET, (struct shmid_ds *)8), EFAULT);
	FAILS(shmctl(id + (1 << 15), IPC_STAT, &ds), EINVAL);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	FAILS(shmctl(id, IPC_RMID, NULL), EINVAL);
	FAILS(shmat(id, NULL, 0), EINVAL);
}

/* The same bytes at several places; a read-only one cannot be made writable. */
static void test_attach(void)
{
	int id = segment(2 * PAGE + 1);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);

	CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
	CHECK(a[0] == 0 && a[3 * PAGE - 1] == 0);
	strcpy(a + PAGE, "hello");
	a[3 * PAGE - 1] = 'x'; /* the last page is whole */
	CHECK(strcmp(b + PAGE, "hello") == 0 && b[3 * PAGE - 1] == 'x');
	FAILS(mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(mprotect(a, PAGE, PROT_READ) == 0 && mprotect(a, PAGE, PROT_READ | PROT_WRITE) == 0);
	struct shmid_ds ds = stat_of(id);
	CHECK(ds.shm_lpid == getpid() && labs(ds.shm_atime - time(NULL)) <= 1 && !ds.shm_dtime);
	CHECK(shmdt(b) == 0);
	FAILS(shmdt(b), EINVAL);
	CHECK(stat_of(id).shm_dtime != 0);
	CHECK(shmdt(a) == 0);
	CHECK(stat_of(id).shm_nattch == 0);
	a = shmat(id, NULL, 0);
	CHECK(strcmp(a + PAGE, "hello") == 0);
	CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static void test_places(void)
{
	int id = segment(PAGE);
	char *room =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	room[0] = 'r';
	FAILS(shmat(id, room, 0), EINVAL);
	FAILS(shmat(id, room + 1, SHM_REMAP), EINVAL);
	CHECK(shmat(id, room + 1, SHM_REMAP | SHM_RND) == room);
	CHECK(room[0] == 0);
	CHECK(munmap(room + 2 * PAGE, PAGE) == 0);
	CHECK(shmat(id, room + 2 * PAGE + 5, SHM_RND) == room + 2 * PAGE);
	room[7] = 'z';
	CHECK(room[2 * PAGE + 7] == 'z');
	CHECK(stat_of(id).shm_nattch == 2);
	CHECK(shmdt(room) == 0 && shmdt(room + 2 * PAGE) == 0);
	CHECK(munmap(room, 4 * PAGE) == 0);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* Attachments are counted by mappings: a hole makes two of one. */
static void test_parts(void)
{
	int id = segment(5 * PAGE);
	char *a = shmat(id, NULL, 0);

	CHECK(stat_of(id).shm_nattch == 1);
	CHECK(munmap(a + 4 * PAGE, PAGE) == 0 && stat_of(id).shm_nattch == 1);
	CHECK(munmap(a + 2 * PAGE, PAGE) == 0 && stat_of(id).shm_nattch == 2);
	CHECK(munmap(a, PAGE) == 0 && stat_of(id).shm_nattch == 2);
	CHECK(shmdt(a) == 0 && stat_of(id).shm_nattch == 0); /* though nothing is at a itself */
	a = shmat(id, NULL, 0);
	CHECK(mprotect(a + PAGE, PAGE, PROT_READ) == 0 && stat_of(id).shm_nattch == 3);
	CHECK(shmdt(a) == 0 && stat_of(id).shm_nattch == 0);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* Who let go of a part was the last, though no more and no less is attached. */
static void test_last(void)
{
	int id = segment(3 * PAGE), status;
	char *a = shmat(id, NULL, 0);

	CHECK(a != (void *)-1 && stat_of(id).shm_lpid == getpid());
	for (unsigned long page = 2; page > 0; page--) {
		pid_t child = vfork();
		if (child == 0) {
			munmap(a + page * PAGE, PAGE);
			_exit(0);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		CHECK(stat_of(id).shm_lpid == child && stat_of(id).shm_nattch == 1);
	}
	strcpy(a, "stays");
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	/* In its own place, which is its last. */
	CHECK(shmat(id, a, SHM_REMAP) == a && !strcmp(a, "stays") && stat_of(id).shm_nattch == 1);
	CHECK(stat_of(id).shm_lpid == getpid() && shmdt(a) == 0);
}

static void test_move(void)
{
	int id = segment(4 * PAGE);
	char *a = shmat(id, NULL, 0);

	strcpy(a, "moved");
	CHECK(shmctl(id, IPC_RMID, NULL) == 0); /* a move must not let go of it */
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *b = mremap(a, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	CHECK(b == room && strcmp(b, "moved") == 0 && stat_of(id).shm_nattch == 1);
	char *c = mremap(b, 0, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 4 * PAGE);
	CHECK(c == room + 4 * PAGE && strcmp(c, "moved") == 0);
	CHECK(stat_of(id).shm_nattch == 2);
	c[0] = 'M';
	CHECK(strcmp(b, "Moved") == 0);
	CHECK(shmdt(b) == 0 && shmdt(c) == 0);
	struct shmid_ds ds;
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
}

static void test_removed(void)
{
	key_t key = fresh_key();
	int id = shmget(key, PAGE, IPC_CREAT | 0600);
	char *a = shmat(id, NULL, 0);

	a[0] = 'a';
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	struct shmid_ds ds = stat_of(id);
	CHECK(ds.shm_perm.mode == (0600 | 01000) && ds.shm_perm.__key == IPC_PRIVATE);
	FAILS(shmget(key, 0, 0), ENOENT);
	char *b = shmat(id, NULL, 0); /* Linux lets it live on, by its id */
	CHECK(b != (void *)-1 && b[0] == 'a');
	CHECK(shmdt(a) == 0 && stat_of(id).shm_nattch == 1);
	CHECK(shmdt(b) == 0);
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
}

static void test_fork(void)
{
	int id = segment(PAGE);
	volatile int *a = shmat(id, NULL, 0);
	pid_t pid = fork();

	if (!pid) {
		a[0] = 42;
		CHECK(stat_of(id).shm_nattch == 2);
		CHECK(shmdt((void *)a) == 0);
		CHECK(stat_of(id).shm_lpid == getpid());
		a = shmat(id, NULL, 0);
		a[1] = 43;
		_exit(0); /* detaches */
	}
	CHECK(status_of(pid) == 0);
	CHECK(a[0] == 42 && a[1] == 43);
	CHECK(stat_of(id).shm_nattch == 1 && stat_of(id).shm_lpid == pid);
	CHECK(stat_of(id).shm_cpid == getpid());
	pid = fork();
	if (!pid) {
		execl("/bin/true", "true", NULL); /* detaches too */
		_exit(1);
	}
	CHECK(status_of(pid) == 0 && stat_of(id).shm_nattch == 1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	pid = fork();
	if (!pid) {
		CHECK(a[0] == 42);
		_exit(stat_of(id).shm_nattch == 2 ? 0 : 1);
	}
	CHECK(status_of(pid) == 0);
	CHECK(shmdt((void *)a) == 0);
	struct shmid_ds ds;
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
}

/* A process that comes later attaches by the key; a futex in the segment is one for both. */
static void test_others(void)
{
	key_t key = fresh_key();
	pid_t pid = fork();

	if (!pid) {
		int id = shmget(key, PAGE, IPC_CREAT | 0600);
		CHECK(id >= 0);
		int *a = shmat(id, NULL, 0);
		__atomic_store_n(&a[1], 7, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(a, __ATOMIC_SEQ_CST))
			syscall(SYS_futex, a, FUTEX_WAIT, 0, NULL);
		_exit(a[0]);
	}
	int id;
	while ((id = shmget(key, PAGE, 0)) < 0)
		usleep(1000);
	int *a = shmat(id, NULL, 0);
	while (!__atomic_load_n(&a[1], __ATOMIC_SEQ_CST))
		usleep(1000);
	__atomic_store_n(a, 5, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, a, FUTEX_WAKE, 1);
	CHECK(status_of(pid) == 5 << 8);
	CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static int as_user(int (*what)(int id), int id)
{
	pid_t pid = fork();

	if (!pid) {
		if (setgid(1234) || setuid(1234))
			_exit(77);
		_exit(what(id));
	}
	return status_of(pid) >> 8;
}

static int use_others(int id)
{
	struct shmid_ds ds;

	FAILS(shmat(id, NULL, 0), EACCES);
	CHECK(shmat(id, NULL, SHM_RDONLY) != (void *)-1);
	CHECK(shmctl(id, IPC_STAT, &ds) == 0);
	FAILS(shmctl(id, IPC_SET, &ds), EPERM);
	FAILS(shmctl(id, IPC_RMID, NULL), EPERM);
	FAILS(shmctl(id, SHM_LOCK, NULL), EPERM);
	FAILS(shmget(ds.shm_perm.__key, 0, 0600), EACCES);
	CHECK(shmget(ds.shm_perm.__key, 0, 0400) == id);
	return 0;
}

static int use_private(int id)
{
	struct shmid_ds ds;

	FAILS(shmat(id, NULL, SHM_RDONLY), EACCES);
	FAILS(shmctl(id, IPC_STAT, &ds), EACCES);
	return 0;
}

static int use_given(int id)
{
	CHECK(shmat(id, NULL, 0) != (void *)-1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	return 0;
}

/* What a user locks counts together. */
static int use_locks(int id)
{
	struct rlimit limit = {3 * PAGE, 3 * PAGE};
	int two = segment(2 * PAGE), other = segment(2 * PAGE);

	(void)id;
	CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	CHECK(shmctl(two, SHM_LOCK, NULL) == 0 && shmctl(two, SHM_LOCK, NULL) == 0);
	FAILS(shmctl(other, SHM_LOCK, NULL), ENOMEM);
	CHECK(shmctl(two, SHM_UNLOCK, NULL) == 0 && shmctl(other, SHM_LOCK, NULL) == 0);
	FAILS(shmctl(two, SHM_LOCK, NULL), ENOMEM);
	CHECK(shmctl(other, IPC_RMID, NULL) == 0 && shmctl(two, SHM_LOCK, NULL) == 0);
	return shmctl(two, IPC_RMID, NULL);
}

static void test_permissions(void)
{
	if (geteuid())
		return;
	CHECK(as_user(use_locks, 0) == 0);
	int id = shmget(fresh_key(), PAGE, IPC_CREAT | 0604);
	CHECK(as_user(use_others, id) == 0);
	struct shmid_ds ds = stat_of(id);
	ds.shm_perm.mode = 0600 | 07000;
	CHECK(shmctl(id, IPC_SET, &ds) == 0 && stat_of(id).shm_perm.mode == 0600);
	CHECK(as_user(use_private, id) == 0);
	ds.shm_perm.uid = 1234;
	CHECK(shmctl(id, IPC_SET, &ds) == 0);
	ds.shm_perm.uid = (uid_t)-1;
	FAILS(shmctl(id, IPC_SET, &ds), EINVAL);
	CHECK(stat_of(id).shm_perm.uid == 1234 && stat_of(id).shm_perm.cuid == 0);
	CHECK(as_user(use_given, id) == 0);
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
}

static void test_info(void)
{
	struct shminfo limits;
	struct shm_info used;
	struct shmid_ds ds;
	int id = segment(3 * PAGE), top = shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);

	CHECK(top >= 0 && limits.shmmax == ~0ul - (1ul << 24) && limits.shmmin == 1);
	CHECK(limits.shmmni == 4096 && limits.shmseg == 4096);
	CHECK(limits.shmall == limits.shmmax);
	CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&used) == top);
	CHECK(used.used_ids >= 1 && used.shm_tot >= 3);
	CHECK(shmctl(id & 32767, SHM_STAT, &ds) == id && ds.shm_segsz == 3 * PAGE);
	CHECK(shmctl(id & 32767, SHM_STAT_ANY, &ds) == id);
	FAILS(shmctl(32767, SHM_STAT, &ds), EINVAL);
	CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && stat_of(id).shm_perm.mode == (0600 | 02000));
	CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && stat_of(id).shm_perm.mode == 0600);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

/* An id is not given out again at once. */
static void test_ids(void)
{
	int old = segment(1);

	CHECK(shmctl(old, IPC_RMID, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		int id = segment(1);
		CHECK(id != old && shmctl(id, IPC_RMID, NULL) == 0);
	}
}

static bool text_has(const char *path, const char *what)
{
	static char text[65536];

	read_text(path, text, sizeof(text));
	return strstr(text, what) != NULL;
}

static void test_texts(void)
{
	key_t key = fresh_key();
	int id = shmget(key, 12345, IPC_CREAT | 0600);
	void *a = shmat(id, NULL, 0);
	char line[200];

	snprintf(line, sizeof(line), "\n%10d %10d  %4o %21lu %5d %5d  %5d", key, id, 0600, 12345ul,
		 getpid(), getpid(), 1);
	CHECK(text_has("/proc/sysvipc/shm", line));
	snprintf(line, sizeof(line), "/SYSV%08x (deleted)\n", key);
	CHECK(text_has("/proc/self/maps", line));
	snprintf(line, sizeof(line), "rw-s 00000000 00:01 %d ", id);
	CHECK(shmdt(a) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(text_has("/proc/sys/kernel/shmmni", "4096\n"));
}

int main(void)
{
	test_get();
	test_errors();
	test_attach();
	test_places();
	test_parts();
	test_last();
	test_move();
	test_removed();
	test_fork();
	test_others();
	test_permissions();
	test_info();
	test_ids();
	test_texts();
	printf("shared memory ok\n");
	return 0;
}
