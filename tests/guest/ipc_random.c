/*
 * ipc_random SEED COUNT: so many random calls of System V IPC and POSIX message queues that do not
 * wait, and what came of them.
 * Ids are printed as the place they are kept in, so that the output is the same on bare Linux.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "check.h"

#define PLACES 5
#define SEMS   4
#define PAGE   4096ul
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static unsigned long state;
static int shm[PLACES], sem[PLACES], msg[PLACES];
static char *view[PLACES];  /* attachments, of any segment */
static size_t size[PLACES]; /* of these */
static mqd_t mq[PLACES];    /* -1: none */

static unsigned int below(unsigned int n)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned int)(state >> 33) % n;
}

static void result(const char *what, long r)
{
	printf("%s %ld %s\n", what, r, r == -1 ? strerrorname_np(errno) : "");
}

/* A place whose id the call makes, if it was free. */
static void shm_make(int i)
{
	if (shm[i] < 0)
		shm[i] = shmget(IPC_PRIVATE, below(5) * 3000ul, 0600);
	result("shmget", shm[i] < 0 ? -1 : 0);
}

static void shm_stat(int i)
{
	struct shmid_ds ds;
	long r = shmctl(shm[i], IPC_STAT, &ds);

	result("shm stat", r);
	if (!r)
		printf("%lu bytes, %lu times, mode %o, by us %d\n", ds.shm_segsz, ds.shm_nattch,
		       ds.shm_perm.mode, ds.shm_cpid == getpid());
}

static void shm_attach(int i)
{
	unsigned int j = below(PLACES);
	struct shmid_ds ds;

	if (view[j] || shmctl(shm[i], IPC_STAT, &ds))
		return;
	view[j] = shmat(shm[i], NULL, below(3) ? 0 : SHM_RDONLY);
	result("shmat", view[j] == (void *)-1 ? -1 : 0);
	if (view[j] == (void *)-1)
		view[j] = NULL;
	size[j] = (ds.shm_segsz + PAGE - 1) & ~(PAGE - 1);
}

static void shm_detach(int i)
{
	result("shmdt", shmdt(view[i] ? view[i] : (char *)0x10000000));
	view[i] = NULL;
}

static void shm_cut(int i)
{
	if (!view[i])
		return;
	unsigned long page = below((unsigned int)(size[i] / PAGE));
	result("munmap", munmap(view[i] + page * PAGE, PAGE));
}

static void shm_protect(int i)
{
	if (!view[i])
		return;
	unsigned long page = below((unsigned int)(size[i] / PAGE));
	result("mprotect", mprotect(view[i] + page * PAGE, PAGE, (int)below(4)));
}

static void shm_remove(int i)
{
	if (below(3))
		return;
	result("shm rmid", shmctl(shm[i], IPC_RMID, NULL));
	if (below(2))
		shm[i] = -1;
}

static void sem_make(int i)
{
	if (sem[i] < 0)
		sem[i] = semget(IPC_PRIVATE, SEMS, 0600);
	result("semget", sem[i] < 0 ? -1 : 0);
}

static void sem_operate(int i)
{
	struct sembuf op[4];
	unsigned int count = 1 + below(4);

	for (unsigned int k = 0; k < count; k++) {
		op[k].sem_num = (unsigned short)(below(40) ? below(SEMS) : SEMS);
		op[k].sem_op = (short)((int)below(7) - 3);
		if (!below(20))
			op[k].sem_op = (short)(below(2) ? 20000 : -20000);
		op[k].sem_flg = (short)(IPC_NOWAIT | (below(4) ? 0 : SEM_UNDO));
	}
	result("semop", semop(sem[i], op, count));
}

static void sem_values(int i)
{
	unsigned short values[SEMS];
	long r = semctl(sem[i], 0, GETALL, (union semun){.array = values});

	result("getall", r);
	if (!r)
		printf("%u %u %u %u, last by us %d\n", values[0], values[1], values[2], values[3],
		       semctl(sem[i], 1, GETPID) == getpid());
}

static void sem_set(int i)
{
	unsigned short values[SEMS] = {1, 2, 3, (unsigned short)(below(10) ? 4 : 40000)};

	if (below(2))
		result("setval", semctl(sem[i], (int)below(SEMS + 1), SETVAL,
					(union semun){.val = (int)below(10) * 4000}));
	else
		result("setall", semctl(sem[i], 0, SETALL, (union semun){.array = values}));
}

static void sem_remove(int i)
{
	if (below(4))
		return;
	result("sem rmid", semctl(sem[i], 0, IPC_RMID));
	if (below(2))
		sem[i] = -1;
}

static void msg_make(int i)
{
	if (msg[i] < 0)
		msg[i] = msgget(IPC_PRIVATE, 0600);
	result("msgget", msg[i] < 0 ? -1 : 0);
}

static struct {
	long type;
	char text[8300];
} message;

static void msg_send(int i)
{
	size_t n = below(4) ? below(100) : below(8300);

	message.type = below(8);
	memset(message.text, (int)('a' + below(26)), n);
	result("msgsnd", msgsnd(msg[i], &message, n, IPC_NOWAIT));
}

static void msg_receive(int i)
{
	static const int flags[] = {0,
				    0,
				    MSG_NOERROR,
				    MSG_EXCEPT,
				    MSG_COPY,
				    MSG_COPY | MSG_NOERROR,
				    MSG_EXCEPT | MSG_COPY};
	long type = (long)below(15) - 7;

	memset(&message, 0, sizeof(message));
	ssize_t n = msgrcv(msg[i], &message, below(3) ? 8300 : below(100), type,
			   IPC_NOWAIT | flags[below(7)]);
	result("msgrcv", n);
	if (n >= 0)
		printf("type %ld %.2s\n", message.type, message.text);
}

static void msg_stat(int i)
{
	struct msqid_ds ds;
	long r = msgctl(msg[i], IPC_STAT, &ds);

	result("msg stat", r);
	if (r)
		return;
	printf("%lu bytes, %lu messages of %lu, by us %d %d\n", ds.__msg_cbytes, ds.msg_qnum,
	       ds.msg_qbytes, ds.msg_lspid == getpid(), ds.msg_lrpid == getpid());
	if (!below(4)) {
		ds.msg_qbytes = below(17000);
		ds.msg_perm.mode = below(3) ? 0600 : 0400;
		result("msg set",
		       geteuid() || ds.msg_qbytes <= 16384 ? msgctl(msg[i], IPC_SET, &ds) : 0);
	}
}

static void msg_remove(int i)
{
	if (below(4))
		return;
	result("msg rmid", msgctl(msg[i], IPC_RMID, NULL));
	if (below(2))
		msg[i] = -1;
}

static const char *mq_name(int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "/shadow-random-%d-%d", getpid(), i);
	return name;
}

static void mq_make(int i)
{
	struct mq_attr attr = {.mq_maxmsg = below(6), .mq_msgsize = 1 + below(60)};

	if (mq[i] < 0)
		mq[i] = mq_open(mq_name(i), (below(2) ? O_CREAT : 0) | O_RDWR | O_NONBLOCK, 0600,
				&attr);
	result("mq_open", mq[i] < 0 ? -1 : 0);
}

static void mq_put(int i)
{
	memset(message.text, (int)('a' + below(26)), 60);
	result("mq_send", mq_send(mq[i], message.text, below(60), below(5)));
}

static void mq_take(int i)
{
	unsigned int priority = 0;
	ssize_t n = mq_receive(mq[i], message.text, below(10) ? 60 : 10, &priority);

	result("mq_receive", n);
	if (n > 0)
		printf("priority %u %c\n", priority, message.text[0]);
}

static void mq_state(int i)
{
	struct mq_attr attr;
	char text[100] = "";
	long r = mq_getattr(mq[i], &attr);

	result("mq_getattr", r);
	if (r)
		return;
	printf("%ld of %ld, of %ld bytes\n", attr.mq_curmsgs, attr.mq_maxmsg, attr.mq_msgsize);
	result("read", pread(mq[i], text, 99, 0));
	printf("%s", text);
}

static void mq_end(int i)
{
	if (below(3))
		return;
	if (below(2))
		result("mq_unlink", mq_unlink(mq_name(i)));
	else
		result("mq_close", mq_close(mq[i]));
	if (below(2) && mq[i] >= 0) {
		close(mq[i]);
		mq[i] = -1;
	}
}

static void (*const calls[])(int place) = {
	shm_make,    shm_stat,	 shm_attach,  shm_detach,  shm_cut,	shm_protect,
	shm_remove,  sem_make,	 sem_operate, sem_operate, sem_operate, sem_values,
	sem_set,     sem_remove, msg_make,    msg_send,	   msg_send,	msg_receive,
	msg_receive, msg_stat,	 msg_remove,  mq_make,	   mq_make,	mq_put,
	mq_put,	     mq_put,	 mq_take,     mq_take,	   mq_state,	mq_end,
};

static void forget_all(void)
{
	for (int i = 0; i < PLACES; i++) {
		shmctl(shm[i], IPC_RMID, NULL);
		semctl(sem[i], 0, IPC_RMID);
		msgctl(msg[i], IPC_RMID, NULL);
		mq_unlink(mq_name(i));
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	state = strtoul(argv[1], NULL, 10);
	memset(shm, -1, sizeof(shm));
	memset(sem, -1, sizeof(sem));
	memset(msg, -1, sizeof(msg));
	memset(mq, -1, sizeof(mq));
	for (long n = strtol(argv[2], NULL, 10); n > 0; n--)
		calls[below(sizeof(calls) / sizeof(calls[0]))]((int)below(PLACES));
	forget_all();
	return 0;
}
