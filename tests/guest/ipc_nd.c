/*
 * What of System V IPC differs from run to run on bare Linux: ids, times, who of several waiters
 * came first, and so who is served.
 */
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define CHILDREN 8

static void print_ids(void)
{
	int shm = shmget(IPC_PRIVATE, 100, 0600), sem = semget(IPC_PRIVATE, 1, 0600);
	int msg = msgget(IPC_PRIVATE, 0600);
	struct shmid_ds ds;
	void *at = shmat(shm, NULL, 0);

	CHECK(shmctl(shm, IPC_STAT, &ds) == 0);
	printf("ids %d %d %d at %p\n", shm, sem, msg, at);
	printf("times %ld %ld pids %d %d\n", ds.shm_atime, ds.shm_ctime, ds.shm_cpid, ds.shm_lpid);
	CHECK(shmctl(shm, IPC_RMID, NULL) == 0 && semctl(sem, 0, IPC_RMID) == 0);
	CHECK(msgctl(msg, IPC_RMID, NULL) == 0);
}

/* Children take turns by a semaphore that is given one at a time, and note who they are. */
static void print_order(void)
{
	int sem = semget(IPC_PRIVATE, 1, 0600), n = 0;
	int *log = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < CHILDREN; i++) {
		if (fork())
			continue;
		for (int round = 0; round < 20; round++) {
			CHECK(semop(sem, &(struct sembuf){0, -1, 0}, 1) == 0);
			log[++log[0]] = i;
			CHECK(semop(sem, &(struct sembuf){0, 1, 0}, 1) == 0);
		}
		_exit(0);
	}
	CHECK(semop(sem, &(struct sembuf){0, 1, 0}, 1) == 0);
	while (wait(NULL) > 0)
		n++;
	CHECK(n == CHILDREN);
	for (int i = 1; i <= log[0]; i++)
		printf("%d", log[i]);
	printf("\n");
	CHECK(semctl(sem, 0, IPC_RMID) == 0);
}

/* Which message each of several receivers got. */
static void print_messages(void)
{
	struct {
		long type;
		char text;
	} m = {1, 0};
	int queue = msgget(IPC_PRIVATE, 0600);
	pid_t pids[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			CHECK(msgrcv(queue, &m, 1, 0, 0) == 1);
			_exit(m.text);
		}
	}
	for (m.text = 0; m.text < CHILDREN; m.text++)
		CHECK(msgsnd(queue, &m, 1, 0) == 0);
	for (int i = 0; i < CHILDREN; i++) {
		int status;
		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		printf("child %d of pid %d got %d\n", i, pids[i], status >> 8);
	}
	CHECK(msgctl(queue, IPC_RMID, NULL) == 0);
}

int main(void)
{
	print_ids();
	print_order();
	print_messages();
	return 0;
}
